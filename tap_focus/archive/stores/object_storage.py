"""The store in object storage, by fsspec. It is the base class of the store in S3, too.

`ObjectStore` itself is for Google Cloud Storage and Azure. A new object is visible once its upload
is complete. It replaces no other object, except an empty one.
"""

from __future__ import annotations

import re
import tempfile
import typing as t

from fsspec.core import url_to_fs
from typing_extensions import override

from tap_focus.archive.naming import content_type_of
from tap_focus.archive.stores.free_space import check_free_space
from tap_focus.archive.stores.hashing import checksum_of
from tap_focus.archive.stores.interface import (
    OPEN,
    WRITE,
    FileDetails,
    NewFile,
    StoredFile,
    storage_errors,
)
from tap_focus.archive.stores.listing import ListedStore
from tap_focus.archive.stores.marker import MARKER_NAME, Marker, decode_marker, encode_marker
from tap_focus.errors import FileUnreadableError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_focus.archive.stores.interface import Retention

SPOOL_BYTES = 1024 * 1024
"""Content of a new file that is kept in memory. The rest is in a temporary file."""

READ_SIZE = 1024 * 1024

READ_ATTEMPTS = 3
"""Attempts if a connection breaks while an object is read."""

BLOCK_SIZE = 8 * 1024 * 1024
"""Bytes of one request when an object is read."""

