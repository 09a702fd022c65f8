"""When things happen: office hours in UTC from the first Monday of 2025 on, without an end."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

MINUTE = 60_000  # every span here is in milliseconds
HOUR = 60 * MINUTE
DAY = 24 * HOUR
YEAR = 365 * DAY  # as the vendor's sample counts the years of retention

EARLY_OR_LATE = 25 * MINUTE  # a recording starts at most this far from its slot

_BEGINNING = datetime(2025, 1, 6)  # noqa: DTZ001 - in UTC; naive datetimes are written faster
_WEEK = 7 * DAY
_OPENS, _OPEN_FOR = 7 * HOUR, 11 * HOUR
_EVENTS_BY_WEEKDAY = (51, 48, 54, 50, 44, 2, 1)
_SLOTS = tuple(
    day * DAY + _OPENS + _OPEN_FOR * nth // count
    for day, count in enumerate(_EVENTS_BY_WEEKDAY)
    for nth in range(count)
)


def slot(position: int) -> int:
    """Return about when the event at a position happens, in milliseconds since the beginning."""
    week, nth = divmod(position, len(_SLOTS))
    return week * _WEEK + _SLOTS[nth]


def text(milliseconds: int) -> str:
    """Return a time as Focus writes it, such as "2025-01-06T09:01:10.956Z"."""
    moment = _BEGINNING + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds") + "Z"


def since_beginning(moment: datetime) -> int:
    """Return milliseconds since the beginning, a started one counted as whole.

    Args:
        moment: A date and time, with its time zone.
    """
    beginning = _BEGINNING.replace(tzinfo=timezone.utc)
    return -((beginning - moment) // timedelta(milliseconds=1))
