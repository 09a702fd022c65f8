"""README.md, docs/ and the other documents agree with the code and with each other."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from ruamel.yaml import YAML

from tap_focus.settings import SCHEMA
from tap_focus.streams.metrics import Metric
from tests.helpers.markdown import PAGES, read_blocks
from tests.helpers.runner import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENTS = sorted(
    {
        *PAGES,
        *(
            path
            for name in ("", "benchmarks/", "tests/", "transform/")
            for path in ROOT.glob(f"{name}*.md")
        ),
    }
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def test_generated_files_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "generate.py"), "--check"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_readme_has_at_most_150_lines() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_to_a_file_and_a_heading(document: Path) -> None:
    broken = [
        link for link in _LINK.findall(document.read_text("utf-8")) if not resolves(document, link)
    ]

    assert not broken


def resolves(document: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return True
    name, _, fragment = unquote(link).partition("#")
    path = document.parent / name if name else document
    return path.exists() and (not fragment or fragment in anchors(path))


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", document.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in _HEADING.findall(text)
    }


def test_every_page_is_linked_from_readme() -> None:
    links = _LINK.findall((ROOT / "README.md").read_text("utf-8"))
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links}

    assert not [page for page in PAGES if page.resolve() not in {*linked, ROOT / "README.md"}]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_no_fenced_block_escapes_the_test_of_the_commands(page: Path) -> None:
    """Commands are `sh` or `sql`. Without an account, or in another test, they are marked."""
    blocks = read_blocks(page)

    assert {block.language for block in blocks} <= {
        *("sh", "sql", "bash", "text", "crontab", "yaml", "json")
    }
    marks = {mark for block in blocks for mark in block.marks if not block.file}
    assert marks <= {"needs-account", "time-stamp", "json-lines", "duckdb"}
    assert all(block.file for block in blocks if block.language == "bash")


def test_every_metric_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text("utf-8")
    documented = re.findall(r"^\| `(\w+)` \| (?:counter|gauge|timer) \|", page, re.MULTILINE)
    from_sdk = {"record_count", "sync_duration", "batch_count"}

    assert len(documented) == len({*documented})
    assert {*documented} == {metric.value for metric in Metric} | from_sdk


def test_nothing_is_installed_from_pypi_under_the_name_of_the_tap() -> None:
    """The package is not there, and anybody could take the name."""
    files = [*DOCUMENTS, *ROOT.glob("*.yml"), *(ROOT / "tap_focus").rglob("*.py")]
    trap = re.compile(r"pip3? install [^\n]*(?<![/\w])tap-focus\b(?!\.git|/)|pip_url: *'?tap-focus")

    assert not [path for path in files if trap.search(path.read_text("utf-8"))]


def test_the_project_defines_every_setting_and_marks_the_secret() -> None:
    project = YAML(typ="safe").load(ROOT / "meltano.yml")
    plugin = next(p for p in project["plugins"]["extractors"] if p["name"] == "tap-focus")
    settings = {setting["name"]: setting for setting in plugin["settings"]}

    # Meltano flattens the settings that are objects.
    assert SCHEMA["properties"].keys() <= {name.partition(".")[0] for name in settings}
    assert all(setting["label"] and setting["description"] for setting in settings.values())
    assert [name for name, setting in settings.items() if setting.get("sensitive")] == ["api_key"]
