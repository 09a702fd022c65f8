"""The private PostgreSQL server, and the commands of `scripts/trial` that need no pipeline."""

from __future__ import annotations

import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg
import pytest

from scripts.postgres import PostgresError, run_postgres
from tests.helpers.runner import ROOT, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator


def private_folder(url: str) -> Path:
    """Return the folder that contains the server's socket."""
    return Path(url.partition("host=")[2].partition("&")[0])


def server_process(url: str) -> psutil.Process:
    lock_file = private_folder(url) / ".s.PGSQL.5432.lock"
    return psutil.Process(int(lock_file.read_text().splitlines()[0]))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TAP_FOCUS_API_KEY", "secret")
        with run_postgres() as url:
            yield url


def remove(folder: Path) -> None:
    """Delete a database's folder, which is a link to another folder when root runs the tests."""
    shutil.rmtree(folder.resolve())


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that keeps a database."""
    folder = tmp_path / "server"
    yield folder
    remove(folder)


def test_only_its_user_can_reach_the_server(url: str) -> None:
    private = private_folder(url)
    server = server_process(url)
    mode = private.stat().st_mode

    assert stat.S_IMODE(mode) == 0o700
    assert private.owner() == server.username()
    assert [c for c in server.net_connections("inet") if c.status == psutil.CONN_LISTEN] == []


def test_the_server_does_not_run_as_root(url: str) -> None:
    assert server_process(url).uids().effective != 0


def test_the_server_does_not_get_the_environment_of_its_caller(url: str) -> None:
    assert "TAP_FOCUS_API_KEY" not in server_process(url).environ()


def test_a_folder_keeps_the_database_and_the_folders_above_keep_their_modes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path is longer than a socket's may be."""
    home = tmp_path / ("home" * 30)
    home.mkdir(mode=0o700)
    monkeypatch.setenv("TMPDIR", str(home))
    folder = home / "server"
    with run_postgres(folder) as url, psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS number")

    with run_postgres(folder) as url, psycopg.connect(url) as connection:
        rows = connection.execute("SELECT number FROM kept").fetchall()

    assert rows == [(1,)]
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    remove(folder)


def test_an_interrupted_creation_of_the_database_is_repeated(folder: Path) -> None:
    with run_postgres(folder):
        pass
    data = folder.resolve() / "data"
    (data / "PG_VERSION").unlink()
    data.rename(data.with_name("data.new"))

    with run_postgres(folder) as url, psycopg.connect(url) as connection:
        rows = connection.execute("SELECT 1").fetchall()

    assert rows == [(1,)]


def test_a_pid_file_of_another_process_does_not_prevent_the_start(folder: Path) -> None:
    with run_postgres(folder):
        pass
    pid_file = folder.resolve() / "data" / "postmaster.pid"
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    pid_file.write_text(f"{bystander.pid}\n")

    with run_postgres(folder) as url, psycopg.connect(url) as connection:
        rows = connection.execute("SELECT 1").fetchall()

    assert rows == [(1,)]
    assert bystander.poll() is None
    bystander.communicate()


