"""Runs of Meltano: from the sandbox's HTTP server into PostgreSQL and JSON lines."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from psycopg.sql import SQL, Identifier
from ruamel.yaml import YAML

from tap_focus.sandbox import Sandbox
from tests.helpers import guarantee
from tests.helpers.assertions import bookmark, count_words, cursor_of, without_tap_fields
from tests.helpers.fake_focus import FakeFocus, feed
from tests.helpers.markdown import read_blocks
from tests.helpers.meltano import (
    MELTANO,
    Meltano,
    Warehouse,
    as_in_postgres,
    assert_complete,
)
from tests.helpers.runner import BIN, ROOT, run_command


@pytest.fixture
def meltano(tmp_path: Path, sandbox: Sandbox) -> Meltano:
    return Meltano(tmp_path, sandbox.settings)


def cursor_queries(sandbox: Sandbox) -> list[dict[str, str]]:
    return [r.params for r in sandbox.requests if r.path.endswith("/cursor")]


PIPELINE = ("run", "tap-focus", "target-postgres")
STATE_ID = "dev:tap-focus-to-target-postgres"


def test_every_recording_is_loaded_into_columns_of_its_types(
    meltano: Meltano, warehouse: Warehouse, sandbox: Sandbox
) -> None:
    meltano.run(*PIPELINE, **warehouse.environment)

    assert_complete(warehouse, sandbox)
    assert warehouse.column_types().items() >= {
        ("interactionId", "bigint"),
        ("startDatetimeUTC", "timestamp without time zone"),
        ("durationInSeconds", "numeric"),
        ("isPrivate", "boolean"),
        ("endpoints", "jsonb"),
        ("analysis", "jsonb"),
        ("tags", "jsonb"),
        ("legalHolds", "jsonb"),
        ("optional", "jsonb"),
        ("additionalFields", "jsonb"),
        ("nextCursorId", "text"),
    }


def test_columns_that_were_arrays_are_converted_as_the_docs_say(
    meltano: Meltano, warehouse: Warehouse, sandbox: Sandbox
) -> None:
    meltano.run(*PIPELINE, **warehouse.environment)
    table = Identifier(warehouse.schema, "recordings")
    with warehouse.connect() as connection:
        for name, kind in (("endpoints", "jsonb[]"), ("analysis", "text[]"), ("tags", "text[]")):
            array = SQL("ALTER TABLE {} DROP {}, ADD {} {}")
            column = Identifier(name)
            connection.execute(array.format(table, column, column, SQL(kind)))
    again = ("run", "--full-refresh", "tap-focus", "target-postgres")
    failed = meltano(*again, **warehouse.environment)
    pages = read_blocks(ROOT / "docs" / "operate.md")
    (statement,) = [block.content for block in pages if "to_jsonb" in block.content]
    with warehouse.connect() as connection:
        connection.execute(statement.replace("focus.", f"{warehouse.schema}.").encode())
    meltano.run(*again, **warehouse.environment)

    assert failed.exit_code != 0
    assert "explicitly-specified array dimensions" in failed.log
    assert_complete(warehouse, sandbox)


def test_columns_contain_json_text_with_json_text(
    meltano: Meltano, warehouse: Warehouse, sandbox: Sandbox
) -> None:
    meltano.run(*PIPELINE, **warehouse.environment, TAP_FOCUS_JSON_TEXT="true")

    types = warehouse.column_types()
    rows = warehouse.rows()
    assert {types[name] for name in ("endpoints", "tags", "legalHolds", "optional")} == {"text"}
    for key, recording in sandbox.latest().items():
        assert json.loads(rows[key]["endpoints"]) == recording["endpoints"]
        assert rows[key]["legalHolds"] is None or json.loads(rows[key]["legalHolds"])


@guarantee("survive-state-merge", "last-version-wins")
def test_a_second_run_loads_new_recordings_and_replaces_updated_ones(
    meltano: Meltano, warehouse: Warehouse, sandbox: Sandbox
) -> None:
    meltano.run(*PIPELINE, **warehouse.environment)
    state = json.loads(meltano.run("state", "get", STATE_ID))["singer_state"]
    before = warehouse.rows()
    sent_before = len(cursor_queries(sandbox))
    sandbox.grow(200)
    meltano.run(*PIPELINE, **warehouse.environment)

    assert_complete(warehouse, sandbox)
    account = f"127.0.0.1/{sandbox.settings['client_id']}"
    assert state == bookmark(cursor_of(state), account)
    assert cursor_queries(sandbox)[sent_before]["cursorId"] == cursor_of(state)
    after = warehouse.rows()
    updated = [
        key for key, row in before.items() if after[key]["_sdc_batched_at"] > row["_sdc_batched_at"]
    ]
    assert updated, "the sandbox has updated no recording"
    assert len(updated) + len(after) - len(before) <= 200


def test_a_full_refresh_reads_the_feed_from_its_beginning(
    meltano: Meltano, warehouse: Warehouse, sandbox: Sandbox
) -> None:
    state = {"singer_state": bookmark("old")}
    meltano.run("state", "set", "--force", STATE_ID, json.dumps(state))
    meltano.run("run", "--full-refresh", *PIPELINE[1:], **warehouse.environment)

    assert_complete(warehouse, sandbox)
    assert cursor_queries(sandbox)[0] == {"numberOfResults": "100"}


SPECIAL_TEXTS = (
    "tab\tline\nreturn\r\\backslash\\n \\. \\N",
    '"quotes" and \'others\' {"a": [1]} {a,b} $1 %s',
    "é 😀 \u2028 \ufeff \x01 \x7f",
    "\\N",
    "NULL",
    "",
    " ",
)


def test_special_characters_arrive_in_postgres(warehouse: Warehouse, tmp_path: Path) -> None:
    """COPY, which the loader uses, has its own escapes."""
    recordings: list[dict[str, Any]] = [
        {
            "interactionId": number,
            "startDatetimeUTC": "2025-05-01T09:01:10.956Z",
            "durationInSeconds": 123456789.123456,
            "transcriptSnippet": text,
            "endpoints": [{"person": None, "endpoint": {"endpoint": text}}, None],
            "tags": [*SPECIAL_TEXTS, None],
            "legalHolds": {"a": [*SPECIAL_TEXTS, None, True, 1.5]},
            "isPrivateReason": text,
            "optional": {text: text},
        }
        for number, text in enumerate(SPECIAL_TEXTS)
    ]
    with FakeFocus(feed(recordings)) as focus:
        Meltano(tmp_path, focus.settings).run(*PIPELINE, **warehouse.environment)

    rows = warehouse.rows()
    assert len(rows) == len(recordings)
    for recording in recordings:
        row = rows[recording["interactionId"]]
        expected = as_in_postgres({"endDatetimeUTC": None, "retainUntil": None, **recording})
        assert {name: row[name] for name in expected} == expected


def test_no_value_of_focus_blocks_the_load(warehouse: Warehouse, tmp_path: Path) -> None:
    fields: list[dict[str, Any]] = [
        {"type": "a\0b\ud83d", "endpoints": [{"x\0": "\ud83d"}], "new\0": "\0"},
        {"retainUntil": ""},
        {"retainUntil": "Indefinite", "commentsCount": 2**63},
        {"retainUntil": "9999-12-31T23:59:59.9999999Z"},
        {"retainUntil": "0001-01-01T00:00:00Z"},
        {"retainUntil": "2025-05-01T09:01:10.9567891+02:00"},
        {"tags": [1, {"a": 2}], "durationInSeconds": "5", "endpoints": {"a": 1}},
        {"legalHolds": 10**400, "optional": [1]},
    ]
    recordings = [{"interactionId": n, **values} for n, values in enumerate(fields)]
    with FakeFocus(feed(recordings)) as focus:
        settings = {**focus.settings, "sanitize_text": "true"}
        Meltano(tmp_path, settings).run(*PIPELINE, **warehouse.environment)

    rows = warehouse.rows()
    assert [rows[n]["interactionId"] for n in range(len(fields))] == [*range(len(fields))]
    assert rows[0]["type"] == "a\ufffdb\ufffd"
    assert rows[0]["endpoints"] == [{"x\ufffd": "\ufffd"}]
    assert rows[0]["additionalFields"] == {"new\ufffd": "\ufffd"}
    assert rows[2]["additionalFields"] == fields[2]
    assert rows[6]["additionalFields"] == fields[6]
    assert rows[3]["retainUntil"] is not None
    assert rows[4]["retainUntil"] is not None
    assert rows[5]["retainUntil"] is not None


def test_every_recording_is_written_to_json_lines(
    meltano: Meltano, sandbox: Sandbox, tmp_path: Path
) -> None:
    environment = {
        "TARGET_JSONL_DESTINATION_PATH": str(tmp_path / "out"),
        "TARGET_JSONL_DO_TIMESTAMP_FILE": "false",
    }
    meltano.run("run", "tap-focus", "target-jsonl", **environment)

    lines = (tmp_path / "out" / "recordings.jsonl").read_text("utf-8").splitlines()
    assert [without_tap_fields(json.loads(line)) for line in lines] == sandbox.feed()


def test_the_sandbox_plugin_needs_no_settings(warehouse: Warehouse, tmp_path: Path) -> None:
    meltano = Meltano(tmp_path, {})
    size = {"FOCUS_SANDBOX_RECORDS": "40"}
    meltano.run("run", "tap-focus-sandbox", "target-postgres", **size, **warehouse.environment)

    assert 30 <= len(warehouse.rows()) <= 45


@guarantee("resume-after-kill")
def test_nothing_is_lost_when_meltano_is_killed_again_and_again(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    rng = random.Random(6)
    pipeline = ("run", "--force", "tap-focus", "target-postgres")
    with Sandbox(records=400, seed=7, live_every=0, latency=0.05) as sandbox:
        meltano = Meltano(tmp_path, {**sandbox.settings, "page_size": 10})
        environment = {**warehouse.environment, "TARGET_POSTGRES_BATCH_SIZE_ROWS": "60"}
        for _ in range(3):
            requests_before_kill = len(cursor_queries(sandbox)) + rng.randint(2, 25)
            process = subprocess.Popen(
                [MELTANO, *pipeline],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=meltano.folder,
                env={**meltano.environment, **environment},
                start_new_session=True,
            )
            while process.poll() is None and len(cursor_queries(sandbox)) < requests_before_kill:
                time.sleep(0.02)
            with suppress(ProcessLookupError):  # the run may have ended
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        meltano.run(*pipeline, **environment)

        assert_complete(warehouse, sandbox)


def test_two_shards_archive_all_audio_and_their_manifest_can_be_verified(
    meltano: Meltano, warehouse: Warehouse, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Each shard has its own state."""
    environment = {**warehouse.environment, "TAP_FOCUS_MEDIA_PATH": str(tmp_path / "audio")}
    for index in (1, 2):
        meltano.run(
            "run",
            f"--state-id-suffix=shard-{index}",
            "tap-focus-media",
            "target-postgres",
            **environment,
            TAP_FOCUS_MEDIA_SHARD=f"{index}/2",
        )
    rows = warehouse.rows("recording_media")
    manifest = "\n".join(json.dumps(row, default=str) for row in rows.values())
    command = (str(BIN / "tap-focus-media"), "verify", "--media-path", str(tmp_path / "audio"))
    verified = run_command(*command, stdin=manifest)

    assert rows.keys() == sandbox.latest().keys()
    stored = [row for row in rows.values() if row["status"] == "stored"]
    assert len(stored) > 100
    files = [path for path in (tmp_path / "audio").rglob("*.mp3") if path.is_file()]
    assert sorted(row["uri"] for row in stored) == sorted(path.as_uri() for path in files)
    assert verified.exit_code == 0, verified.out
    assert count_words(verified.out)["ok"] == len(stored)


