from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tap_focus.api.page import decode_page
from tap_focus.streams.raw_records import encode_page
from tap_focus.streams.record_parser import (
    MAX_NEW_FIELDS,
    NewField,
    ParsedRecord,
    RecordParser,
)
from tap_focus.streams.selection import Exclusion

SCHEMA: dict[str, Any] = {
    "properties": {
        "interactionId": {"type": ["integer"]},
        "startDatetimeUTC": {"type": ["string", "null"], "format": "date-time"},
        "a": {"type": ["string", "null"]},
        "b": {"type": ["integer", "null"]},
        "additionalFields": {"type": ["object", "null"]},
        "nextCursorId": {"type": ["string", "null"]},
    }
}
COMPLETE = {"interactionId": 1, "startDatetimeUTC": "2025-01-01T00:00:00Z", "a": "x", "b": 2}


def parser_for(schema: dict[str, Any] | None = None, **options: Any) -> RecordParser:
    """Return a parser of the schema above whose column `a` may have another schema."""
    properties = {**SCHEMA["properties"], **({} if schema is None else {"a": schema})}
    selected = options.pop("selected", [*properties])
    return RecordParser({"properties": properties}, selected=selected, **options)


def parse(parser: RecordParser, value: str, name: str = "a") -> ParsedRecord:
    """Parse a recording with one field, whose value is JSON text."""
    return parser.parse(f'{{"interactionId": 1, {json.dumps(name)}: {value}}}'.encode())


def page_body(*recordings: Any) -> bytes:
    return json.dumps({"recordings": recordings, "nextCursorId": "n"}).encode()


def raw_records(parser: RecordParser, *recordings: Any) -> list[dict[str, Any]]:
    """Return the records of a page by the raw path."""
    page = decode_page(page_body(*recordings), 1, parser.model)
    lines = b"".join(encode_page("s", page, parser)).splitlines()
    return [json.loads(line, parse_float=Decimal)["record"] for line in lines]


def test_a_record_has_all_columns_in_the_schemas_order() -> None:
    record = parser_for().parse(b'{"b": 2, "a": "x", "interactionId": 1}')

    assert [(name, bytes(value)) for name, value in record.columns.items()] == [
        ("interactionId", b"1"),
        ("startDatetimeUTC", b"null"),
        ("a", b'"x"'),
        ("b", b"2"),
    ]
    assert record.additional == {}


@pytest.mark.guarantee("preserve-values")
@pytest.mark.parametrize("value", ["1.50", "1E5", "-0.0", "123456789012345678.123456789", "1"])
def test_a_value_keeps_its_digits(value: str) -> None:
    assert parse(parser_for({"type": "number"}), value).columns["a"] == msgspec.Raw(value.encode())


TYPES: dict[str, list[str]] = {
    "string": ['"text"', '""', '"\\u0000"', '"\\ud83d"'],
    "integer": ["7", "-7", str(2**63 - 1), str(-(2**63))],
    "number": ["1.50", "-0.0", "1.0", "1e3", "1e-999"],
    "boolean": ["true", "false"],
    "array": ["[]", '[1, "x", {"a": []}]', '["\\ude00"]'],
    "object": ["{}", '{"a": {"b": 1}}', '{"\\ud83d":1}'],
}
"""Values by the type of a column that admits them."""


@pytest.mark.guarantee("keep-unknown-fields")
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("nullable", [False, True])
def test_a_column_admits_values_of_its_type_and_null(*, kind: str, nullable: bool) -> None:
    parser = parser_for({"type": [kind, "null"] if nullable else kind})
    admitted = {*TYPES[kind], "null"} | ({*TYPES["integer"]} if kind == "number" else set())
    for value in {"null"}.union(*TYPES.values()):
        record = parse(parser, value)
        column, additional = record.columns["a"], record.additional.get("a", b"")
        found = (bytes(column).decode(), bytes(additional).decode())

        assert found == ((value, "") if value in admitted else ("null", value))