def test_the_output_of_a_server_that_does_not_start_is_in_the_error(folder: Path) -> None:
    with run_postgres(folder):
        pass
    with (folder.resolve() / "data" / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")

    with pytest.raises(PostgresError, match="no_such_setting"), run_postgres(folder):
        pass


class Trial:
    """`scripts/trial` in a separate folder, without `scripts/setup`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scripts").mkdir()
        for name in ("trial.py", "postgres.py", "questions.py", "dashboard.py", "dashboard.html"):
            shutil.copy(ROOT / "scripts" / name, folder / "scripts")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "scripts.trial", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            cwd=self.folder,
            env=clean_environment(),
            # The trial does not handle a signal that is ignored when it starts.
            preexec_fn=restore_signals,  # noqa: PLW1509
        )

    def serve(self) -> tuple[subprocess.Popen[str], str]:
        """Return a running `scripts/trial serve` and the URL that it printed."""
        process = self.start("serve")
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "postgresql://" in line, process.communicate()[1]
        return process, line.split()[-1]

    def run(self, *arguments: str) -> tuple[int, str, list[str]]:
        """Return the exit code, standard output and the lines of standard error."""
        process = self.start(*arguments)
        out, errors = process.communicate(timeout=60)
        return process.returncode, out, errors.splitlines()


def restore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    yield Trial(tmp_path)
    server = tmp_path / ".trial" / "server"
    if server.exists():
        remove(server)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_serve_and_its_server(trial: Trial, number: signal.Signals) -> None:
    process, url = trial.serve()
    server = server_process(url)
    with psycopg.connect(url):
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)

    assert process.returncode == 0
    assert errors == ""
    assert not server.is_running()
    assert not private_folder(url).exists()


def test_a_second_trial_says_that_one_is_running(trial: Trial) -> None:
    first, url = trial.serve()

    code, out, errors = trial.run("show")

    assert (code, out) == (1, "")
    assert len(errors) == 1
    assert f"process {first.pid}" in errors[0]
    psycopg.connect(url).close()
    first.terminate()
    first.communicate(timeout=60)


def test_a_trial_stops_the_server_that_a_killed_one_left_running(trial: Trial) -> None:
    killed, first_url = trial.serve()
    leftover = server_process(first_url)
    killed.kill()
    killed.communicate()

    second, url = trial.serve()

    assert not leftover.is_running()
    psycopg.connect(url).close()
    second.terminate()
    second.communicate(timeout=60)
    shutil.rmtree(private_folder(first_url))


def test_show_prints_a_table_and_a_chart(trial: Trial) -> None:
    server = trial.folder / ".trial" / "server"
    server.parent.mkdir()
    with run_postgres(server) as url, psycopg.connect(url) as connection:
        connection.execute("CREATE SCHEMA focus_dev")
        connection.execute(
            """CREATE TABLE focus_dev.recordings AS
               SELECT CASE WHEN n < 7 THEN 'phone' ELSE 'sms' END AS type,
                      CASE WHEN n < 7 THEN 1800.0 END AS "durationInSeconds",
                      timestamp '2025-01-31 12:00' + n * interval '6 hours' AS "startDatetimeUTC"
               FROM generate_series(0, 9) AS n"""
        )

    code, out, _ = trial.run("show")

    assert code == 0
    assert out.splitlines()[:10] == [
        "",
        "focus_dev.recordings",
        "  type        recordings     hours  from        to",
        "  █ phone              7       3.5  2025-01-31  2025-02-02",
        "  ▓ sms                3         0  2025-02-02  2025-02-02",
        "",
        "Recordings per day, the last 14 days with recordings",
        "  Fri 2025-01-31  ██ 2",
        "  Sat 2025-02-01  ████ 4",
        "  Sun 2025-02-02  ▓▓▓█ 4",
    ]


MODELS = """
    CREATE SCHEMA focus_dev;
    CREATE TABLE focus_dev.recordings AS
    SELECT 'phone' AS type, 60.0 AS "durationInSeconds",
           timestamp '2025-01-31 12:00' AS "startDatetimeUTC";
    CREATE SCHEMA focus_dev_models;
    CREATE TABLE focus_dev_models.focus__daily_activity AS
    SELECT date '2025-01-31' AS activity_date, 'phone' AS channel, 'person-1' AS person_key,
           'Ann' AS display_name, true AS is_internal, 2 AS recordings_count, 2 AS recorded_count,
           1 AS external_count, 9000.0 AS duration_seconds, 5400.0 AS external_duration_seconds;
    CREATE TABLE focus_dev_models.focus__recordings AS SELECT 9 AS hour_of_day;
    CREATE TABLE focus_dev_models.focus__retention AS
    SELECT * FROM (VALUES
        ('due', timestamp '2025-02-01 09:00'), ('retained', '2025-06-01'), ('held', '2025-01-01')
    ) AS retention (retention_status, retain_until)
"""


def test_show_answers_questions_and_dashboard_writes_a_page(trial: Trial) -> None:
    server = trial.folder / ".trial" / "server"
    server.parent.mkdir()
    with run_postgres(server) as url, psycopg.connect(url) as connection:
        connection.execute(MODELS)

    shown, out, _ = trial.run("show")
    written, path, _ = trial.run("dashboard")

    assert (shown, written) == (0, 0)
    assert "           1     1.5  Ann" in out
    assert "  09:00  █ 1" in out
    assert "1 recordings. The next deletion is on 2025-02-01. Legal holds keep 1 others." in out
    page = Path(path.split(": ", 1)[1].strip())
    assert "person-1" in page.read_text("utf-8")


def test_dashboard_without_models_says_what_to_do(trial: Trial) -> None:
    code, out, errors = trial.run("dashboard")

    assert (code, out) == (1, "")
    assert len(errors) == 1
    assert errors[0].startswith("The models are missing.")


def test_show_without_a_table_says_what_to_do(trial: Trial) -> None:
    code, out, errors = trial.run("show")

    assert (code, out) == (1, "")
    assert errors == ["The database is empty. Run scripts/trial first."]


def test_an_unknown_command_prints_the_usage(trial: Trial) -> None:
    code, _, errors = trial.run("sho")

    assert code == 2
    assert any(line.startswith("usage:") for line in errors)


def test_psql_gets_its_arguments_and_returns_its_exit_code(trial: Trial) -> None:
    answered = trial.run("psql", "--no-psqlrc", "-Atc", "SELECT 6 * 7")
    failed = trial.run("psql", "--no-psqlrc", "-c", "SELECT no_such_column")

    assert answered[:2] == (0, "42\n")
    assert failed[0] == 1
