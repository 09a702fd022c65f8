"""How much of the feed can be seen: it grows with time, and goes on over a restart."""

from __future__ import annotations

import threading
import typing as t

from tap_focus.sandbox.cursor import Cursor

if t.TYPE_CHECKING:
    from collections.abc import Callable

_MICROSECONDS = 1_000_000


class View(t.NamedTuple):
    """The feed as one request sees it.

    Attributes:
        total: How many events there are.
        now: The time of the request, in microseconds since 1970.
        zero: When there were none: the feed's growth, followed back to its beginning.
        step: Microseconds between one event and the next; 0 when time brings none.
    """

    total: int
    now: int
    zero: int
    step: int

    def cursor(self, position: int) -> Cursor:
        """Return the cursor that continues at a position of this feed."""
        newest = self.zero + position * self.step if self.step else self.now
        return Cursor(position, newest, self.now)


class Timeline:
    """Counts the events that can be seen.

    Nothing is stored, so a server that starts again starts with its first records. But a cursor
    knows when its position was the newest, and time goes on from there for the one who holds
    it: of the server's own timeline and the cursor's, the one that is ahead counts.
    """

    def __init__(self, records: int, live_every: float, clock: Callable[[], float]) -> None:
        """Start to count.

        Args:
            records: Events there from the start.
            live_every: Seconds from one further event to the next; 0 for none.
            clock: Tells the time, in seconds since 1970.
        """
        self._records = records
        self._step = round(live_every * _MICROSECONDS)
        self._clock = clock
        self._started = self._now()
        self._lock = threading.Lock()

    def grow(self, events: int) -> None:
        """Let this many more events appear at once."""
        with self._lock:
            self._records += events

    def view(self, cursor: Cursor | None = None) -> View:
        """Return the feed as it stands now, for the holder of a cursor or for anyone."""
        now = self._now()
        with self._lock:
            records = self._records
        if not self._step:
            return View(max(records, cursor.position if cursor else 0), now, now, 0)
        zero = self._started - records * self._step
        if cursor:
            zero = min(zero, cursor.newest - cursor.position * self._step)
        return View(max(0, (now - zero) // self._step), now, zero, self._step)

    def _now(self) -> int:
        return round(self._clock() * _MICROSECONDS)
