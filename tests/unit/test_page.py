from __future__ import annotations

import codecs
import json
import math
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from traceback import format_exception
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_focus.api import page as page_module
from tap_focus.api.page import decode_json, decode_page
from tap_focus.api.record_model import MAX_CURSOR_LENGTH, RecordModel
from tap_focus.errors import InvalidRecordingError, InvalidResponseError, TapFocusError

SECRET = "Jane Smith"
TYPES: dict[str, Any] = {
    "interactionId": int,
    "startDatetimeUTC": datetime | None,
    "type": str | None,
    "any-value": Any,
}
COMPLETE = {
    "interactionId": 1,
    "startDatetimeUTC": "2025-01-02T00:00:00Z",
    "type": "teams",
    "any-value": {"a": [1]},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def body(*recordings: Any, cursor: Any = "next") -> bytes:
    return json.dumps({"recordings": recordings, "nextCursorId": cursor}).encode()


def body_with(value: str, field: str = "a") -> bytes:
    """Return a page whose only recording has one field with a value, as JSON text."""
    text = f'{{"recordings": [{{"interactionId": 1, "{field}": {value}}}], "nextCursorId": "n"}}'
    return text.encode()


def one(number: int) -> dict[str, Any]:
    return {"interactionId": number}


def model() -> RecordModel:
    return RecordModel(TYPES)


def all_text(error: BaseException) -> str:
    return "".join(format_exception(error))


@pytest.mark.guarantee("reject-invalid-page")
@pytest.mark.parametrize("with_model", [False, True])
@pytest.mark.parametrize(
    "response",
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
        body(one(1)) + b" Jane Smith",
        b'{"recordings": [{"interactionId": 1, "a": NaN}], "nextCursorId": "a"}',
        b'{"recordings": [{"interactionId": 1, "a": "\\ud800", "b": NaN}], "nextCursorId": "a"}',
        b'{"recordings": [{"interactionId": 1, "a": "Jane\nSmith"}], "nextCursorId": "a"}',
        b'{"recordings": [{"interactionId": 1, "a": "Jane\rSmith"}], "nextCursorId": "a"}',
        b'{"recordings": [{"interactionId": 1, "a": "Jane\tSmith"}], "nextCursorId": "a"}',
        b'{"recordings": [], "nextCursorId": "Jane\nSmith"}',
        b'{"recordings": [], "nextCursorId": "Jane \xff"}',
        b'{"recordings": [{"a": ' + b"[" * 100_000,
        b'{"recordings": [{"a": "\\ud800' + b"[" * 100_000,
        b'{"recordings": [], "nextCursorId": "half \\ud83d"}',
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else None,
)
def test_a_response_that_is_no_page_is_rejected_without_showing_it(
    *, response: bytes, with_model: bool
) -> None:
    with pytest.raises(InvalidResponseError, match="page 7 of this run") as caught:
        decode_page(response, 7, model() if with_model else None)

    assert SECRET not in all_text(caught.value)


@pytest.mark.guarantee("reject-invalid-page")
@given(
    st.binary()
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries(
        {
            "recordings": JSON | st.lists(st.dictionaries(st.text(), JSON)),
            "nextCursorId": JSON | st.text(),
        }
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_response_is_a_valid_page_or_an_error_of_the_hierarchy(response: bytes) -> None:
    with suppress(TapFocusError):
        page = decode_page(response, 1, model())

        assert page.cursor
        assert all(type(record["interactionId"]) is int for record in page.records())


@pytest.mark.parametrize("with_model", [False, True])
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
        {"interactionId": 2**63},
        {"interactionId": -(2**63) - 1},
        {"InteractionId": 1},
    ],
    ids=repr,
)
def test_a_recording_without_an_id_is_named_by_its_position(
    *, recording: Any, with_model: bool
) -> None:
    with pytest.raises(InvalidRecordingError, match="Recording 2 of page 3") as caught:
        decode_page(body(one(1), recording), 3, model() if with_model else None)

    assert SECRET not in all_text(caught.value)


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 0])
def test_an_id_may_be_any_64_bit_integer(number: int) -> None:
    (record,) = decode_page(body(one(number)), 1).records()

    assert record["interactionId"] == number


