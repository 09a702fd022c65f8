from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_focus.api.page import Page, decode_page
from tap_focus.api.pagination import PAGES_AHEAD, iter_pages
from tap_focus.errors import APIError, CursorRejectedError, PaginationError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

WAIT = 5.0
"""Seconds to wait for something that happens at once on an idle machine."""


def body(*ids: int, cursor: str) -> bytes:
    recordings = [{"interactionId": number} for number in ids]
    return json.dumps({"recordings": recordings, "nextCursorId": cursor}).encode()


def chain(*cursors: str, start: str | None = None) -> dict[str | None, bytes]:
    """Return pages of one recording each, by the cursor that requests them; the last is empty."""
    pages: dict[str | None, bytes] = {}
    requested = start
    for number, cursor in enumerate(cursors, start=1):
        is_last = number == len(cursors)
        pages[requested] = body(cursor=cursor) if is_last else body(number, cursor=cursor)
        requested = cursor
    return pages


class Feed:
    """Responds to requests for pages, and keeps their arguments."""

    def __init__(self, pages: Mapping[str | None, bytes | Exception]) -> None:
        self.pages = pages
        self.requests: list[dict[str, Any]] = []
        self.changed = threading.Condition()

    def get_page(self, **request: Any) -> Page:
        with self.changed:
            self.requests.append(request)
            self.changed.notify()
        response = self.pages[request["cursor"]]
        if isinstance(response, Exception):
            raise response
        return decode_page(response, request["number"])

    def iter_pages(
        self,
        cursor: str | None = None,
        from_date: str | None = None,
        on_wait: Callable[[], None] = lambda: None,
    ) -> Iterator[Page]:
        return iter_pages(self.get_page, cursor, from_date, on_wait)

    @property
    def cursors(self) -> list[str | None]:
        return [request["cursor"] for request in self.requests]

    def wait_for_requests(self, count: int, seconds: float = WAIT) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: len(self.requests) >= count, seconds)


def read_until_error(pages: Iterator[Page]) -> tuple[list[str], Exception | None]:
    """Return the cursors of the pages, and the error after them, if any."""
    cursors = []
    try:
        for page in pages:
            cursors.append(page.cursor)  # noqa: PERF401 - an error would lose the list
    except APIError as error:
        return cursors, error
    return cursors, None


def test_the_iteration_ends_with_the_first_empty_page() -> None:
    feed = Feed(chain("a", "b", "end"))

    assert [(page.cursor, page.size) for page in feed.iter_pages()] == [
        ("a", 1),
        ("b", 1),
        ("end", 0),
    ]
    assert feed.cursors == [None, "a", "b"]


def test_each_page_has_its_number_in_this_run() -> None:
    feed = Feed(chain("a", "b", "end"))

    assert [page.number for page in feed.iter_pages()] == [1, 2, 3]
    assert [request["number"] for request in feed.requests] == [1, 2, 3]


def test_a_date_is_requested_once_and_only_without_a_cursor() -> None:
    feed = Feed(chain("a", "end"))
    list(feed.iter_pages(from_date="2025-01-01T00:00:00Z"))
    list(feed.iter_pages(cursor="a", from_date="2025-01-01T00:00:00Z"))

    assert [(request["cursor"], request["from_date"]) for request in feed.requests] == [
        (None, "2025-01-01T00:00:00Z"),
        ("a", None),
        ("a", None),
    ]


@pytest.mark.guarantee("preserve-cursor")
def test_a_cursor_is_requested_exactly_as_it_was_returned() -> None:
    odd = "a+b/c=%41 \"'é\u0000😀" + "x" * 4000
    feed = Feed(chain(odd, "end"))
    list(feed.iter_pages())

    assert feed.cursors == [None, odd]


def test_an_empty_page_that_repeats_its_cursor_is_a_normal_end() -> None:
    feed = Feed({"a": body(cursor="a")})

    assert [page.cursor for page in feed.iter_pages(cursor="a")] == ["a"]


def test_an_empty_page_that_leads_back_is_a_normal_end() -> None:
    feed = Feed({"a": body(1, cursor="b"), "b": body(cursor="a")})

    assert [page.cursor for page in feed.iter_pages(cursor="a")] == ["b", "a"]


@given(count=st.integers(1, 30))
def test_pages_arrive_in_the_feeds_order(count: int) -> None:
    cursors = [str(number) for number in range(count)]
    feed = Feed(chain(*cursors))

    assert [page.cursor for page in feed.iter_pages()] == cursors


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_at_most_two_pages_are_requested_in_advance(taken: int) -> None:
    feed = Feed(chain(*(str(number) for number in range(20))))
    pages = feed.iter_pages()
    # The first page is taken in any case: a generator starts with the first request for a value.
    for _ in range(taken + 1):
        next(pages)
    expected = taken + 1 + PAGES_AHEAD

    assert feed.wait_for_requests(expected)
    assert not feed.wait_for_requests(expected + 1, seconds=0.1)


@pytest.mark.guarantee("keep-pages-before-failure")
def test_an_error_is_raised_after_the_pages_before_it() -> None:
    error = UnavailableError("GET /x", host="host", attempts=1, seconds=0, reason="broken")
    feed = Feed({**chain("a", "b", "c"), "b": error})
    pages = feed.iter_pages()

    assert [next(pages).cursor, next(pages).cursor] == ["a", "b"]
    with pytest.raises(UnavailableError) as caught:
        next(pages)
    assert caught.value is error


