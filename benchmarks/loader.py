"""Measure whole pipelines from the tap into PostgreSQL.

Each pipeline loads the same feed into a PostgreSQL server from a wheel. The pipelines take turns,
round by round, and medians count. After each run, the table must have one row for each recording. A
run on an empty feed measures start-up alone.

The measurements go to loader.json. LOADER.md is generated from it (loader_report.py). A full run
takes about seven minutes. --quick takes about one, prints the report and writes no file.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import loader_report
import msgspec
import psycopg
from feed_server import Feed, serve
from loader_report import Pipeline, Results
from processes import ACCOUNT, BIN, TAP, describe_machine, discover_catalog, server_process
from psycopg.sql import SQL, Identifier

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))  # a script's own folder is on the path, the project's is not

from scripts.postgres import run_postgres  # noqa: E402

MELTANO = [str(BIN / "meltano"), "--environment=prod"]
TARGET = ROOT / ".meltano" / "loaders" / "target-postgres" / "venv" / "bin" / "target-postgres"
KEY = "interactionId"
PAGE_SIZE = 1000
FEEDS = ("full", "empty")

LOADER_DEFAULTS = {"use_copy": False, "validate_records": True, "batch_size_rows": 10_000}
"""Defaults of target-postgres that meltano.yml changes."""

BATCH_SIZE = 5_000
"""Rows that the loader commits at once: `_load_batch_size` of tap-focus in meltano.yml."""

SQL_TYPES = {"integer": "bigint", "number": "numeric", "boolean": "boolean", "string": "text"}
"""Types of columns for the COPY without a loader. All others are jsonb."""


class Size(NamedTuple):
    """Amount of work."""

    recordings: int
    rounds: int


FULL, QUICK = Size(100_000, 2), Size(10_000, 1)


class Bench:
    """Runs pipelines from a feed into a database."""

    def __init__(self, folder: Path, database_url: str, server_url: str) -> None:
        """Write the tap's output for each feed to a file.

        Args:
            folder: Folder for settings and files.
            database_url: URL of the PostgreSQL server.
            server_url: Base URL of the feeds "full" and "empty".
        """
        self._folder = folder
        self._database_url = database_url
        self._server_url = server_url
        command = [*MELTANO, "config", "print", "target-postgres"]
        self._target_settings: dict[str, Any] = {
            **json.loads(self._run(command, stdout=subprocess.PIPE)),
            "sqlalchemy_url": database_url.replace("postgresql://", "postgresql+psycopg://", 1),
            "batch_size_rows": BATCH_SIZE,
        }
        self._expected_rows = {}
        for feed in FEEDS:
            with self._messages(feed).open("wb") as messages:
                self._run(self._tap_command(feed), stdout=messages)
            self._write_with_items(feed)
            self._expected_rows[feed] = _count_recordings(self._messages(feed))

    def measure(self, pipeline: Callable[[str, str], None], feed: str) -> float:
        """Run a pipeline into a new schema and return the wall seconds.

        Raises:
            SystemExit: The table does not have one row for each recording.
        """
        schema = f"bench_{uuid4().hex}"
        started_at = time.monotonic()
        pipeline(feed, schema)
        wall = time.monotonic() - started_at
        with psycopg.connect(self._database_url) as connection:
            query = SQL("SELECT count(*) FROM {}").format(Identifier(schema, "recordings"))
            row = connection.execute(query).fetchone()
            connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(schema)))
        if row != (self._expected_rows[feed],):
            sys.exit(f"Expected {self._expected_rows[feed]:,} rows from feed {feed!r}, found {row}")
        return round(wall, 2)

    def loader(self, feed: str, schema: str) -> None:
        """Run the loader alone on a file of messages."""
        with self._messages(feed).open("rb") as messages:
            self._run(self._target_command(schema), stdin=messages)

    def loader_defaults_with_items(self, feed: str, schema: str) -> None:
        """Run the loader with its defaults on messages whose schema describes array items."""
        with self._messages(f"{feed}-items").open("rb") as messages:
            self._run(self._target_command(schema, **LOADER_DEFAULTS), stdin=messages)

    def copy(self, feed: str, schema: str) -> None:
        """Load the records of a file of messages by COPY, without a loader."""
        with self._messages(feed).open("rb") as lines:
            messages = [*map(msgspec.json.decode, lines)]
        columns: dict[str, Any] = messages[0]["schema"]["properties"]
        types = [_sql_type(column) for column in columns.values()]
        records = {m["record"][KEY]: m["record"] for m in messages if m["type"] == "RECORD"}
        table = Identifier(schema, "recordings")
        names = SQL(", ").join(map(Identifier, columns))
        definitions = SQL(", ").join(
            SQL("{} {}").format(Identifier(name), SQL(kind))
            for name, kind in zip(columns, types, strict=True)
        )
        with psycopg.connect(self._database_url) as connection:
            connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
            connection.execute(
                SQL("CREATE TABLE {} ({}, PRIMARY KEY ({}))").format(
                    table, definitions, Identifier(KEY)
                )
            )
            statement = SQL("COPY {} ({}) FROM STDIN").format(table, names)
            with connection.cursor().copy(statement) as copy:
                for record in records.values():
                    copy.write_row(
                        [
                            msgspec.json.encode(record[name]).decode()
                            if kind == "jsonb"
                            else record[name]
                            for name, kind in zip(columns, types, strict=True)
                        ]
                    )

    def shell_pipe(self, feed: str, schema: str) -> None:
        """Run `tap-focus | target-postgres`."""
        tap = shlex.join(self._tap_command(feed))
        target = shlex.join(self._target_command(schema))
        self._run(["bash", "-c", f"set -o pipefail; {tap} | {target}"])

    def meltano(self, feed: str, schema: str, **variables: Any) -> None:
        """Run `meltano run` with the settings of meltano.yml, and further variables if given."""
        environment = {
            **{f"TAP_FOCUS_{name}": value for name, value in self._tap_settings(feed).items()},
            "TARGET_POSTGRES_SQLALCHEMY_URL": self._target_settings["sqlalchemy_url"],
            "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": schema,
            "MELTANO_DATABASE_URI": f"sqlite:///{self._folder}/{schema}.db",
            **variables,
        }
        variables = {name.upper(): str(value) for name, value in environment.items()}
        command = [*MELTANO, "run", "tap-focus", "target-postgres"]
        self._run(command, env={**os.environ, **variables})

    def meltano_batch(self, feed: str, schema: str) -> None:
        """Run `meltano run` with batch files."""
        batch = {
            "encoding": {"format": "jsonl", "compression": "gzip"},
            "storage": {"root": f"file://{self._folder}/{schema}"},
        }
        self.meltano(feed, schema, TAP_FOCUS_BATCH_CONFIG=json.dumps(batch))

    def meltano_loader_defaults(self, feed: str, schema: str) -> None:
        """Run `meltano run` with the defaults of the loader."""
        settings = {f"TARGET_POSTGRES_{name}": value for name, value in LOADER_DEFAULTS.items()}
        self.meltano(feed, schema, **settings)

    def _run(
        self, command: list[str], *, stdout: Any = subprocess.DEVNULL, **options: Any
    ) -> bytes:
        """Run a command in the project's folder; return its output if `stdout` is a pipe."""
        result = subprocess.run(
            command, check=True, cwd=ROOT, stdout=stdout, stderr=subprocess.DEVNULL, **options
        )
        return result.stdout or b""

    def _messages(self, feed: str) -> Path:
        """Return the file with the tap's output for a feed."""
        return self._folder / f"{feed}.jsonl"

    def _tap_settings(self, feed: str) -> dict[str, Any]:
        return {**ACCOUNT, "api_url": self._server_url + feed, "page_size": PAGE_SIZE}

    def _tap_command(self, feed: str) -> list[str]:
        path = self._folder / f"tap-{feed}.json"
        path.write_text(json.dumps(self._tap_settings(feed)), encoding="utf-8")
        return [str(TAP), "--config", str(path)]

    def _write_with_items(self, feed: str) -> None:
        """Copy a file of messages with the catalog's schema, in which arrays have `items`."""
        catalog = discover_catalog(TAP)
        (stream,) = [s for s in catalog["streams"] if s["tap_stream_id"] == "recordings"]
        with (
            self._messages(feed).open("rb") as lines,
            self._messages(f"{feed}-items").open("wb") as copy,
        ):
            message = msgspec.json.decode(next(lines))
            copy.write(msgspec.json.encode({**message, "schema": stream["schema"]}) + b"\n")
            shutil.copyfileobj(lines, copy)

    def _target_command(self, schema: str, **changes: Any) -> list[str]:
        path = self._folder / "target.json"
        settings = {**self._target_settings, "default_target_schema": schema, **changes}
        path.write_text(json.dumps(settings), encoding="utf-8")
        return [str(TARGET), "--config", str(path)]


