"""Measure the build of the models over 1,000,000 recordings, on PostgreSQL and DuckDB.

usage: python benchmarks/models.py [RECORDINGS]

The recordings are those of the sandbox, repeated with other IDs and later weeks. The results are
in MODELS.md. The tests' helpers run dbt, so `scripts/test` or `meltano install` comes first.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TAP_FOCUS_TEST_SLOWNESS", "30")  # the helpers limit how long dbt runs

from scripts.postgres import run_postgres  # noqa: E402
from tap_focus.sandbox import Sandbox  # noqa: E402
from tests.helpers.dbt import Dbt, connection_settings, load_recordings  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

SANDBOX_RECORDINGS = 10_000
WEEKS = 40  # that SANDBOX_RECORDINGS cover; each repetition is later by this

COPY = """
    INSERT INTO raw.recordings
    SELECT (jsonb_populate_record(r, jsonb_build_object(
        'interactionId', r."interactionId" + %(n)s * 1000000,
        'startDatetimeUTC', r."startDatetimeUTC" + %(n)s * interval '40 weeks',
        'endDatetimeUTC', r."endDatetimeUTC" + %(n)s * interval '40 weeks'))).*
    FROM raw.recordings AS r WHERE r."interactionId" < 1000000"""


def main(arguments: list[str]) -> int:
    """Run both databases and print a table."""
    count = int(arguments[0]) if arguments else 1_000_000
    with Sandbox(records=SANDBOX_RECORDINGS, live_every=0) as sandbox:
        recordings = list(sandbox.latest().values())
    repetitions = -(-count // len(recordings))
    print(f"{repetitions * len(recordings):,} recordings. Load average {os.getloadavg()[0]:.1f}.")
    print("\n| Build | Seconds |\n| --- | ---: |")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        measure_postgres(recordings, repetitions, Path(name))
        measure_duckdb(recordings, repetitions, Path(name))
    return 0


def measure_postgres(recordings: list[dict[str, Any]], repetitions: int, folder: Path) -> None:
    """Measure a full build, one without changes, and one after an update."""
    with run_postgres() as url:
        load_recordings(url, "raw", recordings)
        with psycopg.connect(url, autocommit=True) as connection:
            for n in range(1, repetitions):
                connection.execute(COPY, {"n": n})
            connection.execute("ANALYZE raw.recordings")
            settings = {"FOCUS_SCHEMA": "raw", "DBT_POSTGRES_SCHEMA": "models"}
            dbt = Dbt(folder, "postgres", **connection_settings(url), **settings)
            dbt("parse")
            measure("PostgreSQL, from nothing", dbt)
            measure("PostgreSQL, again, nothing changed", dbt)
            connection.execute(
                """UPDATE raw.recordings SET _sdc_batched_at = now()
                   WHERE "interactionId" % 100 = 0"""
            )
            measure("PostgreSQL, again, 1 % updated", dbt)


def measure_duckdb(recordings: list[dict[str, Any]], repetitions: int, folder: Path) -> None:
    """Measure a build from one file of JSON lines."""
    path = folder / "recordings-20250101T000000.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for n in range(repetitions):
            file.writelines(later(recordings, n))
    files = {"DBT_DUCKDB_PATH": str(folder / "focus.duckdb"), "FOCUS_FILES": str(path)}
    dbt = Dbt(folder, "duckdb", **files)
    dbt("parse")
    measure(f"DuckDB, from {path.stat().st_size / 1e9:.1f} GB of JSON lines", dbt)


def later(recordings: list[dict[str, Any]], n: int) -> Iterator[str]:
    """Yield the recordings as lines, with other IDs and later by n times 40 weeks."""
    for recording in recordings:
        start = datetime.fromisoformat(recording["startDatetimeUTC"].replace("Z", "+00:00"))
        moved = {
            **recording,
            "interactionId": recording["interactionId"] + n * 1_000_000,
            "startDatetimeUTC": (start + timedelta(weeks=n * WEEKS)).isoformat(),
        }
        yield json.dumps(moved, ensure_ascii=False) + "\n"


def measure(label: str, dbt: Dbt) -> None:
    """Print how long `dbt run` takes, and each of its models, the slowest first."""
    started = time.perf_counter()
    output = dbt("run")
    seconds = time.perf_counter() - started
    print(f"| {label} | {seconds:.0f} |", flush=True)
    models = re.findall(r"OK created .* model \S+?\.(\S+) .*\[(.*) in (\d+\.\d+)s\]", output)
    slowest = sorted(models, key=lambda model: -float(model[2]))
    print(
        "  ",
        ", ".join(f"{name} {took} s ({rows})" for name, rows, took in slowest),
        file=sys.stderr,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
