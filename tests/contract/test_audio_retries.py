"""Audio that is missing or fails: requested again later, without delaying what is new."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers import guarantee
from tests.helpers.assertions import assert_fails, has_cursor
from tests.helpers.audio import media_bookmark, rows_by_id
from tests.helpers.fake_focus import (
    FakeFocus,
    feed,
    ok,
    page,
    page_cursor,
    recording,
    redirect,
    respond,
    status,
)

if TYPE_CHECKING:
    from tests.helpers.fake_focus import Fault, Handler
    from tests.helpers.runner import ArchiveRunner

HOUR = timedelta(hours=1)


def started(ago: timedelta) -> dict[str, Any]:
    """Return the fields of a recording of five minutes that ended some time ago."""
    end = datetime.now(timezone.utc) - ago
    times = {"start": end - timedelta(minutes=5), "end": end}
    return {f"{name}DatetimeUTC": f"{time:%FT%TZ}" for name, time in times.items()}


def later(state: dict[str, Any], hours: float) -> dict[str, Any]:
    """Return a state as if its run had been some hours earlier."""
    state = copy.deepcopy(state)
    for part in state["bookmarks"]["recording_media"]["retries"]:
        for name in ("requested", "requestedUntil", "retried"):
            if part[name]:
                moment = datetime.fromisoformat(part[name].replace("Z", "+00:00"))
                part[name] = (moment - timedelta(hours=hours)).isoformat()
    return state


def answer(**faults: Fault) -> Fault:
    """Respond to each recording by its own fault, such as `call2=status(404)`."""

    def fault(handler: Handler, body: bytes) -> None:
        key = handler.received.body["thirdPartyId"].replace("|", "")
        faults.get(key, ok)(handler, body)

    return fault


def requested(focus: FakeFocus) -> list[str]:
    """Return the recordings whose audio was requested since the last call, in order."""
    ids = [request.body["thirdPartyId"].partition("|")[2] for request in focus.of_kind("audio")]
    focus.requests.clear()
    return sorted(ids)


@guarantee("repeat-missing-audio")
@pytest.mark.parametrize("code", [404, 410])
def test_audio_that_is_late_is_stored_by_the_next_run(archive: ArchiveRunner, code: int) -> None:
    with FakeFocus(feed(3, **started(HOUR))) as focus:
        focus.always["audio"] = answer(call2=status(code))
        first = archive(focus)
        requested(focus)
        focus.always.clear()
        second = archive(focus, state=first.state)
        again = requested(focus)
        third = archive(focus, state=second.state)

    assert rows_by_id(first)[2]["status"] == "not_found"
    assert again == ["2"]
    assert [(row["interactionId"], row["status"]) for row in second.records] == [(2, "stored")]
    assert third.records == []
    assert requested(focus) == []
    assert media_bookmark(second)["retries"] == []


@guarantee("repeat-missing-audio")
def test_late_audio_is_requested_at_growing_intervals_until_the_row_is_final(
    archive: ArchiveRunner,
) -> None:
    with FakeFocus(feed(1, **started(timedelta())), always={"audio": status(404)}) as focus:
        run = archive(focus)
        requested(focus)
        counts, rows = [], []
        for hours in (0.1, 0.1, 0.8, 1, 2.1, 6, 7, 30, 30, 60, 60, 99):
            run = archive(focus, state=later(run.state, hours))
            counts.append(len(requested(focus)))
            rows.append(len(run.records))

    # The next run, and 1, 4, 16, 72 and 168 hours after the first request or soon after that.
    assert counts == [1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]
    assert rows == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]


@guarantee("repeat-missing-audio")
def test_the_last_request_makes_the_row_final(archive: ArchiveRunner) -> None:
    always = {"audio": respond(b"<html>", "audio/mpeg")}
    with FakeFocus(feed(1), always=always) as focus:
        first = archive(focus)
        last = archive(focus, state=later(first.state, 7 * 24))
        requested(focus)
        after = archive(focus, state=later(last.state, 24))

    assert not first.records[0]["error"].endswith("Not requested again")
    assert last.records[0]["error"].endswith("Not requested again")
    assert after.records == []
    assert requested(focus) == []
    assert media_bookmark(last)["retries"] == []


@guarantee("repeat-missing-audio")
def test_old_recordings_without_audio_cost_one_request_each(archive: ArchiveRunner) -> None:
    with FakeFocus(feed(5, **started(30 * 24 * HOUR)), always={"audio": status(404)}) as focus:
        first = archive(focus)
        counts = [len(requested(focus))]
        archive(focus, state=later(first.state, 2))
        counts.append(len(requested(focus)))

    assert counts == [5, 0]
    assert all(row["error"].endswith("Not requested again") for row in first.records)
    assert media_bookmark(first)["retries"] == []


@guarantee("repeat-missing-audio")
@pytest.mark.parametrize(
    ("fault", "expected"),
    [(status(403), "not_permitted"), (status(418), "failed"), (status(500), "failed")],
)
def test_a_failure_of_an_old_recording_is_repeated(
    archive: ArchiveRunner, fault: Fault, expected: str
) -> None:
    """In a backfill too: the fault has no relation to the age of the recording."""
    with FakeFocus(feed(3, **started(900 * 24 * HOUR))) as focus:
        focus.always["audio"] = answer(call2=fault)
        first = archive(focus)
        focus.always.clear()
        second = archive(focus, state=first.state)

    assert rows_by_id(first)[2]["status"] == expected
    assert [(row["interactionId"], row["status"]) for row in second.records] == [(2, "stored")]


@guarantee("repeat-missing-audio")
def test_zero_days_turn_repetition_off(archive: ArchiveRunner) -> None:
    always = {"audio": answer(call1=status(404), call2=status(418))}
    with FakeFocus(feed(2, **started(HOUR)), always=always) as focus:
        first = archive(focus, media_retry_days=0)
        requested(focus)
        second = archive(focus, media_retry_days=0, state=first.state)

    assert all(row["error"].endswith("Not requested again") for row in first.records)
    assert second.records == []
    assert requested(focus) == []


@guarantee("repeat-missing-audio")
def test_thousands_of_failures_neither_end_the_run_nor_fill_the_state(
    archive: ArchiveRunner,
) -> None:
    always = {"audio": respond(b"", "text/plain")}
    with FakeFocus(feed(1500, 1500), always=always) as focus:
        first = archive(focus, media_concurrency=16, page_size=2000)
        requested(focus)
        focus.always.clear()
        second = archive(focus, media_concurrency=16, page_size=2000, state=first.state)

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert len(str(media_bookmark(first))) < 2_000
    assert sorted(second.ids) == list(range(1, 3001))
    assert {row["status"] for row in second.records} == {"stored"}


@guarantee("repeat-missing-audio")
def test_new_recordings_are_archived_before_old_failures_are_repeated(
    archive: ArchiveRunner,
) -> None:
    with FakeFocus(feed(1), always={"audio": answer(call1=status(418))}) as focus:
        first = archive(focus)
        requested(focus)
        focus.pages |= {
            page_cursor(2): page([recording(2), recording(3)], page_cursor(3)),
            page_cursor(3): page([], page_cursor(3)),
        }
        second = archive(focus, state=first.state, media_concurrency=1)
        order = [request.body["thirdPartyId"] for request in focus.of_kind("audio")]

    assert order == ["call|2", "call|3", "call|1"]
    assert second.ids == [2, 3]
    assert media_bookmark(second)["replication_key_value"] == page_cursor(3)


@guarantee("repeat-missing-audio")
@pytest.mark.parametrize("change", ["moved", "gone"])
def test_recordings_that_left_the_range_do_not_hide_the_others(
    archive: ArchiveRunner, change: str
) -> None:
    """Focus returns an updated recording at the end of the feed only."""
    rest = [recording(2)]
    with FakeFocus(feed(2), always={"audio": status(418)}) as focus:
        first = archive(focus)
        focus.always.clear()
        moved = [recording(1)] if change == "moved" else []
        focus.pages[None] = page(rest + moved, page_cursor(1))
        second = archive(focus, state=first.state)

    assert {row["interactionId"] for row in second.records} >= {2}
    assert {row["status"] for row in second.records} == {"stored"}


@guarantee("repeat-missing-audio")
@pytest.mark.parametrize("code", [400, 404, 410])
def test_an_old_cursor_that_focus_rejects_is_a_warning(archive: ArchiveRunner, code: int) -> None:
    with FakeFocus(feed(1, 1), always={"audio": answer(call2=status(418))}) as focus:
        first = archive(focus)

        def reject(handler: Handler, body: bytes) -> None:
            is_old = handler.received.query.get("cursorId") == page_cursor(1)
            (status(code) if is_old else ok)(handler, body)

        focus.always["cursor"] = reject
        second = archive(focus, state=first.state)
        focus.always.clear()
        third = archive(focus, state=later(second.state, 1))

    assert second.exit_code == 0, second.log
    assert "again" in second.log
    assert [(row["interactionId"], row["status"]) for row in third.records] == [(2, "stored")]


@guarantee("repeat-missing-audio")
def test_a_shard_repeats_only_what_belongs_to_it(archive: ArchiveRunner) -> None:
    with FakeFocus(feed(9), always={"audio": status(418)}) as focus:
        first = archive(focus, media_shard="1/3")
        before = requested(focus)
        focus.always.clear()
        second = archive(focus, media_shard="1/3", state=first.state)

    assert requested(focus) == before
    assert sorted(second.ids) == sorted(first.ids)


@guarantee("repeat-missing-audio")
@pytest.mark.parametrize("entry", [5, [5], [{"cursor": 1}], "x"])
def test_an_invalid_entry_of_the_state_is_ignored(archive: ArchiveRunner, entry: Any) -> None:
    with FakeFocus(feed(1)) as focus:
        state = archive(focus).state
        state["bookmarks"]["recording_media"]["retries"] = entry
        run = archive(focus, state=state)

    assert run.exit_code == 0, run.log
    assert media_bookmark(run)["retries"] == []


@guarantee("repeat-missing-audio")
@pytest.mark.parametrize(
    "failure", [status(500), status(403), status(410), status(422), respond(b"<html>")]
)
def test_a_failure_of_an_old_cursor_does_not_stop_other_repetitions(
    archive: ArchiveRunner, failure: Fault
) -> None:
    def fail_on_first_cursor(handler: Handler, body: bytes) -> None:
        is_first = handler.received.query.get("cursorId") == page_cursor(1)
        (failure if is_first else ok)(handler, body)

    with FakeFocus(feed(1, 1, 1, **started(HOUR))) as focus:
        focus.always["audio"] = answer(call2=status(404), call3=status(404))
        first = archive(focus)
        parts = media_bookmark(first)["retries"]
        assert [part["ids"] for part in parts] == [[2, 3]]
        one = {**parts[0], "end": 2, "ids": [2]}
        other = {**parts[0], "start": 2, "cursor": page_cursor(2), "ids": [3]}
        state = first.state
        state["bookmarks"]["recording_media"]["retries"] = [one, other]
        focus.always = {"cursor": fail_on_first_cursor}
        second = archive(focus, state=state)
        last = archive(focus, state=later(second.state, 3 * 7 * 24))

    assert second.exit_code == 0, second.log
    assert second.ids == [3]
    assert "Cannot request missing audio" in second.log
    assert [part["ids"] for part in media_bookmark(second)["retries"]] == [[2]]
    assert "will not try later" in last.log
    assert media_bookmark(last)["retries"] == []


@guarantee("repeat-missing-audio")
def test_a_shorter_media_retry_days_makes_old_rows_final(archive: ArchiveRunner) -> None:
    always = {"audio": respond(b"<html>", "audio/mpeg")}
    with FakeFocus(feed(1), always=always) as focus:
        first = archive(focus, media_retry_days=30)
        second = archive(focus, state=later(first.state, 8 * 24), media_retry_days=30)
        last = archive(focus, state=later(second.state, 1), media_retry_days=7)

    assert last.records[0]["error"].endswith("Not requested again")
    assert media_bookmark(last)["retries"] == []


def test_failed_downloads_in_the_state_of_an_earlier_version_are_requested_once(
    archive: ArchiveRunner,
) -> None:
    failed = {
        "interactionId": 7,
        "thirdPartyId": "call|7",
        "startDatetimeUTC": "2025-05-01T09:01:10.956Z",
        "type": "teams",
        "attempts": 2,
    }
    with FakeFocus(feed(1)) as focus:
        state = archive(focus).state
        state["bookmarks"]["recording_media"]["failed"] = [failed, None, {"attempts": 1}]
        run = archive(focus, state=state)

    assert [(row["interactionId"], row["status"]) for row in run.records] == [(7, "stored")]
    assert media_bookmark(run)["failed"] == []


def test_a_second_failure_of_a_download_in_the_state_of_an_earlier_version_is_final(
    archive: ArchiveRunner,
) -> None:
    failed = {"interactionId": 7, "thirdPartyId": "call|7"}
    with FakeFocus(feed(1)) as focus:
        state = archive(focus).state
        state["bookmarks"]["recording_media"]["failed"] = [failed]
        focus.always["audio"] = status(418)
        run = archive(focus, state=state)

    assert run.records[0]["error"].endswith("Not requested again")


@guarantee("stop-on-refused-account")
@pytest.mark.parametrize("pages", [(25,), (7, 7, 7, 7)])
def test_a_run_whose_first_downloads_are_all_forbidden_ends_before_the_bookmark_moves(
    archive: ArchiveRunner, pages: tuple[int, ...]
) -> None:
    with FakeFocus(feed(*pages), always={"audio": status(403)}) as focus:
        run = archive(focus)

    assert_fails(run, 78, "403", "Recording.Play")
    assert not has_cursor(run)


@guarantee("stop-on-refused-account")
def test_fewer_forbidden_downloads_are_repeated(archive: ArchiveRunner) -> None:
    with FakeFocus(feed(19), always={"audio": status(403)}) as focus:
        first = archive(focus)
        focus.always.clear()
        second = archive(focus, state=first.state)

    assert first.exit_code == 0
    assert "Recording.Play" in first.log
    assert has_cursor(first)
    assert sorted(second.ids) == list(range(1, 20))


@guarantee("stop-on-refused-account")
def test_forbidden_downloads_of_several_small_runs_end_the_last_one(
    archive: ArchiveRunner,
) -> None:
    """A few new recordings an hour must not hide that the right is missing."""
    state = None
    with FakeFocus(feed(8), always={"audio": status(403)}) as focus:
        exit_codes = []
        for first in (9, 17, 25):
            run = archive(focus, state=state)
            exit_codes.append(run.exit_code)
            state = run.state if run.exit_code == 0 else state
            number = 2 + len(exit_codes)
            new = [recording(key) for key in range(first, first + 8)]
            focus.pages[page_cursor(number - 1)] = page(new, page_cursor(number))
            focus.pages[page_cursor(number)] = page([], page_cursor(number))
        focus.always.clear()
        repaired = archive(focus, state=state)

    assert exit_codes == [0, 0, 78]
    assert {row["status"] for row in repaired.records} == {"stored"}
    assert media_bookmark(repaired)["refusals"] == 0


@guarantee("stop-on-refused-account")
@pytest.mark.parametrize("pages", [[3], [1, 2]])
def test_forbidden_recordings_of_earlier_runs_do_not_stop_one_with_a_recording_that_is_not(
    archive: ArchiveRunner, pages: list[int]
) -> None:
    with FakeFocus(feed(19), always={"audio": status(403)}) as focus:
        first = archive(focus)
        new = [recording(key) for key in (20, 21, 22)]
        for number, size in enumerate(pages, start=2):
            focus.pages[page_cursor(number)] = page(new[:size], page_cursor(number + 1))
            new = new[size:]
        last = page_cursor(len(pages) + 2)
        focus.pages[last] = page([], last)
        focus.always["audio"] = answer(**{f"call{key}": status(403) for key in range(1, 21)})
        second = archive(focus, state=first.state)

    assert second.exit_code == 0, second.log
    statuses = {key: row["status"] for key, row in rows_by_id(second).items()}
    assert statuses == {20: "not_permitted", 21: "stored", 22: "stored"}


@guarantee("stop-on-refused-account")
def test_a_stored_file_shows_after_a_cleared_state_that_audio_is_permitted(
    archive: ArchiveRunner,
) -> None:
    forbidden = answer(**{f"call{key}": status(403) for key in range(1, 30) if key != 5})
    with FakeFocus(feed(29), always={"audio": forbidden}) as focus:
        first, second = archive(focus), archive(focus)

    assert (first.exit_code, second.exit_code) == (0, 0), second.log
    assert [key for key, row in rows_by_id(second).items() if row["status"] == "stored"] == [5]


@guarantee("isolate-failed-downloads")
@pytest.mark.parametrize("fault", [status(401), redirect("https://elsewhere.example/x")])
@pytest.mark.parametrize("position", [1, 2, 3])
@pytest.mark.parametrize("pages", [(3,), (1, 1, 1)])
def test_a_refusal_of_one_recording_does_not_stop_the_others(
    archive: ArchiveRunner, fault: Fault, position: int, pages: tuple[int, ...]
) -> None:
    with FakeFocus(feed(*pages)) as focus:
        focus.always["audio"] = answer(**{f"call{position}": fault})
        run = archive(focus)

    assert run.exit_code == 0, run.log
    statuses = {key: row["status"] for key, row in rows_by_id(run).items()}
    assert statuses == {1: "stored", 2: "stored", 3: "stored"} | {position: "failed"}
    assert media_bookmark(run)["retries"][0]["ids"] == [position]
