"""The raw path and the records for the SDK's path are the same, for any page.

`tests/contract/test_raw_records.py` compares whole messages, as the SDK writes them.
"""

from __future__ import annotations

import copy
import functools
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tap_focus.api.page import decode_page
from tap_focus.api.text import MAX_DEPTH, depth
from tap_focus.streams import columns
from tap_focus.streams.columns import TAP_FIELDS
from tap_focus.streams.raw_records import encode_page
from tap_focus.streams.writer import encode_json
from tap_focus.tap import TapFocus

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_focus.streams.record_parser import RecordParser

ACCOUNT = {"region": "uk", "api_key": "k", "username": "u", "client_id": 1}

USUAL = {
    "interactionId": "1",
    "startDatetimeUTC": '"2025-05-01T09:01:10.956Z"',
    "endDatetimeUTC": '"2025-05-01T09:03:20Z"',
    "durationInSeconds": "129.50",
    "type": '"teams"',
    "commentsCount": "0",
    "transcriptSnippet": '"na\\u00efve \U0001f600"',
    "thirdPartyId": '"call|1"',
    "endpoints": '[{"person":{"id":1,"fullName":"Ann"},"endpoint":{"id":2},"isOriginator":true}]',
    "analysis": '["x",null]',
    "retentionGroupId": "5",
    "retainUntil": '"9999-12-31T23:59:59.9999999Z"',
    "legalHolds": '[{"id":1}]',
    "tags": "[]",
    "isPrivate": "false",
    "isPrivateReason": "null",
    "mediaAccessStatus": '"Permitted"',
    "dataGroups": '{"a":{"b":[1]}}',
    "optional": '{"a":1}',
}
"""A recording of the usual form: the JSON text of each field, in the schema's order."""

FIELDS = [*USUAL]
KEY = "interactionId"

DATE_TIMES = (
    "",
    "Indefinite",
    "/Date(1714554070956)/",
    "2025-05-01",
    "2025-05-01T23:59:60Z",
    "9999-12-31T23:59:59.9999999Z",
    "9999-12-31T23:59:59.99999999Z",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+02:00",
    "2025-05-01T09:00:00+02:00",
    "2025-05-01 09:00:00",
)
NUMBERS = (
    "0",
    "-0.0",
    "1.0",
    "1.50",
    "1E5",
    "0.1e-7",
    "1e400",
    "-1e-999",
    str(2**63 - 1),
    str(2**63),
    str(-(2**63) - 1),
    str(2**64),
    "1" * 310,
    "1" * 4300,
    "9" * 5000,
)
STRINGS = (
    '"\\ud83d"',
    '"x\\ude00y"',
    '"\\ud83d\\ude00"',
    '"\\\\ud83d"',
    '"\\u0000"',
    '"\\u005b"',
    '"]"',
    '"{"',
    '"\u2028"',
    '":59.9999999"',
)
DEEP = (
    "[" * 60 + "]" * 60,
    "[" * MAX_DEPTH + "]" * MAX_DEPTH,
    "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
    '{"a":' * 200 + "1" + "}" * 200,
)
NAMES = (
    "new",
    "Type",
    "f0",
    "f1",
    "",
    "a b",
    "é",
    'a\\"b',
    "\\\\",
    "\\n",
    "\\u0000",
    "\\ud83d",
    "\\u006eew",
    "x" * 300,
    "class",
    "__init__",
    "record",
    *TAP_FIELDS,
)
"""Names of unknown fields, as they are written in JSON."""

SPACES = ("", "", " ", "\n", "\r\n\t ")

LEAVES = (
    st.sampled_from(["null", "true", "false", *NUMBERS, *STRINGS, *map(json.dumps, DATE_TIMES)])
    | st.integers().map(str)
    | st.floats(allow_nan=False, allow_infinity=False).map(json.dumps)
    | st.builds(json.dumps, st.text(max_size=5), ensure_ascii=st.booleans())
)


def join(items: list[str], space: str) -> str:
    return f",{space}".join(items)


def object_text(fields: dict[str, str], space: str = "") -> str:
    members = [f'"{name}"{space}:{space}{value}' for name, value in fields.items()]
    return f"{{{space}{join(members, space)}{space}}}"


