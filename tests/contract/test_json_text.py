"""The setting json_text: columns without one simple type contain JSON text."""

from __future__ import annotations

import copy
import gzip
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.helpers import guarantee
from tests.helpers.fake_focus import PERSON, FakeFocus, feed, recording
from tests.helpers.runner import settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.runner import Run, TapRunner

JSON_COLUMNS = {
    "endpoints",
    "analysis",
    "retentionGroupId",
    "legalHolds",
    "tags",
    "isPrivateReason",
    "dataGroups",
    "optional",
    "additionalFields",
}
ANY_VALUES = [
    None,
    12,
    "12",
    1.5,
    2**53 + 1,
    True,
    [],
    {},
    [None],
    {"a": "\u00e9\U0001f600"},
    "null",
]
FEED = feed(
    [recording(number, tags=["a"], legalHolds=value) for number, value in enumerate(ANY_VALUES)],
    [
        recording(100, new={"a": [1]}),
        recording(101, tags=None),
        recording(102, durationInSeconds="1"),
    ],
)


def run_twice(tap: TapRunner, pages: Any, **options: Any) -> tuple[Run, Run]:
    """Run the tap with native columns and with JSON text."""
    runs = []
    for config in ({}, {"json_text": True}):
        with FakeFocus(pages) as focus:
            runs.append(
                tap(
                    config=settings(focus, **config, **options.get("config", {})),
                    **{name: value for name, value in options.items() if name != "config"},
                )
            )
        assert runs[-1].exit_code == 0
    native, text = runs
    return native, text


def decoded(records: list[dict[str, Any]], columns: set[str]) -> list[dict[str, Any]]:
    """Return records with the JSON text of columns decoded."""
    for record in records:
        assert all(isinstance(record[name], (str, type(None))) for name in columns & {*record})
    return [
        {
            name: json.loads(value, parse_float=Decimal)
            if name in columns and value is not None
            else value
            for name, value in record.items()
        }
        for record in records
    ]


def column_types(run: Run) -> dict[str, Any]:
    (message,) = run.of_type("SCHEMA")
    return {name: column["type"] for name, column in message["schema"]["properties"].items()}


def stream_in(catalog: dict[str, Any], name: str = "recordings") -> dict[str, Any]:
    (stream,) = [s for s in catalog["streams"] if s["tap_stream_id"] == name]
    return dict(stream)


def deselected(catalog: dict[str, Any], *path: str) -> dict[str, Any]:
    result = copy.deepcopy(catalog)
    breadcrumb = [crumb for name in path for crumb in ("properties", name)]
    for entry in stream_in(result)["metadata"]:
        if entry["breadcrumb"] == breadcrumb:
            entry["metadata"]["selected"] = False
    return result


@guarantee("preserve-values")
def test_columns_without_one_simple_type_are_text_with_the_same_values(tap: TapRunner) -> None:
    native, text = run_twice(tap, FEED)

    native_types, text_types = column_types(native), column_types(text)
    assert {name for name in text_types if text_types[name] != native_types[name]} == JSON_COLUMNS
    assert all(text_types[name] == ["string", "null"] for name in JSON_COLUMNS)
    assert decoded(text.records, JSON_COLUMNS) == native.records
    assert text.records[1]["legalHolds"] == "12"
    assert text.records[2]["legalHolds"] == '"12"'
    assert text.state == native.state


def test_no_column_of_a_schema_message_is_an_array_with_items(
    tap: TapRunner, catalog: dict[str, Any]
) -> None:
    with FakeFocus(FEED) as focus:
        run = tap(config=settings(focus))
    (message,) = run.of_type("SCHEMA")
    columns = stream_in(catalog)["schema"]["properties"]

    assert "fullName" in json.dumps(columns["endpoints"]["items"])
    assert columns["tags"]["items"]["type"] == ["string", "null"]
    assert [n for n, column in message["schema"]["properties"].items() if "items" in column] == []
    assert message["schema"]["properties"].keys() == columns.keys()


@pytest.mark.parametrize("path", [("endpoints", "person", "fullName"), ("endpoints",), ("tags",)])
def test_deselected_properties_are_in_no_text(
    tap: TapRunner, catalog: dict[str, Any], path: tuple[str, ...]
) -> None:
    native, text = run_twice(tap, FEED, catalog=deselected(catalog, *path))

    assert decoded(text.records, JSON_COLUMNS) == native.records
    assert path[-1] not in json.dumps(text.records)


