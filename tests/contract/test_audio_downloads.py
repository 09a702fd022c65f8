"""Downloads of audio: what is stored, what is retried, and what becomes a row with an error."""

from __future__ import annotations

import gzip
import hashlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers import SLOWNESS, guarantee, timing
from tests.helpers.assertions import assert_fails, has_cursor
from tests.helpers.audio import DAY, audio_files, media_bookmark, rows_by_id
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
    assert audio_files(tmp_path / "audio") == {f"{DAY}/1.mp3": AUDIO, f"{DAY}/2.mp3": AUDIO}
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
        **dict.fromkeys(
            ("error", "retainUntil", "legalHolds", "lockedUntil", "lockError", "previousFiles")
        ),
        "nextCursorId": page_cursor(1),
    }
    assert media_bookmark(run) == {
        "replication_key": "nextCursorId",
        "replication_key_value": page_cursor(2),
        "account": "127.0.0.1/7",
        "position": 2,
        "retries": [],
        "refusals": 0,
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
    assert audio_files(tmp_path / "audio") == {f"{DAY}/1.mp3": AUDIO}
    assert len(focus.of_kind("audio")) == 2


@timing
@guarantee("complete-audio-files")
def test_a_download_that_is_late_is_retried(archive: ArchiveRunner, tmp_path: Path) -> None:
    with FakeFocus(feed(1), audio=[slow(1.6)]) as focus:
        run = archive(focus, requests=8, request_timeout=1)

    assert rows_by_id(run)[1]["status"] == "stored"
    assert audio_files(tmp_path / "audio") == {f"{DAY}/1.mp3": AUDIO}
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
def test_invalid_audio_is_not_stored_and_is_noted_in_the_bookmark(
    archive: ArchiveRunner, tmp_path: Path, fault: Fault
) -> None:
    with FakeFocus(feed(1), always={"audio": fault}) as focus:
        run = archive(focus)

    assert run.exit_code == 0
    row = rows_by_id(run)[1]
    assert row["status"] == "failed"
    assert row["error"]
    assert row["uri"] is row["sha256"] is row["sizeInBytes"] is None
    assert audio_files(tmp_path / "audio") == {}
    assert media_bookmark(run)["retries"][0]["ids"] == [1]


@guarantee("isolate-failed-downloads")
@pytest.mark.parametrize(
    ("code", "expected"), [(403, "not_permitted"), (404, "not_found"), (410, "not_found")]
)
def test_a_rejected_download_becomes_a_status(
    archive: ArchiveRunner, code: int, expected: str
) -> None:
    with FakeFocus(feed(2), audio=[status(code)]) as focus:
        run = archive(focus, media_concurrency=1)

    assert [row["status"] for row in run.records] == [expected, "stored"]
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


LARGE = AUDIO * 200
"""Audio of 2 MB: what the last read of 256 KiB returned is not kept when a connection breaks."""

RANGE_HEADERS = {"ETag": '"v1"', "Accept-Ranges": "bytes"}


def resumable(handler: Handler, _: bytes) -> None:
    """Send the audio with an ETag, from where the request asks to continue."""
    body = LARGE
    first = int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
    if not first or handler.headers["If-Range"] != RANGE_HEADERS["ETag"]:
        handler.send(200, body, RANGE_HEADERS)
    else:
        content_range = f"bytes {first}-{len(body) - 1}/{len(body)}"
        handler.send(206, body[first:], {**RANGE_HEADERS, "Content-Range": content_range})


def cut(headers: dict[str, str]) -> Fault:
    """Send half of the audio with headers, and close the connection."""

    def fault(handler: Handler, body: bytes) -> None:
        handler.send(200, LARGE[: len(LARGE) // 2], headers, length=len(LARGE))
        close(handler, body)

    return fault


@guarantee("resume-download")
def test_a_broken_download_continues_where_it_was_cut_off(
    archive: ArchiveRunner, tmp_path: Path
) -> None:
    with FakeFocus(feed(1), audio=[cut(RANGE_HEADERS)], always={"audio": resumable}) as focus:
        run = archive(focus)

    first, second = focus.of_kind("audio")
    assert "Range" not in first.headers
    assert int(second.headers["Range"].strip("bytes=-")) > len(LARGE) // 4
    assert rows_by_id(run)[1]["sha256"] == hashlib.sha256(LARGE).hexdigest()
    assert audio_files(tmp_path / "audio") == {f"{DAY}/1.mp3": LARGE}


@guarantee("resume-download")
@pytest.mark.parametrize(
    "headers",
    [{}, {"ETag": '"v1"'}, {"Accept-Ranges": "bytes"}, {**RANGE_HEADERS, "ETag": 'W/"v1"'}],
    ids=["no headers", "no ranges", "no version", "weak version"],
)
def test_a_download_that_cannot_be_continued_safely_starts_over(
    archive: ArchiveRunner, tmp_path: Path, headers: dict[str, str]
) -> None:
    with FakeFocus(feed(1), audio=[cut(headers)]) as focus:
        archive(focus)

    assert "Range" not in focus.of_kind("audio")[1].headers
    assert audio_files(tmp_path / "audio") == {f"{DAY}/1.mp3": AUDIO}


def shifted(first: int, last: int, total: str) -> Fault:
    """Send the rest of the audio with a Content-Range that differs from the requested one."""

    def fault(handler: Handler, _: bytes) -> None:
        offset = int(handler.headers["Range"].removeprefix("bytes=").rstrip("-"))
        size = len(LARGE)
        content_range = f"bytes {offset + first}-{size - 1 + last}/{total or size}"
        body = LARGE[offset + first : size + last]
        handler.send(206, body, {**RANGE_HEADERS, "Content-Range": content_range})

    return fault


@guarantee("resume-download", "complete-audio-files")
@pytest.mark.parametrize(
    "fault",
    [
        lambda handler, _: ok(handler, LARGE),
        status(416),
        shifted(1, 0, ""),
        shifted(0, -1, ""),
        shifted(0, 0, "*"),
        shifted(0, 0, "9"),
        lambda handler, _: handler.send(206, LARGE, RANGE_HEADERS),
    ],
    ids=["whole file", "416", "later start", "early end", "no total", "wrong total", "no range"],
)
def test_a_wrong_rest_is_never_part_of_a_file(
    archive: ArchiveRunner, tmp_path: Path, fault: Fault
) -> None:
    always = {"audio": resumable}
    with FakeFocus(feed(1), audio=[cut(RANGE_HEADERS), fault], always=always) as focus:
        run = archive(focus, requests=4)

    assert "Range" in focus.of_kind("audio")[1].headers
    assert rows_by_id(run)[1]["sha256"] == hashlib.sha256(LARGE).hexdigest()
    assert audio_files(tmp_path / "audio") == {f"{DAY}/1.mp3": LARGE}


@guarantee("reject-invalid-audio")
def test_a_range_that_was_not_requested_is_no_file(archive: ArchiveRunner) -> None:
    content_range = {"Content-Range": f"bytes 0-{len(AUDIO) - 1}/{len(AUDIO)}"}
    always = {"audio": lambda handler, body: handler.send(206, body, content_range)}
    with FakeFocus(feed(1), always=always) as focus:
        run = archive(focus)

    assert rows_by_id(run)[1]["status"] == "failed"


def chunked_audio(handler: Handler, body: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "audio/mpeg")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))


@guarantee("limit-downloads")
@pytest.mark.parametrize("response", [ok, chunked_audio])
def test_audio_larger_than_the_limit_fails(
    archive: ArchiveRunner, tmp_path: Path, response: Fault
) -> None:
    with FakeFocus(feed(1), always={"audio": response}) as focus:
        run = archive(focus, media_max_bytes=len(AUDIO) - 1)

    row = rows_by_id(run)[1]
    assert (row["status"], "media_max_bytes" in row["error"]) == ("failed", True)
    assert audio_files(tmp_path / "audio") == {}


@timing
@guarantee("limit-downloads")
def test_audio_without_end_fails_after_the_longest_time(
    archive: ArchiveRunner, tmp_path: Path
) -> None:
    def endless(handler: Handler, _: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "audio/mpeg")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        while True:
            handler.wfile.write(b"40000\r\n" + bytes(0x40000) + b"\r\n")
            time.sleep(0.02)

    with FakeFocus(feed(1), always={"audio": endless}) as focus:
        started = time.monotonic()
        run = archive(focus, media_max_seconds=1, requests=1)

    row = rows_by_id(run)[1]
    assert (row["status"], "media_max_seconds" in row["error"]) == ("failed", True)
    assert time.monotonic() - started < 10 * SLOWNESS
    assert audio_files(tmp_path / "audio") == {}


@timing
@guarantee("honor-retry-after")
def test_a_rate_limit_of_one_download_pauses_all(archive: ArchiveRunner) -> None:
    with FakeFocus(feed(40), audio=[ok, ok, status(429, Retry_After="2")]) as focus:
        focus.always["audio"] = slow(0.05)
        run = archive(focus, media_concurrency=4)

    longest = max(focus.waits("audio"))
    assert {row["status"] for row in run.records} == {"stored"}
    assert longest > 1.5


@guarantee("reject-invalid-audio")
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "audio/mpeg"),
        (b"\xef\xbb\xbf \n<html></html>", "audio/wav"),
        (b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>', "application/octet-stream"),
        (b'{"error": {"code": 500}}', "binary/octet-stream"),
        (b"Service unavailable", "audio/mpeg"),
        (b"%PDF-1.7\n\x00\x00", "application/octet-stream"),
    ],
)
def test_an_error_page_is_not_stored_as_audio(
    archive: ArchiveRunner, tmp_path: Path, body: bytes, content_type: str
) -> None:
    with FakeFocus(feed(1), always={"audio": respond(body, content_type)}) as focus:
        run = archive(focus)

    row = rows_by_id(run)[1]
    assert (row["status"], "not audio" in row["error"]) == ("failed", True)
    assert audio_files(tmp_path / "audio") == {}


