from __future__ import annotations

import io
import json
import sys
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.singerlib import RecordMessage, StateMessage

from tap_focus.streams.writer import MessageWriter

if TYPE_CHECKING:
    from collections.abc import Callable

EXTRACTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


class Out(io.BytesIO):
    """A standard output that counts flushes, and may be interrupted while it writes."""

    flushes = 0
    interrupt: Callable[[], None] = staticmethod(lambda: None)

    def write(self, data: Any) -> int:
        half = len(data) // 2
        super().write(data[:half])
        self.interrupt()
        return half + super().write(data[half:])

    def flush(self) -> None:
        self.flushes += 1


def as_stdout(monkeypatch: pytest.MonkeyPatch) -> Out:
    """Take standard output's place; within the test, since pytest captures anew for each phase."""
    out = Out()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out))
    return out


def record(**values: Any) -> RecordMessage:
    return RecordMessage(stream="s", record=values, time_extracted=EXTRACTED)


def test_a_record_is_one_line_with_its_values_unchanged() -> None:
    line = MessageWriter().encode(
        record(a=Decimal("0.10"), b=12345678901234567890123, c='"\n\u2028\u0000😀', d=[None, {}])
    )
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert b'"a":0.10,"b":12345678901234567890123,' in line
    message = json.loads(line)
    assert message["record"]["c"] == '"\n\u2028\u0000😀'
    assert message["record"]["d"] == [None, {}]
    assert message["time_extracted"] == "2026-01-02T03:04:05Z"


def test_half_a_surrogate_pair_leaves_as_it_came() -> None:
    line = MessageWriter().encode(record(a="x\ud83dy", b=Decimal("0.10")))
    assert b'"x\\ud83dy"' in line
    assert b'"b":0.10' in line
    assert json.loads(line)["record"]["a"] == "x\ud83dy"


def test_records_are_flushed_with_the_state_that_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    out, writer = as_stdout(monkeypatch), MessageWriter()
    writer.write_message(record(a=1))
    writer.write_message(record(a=2))
    assert out.flushes == 0
    writer.write_message(StateMessage(value={}))
    assert out.flushes == 1
    assert out.getvalue().count(b"\n") == 3


def test_a_stop_waits_for_the_line_that_is_being_written(monkeypatch: pytest.MonkeyPatch) -> None:
    out, writer = as_stdout(monkeypatch), MessageWriter()
    monkeypatch.setattr("signal.alarm", lambda _: None)
    out.interrupt = lambda: writer.stop(15)
    with pytest.raises(SystemExit) as stopped:
        writer.write_message(record(a=1))
    assert stopped.value.code == 143
    assert json.loads(out.getvalue())["record"] == {"a": 1}
