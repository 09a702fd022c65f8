"""Stores of each kind, and access to what is in them without a store."""

from __future__ import annotations

import abc
import threading
from typing import TYPE_CHECKING, Any

from fsspec.implementations.memory import MemoryFileSystem

from tap_focus.archive.stores.factory import open_store
from tap_focus.archive.stores.interface import FileDetails, StoredFile
from tap_focus.archive.stores.object_storage import ObjectStore

if TYPE_CHECKING:
    from pathlib import Path

    from tap_focus.archive.stores.interface import AudioStore
    from tests.helpers.s3 import S3Server

ACCOUNT = "1 at http://localhost"
AUDIO = FileDetails("audio/mpeg")


def store_file(
    store: AudioStore, path: str, content: bytes, details: FileDetails = AUDIO
) -> tuple[StoredFile, bool]:
    """Store a file in two chunks."""
    new = store.create(path.rpartition(".")[0])
    half = len(content) // 2
    new.write(content[:half])
    new.write(content[half:])
    return new.commit(path, details)


class Storage(abc.ABC):
    """A place for one archive."""

    keeps_details = True
    has_folder_markers = True

    @abc.abstractmethod
    def store(self) -> AudioStore:
        """Return a store that has not been opened."""

    @abc.abstractmethod
    def put(self, path: str, content: bytes) -> None:
        """Write a file as another program would."""

    @abc.abstractmethod
    def read(self) -> dict[str, bytes]:
        """Return all files by path, with the store's own files."""

    def open(self) -> AudioStore:
        """Return an open store."""
        store = self.store()
        store.open(ACCOUNT, has_bookmark=False)
        return store


class FolderStorage(Storage):
    has_folder_markers = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "audio"

    def store(self) -> AudioStore:
        return open_store(str(self.folder))

    def put(self, path: str, content: bytes) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def read(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }


class S3Storage(Storage):
    """Needs the variables of `S3Server.environment`."""

    def __init__(self, server: S3Server, bucket: str) -> None:
        self.server, self.bucket = server, bucket
        self.client: Any = server.client

    def store(self) -> AudioStore:
        return open_store(f"s3://{self.bucket}/calls")

    def put(self, path: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=f"calls/{path}", Body=content)

    def read(self) -> dict[str, bytes]:
        listed = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {
            key.removeprefix("calls/"): self.client.get_object(Bucket=self.bucket, Key=key)[
                "Body"
            ].read()
            for key in (entry["Key"] for entry in listed)
        }


class _AtomicMemory(MemoryFileSystem):  # type: ignore[misc]
    """fsspec's file system in memory. Unlike it, creates an object only once, as buckets do."""

    _creating = threading.Lock()

    def put_file(self, *arguments: Any, **options: Any) -> None:
        with self._creating:
            super().put_file(*arguments, **options)


class MemoryStorage(Storage):
    """fsspec's file system in memory, instead of Google Cloud Storage or Azure."""

    keeps_details = False
    has_folder_markers = False

    def __init__(self, name: str) -> None:
        self.root = f"/{name}"
        self.files = _AtomicMemory()

    def store(self) -> AudioStore:
        store = ObjectStore(f"memory:/{self.root}")
        store.fs = self.files
        return store

    def put(self, path: str, content: bytes) -> None:
        self.files.pipe_file(f"{self.root}/{path}", content)

    def read(self) -> dict[str, bytes]:
        return {
            path.removeprefix(f"{self.root}/"): self.files.cat_file(path)
            for path in self.files.find(self.root)
        }
