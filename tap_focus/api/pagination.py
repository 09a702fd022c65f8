"""Iteration over the feed: follow the cursor and request the next page in advance."""

from __future__ import annotations

import typing as t
from queue import Empty, SimpleQueue
from threading import Event, Thread

from tap_focus.errors import CursorRejectedError, PaginationError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_focus.api.page import Page

POLL_INTERVAL = 0.2
"""Seconds of one wait, so that a signal that arrives just before the wait is noticed."""

PAGES_AHEAD = 2
"""Pages that are requested before the caller asks for them. With one, the next request would wait
until the caller's thread has been scheduled."""


def iter_pages(
    get_page: Callable[..., Page],
    cursor: str | None,
    from_date: str | None,
    on_wait: Callable[[], None],
) -> Iterator[Page]:
    """Yield the pages of the feed from a cursor, a date or its beginning until it is up to date.

    The last page is the first empty one. A failure is raised after the pages before it have been
    yielded.

    Args:
        get_page: `Client.get_page` with its other arguments.
        cursor: where to continue; sent exactly as it was given.
        from_date: where to begin without a cursor, as `YYYY-MM-DDTHH:MM:SSZ`.
        on_wait: called for each page and several times a second while one is awaited. May raise to
            end the iteration.

    Raises:
        PaginationError: a page led back to an earlier cursor, or Focus rejected a cursor that it
            had returned.
        APIError: what `get_page` raised.
    """
    pages = _follow_cursor(get_page, cursor, from_date)
    wanted: SimpleQueue[None] = SimpleQueue()
    results: SimpleQueue[Page | Exception | None] = SimpleQueue()
    is_abandoned = Event()

    def request_pages() -> None:
        while True:
            wanted.get()
            if is_abandoned.is_set():
                return
            try:
                results.put(next(pages, None))
            except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
                results.put(error)

    for _ in range(PAGES_AHEAD):
        wanted.put(None)
    Thread(target=request_pages, name="pages", daemon=True).start()
    try:
        while page := _wait_for(results, on_wait):
            wanted.put(None)
            yield page
    finally:
        is_abandoned.set()
        wanted.put(None)


def _wait_for(
    results: SimpleQueue[Page | Exception | None], on_wait: Callable[[], None]
) -> Page | None:
    """Return the next result, or raise it if it is an exception."""
    while True:
        on_wait()
        try:
            result = results.get(timeout=POLL_INTERVAL)
        except Empty:
            continue
        if isinstance(result, Exception):
            raise result
        return result


def _follow_cursor(
    get_page: Callable[..., Page], cursor: str | None, from_date: str | None
) -> Iterator[Page]:
    """Yield page after page, each requested when the one before has been taken."""
    number = 1
    # Brent's algorithm: a loop of any length returns to the checkpoint, which moves at powers of
    # two. Remembering all cursors would need memory that grows with the feed.
    checkpoint = cursor
    while True:
        try:
            first = None if cursor else from_date
            page = get_page(cursor=cursor, from_date=first, number=number)
        except CursorRejectedError as error:
            if number == 1:
                raise
            raise PaginationError(
                f"Focus rejected, with status {error.status}, the cursor that it had returned with "
                f"page {number - 1} of this run"
            ) from error
        yield page
        if not page.size:
            return
        if page.cursor in (cursor, checkpoint):
            raise PaginationError(
                f"The cursor does not advance: page {number} of this run leads back to an earlier "
                "page"
            )
        if number.bit_count() == 1:
            checkpoint = page.cursor
        cursor = page.cursor
        number += 1