def test_a_work_list_is_fetched_with_the_settings_of_the_plugin(tmp_path: Path) -> None:
    columns = dict.fromkeys(("durationInSeconds", "retainUntil", "legalHolds"))
    pages = feed(1, **columns)
    (row,) = json.loads(pages[None])["recordings"]
    (tmp_path / "list.jsonl").write_text(json.dumps(row), "utf-8")
    with FakeFocus(pages) as focus:
        meltano = Meltano(tmp_path, {**focus.settings, "media_path": tmp_path / "audio"})
        run = meltano("invoke", "tap-focus-media:fetch", "--create", "list.jsonl")

    assert run.exit_code == 0, run.log
    assert [(row["interactionId"], row["status"]) for row in run.records] == [(1, "stored")]
    assert "unknown setting" not in run.log


def test_a_deselected_property_has_no_column(
    meltano: Meltano, warehouse: Warehouse, sandbox: Sandbox
) -> None:
    select = json.dumps(["recordings.*", "!recordings.transcriptSnippet"])
    meltano.run(*PIPELINE, TAP_FOCUS__SELECT=select, **warehouse.environment)

    assert "transcriptSnippet" not in warehouse.column_types()
    assert warehouse.rows().keys() == sandbox.latest().keys()


def test_meltano_select_changes_one_line_of_the_project_file(meltano: Meltano) -> None:
    project = meltano.folder / "meltano.yml"
    before = project.read_text("utf-8").splitlines()
    meltano.run("select", "--exclude", "tap-focus", "recordings", "tags")
    after = project.read_text("utf-8").splitlines()

    assert [line for line in after if line not in before] == ["    - '!recordings.tags'"]
    assert len(after) == len(before) + 1