@pytest.mark.parametrize("length", [1, MAX_CURSOR_LENGTH])
def test_a_cursor_of_ordinary_length_is_accepted(length: int) -> None:
    assert decode_page(body(cursor="é" * length), 1).cursor == "é" * length


def test_a_cursor_that_is_too_long_is_rejected() -> None:
    response = body(cursor=SECRET * MAX_CURSOR_LENGTH)
    with pytest.raises(InvalidResponseError, match="page 2 of this run") as caught:
        decode_page(response, 2)

    assert SECRET not in all_text(caught.value)


def test_the_cursor_may_come_before_the_recordings() -> None:
    response = b'{"more": {"recordings": 5}, "nextCursorId": "n", "recordings": [%s], "last": []}'
    page = decode_page(response % json.dumps(COMPLETE).encode(), 1, model())

    assert (page.cursor, page.size, page.is_complete) == ("n", 1, True)
    assert list(page.records()) == [COMPLETE]


def test_a_byte_order_mark_is_not_part_of_a_page() -> None:
    page = decode_page(codecs.BOM_UTF8 + body(COMPLETE), 1, model())

    assert page.is_complete
    assert list(page.records()) == [COMPLETE]


@pytest.mark.parametrize("value", ["[" * 2000 + "]" * 2000, "[" * 1_000_000 + "]" * 1_000_000])
def test_nesting_is_rejected_or_decoded(value: str) -> None:
    """How deep is too deep differs between versions of Python."""
    try:
        (record,) = decode_page(body_with(value), 3).records()
    except (InvalidResponseError, RecursionError) as error:
        assert not isinstance(error, InvalidResponseError) or "page 3" in str(error)  # noqa: PT017
    else:
        assert isinstance(record["a"][0], list)


@pytest.mark.guarantee("reject-invalid-page")
@pytest.mark.parametrize("value", ['"Jane \xff"', '["Jane \xff"]', '[{"Jane \xff": 1}]'])
@pytest.mark.parametrize("field", ["type", "any-value", "new"])
def test_a_recording_that_is_not_utf_8_is_rejected_without_showing_it(
    value: str, field: str
) -> None:
    response = body_with(value, field).decode().encode("latin-1")
    with pytest.raises(InvalidResponseError) as caught:
        _ = decode_page(response, 3, model()).texts

    assert "age 3 of this run" in str(caught.value)
    assert "Jane" not in all_text(caught.value)


@pytest.mark.parametrize(
    ("value", "matches"),
    [
        ("[]", True),
        ("null", True),
        ('[1,{"a":["\u00e9"]}]', True),
        ('["[x", []]', False),  # unpaired brackets may be nesting
        ("5", False),
        ('"["', False),
        ("{}", False),
        ("false", False),
        ("[" * 65 + "]" * 65, False),
        (f"[{'9' * 5000}]", False),
    ],
)
def test_an_array_of_any_structure_matches_if_every_parser_can_read_it(
    *, value: str, matches: bool
) -> None:
    arrays = RecordModel({**TYPES, "a": msgspec.Raw})

    assert decode_page(body_with(value), 1, arrays).matches_model is matches


def test_bytes_that_are_not_utf_8_in_nested_arrays_are_found() -> None:
    response = body_with('["Jane \xff"]').decode().encode("latin-1")
    page = decode_page(response, 3, RecordModel({**TYPES, "a": msgspec.Raw}))

    assert not page.matches_model
    with pytest.raises(InvalidResponseError, match="Page 3 of this run is not UTF-8"):
        list(page.records())