@guarantee("reject-invalid-audio")
def test_a_file_that_is_too_small_for_its_duration_is_not_stored(archive: ArchiveRunner) -> None:
    always = {"audio": respond(AUDIO[:300], "audio/mpeg")}
    with FakeFocus(feed(1, durationInSeconds=482.946), always=always) as focus:
        run = archive(focus)

    row = rows_by_id(run)[1]
    assert (row["status"], "483 seconds" in row["error"]) == ("failed", True)


@guarantee("complete-audio-files", "reject-invalid-audio")
@pytest.mark.parametrize(
    "length", ["abc", "-5", "", "1024003.0", "0x1000", "+10", "1e4", "10, 10", "\u0661", "9" * 5000]
)
def test_a_length_that_proves_nothing_fails(archive: ArchiveRunner, length: str) -> None:
    def announce(handler: Handler, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: %b\r\n\r\n"
        handler.wfile.write(head % length.encode() + body)
        handler.close_connection = True

    with FakeFocus(feed(1), always={"audio": announce}) as focus:
        run = archive(focus)

    assert rows_by_id(run)[1]["status"] == "failed"


@guarantee("complete-audio-files", "reject-invalid-audio")
@pytest.mark.parametrize("coding", ["not-chunked", "gzip, chunked", "chunked, gzip", "xchunked"])
def test_a_transfer_coding_that_proves_nothing_fails(archive: ArchiveRunner, coding: str) -> None:
    def announce(handler: Handler, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nTransfer-Encoding: %b\r\n\r\n"
        handler.wfile.write(head % coding.encode() + body)
        handler.close_connection = True

    with FakeFocus(feed(1), always={"audio": announce}) as focus:
        run = archive(focus)

    assert rows_by_id(run)[1]["status"] == "failed"
