"""The time of each feed entry: office hours in UTC, from the first Monday of 2025 on.

All times are integers, in milliseconds since that Monday at 00:00.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
YEAR = 365 * DAY  # the vendor's sample counts the years of retention like this

_FIRST_MONDAY = datetime(2025, 1, 6, tzinfo=timezone.utc)
_OPENING_TIME = 7 * HOUR
_OFFICE_HOURS = 11 * HOUR
_ENTRIES_BY_WEEKDAY = (51, 48, 54, 50, 44, 2, 1)
_TIMES_OF_A_WEEK = tuple(
    day * DAY + _OPENING_TIME + _OFFICE_HOURS * index // count
    for day, count in enumerate(_ENTRIES_BY_WEEKDAY)
    for index in range(count)
)


def scheduled_time(position: int) -> int:
    """Return the approximate time of the feed entry at a position."""
    week, index = divmod(position, len(_TIMES_OF_A_WEEK))
    return week * 7 * DAY + _TIMES_OF_A_WEEK[index]


def format_time(milliseconds: int) -> str:
    """Return a time in the format of the API, such as "2025-01-06T09:01:10.956Z"."""
    moment = _FIRST_MONDAY + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_milliseconds(moment: datetime) -> int:
    """Return a date and time with a time zone in milliseconds, rounded up."""
    return -((_FIRST_MONDAY - moment) // timedelta(milliseconds=1))
