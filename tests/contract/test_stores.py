"""What every store of audio files does, as `AudioStore` describes it."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tap_focus.archive.stores.interface import FileDetails
from tap_focus.archive.stores.marker import MARKER_NAME
from tap_focus.errors import StorageError
from tests.helpers.s3 import S3Server, s3_server
from tests.helpers.stores import (
    ACCOUNT,
    FolderStorage,
    MemoryStorage,
    S3Storage,
    Storage,
    store_file,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tap_focus.archive.stores.interface import AudioStore

DAY = "2025/05/01"
STEM = f"{DAY}/1000"
PATH = f"{STEM}.mp3"
CONTENT = b"sound" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture(params=["folder", "s3", "memory"])
def storage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Storage:
    name = hashlib.sha256(bytes(tmp_path)).hexdigest()[:16]
    if request.param == "folder":
        return FolderStorage(tmp_path)
    if request.param == "memory":
        return MemoryStorage(name)
    server: S3Server = request.getfixturevalue("server")
    for variable, value in server.environment.items():
        monkeypatch.setenv(variable, value)
    server.create_bucket(name)
    return S3Storage(server, name)


@pytest.fixture
def store(storage: Storage) -> AudioStore:
    return storage.open()


def test_a_stored_file_is_found_by_a_later_run_as_it_was_stored(
    storage: Storage, store: AudioStore
) -> None:
    details = FileDetails("audio/x-wav", source="5f3c", duration=61.5)
    stored, is_new = store_file(store, f"{STEM}.wav", CONTENT, details)
    store.flush()

    assert is_new
    assert (stored.path, stored.size, stored.sha256) == (f"{STEM}.wav", len(CONTENT), SHA256)
    assert (stored.content_type, stored.source, stored.duration) == ("audio/x-wav", "5f3c", 61.5)
    (found,) = storage.open().find(STEM)
    assert (found.path, found.size, found.sha256) == (f"{STEM}.wav", len(CONTENT), SHA256)
    if storage.keeps_details:
        assert found == stored
    assert storage.read()[f"{STEM}.wav"] == CONTENT


def test_a_file_stored_after_its_folder_was_listed_is_found(store: AudioStore) -> None:
    assert store.find(STEM) == []

    stored, _ = store_file(store, PATH, CONTENT)

    assert [file.sha256 for file in store.find(STEM)] == [stored.sha256]
    assert store.find(STEM)


def test_a_file_is_invisible_until_it_is_committed(storage: Storage, store: AudioStore) -> None:
    new = store.create(STEM)
    new.write(CONTENT)
    seen = storage.store()

    assert new.size == len(CONTENT)
    assert seen.find(STEM) == []
    assert seen.list_day(DAY) == {}
    new.discard()
    new.discard()
    assert set(storage.read()) <= {MARKER_NAME}


def test_restart_removes_what_was_written(store: AudioStore) -> None:
    new = store.create(STEM)
    new.write(b"the beginning of an interrupted download")
    new.restart()
    new.write(CONTENT)
    stored, _ = new.commit(PATH, FileDetails("audio/mpeg"))

    assert (stored.size, stored.sha256) == (len(CONTENT), SHA256)
    assert store.checksum(PATH) == (len(CONTENT), SHA256)


def test_discard_after_commit_keeps_the_file(store: AudioStore) -> None:
    new = store.create(STEM)
    new.write(CONTENT)
    new.commit(PATH, FileDetails("audio/mpeg"))
    new.discard()

    assert store.checksum(PATH) == (len(CONTENT), SHA256)


def test_an_existing_file_is_never_replaced(storage: Storage) -> None:
    first, second = storage.open(), storage.open()
    assert second.find(STEM) == []  # second has listed the folder when it was empty
    stored, _ = store_file(first, PATH, CONTENT)
    found, is_new = store_file(second, PATH, b"another content")

    assert not is_new
    assert (found.sha256, found.size) == (stored.sha256, stored.size)
    assert storage.read()[PATH] == CONTENT


def test_many_threads_that_store_the_same_files_store_each_once(storage: Storage) -> None:
    stores = [storage.open(), storage.open()]

    def run(number: int) -> tuple[str, str, bool]:
        path = f"{DAY}/{number // 4}.mp3"
        file, is_new = store_file(stores[number % 2], path, b"%d" % number * 100)
        return path, file.sha256, is_new

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(run, range(40)))

    contents = {path: hashlib.sha256(c).hexdigest() for path, c in storage.read().items()}
    assert sum(is_new for *_, is_new in results) == 10
    assert {path: sha256 for path, sha256, _ in results} == {
        path: contents[path] for path, *_ in results
    }


def test_all_versions_are_found_in_order(store: AudioStore) -> None:
    for name in ("1000-10.mp3", "1000-2.wav", "1000.mp3", "10001.mp3", "1000-1.mp3", "-1000.mp3"):
        store_file(store, f"{DAY}/{name}", name.encode())

    assert [file.path for file in store.find(STEM)] == [
        f"{DAY}/1000.mp3",
        f"{DAY}/1000-2.wav",
        f"{DAY}/1000-10.mp3",
    ]
    assert [file.path for file in store.find(f"{DAY}/-1000")] == [f"{DAY}/-1000.mp3"]


@pytest.mark.parametrize("day", ["2025/04/30", "2025/05/02"])
def test_a_file_in_the_folder_of_an_adjacent_day_is_found(store: AudioStore, day: str) -> None:
    store_file(store, f"{day}/1000.mp3", CONTENT)

    assert [file.path for file in store.find(STEM)] == [f"{day}/1000.mp3"]
    assert store.find("2025/05/04/1000") == []


@pytest.mark.parametrize(
    "name", ["1000.txt", "1000.json", "1000.mp3_bad", "1000.MP3", "1000.mp3.part", "1000", "x.mp3"]
)
def test_names_that_the_archive_does_not_write_are_not_audio(
    storage: Storage, store: AudioStore, name: str
) -> None:
    storage.put(f"{DAY}/{name}", b"a note")

    assert store.find(STEM) == []
    assert not store.find(STEM)
    assert store.list_day(DAY) == {name: 6}


def test_an_empty_file_counts_as_missing_and_is_replaced(
    storage: Storage, store: AudioStore
) -> None:
    storage.put(PATH, b"")

    assert store.find(STEM) == []
    assert not store.find(STEM)
    assert store_file(store, PATH, CONTENT)[1]
    assert storage.read()[PATH] == CONTENT


def test_an_empty_file_does_not_hide_another_one(storage: Storage, store: AudioStore) -> None:
    storage.put(f"{DAY}/1000.aac", b"")
    store_file(store, PATH, CONTENT)

    assert [file.path for file in storage.open().find(STEM)] == [PATH]


def test_two_files_of_one_version_are_a_warning_and_the_first_counts(
    storage: Storage, store: AudioStore, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("1.wav", "1.mp3", "2.wav", "2.mp3"):
        storage.put(f"{DAY}/{name}", CONTENT)

    paths = [file.path for key in (1, 2) for file in store.find(f"{DAY}/{key}")]
    assert paths == [f"{DAY}/1.mp3", f"{DAY}/2.mp3"]
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert f"{DAY}/1.mp3" in warnings[0]
    assert f"{DAY}/1.wav" in warnings[0]


def test_a_file_of_another_program_is_described_by_its_content(
    storage: Storage, store: AudioStore
) -> None:
    storage.put(PATH, CONTENT)

    (file,) = store.find(STEM)
    assert (file.size, file.sha256, file.source) == (len(CONTENT), SHA256, None)


def test_the_days_are_listed_in_order(store: AudioStore) -> None:
    days = ["0000/00/00", "2024/12/31", "2025/05/01", "2025/10/02", "2025/10/10"]
    for day in reversed(days):
        store_file(store, f"{day}/1.mp3", CONTENT)
    store.flush()

    assert list(store.list_days()) == days
    assert list(store.list_unexpected()) == []
    assert [store.list_day(day) for day in days] == [{"1.mp3": len(CONTENT)}] * 5


def test_what_is_outside_the_folders_of_days_is_unexpected(
    storage: Storage, store: AudioStore
) -> None:
    store_file(store, PATH, CONTENT)
    for path in ("notes.txt", "2025/05/x/1.mp3", "2025/1.mp3", "old/2025/05/01/1.mp3"):
        storage.put(path, b"x")
    storage.put(f"{DAY}/sub/1.mp3", b"x")

    unexpected = ["2025/05/x/", "2025/1.mp3", "notes.txt", "old/"]
    assert sorted(store.list_unexpected()) == unexpected
    assert list(store.list_days()) == [DAY]
    assert store.list_day(DAY) == {"1000.mp3": len(CONTENT), "sub/": 0}


def test_folder_markers_are_not_listed(storage: Storage, store: AudioStore) -> None:
    if not storage.has_folder_markers:
        return
    store_file(store, PATH, CONTENT)
    for marker in ("", "2025/", "2025/05/", f"{DAY}/", f"{DAY}/sub/", "new/"):
        storage.put(marker, b"")

    assert list(store.list_unexpected()) == []
    assert list(store.list_days()) == [DAY]
    assert store.list_day(DAY) == {"1000.mp3": len(CONTENT)}


def test_the_recorded_checksum_needs_no_read(storage: Storage, store: AudioStore) -> None:
    store_file(store, PATH, CONTENT)

    assert storage.store().recorded_checksum(PATH) == (SHA256 if storage.keeps_details else None)
    assert storage.store().checksum(PATH) == (len(CONTENT), SHA256)


def test_a_missing_file_cannot_be_read(store: AudioStore) -> None:
    with pytest.raises(StorageError, match=r"^Cannot read 2025/05/01/1000\.mp3 in media_path: "):
        store.checksum(PATH)


def test_a_missing_archive_cannot_be_listed(storage: Storage) -> None:
    for listing in (storage.store().list_days(), storage.store().list_unexpected()):
        with pytest.raises(StorageError, match=r"^Cannot read media_path: .*does not exist$"):
            list(listing)


def test_nothing_is_written_before_open(storage: Storage) -> None:
    storage.store().find(STEM)

    assert storage.read() == {}


def test_open_writes_a_marker_that_identifies_the_archive(storage: Storage) -> None:
    storage.open()
    storage.open()

    assert list(storage.read()) == [MARKER_NAME]
    marker = json.loads(storage.read()[MARKER_NAME])
    assert (marker["layout"], marker["account"]) == (1, ACCOUNT)
    storage.store().open(ACCOUNT, has_bookmark=True)


def test_a_bookmark_without_an_archive_is_refused(storage: Storage) -> None:
    with pytest.raises(StorageError, match="mounted"):
        storage.store().open(ACCOUNT, has_bookmark=True)

    assert storage.read() == {}


def test_the_archive_of_another_account_is_refused(storage: Storage) -> None:
    storage.open()

    with pytest.raises(StorageError, match=r"archive of account 1 at .*, not of 2 at "):
        storage.store().open("2 at http://localhost", has_bookmark=False)


def test_the_error_about_another_account_is_one_short_line(storage: Storage) -> None:
    account = "x\n" + "\x1b[31m" * 1000
    marker = {"layout": 1, "account": account, "created": "x"}
    storage.put(MARKER_NAME, json.dumps(marker).encode())

    with pytest.raises(StorageError) as caught:
        storage.open()

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is invalid"),
        (b"[1]", "is invalid"),
        (b'{"layout":2,"account":"1 at http://localhost","created":"x"}', "has layout 2"),
    ],
)
def test_another_marker_is_refused_and_kept(storage: Storage, content: bytes, reason: str) -> None:
    storage.put(MARKER_NAME, content)

    with pytest.raises(StorageError, match=reason):
        storage.open()
    assert storage.read() == {MARKER_NAME: content}


def test_runs_that_start_at_once_agree_on_one_account(storage: Storage) -> None:
    def run(number: int) -> bool:
        try:
            storage.store().open(f"account {number}", has_bookmark=False)
        except StorageError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(run, range(8)))

    account = json.loads(storage.read()[MARKER_NAME])["account"]
    assert [f"account {number}" for number in range(8) if results[number]] == [account]


def test_a_uri_ends_with_the_path(store: AudioStore) -> None:
    uri = store.uri(PATH)

    assert "://" in uri
    assert uri.endswith(f"/{PATH}")
