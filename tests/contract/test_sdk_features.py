"""Features of the SDK: selection, stream maps, flattening and batches."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest
from jsonschema import Draft202012Validator

from tests.helpers.assertions import assert_fails, cursor_of, without_tap_fields

if TYPE_CHECKING:
    from tap_focus.sandbox import Sandbox
    from tests.helpers.runner import Run, TapRunner


def deselect(catalog: dict[str, Any], *names: str) -> dict[str, Any]:
    """Deselect properties of `recordings` in a catalog. Without names, deselect the stream."""
    (stream,) = [s for s in catalog["streams"] if s["tap_stream_id"] == "recordings"]
    breadcrumbs = [["properties", name] for name in names] or [[]]
    for entry in stream["metadata"]:
        if entry["breadcrumb"] in breadcrumbs:
            entry["metadata"]["selected"] = False
    return catalog


def batches_in(folder: Path, **options: Any) -> dict[str, Any]:
    """Return a `batch_config`."""
    return {
        "encoding": {"format": "jsonl"},
        "storage": {"root": f"file://{folder}/batches"},
        **options,
    }


def read_batch(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the records of a BATCH message."""
    records = []
    for url in message["manifest"]:
        with gzip.open(unquote(urlsplit(url).path), "rt", encoding="utf-8") as lines:
            records += [json.loads(line) for line in lines]
    return records


def records_in_batches(run: Run) -> list[dict[str, Any]]:
    return [record for message in run.of_type("BATCH") for record in read_batch(message)]


def test_deselected_properties_are_not_written(
    tap: TapRunner, sandbox: Sandbox, catalog: dict[str, Any]
) -> None:
    names = {"transcriptSnippet", "endpoints"}
    run = tap(config=sandbox.settings, catalog=deselect(catalog, *names))

    assert run.exit_code == 0
    assert not names & run.messages[0]["schema"]["properties"].keys()
    assert len(run.records) == 250
    assert not any(names & record.keys() for record in run.records)
    assert cursor_of(run.state)


def test_a_deselected_stream_is_not_requested(
    tap: TapRunner, sandbox: Sandbox, catalog: dict[str, Any]
) -> None:
    run = tap(config=sandbox.settings, catalog=deselect(catalog))

    assert (run.exit_code, run.out) == (0, "")
    assert sandbox.requests == []


def test_stream_maps_filter_rename_hash_and_compute(tap: TapRunner, sandbox: Sandbox) -> None:
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
    assert run.exit_code == 0
    assert {message["stream"] for message in run.of_type("RECORD")} == {"calls"}
    assert [record["transcriptSnippet"] for record in run.records] == [
        hashlib.md5((r["transcriptSnippet"] or "").encode(), usedforsecurity=False).hexdigest()
        for r in teams
    ]
    assert [record["minutes"] for record in run.records] == pytest.approx(
        [(r["durationInSeconds"] or 0) / 60 for r in teams]
    )


def test_the_bookmark_advances_when_a_stream_map_drops_every_record(
    tap: TapRunner, sandbox: Sandbox
) -> None:
    maps = {"recordings": {"__filter__": "bool(False)"}}
    run = tap(config={**sandbox.settings, "stream_maps": maps})
    next_run = tap(config=sandbox.settings, state=run.state)

    assert (run.exit_code, run.records) == (0, [])
    assert (next_run.exit_code, next_run.records) == (0, [])


def test_flattened_records_match_their_schema(tap: TapRunner, sandbox: Sandbox) -> None:
    config = {**sandbox.settings, "flattening_enabled": True, "flattening_max_depth": 2}
    run = tap(config=config)

    assert run.exit_code == 0
    assert run.ids == [recording["interactionId"] for recording in sandbox.feed()]
    schema = run.messages[0]["schema"]
    validator = Draft202012Validator(schema)
    for record in run.records:
        validator.validate(record)
        assert record.keys() == schema["properties"].keys()
    for name in ("endpoints", "optional"):
        assert json.loads(run.records[-1][name]) == sandbox.feed()[-1][name]


def test_batch_files_contain_every_record(tap: TapRunner, sandbox: Sandbox, tmp_path: Path) -> None:
    batch = batches_in(tmp_path, batch_size=70)
    run = tap(config={**sandbox.settings, "page_size": 30, "batch_config": batch})

    assert run.message_counts == {"SCHEMA": 1, "BATCH": 4, "STATE": 5}
    assert {json.dumps(message["encoding"]) for message in run.of_type("BATCH")} == {
        '{"format": "jsonl", "compression": "gzip"}'
    }
    assert [without_tap_fields(record) for record in records_in_batches(run)] == sandbox.feed()


