"""Faults that users of comparable extractors reported, through the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from tests.helpers.assertions import assert_fails, bookmark, cursor_of
from tests.helpers.fake_focus import CURSOR, FakeFocus, feed, page, recording, respond
from tests.helpers.runner import read_feed as read
from tests.helpers.runner import settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.runner import ArchiveRunner, TapRunner

SECRET = "Drifted Dora"
UNCHANGED = {"isPrivate": "isPrivate"}
"""A stream map that changes nothing, so that the records take the SDK's path."""

KEPT = {name: name for name in ("interactionId", "additionalFields")}

BOTH_PATHS = pytest.mark.parametrize(
    "maps", [{}, {"recordings": UNCHANGED}], ids=["raw path", "SDK's path"]
)


def deselect(catalog: dict[str, Any], *breadcrumb: str) -> None:
    """Deselect a property of `recordings`."""
    stream = next(s for s in catalog["streams"] if s["stream"] == "recordings")
    for entry in stream["metadata"]:
        if entry["breadcrumb"] == list(breadcrumb):
            entry["metadata"]["selected"] = False
            return
    stream["metadata"].append({"breadcrumb": [*breadcrumb], "metadata": {"selected": False}})


@pytest.mark.parametrize(
    "maps",
    [
        {"recordings": {"endpoints": None}},
        {"recordings": {"endpoints": "md5(str(endpoints))"}},
        {"rec*": {"endpoints": None}},
        {"recordings": {"__else__": None, **KEPT}},
    ],
    ids=["removed", "hashed", "wildcard", "not listed"],
)
def test_a_masked_field_of_another_type_is_not_kept(tap: TapRunner, maps: dict[str, Any]) -> None:
    run = read(tap, recording(1, endpoints={"name": SECRET}), stream_maps=maps)

    assert run.exit_code == 0
    assert SECRET not in run.out
    assert SECRET not in run.log
    assert "kept in additionalFields" not in run.log


def test_a_deselected_field_of_another_type_is_not_kept(
    tap: TapRunner, catalog: dict[str, Any]
) -> None:
    deselect(catalog, "properties", "transcriptSnippet")
    run = read(tap, recording(1, transcriptSnippet={"text": SECRET}), catalog=catalog)

    assert run.exit_code == 0
    assert SECRET not in run.out
    assert SECRET not in run.log
    assert "kept in additionalFields" not in run.log


@BOTH_PATHS
@pytest.mark.parametrize("items", [[], ["items"]], ids=["Meltano's breadcrumb", "with items"])
@pytest.mark.parametrize("person", [{"fullName": SECRET, "id": 7}, SECRET, [{"fullName": SECRET}]])
def test_a_deselected_nested_property_is_not_written(
    tap: TapRunner, catalog: dict[str, Any], items: list[str], person: Any, maps: dict[str, Any]
) -> None:
    inner = ["properties", "person", "properties", "fullName"]
    deselect(catalog, "properties", "endpoints", *items, *inner)
    endpoints = [{"person": person, "isOriginator": True}]
    run = read(tap, recording(1, endpoints=endpoints), catalog=catalog, stream_maps=maps)

    assert run.exit_code == 0
    assert run.records[0]["endpoints"][0]["isOriginator"] is True
    assert SECRET not in run.out


def test_a_breadcrumb_that_matches_nothing_is_a_warning(
    tap: TapRunner, catalog: dict[str, Any]
) -> None:
    deselect(catalog, "properties", "endpoints", "properties", "fullNames")
    run = read(tap, recording(1), catalog=catalog)

    assert "recordings.endpoints.fullNames" in run.log


def test_a_pattern_of_meltano_that_matches_nothing_is_a_warning(tap: TapRunner) -> None:
    patterns = ["recordings.*", "!recordings.endpoints.person.fullName", "!recordings.typo"]
    with FakeFocus(feed(1)) as focus:
        variables = {"MELTANO_EXTRACT__SELECT": json.dumps(patterns)}
        run = tap(config=settings(focus), environment=variables)

    assert "recordings.typo" in run.log
    assert "fullName" not in run.log


