"""One page of the feed: what it may be, and what is kept of it."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from traceback import format_exception
from typing import Any

import pytest

from tap_focus.api.page import Page, Plain, decode, examine
from tap_focus.errors import (
    BadAnswerError,
    FocusError,
    TooLargeError,
    UnusableRecordingError,
)

SECRET = "Jane Smith"


def body(*recordings: Any, cursor: Any = "next") -> bytes:
    return json.dumps({"recordings": recordings, "nextCursorId": cursor}).encode()


def page_of(answer: bytes, number: int, **types: str | None) -> Page:
    return examine(decode(answer, number), Plain(types))


def one(number: int) -> dict[str, Any]:
    return {"interactionId": number}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>Jane Smith</html>",
        b"[]",
        b"null",
        b'"Jane Smith"',
        b"{}",
        b'{"error": "Jane Smith"}',
        b'{"recordings": []}',
        b'{"nextCursorId": "a"}',
        body(cursor=None),
        body(cursor=""),
        body(cursor=5),
        b'{"recordings": null, "nextCursorId": "a"}',
        b'{"recordings": {"a": "Jane Smith"}, "nextCursorId": "a"}',
        body(one(1))[:-5],
        body({"a": SECRET})[:-3],
        b'{"recordings": [{"interactionId": 1, "a": NaN}], "nextCursorId": "a"}',
        b'{"recordings": [{"interactionId": 1, "a": "\\ud800", "b": NaN}], "nextCursorId": "a"}',
        b'{"recordings": [], "nextCursorId": "Jane \xff"}',
        b'{"recordings": [{"a": ' + b"[" * 100_000,
        b'{"recordings": [{"a": "\\ud800' + b"[" * 100_000,
        b'{"recordings": [], "nextCursorId": "half \\ud83d"}',
    ],
)
def test_what_is_no_page_is_told_without_its_content(answer: bytes) -> None:
    with pytest.raises(BadAnswerError, match="page 7 of this run") as caught:
        page_of(answer, 7)
    assert SECRET not in "".join(format_exception(caught.value))


@pytest.mark.parametrize(
    "recording",
    [
        SECRET,
        None,
        [SECRET],
        {"name": SECRET},
        {"interactionId": None},
        {"interactionId": "1"},
        {"interactionId": True},
        {"interactionId": 1.0},
        {"interactionId": [1]},
        {"InteractionId": 1},
    ],
)
def test_a_recording_without_an_id_is_told_by_its_place(recording: Any) -> None:
    with pytest.raises(UnusableRecordingError, match="Recording 2 of page 3") as caught:
        page_of(body(one(1), recording), 3)
    assert SECRET not in "".join(format_exception(caught.value))


def page_with(value: str) -> bytes:
    text = f'{{"recordings": [{{"interactionId": 1, "a": {value}}}], "nextCursorId": "n"}}'
    return text.encode()


def test_a_recording_that_cannot_be_decoded_is_told_by_its_place() -> None:
    page = page_of(page_with("1e9999999999999999999"), 3)
    with pytest.raises(UnusableRecordingError, match="Recording 1 of page 3"):
        list(page.recordings())


@pytest.mark.parametrize("depth", [100, 2000, 1_000_000])
def test_deep_nesting_is_decoded_or_told_by_its_place(depth: int) -> None:
    """How deep is too deep differs between versions of Python."""
    try:
        (recording,) = page_of(page_with("[" * depth + "]" * depth), 3).recordings()
    except FocusError as error:
        assert depth > 100
        assert "page 3" in str(error)  # noqa: PT017 - some depth fails at once, some later
    else:
        assert isinstance(recording["a"][0], list)


def test_what_is_not_utf_8_is_told_without_its_content() -> None:
    answer = b'{"recordings": [{"interactionId": 1, "a": ["Jane \xff"]}], "nextCursorId": "a"}'
    with pytest.raises(BadAnswerError, match="Page 3 of this run is not UTF-8") as caught:
        page_of(answer, 3, a=None)
    assert "Jane" not in "".join(format_exception(caught.value))


def test_a_recording_that_is_too_large_is_told_by_its_place() -> None:
    text = '{"recordings": [{"interactionId": 1, "a": "%s"}], "nextCursorId": "n"}'
    with pytest.raises(UnusableRecordingError, match=r"Recording 1 of page 3 .* 16 MiB"):
        page_of((text % ("x" * (16 << 20))).encode(), 3)


def test_a_page_tells_which_recordings_are_plain_and_its_latest_start() -> None:
    recordings = [
        {"interactionId": 1, "startDatetimeUTC": "2025-01-02", "type": "teams"},
        {"interactionId": 2, "startDatetimeUTC": "2025-01-03", "new": 1},
        {"interactionId": 3, "startDatetimeUTC": 5},
        {"interactionId": 4, "startDatetimeUTC": None, "type": None, "any": {"a": [1]}},
    ]
    types = {"interactionId": "integer", "startDatetimeUTC": "string", "type": "string"}
    page = page_of(body(*recordings), 1, **types, any=None)
    assert page.plain == [True, False, False, True]
    assert page.latest == "2025-01-03"
    pretty = json.dumps({"recordings": recordings, "nextCursorId": "n"}, indent=1).encode()
    assert page_of(pretty, 1, **types).plain == [False] * 4
    assert list(page_of(pretty, 1, **types).recordings()) == recordings


@pytest.mark.parametrize("kind", ["string", "integer", "number", "boolean", "array", "object"])
def test_a_plain_recording_has_values_of_the_known_types_or_null(kind: str) -> None:
    values: dict[str, list[str]] = {
        "string": ['"text"'],
        "integer": ["7", "123456789012345678901234"],
        "number": ["7", "1.50", "-0.0", "1e3"],
        "boolean": ["true"],
        "array": ["[]", '[1, "x", {"a": []}]'],
        "object": ["{}", '{"a": {"b": 1}}'],
    }
    good = {*values[kind], "null"} | (set(values["integer"]) if kind == "number" else set())
    for value in {"null"}.union(*values.values()):
        plain = page_of(page_with(value), 1, a=kind).plain
        assert plain == [value in good], value


def test_values_are_kept_digit_by_digit() -> None:
    text = (
        '{"recordings": [{"interactionId": 12345678901234567890123, "a": 0.10, '
        '"b": 123456789012345678.123456789, "c": -0.0, "d": 1E400, "e": "\\u0000\\ud83d\\ude00"}],'
        ' "nextCursorId": "n", "more": 1}'
    )
    (recording,) = page_of(text.encode(), 1).recordings()
    assert recording == {
        "interactionId": 12345678901234567890123,
        "a": Decimal("0.10"),
        "b": Decimal("123456789012345678.123456789"),
        "c": Decimal("-0.0"),
        "d": Decimal("1E400"),
        "e": "\u0000😀",
    }
    assert math.copysign(1, recording["c"]) == -1


def test_half_a_surrogate_pair_in_a_page_too_large_for_it_says_what_helps() -> None:
    large = {"interactionId": 1, "type": "x" * (16 << 20)}
    assert len(decode(body(large, {"a": "😀"}), 1).raws) == 2
    with pytest.raises(TooLargeError, match="smaller page_size"):
        decode(body(large, {"a": "\ud83d"}), 1)


@pytest.mark.parametrize("number", ["1E400", "-1e-999"])
def test_a_number_in_place_of_a_date_is_no_reason_to_stop(number: str) -> None:
    page = body({"interactionId": 1, "startDatetimeUTC": 5}).replace(b"5", number.encode())
    assert page_of(page, 1).recording(0)["startDatetimeUTC"] == Decimal(number)


def test_half_a_surrogate_pair_is_kept() -> None:
    text = (
        '{"recordings": [{"interactionId": 1, "a": "x\\ud83dy", "b": 0.10}], "nextCursorId": "n"}'
    )
    (recording,) = page_of(text.encode(), 1).recordings()
    assert recording == {"interactionId": 1, "a": "x\ud83dy", "b": Decimal("0.10")}