@pytest.mark.parametrize(
    ("schema", "admitted", "rejected"),
    [
        ({}, ["1", '"x"', "[1]", "{}", "true"], []),
        ({"type": ["null", *TYPES]}, ["1", '"x"', "[1]", "{}", "true"], []),
        ({"type": "integer"}, ["1"], [str(2**63), str(-(2**63) - 1), "1" * 400, "1.0"]),
        ({"type": "number"}, ["1e308", str(2**64)], ["1e400", "-1e309", "1" * 400]),
        ({"type": "string", "maxLength": 3}, ['"abc"', '"\\u00e9é😀"', "null"], ['"abcd"']),
        ({"type": ["string", "integer"]}, ['"x"', "1"], ["1.5", "[]"]),
        ({"type": ["array", "object"]}, ["[]", "{}"], ['"x"', "1"]),
        ({"type": "array", "items": {"type": "string"}}, ['["x", null]'], ["[1]", '"x"', "[[]]"]),
        ({"type": "array", "items": {"type": ["integer", "null"]}}, ["[1]"], ['["x"]', "[1.5]"]),
        ({"type": "array", "items": {"type": "object"}}, ["[{}]", "[1]"], ["{}"]),
        ({"anyOf": [{"type": "integer"}, {"type": "boolean"}]}, ["1", "true", "null"], ['"x"']),
        ({"oneOf": [{"type": "string", "maxLength": 1}]}, ['"x"'], ['"xy"', "1"]),
        ({"type": "string", "format": "date"}, ['"2025-01-31"'], ['"2025-02-31"', '"soon"', "1"]),
        ({"type": "string", "format": "time"}, ['"09:00:00"'], ['"25:00:00"']),
        ({"type": "string", "format": "uri"}, ['"x"'], ["1"]),
    ],
    ids=repr,
)
def test_a_column_admits_what_its_schema_does(
    schema: dict[str, Any], admitted: list[str], rejected: list[str]
) -> None:
    parser = parser_for(schema)

    assert [bytes(parse(parser, value).columns["a"]) for value in admitted] == [
        value.encode() for value in admitted
    ]
    assert [bytes(parse(parser, value).columns["a"]) for value in rejected] == [b"null"] * len(
        rejected
    )
    assert all("a" in parse(parser, value).additional for value in rejected)


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string"}]},
        {"anyOf": [{"type": "array", "items": {"type": t}} for t in ("string", "integer")]},
        {"type": "array", "items": True},
        {"enum": ["x"]},
        {"$ref": "#/definitions/a"},
    ],
    ids=repr,
)
def test_a_schema_that_cannot_be_checked_admits_its_values(schema: dict[str, Any]) -> None:
    value = '["x"]' if "array" in repr(schema) else '"x"'

    assert bytes(parse(parser_for(schema), value).columns["a"]) == value.encode()


@pytest.mark.parametrize(
    ("text", "is_admitted"),
    [
        ("2025-05-01T09:01:10.956Z", True),
        ("2025-05-01T09:01:10.9560000Z", True),
        ("2025-05-01T09:00:00+02:00", True),
        ("2025-05-01T09:00:00", True),
        ("2025-05-01 09:00:00", True),
        ("0001-01-01T00:00:00Z", True),
        ("9999-12-31T23:59:59.9999999Z", True),
        ("", False),
        ("Indefinite", False),
        ("/Date(1714554070956)/", False),
        ("2025-05-01", False),
        ("2025-02-30T00:00:00Z", False),
        ("2025-05-01T23:59:60Z", False),
        ("10000-01-01T00:00:00Z", False),
        ("0000-00-00T00:00:00Z", False),
        ("\ud83d", False),
    ],
)
def test_a_date_time_is_admitted_if_a_target_can_store_it(*, text: str, is_admitted: bool) -> None:
    value = json.dumps(text)
    record = parse(parser_for(), value, "startDatetimeUTC")
    kept = record.columns if is_admitted else record.additional

    assert kept["startDatetimeUTC"] == msgspec.Raw(value.encode())
    assert bool(record.additional) is not is_admitted


@pytest.mark.guarantee("keep-unknown-fields")
@pytest.mark.parametrize("name", ["new", "Interactionid", "", "é", 'a"b', "\\", "\n", "f0", "A"])
def test_an_unknown_field_is_kept_under_its_name(name: str) -> None:
    parser = parser_for()
    record = parse(parser, "[1.50]", name)

    assert record.additional == {name: msgspec.Raw(b"[1.50]")}
    assert parser.new_fields == {name: NewField.UNKNOWN}


@pytest.mark.parametrize("name", ["additionalFields", "nextCursorId"])
def test_a_field_with_the_name_of_a_column_of_the_tap_is_an_unknown_field(name: str) -> None:
    parser = parser_for()

    assert parse(parser, "5", name).additional == {name: msgspec.Raw(b"5")}
    for _ in range(2):
        (record,) = raw_records(parser, {**COMPLETE, name: 5})
        parser.new_fields.clear()

        assert record["additionalFields"] == {name: 5}
        assert record["nextCursorId"] == "n"


@pytest.mark.guarantee("keep-unknown-fields")
@pytest.mark.parametrize("name", ["a", "new"])
@pytest.mark.parametrize(
    "value",
    ["1e400", "[1e400]", "9" * 5000, "[" * 65 + "]" * 65, '{"a":' * 300 + "1" + "}" * 300],
    ids=lambda value: value[:9],
)
def test_a_value_that_parsers_cannot_read_is_kept_as_text(name: str, value: str) -> None:
    record = parse(parser_for({}), value, name)

    assert bytes(record.columns["a"]) == b"null"
    assert msgspec.json.decode(record.additional[name]) == value


