"""Measure commands as whole processes, and run servers in separate processes."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import shlex
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BIN = Path(sys.executable).parent
TAP = BIN / "tap-focus"
KIB, MIB = 1 << 10, 1 << 20

ACCOUNT = {"api_key": "key", "username": "user", "client_id": 1}
"""Settings of the tap for an account. The servers of the benchmarks accept any."""

# Bytecode caching is Python's default. Without it, every start would be measured with compilation.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@dataclass(frozen=True)
class Run:
    """The resources that one process used.

    Attributes:
        wall: Wall-clock seconds from start to exit.
        cpu: User and system CPU seconds, child processes included.
        peak_memory: Peak resident memory in bytes. Linux counts the memory of the parent at the
            time of the fork as well, so the measuring process must stay small.
    """

    wall: float
    cpu: float
    peak_memory: int


def run_measured(command: list[str]) -> Run:
    """Run a command, discard its output, and return the resources that it used.

    Raises:
        subprocess.CalledProcessError: The command failed.
    """
    os.sync()  # keeps the disk writes of the previous run out of this one
    started_at = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started_at
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    unit = 1 if sys.platform == "darwin" else KIB
    cpu = usage.ru_utime + usage.ru_stime
    return Run(round(wall, 4), round(cpu, 4), usage.ru_maxrss * unit)


def has_ended(process: subprocess.Popen[Any], *, within: float) -> bool:
    """Wait up to some seconds for the end of a process, and return whether it has ended."""
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        return False
    return True


def read_output(command: list[str]) -> bytes:
    """Run a command and return its standard output.

    Raises:
        SystemExit: The command failed. The message has its standard error.
    """
    result = subprocess.run(command, check=False, capture_output=True)
    if result.returncode:
        error = result.stderr.decode(errors="replace")
        sys.exit(f"{shlex.join(command)} failed with exit code {result.returncode}:\n{error}")
    return result.stdout


def discover_catalog(tap: Path = TAP) -> dict[str, Any]:
    """Return the tap's default catalog."""
    catalog: dict[str, Any] = json.loads(read_output([str(tap), "--discover"]))
    return catalog


def write_audio_catalog(path: Path) -> None:
    """Write a catalog that selects only `recording_media`."""
    catalog = discover_catalog()
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if entry["breadcrumb"] == []:
                entry["metadata"]["selected"] = stream["tap_stream_id"] == "recording_media"
    path.write_text(json.dumps(catalog), encoding="utf-8")


def describe_machine() -> str:
    """Return processor, number of cores, operating system and Python version."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    return (
        f"{processor}, {os.cpu_count()} cores, {platform.system()}, Python {sys.version.split()[0]}"
    )


@contextmanager
def server_process(serve: Callable[..., None], *args: Any) -> Iterator[Any]:
    """Run a server in a process and terminate it at the end of the block.

    Args:
        serve: Called with `args` and the sending end of a pipe. It sends one object when it is
            ready to accept connections.
        args: Positional arguments for `serve`.

    Yields:
        The object that `serve` sent, such as its URL.

    Raises:
        EOFError: The server exited before it was ready.
    """
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=serve, args=(*args, sender), daemon=True)
    process.start()
    sender.close()  # so that recv() raises EOFError when the server exits
    try:
        yield receiver.recv()
    finally:
        process.terminate()
        process.join()