def test_nothing_is_requested_after_an_error() -> None:
    feed = Feed({**chain("a", "b", "c", "d"), "b": ValueError("unforeseen")})
    with pytest.raises(ValueError, match="unforeseen"):
        list(feed.iter_pages())

    assert not feed.wait_for_requests(4, seconds=0.1)
    assert feed.cursors == [None, "a", "b"]


@pytest.mark.guarantee("stop-on-cursor-loop")
@pytest.mark.parametrize(
    "cursors", [["start"], ["a", "a"], ["a", "start"], ["a", "b", "c", "a"], ["a", "b", "b"]]
)
def test_the_pages_of_a_loop_arrive_before_its_error(cursors: list[str]) -> None:
    requested = ["start", *cursors]
    feed = Feed(
        {
            cursor: body(number, cursor=following)
            for number, (cursor, following) in enumerate(zip(requested, cursors, strict=False))
        }
    )
    delivered, error = read_until_error(feed.iter_pages(cursor="start"))

    assert isinstance(error, PaginationError)
    assert delivered[: len(cursors)] == cursors


@pytest.mark.guarantee("stop-on-cursor-loop")
@given(before=st.integers(0, 40), length=st.integers(1, 40), starts_with_cursor=st.booleans())
def test_a_loop_of_any_length_ends_after_a_bounded_number_of_pages(
    *, before: int, length: int, starts_with_cursor: bool
) -> None:
    cursors: list[Any] = [str(number) for number in range(before + length)]
    start = cursors[0] if starts_with_cursor else None
    pages: dict[str | None, bytes] = {
        cursor: body(number, cursor=following)
        for number, (cursor, following) in enumerate(
            zip(cursors, [*cursors[1:], cursors[before]], strict=True)
        )
    }
    feed = Feed({**pages, None: body(0, cursor=cursors[0])})
    delivered, error = read_until_error(feed.iter_pages(cursor=start))

    assert isinstance(error, PaginationError)
    assert {*cursors[1:]} <= {*delivered}
    assert len(delivered) <= 3 * (before + length) + 3


@given(st.lists(st.text(min_size=1, max_size=3), unique=True, min_size=1, max_size=40))
def test_cursors_that_do_not_repeat_are_never_taken_for_a_loop(cursors: list[str]) -> None:
    feed = Feed(chain(*cursors))

    assert [page.cursor for page in feed.iter_pages()] == cursors


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_rejected_cursor_of_this_run_is_an_error_of_the_pagination(status: int) -> None:
    """The bookmark is good, so the advice for a rejected bookmark would be wrong."""
    feed = Feed({**chain("a", "b", "c"), "b": CursorRejectedError(status)})
    pages = feed.iter_pages(cursor=None)
    next(pages)
    next(pages)

    with pytest.raises(PaginationError, match=rf"{status}.*page 2"):
        next(pages)


def test_a_rejected_cursor_of_the_bookmark_is_raised_as_it_is() -> None:
    error = CursorRejectedError(410)
    with pytest.raises(CursorRejectedError) as caught:
        list(Feed({"old": error}).iter_pages(cursor="old"))

    assert caught.value is error


def test_an_abandoned_iteration_requests_nothing_more() -> None:
    feed = Feed(chain(*(str(number) for number in range(20))))
    pages = feed.iter_pages()
    next(pages)
    assert feed.wait_for_requests(1 + PAGES_AHEAD)
    pages.close()  # type: ignore[attr-defined]

    assert not feed.wait_for_requests(2 + PAGES_AHEAD, seconds=0.2)


def test_the_thread_of_an_abandoned_iteration_ends() -> None:
    before = {*threading.enumerate()}
    pages = Feed(chain(*(str(number) for number in range(20)))).iter_pages()
    next(pages)
    started = {*threading.enumerate()} - before
    pages.close()  # type: ignore[attr-defined]

    assert len(started) == 1
    for thread in started:
        thread.join(WAIT)
        assert not thread.is_alive()


def test_waiting_for_a_page_calls_on_wait_several_times_a_second() -> None:
    released = threading.Event()
    calls = 0

    def get_page(**request: Any) -> Page:
        released.wait(WAIT)
        return decode_page(body(cursor="end"), request["number"])

    def on_wait() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            released.set()

    started = time.monotonic()
    list(iter_pages(get_page, None, None, on_wait))

    assert calls >= 3
    assert time.monotonic() - started < WAIT


def test_on_wait_may_end_the_iteration() -> None:
    def stop() -> None:
        raise SystemExit(143)

    released = threading.Event()

    def get_page(**_: Any) -> Page:
        released.wait(WAIT)
        raise AssertionError

    pages = iter_pages(get_page, None, None, stop)
    with pytest.raises(SystemExit):
        next(pages)
    released.set()


def test_on_wait_is_called_for_each_page_that_has_already_arrived() -> None:
    calls: list[None] = []
    feed = Feed(chain("a", "b", "end"))
    pages = feed.iter_pages(on_wait=lambda: calls.append(None))
    next(pages)
    assert feed.wait_for_requests(3)
    before = len(calls)
    next(pages)

    assert len(calls) > before
