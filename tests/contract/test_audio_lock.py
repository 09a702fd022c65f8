"""Object Lock: the retention of a recording becomes the lock of its file."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers import guarantee
from tests.helpers.assertions import assert_fails, has_cursor
from tests.helpers.audio import DAY, media_bookmark, rows_by_id
from tests.helpers.fake_focus import FakeFocus, feed, page, page_cursor, recording
from tests.helpers.runner import ArchiveRunner, TapRunner
from tests.helpers.s3 import S3Server, s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNTIL = "2091-05-01T09:01:10Z"
LATER = "2092-05-01T09:01:10Z"
EARLIER = "2090-05-01T09:01:10Z"
KEY = f"calls/{DAY}/1.mp3"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def bucket(server: S3Server, tmp_path: Path) -> str:
    """A bucket with Object Lock and without a default retention."""
    name = hashlib.sha256(bytes(tmp_path)).hexdigest()[:16]
    server.create_bucket(name, lock=True)
    server.requests.clear()
    return name


@pytest.fixture
def archive(
    tap: TapRunner, audio_catalog: dict[str, Any], server: S3Server, bucket: str
) -> ArchiveRunner:
    return ArchiveRunner(tap, audio_catalog, f"s3://{bucket}/calls", server.environment)


def lock_of(server: S3Server, bucket: str) -> tuple[str, str, str | None]:
    """Return mode, date and legal hold of the file of the first recording."""
    head = server.client.head_object(Bucket=bucket, Key=KEY)
    until = head["ObjectLockRetainUntilDate"]
    return (
        head["ObjectLockMode"],
        f"{until:%Y-%m-%dT%H:%M:%SZ}",
        head.get("ObjectLockLegalHoldStatus"),
    )


def set_default_retention(server: S3Server, bucket: str) -> None:
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Years": 7}}
    server.client.put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )


@guarantee("lock-files")
@pytest.mark.parametrize("mode", ["governance", "compliance"])
def test_a_file_is_locked_until_its_retention_ends(
    archive: ArchiveRunner, server: S3Server, bucket: str, mode: str
) -> None:
    held = recording(1, retainUntil=UNTIL, legalHolds=[{"id": 1}])
    with FakeFocus(feed([held])) as focus:
        run = archive(focus, media_lock=mode)

    row = rows_by_id(run)[1]
    assert lock_of(server, bucket) == (mode.upper(), UNTIL, "ON")
    assert (row["lockedUntil"], row["lockError"]) == ("2091-05-01T09:01:10+00:00", None)


@guarantee("lock-files")
@pytest.mark.parametrize(("until", "locked_until"), [(LATER, LATER), (EARLIER, UNTIL)])
def test_an_update_prolongs_a_lock_and_never_shortens_it(
    archive: ArchiveRunner, server: S3Server, bucket: str, until: str, locked_until: str
) -> None:
    with FakeFocus(feed([recording(1, retainUntil=UNTIL)])) as focus:
        first = archive(focus, media_lock="compliance")
        focus.pages |= {
            page_cursor(2): page(
                [recording(1, retainUntil=until, legalHolds="x"), recording(2, retainUntil=UNTIL)],
                page_cursor(3),
            ),
            page_cursor(3): page([], page_cursor(3)),
        }
        second = archive(focus, media_lock="compliance", state=first.state)

    rows = rows_by_id(second)
    assert lock_of(server, bucket) == ("COMPLIANCE", locked_until, "ON")
    assert rows[1]["lockedUntil"] == locked_until.replace("Z", "+00:00")
    assert (rows[1]["lockError"] is not None) == (until == EARLIER)
    assert (rows[1]["status"], rows[2]["status"]) == ("stored", "stored")
    assert media_bookmark(second)["retries"] == []


@guarantee("lock-files")
@pytest.mark.parametrize("value", [None, "Indefinite"])
def test_a_recording_without_date_ends_the_run_before_the_first_file(
    archive: ArchiveRunner, server: S3Server, bucket: str, value: Any
) -> None:
    recordings = [recording(1, retainUntil=UNTIL), recording(2, retainUntil=value)]
    with FakeFocus(feed(recordings)) as focus:
        run = archive(focus, media_lock="governance")

    assert_fails(run, 73, "retainUntil", "default retention")
    assert not has_cursor(run)
    assert focus.of_kind("audio") == []
    assert "Contents" not in server.client.list_objects_v2(Bucket=bucket, Prefix="calls/2")


@guarantee("lock-files")
def test_a_recording_without_audio_needs_no_date(archive: ArchiveRunner) -> None:
    message = recording(1, thirdPartyId=None)
    denied = recording(2, mediaAccessStatus="Denied", retainUntil=None)
    with FakeFocus(feed([message, denied, recording(3, retainUntil=UNTIL)])) as focus:
        run = archive(focus, media_lock="governance")

    statuses = [row["status"] for row in run.records]
    assert statuses == ["not_found", "not_permitted", "stored"], run.log


@guarantee("lock-files")
@pytest.mark.parametrize("until", ["9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59.9999999Z"])
def test_the_last_date_of_the_calendar_locks_a_file(archive: ArchiveRunner, until: str) -> None:
    with FakeFocus(feed([recording(1, retainUntil=until)])) as focus:
        run = archive(focus, media_lock="governance")

    assert run.exit_code == 0, run.log
    assert run.records[0]["lockedUntil"].startswith("9999-12-31T23:59:59")


@guarantee("lock-files")
def test_a_date_that_cannot_be_read_is_noted(
    archive: ArchiveRunner, server: S3Server, bucket: str
) -> None:
    set_default_retention(server, bucket)
    with FakeFocus(feed([recording(1, retainUntil="2091-05-01")])) as focus:
        run = archive(focus, media_lock="governance")

    row = run.records[0]
    assert (row["status"], row["lockError"]) == ("stored", "retainUntil is not a date-time")


@guarantee("lock-files")
def test_the_default_of_the_bucket_locks_a_recording_without_date(
    archive: ArchiveRunner, server: S3Server, bucket: str
) -> None:
    set_default_retention(server, bucket)
    with FakeFocus(feed([recording(1)])) as focus:
        run = archive(focus, media_lock="governance")

    assert rows_by_id(run)[1]["status"] == "stored"
    assert lock_of(server, bucket)[0] == "GOVERNANCE"
    assert rows_by_id(run)[1]["lockedUntil"]


@guarantee("lock-files")
def test_a_bucket_without_object_lock_ends_the_run_before_a_page(
    archive: ArchiveRunner, server: S3Server
) -> None:
    server.create_bucket("without-lock")
    other = replace(archive, media_path="s3://without-lock/calls")
    with FakeFocus(feed([recording(1, retainUntil=UNTIL)])) as focus:
        run = other(focus, media_lock="governance")

    assert_fails(run, 73, "media_lock", "Object Lock")
    assert focus.requests == []


@guarantee("lock-files")
def test_a_retention_that_has_ended_is_noted(archive: ArchiveRunner) -> None:
    with FakeFocus(feed([recording(1, retainUntil="2020-01-01T00:00:00Z")])) as focus:
        run = archive(focus, media_lock="governance")

    row = rows_by_id(run)[1]
    assert (row["status"], row["lockedUntil"]) == ("stored", None)
    assert row["lockError"]


@guarantee("lock-files")
def test_a_lock_that_the_store_refuses_does_not_end_the_run(
    archive: ArchiveRunner, server: S3Server
) -> None:
    with FakeFocus(feed([recording(1, retainUntil=UNTIL)])) as focus:
        archive(focus, media_lock="governance")
        focus.pages[None] = page([recording(1, retainUntil=LATER)], page_cursor(1))
        server.faults["PUT retention"] = [(403, "AccessDenied")]
        run = archive(focus, media_lock="governance")

    row = rows_by_id(run)[1]
    assert (row["status"], "AccessDenied" in row["lockError"]) == ("stored", True)