def test_other_users_cannot_read_batch_files(
    tap: TapRunner, sandbox: Sandbox, tmp_path: Path
) -> None:
    run = tap(config={**sandbox.settings, "batch_config": batches_in(tmp_path)})

    paths = list((tmp_path / "batches").rglob("*"))
    assert run.of_type("BATCH")
    assert paths
    for path in (tmp_path / "batches", *paths):
        assert not path.stat().st_mode & 0o007, path


def test_no_state_advances_past_a_record_that_is_in_no_batch(
    tap: TapRunner, sandbox: Sandbox, tmp_path: Path
) -> None:
    batch = batches_in(tmp_path, batch_size=70)
    run = tap(config={**sandbox.settings, "page_size": 30, "batch_config": batch})

    assert len(run.states) == 5
    everything = {recording["interactionId"] for recording in sandbox.feed()}
    written: set[int] = set()
    for message in run.messages:
        if message["type"] == "BATCH":
            written |= {record["interactionId"] for record in read_batch(message)}
        elif message["type"] == "STATE":
            resumed = tap(config=sandbox.settings, state=message["value"])
            assert written | set(resumed.ids) == everything


def test_a_run_in_batch_mode_that_is_up_to_date_writes_no_batch(
    tap: TapRunner, sandbox: Sandbox, tmp_path: Path
) -> None:
    config = {**sandbox.settings, "batch_config": batches_in(tmp_path)}
    run = tap(config=config, state=tap(config=config).state)

    # The first of the two states is the one that was given.
    assert run.message_counts == {"SCHEMA": 1, "STATE": 2}


def test_a_folder_for_batches_that_cannot_be_written_ends_the_run(
    tap: TapRunner, sandbox: Sandbox
) -> None:
    batch = batches_in(Path("/proc/nowhere"))
    run = tap(config={**sandbox.settings, "batch_config": batch})

    assert_fails(run, 73, "batch_config", "storage.root")
    assert "Up to date" not in run.log


def test_batch_files_contain_what_record_messages_would(
    tap: TapRunner, sandbox: Sandbox, tmp_path: Path, catalog: dict[str, Any]
) -> None:
    maps = {
        "recordings": {
            "__filter__": "type == 'teams'",
            "transcriptSnippet": "__NULL__",
            "thirdPartyId": "md5(thirdPartyId)",
        }
    }
    config = {
        **sandbox.settings,
        "stream_maps": maps,
        "flattening_enabled": True,
        "flattening_max_depth": 1,
    }
    catalog = deselect(catalog, "endpoints")
    plain = tap(config=config, catalog=catalog)
    batched = tap(config={**config, "batch_config": batches_in(tmp_path)}, catalog=catalog)

    assert [without_tap_fields(record) for record in records_in_batches(batched)] == [
        without_tap_fields(record) for record in plain.records
    ]
    assert 0 < len(plain.records) < 250
    assert not {"transcriptSnippet", "endpoints"} & plain.records[0].keys()


def test_stream_maps_that_make_two_streams_are_rejected_in_batch_mode(
    tap: TapRunner, sandbox: Sandbox, tmp_path: Path
) -> None:
    maps = {"recordings": {}, "copies": {"__source__": "recordings"}}
    config = {**sandbox.settings, "stream_maps": maps, "batch_config": batches_in(tmp_path)}
    run = tap(config=config)

    assert_fails(run, 1, "batch_config", "stream_maps", "recordings")


def test_an_incomplete_batch_config_is_rejected(tap: TapRunner, sandbox: Sandbox) -> None:
    run = tap(config={**sandbox.settings, "batch_config": {"encoding": {"format": "jsonl"}}})

    assert_fails(run, 1, "batch_config: ", "storage.root")
    assert sandbox.requests == []


@pytest.mark.parametrize("expression", ["float(transcriptSnippet)", "1/0", "config['nope']", "("])
def test_an_expression_of_a_stream_map_that_fails_ends_the_run(
    tap: TapRunner, sandbox: Sandbox, expression: str
) -> None:
    maps = {"recordings": {"type": expression}}
    run = tap(config={**sandbox.settings, "stream_maps": maps})

    assert_fails(run, 1, "stream_maps")


def test_a_catalog_cannot_change_how_the_feed_is_read(
    tap: TapRunner, sandbox: Sandbox, catalog: dict[str, Any]
) -> None:
    for stream in catalog["streams"]:
        stream |= {"replication_method": "FULL_TABLE", "replication_key": "startDatetimeUTC"}
        del stream["schema"]["properties"]["nextCursorId"]
    config = {**sandbox.settings, "emit_activate_version_messages": True}
    state = tap(config=sandbox.settings).state
    run = tap(config=config, catalog=catalog, state=state)

    assert run.exit_code == 0
    assert run.message_counts.keys() <= {"SCHEMA", "STATE"}
    assert run.state["bookmarks"].keys() == state["bookmarks"].keys()
    assert run.state["bookmarks"]["recordings"].keys() == {
        "account",
        "replication_key",
        "replication_key_value",
    }
