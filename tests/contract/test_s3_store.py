"""The store in S3, against moto and the rules of S3 that moto lacks."""

from __future__ import annotations

import base64
import hashlib
import json
import tracemalloc
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import fsspec.config
import pytest
from fsspec.config import set_conf_env

from tap_focus.archive.stores import s3 as s3_store
from tap_focus.archive.stores.factory import open_store
from tap_focus.archive.stores.interface import FileDetails, Retention
from tap_focus.archive.stores.marker import MARKER_NAME
from tap_focus.archive.stores.s3 import S3Store
from tap_focus.errors import FileUnreadableError, LockError, StorageError
from tests.helpers.s3 import TRUNCATE, S3Server, s3_server
from tests.helpers.stores import ACCOUNT, S3Storage, store_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tap_focus.archive.stores.interface import AudioStore, StoredFile

DAY = "2025/05/01"
STEM = f"{DAY}/1000"
PATH = f"{STEM}.mp3"
CONTENT = b"sound" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
DETAILS = FileDetails("audio/mpeg", source="5f3c", duration=61.5)
NOW = datetime.now(timezone.utc)


@pytest.fixture(scope="module")
def shared_server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def server(shared_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, without the requests of other tests."""
    shared_server.requests.clear()
    shared_server.faults.clear()
    for variable, value in shared_server.environment.items():
        monkeypatch.setenv(variable, value)
    return shared_server


@pytest.fixture
def name(tmp_path: Path) -> str:
    return hashlib.sha256(bytes(tmp_path)).hexdigest()[:16]


@pytest.fixture
def storage(server: S3Server, name: str) -> S3Storage:
    server.create_bucket(name)
    return S3Storage(server, name)


@pytest.fixture
def store(storage: S3Storage) -> AudioStore:
    store = storage.open()
    storage.server.requests.clear()
    return store


@pytest.fixture
def locked(server: S3Server, name: str) -> S3Storage:
    """A bucket with Object Lock, without default retention."""
    server.create_bucket(name, lock=True)
    return S3Storage(server, name)


def set_default_retention(storage: S3Storage, days: int = 30) -> None:
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": days}}
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    storage.client.put_object_lock_configuration(
        Bucket=storage.bucket, ObjectLockConfiguration=configuration
    )


def open_locked(storage: S3Storage, mode: str = "compliance") -> AudioStore:
    store = open_store(f"s3://{storage.bucket}/calls", mode)
    store.open(ACCOUNT, has_bookmark=False)
    return store


def head(storage: S3Storage, path: str = PATH) -> dict[str, Any]:
    found: dict[str, Any] = storage.client.head_object(
        Bucket=storage.bucket, Key=f"calls/{path}", ChecksumMode="ENABLED"
    )
    return found


def operations(server: S3Server) -> list[str]:
    return [request.operation for request in server.requests]


def test_a_file_is_stored_by_one_request(storage: S3Storage, store: AudioStore) -> None:
    store_file(store, PATH, CONTENT, DETAILS)

    (request,) = storage.server.requests
    assert request.operation == "PUT"
    assert request.headers["if-none-match"] == "*"
    stored = head(storage)
    assert base64.b64decode(stored["ChecksumSHA256"]).hex() == SHA256
    assert stored["ContentType"] == "audio/mpeg"
    assert stored["Metadata"] == {"sha256": SHA256, "source": "5f3c", "duration": "61.5"}


@pytest.mark.parametrize("content_type", ["audio/\N{LATIN SMALL LETTER E WITH ACUTE}", "audio/ x"])
def test_a_content_type_that_no_header_can_have_is_not_sent(
    storage: S3Storage, store: AudioStore, content_type: str
) -> None:
    stored, _ = store_file(store, f"{STEM}.audio", CONTENT, FileDetails(content_type))

    assert stored.content_type == "application/octet-stream"
    assert storage.open().find(STEM) == [stored]


def test_a_later_run_needs_one_head_for_each_file_and_no_content(
    storage: S3Storage, store: AudioStore
) -> None:
    for number in range(20):
        store_file(store, f"{DAY}/{number}.mp3", CONTENT)
    later = storage.store()
    storage.server.requests.clear()
    later.open(ACCOUNT, has_bookmark=True)
    found = [later.find(f"{DAY}/{number}")[0].sha256 for number in range(20)]

    assert found == [SHA256] * 20
    assert storage.server.count("HEAD", ".mp3") == 20
    assert storage.server.count("HEAD") == 21  # and the marker
    assert storage.server.count("GET") == 3  # lists the day and its neighbors
    assert len(storage.server.requests) == 24


def test_a_listing_of_several_pages_is_complete(storage: S3Storage, store: AudioStore) -> None:
    assert isinstance(store, S3Store)
    names = [f"{number}.mp3" for number in range(7)]
    for name in names:
        storage.put(f"{DAY}/{name}", b"x")
    store.fs.s3_additional_kwargs["MaxKeys"] = 2

    assert store.list_day(DAY) == dict.fromkeys(names, 1)
    assert store.find(f"{DAY}/6")
    assert list(store.list_days()) == [DAY]


@pytest.mark.parametrize("status", [500, 503])
def test_a_repeated_request_sends_the_whole_content(
    storage: S3Storage, store: AudioStore, status: int
) -> None:
    storage.server.faults["PUT"] = [(status, "SlowDown" if status == 503 else "InternalError")]
    content = CONTENT * 1000
    stored, is_new = store_file(store, PATH, content)

    assert is_new
    assert [request.size for request in storage.server.requests] == [len(content)] * 2
    assert storage.read()[PATH] == content
    assert stored.sha256 == hashlib.sha256(content).hexdigest()


def test_an_upload_is_not_held_in_memory(storage: S3Storage, store: AudioStore) -> None:
    chunk = bytes(1024 * 1024)
    new = store.create(STEM)
    for _ in range(24):
        new.write(chunk)
    call = S3Store._call
    peaks = []

    def measured(self: S3Store, method: str, **arguments: Any) -> dict[str, Any]:
        storage.server.faults["PUT"] = [(400, "RequestTimeTooSkewed")]  # moto keeps the content
        tracemalloc.start()
        try:
            return call(self, method, **arguments)
        finally:
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(S3Store, "_call", measured)
        with pytest.raises(StorageError, match="RequestTimeTooSkewed"):
            new.commit(PATH, DETAILS)

    received = 24 * len(chunk) * 2  # the server of this test has the parts and the whole
    assert len(peaks) == 1
    assert peaks[0] < received + 8 * len(chunk)


def test_an_object_of_another_program_is_read(storage: S3Storage, store: AudioStore) -> None:
    storage.client.put_object(
        Bucket=storage.bucket, Key=f"calls/{PATH}", Body=CONTENT, ContentType="audio/x-wav"
    )
    stored = head(storage)
    (found,) = store.find(STEM)

    assert "ChecksumSHA256" not in stored
    assert (found.sha256, found.content_type) == (SHA256, "audio/x-wav")
    assert store.recorded_checksum(PATH) is None


@pytest.mark.parametrize("checksum", ["unknown", "../x", "A" * 64, "0" * 63])
def test_metadata_that_is_no_checksum_is_ignored(storage: S3Storage, checksum: str) -> None:
    storage.client.put_object(
        Bucket=storage.bucket, Key=f"calls/{PATH}", Body=CONTENT, Metadata={"sha256": checksum}
    )

    assert [file.sha256 for file in storage.open().find(STEM)] == [SHA256]


def test_an_object_is_read_in_full_after_broken_connections(
    storage: S3Storage, store: AudioStore
) -> None:
    content = CONTENT * 100
    storage.put(PATH, content)
    storage.server.faults["GET"] = [TRUNCATE, TRUNCATE]

    assert store.checksum(PATH) == (len(content), hashlib.sha256(content).hexdigest())


def put_in_cold_storage(storage: S3Storage, **arguments: str) -> None:
    storage.client.put_object(
        Bucket=storage.bucket,
        Key=f"calls/{PATH}",
        Body=CONTENT,
        StorageClass="GLACIER",
        **arguments,
    )


def test_an_object_in_cold_storage_concerns_its_recording_only(
    storage: S3Storage, store: AudioStore
) -> None:
    put_in_cold_storage(storage)
    with pytest.raises(FileUnreadableError, match="InvalidObjectState"):
        store.find(STEM)

    assert store_file(store, f"{DAY}/2.mp3", CONTENT)[1]


def test_an_object_in_cold_storage_with_a_checksum_is_found(
    storage: S3Storage, store: AudioStore
) -> None:
    put_in_cold_storage(storage, ChecksumAlgorithm="SHA256")

    assert [file.sha256 for file in store.find(STEM)] == [SHA256]
    assert store.recorded_checksum(PATH) == SHA256


@pytest.mark.parametrize(
    ("code", "name", "times"),
    [(403, "AccessDenied", 1), (400, "BadRequest", 2)],  # boto looks for another region after 400
)
def test_an_object_that_cannot_be_examined_concerns_its_recording_only(
    storage: S3Storage, store: AudioStore, code: int, name: str, times: int
) -> None:
    store_file(store, PATH, CONTENT)
    storage.server.faults["HEAD"] = [(code, name)] * times
    with pytest.raises(FileUnreadableError, match=f"Cannot examine {PATH}"):
        store.find(STEM)

    assert len(store.find(STEM)) == 1


def test_a_bucket_that_refuses_every_examination_ends_the_run(
    storage: S3Storage, store: AudioStore
) -> None:
    store_file(store, PATH, CONTENT)
    storage.server.faults["HEAD"] = [(403, "AccessDenied")] * 2
    with pytest.raises(StorageError) as caught:
        store.find(STEM)

    assert not isinstance(caught.value, FileUnreadableError)


@pytest.mark.parametrize(
    ("fault", "code"), [((403, "AccessDenied"), "AccessDenied"), ((404, "NoSuchBucket"), "NoSuch")]
)
def test_a_refused_listing_ends_the_run(
    storage: S3Storage, store: AudioStore, fault: tuple[int, str], code: str
) -> None:
    storage.server.faults["GET"] = [fault]
    with pytest.raises(StorageError, match=code) as caught:
        store.find(STEM)

    assert not isinstance(caught.value, FileUnreadableError)


def test_an_upload_that_conflicts_with_another_one_is_repeated(
    storage: S3Storage, store: AudioStore
) -> None:
    storage.server.faults["PUT"] = [(409, "ConditionalRequestConflict")]

    assert store_file(store, PATH, CONTENT)[1]


def test_an_object_that_another_run_stored_counts(storage: S3Storage, store: AudioStore) -> None:
    other, _ = store_file(storage.open(), PATH, b"by another run", DETAILS)
    storage.server.requests.clear()
    found, is_new = store_file(store, PATH, CONTENT)

    assert (found, is_new) == (other, False)
    assert operations(storage.server) == ["PUT", "HEAD"]


def test_only_an_empty_object_is_replaced(storage: S3Storage, store: AudioStore) -> None:
    storage.put(PATH, b"")
    storage.server.requests.clear()
    store_file(store, PATH, CONTENT)
    last = storage.server.requests[-1]

    assert last.operation == "PUT"
    assert "if-match" in last.headers
    assert storage.read()[PATH] == CONTENT


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A content that is uploaded in three parts."""
    monkeypatch.setattr(s3_store, "MAX_PUT_BYTES", 1024)
    monkeypatch.setattr(s3_store, "PART_BYTES", 5 * 1024 * 1024)
    return b"123456" * (2 * 1024 * 1024)


def test_a_very_large_file_is_uploaded_in_parts(
    storage: S3Storage, store: AudioStore, in_parts: bytes
) -> None:
    stored, is_new = store_file(store, PATH, in_parts, DETAILS)
    storage.server.requests.clear()
    (found,) = storage.open().find(STEM)

    assert is_new
    assert found == stored
    assert found.sha256 == hashlib.sha256(in_parts).hexdigest()
    assert storage.server.count("GET", ".mp3") == 0
    assert store.recorded_checksum(PATH) is None
    assert head(storage)["ContentLength"] == len(in_parts)
    assert store_file(store, PATH, in_parts[:-1]) == (found, False)


def test_a_failed_upload_in_parts_is_aborted(
    storage: S3Storage, store: AudioStore, in_parts: bytes
) -> None:
    storage.server.faults["PUT uploadId"] = [(403, "AccessDenied")]
    with pytest.raises(StorageError, match="AccessDenied"):
        store_file(store, PATH, in_parts)

    assert storage.client.list_multipart_uploads(Bucket=storage.bucket).get("Uploads", []) == []
    assert storage.read().keys() == {MARKER_NAME}


def test_options_of_uploads_come_from_the_environment(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"s3_additional_kwargs": {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key"}}
    monkeypatch.setenv("FSSPEC_S3", json.dumps(options))
    configuration: dict[str, Any] = {}
    set_conf_env(configuration)  # fsspec does this when it is imported
    monkeypatch.setattr(fsspec.config, "conf", configuration)
    store_file(storage.open(), PATH, CONTENT)

    assert {head(storage, path)["ServerSideEncryption"] for path in (PATH, MARKER_NAME)} == {
        "aws:kms"
    }


def test_the_marker_is_checked_without_reading_an_object(storage: S3Storage) -> None:
    storage.open()
    storage.server.requests.clear()
    storage.store().open(ACCOUNT, has_bookmark=True)

    assert operations(storage.server) == ["HEAD"]


def test_a_marker_that_was_copied_without_metadata_is_read(storage: S3Storage) -> None:
    storage.open()
    storage.put(MARKER_NAME, storage.read()[MARKER_NAME])

    storage.store().open(ACCOUNT, has_bookmark=True)


def test_an_account_may_have_any_characters(storage: S3Storage) -> None:
    for _ in range(2):
        storage.store().open("Zürich \u2028 1", has_bookmark=False)


@pytest.mark.parametrize("mode", ["governance", "compliance"])
def test_a_file_is_locked_by_the_request_that_stores_it(locked: S3Storage, mode: str) -> None:
    store = open_locked(locked, mode)
    locked.server.requests.clear()
    until = NOW.replace(microsecond=0) + timedelta(days=90)
    details = DETAILS._replace(retention=Retention(until, legal_hold=True))
    stored, _ = store_file(store, PATH, CONTENT, details)
    requests = operations(locked.server)

    assert requests == ["PUT"]
    found = head(locked)
    assert found["ObjectLockMode"] == mode.upper()
    assert found["ObjectLockRetainUntilDate"] == until
    assert found["ObjectLockLegalHoldStatus"] == "ON"
    assert (stored.locked_until, stored.has_legal_hold) == (until, True)
    assert open_locked(locked, mode).find(STEM) == [stored]


def test_a_lock_lasts_at_least_as_long_as_the_retention(locked: S3Storage) -> None:
    until = NOW.replace(microsecond=1000) + timedelta(days=1)
    details = DETAILS._replace(retention=Retention(until, legal_hold=False))
    stored, _ = store_file(open_locked(locked), PATH, CONTENT, details)

    assert stored.locked_until is not None
    assert timedelta(0) <= stored.locked_until - until < timedelta(seconds=1)


def test_without_a_lock_mode_nothing_is_locked(locked: S3Storage) -> None:
    retention = Retention(NOW + timedelta(days=1), legal_hold=True)
    store = locked.open()
    stored, _ = store_file(store, PATH, CONTENT, DETAILS._replace(retention=retention))

    assert (stored.locked_until, stored.has_legal_hold) == (None, False)
    assert store.update_lock(stored, retention) == stored


def test_a_date_in_the_past_is_not_sent(locked: S3Storage) -> None:
    details = DETAILS._replace(retention=Retention(NOW - timedelta(days=1), legal_hold=False))
    store = open_locked(locked)
    stored, is_new = store_file(store, PATH, CONTENT, details)

    with pytest.raises(LockError, match="in the past"):
        store.update_lock(stored, details.retention or Retention(None, legal_hold=True))

    assert (is_new, stored.locked_until) == (True, None)


def test_without_a_date_the_default_of_the_bucket_applies(locked: S3Storage) -> None:
    set_default_retention(locked)
    store = open_locked(locked)
    details = DETAILS._replace(retention=Retention(None, legal_hold=False))
    stored, _ = store_file(store, PATH, CONTENT, details)

    assert not store.requires_retention_date
    assert stored.locked_until is not None
    assert stored.locked_until > NOW + timedelta(days=29)


def test_without_a_default_each_file_needs_a_date(locked: S3Storage) -> None:
    assert open_locked(locked).requires_retention_date


def test_a_bucket_without_object_lock_is_refused_before_anything_is_written(
    storage: S3Storage,
) -> None:
    with pytest.raises(StorageError, match="the bucket has no Object Lock"):
        open_locked(storage)

    assert storage.read() == {}


def test_a_store_without_a_lock_mode_can_use_a_bucket_with_default_retention(
    locked: S3Storage,
) -> None:
    """S3 then requires a checksum in each request, also for the marker."""
    set_default_retention(locked)
    store_file(locked.open(), PATH, CONTENT)

    assert locked.read().keys() == {MARKER_NAME, PATH}


@pytest.mark.parametrize("url", ["/archive", "gs://bucket/x"])
def test_other_storage_refuses_a_lock_mode(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tap_focus.archive.stores.factory.check_media_path", lambda _: None)

    with pytest.raises(StorageError, match="media_lock needs a bucket in S3"):
        open_store(url, "compliance")


@pytest.fixture
def kept(locked: S3Storage) -> tuple[AudioStore, StoredFile]:
    """A store, and a file that is locked for 90 days."""
    store = open_locked(locked)
    details = DETAILS._replace(retention=Retention(NOW + timedelta(days=90), legal_hold=False))
    stored, _ = store_file(store, PATH, CONTENT, details)
    locked.server.requests.clear()
    return store, stored


def test_a_later_date_prolongs_a_lock(
    locked: S3Storage, kept: tuple[AudioStore, StoredFile]
) -> None:
    store, file = kept
    later = (NOW + timedelta(days=100)).replace(microsecond=0)
    prolonged = store.update_lock(file, Retention(later, legal_hold=False))

    assert prolonged.locked_until == later
    assert head(locked)["ObjectLockRetainUntilDate"] == later
    assert open_locked(locked).find(STEM) == [prolonged]


def test_an_earlier_date_is_refused(locked: S3Storage, kept: tuple[AudioStore, StoredFile]) -> None:
    store, file = kept
    earlier = Retention(NOW + timedelta(days=80), legal_hold=True)
    with pytest.raises(LockError, match=r"is locked until .* already"):
        store.update_lock(file, earlier)

    assert head(locked)["ObjectLockRetainUntilDate"] == file.locked_until
    assert head(locked)["ObjectLockLegalHoldStatus"] == "ON"  # a hold does not depend on the date


def test_a_lock_that_is_as_it_should_be_needs_no_request(
    locked: S3Storage, kept: tuple[AudioStore, StoredFile]
) -> None:
    store, file = kept

    assert store.update_lock(file, Retention(file.locked_until, legal_hold=False)) == file
    assert store.update_lock(file, Retention(None, legal_hold=False)) == file
    assert operations(locked.server) == []


def test_a_hold_is_set_and_never_removed(
    locked: S3Storage, kept: tuple[AudioStore, StoredFile]
) -> None:
    store, file = kept
    held = store.update_lock(file, Retention(None, legal_hold=True))
    later = store.update_lock(held, Retention(None, legal_hold=False))

    assert held.has_legal_hold
    assert later == held
    assert head(locked)["ObjectLockLegalHoldStatus"] == "ON"
    assert operations(locked.server) == ["PUT legal-hold"]


def test_a_refusal_by_s3_is_a_lock_error_with_its_code(
    locked: S3Storage, kept: tuple[AudioStore, StoredFile]
) -> None:
    store, file = kept
    locked.server.faults["PUT retention"] = [(403, "AccessDenied")]
    with pytest.raises(LockError, match="AccessDenied"):
        store.update_lock(file, Retention(NOW + timedelta(days=100), legal_hold=False))
