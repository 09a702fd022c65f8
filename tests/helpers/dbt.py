"""Run dbt on the models of `transform/`, and load recordings as the loaders store them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.helpers import SLOWNESS
from tests.helpers.runner import ROOT, clean_environment, run_command

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.helpers.runner import Run

    Rows = Iterable[dict[str, Any]]
    Form = Literal["arrays", "jsonb", "text"]

PROJECT = ROOT / "transform"

needs_dbt = pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="dbt 1.11 does not run on Python 3.14"
)

TEXTS = ("type", "transcriptSnippet", "thirdPartyId", "mediaAccessStatus", "nextCursorId")
TIMES = ("startDatetimeUTC", "endDatetimeUTC", "retainUntil")
TYPES = {
    "interactionId": "bigint",
    "commentsCount": "bigint",
    "durationInSeconds": "numeric",
    "isPrivate": "boolean",
    **dict.fromkeys(TEXTS, "text"),
    **dict.fromkeys(TIMES, "timestamp"),
}
JSON_COLUMNS = (
    *("endpoints", "analysis", "tags", "retentionGroupId", "legalHolds", "isPrivateReason"),
    *("dataGroups", "optional", "additionalFields"),
)
MEDIA_TYPES = {
    "interactionId": "bigint",
    "startDatetimeUTC": "timestamp",
    "sizeInBytes": "bigint",
    **dict.fromkeys(
        ("thirdPartyId", "type", "status", "uri", "contentType", "sha256", "error", "lockError"),
        "text",
    ),
    **dict.fromkeys(("fetchedAt", "retainUntil", "lockedUntil"), "timestamp"),
    "legalHolds": "jsonb",
    "previousFiles": "jsonb",
}


def connection_settings(url: str) -> dict[str, str]:
    """Return the settings of dbt-postgres for a database, as environment variables."""
    parts = urlsplit(url)
    host = parts.hostname or parse_qs(parts.query)["host"][0]
    return {
        "DBT_POSTGRES_HOST": host,
        "DBT_POSTGRES_PORT": str(parts.port or 5432),
        "DBT_POSTGRES_USER": parts.username or "",
        "DBT_POSTGRES_PASSWORD": parts.password or "",
        "DBT_POSTGRES_DBNAME": parts.path.removeprefix("/"),
    }


class Dbt:
    """The installed dbt of one adapter, with a separate folder for what it writes."""

    def __init__(self, folder: Path, adapter: str, **environment: str) -> None:
        self.program = ROOT / ".meltano" / "utilities" / f"dbt-{adapter}" / "venv" / "bin" / "dbt"
        self.environment = clean_environment(
            DBT_PROFILES_DIR=str(PROJECT),
            DBT_PROJECT_DIR=str(PROJECT),
            DBT_LOG_PATH=str(folder / "dbt"),
            DBT_SEND_ANONYMOUS_USAGE_STATS="false",
            DBT_TARGET=adapter,
            DBT_TARGET_PATH=str(folder / "dbt"),
            DBT_USE_COLORS="false",
            FOCUS_NOW="2025-03-05",
            **environment,
        )
        self.folder = folder

    def __call__(self, *arguments: str, **environment: str) -> str:
        """Run a command that must succeed, and return its output."""
        run = self._run(arguments, environment)
        assert run.exit_code == 0, run.out
        return run.out

    def fail(self, *arguments: str, **environment: str) -> str:
        """Run a command that must fail, and return its output."""
        run = self._run(arguments, environment)
        assert run.exit_code != 0, run.out
        return run.out

    def _run(self, arguments: tuple[str, ...], environment: dict[str, str]) -> Run:
        return run_command(
            str(self.program),
            *arguments,
            folder=self.folder,
            environment={**self.environment, **environment},
            timeout=120 * SLOWNESS,
        )


def load_recordings(
    url: str,
    schema: str,
    recordings: Rows,
    *,
    form: Form = "arrays",
    loaded_at: str = "2025-03-04 12:00",
) -> None:
    """Write recordings into a table as target-postgres does, replacing rows of the same key.

    Args:
        url: the database.
        schema: the schema, created if it is missing.
        recordings: the recordings, as Focus sends them.
        form: how arrays and objects are stored: as arrays of PostgreSQL, all as jsonb, or as
            text, which the tap's setting `json_text` causes.
        loaded_at: the loader's time.
    """
    types = {**TYPES, **dict.fromkeys(JSON_COLUMNS, "text" if form == "text" else "jsonb")}
    if form == "arrays":
        types |= {"endpoints": "jsonb[]", "analysis": "text[]", "tags": "text[]"}
    rows = []
    for recording in recordings:
        row = {name: recording.get(name) for name in types}
        for name in JSON_COLUMNS:
            value = row[name]
            if types[name] == "text[]":
                continue
            if types[name] == "jsonb[]":
                row[name] = value and [json.dumps(element) for element in value]
            elif form == "jsonb" or value is not None:  # target-postgres writes the JSON null
                row[name] = json.dumps(value)
        rows.append({**row, "_sdc_batched_at": loaded_at})
    _upsert(url, schema, "recordings", {**types, "_sdc_batched_at": "timestamp"}, rows)


def load_media(url: str, schema: str, rows: Rows) -> None:
    """Write rows of the manifest into a table, as target-postgres does."""
    encoded = [
        {
            **{name: row.get(name) for name in MEDIA_TYPES},
            "legalHolds": json.dumps(row.get("legalHolds")),
            "previousFiles": json.dumps(row.get("previousFiles")),
            "_sdc_batched_at": "2025-03-04 12:00",
        }
        for row in rows
    ]
    types = {**MEDIA_TYPES, "_sdc_batched_at": "timestamp"}
    _upsert(url, schema, "recording_media", types, encoded)


def _upsert(
    url: str, schema: str, name: str, types: dict[str, str], rows: list[dict[str, Any]]
) -> None:
    table = Identifier(schema, name)
    columns = SQL(", ").join(SQL("{} " + types[n]).format(Identifier(n)) for n in types)
    names = SQL(", ").join(map(Identifier, types))
    values = SQL(", ").join(SQL("%({})s::" + types[n]).format(SQL(n)) for n in types)
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(schema)))
        cursor.execute(
            SQL('CREATE TABLE IF NOT EXISTS {} ({}, PRIMARY KEY ("interactionId"))').format(
                table, columns
            )
        )
        cursor.executemany(
            SQL('DELETE FROM {} WHERE "interactionId" = %(interactionId)s').format(table), rows
        )
        cursor.executemany(
            SQL("INSERT INTO {} ({}) VALUES ({})").format(table, names, values), rows
        )


def read_tables(url: str, schema: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of all tables of a schema, as JSON values and in a fixed order."""
    with psycopg.connect(url) as connection:
        names = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", [schema]
        ).fetchall()
        tables = {}
        for (name,) in names:
            query = SQL("SELECT to_jsonb(t) FROM {} AS t").format(Identifier(schema, name))
            rows = [row for (row,) in connection.execute(query).fetchall()]
            tables[name] = sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))
    return tables