@BOTH_PATHS
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retainUntil", ""),
        ("retainUntil", "Indefinite"),
        ("retainUntil", "/Date(1714554070956)/"),
        ("retainUntil", "2025-05-01T23:59:60Z"),
        ("retainUntil", 1714554070956),
        ("commentsCount", 2**63),
        ("commentsCount", -(2**63) - 1),
        ("commentsCount", 1.5),
        ("durationInSeconds", "5"),
        ("tags", ["a", {"b": 1}]),
        ("isPrivate", "false"),
    ],
)
def test_a_value_that_its_column_does_not_admit_is_kept_in_additional_fields(
    tap: TapRunner, name: str, value: Any, maps: dict[str, Any]
) -> None:
    run = read(tap, recording(1, **{name: value}), recording(2), stream_maps=maps)

    assert run.exit_code == 0
    assert run.records[0][name] is None
    assert run.records[0]["additionalFields"] == {name: value}
    assert run.records[1]["additionalFields"] is None


@BOTH_PATHS
@pytest.mark.parametrize(
    "value",
    [
        "2025-05-01T09:01:10.9567891Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.9999999Z",
        "2025-05-01T09:01:10+02:00",
        None,
    ],
)
def test_a_valid_date_time_is_unchanged(
    tap: TapRunner, value: str | None, maps: dict[str, Any]
) -> None:
    run = read(tap, recording(1, retainUntil=value), stream_maps=maps)

    assert run.records[0]["retainUntil"] == value
    assert run.records[0]["additionalFields"] is None


@BOTH_PATHS
def test_columns_have_the_schemas_order_whatever_focus_sends(
    tap: TapRunner, maps: dict[str, Any]
) -> None:
    drifted = recording(1, tags="x", endpoints=5, isPrivate="no", new=1)
    reversed_fields = dict(reversed(recording(2).items()))
    run = read(tap, drifted, reversed_fields, {"interactionId": 3}, stream_maps=maps)
    schema = run.of_type("SCHEMA")[0]["schema"]["properties"]

    assert [list(record) for record in run.records] == [list(schema)] * 3


@pytest.mark.parametrize(
    "maps", [{"recordings": None}, {"__else__": None}, {"rec*": None}], ids=str
)
def test_a_stream_that_stream_maps_drop_is_not_read(tap: TapRunner, maps: dict[str, Any]) -> None:
    with FakeFocus(feed(3)) as focus:
        run = tap(config=settings(focus, stream_maps=maps), state=bookmark(None))

    assert run.exit_code == 0
    assert focus.requests == []
    assert "Skipping recordings" in run.log
    assert all(
        not state["bookmarks"]["recordings"]["replication_key_value"] for state in run.states
    )


def test_audio_is_not_archived_without_its_manifest(archive: ArchiveRunner, tmp_path: Path) -> None:
    with FakeFocus(feed(3)) as focus:
        run = archive(focus, stream_maps={"__else__": None, "recordings": {}})

    assert run.exit_code == 0
    assert focus.of_kind("audio") == []
    assert not (tmp_path / "audio").exists()


@BOTH_PATHS
def test_a_column_that_the_catalog_adds_receives_its_field(
    tap: TapRunner, catalog: dict[str, Any], maps: dict[str, Any]
) -> None:
    stream = next(s for s in catalog["streams"] if s["stream"] == "recordings")
    stream["schema"]["properties"]["sentiment"] = {"type": ["number", "null"]}
    records = [recording(1, sentiment=0.25, other=1), recording(2, sentiment="high")]
    run = read(tap, *records, catalog=catalog, stream_maps=maps)

    assert [record["sentiment"] for record in run.records] == [0.25, None]
    assert [record["additionalFields"] for record in run.records] == [
        {"other": 1},
        {"sentiment": "high"},
    ]


