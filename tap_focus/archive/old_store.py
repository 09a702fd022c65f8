"""The store of audio files: a local folder, S3, Google Cloud Storage or Azure."""

from __future__ import annotations

import hashlib
import logging
import re
import time
import typing as t
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from uuid import uuid4

from fsspec import get_filesystem_class
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import known_implementations

from tap_focus.errors import StorageError

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

logger = logging.getLogger("tap-focus.media")

_PROTOCOLS = {
    None: ("file://", "local://"),
    "s3": ("s3://", "s3a://"),
    "gcs": ("gs://", "gcs://"),
    "azure": ("az://", "abfs://", "abfss://"),
}
"""Supported protocols by the package extra that they need.

fsspec knows more protocols, but not all of them write a file atomically.
"""

PACKAGE_EXTRAS = {protocol: extra for extra, names in _PROTOCOLS.items() for protocol in names}

PARTIAL_FOLDER = ".partial"
"""Folder for incomplete files, in a local store."""

STALE_PARTIAL_SECONDS = 24 * 60 * 60
"""Age after which an incomplete file counts as abandoned. No download takes this long."""

READ_SIZE = 1024 * 1024
BLOCK_SIZE = 8 * 1024 * 1024
"""Bytes of one request to object storage. S3 requires upload parts of at least 5 MiB."""

MAX_CACHED_FOLDERS = 64

