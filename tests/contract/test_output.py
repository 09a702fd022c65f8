"""Standard output: every byte is written or the run fails, and lines are whole.

With `PYTHONUNBUFFERED`, which most container images set, a write to a pipe may be short.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers import SLOWNESS, guarantee, timing
from tests.helpers.assertions import whole_messages
from tests.helpers.fake_focus import FakeFocus, feed
from tests.helpers.runner import TIMEOUT, TapProcess, TapRunner

if TYPE_CHECKING:
    from collections.abc import Callable

BUFFERING = pytest.mark.parametrize(
    "environment",
    [pytest.param({}, id="buffered"), pytest.param({"PYTHONUNBUFFERED": "1"}, id="unbuffered")],
)

PAGES = [500] * 6
EVERYTHING = list(range(1, 3001))


def read_all(descriptor: int, between_reads: Callable[[], None] = lambda: None) -> list[bytes]:
    """Read lines until the end of the output, about a pipe's capacity at a time."""
    output = bytearray()
    while part := os.read(descriptor, 1 << 16):
        output += part
        between_reads()
    return bytes(output).splitlines(keepends=True)


def ids_in(lines: list[bytes]) -> list[int]:
    """Return the IDs of the records. Every line must be whole."""
    return [
        message["record"]["interactionId"]
        for message in whole_messages(lines)
        if message["type"] == "RECORD"
    ]


@guarantee("resume-after-kill")
@BUFFERING
def test_nothing_is_lost_when_the_tap_is_paused_again_and_again(
    tap: TapRunner, environment: dict[str, str]
) -> None:
    """`docker pause` and job control interrupt a write to a full pipe."""

    def pause() -> None:
        time.sleep(0.01)  # until the pipe is full
        process.process.send_signal(signal.SIGSTOP)
        process.process.send_signal(signal.SIGCONT)

    with (
        FakeFocus(feed(*PAGES)) as focus,
        tap.start(config=focus.settings, environment=environment) as process,
    ):
        lines = read_all(process.stdout.fileno(), pause)
        exit_code = process.process.wait(TIMEOUT)

    assert exit_code == 0
    assert ids_in(lines) == EVERYTHING


@timing
@guarantee("stop-on-signal")
@BUFFERING
def test_a_signal_leaves_whole_lines(tap: TapRunner, environment: dict[str, str]) -> None:
    with (
        FakeFocus(feed(*PAGES)) as focus,
        tap.start(config=focus.settings, environment=environment) as process,
    ):
        first = process.read_line()
        time.sleep(0.5 * SLOWNESS)  # until the pipe is full
        process.process.send_signal(signal.SIGTERM)
        time.sleep(0.2 * SLOWNESS)  # until the signal has interrupted the write
        lines = [first, *process.read_rest()]
        exit_code = process.process.wait(TIMEOUT)

    assert exit_code == 143
    written = ids_in(lines)
    assert written == EVERYTHING[: len(written)]


@guarantee("resume-after-kill")
@BUFFERING
def test_a_non_blocking_output_loses_nothing_or_ends_the_run(
    tap: TapRunner, environment: dict[str, str]
) -> None:
    reading_end, writing_end = os.pipe()
    os.set_blocking(writing_end, False)
    with (
        FakeFocus(feed(*PAGES)) as focus,
        tap.start(config=focus.settings, environment=environment, stdout=writing_end) as process,
    ):
        os.close(writing_end)
        lines = read_all(reading_end, lambda: time.sleep(0.01))
        exit_code = process.process.wait(TIMEOUT)
    os.close(reading_end)

    assert exit_code in {0, os.EX_IOERR}
    if exit_code == 0:
        assert ids_in(lines) == EVERYTHING


def assert_output_error(process: TapProcess) -> None:
    """Expect that the run failed because of its standard output, with a short log."""
    assert process.process.wait(TIMEOUT) == os.EX_IOERR
    assert 1 <= process.log.count("| ERROR ") <= 2
    assert "Traceback" not in process.log
    assert len([line for line in process.log.splitlines() if "METRIC" not in line]) < 15


@guarantee("stop-on-closed-pipe")
@BUFFERING
def test_a_closed_pipe_ends_the_run_with_one_error(
    tap: TapRunner, environment: dict[str, str]
) -> None:
    with (
        FakeFocus(feed(500, 500)) as focus,
        tap.start(config=focus.settings, environment=environment) as process,
    ):
        process.read_line()
        process.stdout.close()

        assert_output_error(process)


@guarantee("stop-on-closed-pipe")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
@BUFFERING
def test_a_full_disk_ends_the_run_with_one_error(
    tap: TapRunner, environment: dict[str, str]
) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with (
        FakeFocus(feed(500)) as focus,
        tap.start(config=focus.settings, environment=environment, stdout=full) as process,
    ):
        os.close(full)

        assert_output_error(process)
