"""Fetching audio: the installed `tap-focus` against a Focus that misbehaves."""

from __future__ import annotations

import gzip
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.assertions import assert_ends
from tests.helpers.audio import (
    DAY,
    SOUND,
    audio,
    bookmark,
    by_id,
    feed,
    files,
    longer,
    sounding,
    without_length,
)
from tests.helpers.fake_focus import (
    CURSOR,
    Focus,
    bad_gzip,
    cut,
    cut_chunked,
    hang_up,
    redirect,
    slow,
    status,
    well,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Run
    from tests.helpers.fake_focus import Fault, Handler

    Archive = Callable[..., Run]

case = pytest.mark.case


@case(29)
def test_a_file_lies_under_its_name_with_the_hash_that_its_row_tells(
    archive: Archive, tmp_path: Path
) -> None:
    with Focus(feed(1, 2)) as focus:
        run = archive(focus)
    assert run.code == 0
    assert files(tmp_path / "audio") == {f"{DAY}/1.mp3": SOUND, f"{DAY}/2.mp3": SOUND}
    row = by_id(run)[1]
    assert row.pop("fetchedAt")
    assert row == {
        "interactionId": 1,
        "thirdPartyId": "call|1",
        "startDatetimeUTC": "2025-05-01T09:01:10.956Z",
        "type": "teams",
        "status": "stored",
        "uri": (tmp_path / "audio" / DAY / "1.mp3").as_uri(),
        "contentType": "audio/mpeg",
        "sizeInBytes": len(SOUND),
        "sha256": hashlib.sha256(SOUND).hexdigest(),
        "error": None,
        "nextCursorId": CURSOR,
    }
    assert bookmark(run) == {
        "replication_key": "nextCursorId",
        "replication_key_value": CURSOR,
        "failed": [],
    }


@case(29, 30)
@pytest.mark.parametrize(
    "fault",
    [
        sounding(cut),
        sounding(cut_chunked),
        sounding(hang_up),
        longer,
        sounding(slow(1.5)),
        status(503, Retry_After="0"),
    ],
)
def test_a_body_that_is_not_whole_is_fetched_again(
    archive: Archive, tmp_path: Path, fault: Fault
) -> None:
    with Focus(feed(1)) as focus:
        focus.faults["audio"].append(fault)
        run = archive(focus)
    assert by_id(run)[1]["status"] == "stored"
    assert files(tmp_path / "audio") == {f"{DAY}/1.mp3": SOUND}
    assert "Trying again" in run.log


@case(29, 30, 31)
@pytest.mark.parametrize(
    "fault",
    [
        sounding(cut),
        sounding(cut_chunked),
        sounding(bad_gzip),
        longer,
        without_length,
        audio(b""),
        status(204),
        status(418),
        status(500),
        audio(b'{"error": "no"}', "application/json"),
        audio(b"<html>", "text/html; charset=utf-8"),
        audio(SOUND, ""),
        audio(gzip.compress(SOUND), Content_Encoding="gzip"),
        audio(SOUND, Content_Encoding="br"),
        lambda handler, _: handler.send(200, b"", {"Content-Type": "audio/mpeg"}),
    ],
)
def test_what_is_not_whole_audio_is_not_stored_and_waits_in_the_bookmark(
    archive: Archive, tmp_path: Path, fault: Fault
) -> None:
    with Focus(feed(1)) as focus:
        focus.always["audio"] = fault
        run = archive(focus)
        assert run.code == 0
        row = by_id(run)[1]
        assert row["status"] == "failed"
        assert row["error"]
        assert "bookmark" not in row["error"]
        assert row["uri"] is row["sha256"] is row["sizeInBytes"] is None
        assert files(tmp_path / "audio") == {}
        (failed,) = bookmark(run)["failed"]
        assert (failed["interactionId"], failed["attempts"]) == (1, 1)

        again = archive(focus, state=run.state)
        assert bookmark(again)["failed"][0]["attempts"] == 2
        by_hand = {**failed, "attempts": None}
        state = {"bookmarks": {"recording_media": {**bookmark(run), "failed": [by_hand]}}}
        assert bookmark(archive(focus, state=state))["failed"][0]["attempts"] == 1
        focus.always["audio"] = audio()
        well = archive(focus, state=again.state)
    assert by_id(well)[1]["status"] == "stored"
    assert bookmark(well)["failed"] == []
    assert files(tmp_path / "audio") == {f"{DAY}/1.mp3": SOUND}


@case(31)
@pytest.mark.parametrize(
    ("code", "expected"), [(403, "not_permitted"), (404, "not_found"), (410, "not_found")]
)
def test_a_refusal_is_a_status_and_is_not_tried_again(
    archive: Archive, code: int, expected: str
) -> None:
    with Focus(feed(1, 2)) as focus:
        focus.faults["audio"].append(status(code))
        run = archive(focus, media_concurrency=1)
    assert [row["status"] for row in run.records] == [expected, "stored"]
    assert bookmark(run)["failed"] == []
    assert "Trying again" not in run.log
    assert ("Recording.Play" in run.log) == (code == 403)


@case(31)
@pytest.mark.parametrize("access", ["NotPermitted", None, "permitted", 5])
def test_what_is_not_permitted_is_not_asked_for(archive: Archive, access: Any) -> None:
    with Focus(feed(1, mediaAccessStatus=access)) as focus:
        focus.always["audio"] = hang_up
        run = archive(focus)
    (row,) = run.records
    assert row["status"] == "not_permitted"
    assert "mediaAccessStatus" in row["error"]


@case(31)
def test_a_recording_without_a_third_party_id_is_not_found(archive: Archive) -> None:
    with Focus(feed(1, thirdPartyId=None)) as focus:
        run = archive(focus)
    assert run.records[0]["status"] == "not_found"


@case(31)
def test_one_failure_holds_nobody_up_and_rows_keep_the_pages_order(archive: Archive) -> None:
    def late_or_broken(handler: Handler, _: bytes) -> None:
        time.sleep(0.05)
        audio()(handler, b"")

    with Focus(feed(*range(1, 31))) as focus:
        focus.faults["audio"].extend([status(500), hang_up, status(404)])
        focus.always["audio"] = late_or_broken
        run = archive(focus)
    assert [row["interactionId"] for row in run.records] == list(range(1, 31))
    statuses = [row["status"] for row in run.records]
    assert statuses.count("stored") == 29
    assert statuses.count("not_found") == 1


@case(31)
def test_too_many_failures_end_before_the_bookmark_moves(archive: Archive) -> None:
    keys = list(range(1, 1003))
    with Focus(feed(*keys), always={"audio": audio(b"", "text/plain")}) as focus:
        run = archive(focus, media_concurrency=16, page_size=2000)
    assert run.code == 75
    assert len(run.errors) == 1
    assert "More than 1000 downloads" in run.errors[0]
    assert all("replication_key_value" not in json.dumps(m["value"]) for m in run.of("STATE"))


@case(19, 31)
@pytest.mark.parametrize("code", [400, 403, 404, 410])
def test_a_login_that_is_refused_in_mid_run_says_nothing_of_a_recording(
    archive: Archive, code: int
) -> None:
    with Focus(feed(*range(1, 20)), login=[well]) as focus:
        focus.always |= {"login": status(code), "audio": status(401)}
        run = archive(focus)
        assert len(focus.logins) <= 3  # the first, and the second by both spellings
    assert_ends(run, 78, f"was refused with status {code}", "POST /auth")
    assert run.records == []
    assert "replication_key_value" not in run.out


@case(20, 31)
def test_a_login_that_is_down_in_mid_run_is_tried_once_for_all_downloads(archive: Archive) -> None:
    with Focus(feed(*range(1, 20)), login=[well]) as focus:
        focus.always |= {"login": status(500), "audio": status(401)}
        run = archive(focus)
        assert len(focus.logins) == 3  # the first, and the two tries of the second
    assert_ends(run, 75, "POST /authWithAPIKey failed 2 times")
    assert run.records == []


@case(19)
def test_a_key_that_is_refused_ends_the_run(archive: Archive) -> None:
    with Focus(feed(1)) as focus:
        focus.always["audio"] = status(401)
        run = archive(focus)
    assert run.code == 78
    assert run.records == []


@case(22)
def test_a_redirect_from_the_audio_is_not_followed(archive: Archive) -> None:
    with Focus(feed(1)) as other, Focus(feed(1)) as focus:
        focus.always["audio"] = redirect(f"{other.url}/elsewhere")
        run = archive(focus)
        assert not other.queries
        assert not other.logins
    assert run.code == 78
    assert "redirected" in run.errors[0]
