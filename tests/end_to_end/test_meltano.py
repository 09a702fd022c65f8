"""The whole way: the sandbox's HTTP server through `meltano run` into PostgreSQL and JSON lines."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from jsonschema import Draft202012Validator
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier
from ruamel.yaml import YAML

from tap_focus.sandbox import Sandbox
from tests.conftest import BIN, ROOT, clean_environment
from tests.helpers.fake_focus import Focus, page

if TYPE_CHECKING:
    from collections.abc import Iterator

DATE_TIMES = ("startDatetimeUTC", "endDatetimeUTC", "retainUntil")


class Meltano:
    """The checkout's Meltano project in a folder of its own, with the plugins of the checkout."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        (folder / "meltano.yml").write_text((ROOT / "meltano.yml").read_text("utf-8"), "utf-8")
        (folder / ".meltano").mkdir()
        for kind in ("extractors", "loaders"):
            (folder / ".meltano" / kind).symlink_to(ROOT / ".meltano" / kind)
        self.environment = {
            **clean_environment(),
            "NO_COLOR": "1",
            **{f"TAP_FOCUS_{name.upper()}": str(value) for name, value in settings.items()},
        }

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / "meltano"), *arguments],
            check=False,
            capture_output=True,
            text=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            cwd=self.folder,
            env={**self.environment, **environment},
            timeout=300,
        )

    def ok(self, *arguments: str, **environment: str) -> str:
        done = self(*arguments, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def meltano(tmp_path: Path, sandbox: Sandbox) -> Meltano:
    return Meltano(tmp_path, sandbox.settings)


class Warehouse:
    """A database schema that one test loads into."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.schema = f"focus_{uuid4().hex}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "TARGET_POSTGRES_SQLALCHEMY_URL": self.url.replace(
                "postgresql://", "postgresql+psycopg://", 1
            ),
            "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": self.schema,
        }

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection[dict[str, Any]]]:
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            yield connection

    def rows(self, table: str = "recordings") -> dict[int, dict[str, Any]]:
        query = SQL("SELECT * FROM {}").format(Identifier(self.schema, table))
        with self.connect() as connection:
            rows = connection.execute(query).fetchall()
        by_id = {row["interactionId"]: row for row in rows}
        assert len(by_id) == len(rows)
        return by_id

    def column_types(self) -> dict[str, str]:
        query = """SELECT column_name, data_type FROM information_schema.columns
                   WHERE table_schema = %s AND table_name = 'recordings'"""
        with self.connect() as connection:
            rows = connection.execute(query, [self.schema]).fetchall()
        return {row["column_name"]: row["data_type"] for row in rows}


@pytest.fixture
def warehouse(postgres: str) -> Iterator[Warehouse]:
    warehouse = Warehouse(postgres)
    yield warehouse
    with warehouse.connect() as connection:
        connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(warehouse.schema)))


def as_in_postgres(recording: dict[str, Any]) -> dict[str, Any]:
    """What a recording looks like when it comes back from the database."""
    row = dict(recording)
    for name in DATE_TIMES:
        if row[name] is not None:
            row[name] = datetime.fromisoformat(row[name]).replace(tzinfo=None)
    if row["durationInSeconds"] is not None:
        row["durationInSeconds"] = Decimal(str(row["durationInSeconds"]))
    return row


def assert_holds(warehouse: Warehouse, sandbox: Sandbox) -> None:
    """Compare every field of every row with what the server holds."""
    rows = warehouse.rows()
    wanted = {key: as_in_postgres(recording) for key, recording in sandbox.latest().items()}
    assert rows.keys() == wanted.keys()
    for key, recording in wanted.items():
        assert {name: rows[key][name] for name in recording} == recording
        assert rows[key]["additionalFields"] is None
        assert rows[key]["nextCursorId"]


def cursor_queries(sandbox: Sandbox) -> list[dict[str, str]]:
    return [r.params for r in list(sandbox.requests) if r.path.endswith("/cursor")]


@pytest.mark.case(12, 15)
def test_recordings_get_into_postgres_and_later_only_what_is_new(
    meltano: Meltano, warehouse: Warehouse, sandbox: Sandbox
) -> None:
    pipeline = ("run", "tap-focus", "target-postgres")
    meltano.ok(*pipeline, **warehouse.environment)
    assert_holds(warehouse, sandbox)
    assert warehouse.column_types().items() >= {
        ("interactionId", "bigint"),
        ("startDatetimeUTC", "timestamp without time zone"),
        ("durationInSeconds", "numeric"),
        ("isPrivate", "boolean"),
        ("endpoints", "ARRAY"),
        ("legalHolds", "jsonb"),
        ("optional", "jsonb"),
        ("additionalFields", "jsonb"),
        ("nextCursorId", "text"),
    }

    state_id = "dev:tap-focus-to-target-postgres"
    state = json.loads(meltano.ok("state", "get", state_id))["singer_state"]
    bookmark = state["bookmarks"]["recordings"]
    assert bookmark.keys() == {"replication_key", "replication_key_value"}

    before = warehouse.rows()
    asked = len(cursor_queries(sandbox))
    sandbox.grow(200)
    meltano.ok(*pipeline, **warehouse.environment)
    assert_holds(warehouse, sandbox)
    new_queries = cursor_queries(sandbox)[asked:]
    assert new_queries[0]["cursorId"] == bookmark["replication_key_value"]
    updated = [
        key
        for key, row in warehouse.rows().items()
        if key in before and row["_sdc_batched_at"] > before[key]["_sdc_batched_at"]
    ]
    assert updated, "the sandbox updated no recording, so that replacing was not tried"
    assert len(updated) + len(warehouse.rows()) - len(before) <= 200

    asked = len(cursor_queries(sandbox))
    meltano.ok("run", "--full-refresh", *pipeline[1:], **warehouse.environment)
    assert_holds(warehouse, sandbox)
    assert cursor_queries(sandbox)[asked] == {"numberOfResults": "100"}


ODD_TEXTS = (
    "tab\tline\nreturn\r\\backslash\\n \\. \\N",
    '"quotes" and \'others\' {"a": [1]} {a,b} $1 %s',
    "é 😀 \u2028 \ufeff \x01 \x7f",
    "\\N",
    "NULL",
    "",
    " ",
)


def test_every_character_gets_into_postgres(warehouse: Warehouse, tmp_path: Path) -> None:
    """The loader's COPY has escapes of its own."""
    recordings: list[dict[str, Any]] = [
        {
            "interactionId": number,
            "startDatetimeUTC": "2025-05-01T09:01:10.956Z",
            "durationInSeconds": 123456789.123456,
            "transcriptSnippet": text,
            "endpoints": [{"person": None, "endpoint": {"endpoint": text}}, None],
            "tags": [*ODD_TEXTS, None],
            "legalHolds": {"a": [*ODD_TEXTS, None, True, 1.5]},
            "isPrivateReason": text,
            "optional": {text: text},
        }
        for number, text in enumerate(ODD_TEXTS)
    ]
    with Focus({None: page(recordings, "a"), "a": page([], "b")}) as focus:
        pipeline = ("run", "tap-focus", "target-postgres")
        Meltano(tmp_path, focus.settings).ok(*pipeline, **warehouse.environment)
    rows = warehouse.rows()
    assert len(rows) == len(recordings)
    for recording in recordings:
        row = rows[recording["interactionId"]]
        wanted = as_in_postgres({"endDatetimeUTC": None, "retainUntil": None, **recording})
        assert {name: row[name] for name in wanted} == wanted


def test_recordings_get_into_json_lines(meltano: Meltano, sandbox: Sandbox, tmp_path: Path) -> None:
    environment = {
        "TARGET_JSONL_DESTINATION_PATH": str(tmp_path / "out"),
        "TARGET_JSONL_DO_TIMESTAMP_FILE": "false",
    }
    meltano.ok("run", "tap-focus", "target-jsonl", **environment)
    lines = (tmp_path / "out" / "recordings.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    extra = ("additionalFields", "nextCursorId")
    assert [{k: v for k, v in row.items() if k not in extra} for row in rows] == sandbox.feed()


def test_the_sandbox_plugin_needs_no_setting(warehouse: Warehouse, tmp_path: Path) -> None:
    meltano = Meltano(tmp_path, {})
    sized = {"FOCUS_SANDBOX_RECORDS": "40", **warehouse.environment}
    meltano.ok("run", "tap-focus-sandbox", "target-postgres", **sized)
    assert 30 <= len(warehouse.rows()) <= 45


@pytest.mark.case(6)
def test_nothing_is_lost_when_meltano_is_killed_again_and_again(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    dice = random.Random(6)
    with Sandbox(records=400, seed=7, live_every=0, latency=0.05) as focus:
        meltano = Meltano(tmp_path, {**focus.settings, "page_size": 10})
        pipeline = ("run", "--force", "tap-focus", "target-postgres")
        environment = {**warehouse.environment, "TARGET_POSTGRES_BATCH_SIZE_ROWS": "60"}
        for _ in range(3):
            asked = len(cursor_queries(focus))
            enough = asked + dice.randint(2, 25)
            process = subprocess.Popen(
                [str(BIN / "meltano"), *pipeline],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=meltano.folder,
                env={**meltano.environment, **environment},
                start_new_session=True,
            )
            while process.poll() is None and len(cursor_queries(focus)) < enough:
                time.sleep(0.02)
            with suppress(ProcessLookupError):  # it may have come to the end
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        meltano.ok(*pipeline, **environment)
        assert_holds(warehouse, focus)


def test_the_audio_archive_has_a_manifest_in_the_warehouse_and_can_be_proven(
    meltano: Meltano, warehouse: Warehouse, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Two machines share the work, each with a state of its own."""
    environment = {**warehouse.environment, "TAP_FOCUS_MEDIA_PATH": str(tmp_path / "audio")}
    for part in ("1/2", "2/2"):
        meltano.ok(
            "run",
            f"--state-id-suffix=shard-{part[0]}",
            "tap-focus-media",
            "target-postgres",
            **environment,
            TAP_FOCUS_MEDIA_SHARD=part,
        )
    rows = warehouse.rows("recording_media")
    assert rows.keys() == sandbox.latest().keys()
    stored = [row for row in rows.values() if row["status"] == "stored"]
    assert len(stored) > 100
    files = [path for path in (tmp_path / "audio").rglob("*.mp3") if path.is_file()]
    assert sorted(row["uri"] for row in stored) == sorted(path.as_uri() for path in files)

    lines = "\n".join(json.dumps(row, default=str) for row in rows.values())
    verified = subprocess.run(
        [str(BIN / "tap-focus-media"), "verify", "--media-path", str(tmp_path / "audio")],
        check=False,
        capture_output=True,
        text=True,
        input=lines,
    )
    assert verified.returncode == 0, verified.stdout
    assert verified.stdout.startswith(f"{len(stored)} files right")


def test_selection_reaches_the_warehouse(
    meltano: Meltano, warehouse: Warehouse, sandbox: Sandbox
) -> None:
    select = json.dumps(["recordings.*", "!recordings.transcriptSnippet"])
    meltano.ok(
        "run", "tap-focus", "target-postgres", TAP_FOCUS__SELECT=select, **warehouse.environment
    )
    assert "transcriptSnippet" not in warehouse.column_types()
    assert warehouse.rows().keys() == sandbox.latest().keys()


def test_selecting_by_meltanos_command_changes_one_line(meltano: Meltano) -> None:
    project = meltano.folder / "meltano.yml"
    before = project.read_text("utf-8").splitlines()
    meltano.ok("select", "--exclude", "tap-focus", "recordings", "tags")
    after = project.read_text("utf-8").splitlines()
    assert [line for line in after if line not in before] == ["    - '!recordings.tags'"]
    assert len(after) == len(before) + 1


def test_meltano_can_test_the_settings(meltano: Meltano) -> None:
    assert "Plugin configuration is valid" in meltano.ok("config", "test", "tap-focus")
    wrong = meltano("config", "test", "tap-focus", TAP_FOCUS_API_KEY="wrong")
    assert wrong.returncode != 0


def test_meltano_hides_the_key(meltano: Meltano, sandbox: Sandbox) -> None:
    listed = meltano.ok("config", "list", "tap-focus")
    assert "api_key" in listed
    assert sandbox.settings["api_key"] not in listed


def test_the_project_file_fits_meltanos_own_schema() -> None:
    import meltano.schemas as schemas  # noqa: PLC0415, PLR0402

    (folder,) = schemas.__path__
    schema = json.loads((Path(folder) / "meltano.schema.json").read_text("utf-8"))
    project = YAML(typ="safe").load(ROOT / "meltano.yml")
    Draft202012Validator(schema).validate(project)
    assert project["send_anonymous_usage_stats"] is False
    assert {s["name"]: s["interval"] for s in project["schedules"]} == {
        "focus-hourly": "@hourly",
        "focus-audio-nightly": "@daily",
    }


def test_the_plugin_definition_can_be_added_to_a_project(tmp_path: Path) -> None:
    (tmp_path / "meltano.yml").write_text("send_anonymous_usage_stats: false\n")
    definition = str(ROOT / "tap-focus.hub.yml")
    done = subprocess.run(
        [str(BIN / "meltano"), "add", "--no-install", "tap-focus", "--from-ref", definition],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=tmp_path,
        env=clean_environment(),
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    project = YAML(typ="safe").load(tmp_path / "meltano.yml")
    (plugin,) = project["plugins"]["extractors"]
    settings = {setting["name"]: setting for setting in plugin["settings"]}
    assert settings["api_key"]["sensitive"] is True
    assert settings["client_id"]["kind"] == "integer"
