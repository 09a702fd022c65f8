"""Which parts of the feed contain audio that a later run requests again, and when.

`tap_focus.api.retry` repeats a single request within a run.

Audio can become available after its metadata, and a failure can be temporary. A list of such
recordings would have no limit, and the bookmark is written after every page. So it contains ranges
of the feed instead: a cursor, and how many recordings after it to look at. A recording that Focus
updates leaves its range, since the feed returns it again at the end.
"""

from __future__ import annotations

import typing as t
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec

INTERVALS = tuple(timedelta(hours=hours) for hours in (1, 4, 16, 3 * 24, 7 * 24))
"""Times of the repetitions, counted from the first request. Then the time doubles, until it reaches
the setting `media_retry_days`. One more repetition is in the next run."""

MAX_RANGES = 50
"""Ranges in a bookmark. Beyond it, ranges that are close to each other become one."""

MAX_IDS = 100
"""Recordings of a range that are named in the bookmark. If more have to be requested again, all of
the range are that are not stored."""

MIN_JOINED = timedelta(minutes=1)
"""Adjacent ranges are joined if they were requested within this time, or within a quarter of the
time since."""

_Count = t.Annotated[int, msgspec.Meta(ge=0)]
_Time = t.Annotated[datetime, msgspec.Meta(tz=True)]


class RetryRange(msgspec.Struct, rename="camel", kw_only=True):
    """Consecutive recordings of the feed, some of which have to be requested again.

    Attributes:
        cursor: continues with the first of them; None for the beginning of the feed.
        from_date: where the feed began, if there is no cursor.
        start: position of the first recording, counted since the bookmark began.
        end: position after the last one.
        requested: when the first of them were first requested.
        requested_until: when the last of them were first requested.
        retried: when they were last requested again, if ever.
        ids: the recordings to request; None for all that are not stored.
    """

    cursor: str | None
    from_date: str | None = None
    start: _Count
    end: _Count
    requested: _Time
    requested_until: _Time
    retried: _Time | None = None
    ids: list[int] | None

    def __post_init__(self) -> None:
        """Check a range from a bookmark; msgspec raises its ValidationError for it."""
        if self.start >= self.end:
            raise ValueError("a range without recordings")


class RetrySchedule:
    """When a recording is requested again, for some days after the first request; 0 for never."""

    def __init__(self, days: float) -> None:
        self.period = timedelta(days=days)
        times = list(INTERVALS)
        while times[-1] < self.period:
            times.append(2 * times[-1])
        # The last request is at the end of the period.
        self._times = [time for time in times if time < self.period] + [self.period]

    def is_due(self, part: RetryRange, run: datetime) -> bool:
        """Return whether a range has to be requested in a run that started at a time."""
        first = part.requested_until
        last = part.retried or first
        # The last time can be after the period, if the setting has been lowered.
        if not part.retried or last >= first + self.period:
            return last < run
        return any(last < first + time <= run for time in self._times)

    def is_over(self, since: datetime, now: datetime, *, periods: int = 1) -> bool:
        """Return whether a request at `now` is the last one, after an event at `since`."""
        return not self.period or now - since >= periods * self.period


class RetryRanges:
    """The ranges of a bookmark, in the order of the feed.

    Attributes:
        current: the rest of the range that is being requested again, or None.
    """

    def __init__(self, stored: t.Any = ()) -> None:
        """Read the ranges that `to_state` returned.

        Raises:
            msgspec.ValidationError: the value is invalid.
        """
        self._ranges = msgspec.convert(stored, list[RetryRange])
        self.current: RetryRange | None = None

    def to_state(self) -> list[dict[str, t.Any]]:
        """Return the ranges as JSON."""
        ranges = [*self._ranges, *filter(None, [self.current])]
        state: list[dict[str, t.Any]] = msgspec.to_builtins(ranges)
        return state

    def next_due(self, schedule: RetrySchedule, run: datetime) -> RetryRange | None:
        """Return a range that is due in a run, which becomes the current one, or None."""
        self.current = next((part for part in self._ranges if schedule.is_due(part, run)), None)
        if self.current:
            self._ranges.remove(self.current)
        return self.current

    def add(self, new: RetryRange, now: datetime) -> None:
        """Add a range, and join it with another one if they are close to each other."""
        if new.ids is not None and len(new.ids) > MAX_IDS:
            new.ids = None
        self._ranges = sorted([*self._ranges, new], key=lambda part: part.start)
        pairs = [pair for pair in pairwise(self._ranges) if _can_join(*pair, now)]
        if not pairs and len(self._ranges) > MAX_RANGES:
            pairs = [min(pairwise(self._ranges), key=lambda pair: pair[1].start - pair[0].end)]
        for first, second in pairs[:1]:
            self._ranges[self._ranges.index(first)] = _join(first, second)
            self._ranges.remove(second)


def _can_join(first: RetryRange, second: RetryRange, now: datetime) -> bool:
    """Return whether two ranges can be one without more requests, at about the same times."""
    time = second.requested_until - first.requested
    return (
        second.start <= first.end
        and bool(first.retried) == bool(second.retried)
        and time <= max(MIN_JOINED, (now - first.requested) / 4)
    )


def _join(first: RetryRange, second: RetryRange) -> RetryRange:
    """Return one range, with the later end of the period and the earlier next request."""
    ids = None
    if first.ids is not None and second.ids is not None:
        ids = [*dict.fromkeys(first.ids + second.ids)]
    return RetryRange(
        cursor=first.cursor,
        from_date=first.from_date,
        start=first.start,
        end=max(first.end, second.end),
        requested=min(first.requested, second.requested),
        requested_until=max(first.requested_until, second.requested_until),
        retried=min(first.retried, second.retried) if first.retried and second.retried else None,
        ids=ids if ids and len(ids) <= MAX_IDS else None,
    )
