"""The visible part of the feed. It grows with time and continues after a restart."""

from __future__ import annotations

import threading
import typing as t

from tap_focus.sandbox.cursor import Cursor

if t.TYPE_CHECKING:
    from collections.abc import Callable


class FeedView(t.NamedTuple):
    """The visible part of the feed at the time of one request. Times are in microseconds.

    Attributes:
        total: The number of visible entries.
        now: The time of the request, since 1970.
        origin: The time of the empty feed, assuming that it always grew at this rate.
        interval: The time between two entries; 0 if the feed does not grow with time.
    """

    total: int
    now: int
    origin: int
    interval: int

    def cursor(self, position: int) -> Cursor:
        """Return the cursor that continues at a position."""
        newest = self.origin + position * self.interval if self.interval else self.now
        return Cursor(position, newest, self.now)


class Timeline:
    """Calculates the visible part of the feed.

    The server stores nothing, so after a restart the feed has its initial size again. A cursor
    contains the time at which its position was the newest. For the client that sends it, the
    feed continues to grow from there. The longer of the two feeds is visible to this client.

    Args:
        records: The number of entries at the start.
        live_every: Seconds between new entries; 0 for none.
        clock: Returns seconds since 1970.
    """

    def __init__(self, records: int, live_every: float, clock: Callable[[], float]) -> None:
        self._records = records
        self._interval = _microseconds(live_every)
        self._clock = clock
        self._started = _microseconds(clock())
        self._lock = threading.Lock()

    def grow(self, count: int) -> None:
        """Add entries at once."""
        with self._lock:
            self._records += count

    def view(self, cursor: Cursor | None = None) -> FeedView:
        """Return what a client sees now.

        Args:
            cursor: The cursor in the client's request, if any.
        """
        now = _microseconds(self._clock())
        with self._lock:
            records = self._records
        if not self._interval:
            total = max(records, cursor.position) if cursor else records
            return FeedView(total, now, now, 0)
        origin = self._started - records * self._interval
        if cursor:
            origin = min(origin, cursor.newest - cursor.position * self._interval)
        return FeedView(max(0, (now - origin) // self._interval), now, origin, self._interval)


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)