def arrays(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    lists = st.lists(items, max_size=3)
    return st.builds(lambda items, space: f"[{join(items, space)}]", lists, st.sampled_from(SPACES))


def objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    names = st.sampled_from([*NAMES, "person", "fullName", "id", "endpoint"])
    fields = st.dictionaries(names, values, max_size=3)
    return st.builds(object_text, fields, st.sampled_from(SPACES))


VALUES = st.recursive(LEAVES, lambda inner: arrays(inner) | objects(inner), max_leaves=6)
VALUES |= st.sampled_from([*DEEP, *USUAL.values()])
IDS = st.sampled_from(["1", "-5", str(2**63 - 1), str(-(2**63))])


class PageText(NamedTuple):
    """A page as JSON text.

    Attributes:
        body: the response.
        recordings: the JSON text of each field, by its name as it is written.
    """

    body: bytes
    recordings: list[dict[str, str]]


@st.composite
def page_texts(draw: Callable[[Any], Any], unknown: list[str]) -> PageText:
    """Draw a page of recordings whose fields come in the same order."""
    order = draw(st.just(FIELDS) | st.permutations(FIELDS))
    is_complete = draw(st.booleans())
    space = draw(st.sampled_from(SPACES))
    recordings = []
    for _ in range(draw(st.integers(0, 3))):
        missing = () if is_complete else draw(st.sets(st.sampled_from(FIELDS), max_size=18))
        odd = draw(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=2))
        new = draw(st.dictionaries(st.sampled_from(unknown), VALUES, max_size=2)) if unknown else {}
        fields = {n: odd.get(n, USUAL[n]) for n in order if n == KEY or n not in missing}
        recordings.append({**fields, KEY: draw(IDS), **new})
    texts = [object_text(fields, space) for fields in recordings]
    body = f'{{{space}"recordings":[{join(texts, space)}],"nextCursorId":"n\\u00e9\\""{space}}}'
    return PageText(body.encode(), recordings)


UNKNOWN: st.SearchStrategy[list[str]] = st.just([]) | st.lists(
    st.sampled_from(NAMES), min_size=1, max_size=3, unique=True
)
FEEDS = UNKNOWN.flatmap(lambda names: st.lists(page_texts(names), min_size=1, max_size=3))


@functools.cache
def discovered() -> dict[str, Any]:
    """Return the entry of `recordings` in the catalog."""
    (entry,) = [
        stream
        for stream in TapFocus(config=ACCOUNT).catalog_dict["streams"]
        if stream["stream"] == "recordings"
    ]
    return dict(entry)


def make_stream(
    *, deselected: tuple[tuple[str, ...], ...] = (), config: Any = None, **properties: Any
) -> Any:
    """Return the stream with deselected properties, settings, and other schemas of columns."""
    entry = copy.deepcopy(discovered())
    entry["schema"]["properties"] |= properties
    for path in deselected:
        breadcrumb = [crumb for name in path for crumb in ("properties", name)]
        for metadata in entry["metadata"]:
            if metadata["breadcrumb"] == breadcrumb:
                metadata["metadata"]["selected"] = False
    tap = TapFocus(config={**ACCOUNT, **(config or {})}, catalog={"streams": [entry]})
    return tap.streams["recordings"]


STREAMS: dict[str, dict[str, Any]] = {
    "all columns": {},
    "added columns": {
        "new": {"type": ["integer", "null"]},
        "f1": {"type": ["string", "null"], "maxLength": 3},
    },
    "other types": {
        "commentsCount": {"type": ["string", "null"]},
        "retainUntil": {"type": ["string", "null"]},
        "legalHolds": {"type": ["array", "null"], "items": {"type": ["object", "null"]}},
        "transcriptSnippet": {"type": ["string", "null"], "maxLength": 5},
        "type": {"type": ["string", "integer", "null"]},
        "dataGroups": {},
        "tags": {"anyOf": [{"type": "array"}, {"type": "boolean"}, {"type": "null"}]},
        "startDatetimeUTC": {"type": ["string", "null"], "format": "date"},
    },
    "a name that needs escapes": {'a"b': {"type": ["integer", "null"]}},
    "without columns": {
        "deselected": (("transcriptSnippet",), ("endpoints",), ("startDatetimeUTC",))
    },
    "without additionalFields": {"deselected": (("additionalFields",),)},
    "without the cursor": {"deselected": (("nextCursorId",),)},
    "without nested properties": {
        "deselected": (("endpoints", "person", "fullName"), ("endpoints", "user"))
    },
    "masked columns": {
        "config": {"stream_maps": {"recordings": {"transcriptSnippet": None, "type": "md5(type)"}}}
    },
}
"""Arguments of `make_stream`."""