def test_the_loader_commits_audio_in_small_batches(meltano: Meltano, tmp_path: Path) -> None:
    """Meltano documents such variables for load_schema; this name is the project's own."""
    loader, received = tmp_path / "loader", tmp_path / "received.json"
    loader.write_text(f'#!/bin/sh\ncp "$2" {received}\ncat >/dev/null\n', encoding="utf-8")
    loader.chmod(0o700)
    project = meltano.folder / "meltano.yml"
    text = project.read_text("utf-8")
    changed = text.replace("executable: target-postgres\n", f"executable: {loader}\n")
    assert changed != text
    project.write_text(changed, encoding="utf-8")
    meltano.run(
        "run", "tap-focus-media", "target-postgres", TAP_FOCUS_MEDIA_PATH=str(tmp_path / "audio")
    )

    assert json.loads(received.read_bytes())["batch_size_rows"] == 500


@pytest.mark.parametrize(
    ("settings", "is_valid"), [({}, True), ({"TAP_FOCUS_API_KEY": "wrong"}, False)]
)
def test_meltano_can_test_the_settings(
    meltano: Meltano, settings: dict[str, str], *, is_valid: bool
) -> None:
    run = meltano("config", "test", "tap-focus", **settings)

    assert (run.exit_code == 0) == is_valid


