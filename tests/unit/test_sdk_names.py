"""The SDK's private names: the tap uses those that `tap_focus.streams.sdk` lists, and no other."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest
from singer_sdk import Stream, Tap
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.singerlib.encoding import SimpleSingerWriter
from singer_sdk.streams._state import StreamStateManager

import tap_focus
from tap_focus.streams.sdk import RELIED_ON

PACKAGE = Path(tap_focus.__file__).parent
MODULES = [
    path
    for path in sorted(PACKAGE.glob("*.py"))
    if path.stem != "sdk" and re.search(r"singer_sdk|tap_focus\.sdk", path.read_text("utf-8"))
]
BASES = (Stream, Tap, StreamStateManager, SimpleSingerWriter)


def private_names(kind: type) -> set[str]:
    """What a class of the SDK has, and what its methods put into `self`."""
    sources = [inspect.getsource(base) for base in kind.__mro__ if "singer" in base.__module__]
    return set(re.findall(r"(?:def |self\.|cls\.)(_[a-z]\w*)", "\n".join(sources)))


def names(path: Path) -> set[str]:
    """All private attributes that a module reads, sets or defines."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    return {
        *(node.attr for node in nodes if isinstance(node, ast.Attribute)),
        *(node.name for node in nodes if isinstance(node, ast.FunctionDef)),
    }


@pytest.mark.parametrize("kind", RELIED_ON, ids=lambda kind: kind.__name__)
def test_the_names_that_the_tap_relies_on_are_there(kind: type) -> None:
    """An SDK release that changes one fails here, before it could change what is written."""
    assert RELIED_ON[kind].keys() <= private_names(kind)


def test_the_tap_relies_on_no_other_and_defines_none_by_chance() -> None:
    used = set[str]().union(*map(names, MODULES))
    of_the_sdk = set[str]().union(*map(private_names, BASES))
    assert used & of_the_sdk == set[str]().union(*RELIED_ON.values())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_other_module_imports_a_private_name(path: Path) -> None:
    imports = re.findall(
        r"from (singer_sdk\S*) import ([^(\n]+|\([^)]*\))", path.read_text("utf-8")
    )
    assert not [each for each in imports if re.search(r"(?:^|[.\s])_", " ".join(each))]


def test_what_has_no_name_is_there_too() -> None:
    """A line of the log that the tap leaves out, and what a record that passes through shows."""
    assert any(
        isinstance(text, str) and text.startswith("An unhandled error occurred")
        for text in Stream.sync.__code__.co_consts
    )
    assert SameRecordTransform.transform is not None
