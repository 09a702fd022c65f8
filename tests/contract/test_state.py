"""The cursor and the state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers import guarantee
from tests.helpers.assertions import assert_fails, bookmark, cursor_of
from tests.helpers.fake_focus import (
    FakeFocus,
    close,
    feed,
    ok,
    page,
    page_cursor,
    recording,
    respond,
    status,
)
from tests.helpers.runner import NULL, settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.fake_focus import Fault
    from tests.helpers.runner import TapRunner


@guarantee("keep-final-cursor")
def test_the_cursor_of_the_empty_page_is_in_the_last_state(tap: TapRunner) -> None:
    with FakeFocus(feed(2, 2)) as focus:
        run = tap(config=settings(focus))

    assert (run.exit_code, run.ids) == (0, [1, 2, 3, 4])
    assert run.state == bookmark(page_cursor(3))


@guarantee("resume-when-up-to-date")
def test_a_run_that_is_up_to_date_sends_one_request_and_writes_no_record(tap: TapRunner) -> None:
    state = bookmark(page_cursor(3))
    with FakeFocus(feed(2, 2)) as focus:
        run = tap(config=settings(focus), state=state)

    assert (run.exit_code, run.ids, run.state) == (0, [], state)
    assert focus.queries == [{"numberOfResults": "100", "cursorId": page_cursor(3)}]


@guarantee("resume-when-up-to-date")
def test_an_empty_feed_results_in_a_schema_and_a_state(tap: TapRunner) -> None:
    with FakeFocus(feed()) as focus:
        run = tap(config=settings(focus))

    assert (run.exit_code, run.message_counts) == (0, {"SCHEMA": 1, "STATE": 1})
    assert run.state == bookmark(page_cursor(1))


@guarantee("stop-on-cursor-loop")
@pytest.mark.parametrize("loop", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_a_loop_of_cursors_ends_the_run_after_its_recordings(
    tap: TapRunner, loop: list[str]
) -> None:
    pages: dict[str | None, bytes] = {None: page([recording(1)], "a")}
    for number, (cursor, next_cursor) in enumerate(zip(loop, [*loop[1:], "a"], strict=True), 2):
        pages[cursor] = page([recording(number)], next_cursor)
    with FakeFocus(pages) as focus:
        run = tap(config=settings(focus))

    assert_fails(run, 76, "cursor")
    assert set(run.ids) == set(range(1, len(loop) + 2))
    assert cursor_of(run.state) in loop
    assert len(focus.cursors) < 10 * len(loop)


# tests/unit has more bodies.
INVALID_PAGES = [page([], None), b'{"recordings": null, "nextCursorId": "a"}', b"<html>busy</html>"]


@guarantee("reject-invalid-page")
@pytest.mark.parametrize("body", INVALID_PAGES)
def test_an_invalid_page_is_requested_again(tap: TapRunner, body: bytes) -> None:
    with FakeFocus(feed(2, 2), cursor=[respond(body)]) as focus:
        run = tap(config=settings(focus))

    assert (run.exit_code, run.ids) == (0, [1, 2, 3, 4])


@guarantee("reject-invalid-page")
@pytest.mark.parametrize("body", INVALID_PAGES)
def test_an_invalid_page_is_never_taken_for_up_to_date(tap: TapRunner, body: bytes) -> None:
    with FakeFocus(feed(2, 2)) as focus:
        focus.pages[page_cursor(1)] = body
        run = tap(config=settings(focus, requests=2))

    assert_fails(run, 76, "page 2")
    assert "Up to date" not in run.log
    assert (run.ids, run.state) == ([1, 2], bookmark(page_cursor(1)))
    assert focus.cursors == [None, page_cursor(1), page_cursor(1)]


@guarantee("preserve-cursor")
@pytest.mark.parametrize(
    "cursor",
    [
        "c" * 4096,
        "a+b/c==",
        "\"'%2B% &#?;",
        " spaces around ",
        "é李😀\u202e",
        "\\u0041\n\t\u0000",
    ],
)
def test_a_cursor_is_sent_exactly_as_it_was_received(tap: TapRunner, cursor: str) -> None:
    with FakeFocus({None: page([recording(1)], cursor), cursor: page([], cursor)}) as focus:
        run = tap(config=settings(focus))
        tap(config=settings(focus), state=run.state)

    assert (run.exit_code, run.state) == (0, bookmark(cursor))
    assert focus.cursors == [None, cursor, cursor]


@guarantee("keep-pages-before-failure")
@pytest.mark.parametrize("fault", [status(500), status(400), close, respond(b"<html>")])
def test_pages_before_a_page_that_fails_are_written_and_bookmarked(
    tap: TapRunner, fault: Fault
) -> None:
    with FakeFocus(feed(2, 2, 2, 2, 2), cursor=[ok, ok], always={"cursor": fault}) as focus:
        run = tap(config=settings(focus, requests=2))

    assert_fails(run, run.exit_code)
    assert run.exit_code > 0
    assert (run.ids, run.state) == ([1, 2, 3, 4], bookmark(page_cursor(2)))


@guarantee("explain-rejected-cursor")
@pytest.mark.parametrize("code", [400, 404, 410])
def test_a_rejected_cursor_ends_the_run_and_nothing_starts_over(tap: TapRunner, code: int) -> None:
    with FakeFocus(feed(2), always={"cursor": status(code)}) as focus:
        run = tap(config=settings(focus, start_date="2025-01-01"), state=bookmark("old"))

    assert_fails(run, 65, "start_date", str(code))
    assert focus.queries == [{"numberOfResults": "100", "cursorId": "old"}]
    assert run.states == [bookmark("old")]


@guarantee("validate-state")
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
def test_a_state_without_a_bookmark_of_this_tap_is_a_fresh_start(
    tap: TapRunner, state: Any
) -> None:
    with FakeFocus(feed(2)) as focus:
        run = tap(config=settings(focus), state=state)

    assert (run.exit_code, run.ids) == (0, [1, 2])
    assert run.state == bookmark(page_cursor(2))
    assert focus.queries[0] == {"numberOfResults": "100"}


@guarantee("validate-state")
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
        bookmark(5),
        bookmark(["a"]),
    ],
)
def test_a_state_that_this_tap_cannot_have_written_is_rejected(tap: TapRunner, state: Any) -> None:
    with FakeFocus(feed(2)) as focus:
        run = tap(config=settings(focus), state=state)

    assert run.exit_code == 2
    assert "state" in run.log
    assert "Traceback" not in run.log
    assert focus.requests == []


@guarantee("refuse-other-states")
@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": 8},
        {"api_url": "https://localhost/api"},
        {"api_url": None, "region": "eu"},
    ],
)
def test_a_state_of_another_account_is_refused_before_any_request(
    tap: TapRunner, changes: dict[str, Any]
) -> None:
    with FakeFocus(feed(2)) as focus:
        first = tap(config=settings(focus))
        requests = len(focus.requests)
        config = {name: value for name, value in settings(focus, **changes).items() if value}
        run = tap(config=config, state=first.state)

    assert_fails(run, 1, "account 127.0.0.1/7", "would skip recordings")
    assert run.messages == []
    assert len(focus.requests) == requests


@guarantee("refuse-other-states")
def test_a_state_is_refused_before_another_stream_is_read(
    tap: TapRunner, catalog: dict[str, Any], tmp_path: Path
) -> None:
    for stream in catalog["streams"]:
        stream["selected"] = True
    with FakeFocus(feed(2)) as focus:
        config = settings(focus, media_path=str(tmp_path / "audio"))
        run = tap(config=config, catalog=catalog, state=bookmark(page_cursor(1), "uk/7"))

    assert_fails(run, 1, "recordings belongs to account uk/7")
    assert focus.requests == []


@guarantee("refuse-other-states")
@pytest.mark.parametrize("has_account", [True, False])
def test_a_bookmark_without_an_account_is_continued(tap: TapRunner, *, has_account: bool) -> None:
    """Earlier versions wrote none, and neither does the query that restores a lost state."""
    state = bookmark(page_cursor(1))
    if not has_account:
        del state["bookmarks"]["recordings"]["account"]
    with FakeFocus(feed(2, 2)) as focus:
        run = tap(config=settings(focus), state=state)

    assert (run.exit_code, run.ids) == (0, [3, 4])
    assert run.state == bookmark(page_cursor(3))


@guarantee("validate-state", "separate-bookmarks")
def test_state_of_the_sdk_beside_a_bookmark_is_removed(tap: TapRunner) -> None:
    state = bookmark(page_cursor(1))
    state["bookmarks"]["recordings"] |= {"progress_markers": {"a": 1}, "partitions": [1]}
    another = {"replication_key": "x", "replication_key_value": 9}
    state["bookmarks"]["another"] = another
    with FakeFocus(feed(2, 2)) as focus:
        run = tap(config=settings(focus), state=state)

    assert (run.exit_code, run.ids) == (0, [3, 4])
    assert run.state["bookmarks"] == {
        **bookmark(page_cursor(3))["bookmarks"],
        "another": another,
    }


@guarantee("bookmark-over-start-date")
def test_a_bookmark_wins_over_start_date_and_the_log_says_so_once(tap: TapRunner) -> None:
    with FakeFocus(feed(2, 2)) as focus:
        config = settings(focus, start_date="2030-01-01")
        run = tap(config=config, state=bookmark(page_cursor(1)))

    assert run.ids == [3, 4]
    assert all("fromDate" not in query for query in focus.queries)
    assert run.log.count("start_date") == 1


@guarantee("last-version-wins")
def test_every_version_of_a_recording_is_written_in_the_order_of_the_feed(tap: TapRunner) -> None:
    first, second, third = (recording(1, commentsCount=n) for n in range(3))
    with FakeFocus(feed([first, recording(2), second], [third])) as focus:
        run = tap(config=settings(focus))

    versions = [record["commentsCount"] for record in run.records if record["interactionId"] == 1]
    assert versions == [0, 1, 2]