def test_a_column_that_the_catalog_adds_is_text_if_it_has_no_simple_type(
    tap: TapRunner, catalog: dict[str, Any]
) -> None:
    properties = stream_in(catalog)["schema"]["properties"]
    properties["new"] = {"type": ["object", "null"], "properties": {"a": {"type": "array"}}}
    properties["score"] = {"type": ["number", "null"]}
    pages = feed([recording(1, new={"a": [1.50]}, score=0.25), recording(2, new=5)])
    native, text = run_twice(tap, pages, catalog=catalog)

    assert [record["new"] for record in text.records] == ['{"a": [1.5]}', None]
    assert text.records[0]["score"] == Decimal("0.25")
    assert text.records[1]["additionalFields"] == '{"new":5}'
    assert decoded(text.records, {*JSON_COLUMNS, "new"}) == native.records


def test_stream_maps_see_the_text(tap: TapRunner) -> None:
    maps = {
        "recordings": {
            "thirdPartyId": "md5(thirdPartyId)",
            "tags": "md5(tags) if tags else None",
            "first": "json.loads(endpoints)[0]['person']['fullName']",
        }
    }
    native_maps = {"recordings": {"thirdPartyId": "md5(thirdPartyId)"}}
    with FakeFocus(FEED) as focus:
        text = tap(config=settings(focus, json_text=True, stream_maps=maps))
    with FakeFocus(FEED) as focus:
        native = tap(config=settings(focus, stream_maps=native_maps))

    columns = JSON_COLUMNS - {"tags"}
    assert text.records[0]["first"] == PERSON
    assert len(text.records[0]["tags"]) == 32
    assert [
        {name: value for name, value in record.items() if name not in {"first", "tags"}}
        for record in decoded(text.records, columns)
    ] == [{n: value for n, value in record.items() if n != "tags"} for record in native.records]


def test_batch_files_contain_the_text(tap: TapRunner, tmp_path: Path) -> None:
    batch = {"encoding": {"format": "jsonl"}, "storage": {"root": tmp_path.as_uri()}}
    with FakeFocus(FEED) as focus:
        batched = tap(config=settings(focus, json_text=True, batch_config=batch))
    with FakeFocus(FEED) as focus:
        plain = tap(config=settings(focus, json_text=True))
    records = []
    for message in batched.of_type("BATCH"):
        for url in message["manifest"]:
            with gzip.open(urlsplit(url).path, "rt", encoding="utf-8") as lines:
                records += [json.loads(line, parse_float=Decimal) for line in lines]

    assert records == plain.records


def test_flattening_leaves_the_text_as_it_is(tap: TapRunner) -> None:
    flattened = {"flattening_enabled": True, "flattening_max_depth": 1}
    with FakeFocus(FEED) as focus:
        text = tap(config=settings(focus, json_text=True, **flattened))
    with FakeFocus(FEED) as focus:
        plain = tap(config=settings(focus, json_text=True))

    assert text.records == plain.records


def test_characters_that_postgresql_cannot_store_are_replaced_in_text(tap: TapRunner) -> None:
    pages = feed([recording(1, tags=["a\0"], legalHolds="\ud83d", **{"new\0": "\0"})])
    native, text = run_twice(tap, pages, config={"sanitize_text": True})
    (record,) = text.records

    assert json.loads(record["tags"]) == ["a\ufffd"]
    assert json.loads(record["legalHolds"]) == "\ufffd"
    assert json.loads(record["additionalFields"]) == {"new\ufffd": "\ufffd"}
    assert decoded(text.records, JSON_COLUMNS) == native.records


def test_columns_of_recording_media_become_text_too(
    tap: TapRunner, catalog: dict[str, Any], tmp_path: Path
) -> None:
    for stream in catalog["streams"]:
        is_media = stream["tap_stream_id"] == "recording_media"
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = is_media
        if is_media:
            stream["schema"]["properties"]["sizeInBytes"]["type"] = ["integer", "array", "null"]
            stream["schema"]["properties"]["type"] = {}
    pages = feed([recording(1, mediaAccessStatus="Denied")])
    with FakeFocus(pages) as focus:
        run = tap(config=settings(focus, json_text=True, media_path=str(tmp_path)), catalog=catalog)
    (record,) = run.records

    assert run.exit_code == 0
    assert column_types(run)["type"] == column_types(run)["sizeInBytes"] == ["string", "null"]
    assert (record["type"], record["sizeInBytes"]) == (json.dumps(recording(1)["type"]), None)
    assert record["status"] == "not_permitted"