_HEADER = re.compile(r"[!-~]{1,200}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ObjectStore(ListedStore):
    """Complete objects below a URL such as `gs://bucket/folder`.

    In Google Cloud Storage, the metadata of an object contains its checksum. In Azure it does not,
    because adlfs cannot send content and metadata in one request. To compute the checksum of a
    file in Azure, the store reads the file.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        with storage_errors(OPEN):
            # The cache of listings would grow with the archive, by more than 1 KB per object.
            self.fs, self.root = url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)

    @override
    def uri(self, path: str) -> str:
        return str(self.fs.unstrip_protocol(self._full(path)))

    @override
    def create(self, stem: str) -> NewFile:
        return NewObject(self)

    @override
    def flush(self) -> None:
        """Do nothing: an object is durable when its upload ends."""

    @override
    def checksum(self, path: str) -> tuple[int, str]:
        with (
            storage_errors(f"read {path} in media_path", FileUnreadableError),
            self.fs.open(self._full(path), "rb", block_size=BLOCK_SIZE) as file,
        ):
            return checksum_of(_chunks(file))

    @override
    def recorded_checksum(self, path: str) -> str | None:
        with storage_errors(f"examine {path} in media_path", FileUnreadableError):
            return _recorded(self.fs.info(self._full(path)))[0]

    def store(self, path: str, content: NewObject, details: FileDetails) -> tuple[StoredFile, bool]:
        """Upload a spooled file; see `NewFile.commit`."""
        if not _HEADER.fullmatch(details.content_type):
            # It could make the signature of the request invalid.
            details = details._replace(content_type=content_type_of(path))
        file = content.describe(path, details)
        with storage_errors(WRITE):
            file, is_new = self._upload(file, content, details.retention)
        with self._lock:
            self._remember(path)
        return file, is_new

    def _upload(
        self, file: StoredFile, content: NewObject, retention: Retention | None
    ) -> tuple[StoredFile, bool]:
        """Store an object with its details, unless it exists. Return as `NewFile.commit` does."""
        del retention
        is_new = self._put(file.path, content, self._upload_options(file))
        if not is_new:
            if existing := self._examine(file.path):
                return existing, False
            # An empty object counts as missing. This upload has no condition, since fsspec has no
            # option to replace one version of an object. If two runs do this at the same time, the
            # object of the later one is kept.
            self._put(file.path, content, self._upload_options(file), mode="overwrite")
        return file, True

    def _put(
        self, path: str, content: NewObject, options: dict[str, t.Any], mode: str = "create"
    ) -> bool:
        try:
            self.fs.put_file(content.flushed_path(), self._full(path), mode=mode, **options)
        except FileExistsError:
            return False
        return True

    def _upload_options(self, file: StoredFile) -> dict[str, t.Any]:
        if "gs" not in _protocols(self.fs):
            return {}
        return {"content_type": file.content_type, "metadata": metadata_of(file)}

    @override
    def _list(self, folder: str) -> Iterator[tuple[str, int]]:
        with storage_errors(f"list {folder or 'the folders'} in media_path"):
            full = self._full(folder)
            try:
                entries = self.fs.ls(full, detail=True, refresh=True)
            except FileNotFoundError:
                return
            for entry in entries:
                name = entry["name"].rstrip("/")
                if len(name) <= len(full):
                    continue
                if entry["type"] == "directory":
                    yield f"{name[len(full) + 1 :]}/", 0
                elif entry["type"] == "file" and not entry["name"].endswith("/"):
                    yield name[len(full) + 1 :], entry["size"]

    @override
    def _examine(self, path: str) -> StoredFile | None:
        """Return an object by its metadata, or read it if its checksum is not recorded."""
        with storage_errors(f"examine {path} in media_path", FileUnreadableError):
            try:
                info = self.fs.info(self._full(path))
            except FileNotFoundError:
                return None
        if not info["size"]:
            return None
        sha256, metadata = _recorded(info)
        size = info["size"]
        if not sha256:
            size, sha256 = self.checksum(path)
        return StoredFile(
            path=path,
            size=size,
            sha256=sha256,
            content_type=info.get("contentType") or content_type_of(path),
            **details_of(metadata),
        )

    @override
    def _read_marker(self) -> Marker | None:
        with storage_errors(OPEN):
            try:
                return decode_marker(self.fs.cat_file(self._full(MARKER_NAME)))
            except FileNotFoundError:
                return None

    @override
    def _create_marker(self, marker: Marker) -> None:
        content = NewObject(self)
        try:
            content.write(encode_marker(marker))
            with storage_errors(WRITE):
                self._put(MARKER_NAME, content, {})
        finally:
            content.discard()

    def _full(self, path: str) -> str:
        return f"{self.root}/{path}".rstrip("/")


class NewObject(NewFile):
    """The content of an object before its upload, in memory as long as it is small."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__()
        self._store = store
        with storage_errors("write a temporary file"):
            self._file = tempfile.NamedTemporaryFile(buffering=SPOOL_BYTES)  # noqa: SIM115

    def flushed_path(self) -> str:
        """Write all content to the temporary file, and return its path."""
        self._file.flush()
        return self._file.name

    def rewind(self) -> t.BinaryIO:
        """Return the content as a file, at its start."""
        self._file.seek(0)
        return t.cast("t.BinaryIO", self._file.file)  # aiohttp needs a real file, not a wrapper

    @override
    def _append(self, chunk: bytes) -> None:
        with storage_errors("write a temporary file"):
            check_free_space(tempfile.gettempdir(), len(chunk))
            self._file.write(chunk)

    @override
    def _clear(self) -> None:
        with storage_errors("write a temporary file"):
            self._file.seek(0)
            self._file.truncate()

    @override
    def commit(self, path: str, details: FileDetails) -> tuple[StoredFile, bool]:
        try:
            return self._store.store(path, self, details)
        finally:
            self.discard()

    @override
    def discard(self) -> None:
        self._file.close()


def _chunks(file: t.Any) -> Iterator[bytes]:
    position = 0
    while chunk := _read(file, position):
        yield chunk
        position += len(chunk)


def _read(file: t.Any, position: int, attempts: int = READ_ATTEMPTS) -> bytes:
    """Return the next bytes of an object, after a broken connection from a new one."""
    try:
        file.seek(position)
        return bytes(file.read(READ_SIZE))
    except Exception as error:
        if attempts == 1 or isinstance(error, (PermissionError, FileNotFoundError)):
            raise
    return _read(file, position, attempts - 1)


def metadata_of(file: StoredFile) -> dict[str, str]:
    """Return the user metadata of an object. Values are in ASCII."""
    values = {"source": file.source, "duration": file.duration}
    return {
        "sha256": file.sha256,
        **{name: str(value) for name, value in values.items() if value is not None},
    }


def sha256_of(metadata: dict[str, str]) -> str | None:
    """Return the SHA-256 that `metadata_of` has recorded. Other tools may write anything."""
    sha256 = metadata.get("sha256", "")
    return sha256 if _SHA256.fullmatch(sha256) else None


def details_of(metadata: dict[str, str]) -> dict[str, t.Any]:
    """Return the fields of a `StoredFile` that `metadata_of` has recorded."""
    try:
        duration = float(metadata["duration"])
    except (KeyError, ValueError):
        duration = None
    return {"source": metadata.get("source"), "duration": duration}


def _recorded(info: dict[str, t.Any]) -> tuple[str | None, dict[str, str]]:
    metadata = info.get("metadata") or {}
    return sha256_of(metadata), metadata


def _protocols(filesystem: t.Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