def measure(bench: Bench, size: Size) -> Results:
    """Run every pipeline on both feeds, round by round."""
    pipelines = {
        Pipeline.LOADER: bench.loader,
        Pipeline.SHELL: bench.shell_pipe,
        Pipeline.MELTANO: bench.meltano,
        Pipeline.BATCH: bench.meltano_batch,
        Pipeline.LOADER_DEFAULTS: bench.meltano_loader_defaults,
        Pipeline.ITEMS: bench.loader_defaults_with_items,
        Pipeline.COPY: bench.copy,
    }
    results = Results(
        date=f"{datetime.now(timezone.utc):%Y-%m-%d}",
        machine=describe_machine(),
        recordings=size.recordings,
        page_size=PAGE_SIZE,
        load_averages=[round(os.getloadavg()[0], 1)],
    )
    for number in range(1, size.rounds + 1):
        for pipeline, run in pipelines.items():
            timings = results.of(pipeline)
            timings.full.append(bench.measure(run, "full"))
            timings.empty.append(bench.measure(run, "empty"))
            print(
                f"round {number}: {pipeline.name}: {timings.full[-1]:.1f} s, "
                f"start-up {timings.empty[-1]:.1f} s",
                flush=True,
            )
    # Without load from other work it is about 2, and only then are the ratios reliable.
    results.load_averages.append(round(os.getloadavg()[0], 1))
    return results


