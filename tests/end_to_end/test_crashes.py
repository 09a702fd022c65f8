"""Kill any process of a pipeline, and retry as an engine does: every recording arrives."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import psutil
import pytest

from tap_focus.sandbox import Sandbox
from tests.helpers import SLOWNESS, guarantee
from tests.helpers.meltano import Meltano, Warehouse, assert_complete
from tests.helpers.runner import BIN, run_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOCUS_RUN = str(BIN / "focus-run")
TRANSIENT = 75


class Pipeline:
    """`focus-run tap-focus target-postgres` in a project, with a folder for temporary files."""

    def __init__(self, folder: Path, sandbox: Sandbox, warehouse: Warehouse) -> None:
        self.sandbox = sandbox
        project = folder / "project"
        project.mkdir()
        self.meltano = Meltano(project, {**sandbox.settings, "page_size": 10})
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.environment = {
            **self.meltano.environment,
            **warehouse.environment,
            "TARGET_POSTGRES_BATCH_SIZE_ROWS": "60",
            "TMPDIR": str(self.temporary),
        }
        self.command = (FOCUS_RUN, "tap-focus", "target-postgres")

    def start(self, requests: int) -> psutil.Popen:
        """Start a run, and wait until Focus has received a number of further requests."""
        process = psutil.Popen(
            self.command,
            cwd=self.meltano.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.wait_for_requests(process, requests)
        return process

    def wait_for_requests(self, process: psutil.Popen, requests: int) -> None:
        """Wait until Focus has received a number of further requests, or the run has ended."""
        expected = len(self.sandbox.requests) + requests
        while process.poll() is None and len(self.sandbox.requests) < expected:
            time.sleep(0.02)

    def retry(self) -> list[int]:
        """Run until it succeeds, as an engine with a back-off of five minutes. Return the codes."""
        codes: list[int] = []
        while len(codes) < 3 and 0 not in codes:
            if codes:
                self.pass_five_minutes()
            run = run_command(
                *self.command,
                folder=self.meltano.folder,
                environment=self.environment,
                timeout=120 * SLOWNESS,
            )
            codes.append(run.exit_code)
        return codes

    def pass_five_minutes(self) -> None:
        """Write a heartbeat that is older than Meltano waits for."""
        database = self.meltano.folder / ".meltano" / "meltano.db"
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute(
                "UPDATE runs SET last_heartbeat_at = datetime(last_heartbeat_at, '-6 minutes')"
                " WHERE state = 'RUNNING'"
            )


@pytest.fixture
def pipeline(tmp_path: Path, warehouse: Warehouse) -> Iterator[Pipeline]:
    with Sandbox(records=400, seed=7, live_every=0, latency=0.05) as sandbox:
        yield Pipeline(tmp_path, sandbox, warehouse)


def kill(focus_run: psutil.Popen, name: str) -> None:
    """Kill one process of a run, and wait until the others have ended, too."""
    processes: dict[str, psutil.Process] = {"focus-run": focus_run}
    for process in focus_run.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            command = " ".join(process.cmdline())
            names = {
                "meltano_process": "meltano",
                "/tap-focus ": "tap",
                "target-postgres": "target",
            }
            found = [label for part, label in names.items() if part in command]
            processes.setdefault(found[0] if found else command, process)
    every = list(processes.values())
    with suppress(KeyError, psutil.NoSuchProcess):  # the run may have ended
        processes[name].kill()
    _, alive = psutil.wait_procs(every, timeout=60 * SLOWNESS)
    assert not alive


@guarantee("resume-after-kill")
@pytest.mark.parametrize("name", ["focus-run", "meltano", "tap", "target"])
def test_every_recording_arrives_after_any_process_was_killed(
    pipeline: Pipeline, warehouse: Warehouse, name: str
) -> None:
    rng = random.Random(name)
    for earliest, latest in ((1, 8), (9, 30)):
        run = pipeline.start(rng.randint(earliest, latest))
        kill(run, name)
        pipeline.pass_five_minutes()
    codes = pipeline.retry()

    assert codes == [0]
    assert_complete(warehouse, pipeline.sandbox)
    assert list(pipeline.temporary.glob("focus-run-*")) == []


def test_a_retry_right_after_a_kill_of_meltano_is_refused_as_a_transient_error(
    pipeline: Pipeline, warehouse: Warehouse
) -> None:
    kill(pipeline.start(5), "meltano")
    codes = pipeline.retry()

    assert codes == [TRANSIENT, 0]
    assert_complete(warehouse, pipeline.sandbox)


@guarantee("stop-on-signal")
def test_sigterm_ends_the_run_and_a_retry_continues_it_at_once(
    pipeline: Pipeline, warehouse: Warehouse
) -> None:
    run = pipeline.start(15)
    run.send_signal(signal.SIGTERM)
    exit_code = run.wait(60 * SLOWNESS)
    folders = list(pipeline.temporary.iterdir())
    codes = pipeline.retry()

    assert exit_code == 143
    assert folders == []
    assert codes == [0]
    assert_complete(warehouse, pipeline.sandbox)


@guarantee("stop-on-signal")
def test_a_stopped_audio_run_continues_after_the_rows_that_are_in_the_warehouse(
    tmp_path: Path, warehouse: Warehouse
) -> None:
    """Meltano alone would stop the loader too, and not save its last state."""
    with Sandbox(records=2000, seed=7, live_every=0, latency=0.05) as sandbox:
        pipeline = Pipeline(tmp_path, sandbox, warehouse)
        del pipeline.environment["TARGET_POSTGRES_BATCH_SIZE_ROWS"]
        pipeline.environment |= {
            "TAP_FOCUS_MEDIA_PATH": str(tmp_path / "audio"),
            "TAP_FOCUS_PAGE_SIZE": "100",
        }
        pipeline.command = (FOCUS_RUN, "tap-focus-media", "target-postgres")
        run = pipeline.start(500)
        while run.poll() is None and not warehouse.has_rows("recording_media"):
            time.sleep(0.05)
        pipeline.wait_for_requests(run, 150)
        run.send_signal(signal.SIGTERM)
        exit_code = run.wait(60 * SLOWNESS)
        rows = warehouse.rows("recording_media")
        state = pipeline.meltano.run("state", "get", "dev:tap-focus-media-to-target-postgres")

    assert exit_code == 143
    assert 0 < len(rows) < len(sandbox.latest())
    assert "replication_key_value" in state