def test_a_value_nested_as_deep_as_allowed_is_kept_as_it_is() -> None:
    value = "[" * 64 + "]" * 64
    record = parse(parser_for({}), value)

    assert bytes(record.columns["a"]).decode() == value


def test_brackets_in_text_are_not_nesting() -> None:
    value = json.dumps("[" * 500)
    record = parse(parser_for(), value)

    assert bytes(record.columns["a"]).decode() == value


def test_the_last_of_several_fields_of_the_same_name_counts() -> None:
    record = parser_for().parse(b'{"interactionId": 1, "a": 5, "a": "x", "new": 1, "new": 2}')

    assert record.columns["a"] == msgspec.Raw(b'"x"')
    assert record.additional == {"new": msgspec.Raw(b"2")}


def test_a_field_that_occurs_twice_beside_an_unpaired_surrogate_is_no_reason_to_stop() -> None:
    record = parser_for().parse(b'{"interactionId": 1, "n": 1, "a": "\\ud83d", "\\u006e": 2}')

    assert record.columns["a"] == msgspec.Raw(b'"\\ud83d"')
    assert record.additional == {"n": msgspec.Raw(b"2")}


@pytest.mark.parametrize("value", ["[1e400]", "[[-1e999]]", '[{"a": 1e400}]'])
def test_a_number_within_an_array_of_objects_takes_the_same_place_on_both_paths(
    value: str,
) -> None:
    schema = {"type": ["array", "null"], "items": {"type": "object"}}
    body = f'{{"recordings":[{{"interactionId":1,"a":{value}}}],"nextCursorId":"n"}}'.encode()
    parser = parser_for(schema)
    lines = b"".join(encode_page("s", decode_page(body, 1, parser.model), parser))
    record = parser_for(schema).parse(decode_page(body, 1).texts[0])
    column, additional = record.columns["a"], record.additional.get("a")

    assert b'"a":%b,' % bytes(column) in lines
    assert (b'"additionalFields":null' in lines) is (additional is None)


def test_a_text_is_not_shortened_before_its_length_is_checked() -> None:
    record = parse(parser_for({"type": "string", "maxLength": 11}), '":59.9999999x"')

    assert bytes(record.columns["a"]) == b"null"


def test_an_unpaired_surrogate_in_a_name_changes_no_value() -> None:
    record = parser_for().parse(b'{"interactionId": 1, "\\ud83d": [1.50, "\\ude00"], "a": "x"}')

    assert json.loads(bytes(record.additional["\ud83d"]), parse_float=Decimal) == [
        Decimal("1.50"),
        "\ude00",
    ]
    assert record.columns["a"] == msgspec.Raw(b'"x"')


@pytest.mark.parametrize(
    ("value", "options", "reason"),
    [
        ("5", {}, NewField.TYPE),
        ("5", {"mapped": ["a"]}, NewField.HIDDEN),
        ("5", {"selected": ["interactionId", "additionalFields"]}, NewField.HIDDEN),
        ("5", {"exclusions": {"a": Exclusion(x=None)}}, NewField.HIDDEN),
        ('"x"', {}, None),
        ('"x"', {"mapped": ["a"]}, None),
        ("null", {}, None),
    ],
)
def test_a_value_that_its_column_does_not_admit_is_reported_once(
    value: str, options: dict[str, Any], reason: NewField | None
) -> None:
    parser = parser_for(**options)
    parse(parser, value)
    found = dict(parser.new_fields)
    parser.new_fields.clear()
    parse(parser, value)

    assert found == ({} if reason is None else {"a": reason})
    assert parser.new_fields == {}


@pytest.mark.parametrize(
    "options",
    [
        {"mapped": ["a"]},
        {"selected": ["interactionId", "additionalFields"]},
        {"exclusions": {"a": Exclusion(x=None)}},
    ],
)
def test_a_hidden_value_of_another_type_is_not_moved_to_additional_fields(
    options: dict[str, Any],
) -> None:
    parser = parser_for(**options)
    record = parse(parser, '["canary"]')

    assert "canary" not in repr(record)
    assert "canary" not in repr(raw_records(parser, {**COMPLETE, "a": ["canary"]}))


def test_a_flood_of_new_fields_is_reported_in_part_and_kept_in_whole() -> None:
    parser = parser_for()
    fields = {f"new{number}": number for number in range(MAX_NEW_FIELDS + 50)}
    (record,) = raw_records(parser, {**COMPLETE, **fields})

    assert len(parser.new_fields) == MAX_NEW_FIELDS
    assert record["additionalFields"] == fields


def test_only_selected_columns_are_written() -> None:
    parser = parser_for(selected=["b", "interactionId"])
    (record,) = raw_records(parser, {**COMPLETE, "new": 1})

    assert [*record.items()] == [("interactionId", 1), ("b", 2)]