TEXT = ", JSON text"
STREAMS |= {
    name + TEXT: {**options, "config": {**options.get("config", {}), "json_text": True}}
    for name, options in STREAMS.items()
}
KEEPS_EVERYTHING = ("all columns", "added columns", "other types", "a name that needs escapes")
HIDES = ("without columns", "without nested properties", "masked columns")
stream_of = functools.cache(lambda name: make_stream(**STREAMS[name]))


def new_parser(stream: Any) -> RecordParser:
    """Return a parser that knows no field of earlier pages, in place of the stream's own."""
    stream.__dict__.pop("_parser", None)
    parser: RecordParser = stream._parser
    return parser


def loads(text: bytes | str) -> Any:
    return json.loads(text, parse_float=Decimal)


def raw_lines(stream: Any, pages: list[PageText]) -> list[list[bytes]]:
    """Return the lines of each page by the raw path."""
    parser = new_parser(stream)
    lines = []
    for number, page in enumerate(pages, start=1):
        decoded = decode_page(page.body, number, parser.model)
        text = b"".join(encode_page(stream.name, decoded, parser))
        lines.append(text.splitlines(keepends=True))
        parser.new_fields.clear()
    return lines


def sdk_records(stream: Any, pages: list[PageText]) -> list[list[dict[str, Any]]]:
    """Return the records of each page as the stream yields them to the SDK."""
    new_parser(stream)
    return [
        [loads(encode_json(record)) for record in stream.page_records(decode_page(page.body, n))]
        for n, page in enumerate(pages, start=1)
    ]


def canonical(value: Any) -> Any:
    """Return a value that is equal to another only if both are the same JSON, digit by digit."""
    if isinstance(value, dict):
        return sorted((name, canonical(item)) for name, item in value.items())
    if isinstance(value, list):
        return [canonical(item) for item in value]
    if type(value) in (int, Decimal):
        return "number", str(Decimal(value))
    return type(value).__name__, repr(value)


def integer(digits: str) -> int | str:
    """Return an integer, or its digits if they are more than Python accepts."""
    try:
        return int(digits)
    except ValueError:
        return digits


def has_surrogate(value: Any) -> bool:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return any("\ud800" <= character <= "\udfff" for character in text)


def fits_msgspec(text: str) -> bool:
    try:
        msgspec.json.decode(text.encode())
    except msgspec.DecodeError:
        return False
    return True


def is_kept(text: str, name: str, record: dict[str, Any]) -> bool:
    """Return whether a record contains a value that Focus sent."""
    additional = record["additionalFields"] or {}
    sent = canonical(json.loads(text, parse_float=Decimal, parse_int=integer))
    if name not in TAP_FIELDS and canonical(record.get(name)) == sent and name not in additional:
        return True
    if name not in additional or (name not in TAP_FIELDS and record.get(name) is not None):
        return False
    value = additional[name]
    if canonical(value) == sent:
        return True
    if not isinstance(value, str) or (fits_msgspec(text) and depth(loads(text)) <= MAX_DEPTH):
        return False
    return "".join(value.split()) == "".join(text.split()) or canonical(loads(value)) == sent