def test_a_recording_that_is_too_large_is_named_by_its_position(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page_module, "MAX_RECORDING_BYTES", 1 << 20)
    frame = len('{"interactionId": 1, "a": ""}')
    largest = body_with('"%s"' % ("x" * ((1 << 20) - frame)))
    larger = body_with('"%s"' % ("x" * ((1 << 20) - frame + 1)))

    assert len(decode_page(largest, 3).texts[0]) == 1 << 20
    with pytest.raises(InvalidRecordingError, match=r"Recording 1 of page 3 .* 1 MiB"):
        list(decode_page(larger, 3).records())


@pytest.mark.parametrize("indent", [None, 0, 1])
def test_the_layout_of_the_json_does_not_matter(indent: int | None) -> None:
    response = json.dumps({"nextCursorId": "n", "recordings": [COMPLETE, COMPLETE]}, indent=indent)
    page = decode_page(f"\r\n\t {response} \n".encode(), 1, model())

    assert (page.cursor, page.size, page.is_complete) == ("n", 2, True)
    assert list(page.records()) == [COMPLETE, COMPLETE]


def test_a_page_keeps_the_text_of_each_recording() -> None:
    texts = [b'{"interactionId":1 , "a": 0.10}', b'{ "b": "\\u0041", "interactionId": 2}']
    page = decode_page(b'{"recordings":[ %b, %b ],"nextCursorId":"n"}' % (*texts,), 1)

    assert page.texts == texts


def test_a_page_without_a_model_matches_none() -> None:
    page = decode_page(body(COMPLETE), 1)

    assert not page.matches_model
    assert not page.is_complete


@pytest.mark.parametrize(
    ("recordings", "matches", "is_complete"),
    [
        ([], True, True),
        ([COMPLETE], True, True),
        ([dict(reversed(COMPLETE.items()))], True, True),
        ([{**COMPLETE, "type": None, "startDatetimeUTC": None, "any-value": None}], True, True),
        ([COMPLETE, one(2)], True, False),
        ([one(2), COMPLETE], True, False),
        ([{**COMPLETE, "type": 5}], False, False),
        ([COMPLETE, {**COMPLETE, "new": 1}], False, False),
        ([{**one(1), "new": None}], False, False),
        ([{**COMPLETE, "startDatetimeUTC": ""}], False, False),
        ([{**COMPLETE, "startDatetimeUTC": "9999-12-31T23:59:59.9999999Z"}], True, True),
    ],
    ids=repr,
)
def test_a_page_states_how_it_matches_the_model(
    *, recordings: list[dict[str, Any]], matches: bool, is_complete: bool
) -> None:
    page = decode_page(body(*recordings), 1, model())

    assert (page.matches_model, page.is_complete) == (matches, is_complete)
    assert page.size == len(recordings)
    assert list(page.records()) == recordings


def test_fields_that_are_added_to_a_model_may_be_missing() -> None:
    extended = model()
    extended.add({"new": int | None})
    extended.add({"newer": str})
    pages = [
        decode_page(body(recording), 1, extended)
        for recording in (
            COMPLETE,
            {**COMPLETE, "new": 1},
            {**one(1), "newer": "x", "new": None},
            {**COMPLETE, "new": "text"},
            {**COMPLETE, "newest": 1},
        )
    ]

    assert [page.matches_model for page in pages] == [True, True, True, False, False]
    assert [page.is_complete for page in pages] == [True, False, False, False, False]


@pytest.mark.parametrize("names", [["f0", "f1"], ["class", "a b", "é", ""], ["__init__", "a.b"]])
def test_the_fields_of_a_model_may_have_any_name(names: list[str]) -> None:
    types: dict[str, Any] = {**TYPES, **dict.fromkeys(names, int)}
    recording = {**COMPLETE, **dict.fromkeys(names, 2)}

    assert decode_page(body(recording), 1, RecordModel(types)).is_complete
    assert not decode_page(body({**recording, names[0]: "x"}), 1, RecordModel(types)).matches_model


