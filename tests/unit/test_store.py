from __future__ import annotations

import hashlib
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tap_focus.archive.store import PARTIAL_FOLDER, AudioStore, StoredFile, check_media_path
from tap_focus.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STEM = "2025/05/01/1"
CONTENT = b"sound" * 1000
FILE = StoredFile(f"{STEM}.mp3", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class ConnectionLostError(Exception):
    """What a download may raise while a file is written."""


@pytest.fixture
def store(tmp_path: Path) -> AudioStore:
    store = AudioStore(str(tmp_path / "audio"))
    store.prepare()
    return store


def partial_files(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "audio" / PARTIAL_FOLDER).iterdir())


def test_a_file_is_written_and_found_with_its_size_and_hash(
    store: AudioStore, tmp_path: Path
) -> None:
    written = store.write(FILE.path, [CONTENT[:7], CONTENT[7:]])

    assert written == store.find(STEM) == FILE
    assert (tmp_path / "audio" / FILE.path).read_bytes() == CONTENT
    assert partial_files(tmp_path) == []


def test_a_file_appears_only_when_it_is_complete(store: AudioStore, tmp_path: Path) -> None:
    seen: list[bool] = []

    def chunks() -> Iterator[bytes]:
        for chunk in (b"first", b"second"):
            yield chunk
            seen.append((tmp_path / "audio" / FILE.path).exists())

    store.write(FILE.path, chunks())

    assert seen == [False, False]
    assert (tmp_path / "audio" / FILE.path).exists()


def test_an_incomplete_file_is_removed_and_the_error_passes_through(
    store: AudioStore, tmp_path: Path
) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"first"
        raise ConnectionLostError

    with pytest.raises(ConnectionLostError):
        store.write(FILE.path, chunks())

    assert store.find(STEM) is None
    assert partial_files(tmp_path) == []


def test_a_failed_write_is_a_storage_error_with_the_reason(
    store: AudioStore, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(StorageError) as caught:
            store.write(FILE.path, [CONTENT])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)

    assert str(caught.value) == "Cannot write to media_path: File too large"
    assert partial_files(tmp_path) == []
    assert not (tmp_path / "audio" / "2025").exists()


def test_a_file_written_after_its_folder_was_listed_is_found(store: AudioStore) -> None:
    assert store.find(STEM) is None

    store.write(FILE.path, [CONTENT])

    assert store.find(STEM) == FILE


def test_an_empty_file_counts_as_missing(store: AudioStore, tmp_path: Path) -> None:
    path = tmp_path / "audio" / FILE.path
    path.parent.mkdir(parents=True)
    path.touch()

    assert store.find(STEM) is None


def test_other_entries_of_the_folder_are_not_found(store: AudioStore, tmp_path: Path) -> None:
    folder = tmp_path / "audio" / "2025/05/01"
    (folder / "1.folder").mkdir(parents=True)
    (folder / "1.mp3.part").write_bytes(b"incomplete")

    assert store.find(STEM) is None


def test_list_files_yields_complete_files_only(store: AudioStore, tmp_path: Path) -> None:
    store.write(FILE.path, [CONTENT])
    (tmp_path / "audio" / PARTIAL_FOLDER / "incomplete").write_bytes(b"x")
    (tmp_path / "audio" / f"{PARTIAL_FOLDER}.txt").write_bytes(b"12")

    assert dict(store.list_files()) == {FILE.path: FILE.size, f"{PARTIAL_FOLDER}.txt": 2}


def test_a_store_that_does_not_exist_cannot_be_listed(tmp_path: Path) -> None:
    store = AudioStore(str(tmp_path / "missing"))

    with pytest.raises(StorageError, match=r"^Cannot read media_path: it does not exist$"):
        list(store.list_files())


def test_opening_a_store_writes_nothing(tmp_path: Path) -> None:
    AudioStore(str(tmp_path / "audio"))

    assert list(tmp_path.iterdir()) == []


def test_prepare_removes_stale_partial_files_only(store: AudioStore, tmp_path: Path) -> None:
    folder = tmp_path / "audio" / PARTIAL_FOLDER
    for name, age_in_hours in (("stale", 25), ("recent", 23)):
        (folder / name).write_bytes(b"x")
        modified = time.time() - age_in_hours * 3600
        os.utime(folder / name, (modified, modified))

    store.prepare()

    assert [path.name for path in partial_files(tmp_path)] == ["recent"]


def test_prepare_rejects_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = AudioStore(str(tmp_path / "file" / "audio"))

    with pytest.raises(StorageError, match=r"^Cannot write to media_path: Not a directory$"):
        store.prepare()


@pytest.mark.parametrize(
    "url", ["audio", "./a:b", "/data/audio", "~/audio", "file:///data", "local:///data", "s3://b/x"]
)
def test_supported_urls_are_accepted(url: str) -> None:
    check_media_path(url)


@pytest.mark.parametrize(
    ("url", "protocol"),
    [
        ("memory://audio", "memory://"),
        ("nope://x", "protocol is"),
        ("http://example.com/x", "http://"),
        ("sftp://host/x", "sftp://"),
        ("adl://x", "adl://"),
        ("S3://bucket/x", "S3://"),
        ("s3:/bucket/x", "s3:"),  # fsspec would store it in a local folder named "s3:"
        ("data:x", "data:"),
        ("simplecache::s3://bucket/x", "::"),
        ("s3://bucket/x::memory://", "::"),
        ("/data::audio", "::"),  # fsspec would store it in /data
    ],
)
def test_other_protocols_are_rejected_by_name_if_it_is_known(url: str, protocol: str) -> None:
    with pytest.raises(StorageError) as caught:
        AudioStore(url)

    assert str(caught.value).startswith("Cannot open media_path: ")
    assert protocol in str(caught.value)
    assert "not supported" in str(caught.value)


@pytest.mark.parametrize("url", ["gs://b/x", "gcs://b/x", "az://b/x", "abfs://b/x", "abfss://b/x"])
def test_a_missing_package_is_named_by_its_extra(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_installed(protocol: str) -> None:
        raise ImportError(protocol)

    monkeypatch.setattr("tap_focus.archive.store.get_filesystem_class", not_installed)

    with pytest.raises(StorageError, match=r"not installed \(extra: (gcs|azure)\)$"):
        check_media_path(url)
