"""Run Meltano's command line, and end with an exit code that says what failed.

Meltano ends with 1 whatever the exit codes of the tap and the target were. `focus-run` starts this
file with the Python interpreter of Meltano, where tap-focus is usually not installed.

usage: python meltano_process.py SYSTEM_FOLDER MELTANO [ARGUMENT]...

SYSTEM_FOLDER is the folder that all runs of the project share.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys
import typing as t
from contextlib import suppress

if t.TYPE_CHECKING:
    import asyncio
    from types import FrameType

    from meltano.core.block.singer import InvokerBase

LOADER_FAILED = os.EX_UNAVAILABLE
COMMAND_FAILED = 79
"""Not in sysexits.h, so that no tap uses it."""
ALREADY_RUNNING = os.EX_TEMPFAIL

STOP_SIGNAL = signal.SIGUSR1
"""Stops the tap. The target then loads what it has, and Meltano saves the state.

At SIGTERM, Meltano also stops the target, and does not wait for the state that it writes.
"""

PR_SET_PDEATHSIG = 1


class Failure(t.NamedTuple):
    """The arguments of Meltano's `RunnerError`."""

    message: str
    exit_codes: t.Any
    """Exit codes by plugin type, or something else if neither tap nor target failed."""


def exit_code(failure: Failure) -> int:
    """Return the exit code of the process for a failure of a run."""
    codes = failure.exit_codes if isinstance(failure.exit_codes, dict) else {}
    if tap_code := codes.get("extractors"):
        return int(tap_code if tap_code > 0 else 128 - tap_code)  # negative: number of a signal
    if codes.get("loaders"):
        return LOADER_FAILED
    if failure.message.startswith("Another ") and "is already running" in failure.message:
        return ALREADY_RUNNING
    if "failed with exit code" in failure.message:
        return COMMAND_FAILED
    return 1


def ignore_pipes_of_ended_targets(block: type[InvokerBase]) -> None:
    """Patch Meltano to wait for a target that ended before it read everything.

    Its exit code says more than the error of its pipe.
    """
    close_stdin = block.close_stdin

    async def close(self: InvokerBase) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            await close_stdin(self)

    block.close_stdin = close  # type: ignore[method-assign]


def main() -> None:
    """Run Meltano and end the process."""
    del sys.path[0]  # the folder of this file
    shared_folder = sys.argv[1]
    del sys.argv[:2]
    if sys.platform == "linux":
        # Stop when focus-run is killed. Otherwise Meltano would go on running, and refuse the next
        # run.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, STOP_SIGNAL)
    from meltano.cli import main as meltano  # noqa: PLC0415
    from meltano.core.block.singer import SingerBlock  # noqa: PLC0415
    from meltano.core.migration_service import MigrationService  # noqa: PLC0415
    from meltano.core.runner import RunnerError  # noqa: PLC0415

    failures: list[Failure] = []
    taps: list[asyncio.subprocess.Process] = []
    start = SingerBlock.start
    initialize = RunnerError.__init__
    upgrade = MigrationService.upgrade

    def remember(self: RunnerError, message: str, exitcodes: t.Any = None) -> None:
        initialize(self, message, exitcodes)
        failures.append(Failure(str(message), exitcodes))

    async def start_and_remember(self: SingerBlock) -> None:
        await start(self)
        if self.producer and not self.consumer:
            taps.append(self.process_handle)

    def stop(_number: int, _frame: FrameType | None) -> None:
        running = [tap.pid for tap in taps if tap.returncode is None]
        for process_id in running or [os.getpid()]:
            os.kill(process_id, signal.SIGTERM)

    def upgrade_alone(self: MigrationService, *, silent: bool = False) -> None:
        # Two first runs at a time would both create the tables.
        lock = os.open(shared_folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        upgrade(self, silent=silent)
        os.close(lock)

    signal.signal(STOP_SIGNAL, stop)
    ignore_pipes_of_ended_targets(SingerBlock)
    SingerBlock.start = start_and_remember  # type: ignore[method-assign]
    RunnerError.__init__ = remember  # type: ignore[method-assign]
    MigrationService.upgrade = upgrade_alone  # type: ignore[method-assign]
    try:
        meltano()
    except SystemExit as end:
        if end.code == 1 and failures:
            sys.exit(exit_code(failures[-1]))
        raise


if __name__ == "__main__":
    main()
