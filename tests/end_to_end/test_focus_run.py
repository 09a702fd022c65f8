"""`focus-run` with stub plugins: exit codes, log, files, signals and two runs at a time."""

from __future__ import annotations

import os
import re
import signal
import stat
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.helpers import SLOWNESS, guarantee
from tests.helpers.runner import BIN
from tests.helpers.stub_project import MELTANO, PIPELINE, StubProject

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> StubProject:
    return StubProject(tmp_path)


@pytest.mark.parametrize(
    ("exits", "expected"),
    [
        ({}, 0),
        ({"STUB_TAP_EXIT": "75"}, 75),
        ({"STUB_TAP_EXIT": "78"}, 78),
        ({"STUB_TAP_EXIT": "-9"}, 137),
        ({"STUB_TARGET_EXIT": "1"}, 69),
        ({"STUB_TARGET_CRASH": "1"}, 69),
        ({"STUB_MODELS_EXIT": "2"}, 79),
    ],
)
def test_the_exit_code_says_what_failed_and_no_file_is_left(
    project: StubProject, exits: dict[str, str], expected: int
) -> None:
    run = project("--log-level=disabled", *PIPELINE, "models:build", **exits)

    assert run.exit_code == expected
    assert list(project.temporary.iterdir()) == []
    assert not (project.folder / ".meltano" / "run").exists()


@pytest.mark.parametrize("log_format", ["colored", "json", "plain"])
def test_the_log_is_that_of_meltano(project: StubProject, log_format: str) -> None:
    for _ in range(2):  # the first run creates the system database
        run = project(f"--log-format={log_format}", *PIPELINE, STUB_TAP_EXIT="78")
    plain = project.run(MELTANO, f"--log-format={log_format}", "run", *PIPELINE, STUB_TAP_EXIT="78")

    assert run.out == plain.out
    assert without_times(run.log) == without_times(plain.log)


def without_times(log: str) -> str:
    log = re.sub(r"\d{4}-\d\d-\d\d[T ][\d:.]+(Z|\+00:00)?", "TIME", log)
    # The format `plain` prints tracebacks, which also contain the files that start Meltano.
    log = re.sub(r'  File "(?!\S*/site-packages/).*\n(    .*\n)*', "", log)
    log = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "RUN", log)
    return re.sub(r"(duration_seconds\D{1,3}|timestamp\D{1,3})[\d.]+", r"\1N", log)


def test_a_logging_configuration_of_the_project_is_used(project: StubProject) -> None:
    (project.folder / "logging.yaml").write_text(
        "version: 1\n"
        "handlers: {file: {class: logging.FileHandler, filename: run.log}}\n"
        "root: {handlers: [file], level: INFO}\n"
    )
    run = project(*PIPELINE, STUB_TAP_EXIT="75")

    assert run.exit_code == 75
    assert "the tap's log" not in run.log
    assert "the tap's log" in (project.folder / "run.log").read_text()


def test_a_pipeline_that_is_running_already_is_a_transient_error(project: StubProject) -> None:
    with project.start_sleeping() as first:
        second = project(*PIPELINE)

        assert second.exit_code == 75
        assert first.poll() is None
        assert "--force" in second.log


@guarantee("isolate-runs")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_run_and_the_next_one_is_not_refused(
    project: StubProject, number: signal.Signals
) -> None:
    with project.start_sleeping() as process:
        process.send_signal(number)
        exit_code = process.wait(30)
    folders = list(project.temporary.iterdir())

    assert exit_code == 128 + number
    assert folders == []
    assert project(*PIPELINE).exit_code == 0


def test_two_interrupts_at_once_end_the_run_in_order(project: StubProject) -> None:
    """A terminal sends Ctrl-C to all processes, and focus-run passes it on."""
    with project.start_sleeping() as process:
        (meltano,) = psutil.Process(process.pid).children()
        meltano.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        exit_code = process.wait(30)

    assert exit_code == 130
    assert project(*PIPELINE).exit_code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
def test_after_sigkill_meltano_ends_and_the_next_run_deletes_the_files(
    project: StubProject,
) -> None:
    with project.start_sleeping() as process:
        (meltano,) = psutil.Process(process.pid).children()
        process.kill()
        meltano.wait(30)
    folders = list(project.temporary.iterdir())
    run = project(*PIPELINE)

    assert len(folders) == 1
    assert run.exit_code == 0
    assert list(project.temporary.iterdir()) == []


def test_the_files_of_a_running_run_are_not_deleted(project: StubProject) -> None:
    with project.start_sleeping():
        (folder,) = project.temporary.iterdir()
        other = project("--environment=prod", *PIPELINE)

        assert other.exit_code == 0
        assert folder.exists()


@guarantee("isolate-runs")
@pytest.mark.parametrize("first_round", [0, 5, 10, 15])
def test_two_runs_at_any_distance_never_take_each_other_s_state(
    project: StubProject, first_round: int
) -> None:
    """Twenty rounds in four parts. A part starts without a system database."""
    rounds = 5
    for number in range(first_round, first_round + rounds):
        first = project.start("--environment=dev", *PIPELINE)
        time.sleep(0.08 * number)  # up to 1.5 s, when the first tap has read its state
        second = project.start("--environment=prod", *PIPELINE)

        codes = (first.wait(60 * SLOWNESS), second.wait(60 * SLOWNESS))
        assert codes == (0, 0)

    for environment in ("dev", "prod"):
        assert project.state(environment) == {"environment": environment, "runs": rounds}


@guarantee("isolate-runs")
def test_only_its_user_can_read_the_files_of_a_run(project: StubProject) -> None:
    with project.start_sleeping():
        (folder,) = project.temporary.iterdir()
        files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
        with_key = [path for path in files if b"secret" in path.read_bytes()]
        modes = {path: path.stat().st_mode for path in [folder, *files]}

    assert with_key
    for path, mode in modes.items():
        assert not mode & (stat.S_IRWXG | stat.S_IRWXO), path


def test_a_missing_project_is_a_usage_error(project: StubProject) -> None:
    run = project("--cwd=/", *PIPELINE)

    assert run.exit_code == 2
    assert run.log.startswith("focus-run: no meltano.yml")


def test_the_project_and_the_home_can_be_read_only(project: StubProject) -> None:
    database = f"sqlite:///{project.temporary / 'system.db'}"
    assert project(*PIPELINE).exit_code == 0  # as `meltano install` does, it creates .meltano
    read_only = [project.folder / ".meltano", project.folder, project.home]
    for folder in read_only:
        folder.chmod(0o555)
    # Without this capability, root is subject to the modes, too.
    as_user = ("setpriv", "--bounding-set=-dac_override") if os.geteuid() == 0 else ()
    command = (*as_user, str(BIN / "focus-run"), *PIPELINE)
    refused = project.run(*as_user, "touch", f"{project.home}/file")
    runs = [project.run(*command, MELTANO_DATABASE_URI=database) for _ in range(2)]
    for folder in read_only:
        folder.chmod(0o755)

    assert refused.exit_code != 0
    assert [run.exit_code for run in runs] == [0, 0], runs[0].log
    assert [path.name for path in project.temporary.iterdir()] == ["system.db"]
