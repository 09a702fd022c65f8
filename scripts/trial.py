"""Load the sandbox's recordings into a local PostgreSQL, build the models, and show the result.

usage: scripts/trial            run the pipeline, then print a chart and answers from the models
       scripts/trial show       print them again
       scripts/trial dashboard  write a page with the daily activity, and open it in a browser
       scripts/trial psql       open psql on the database (further arguments go to psql)
       scripts/trial serve      keep the database running for other clients until Ctrl-C
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import webbrowser
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from scripts import questions
from scripts.dashboard import write_dashboard
from scripts.postgres import PSQL, PostgresError, run_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".trial"
TABLE = "focus_dev.recordings"

HAS_DBT = sys.version_info < (3, 14)
"""Whether dbt 1.11 runs on this Python, and so the trial builds the models."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CALL_STOP_SECONDS = 10

CHART_DAYS = 14
BAR_WIDTH = 60
"""The length of the longest bar, in characters."""

BAR_CHARACTERS = "█▓▒░▞▚▤▥#=+-"
"""One for each type. Further types share the last one."""


def main(arguments: list[str]) -> int:
    """Run the command and return the exit code."""
    command = arguments[0] if arguments else "run"
    if command in {"-h", "--help"}:
        print(__doc__)
        return 0
    if command not in {*COMMANDS, "psql"}:
        print(__doc__, file=sys.stderr)
        return 2
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, stop)
    FOLDER.mkdir(exist_ok=True)
    try:
        with lock(FOLDER / "lock"), run_postgres(FOLDER / "server") as url:
            if command == "psql":
                return psql(url, arguments[1:])
            return COMMANDS[command](url)
    except (AlreadyRunningError, PostgresError) as error:
        print(f"scripts/trial: {error}", file=sys.stderr)
        return 1


def stop(number: int, _frame: object) -> None:
    """End the program, and let nothing interrupt the shutdown of PostgreSQL."""
    for other in STOP_SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise SystemExit(128 + number)


class AlreadyRunningError(Exception):
    """Another trial uses the database of this checkout."""


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, which the system releases when the process ends.

    Raises:
        AlreadyRunningError: Another process has the lock.
    """
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            message = (
                f"another trial is running in this checkout (process {file.read().strip()}). "
                "Wait for it, or stop it first."
            )
            raise AlreadyRunningError(message) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def call(command: list[str], **options: Any) -> int:
    """Run a command and return its exit code. A signal ends the command, too."""
    process = subprocess.Popen(command, **options)
    try:
        return process.wait()
    except SystemExit:
        process.terminate()
        try:
            process.wait(CALL_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        raise


def psql(url: str, arguments: list[str]) -> int:
    """Run psql and return its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C cancels a query in psql
    return call([str(PSQL), url, *arguments])


def serve(url: str) -> int:
    """Wait for a signal to stop, and return the exit code."""
    try:
        print(f"PostgreSQL is running until Ctrl-C: {url}", flush=True)
        while True:
            signal.pause()
    except SystemExit:
        return 0


def run(url: str) -> int:
    """Run the pipeline, print its result, and return the exit code."""
    with psycopg.connect(url, autocommit=True) as connection:
        count_before = count_recordings(connection)
        (started_at,) = fetch_row(connection, "SELECT now() AT TIME ZONE 'utc'")
        failed = run_pipeline(url, full_refresh=not count_before)
        if failed:
            return failed
        print(run_summary(connection, count_before, started_at))
    return show(url)


def show(url: str) -> int:
    """Print the table and the chart, and return the exit code."""
    with psycopg.connect(url, autocommit=True) as connection:
        if not count_recordings(connection):
            print("The database is empty. Run scripts/trial first.", file=sys.stderr)
            return 1
        print(recordings_by_type(connection))
        print(recordings_by_day(connection))
        if questions.are_built(connection):
            print(questions.answers(connection))
    print("\nRun it again to load new recordings only. To look around: scripts/trial psql")
    print("To see the activity of each day in a browser: scripts/trial dashboard")
    return 0


def dashboard(url: str) -> int:
    """Write the page with the daily activity, open it, and return the exit code."""
    page = FOLDER / "dashboard.html"
    with psycopg.connect(url, autocommit=True) as connection:
        if not questions.are_built(connection):
            advice = "Run scripts/trial first" if HAS_DBT else "dbt needs Python 3.13 or earlier"
            print(f"The models are missing. {advice}.", file=sys.stderr)
            return 1
        write_dashboard(connection, page)
    is_open = has_display() and webbrowser.open(page.resolve().as_uri())
    print(f"{'Opened' if is_open else 'Open this file in a browser:'} {page.resolve()}")
    return 0


