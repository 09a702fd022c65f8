"""Singer messages on standard output: whole lines, flushed where a target relies on them."""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import time
import typing as t

import msgspec
from singer_sdk.singerlib import Message, RecordMessage
from singer_sdk.singerlib.encoding import SimpleSingerWriter
from singer_sdk.singerlib.json import serialize_json
from typing_extensions import override

from tap_focus.errors import OutputError

logger = logging.getLogger("tap-focus")

SHUTDOWN_GRACE_SECONDS = 4
"""Seconds that a stopped run has to finish the line it is writing."""

ALARM_INTERVAL = 0.2
"""Seconds between two interruptions of a write that delays the end of a stopped run."""

BUFFER_BYTES = 64 * 1024
"""Bytes of records that are written at once: the size of a pipe."""

_LINE_BREAK = ord("\n")
_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=str)


class MessageWriter(SimpleSingerWriter):
    """Writes whole lines, and lets a signal end the process only between two of them.

    The buffer is its own. That of `sys.stdout` is missing with `PYTHONUNBUFFERED`, and a write to
    the raw file below it may be incomplete.
    """

    def __init__(self) -> None:
        super().__init__()
        self._buffer: list[bytes] = []
        self._buffered_bytes = 0
        self._stop_signal: int | None = None

    @override
    def write_message(self, message: Message) -> None:
        """Write one line. Records wait in the buffer; any other message flushes it.

        Raises:
            OutputError: the reader is gone, or the disk is full.
            SystemExit: a signal has requested the end.
        """
        self.write_lines(encode_message(message), flush=not isinstance(message, RecordMessage))

    def write_lines(self, lines: bytes, *, flush: bool = False) -> None:
        """Write whole lines; see `write_message`."""
        self._buffer.append(lines)
        self._buffered_bytes += len(lines)
        if flush or self._buffered_bytes >= BUFFER_BYTES:
            self.flush()
        self.raise_if_stopping()

    def flush(self) -> None:
        """Write the buffered lines.

        Raises:
            OutputError: the reader is gone, or the disk is full.
        """
        lines = b"".join(self._buffer)
        self._buffer.clear()
        self._buffered_bytes = 0
        try:
            self._write_all(lines)
        except OSError as error:
            redirect_stdout()
            raise OutputError(error.strerror or type(error).__name__) from error

    def stop(self, signum: int) -> None:
        """Request the end of the process at the next `raise_if_stopping`; for signal handlers.

        Does not raise, since a handler runs between any two instructions. The alarm interrupts a
        write that waits for a slow reader, again and again until the grace period is over; then it
        ends the process.
        """
        self._stop_signal = signum
        end = time.monotonic() + SHUTDOWN_GRACE_SECONDS

        def on_alarm(*_: object) -> None:
            if time.monotonic() >= end:
                os._exit(128 + signum)

        signal.signal(signal.SIGALRM, on_alarm)
        signal.setitimer(signal.ITIMER_REAL, ALARM_INTERVAL, ALARM_INTERVAL)

    def raise_if_stopping(self) -> None:
        """End the process if a signal has requested it; called wherever the state is right.

        Raises:
            SystemExit: with 128 plus the signal's number, as a shell reports it.
        """
        if self._stop_signal is not None:
            logger.warning(
                "Stopped by signal %d. Run again to continue",
                self._stop_signal,
            )
            raise SystemExit(128 + self._stop_signal)

    def _write_all(self, lines: bytes) -> None:
        """Write until all bytes are accepted; when stopping, until the end of the current line."""
        if sys.stdout is None:  # the parent process closed it
            raise OSError(None, "it is closed")
        file = sys.stdout.buffer
        raw = getattr(file, "raw", file)
        data, written = memoryview(lines), 0
        while (end := self._end(lines, written)) > written:
            accepted = raw.write(data[written:end])
            if accepted is None:  # non-blocking, and the pipe is full
                select.select([], [raw], [])
            else:
                written += accepted

    def _end(self, lines: bytes, written: int) -> int:
        """Return how many bytes to write: all, or when stopping those of the line in progress."""
        if self._stop_signal is None:
            return len(lines)
        if not written or lines[written - 1] == _LINE_BREAK:
            return written
        return lines.index(_LINE_BREAK, written) + 1


def redirect_stdout() -> None:
    """Point standard output to the null device, so that no later flush fails once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def encode_message(message: Message) -> bytes:
    """Return a message as a line of JSON, with all digits of its decimals."""
    return encode_json(message.to_dict()) + b"\n"


def encode_json(value: t.Any) -> bytes:
    """Return JSON, UTF-8. Decimals are numbers with all their digits.

    An unpaired surrogate has no UTF-8 form. The standard library's encoder escapes it.
    """
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        return serialize_json(value).encode()
