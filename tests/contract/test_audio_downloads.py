"""Downloads of audio: what is stored, what is retried, and what becomes a row with an error."""

from __future__ import annotations

import gzip
import hashlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers import SLOWNESS, guarantee, timing
from tests.helpers.assertions import assert_fails, has_cursor
from tests.helpers.audio import DAY, media_bookmark, read_files, rows_by_id
from tests.helpers.fake_focus import (
    AUDIO,
    FakeFocus,
    close,
    drip,
    feed,
    invalid_gzip,
    ok,
    page_cursor,
    redirect,
    respond,
    slow,
    status,
    truncated,
    truncated_chunked,
    without_length,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.fake_focus import Fault, Handler
    from tests.helpers.runner import ArchiveRunner


@guarantee("complete-audio-files")
def test_a_file_is_stored_under_its_name_with_the_checksum_of_its_row(
    archive: ArchiveRunner, tmp_path: Path
) -> None:
    with FakeFocus(feed(2)) as focus:
        run = archive(focus)

    assert run.exit_code == 0
    assert read_files(tmp_path / "audio") == {f"{DAY}/1.mp3": AUDIO, f"{DAY}/2.mp3": AUDIO}
    row = rows_by_id(run)[1]
    assert row.pop("fetchedAt")
    assert row == {
        "interactionId": 1,
        "thirdPartyId": "call|1",
        "startDatetimeUTC": "2025-05-01T09:01:10.956Z",
        "type": "teams",
        "status": "stored",
        "uri": (tmp_path / "audio" / DAY / "1.mp3").as_uri(),
        "contentType": "audio/mpeg",
        "sizeInBytes": len(AUDIO),
        "sha256": hashlib.sha256(AUDIO).hexdigest(),
        "error": None,
        "nextCursorId": page_cursor(1),
    }
    assert media_bookmark(run) == {
        "replication_key": "nextCursorId",
        "replication_key_value": page_cursor(2),
        "failed": [],
    }


@guarantee("reject-invalid-audio")
def test_audio_is_requested_without_compression(archive: ArchiveRunner) -> None:
    """The announced length of a compressed body proves nothing about the file."""
    with FakeFocus(feed(1)) as focus:
        archive(focus)

    (request,) = focus.of_kind("audio")
    assert request.headers["Accept-Encoding"] == "identity"


@guarantee("complete-audio-files", "reject-invalid-audio")
@pytest.mark.parametrize(
    "fault",
    [
        truncated,
        truncated_chunked,
        close,
        status(425),
        status(503, Retry_After="0"),
    ],
)
def test_an_incomplete_download_is_retried(
    archive: ArchiveRunner, tmp_path: Path, fault: Fault
) -> None:
    with FakeFocus(feed(1), audio=[fault]) as focus:
        run = archive(focus)

    assert rows_by_id(run)[1]["status"] == "stored"
    assert read_files(tmp_path / "audio") == {f"{DAY}/1.mp3": AUDIO}
    assert len(focus.of_kind("audio")) == 2


@timing
@guarantee("complete-audio-files")
def test_a_download_that_is_late_is_retried(archive: ArchiveRunner, tmp_path: Path) -> None:
    with FakeFocus(feed(1), audio=[slow(1.6)]) as focus:
        run = archive(focus, requests=8, request_timeout=1)

    assert rows_by_id(run)[1]["status"] == "stored"
    assert read_files(tmp_path / "audio") == {f"{DAY}/1.mp3": AUDIO}
    assert len(focus.of_kind("audio")) >= 2


@timing
@guarantee("enforce-deadlines")
def test_a_small_download_that_drips_meets_a_deadline(archive: ArchiveRunner) -> None:
    with FakeFocus(feed(1), audio=[drip]) as focus:
        run = archive(focus, requests=8, request_timeout=0.4)

    assert rows_by_id(run)[1]["status"] == "stored"
    assert focus.waits("audio")[0] < 10 * SLOWNESS


@timing
@guarantee("enforce-deadlines")
def test_a_large_download_gets_more_time_than_a_small_one(archive: ArchiveRunner) -> None:
    body = bytes(1 << 20)

    def longer_than_a_small_one_may_take(handler: Handler, _: bytes) -> None:
        handler.send(200, b"", length=len(body))
        for start in range(0, len(body), 1 << 15):
            handler.wfile.write(body[start : start + (1 << 15)])
            time.sleep(0.14)

    with FakeFocus(feed(1), always={"audio": longer_than_a_small_one_may_take}) as focus:
        run = archive(focus, requests=3, request_timeout=0.6)

    assert rows_by_id(run)[1]["status"] == "stored"
    assert rows_by_id(run)[1]["sizeInBytes"] == len(body)


INVALID: list[Fault] = [
    truncated,
    truncated_chunked,
    invalid_gzip,
    without_length,
    respond(b"", "audio/mpeg"),
    status(204),
    status(418),
    status(500),
    respond(b'{"error": "no"}'),
    respond(b"<html>", "text/html; charset=utf-8"),
    respond(AUDIO, ""),
    respond(gzip.compress(AUDIO, mtime=0), "audio/mpeg", Content_Encoding="gzip"),
    respond(AUDIO, "audio/mpeg", Content_Encoding="br"),
]


@guarantee("complete-audio-files", "reject-invalid-audio", "isolate-failed-downloads")
@pytest.mark.parametrize("fault", INVALID)
def test_invalid_audio_is_not_stored_and_waits_in_the_bookmark(
    archive: ArchiveRunner, tmp_path: Path, fault: Fault
) -> None:
    with FakeFocus(feed(1), always={"audio": fault}) as focus:
        run = archive(focus)

    assert run.exit_code == 0
    row = rows_by_id(run)[1]
    assert row["status"] == "failed"
    assert row["error"]
    assert row["uri"] is row["sha256"] is row["sizeInBytes"] is None
    assert read_files(tmp_path / "audio") == {}
    (failed,) = media_bookmark(run)["failed"]
    assert (failed["interactionId"], failed["attempts"]) == (1, 1)


@guarantee("isolate-failed-downloads")
def test_a_failed_download_is_retried_by_the_next_run(
    archive: ArchiveRunner, tmp_path: Path
) -> None:
    with FakeFocus(feed(1), always={"audio": respond(b"")}) as focus:
        first = archive(focus)
        second = archive(focus, state=first.state)
        focus.always.clear()
        third = archive(focus, state=second.state)

    assert media_bookmark(second)["failed"][0]["attempts"] == 2
    assert rows_by_id(third)[1]["status"] == "stored"
    assert media_bookmark(third)["failed"] == []
    assert read_files(tmp_path / "audio") == {f"{DAY}/1.mp3": AUDIO}


@guarantee("isolate-failed-downloads")
def test_a_failed_download_that_was_edited_by_hand_is_retried(archive: ArchiveRunner) -> None:
    with FakeFocus(feed(1), always={"audio": respond(b"")}) as focus:
        state = archive(focus).state
        state["bookmarks"]["recording_media"]["failed"][0]["attempts"] = None
        run = archive(focus, state=state)

    assert run.exit_code == 0
    assert media_bookmark(run)["failed"][0]["attempts"] == 1


@guarantee("isolate-failed-downloads")
@pytest.mark.parametrize(
    ("code", "expected"), [(403, "not_permitted"), (404, "not_found"), (410, "not_found")]
)
def test_a_rejected_download_becomes_a_status_and_is_not_retried(
    archive: ArchiveRunner, code: int, expected: str
) -> None:
    with FakeFocus(feed(2), audio=[status(code)]) as focus:
        run = archive(focus, media_concurrency=1)

    assert [row["status"] for row in run.records] == [expected, "stored"]
    assert media_bookmark(run)["failed"] == []
    assert len(focus.of_kind("audio")) == 2
    assert ("Recording.Play" in run.log) == (code == 403)


@guarantee("isolate-failed-downloads")
@pytest.mark.parametrize("access", ["NotPermitted", None, "permitted", 5])
def test_audio_that_is_not_permitted_is_not_requested(archive: ArchiveRunner, access: Any) -> None:
    with FakeFocus(feed(1, mediaAccessStatus=access)) as focus:
        run = archive(focus)

    (row,) = run.records
    assert row["status"] == "not_permitted"
    assert "mediaAccessStatus" in row["error"]
    assert focus.of_kind("audio") == []


@guarantee("isolate-failed-downloads")
def test_a_recording_without_a_third_party_id_is_not_found(archive: ArchiveRunner) -> None:
    with FakeFocus(feed(1, thirdPartyId=None)) as focus:
        run = archive(focus)

    assert [row["status"] for row in run.records] == ["not_found"]
    assert focus.of_kind("audio") == []


@guarantee("isolate-failed-downloads")
def test_a_failed_download_does_not_block_others_and_rows_keep_the_order_of_the_page(
    archive: ArchiveRunner,
) -> None:
    faults = [status(500), close, status(404)]
    with FakeFocus(feed(30), audio=faults, always={"audio": slow(0.05)}) as focus:
        run = archive(focus)

    assert run.ids == list(range(1, 31))
    statuses = [row["status"] for row in run.records]
    assert (statuses.count("stored"), statuses.count("not_found")) == (29, 1)


@guarantee("isolate-failed-downloads")
def test_too_many_failed_downloads_end_the_run_before_the_bookmark_advances(
    archive: ArchiveRunner,
) -> None:
    with FakeFocus(feed(1002), always={"audio": respond(b"", "text/plain")}) as focus:
        run = archive(focus, media_concurrency=16, page_size=2000)

    assert_fails(run, 75)
    assert not has_cursor(run)


@guarantee("renew-rejected-token", "isolate-failed-downloads")
@pytest.mark.parametrize("code", [400, 403, 404, 410])
def test_a_login_that_is_rejected_during_downloads_ends_the_run(
    archive: ArchiveRunner, code: int
) -> None:
    always = {"login": status(code), "audio": status(401)}
    with FakeFocus(feed(20), login=[ok], always=always) as focus:
        run = archive(focus)

    assert_fails(run, 78, f"{code}", "POST /auth")
    assert run.records == []
    assert not has_cursor(run)
    # The first login, and the second one with each spelling of its path.
    assert len(focus.logins) <= 3


@guarantee("renew-expiring-token", "isolate-failed-downloads")
def test_a_login_that_fails_during_downloads_is_retried_once_for_all_of_them(
    archive: ArchiveRunner,
) -> None:
    always = {"login": status(500), "audio": status(401)}
    with FakeFocus(feed(20), login=[ok], always=always) as focus:
        run = archive(focus, requests=2)

    assert_fails(run, 75, "POST /authWithAPIKey")
    assert run.records == []
    assert [login.status for login in focus.logins] == [200, 500, 500]


@guarantee("renew-rejected-token")
def test_a_token_that_is_rejected_for_audio_ends_the_run(archive: ArchiveRunner) -> None:
    with FakeFocus(feed(1), always={"audio": status(401)}) as focus:
        run = archive(focus)

    assert_fails(run, 78, "401")
    assert run.records == []


@guarantee("refuse-redirects")
def test_a_redirect_of_the_audio_is_not_followed(archive: ArchiveRunner) -> None:
    with FakeFocus({}) as other, FakeFocus(feed(1)) as focus:
        focus.always["audio"] = redirect(f"{other.url}/elsewhere")
        run = archive(focus)

    assert_fails(run, 78, f"127.0.0.1:{other.server_port}")
    assert other.requests == []