@BOTH_PATHS
def test_a_column_that_the_catalog_retypes_is_judged_by_its_new_type(
    tap: TapRunner, catalog: dict[str, Any], maps: dict[str, Any]
) -> None:
    stream = next(s for s in catalog["streams"] if s["stream"] == "recordings")
    stream["schema"]["properties"]["commentsCount"] = {"type": ["string", "null"], "maxLength": 3}
    records = [recording(1, commentsCount="few"), recording(2, commentsCount=5)]
    records.append(recording(3, commentsCount="many"))
    run = read(tap, *records, catalog=catalog, stream_maps=maps)

    assert [record["commentsCount"] for record in run.records] == ["few", None, None]
    assert [record["additionalFields"] for record in run.records] == [
        None,
        {"commentsCount": 5},
        {"commentsCount": "many"},
    ]


@BOTH_PATHS
@pytest.mark.parametrize("is_sanitized", [True, False])
def test_characters_that_postgresql_cannot_store_are_replaced_on_request(
    tap: TapRunner, maps: dict[str, Any], *, is_sanitized: bool
) -> None:
    odd = recording(1, type="a\0\ud83d😀", endpoints=[{"x\0": "\\u0000 \ud83d"}], **{"new\0": 1})
    run = read(tap, odd, stream_maps=maps, sanitize_text=is_sanitized)
    nul, half = ("\ufffd", "\ufffd") if is_sanitized else ("\0", "\ud83d")

    assert run.exit_code == 0, run.log
    assert run.records[0]["type"] == f"a{nul}{half}😀"
    assert run.records[0]["endpoints"] == [{f"x{nul}": f"\\u0000 {half}"}]
    assert run.records[0]["additionalFields"] == {f"new{nul}": 1}


def test_a_response_that_is_compressed_several_times_ends(tap: TapRunner) -> None:
    layers = respond(b"\x1f\x8b" * 50_000, Content_Encoding="gzip, gzip, gzip")
    with FakeFocus(feed(1), cursor=[layers] * 2) as focus:
        run = tap(config=settings(focus, requests=2))

    assert_fails(run, 76)
    assert len(focus.queries) == 2


def test_a_cursor_has_a_greatest_length(tap: TapRunner) -> None:
    pages: dict[str | None, bytes] = {None: page([recording(1)], "x" * 300_000)}
    with FakeFocus(pages) as focus:
        run = tap(config=settings(focus, requests=2))

    assert_fails(run, 76)
    assert run.ids == []
    assert len(run.out) < 50_000


def test_a_page_has_a_greatest_number_of_recordings(tap: TapRunner) -> None:
    pages: dict[str | None, bytes] = {
        None: page([{"interactionId": number} for number in range(1001)], CURSOR)
    }
    with FakeFocus(pages) as focus:
        run = tap(config=settings(focus))

    assert_fails(run, 78, "page_size")
    assert run.ids == []


@BOTH_PATHS
@pytest.mark.parametrize(
    "text",
    ["9" * 5000, "[" * 70 + "]" * 70, '{"a":[1,{"b":' + "9" * 5000 + "}]}", "-" + "9" * 5000],
    ids=["digits", "nesting", "nested digits", "negative digits"],
)
@pytest.mark.parametrize("name", ["legalHolds", "endpoints", "optional", "new"])
def test_every_line_can_be_read_by_the_standard_library(
    tap: TapRunner, name: str, text: str, maps: dict[str, Any]
) -> None:
    value = f"[{{}},{text}]" if name == "endpoints" else text
    body = f'{{"recordings":[{{"interactionId":1,"{name}":{value}}}],"nextCursorId":"end"}}'
    with FakeFocus({None: body.encode(), "end": page([], "end")}) as focus:
        run = tap(config=settings(focus, stream_maps=maps))

    assert run.exit_code == 0, run.log
    assert run.records[0]["additionalFields"] == {name: value}
    assert cursor_of(run.state) == "end"


