"""What holds when things go wrong with the cursor and the state, by the installed `tap-focus`.

`case` numbers are those of tests/RELIABILITY.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import NULL
from tests.helpers.assertions import assert_ends, bookmark, ids, settings
from tests.helpers.fake_focus import (
    CURSOR,
    Focus,
    answering,
    feed,
    hang_up,
    page,
    recording,
    status,
    well,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Run
    from tests.helpers.fake_focus import Fault

    Tap = Callable[..., Run]

case = pytest.mark.case


@case(1, 2)
def test_the_empty_pages_cursor_is_kept_and_asked_with_next(tap: Tap) -> None:
    with Focus(feed(2, 2)) as focus:
        run = tap(config=settings(focus))
        assert (run.code, ids(run)) == (0, [1, 2, 3, 4])
        assert run.state == bookmark(f"{CURSOR}-3")
        focus.queries.clear()
        again = tap(config=settings(focus), state=run.state)
        assert (again.code, ids(again), again.state) == (0, [], run.state)
        assert focus.queries == [{"numberOfResults": "100", "cursorId": f"{CURSOR}-3"}]


@case(2)
def test_an_empty_feed_gives_a_schema_and_a_state(tap: Tap) -> None:
    with Focus(feed()) as focus:
        run = tap(config=settings(focus))
    assert (run.code, run.kinds) == (0, {"SCHEMA": 1, "STATE": 1})
    assert run.state == bookmark(f"{CURSOR}-1")


@case(3)
@pytest.mark.parametrize("circle", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_a_cursor_that_goes_round_in_a_circle_ends_after_its_recordings(
    tap: Tap, circle: list[str]
) -> None:
    pages: dict[str | None, bytes] = {None: page([recording(1)], "a")}
    for number, cursor in enumerate(circle, start=2):
        following = circle[(circle.index(cursor) + 1) % len(circle)]
        pages[cursor] = page([recording(number)], following)
    with Focus(pages) as focus:
        run = tap(config=settings(focus))
    assert_ends(run, 76, "does not advance")
    assert ids(run) == list(range(1, len(circle) + 2))
    assert run.state == bookmark(circle[0])


@case(4)
@pytest.mark.parametrize(
    "body",
    # tests/unit/test_feed.py has many more.
    [page([], None), b'{"recordings": null, "nextCursorId": "a"}', b"<html>busy</html>"],
)
def test_what_is_no_page_is_tried_again_and_never_taken_for_up_to_date(
    tap: Tap, body: bytes
) -> None:
    with Focus(feed(2, 2), cursor=[answering(body)]) as focus:
        assert ids(tap(config=settings(focus))) == [1, 2, 3, 4]
    with Focus(feed(2, 2)) as focus:
        focus.pages[f"{CURSOR}-1"] = body
        run = tap(config=settings(focus))
        assert_ends(run, 76, "page 2 of this run", "other than a page of recordings")
        assert "Up to date" not in run.log
        assert (ids(run), run.state) == ([1, 2], bookmark(f"{CURSOR}-1"))
        assert len(focus.queries) == 1 + 3


@case(5)
@pytest.mark.parametrize(
    "cursor",
    [
        "c" * 10_240,
        "a+b/c==",
        "\"'%2B% &#?;",
        " lead and trail ",
        "é李😀\u202e",
        "\\u0041\n\t\u0000",
    ],
)
def test_a_cursor_comes_back_exactly_as_it_was_given(tap: Tap, cursor: str) -> None:
    pages = {None: page([recording(1)], cursor), cursor: page([], cursor)}
    with Focus(pages) as focus:
        run = tap(config=settings(focus))
        assert (run.code, run.state) == (0, bookmark(cursor))
        assert focus.queries[1]["cursorId"] == cursor
        tap(config=settings(focus), state=run.state)
        assert focus.queries[2]["cursorId"] == cursor


@case(9)
@pytest.mark.parametrize("fault", [status(500), status(400), hang_up, answering(b"<html>")])
def test_pages_before_a_page_that_fails_for_good_are_out(tap: Tap, fault: Fault) -> None:
    pages = feed(2, 2, 2, 2, 2)
    with Focus(pages, cursor=[well, well], always={"cursor": fault}) as focus:
        run = tap(config=settings(focus))
    assert run.code != 0
    assert len(run.errors) == 1
    assert (ids(run), run.state) == ([1, 2, 3, 4], bookmark(f"{CURSOR}-2"))


@case(10)
@pytest.mark.parametrize("code", [400, 404, 410])
def test_a_refused_cursor_says_the_two_ways_on_and_starts_nothing_over(tap: Tap, code: int) -> None:
    with Focus(feed(2), always={"cursor": status(code)}) as focus:
        run = tap(config=settings(focus, start_date="2025-01-01"), state=bookmark("old"))
        assert_ends(run, 65, "--full-refresh", "start_date", "fresh state")
        assert focus.queries == [{"numberOfResults": "100", "cursorId": "old"}]
    assert [message["value"] for message in run.of("STATE")] == [bookmark("old")]


@case(11)
@pytest.mark.parametrize(
    "state",
    [
        {},
        NULL,
        {"bookmarks": None},
        {"bookmarks": {}},
        {"bookmarks": {"recordings": None}},
        {"bookmarks": {"recordings": {}}},
        {"bookmarks": {"recordings": {"replication_key_value": "a"}}},
        {"bookmarks": {"recordings": {"replication_key": "id", "replication_key_value": 7}}},
        {"bookmarks": {"recordings": {"replication_key": "nextCursorId"}}},
        {"bookmarks": {"recordings": {"partitions": [{"context": {"a": 1}}]}}},
        {"bookmarks": {"recordings": {"progress_markers": "x", "starting_replication_value": 1}}},
        {"bookmarks": {"recordings": {"progress_markers": {"replication_key_value": "zzz"}}}},
    ],
)
def test_a_state_without_this_taps_bookmark_is_a_fresh_start(tap: Tap, state: Any) -> None:
    with Focus(feed(2)) as focus:
        run = tap(config=settings(focus), state=state)
        assert (run.code, ids(run)) == (0, [1, 2])
        assert run.state == bookmark(f"{CURSOR}-2")
        assert focus.queries[0] == {"numberOfResults": "100"}


@case(11)
@pytest.mark.parametrize(
    "state",
    [
        5,
        [],
        "text",
        {"bookmarks": []},
        {"singer_state": bookmark("a")},
        {"type": "STATE", "value": bookmark("a")},
        {"bookmarks": {"recordings": []}},
        {"bookmarks": {"recordings": "cursor"}},
        bookmark(5),  # type: ignore[arg-type]
        bookmark(["a"]),  # type: ignore[arg-type]
    ],
)
def test_a_state_that_this_tap_never_wrote_ends_before_any_request(tap: Tap, state: Any) -> None:
    with Focus(feed(2)) as focus:
        run = tap(config=settings(focus), state=state)
        assert run.code == 2
        assert "state" in run.log
        assert "Traceback" not in run.log
        assert not focus.logins


@case(11, 14)
def test_a_leftover_of_the_sdk_beside_a_bookmark_is_left_behind(tap: Tap) -> None:
    state = bookmark(f"{CURSOR}-1")
    state["bookmarks"]["recordings"] |= {"progress_markers": {"a": 1}, "partitions": [1]}
    state["bookmarks"]["another"] = {"replication_key": "x", "replication_key_value": 9}
    with Focus(feed(2, 2)) as focus:
        run = tap(config=settings(focus), state=state)
    assert (run.code, ids(run)) == (0, [3, 4])
    assert run.state["bookmarks"].pop("another") == state["bookmarks"]["another"]
    assert run.state["bookmarks"]["recordings"].keys() == {
        "replication_key",
        "replication_key_value",
    }


@case(13)
def test_a_bookmark_wins_over_a_start_date_and_the_log_says_so_once(tap: Tap) -> None:
    with Focus(feed(2, 2)) as focus:
        config = settings(focus, start_date="2030-01-01")
        run = tap(config=config, state=bookmark(f"{CURSOR}-1"))
        assert ids(run) == [3, 4]
        assert all("fromDate" not in query for query in focus.queries)
    assert run.log.count("start_date counts for a first run only") == 1


@case(15)
def test_every_version_of_a_recording_arrives_in_the_feeds_order(tap: Tap) -> None:
    first, second, third = (recording(1, commentsCount=n) for n in range(3))
    pages = {
        None: page([first, recording(2), second], "a"),
        "a": page([third], "b"),
        "b": page([], "b"),
    }
    with Focus(pages) as focus:
        run = tap(config=settings(focus))
    versions = [record["commentsCount"] for record in run.records if record["interactionId"] == 1]
    assert versions == [0, 1, 2]