def has_display() -> bool:
    """Return whether a browser can open a window. Without one, only a text browser would start."""
    return sys.platform == "darwin" or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())


def run_pipeline(url: str, *, full_refresh: bool) -> int:
    """Run `meltano run` as a user would, and return its exit code.

    An empty database needs a full refresh: the state of an earlier one would skip recordings.
    """
    options = ["--state-id-suffix=trial", *(["--full-refresh"] if full_refresh else [])]
    command = ["meltano", "run", *options, "tap-focus-sandbox", "target-postgres"]
    if HAS_DBT:
        command.append("dbt-postgres:run")
    print("$", *command, flush=True)
    environment = {
        **os.environ,
        "MELTANO_ENVIRONMENT": "dev",
        "TARGET_POSTGRES_SQLALCHEMY_URL": url.replace("postgresql:", "postgresql+psycopg:", 1),
        "DBT_POSTGRES_HOST": url.partition("host=")[2].partition("&")[0],
        "DBT_POSTGRES_USER": "postgres",
        "DBT_POSTGRES_DBNAME": "postgres",
        "DBT_USE_COLORS": "false",
    }
    meltano = str(Path(sys.executable).parent / command[0])
    return call([meltano, *command[1:]], env=environment, cwd=ROOT)


Connection = psycopg.Connection[tuple[Any, ...]]


def fetch_row(connection: Connection, query: str, *parameters: object) -> tuple[Any, ...]:
    """Return the only row of a query's result."""
    (row,) = connection.execute(query, parameters).fetchall()
    return row


def count_recordings(connection: Connection) -> int:
    """Return the number of rows, or 0 if there is no table."""
    (table,) = fetch_row(connection, "SELECT to_regclass(%s)", TABLE)
    if table is None:
        return 0
    (count,) = fetch_row(connection, f"SELECT count(*) FROM {TABLE}")  # noqa: S608
    return int(count)


def run_summary(connection: Connection, count_before: int, started_at: datetime) -> str:
    """Return how many recordings the run added and updated."""
    added = count_recordings(connection) - count_before
    (written,) = fetch_row(
        connection,
        f"SELECT count(*) FROM {TABLE} WHERE _sdc_batched_at >= %s",  # noqa: S608
        started_at,
    )
    return f"\nThis run added {added:,} recordings and updated {written - added:,}."


def recordings_by_type(connection: Connection) -> str:
    """Return a table with one line per type."""
    rows = connection.execute(
        f"""SELECT type, count(*), round(sum("durationInSeconds") / 3600, 1),
                   min("startDatetimeUTC")::date, max("startDatetimeUTC")::date
            FROM {TABLE} GROUP BY type ORDER BY count(*) DESC, type"""  # noqa: S608
    ).fetchall()
    bars = bar_characters(connection)
    lines = [f"\n{TABLE}", f"  {'type':10}  {'recordings':>10}  {'hours':>8}  {'from':10}  to"]
    for recording_type, count, hours, first, last in rows:
        label = f"{bars[recording_type]} {recording_type}"
        lines.append(f"  {label:10}  {count:10,}  {hours or 0:8,}  {first}  {last}")
    return "\n".join(lines)


def recordings_by_day(connection: Connection) -> str:
    """Return a bar chart with one line per day."""
    rows = connection.execute(
        f"""SELECT "startDatetimeUTC"::date AS day, type, count(*)
            FROM {TABLE} GROUP BY day, type ORDER BY day, count(*) DESC, type"""  # noqa: S608
    ).fetchall()
    bars = bar_characters(connection)
    days = [(day, list(group)) for day, group in groupby(rows, key=itemgetter(0))][-CHART_DAYS:]
    totals = {day: sum(count for _, _, count in group) for day, group in days}
    per_character = max(1, -(-max(totals.values()) // BAR_WIDTH))
    lines = [f"\nRecordings per day, the last {CHART_DAYS} days with recordings"]
    for day, group in days:
        bar = "".join(bars[kind] * round(count / per_character) for _, kind, count in group)
        lines.append(f"  {day:%a %Y-%m-%d}  {bar} {totals[day]}")
    return "\n".join(lines)


def bar_characters(connection: Connection) -> dict[str, str]:
    """Return the character for each type, the most frequent type first."""
    rows = connection.execute(
        f"SELECT type FROM {TABLE} GROUP BY type ORDER BY count(*) DESC, type"  # noqa: S608
    ).fetchall()
    last = len(BAR_CHARACTERS) - 1
    return {name: BAR_CHARACTERS[min(i, last)] for i, (name,) in enumerate(rows)}


COMMANDS = {"run": run, "show": show, "dashboard": dashboard, "serve": serve}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
