"""Meltano projects that use the plugins of this checkout, and the warehouse that they load."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from tests.helpers import SLOWNESS
from tests.helpers.runner import BIN, ROOT, Run, clean_environment, run_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tap_focus.sandbox import Sandbox

MELTANO = str(BIN / "meltano")

DATE_TIMES = ("startDatetimeUTC", "endDatetimeUTC", "retainUntil")


class Meltano:
    """A copy of the checkout's Meltano project that uses the plugins of the checkout."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        (folder / "meltano.yml").write_text((ROOT / "meltano.yml").read_text("utf-8"), "utf-8")
        (folder / ".meltano").mkdir()
        for kind in ("extractors", "loaders"):
            (folder / ".meltano" / kind).symlink_to(ROOT / ".meltano" / kind)
        self.environment = clean_environment(
            NO_COLOR="1",
            **{f"TAP_FOCUS_{name.upper()}": str(value) for name, value in settings.items()},
        )

    def __call__(self, *arguments: str, **environment: str) -> Run:
        """Run a command of Meltano."""
        return run_command(
            MELTANO,
            *arguments,
            folder=self.folder,
            environment={**self.environment, **environment},
            timeout=300 * SLOWNESS,
        )

    def run(self, *arguments: str, **environment: str) -> str:
        """Run a command that must succeed, and return its output."""
        run = self(*arguments, **environment)
        assert run.exit_code == 0, run.log
        return run.out


class Warehouse:
    """A database schema for one test."""

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

    def has_rows(self, table: str) -> bool:
        with self.connect() as connection:
            found = connection.execute(
                "SELECT to_regclass(%s) AS name", [f"{self.schema}.{table}"]
            ).fetchone()
        return bool(found and found["name"]) and bool(self.rows(table))

    def column_types(self) -> dict[str, str]:
        query = """SELECT column_name, data_type FROM information_schema.columns
                   WHERE table_schema = %s AND table_name = 'recordings'"""
        with self.connect() as connection:
            rows = connection.execute(query, [self.schema]).fetchall()
        return {row["column_name"]: row["data_type"] for row in rows}


def as_in_postgres(recording: dict[str, Any]) -> dict[str, Any]:
    """Return a recording as psycopg reads it from the database."""
    row = dict(recording)
    for name in DATE_TIMES:
        if row[name] is not None:
            row[name] = datetime.fromisoformat(row[name]).replace(tzinfo=None)
    if row["durationInSeconds"] is not None:
        row["durationInSeconds"] = Decimal(str(row["durationInSeconds"]))
    return row


def assert_complete(warehouse: Warehouse, sandbox: Sandbox) -> None:
    """Expect every field of the last version of every recording."""
    rows = warehouse.rows()
    expected = {key: as_in_postgres(recording) for key, recording in sandbox.latest().items()}
    assert rows.keys() == expected.keys()
    for key, recording in expected.items():
        assert {name: rows[key][name] for name in recording} == recording
        assert rows[key]["additionalFields"] is None
        assert rows[key]["nextCursorId"]