PROPERTY = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.guarantee("preserve-values", "keep-unknown-fields")
@PROPERTY
@given(name=st.sampled_from([*STREAMS]), pages=FEEDS)
def test_both_paths_give_the_same_records(name: str, pages: list[PageText]) -> None:
    stream = stream_of(name)
    raw = [[loads(line)["record"] for line in lines] for lines in raw_lines(stream, pages)]
    sdk = sdk_records(stream, pages)
    for record in [record for records in [*raw, *sdk] for record in records]:
        if isinstance(record.get("additionalFields"), str):  # json_text: any order of the fields
            record["additionalFields"] = loads(record["additionalFields"])

    assert [len(records) for records in raw] == [len(page.recordings) for page in pages]
    assert canonical(raw) == canonical(sdk)


@PROPERTY
@given(name=st.sampled_from([*STREAMS]), pages=FEEDS)
def test_columns_come_in_the_schemas_order_on_both_paths(name: str, pages: list[PageText]) -> None:
    stream = stream_of(name)
    raw = [loads(line)["record"] for lines in raw_lines(stream, pages) for line in lines]
    sdk = [record for records in sdk_records(stream, pages) for record in records]
    properties = stream.effective_schema["properties"]
    selected = [column for column in properties if stream.mask["properties", column]]

    assert all([*record] == selected for record in [*raw, *sdk])


@pytest.mark.guarantee("preserve-values")
@PROPERTY
@given(name=st.sampled_from([*STREAMS]), pages=FEEDS)
def test_each_line_is_one_message_that_every_parser_reads(name: str, pages: list[PageText]) -> None:
    for line in (line for lines in raw_lines(stream_of(name), pages) for line in lines):
        message = json.loads(line)

        assert line.endswith(b"}\n")
        assert [*message] == ["type", "stream", "record", "time_extracted"]
        assert message["record"].get("nextCursorId", 'né"') == 'né"'
        # Arrays of objects are not searched for numbers that exceed a double.
        exceeds = depth(message["record"].get("endpoints")) and b"e400" in line
        assert exceeds or has_surrogate(message) or msgspec.json.decode(line)


@pytest.mark.guarantee("keep-unknown-fields", "preserve-values")
@PROPERTY
@given(name=st.sampled_from([*KEEPS_EVERYTHING]), pages=FEEDS)
def test_every_value_is_in_its_column_or_in_additional_fields(
    name: str, pages: list[PageText]
) -> None:
    for page, lines in zip(pages, raw_lines(stream_of(name), pages), strict=True):
        for recording, line in zip(page.recordings, lines, strict=True):
            record = loads(line)["record"]
            fields = {json.loads(f'"{field}"'): text for field, text in recording.items()}
            sent = {field: text for field, text in fields.items() if text != "null"}

            assert [field for field in sent if not is_kept(sent[field], field, record)] == []
            assert {*(record["additionalFields"] or {})} <= {*fields}


@pytest.mark.guarantee("preserve-values")
@PROPERTY
@given(name=st.sampled_from([name for name in STREAMS if TEXT not in name]), pages=FEEDS)
def test_json_text_is_the_text_of_the_same_values(name: str, pages: list[PageText]) -> None:
    native = [loads(line)["record"] for page in raw_lines(stream_of(name), pages) for line in page]
    text_stream = stream_of(name + TEXT)
    texts = [loads(line)["record"] for page in raw_lines(text_stream, pages) for line in page]

    assert {type(text[name]) for text in texts for name in text_stream.text_columns & {*text}} <= {
        str,
        type(None),
    }
    decoded = [
        {
            name: loads(value) if name in text_stream.text_columns and value else value
            for name, value in text.items()
        }
        for text in texts
    ]
    assert canonical(decoded) == canonical(native)
    assert all(value != "null" for text in texts for value in text.values())


@pytest.mark.parametrize(
    ("schema", "is_text"),
    [
        ({"type": ["array", "null"], "items": {"type": "string"}}, True),
        ({"type": "object"}, True),
        ({"type": ["string", "integer", "null"]}, True),
        ({"type": ["boolean", "array"]}, True),
        ({}, True),
        ({"anyOf": [{"type": "string"}, {"type": "object"}, {"type": "null"}]}, True),
        ({"oneOf": [{}, {"type": "null"}]}, True),
        ({"type": ["string", "null"]}, False),
        ({"type": "string", "format": "date-time"}, False),
        ({"type": ["integer", "number", "null"]}, False),
        ({"type": "boolean"}, False),
        (
            {"anyOf": [{"type": "string", "format": "date-time"}, {"type": ["string", "null"]}]},
            False,
        ),
    ],
)
def test_only_columns_without_one_simple_type_become_text(
    schema: dict[str, Any], *, is_text: bool
) -> None:
    native = {"properties": {"a": {**schema, "description": "A."}}}
    (column,) = columns.message_schema(native, json_text=True)["properties"].values()

    assert columns.is_json_column(schema) is is_text
    assert column == {**({"type": ["string", "null"]} if is_text else schema), "description": "A."}


