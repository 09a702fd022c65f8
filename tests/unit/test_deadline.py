from __future__ import annotations

import threading
import time

import pytest

from tap_focus.api.deadline import POLL_INTERVAL, Deadline, time_limit


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock.monotonic)
    return clock


def has_passed(deadline: Deadline, clock: Clock, seconds: float) -> bool:
    """Move the clock, and return whether the time is over."""
    clock.now += seconds
    deadline.check()
    return deadline.passed


def test_the_time_is_over_after_the_limit(clock: Clock) -> None:
    deadline = Deadline(5)

    assert not has_passed(deadline, clock, 4.9)
    assert has_passed(deadline, clock, 0.2)


def test_received_bytes_extend_the_time(clock: Clock) -> None:
    deadline = Deadline(5)
    clock.now += 4
    deadline.extend(3)

    assert not has_passed(deadline, clock, 3.9)
    assert has_passed(deadline, clock, 0.2)


@pytest.mark.parametrize("seconds", [5, 100, 1e9])
def test_the_time_is_never_more_than_the_limit_from_now_on(clock: Clock, seconds: float) -> None:
    """Otherwise a fast start would allow a long stop."""
    deadline = Deadline(5)
    clock.now += 1
    deadline.extend(seconds)

    assert not has_passed(deadline, clock, 4.9)
    assert has_passed(deadline, clock, 0.2)


def test_extending_never_shortens_the_time(clock: Clock) -> None:
    deadline = Deadline(5)
    deadline.extend(0)
    deadline.extend(0.001)

    assert not has_passed(deadline, clock, 4.9)


def test_a_deadline_without_a_connection_only_passes(clock: Clock) -> None:
    deadline = Deadline(0)

    assert has_passed(deadline, clock, 1)


def test_a_deadline_in_use_passes_by_itself() -> None:
    with time_limit(0.01) as deadline:
        end = time.monotonic() + 10
        while not deadline.passed and time.monotonic() < end:
            time.sleep(0.01)

    assert deadline.passed


def test_a_deadline_that_is_no_longer_in_use_is_not_checked() -> None:
    with time_limit(0.01) as deadline:
        pass
    time.sleep(POLL_INTERVAL * 1.5)

    assert not deadline.passed


def test_all_deadlines_share_one_thread() -> None:
    def limit() -> None:
        with time_limit(5):
            pass

    threads = [threading.Thread(target=limit) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [thread.name for thread in threading.enumerate()].count("deadlines") == 1
