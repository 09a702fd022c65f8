"""The writer of messages: whole lines, whatever happens to standard output."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
import threading
from contextlib import suppress
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.singerlib import RecordMessage, StateMessage

from tap_focus.errors import OutputError
from tap_focus.streams.writer import BUFFER_BYTES, MessageWriter, encode_message

if TYPE_CHECKING:
    from collections.abc import Callable

EXTRACTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


class Output(io.BytesIO):
    """A standard output that accepts a limited number of bytes at once.

    Attributes:
        at_once: bytes that one write accepts.
        before_write: called before each write.
    """

    at_once = 100
    writes = 0
    before_write: Callable[[], None] = staticmethod(lambda: None)

    def write(self, data: Any) -> int:
        self.before_write()
        self.writes += 1
        return super().write(bytes(data)[: self.at_once])


def redirect(monkeypatch: pytest.MonkeyPatch) -> Output:
    """Replace standard output; within the test, since pytest replaces it between the phases."""
    output = Output()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output))
    monkeypatch.setattr("signal.setitimer", lambda *_: None)
    return output


def record(**values: Any) -> RecordMessage:
    return RecordMessage(stream="s", record=values, time_extracted=EXTRACTED)


def test_a_record_is_one_line_with_its_values_unchanged() -> None:
    line = encode_message(
        record(a=Decimal("0.10"), b=12345678901234567890123, c='"\n\u2028\u0000😀', d=[None, {}])
    )

    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert b'"a":0.10,"b":12345678901234567890123,' in line
    message = json.loads(line)
    assert message["record"]["c"] == '"\n\u2028\u0000😀'
    assert message["record"]["d"] == [None, {}]
    assert message["time_extracted"] == "2026-01-02T03:04:05Z"


def test_an_unpaired_surrogate_is_written_as_its_escape() -> None:
    line = encode_message(record(a="x\ud83dy", b=Decimal("0.10")))

    assert b'"x\\ud83dy"' in line
    assert b'"b":0.10' in line


def test_records_wait_for_the_state_that_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    output = redirect(monkeypatch)
    writer = MessageWriter()
    writer.write_message(record(a=1))
    writer.write_message(record(a=2))

    assert output.writes == 0
    writer.write_message(StateMessage(value={}))
    assert output.getvalue().count(b"\n") == 3


def test_a_full_buffer_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    output = redirect(monkeypatch)
    MessageWriter().write_lines(b"x" * (BUFFER_BYTES - 1) + b"\n")

    assert len(output.getvalue()) == BUFFER_BYTES


def test_a_write_that_accepts_a_part_is_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    output = redirect(monkeypatch)
    output.at_once = 7
    lines = b"".join(b"line %d\n" % number for number in range(1000))
    MessageWriter().write_lines(lines, flush=True)

    assert output.getvalue() == lines


@pytest.mark.parametrize("signum", [2, 15])
@pytest.mark.parametrize("at_once", [5, 8, 100])
def test_a_stop_ends_the_output_at_the_end_of_a_line(
    monkeypatch: pytest.MonkeyPatch, at_once: int, signum: int
) -> None:
    output = redirect(monkeypatch)
    writer = MessageWriter()
    output.at_once = at_once
    monkeypatch.setattr(
        output, "before_write", lambda: writer.stop(signum) if output.writes == 3 else None
    )
    with pytest.raises(SystemExit) as stopped:
        writer.write_lines(b"line no\n" * 1000, flush=True)

    assert stopped.value.code == 128 + signum
    assert output.getvalue() in [b"line no\n" * count for count in range(1, 60)]


def test_a_stop_between_two_writes_writes_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    output = redirect(monkeypatch)
    writer = MessageWriter()
    writer.write_lines(b"one\n", flush=True)
    writer.stop(15)
    with pytest.raises(SystemExit):
        writer.write_lines(b"two\n", flush=True)

    assert output.getvalue() == b"one\n"


def test_a_run_that_is_not_stopped_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    redirect(monkeypatch)

    MessageWriter().raise_if_stopping()


def as_stdout(monkeypatch: pytest.MonkeyPatch, descriptor: int, *, buffered: bool) -> Any:
    """Replace standard output by a descriptor, as `python` or `python -u` does."""
    raw = open(descriptor, "wb", buffering=0)  # noqa: SIM115 - closed by the test
    binary: Any = io.BufferedWriter(raw) if buffered else raw
    file = io.TextIOWrapper(binary, write_through=not buffered)
    monkeypatch.setattr(sys, "stdout", file)
    return raw


@pytest.mark.parametrize("buffered", [False, True])
def test_a_pipe_that_does_not_block_gets_every_byte(
    monkeypatch: pytest.MonkeyPatch, *, buffered: bool
) -> None:
    reader, descriptor = os.pipe()
    os.set_blocking(descriptor, False)
    lines = b"".join(b"line %d\n" % number for number in range(100_000))
    received = []

    def read() -> None:
        while data := os.read(reader, 65536):
            received.append(data)

    thread = threading.Thread(target=read)
    thread.start()
    raw = as_stdout(monkeypatch, descriptor, buffered=buffered)
    try:
        MessageWriter().write_lines(lines, flush=True)
    finally:
        raw.close()
        thread.join(30)
        os.close(reader)

    assert b"".join(received) == lines


@pytest.mark.parametrize("buffered", [False, True])
def test_a_reader_that_is_gone_is_an_error(
    monkeypatch: pytest.MonkeyPatch, *, buffered: bool
) -> None:
    reader, descriptor = os.pipe()
    os.close(reader)
    raw = as_stdout(monkeypatch, descriptor, buffered=buffered)
    redirected = []
    monkeypatch.setattr("tap_focus.streams.writer.redirect_stdout", lambda: redirected.append(1))
    try:
        with pytest.raises(OutputError) as caught:
            MessageWriter().write_lines(b"{}\n", flush=True)
    finally:
        with suppress(OSError):
            raw.close()

    assert os.strerror(errno.EPIPE) in str(caught.value)
    assert redirected == [1]


def test_a_full_disk_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    output = redirect(monkeypatch)
    monkeypatch.setattr(output, "before_write", fail)
    monkeypatch.setattr("tap_focus.streams.writer.redirect_stdout", lambda: None)
    with pytest.raises(OutputError) as caught:
        MessageWriter().write_lines(b"{}\n", flush=True)

    assert os.strerror(errno.ENOSPC) in str(caught.value)


def test_lines_that_could_not_be_written_are_not_written_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise OSError(errno.EIO, "broken")

    output = redirect(monkeypatch)
    monkeypatch.setattr(output, "before_write", fail)
    monkeypatch.setattr("tap_focus.streams.writer.redirect_stdout", lambda: None)
    writer = MessageWriter()
    with pytest.raises(OutputError):
        writer.write_lines(b"{}\n", flush=True)
    monkeypatch.setattr(output, "before_write", lambda: None)
    writer.flush()

    assert output.getvalue() == b""


def test_a_closed_standard_output_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr("os.dup2", lambda *_: None)
    with pytest.raises(OutputError):
        MessageWriter().write_lines(b"{}\n", flush=True)