@pytest.mark.parametrize("with_model", [False, True])
@pytest.mark.parametrize(
    ("starts", "latest"),
    [
        ([], None),
        (["2025-01-02T00:00:00Z", "2025-01-03T00:00:00Z", None], "2025-01-03T00:00:00+00:00"),
        (["2025-01-02T10:00:00+02:00"], "2025-01-02T08:00:00+00:00"),
        (["2025-01-02T10:00:00"], "2025-01-02T10:00:00+00:00"),
        (["", "Indefinite"], None),
        ([5, [], {}], None),
    ],
)
def test_a_page_knows_the_latest_start_or_none(
    *, starts: list[Any], latest: str | None, with_model: bool
) -> None:
    recordings = [{"interactionId": 1, "startDatetimeUTC": start} for start in starts]
    found = decode_page(body(*recordings), 1, model() if with_model else None).latest_start

    assert found == (datetime.fromisoformat(latest) if latest else None)
    assert found is None or found.tzinfo is not None


def test_starts_with_and_without_a_zone_do_not_end_the_run() -> None:
    starts = ["2025-01-02T10:00:00", "2025-01-02T10:00:00Z"]
    recordings = [{"interactionId": 1, "startDatetimeUTC": start} for start in starts]
    found = decode_page(body(*recordings), 1, model()).latest_start

    assert found is None or found == datetime(2025, 1, 2, 10, tzinfo=timezone(timedelta(0)))


@pytest.mark.guarantee("keep-unknown-fields")
@pytest.mark.parametrize("field", ["startDatetimeUTC", "type", "any-value", "new"])
@pytest.mark.parametrize(
    "value",
    ["1E400", "-1e-999", "9" * 5000, '"\\ud83d"', '["\\ude00x"]', "[" * 100 + "]" * 100],
    ids=lambda value: value[:9],
)
def test_a_value_that_msgspec_cannot_decode_is_no_reason_to_reject_its_page(
    field: str, value: str
) -> None:
    page = decode_page(body_with(value, field), 1, model())

    assert page.size == 1
    assert value.encode() in bytes(page.texts[0])


@pytest.mark.guarantee("preserve-values")
def test_values_are_decoded_with_all_their_digits() -> None:
    value = (
        '[0.10, 123456789012345678.123456789, -0.0, 1E400, 12345678901234567890123, "\\u0000\\ud83d'
        '\\ude00"]'
    )
    (record,) = decode_page(body_with(value), 1).records()

    assert record["a"] == [
        Decimal("0.10"),
        Decimal("123456789012345678.123456789"),
        Decimal("-0.0"),
        Decimal("1E400"),
        12345678901234567890123,
        "\u0000😀",
    ]
    assert math.copysign(1, record["a"][2]) == -1


@pytest.mark.guarantee("preserve-values")
@pytest.mark.parametrize("field", ["type", "any-value", "new"])
def test_an_unpaired_surrogate_is_kept(field: str) -> None:
    response = body_with('"x\\ud83dy", "b": 0.10', field)
    (record,) = decode_page(response, 1, model()).records()

    assert record == {"interactionId": 1, field: "x\ud83dy", "b": Decimal("0.10")}


def test_an_unpaired_surrogate_does_not_change_the_other_recordings() -> None:
    texts = [
        b'{"interactionId": 1, "a": "\\ud83d\\ude00 \\\\ud83d", "b": 1.50}',
        b'{"interactionId": 2, "a": "\\ud83d"}',
        b'{"interactionId": 3, "a": "\\\\\\ud83d", "\\ude00": [1E5]}',
    ]
    page = decode_page(b'{"recordings":[%b],"nextCursorId":"n"}' % b", ".join(texts), 1)

    assert page.texts == texts
    assert [*page.records()] == [json.loads(text, parse_float=Decimal) for text in texts]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'"\\ud83d"', "\ud83d"),
        (b'["\\ude00\\ud83d", 0.10]', ["\ude00\ud83d", Decimal("0.10")]),
        (b"1" * 40, int("1" * 40)),
        (b"-0", 0),
        (b"1e-999", Decimal("1e-999")),
        (b" [ ] ", []),
    ],
)
def test_json_is_decoded_without_loss(text: bytes, value: Any) -> None:
    assert decode_json(text) == value
