"""What `tap-focus-media verify` prints, and how a signal ends it."""

from __future__ import annotations

import os
import signal
import sys
import time
import typing as t
from contextlib import contextmanager

import click

from tap_focus.archive.printable import printable
from tap_focus.archive.verification.comparison import FAILURES, NOTICES
from tap_focus.archive.verification.manifest import NOT_TRIED
from tap_focus.errors import OutputError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_focus.archive.verification.comparison import Finding
    from tap_focus.archive.verification.manifest import Manifest
    from tap_focus.archive.verification.result import Result

PROGRESS_INTERVAL = 5
"""Seconds between two lines of progress."""

STOP_SECONDS = 2
"""Seconds that a stopped command has to print its last line."""


class _Stopped(BaseException):
    """A signal has requested the end."""


class Console:
    """Findings on standard output, progress on standard error."""

    def __init__(self, manifest: Manifest, result: Result, *, show_all: bool) -> None:
        self._manifest = manifest
        self._result = result
        self._show_all = show_all
        self._next_progress = time.monotonic() + PROGRESS_INTERVAL
        self.last_day = ""

    def write(self, line: str) -> None:
        """Write a line to standard output.

        Raises:
            OutputError: the reader is gone, or the disk is full.
        """
        try:
            click.echo(line)
        except OSError as error:
            # Discard what is buffered. Otherwise it would fail again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise OutputError(error.strerror or type(error).__name__) from error

    def write_finding(self, finding: Finding) -> None:
        """Write the line of a finding, except if it is `ok` and not all are shown."""
        if finding.name != "ok" or self._show_all:
            detail = f": {printable(finding.detail)}" if finding.detail else ""
            self.write(f"{finding.name:17} {printable(finding.path)}{detail}")

    def read_line(self) -> None:
        """Write progress while the manifest is read."""
        if self._manifest.lines % 1000 == 0 and self._is_due():
            click.echo(f"{self._manifest.lines:,} lines of the manifest", err=True)

    def wait(self) -> None:
        """Write progress while files are compared."""
        if self._is_due():
            text = f"{self._result.counts.total():,} files, {self._result.failures:,} failures"
            day = self.last_day.replace("/", "-") or "none"
            click.echo(f"{text}; last finished day: {day}", err=True)

    def _is_due(self) -> bool:
        """Return whether it is time for a line of progress."""
        is_due = time.monotonic() >= self._next_progress
        if is_due:
            self._next_progress = time.monotonic() + PROGRESS_INTERVAL
        return is_due

    def write_summary(self) -> None:
        """Write the number of files by finding, and of recordings without a file."""
        counts, total = self._result.counts, self._result.total
        files = ", ".join(f"{counts[name]:,} {name}" for name in ("ok", *FAILURES))
        notices = ", ".join(f"{counts[name]:,} {name}" for name in NOTICES)
        others = f"{total.recordings - total.stored - total.not_tried:,} without a file"
        if self._manifest.has_feed:
            others += f", {total.not_tried:,} {NOT_TRIED.replace('_', '-')}"
        self.write(f"{files}; {notices}; {others}")

    def write_error(self, message: str) -> None:
        """Write an error, and how to continue after the last finished day."""
        advice = (
            f" Continue with --from {self.last_day.replace('/', '-')}." if self.last_day else ""
        )
        click.echo(f"{printable(message)}.{advice}", err=True)

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """End the process on SIGINT and SIGTERM with 130 and 143, without waiting for threads."""
        stopped = 0

        def stop(signum: int, _: object) -> t.NoReturn:
            nonlocal stopped
            signal.signal(signal.SIGALRM, lambda *_: os._exit(128 + signum))
            signal.setitimer(signal.ITIMER_REAL, STOP_SECONDS)
            if stopped:
                os._exit(128 + signum)
            stopped = signum
            raise _Stopped

        previous = {number: signal.signal(number, stop) for number in _SIGNALS}
        try:
            yield
        except _Stopped:
            self.write_error(f"Stopped by signal {stopped}")
            sys.stderr.flush()
            os._exit(128 + stopped)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


_SIGNALS = (signal.SIGINT, signal.SIGTERM)