def test_meltano_hides_the_key(meltano: Meltano, sandbox: Sandbox) -> None:
    listed = meltano.run("config", "list", "tap-focus")

    assert "api_key" in listed
    assert sandbox.settings["api_key"] not in listed


def test_the_project_file_matches_the_schema_of_meltano() -> None:
    import meltano.schemas as schemas  # noqa: PLC0415, PLR0402

    (folder,) = schemas.__path__
    schema = json.loads((Path(folder) / "meltano.schema.json").read_text("utf-8"))
    project = YAML(typ="safe").load(ROOT / "meltano.yml")

    Draft202012Validator(schema).validate(project)
    assert project["send_anonymous_usage_stats"] is False
    assert {s["name"]: s["interval"] for s in project["schedules"]} == {
        "focus-hourly": "7 * * * *",
        "focus-audio-nightly": "37 2 * * *",
    }


def test_the_plugin_definition_can_be_added_to_a_project(tmp_path: Path) -> None:
    (tmp_path / "meltano.yml").write_text("send_anonymous_usage_stats: false\n")
    definition = str(ROOT / "tap-focus.hub.yml")
    add = (MELTANO, "add", "--no-install", "tap-focus", "--from-ref", definition)
    run = run_command(*add, folder=tmp_path)

    assert run.exit_code == 0, run.log
    project = YAML(typ="safe").load(tmp_path / "meltano.yml")
    (plugin,) = project["plugins"]["extractors"]
    settings = {setting["name"]: setting for setting in plugin["settings"]}
    assert settings["api_key"]["sensitive"] is True
    assert settings["client_id"]["kind"] == "integer"
