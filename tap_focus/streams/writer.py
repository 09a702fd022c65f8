"""Singer messages on standard output: encoded once, flushed where a target can rely on them."""

from __future__ import annotations

import logging
import os
import signal
import sys

import msgspec
from singer_sdk.singerlib import Message, RecordMessage
from singer_sdk.singerlib.encoding import SimpleSingerWriter

from tap_focus.errors import OutputError

logger = logging.getLogger("tap-focus")

_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=str)

_STOP_WITHIN = 4
"""Seconds that a stopped run has to finish the line it is writing."""


class MessageWriter(SimpleSingerWriter):
    """Writes whole lines, and lets a signal end the process only between two of them."""

    def __init__(self) -> None:
        """Begin with nobody asking to stop."""
        super().__init__()
        self._stop_signal: int | None = None

    def write_message(self, message: Message) -> None:
        """Write one line. Records wait in the buffer; any other message takes them along.

        Raises:
            OutputError: nobody reads on, or there is no space left.
            SystemExit: a signal asks to stop.
        """
        self.write_lines(self.encode(message), flush=not isinstance(message, RecordMessage))

    def write_lines(self, lines: bytes, *, flush: bool = False) -> None:
        """Write whole lines at once; see `write_message`."""
        if sys.stdout is None:  # closed by whoever started the process
            raise OutputError("Standard output is closed: start the tap with a target to read it.")
        try:
            sys.stdout.buffer.write(lines)
            if flush:
                sys.stdout.buffer.flush()
        except OSError as error:
            # What waits in the buffer can't be written; at exit it would fail once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise OutputError(
                f"Standard output takes no more lines: {error.strerror}. Look at what reads it: "
                "the target's log, or the disk. The next run goes on from the last state."
            ) from error
        self.check()

    def encode(self, message: Message) -> bytes:
        """Return a message as a line of JSON, its values unchanged: decimals digit by digit."""
        try:
            return _ENCODER.encode(message.to_dict()) + b"\n"
        except UnicodeEncodeError:
            # Half a surrogate pair has no UTF-8; the SDK's encoder escapes it, as Focus did.
            return f"{self.format_message(message)}\n".encode()

    def stop(self, signum: int) -> None:
        """Ask for the end of the process at the next `check`; called by a signal's handler.

        It raises nothing itself, since a handler runs between any two instructions, in the middle
        of a line or of a lock too. A reader that takes no more bytes could hold up the line that
        is being written for ever, hence a last resort.
        """
        self._stop_signal = signum
        signal.signal(signal.SIGALRM, lambda *_: os._exit(128 + signum))
        signal.alarm(_STOP_WITHIN)

    def check(self) -> None:
        """Stop here if a signal asked for it; to be called wherever the state is right.

        Raises:
            SystemExit: with 128 and the signal's number, as a shell would tell it.
        """
        if self._stop_signal is not None:
            logger.warning(
                "Stopped by signal %d; the next run goes on from the bookmark", self._stop_signal
            )
            raise SystemExit(128 + self._stop_signal)
