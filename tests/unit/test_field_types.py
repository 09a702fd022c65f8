from __future__ import annotations

import json
from typing import Any

import pytest

from tap_focus.streams.field_types import MAX_DEPTH, depth, has_long_integer, is_too_deep


@pytest.mark.parametrize("before", [0, 1, 100, 255, 256])
@pytest.mark.parametrize(("digits", "is_long"), [(4301, True), (5000, True), (3800, False)])
def test_an_integer_that_python_cannot_parse_is_found(
    *, before: int, digits: int, is_long: bool
) -> None:
    text = b" " * before + b"9" * digits + b" " * 300

    assert has_long_integer(text) is is_long


def test_many_short_integers_are_not_a_long_one() -> None:
    assert not has_long_integer(json.dumps([*range(100_000, 110_000)]).encode())


@pytest.mark.parametrize(
    ("text", "is_deep"),
    [
        (b"5", False),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, False),
        (b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH, False),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), True),
        (b'[{"a":' * 33 + b"1" + b"}]" * 33, True),
        (b"[" + b"[]," * 10_000 + b"[]]", False),
        (b'["\xe9",[{}]]', False),
    ],
)
def test_nesting_is_measured_by_the_brackets(*, text: bytes, is_deep: bool) -> None:
    assert is_too_deep(text) is is_deep


@pytest.mark.parametrize("text", [b'"["', b'["]"]', b'{"}":1}'])
def test_unpaired_brackets_in_strings_may_count_as_nesting(text: bytes) -> None:
    """A false alarm costs time only, since the exact depth is then determined."""
    assert is_too_deep(text)
    assert depth(json.loads(text)) <= 1


@pytest.mark.parametrize(
    ("value", "levels"),
    [(None, 0), ("[[", 0), ([], 1), ({}, 1), ([1, {"a": 2}], 2), ({"a": [[]], "b": {}}, 3)],
)
def test_the_depth_of_a_value_counts_its_arrays_and_objects(value: Any, levels: int) -> None:
    assert depth(value) == levels


def test_the_depth_of_a_value_has_no_limit() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]

    assert depth(value) == 100_001
    while value:  # deallocated step by step, since a deep one would exhaust the stack of C
        value = value.pop()