@pytest.mark.guarantee("keep-unknown-fields")
@pytest.mark.parametrize("value", [1, None, "x", 1.5, [1], {"a": {"b": [1]}}, True])
def test_a_page_with_a_known_extra_field_matches_the_model(value: Any) -> None:
    parser = parser_for()
    first = decode_page(page_body({**COMPLETE, "new": value}), 1, parser.model)
    b"".join(encode_page("s", first, parser))
    second = decode_page(page_body({**COMPLETE, "new": value}, COMPLETE), 2, parser.model)

    assert not first.matches_model
    assert second.matches_model
    parser.new_fields.clear()
    records = raw_records(parser, {**COMPLETE, "new": value}, COMPLETE)
    assert [record["additionalFields"] for record in records] == [{"new": value}, None]


@pytest.mark.guarantee("keep-unknown-fields")
@pytest.mark.parametrize("name", ['a"b', "\\", "\n", "\x7f", "\ud83d", "", "f0", "é", "\u2028"])
def test_an_extra_field_may_have_any_name_on_each_page(name: str) -> None:
    parser = parser_for()
    recording = {**COMPLETE, name: 1}
    for _ in range(3):
        record = raw_records(parser, recording, COMPLETE)[0]
        parser.new_fields.clear()

        assert record["additionalFields"] == {name: 1}


def test_extra_fields_of_later_pages_are_added_to_those_of_earlier_ones() -> None:
    parser = parser_for()
    for extra in ({"x": 1}, {"y": 2}, {"x": 1, "y": 2}, {"z": 3, "x": 1}, {}):
        (record,) = raw_records(parser, {**COMPLETE, **extra})
        parser.new_fields.clear()

        assert record["additionalFields"] == (extra or None)


@pytest.mark.parametrize("missing", ["interactionId", "startDatetimeUTC"])
def test_a_field_that_the_catalogs_schema_lacks_is_an_unknown_field(missing: str) -> None:
    properties = {name: s for name, s in SCHEMA["properties"].items() if name != missing}
    parser = RecordParser({"properties": properties}, selected=[*properties])
    for _ in range(2):
        (record,) = raw_records(parser, COMPLETE)
        parser.new_fields.clear()

        assert record["additionalFields"] == {missing: COMPLETE[missing]}


@pytest.mark.parametrize(
    ("body", "options", "keeps_text"),
    [
        (page_body(COMPLETE, COMPLETE), {}, True),
        (page_body(COMPLETE, {**COMPLETE, "a": None}), {}, True),
        (page_body(), {}, False),
        (page_body(dict(reversed(COMPLETE.items()))), {}, False),
        (page_body(COMPLETE, {"interactionId": 2}), {}, False),
        (page_body({**COMPLETE, "new": 1}), {}, False),
        (page_body({**COMPLETE, "a": 5}), {}, False),
        (page_body({**COMPLETE, "a": "9" * 5000}), {}, True),
        (page_body({**COMPLETE, "a": "[" * 100}), {}, True),
        (page_body(COMPLETE), {"mapped": ["a"]}, False),
        (page_body(COMPLETE), {"exclusions": {"a": Exclusion(x=None)}}, False),
        (page_body(COMPLETE), {"selected": [*COMPLETE]}, False),
        (page_body(COMPLETE), {"selected": [*SCHEMA["properties"]][1:]}, False),
    ],
)
def test_the_text_of_a_page_is_kept_only_if_it_is_the_record(
    body: bytes, options: dict[str, Any], *, keeps_text: bool
) -> None:
    parser = parser_for(**options)
    page = decode_page(body, 1, parser.model)

    assert parser.keeps_text(page) is keeps_text


@pytest.mark.parametrize(
    ("exclusion", "value", "result"),
    [
        (Exclusion(a=None), {"a": 1, "b": 2}, {"b": 2}),
        (Exclusion(a=None), [{"a": 1}, {"b": [{"a": 2}]}], [{}, {"b": [{"a": 2}]}]),
        (Exclusion(a=Exclusion(b=None)), {"a": {"b": 1, "c": 2}}, {"a": {"c": 2}}),
        (Exclusion(a=Exclusion(b=None)), {"a": [{"b": 1}, [{"c": 3}]]}, {"a": [{}, [{"c": 3}]]}),
        (Exclusion(a=Exclusion(b=None)), {"a": "canary", "c": 1}, {"a": None, "c": 1}),
        (Exclusion(a=None), "canary", None),
        (Exclusion(a=None), 5, None),
        (Exclusion(a=None), None, None),
        (Exclusion(a=None), [None, "canary", {}], [None, None, {}]),
    ],
)
def test_an_exclusion_removes_properties_at_any_depth(
    exclusion: Exclusion, value: Any, result: Any
) -> None:
    assert exclusion.apply(value) == result