@BOTH_PATHS
@pytest.mark.parametrize("name", ["legalHolds", "new"])
def test_a_number_beyond_the_range_of_a_double_is_kept_as_text_where_any_type_is_admitted(
    tap: TapRunner, name: str, maps: dict[str, Any]
) -> None:
    body = f'{{"recordings":[{{"interactionId":1,"{name}":1e400}}],"nextCursorId":"end"}}'
    with FakeFocus({None: body.encode(), "end": page([], "end")}) as focus:
        run = tap(config=settings(focus, stream_maps=maps))

    assert run.exit_code == 0
    assert run.records[0]["additionalFields"] == {name: "1e400"}


@BOTH_PATHS
def test_a_number_beyond_the_range_of_a_double_keeps_its_digits(
    tap: TapRunner, maps: dict[str, Any]
) -> None:
    body = b'{"recordings":[{"interactionId":1,"durationInSeconds":1e400}],"nextCursorId":"end"}'
    with FakeFocus({None: body, "end": page([], "end")}) as focus:
        run = tap(config=settings(focus, stream_maps=maps))

    assert run.exit_code == 0
    assert run.records[0]["durationInSeconds"] is None
    assert run.records[0]["additionalFields"] == {"durationInSeconds": "1e400"}


def test_a_bookmark_stays_small_whatever_focus_sends(archive: ArchiveRunner) -> None:
    huge = "x" * 200_000
    recordings = [
        recording(number, thirdPartyId=f"{number}", type=huge, startDatetimeUTC=huge)
        for number in range(20)
    ]
    faults = [respond(b"no audio", Content_Type="text/html")] * 20
    with FakeFocus(feed(recordings), audio=faults) as focus:
        run = archive(focus)

    assert run.exit_code == 0
    assert len(run.state["bookmarks"]["recording_media"]["retries"][0]["ids"]) == 20
    assert len(json.dumps(run.state)) < 10_000
    assert {(record["type"], record["startDatetimeUTC"]) for record in run.records} == {
        (None, None)
    }


def test_a_third_party_id_without_end_is_not_requested(archive: ArchiveRunner) -> None:
    with FakeFocus(feed([recording(1, thirdPartyId="x" * 100_000)])) as focus:
        run = archive(focus)

    assert run.records[0]["status"] == "not_found"
    assert focus.of_kind("audio") == []
    assert len(run.out) < 20_000


@pytest.mark.parametrize("name", ["a\x1b[31mred", "\u202eevil", "x" * 5000, "line\nbreak"])
def test_names_from_focus_are_escaped_and_shortened_in_the_log(tap: TapRunner, name: str) -> None:
    run = read(tap, recording(1, **{name: 1}))

    assert run.exit_code == 0
    assert name not in run.log
    assert ascii(name)[1:40].rstrip("'") in run.log
    assert max(map(len, run.log.splitlines())) < 500


@pytest.mark.parametrize(
    "fields",
    [
        {"type": 5, "thirdPartyId": {"a": 1}, "startDatetimeUTC": 1714554070956},
        {"type": ["x"], "thirdPartyId": 7, "startDatetimeUTC": "/Date(1714554070956)/"},
        {"type": None, "thirdPartyId": None, "startDatetimeUTC": "2025-05-01T23:59:60Z"},
    ],
)
def test_a_manifest_row_fits_its_schema_whatever_focus_sends(
    archive: ArchiveRunner, fields: dict[str, Any]
) -> None:
    with FakeFocus(feed([recording(1, **fields)])) as focus:
        run = archive(focus)
    schema = run.of_type("SCHEMA")[0]["schema"]

    assert run.exit_code == 0
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    assert [*validator.iter_errors(run.records[0])] == []
    assert run.records[0]["startDatetimeUTC"] is None


@pytest.mark.parametrize("fields", [{}, {"new": 1}])
def test_a_recording_has_a_greatest_size_on_every_path(
    tap: TapRunner, fields: dict[str, Any]
) -> None:
    large = recording(2, transcriptSnippet="x" * (17 << 20), **fields)
    with FakeFocus(feed([recording(1, **fields)], [large])) as focus:
        run = tap(config=settings(focus))

    assert_fails(run, 76, "16 MiB")
    assert run.ids == [1]
