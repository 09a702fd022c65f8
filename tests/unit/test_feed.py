"""The walk of the cursor, over a feed in memory."""

from __future__ import annotations

import json
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from tap_focus.api import pagination as feed
from tap_focus.api.pagination import walk
from tap_focus.errors import (
    BadAnswerError,
    CursorRefusedError,
    FocusError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_focus.api.page import Answer, Page

SECRET = "Jane Smith"


def body(*recordings: Any, cursor: Any = "next") -> bytes:
    return json.dumps({"recordings": recordings, "nextCursorId": cursor}).encode()


def one(number: int) -> dict[str, Any]:
    return {"interactionId": number}


class Pages:
    """A feed in memory: an answer for each cursor, and what was asked."""

    def __init__(self, answers: dict[str | None, bytes | Exception]) -> None:
        self.answers = answers
        self.asked: list[dict[str, str]] = []

    def __call__(self, params: dict[str, str], decode: Callable[[bytes], Answer]) -> Answer:
        self.asked.append(params)
        answer = self.answers[params.get("cursorId")]
        if isinstance(answer, Exception):
            raise answer
        return decode(answer)

    def walk(self, cursor: str | None = None, from_date: str | None = None) -> Iterator[Page]:
        return walk(self, page_size=2, cursor=cursor, from_date=from_date)


def test_a_walk_ends_with_the_first_empty_page_and_its_cursor() -> None:
    pages = Pages({None: body(one(1), cursor="a"), "a": body(one(2), cursor="b"), "b": body()})
    assert [page.cursor for page in pages.walk()] == ["a", "b", "next"]
    assert pages.asked == [
        {"numberOfResults": "2"},
        {"numberOfResults": "2", "cursorId": "a"},
        {"numberOfResults": "2", "cursorId": "b"},
    ]


def test_a_date_is_sent_only_without_a_cursor_and_only_at_first() -> None:
    pages = Pages({None: body(one(1), cursor="a"), "a": body()})
    list(pages.walk(from_date="2025-01-01T00:00:00Z"))
    list(pages.walk(cursor="a", from_date="2025-01-01T00:00:00Z"))
    assert [sorted(query) for query in pages.asked] == [
        ["fromDate", "numberOfResults"],
        ["cursorId", "numberOfResults"],
        ["cursorId", "numberOfResults"],
    ]


def test_the_next_page_is_fetched_while_this_one_is_used_and_no_more() -> None:
    asked = threading.Semaphore(0)
    pages = Pages({None: body(one(1), cursor="a"), "a": body(one(2), cursor="b"), "b": body()})

    def fetch(params: dict[str, str], decode: Callable[[bytes], Answer]) -> Answer:
        asked.release()
        return pages(params, decode)

    walking = walk(fetch, page_size=2, cursor=None)
    next(walking)
    assert asked.acquire(timeout=5)
    assert asked.acquire(timeout=5)
    assert not asked.acquire(timeout=0.1)
    assert len(pages.asked) == 2


def test_what_goes_wrong_with_the_next_page_waits_until_it_is_asked_for() -> None:
    pages = Pages({None: body(one(1), cursor="a"), "a": FocusError("broken")})
    walking = pages.walk()
    assert list(next(walking).recordings()) == [one(1)]
    with pytest.raises(FocusError, match="broken"):
        next(walking)


@pytest.mark.parametrize(
    "cursors", [["start"], ["a", "a"], ["a", "start"], ["a", "b", "c", "a"], ["a", "b", "b"]]
)
def test_a_cursor_that_goes_back_ends_the_walk_after_its_recordings(cursors: list[str]) -> None:
    asked = ["start", *cursors]
    answers: dict[str | None, bytes | Exception] = {
        cursor: body(one(number), cursor=after)
        for number, (cursor, after) in enumerate(zip(asked, cursors, strict=False))
    }
    walking = Pages(answers).walk(cursor="start")
    for number in range(len(cursors)):
        assert list(next(walking).recordings()) == [one(number)]
    with pytest.raises(BadAnswerError, match="does not advance"):
        next(walking)


def test_a_round_longer_than_the_memory_of_cursors_ends_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed, "_REMEMBERED_CURSORS", 3)
    answers: dict[str | None, bytes | Exception] = {
        str(number): body(one(number), cursor=str((number + 1) % 20)) for number in range(20)
    }
    pages = Pages(answers)
    with pytest.raises(BadAnswerError, match="does not advance"):
        deque(pages.walk(cursor="5"), maxlen=0)
    assert {query["cursorId"] for query in pages.asked} == set(answers)
    assert len(pages.asked) < 60


def test_an_empty_page_that_repeats_its_cursor_is_a_normal_end() -> None:
    pages = Pages({"a": body(cursor="a")})
    assert [page.cursor for page in pages.walk(cursor="a")] == ["a"]


def test_a_cursor_is_sent_exactly_as_it_came() -> None:
    odd = "a+b/c=%41 \"'é\u0000😀" + "x" * 10_000
    pages = Pages({None: body(one(1), cursor=odd), odd: body()})
    list(pages.walk())
    assert pages.asked[1]["cursorId"] == odd


def test_a_cursor_of_this_run_that_is_refused_is_no_reason_to_read_all_again() -> None:
    pages = Pages({None: body(one(1), cursor="a"), "a": CursorRefusedError("--full-refresh")})
    walking = pages.walk()
    next(walking)
    with pytest.raises(BadAnswerError, match="refused the cursor that it had given with page 1"):
        next(walking)
