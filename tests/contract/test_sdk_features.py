"""What the SDK offers to `tap-focus`: selection, stream maps, flattening and batches."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest
from jsonschema import Draft202012Validator

from tests.helpers.assertions import cursor_of, without_tap_fields

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tap_focus.sandbox import Sandbox
    from tests.conftest import Run

    Tap = Callable[..., Run]


def test_deselected_properties_do_not_leave(tap: Tap, sandbox: Sandbox) -> None:
    catalog = json.loads(tap("--discover").out)
    for entry in catalog["streams"][1]["metadata"]:
        if entry["breadcrumb"][-1:] in (["transcriptSnippet"], ["endpoints"]):
            entry["metadata"]["selected"] = False
    run = tap(config=sandbox.settings, catalog=catalog)
    gone = {"transcriptSnippet", "endpoints"}
    assert not gone & run.messages[0]["schema"]["properties"].keys()
    assert not any(gone & record.keys() for record in run.records)
    assert cursor_of(run.state)


def test_a_deselected_stream_is_not_read(tap: Tap, sandbox: Sandbox) -> None:
    catalog = json.loads(tap("--discover").out)
    for entry in catalog["streams"][1]["metadata"]:
        if entry["breadcrumb"] == []:
            entry["metadata"]["selected"] = False
    run = tap(config=sandbox.settings, catalog=catalog)
    assert (run.code, run.out) == (0, "")
    assert not sandbox.requests


def test_stream_maps_filter_rename_and_hash(tap: Tap, sandbox: Sandbox) -> None:
    maps = {
        "recordings": {
            "__alias__": "calls",
            "__filter__": "type == 'teams'",
            "transcriptSnippet": "md5(record['transcriptSnippet'] or '')",
            "minutes": "float(durationInSeconds or 0) / 60",
        }
    }
    run = tap(config={**sandbox.settings, "stream_maps": maps})
    teams = [recording for recording in sandbox.feed() if recording["type"] == "teams"]
    assert run.code == 0
    assert {message["stream"] for message in run.of("RECORD")} == {"calls"}
    assert [record["transcriptSnippet"] for record in run.records] == [
        hashlib.md5((r["transcriptSnippet"] or "").encode(), usedforsecurity=False).hexdigest()
        for r in teams
    ]
    assert [record["minutes"] for record in run.records] == pytest.approx(
        [(r["durationInSeconds"] or 0) / 60 for r in teams]
    )


def test_the_bookmark_moves_also_when_a_stream_map_drops_every_record(
    tap: Tap, sandbox: Sandbox
) -> None:
    maps = {"recordings": {"__filter__": "bool(False)"}}
    run = tap(config={**sandbox.settings, "stream_maps": maps})
    assert run.records == []
    assert tap(config=sandbox.settings, state=run.state).records == []


def test_flattening_takes_objects_apart(tap: Tap, sandbox: Sandbox) -> None:
    config = {**sandbox.settings, "flattening_enabled": True, "flattening_max_depth": 2}
    run = tap(config=config)
    assert run.code == 0
    assert [record["interactionId"] for record in run.records] == [
        recording["interactionId"] for recording in sandbox.feed()
    ]
    schema = Draft202012Validator(run.messages[0]["schema"])
    for record in run.records:
        schema.validate(record)
        assert record.keys() == run.messages[0]["schema"]["properties"].keys()
    flat, nested = run.records[-1], sandbox.feed()[-1]
    assert json.loads(flat["endpoints"]) == nested["endpoints"]
    assert json.loads(flat["optional"]) == nested["optional"]


def test_batch_files_hold_every_record_and_the_state_waits_for_them(
    tap: Tap, sandbox: Sandbox, tmp_path: Path
) -> None:
    batch = {
        "encoding": {"format": "jsonl"},
        "storage": {"root": f"file://{tmp_path}/batches"},
        "batch_size": 70,
    }
    config = {**sandbox.settings, "page_size": 30, "batch_config": batch}
    run = tap(config=config)
    assert run.kinds == {"SCHEMA": 1, "BATCH": 4, "STATE": 5}
    out: list[dict[str, Any]] = []
    for message in run.messages:
        if message["type"] == "BATCH":
            assert message["encoding"] == {"format": "jsonl", "compression": "gzip"}
            out += [record for file in message["manifest"] for record in lines_of(file)]
        elif message["type"] == "STATE":
            rest = tap(config={**sandbox.settings}, state=message["value"])
            reached = {record["interactionId"] for record in out + rest.records}
            assert reached == {recording["interactionId"] for recording in sandbox.feed()}
    assert [without_tap_fields(record) for record in out] == sandbox.feed()
    again = tap(config=config, state=run.state)
    assert again.kinds == {"SCHEMA": 1, "STATE": 2}  # the one that was given, and the newest

    batch["storage"] = {"root": "file:///proc/nowhere"}
    nowhere = tap(config=config)
    assert (nowhere.code, len(nowhere.errors)) == (73, 1)
    assert "batch_config's storage.root" in nowhere.errors[0]
    assert "Up to date" not in nowhere.log


def test_batch_files_hold_what_record_messages_would(
    tap: Tap, sandbox: Sandbox, tmp_path: Path
) -> None:
    batch = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": f"file://{tmp_path}/batches"},
        "batch_size": 40,
    }
    maps = {
        "recordings": {
            "__filter__": "type == 'teams'",
            "transcriptSnippet": "__NULL__",
            "thirdPartyId": "md5(thirdPartyId)",
        }
    }
    catalog = json.loads(tap("--discover").out)
    for entry in catalog["streams"][1]["metadata"]:
        if entry["breadcrumb"][-1:] == ["endpoints"]:
            entry["metadata"]["selected"] = False
    config = {**sandbox.settings, "stream_maps": maps, "flattening_enabled": True}
    config["flattening_max_depth"] = 1
    records = [without_tap_fields(each) for each in tap(config=config, catalog=catalog).records]
    batches = tap(config={**config, "batch_config": batch}, catalog=catalog)
    files = [file for message in batches.of("BATCH") for file in message["manifest"]]
    out = [record for file in files for record in lines_of(file)]
    assert [without_tap_fields(record) for record in out] == records
    assert 0 < len(records) < 250
    assert not {"transcriptSnippet", "endpoints"} & records[0].keys()

    twice = {"recordings": {}, "copies": {"__source__": "recordings"}}
    refused = tap(config={**sandbox.settings, "stream_maps": twice, "batch_config": batch})
    assert refused.code == 1
    assert "batch_config: stream_maps make several streams of recordings" in refused.log
    incomplete = tap(config={**sandbox.settings, "batch_config": {"encoding": {"format": "jsonl"}}})
    assert incomplete.errors[0] == "batch_config: needs encoding.format and storage.root"


@pytest.mark.parametrize("expression", ["float(transcriptSnippet)", "1/0", "config['nope']", "("])
def test_an_expression_that_fails_is_a_line_without_the_records_values(
    tap: Tap, sandbox: Sandbox, expression: str
) -> None:
    maps = {"recordings": {"type": expression}}
    run = tap(config={**sandbox.settings, "stream_maps": maps})
    assert run.code == 1
    assert "stream_maps: " in run.log
    assert "Traceback" not in run.log


def test_a_catalog_cannot_change_how_the_feed_is_read(tap: Tap, sandbox: Sandbox) -> None:
    first = tap(config=sandbox.settings)
    catalog = json.loads(tap("--discover").out)
    entry = catalog["streams"][1]
    entry |= {"replication_method": "FULL_TABLE", "replication_key": "startDatetimeUTC"}
    del entry["schema"]["properties"]["nextCursorId"]
    config = {**sandbox.settings, "emit_activate_version_messages": True}
    run = tap(config=config, catalog=catalog, state=first.state)
    assert run.code == 0
    assert run.kinds.keys() <= {"SCHEMA", "STATE"}
    assert run.state["bookmarks"]["recordings"].keys() == {
        "replication_key",
        "replication_key_value",
    }


def lines_of(url: str) -> list[dict[str, Any]]:
    with gzip.open(unquote(urlsplit(url).path), "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
