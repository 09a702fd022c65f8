from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_focus.api.text import (
    MAX_DEPTH,
    depth,
    has_long_integer,
    is_too_deep,
    replace_surrogates,
    sanitize,
    sanitize_json,
)

TEXTS = st.text(st.sampled_from(["\ud83d", "\ude00", "\x00", "\\", '"', "u", "d", "8", "3", "a"]))


@given(TEXTS)
def test_sanitized_json_is_the_json_of_the_sanitized_text(text: str) -> None:
    # Python writes a high surrogate before a low one as two escapes, which JSON reads as one
    # character.
    value = json.loads(json.dumps(text))

    assert json.loads(sanitize_json(json.dumps(text).encode())) == sanitize(value)


@given(TEXTS)
def test_sanitized_text_can_be_stored_and_keeps_its_length(text: str) -> None:
    sanitized = sanitize(text)

    assert len(sanitized) == len(text)
    assert "\x00" not in sanitized
    assert sanitized.encode().decode() == sanitized


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_text_that_can_be_stored_is_not_changed(text: str) -> None:
    body = json.dumps(text).encode()

    assert sanitize(text) == text
    assert sanitize_json(body) == replace_surrogates(body) == body


@given(TEXTS)
def test_replacing_surrogates_keeps_all_other_characters_in_their_places(text: str) -> None:
    body = json.dumps(text).encode()
    replaced = replace_surrogates(body)
    pairs = zip(json.loads(body), json.loads(replaced), strict=True)

    assert len(replaced) == len(body)
    assert replaced.decode() == json.dumps(json.loads(replaced)).encode().decode()
    for before, after in pairs:
        assert (after >= "\uf800") if "\ud800" <= before <= "\udfff" else after == before


@pytest.mark.parametrize(
    ("body", "sanitized"),
    [
        (b'"\\u0000"', b'"\\ufffd"'),
        (b'"\\ud83d"', b'"\\ufffd"'),
        (b'"\\uDE00\\uD83D"', b'"\\ufffd\\ufffd"'),
        (b'"\\ud83d\\ude00"', b'"\\ud83d\\ude00"'),
        (b'"\\ud83d\\ud83d\\ude00"', b'"\\ufffd\\ud83d\\ude00"'),
        (b'"\\\\ud83d \\\\u0000"', b'"\\\\ud83d \\\\u0000"'),
        (b'"\\\\\\ud83d"', b'"\\\\\\ufffd"'),
        (b'{"\\u0000": 1}', b'{"\\ufffd": 1}'),
        ('"\u00e9\U0001f600"'.encode(), '"\u00e9\U0001f600"'.encode()),
    ],
)
def test_only_escapes_of_unstorable_characters_are_replaced(body: bytes, sanitized: bytes) -> None:
    assert sanitize_json(body) == sanitized


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