_OPEN, _READ, _WRITE = "open media_path", "read media_path", "write to media_path"
_PROTOCOL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(//)?")


class StoredFile(t.NamedTuple):
    """A complete file: its path within the store, its size in bytes, its SHA-256 in hex."""

    path: str
    size: int
    sha256: str


def check_media_path(url: str) -> None:
    """Check a local folder or a URL such as `s3://bucket/folder`, without access to it.

    Raises:
        StorageError: the protocol is not supported, or its Python package is not installed.
    """
    if "::" in url:
        raise StorageError(_OPEN, "URLs chained with :: are not supported")
    # This includes `s3:` of `s3:/bucket`, which fsspec takes as a local folder.
    protocol = match.group() if (match := _PROTOCOL.match(url)) else "file://"
    if protocol not in PACKAGE_EXTRAS:
        # Only a known name is shown: a secret may be in the wrong setting.
        is_known = protocol.rstrip(":/").lower() in known_implementations
        supported = ", ".join(("local folders", *PACKAGE_EXTRAS))
        name = protocol if is_known else "its protocol"
        raise StorageError(_OPEN, f"{name} is not supported, only {supported}")
    try:
        get_filesystem_class(protocol.removesuffix("://"))
    except (ImportError, ValueError):  # ValueError: the package itself registers the protocol
        extra = PACKAGE_EXTRAS[protocol]
        reason = f"{protocol} needs a package that is not installed (extra: {extra})"
        raise StorageError(_OPEN, reason) from None


class AudioStore:
    """Complete files in one folder or bucket. Threads may share a store.

    Nothing is written before `prepare` or `write`. All methods raise StorageError if the storage
    fails. Paths are relative to the store.
    """

    def __init__(self, url: str) -> None:
        check_media_path(url)
        with _storage_errors(_OPEN):
            self._fs, self._root = url_to_fs(url)
        self._is_local = isinstance(self._fs, LocalFileSystem)
        self._partial_folder = Path(self._root, PARTIAL_FOLDER)
        self._folders: dict[str, dict[str, str]] = {}
        self._lock = Lock()

    def prepare(self) -> None:
        """Check that a local folder can be written, and remove its stale partial files.

        Recent partial files may belong to a concurrent run. Object storage is not checked, since
        that takes an upload. Its unfinished uploads are removed by the bucket's lifecycle rules.
        """
        if not self._is_local:
            return
        with _storage_errors(_WRITE):
            self._partial_folder.mkdir(parents=True, exist_ok=True)
            TemporaryFile(dir=self._partial_folder).close()
            oldest = time.time() - STALE_PARTIAL_SECONDS
            for partial in self._partial_folder.iterdir():
                with suppress(FileNotFoundError):  # a concurrent run has removed or renamed it
                    if partial.stat().st_mtime < oldest:
                        partial.unlink()

    def uri(self, path: str) -> str:
        """Return the URI of a file, for the manifest."""
        return str(self._fs.unstrip_protocol(f"{self._root}/{path}"))

    def find(self, stem: str) -> StoredFile | None:
        """Return the file with a path without extension, or None if it is not stored.

        The whole file is read to compute its hash. An empty file counts as missing.
        """
        folder = stem.rpartition("/")[0]
        with _storage_errors(_READ), self._lock:
            path = self._list_folder(folder).get(stem)
        file = self.checksum(path) if path else None
        return file if file and file.size else None

    def checksum(self, path: str) -> StoredFile:
        """Read a file to compute its size and hash."""
        digest, size = hashlib.sha256(), 0
        with (
            _storage_errors(f"read {path} in media_path"),
            self._fs.open(f"{self._root}/{path}", "rb", block_size=BLOCK_SIZE) as file,
        ):
            while chunk := file.read(READ_SIZE):
                digest.update(chunk)
                size += len(chunk)
        return StoredFile(path, size, digest.hexdigest())

    def write(self, path: str, chunks: Iterable[bytes]) -> StoredFile:
        """Write a complete file, or nothing if the iteration over the chunks raises."""
        digest, size = hashlib.sha256(), 0
        with _storage_errors(_WRITE):
            file = self._create(f"{self._root}/{path}")
        try:
            for chunk in chunks:
                with _storage_errors(_WRITE):
                    file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            with _storage_errors(_WRITE):
                file.commit()
        except BaseException:
            try:
                file.discard()
            except Exception as error:  # noqa: BLE001 - the first exception counts
                name = type(error).__name__
                logger.warning("Cannot remove an incomplete file from media_path: %s", name)
            raise
        folder, stem = path.rpartition("/")[0], path.rpartition(".")[0]
        with self._lock:
            if folder in self._folders:
                self._folders[folder][stem] = path
        return StoredFile(path, size, digest.hexdigest())

    def list_files(self) -> Iterator[tuple[str, int]]:
        """Yield path and size in bytes of each complete file."""
        with _storage_errors(_READ):
            exists = self._fs.exists(self._root)
            files = self._fs.find(self._root, detail=True) if exists else {}
        if not exists:
            raise StorageError(_READ, "it does not exist")
        for full_path, info in files.items():
            path = full_path[len(self._root) :].lstrip("/")
            if not path.startswith(f"{PARTIAL_FOLDER}/"):
                yield path, info["size"]

    def _create(self, final: str) -> _LocalFile | _ObjectFile:
        if self._is_local:
            return _LocalFile(self._partial_folder / uuid4().hex, Path(final))
        return _ObjectFile(self._fs, final)

    def _list_folder(self, folder: str) -> dict[str, str]:
        """Return the paths of a folder's files by path without extension, from a cache."""
        if folder not in self._folders:
            try:
                entries = self._fs.ls(f"{self._root}/{folder}", detail=True, refresh=True)
            except FileNotFoundError:
                entries = []
            files = [entry["name"] for entry in entries if entry["type"] == "file"]
            paths = [f"{folder}/{file.rpartition('/')[2]}" for file in files]
            self._folders[folder] = {path.rpartition(".")[0]: path for path in paths}
            if len(self._folders) > MAX_CACHED_FOLDERS:
                del self._folders[next(iter(self._folders))]  # the oldest
        return self._folders[folder]


class _LocalFile:
    """A file under a random name on the same file system, renamed on commit."""

    def __init__(self, partial: Path, final: Path) -> None:
        self._partial, self._final = partial, final
        self._file = partial.open("wb")
        self.write = self._file.write

    def commit(self) -> None:
        self._file.close()
        self._final.parent.mkdir(parents=True, exist_ok=True)
        self._partial.replace(self._final)

    def discard(self) -> None:
        with suppress(OSError):  # close() flushes, which fails again on a full disk
            self._file.close()
        self._partial.unlink(missing_ok=True)


class _ObjectFile:
    """An upload to object storage, part by part. The object exists only after commit."""

    def __init__(self, filesystem: t.Any, final: str) -> None:
        self._file = filesystem.open(final, "wb", autocommit=False, block_size=BLOCK_SIZE)
        # fsspec keeps a reference to each such file for a transaction, which is not used here.
        filesystem.transaction.files.clear()
        self.write = self._file.write

    def commit(self) -> None:
        self._file.close()
        self._file.commit()

    def discard(self) -> None:
        # Otherwise the file's destructor would close it and upload the incomplete content.
        self._file.closed = True
        self._file.discard()


@contextmanager
def _storage_errors(action: str) -> Iterator[None]:
    """Raise the exceptions of a file system as StorageError. Each has its own classes."""
    try:
        yield
    except Exception as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise StorageError(action, reason) from error