@pytest.mark.parametrize("name", [*HIDES, *(name + TEXT for name in HIDES)])
def test_deselected_and_masked_values_are_nowhere(name: str) -> None:
    canary = '"canary"'
    hidden = {
        "without columns": {
            "transcriptSnippet": [canary, f"[{canary}]"],
            "endpoints": [f"[{canary}]", canary],
            "startDatetimeUTC": [canary],
        },
        "without nested properties": {
            "endpoints": [
                f'[{{"person":{{"fullName":{canary}}}}}]',
                f'{{"person":{{"fullName":[{canary}]}}}}',
                f'[[{{"user":{canary}}}]]',
                f'[{{"person":{canary}}}]',
                f"[{canary}]",
                canary,
            ]
        },
        "masked columns": {"transcriptSnippet": [f"[{canary}]"], "type": [f"[{canary}]"]},
    }
    feed = [
        PageText(page_of({**USUAL, field: value, **new}), [])
        for field, values in hidden[name.removesuffix(TEXT)].items()
        for value in values
        for new in ({}, {"new": "1"})
    ]
    stream = stream_of(name)
    lines = [line for page in raw_lines(stream, feed * 2) for line in page]

    assert len(lines) == 2 * len(feed)
    assert b"canary" not in b"".join(lines)
    assert "canary" not in repr(sdk_records(stream, feed * 2))


def page_of(*recordings: dict[str, str]) -> bytes:
    texts = join([*map(object_text, recordings)], "")
    return f'{{"recordings":[{texts}],"nextCursorId":"n"}}'.encode()


def test_a_recording_of_the_usual_form_is_written_as_it_came() -> None:
    (lines,) = raw_lines(stream_of("all columns"), [PageText(page_of(USUAL), [])])
    text = page_of(USUAL)[len(b'{"recordings":[') : -len(b'],"nextCursorId":"n"}')]

    assert text[:-1] + b',"additionalFields":null,"nextCursorId":"n"}' in lines[0]


@pytest.mark.parametrize("space", ["\n", "\r", "\r\n", "\n    "])
@pytest.mark.parametrize("new", [{}, {"new": '{"a":\n1}'}])
def test_a_page_with_line_breaks_gives_one_line_for_each_record(
    space: str, new: dict[str, str]
) -> None:
    spaced = {name: value.replace(",", f",{space}") for name, value in {**USUAL, **new}.items()}
    body = page_of(spaced, spaced).replace(b'":', f'":{space}'.encode())
    for lines in raw_lines(stream_of("all columns"), [PageText(body, [])] * 2):
        assert len(lines) == 2
        assert all(b"\r" not in line for line in lines)


def test_a_page_is_written_in_blocks_of_whole_lines() -> None:
    stream = stream_of("all columns")
    parser = new_parser(stream)
    for recording in (USUAL, {KEY: "1"}):
        page = decode_page(page_of(*[recording] * 100), 1, parser.model)
        blocks = [*encode_page("recordings", page, parser)]

        assert len(blocks) > 1
        assert all(block.endswith(b"\n") for block in blocks)
        assert b"".join(blocks).count(b"\n") == 100


def test_an_empty_page_gives_no_line() -> None:
    parser = new_parser(stream_of("all columns"))

    assert b"".join(encode_page("s", decode_page(page_of(), 1, parser.model), parser)) == b""


def test_the_schema_of_the_usual_recording_is_that_of_the_stream() -> None:
    assert [*FIELDS, *TAP_FIELDS] == [*columns.RECORDINGS["properties"]]
