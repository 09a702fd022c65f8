from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from tap_focus.archive.retry_ranges import (
    MAX_IDS,
    MAX_RANGES,
    RetryRange,
    RetryRanges,
    RetrySchedule,
)

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def retry_range(start: int, end: int, *, at: datetime = NOW, **changes: Any) -> RetryRange:
    fields = {"cursor": f"c{start}", "requested": at, "requested_until": at, "ids": [start]}
    return RetryRange(start=start, end=end, **{**fields, **changes})


def times_requested(schedule: RetrySchedule, step: timedelta, end: timedelta) -> list[timedelta]:
    """Return the times at which regular runs request a range again."""
    part = retry_range(0, 1)
    times = []
    elapsed = timedelta()
    while elapsed < end and not (part.retried and schedule.is_over(NOW, part.retried)):
        elapsed += step
        if schedule.is_due(part, NOW + elapsed):
            times.append(elapsed)
            part.retried = NOW + elapsed
    return times


def test_repetitions_have_growing_intervals() -> None:
    times = times_requested(RetrySchedule(7), timedelta(minutes=30), timedelta(days=10))

    assert times == [HOUR / 2, HOUR, 4 * HOUR, 16 * HOUR, 72 * HOUR, 168 * HOUR]


def test_a_longer_period_doubles_the_last_interval() -> None:
    times = times_requested(RetrySchedule(20), 12 * HOUR, timedelta(days=30))

    assert [time / timedelta(days=1) for time in times] == [0.5, 1, 3, 7, 14, 20]


def test_a_rare_run_repeats_once_for_all_times_that_have_passed() -> None:
    times = times_requested(RetrySchedule(7), timedelta(days=5), timedelta(days=30))

    assert times == [timedelta(days=5), timedelta(days=10)]


@pytest.mark.parametrize(
    ("days", "over", "not_over"),
    [(7, [7, 400], [6.9, -1]), (0, [0, 1, -1], []), (0.5, [0.5], [0.4])],
)
def test_the_period_ends_the_repetitions(
    days: float, over: list[float], not_over: list[float]
) -> None:
    schedule = RetrySchedule(days)

    assert all(schedule.is_over(NOW - timedelta(days=age), NOW) for age in over)
    assert not any(schedule.is_over(NOW - timedelta(days=age), NOW) for age in not_over)


def test_the_state_is_json_and_is_read_again() -> None:
    ranges = RetryRanges()
    ranges.add(retry_range(0, 5, cursor=None, from_date="2025-01-01T00:00:00Z"), NOW)
    ranges.add(retry_range(9, 12, ids=None, retried=NOW), NOW)
    state = json.loads(json.dumps(ranges.to_state()))

    assert RetryRanges(state).to_state() == state


@pytest.mark.parametrize(
    "changes",
    [
        {"requested": "2025-06-01T00:00:00"},
        {"retried": "2025-06-01T00:00:00"},
        {"start": -1},
        {"start": 5},
        {"end": 0},
    ],
)
def test_an_impossible_range_is_rejected(changes: dict[str, Any]) -> None:
    ranges = RetryRanges()
    ranges.add(retry_range(0, 5), NOW)

    with pytest.raises(msgspec.ValidationError):
        RetryRanges([{**ranges.to_state()[0], **changes}])


@pytest.mark.parametrize("stored", [5, {}, [{}], [None], [{"cursor": 5}]])
def test_an_invalid_state_is_rejected(stored: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        RetryRanges(stored)


def test_adjacent_ranges_of_a_run_become_one() -> None:
    ranges = RetryRanges()
    for start in range(0, 500, 10):
        ranges.add(retry_range(start, start + 10), NOW)

    (state,) = ranges.to_state()
    assert (state["cursor"], state["start"], state["end"]) == ("c0", 0, 500)
    assert state["ids"] == list(range(0, 500, 10))


def test_a_range_with_many_ids_covers_all_recordings() -> None:
    ranges = RetryRanges()
    ranges.add(retry_range(0, 200, ids=list(range(MAX_IDS + 1))), NOW)

    assert ranges.to_state()[0]["ids"] is None


def test_hourly_runs_for_weeks_leave_few_ranges_and_repeat_each_until_it_is_over() -> None:
    """Recordings of every run stay missing, so all ranges are adjacent."""
    schedule = RetrySchedule(7)
    ranges = RetryRanges()
    last_request: dict[int, datetime] = {}
    largest = 0
    for run in range(24 * 20):
        now = NOW + run * HOUR
        while part := ranges.next_due(schedule, now):
            is_over = schedule.is_over(part.requested_until, now)
            for number in range(part.start, part.end):
                last_request[number] = now
            ranges.current = None
            if not is_over:
                ranges.add(msgspec.structs.replace(part, retried=now), now)
        ranges.add(retry_range(run, run + 1, at=now), now)
        largest = max(largest, len(ranges.to_state()))

    assert largest < MAX_RANGES
    for number in range(24 * 10):
        kept = last_request[number] - (NOW + number * HOUR)
        assert timedelta(days=7) <= kept <= timedelta(days=9)


def test_the_number_of_ranges_is_limited_and_none_is_lost() -> None:
    ranges = RetryRanges()
    for number in range(10 * MAX_RANGES):
        start = 100 * number
        ranges.add(retry_range(start, start + 1, at=NOW + number * HOUR), NOW + number * HOUR)
    state = ranges.to_state()

    assert len(state) == MAX_RANGES
    covered = [(part["start"], part["end"]) for part in state]
    for number in range(10 * MAX_RANGES):
        assert any(start <= 100 * number < end for start, end in covered)


def test_the_current_range_is_part_of_the_state_until_it_is_finished() -> None:
    ranges = RetryRanges()
    ranges.add(retry_range(0, 10), NOW)
    part = ranges.next_due(RetrySchedule(7), NOW + HOUR)
    during = ranges.to_state()
    ranges.current = None

    assert part
    assert during[0]["start"] == 0
    assert ranges.to_state() == []
