"""What the benchmarks stand on: a server in a process of its own, and commands measured whole."""

from __future__ import annotations

import multiprocessing
import os
import platform
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TAP = Path(sys.executable).parent / "tap-focus"
KIB, MIB = 1 << 10, 1 << 20

# As by default everywhere, Python keeps what it compiled: whoever runs a command a second time does
# not wait for that again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


class Run(NamedTuple):
    """What a process took.

    Attributes:
        seconds: from its start to its end, by the clock on the wall.
        cpu: seconds of CPU, its own and the kernel's for it, with those of its child processes.
        peak_memory: bytes, resident. Never less than what this process held when it started it:
            Linux counts that too, so keep it small.
        began: when it was started, by `time.monotonic`.
    """

    seconds: float
    cpu: float
    peak_memory: int
    began: float


def measured(command: list[str]) -> Run:
    """Run a command to its end, its output thrown away."""
    os.sync()  # what the run before it wrote is not this one's burden
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    unit = 1 if sys.platform == "darwin" else KIB
    cpu = usage.ru_utime + usage.ru_stime
    return Run(seconds, cpu, usage.ru_maxrss * unit, began)


def machine() -> str:
    """Name this machine: its processor, where the system tells, and what runs on it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    return (
        f"{processor}, {os.cpu_count()} cores, {platform.system()}, Python {sys.version.split()[0]}"
    )


@contextmanager
def serving(serve: Callable[..., None], *args: Any) -> Iterator[Any]:
    """Call a function in a process of its own, and end that in the end.

    Args:
        serve: gets the arguments and a connection, through which it tells once where it is.
        args: its arguments.

    Yields:
        What it told.
    """
    mine, its = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(*args, its), daemon=True)
    process.start()
    its.close()  # so that a server which fails is noticed
    try:
        yield mine.recv()
    finally:
        process.terminate()
        process.join()