def _sql_type(column: dict[str, Any]) -> str:
    """Return the type of PostgreSQL for a column of the tap."""
    kinds = [kind for kind in column["type"] if kind != "null"]
    if "format" in column:
        return "timestamp"
    return SQL_TYPES.get(kinds[0], "jsonb") if len(kinds) == 1 else "jsonb"


def _count_recordings(messages: Path) -> int:
    """Return the number of different recordings in a file of Singer messages."""
    with messages.open("rb") as lines:
        decoded = map(msgspec.json.decode, lines)
        return len({m["record"][KEY] for m in decoded if m["type"] == "RECORD"})


def main() -> None:
    """Measure, and write or print the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the recordings, one round")
    parser.add_argument("--rounds", type=int, help="runs of each pipeline")
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    size = Size(size.recordings, options.rounds or size.rounds)

    install = [*MELTANO, "--log-level=warning", "install", "tap-focus", "target-postgres"]
    subprocess.run(install, check=True, cwd=ROOT)
    feeds = {"full": Feed(size.recordings // PAGE_SIZE), "empty": Feed(0)}
    first_connection = multiprocessing.Value("d", 0.0)
    server = partial(serve, size.recordings, PAGE_SIZE, feeds, first_connection)
    with tempfile.TemporaryDirectory() as name, server_process(server) as info:
        folder = Path(name)
        with run_postgres() as database_url:
            results = measure(Bench(folder, database_url, info.url), size)
    print(loader_report.markdown(results))
    if not options.quick:
        loader_report.save(results)


if __name__ == "__main__":
    main()
