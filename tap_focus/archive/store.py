"""A store of audio files on any file system that fsspec knows, with whole files only.

A file's name tells its recording: `<yyyy>/<mm>/<dd>/<interactionId>.<extension>`, the day from the
recording's start in UTC. It lies there only when it is whole. On a local disk it is written beside
the store's files, in a folder that begins with a dot, and renamed; elsewhere by the file system's
own commit, as of a multipart upload.
"""

from __future__ import annotations

import hashlib
import os
import time
import typing as t
from collections import OrderedDict
from contextlib import contextmanager
from datetime import datetime, timezone
from threading import Lock
from uuid import uuid4

from fsspec import get_filesystem_class
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from fsspec.utils import get_protocol

from tap_focus.errors import FocusError, StorageError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1024 * 1024
_BLOCK = 8 * 1024 * 1024
"""Bytes of a remote file that are in memory at once; S3 wants to be sent 5 MiB or more."""

_PARTIAL = ".partial"
_LEFT_BEHIND = 24 * 60 * 60
"""Seconds after which a file that is still not whole is nobody's: no request lasts so long."""

_REMEMBERED_FOLDERS = 64
_LONGEST_NAME = 64


class Stored(t.NamedTuple):
    """A file that lies in the store: its path within it, its size in bytes, its SHA-256 in hex."""

    path: str
    size: int
    sha256: str


def check_store(url: str) -> None:
    """See that files can be stored at such a URL at all.

    Raises:
        ValueError: no installed package knows how.
    """
    try:
        get_filesystem_class(get_protocol(url))
    except ImportError:
        raise ValueError(
            f"{get_protocol(url)}:// needs a Python package beside the tap: install it with the "
            "extra s3, gcs or azure"
        ) from None


class Archive:
    """The store at one place; safe to use from several threads."""

    def __init__(self, url: str) -> None:
        """Open a store.

        Args:
            url: a folder, or any URL that fsspec knows, such as `s3://bucket/folder`.

        Raises:
            StorageError: there is no such file system, or it cannot be reached.
        """
        try:
            check_store(url)
        except ValueError as error:
            raise StorageError(f"Cannot open media_path: {error}") from None
        with _storing("open"):
            self._fs, self._root = url_to_fs(url)
        self._local = isinstance(self._fs, LocalFileSystem)
        self._partial = f"{self._root}/{_PARTIAL}"
        self._folders: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._lock = Lock()

    def clean(self) -> None:
        """Remove what earlier runs left unfinished, and see that one can write.

        Another run may be writing here at this moment, so only what is old goes.

        Raises:
            StorageError: one can't.
        """
        if self._local:
            with _storing("write to"):
                self._fs.makedirs(self._partial, exist_ok=True)
                for path, info in self._fs.find(self._partial, detail=True).items():
                    if info["mtime"] < time.time() - _LEFT_BEHIND:
                        self._fs.rm(path)

    def url(self, path: str) -> str:
        """Return the address of a file within the store, for the manifest."""
        return str(self._fs.unstrip_protocol(f"{self._root}/{path}"))

    def find(self, name: str) -> Stored | None:
        """Look for a recording's file, by its name without the extension, and read it whole.

        Raises:
            StorageError: the store cannot be read.
        """
        folder, _, stem = name.rpartition("/")
        with _storing("read"):
            path = self._listed(folder).get(stem)
        with _storing(f"read {path} in"):
            stored = self.read(path) if path else None
        # Nothing empty is ever stored here.
        return stored if stored and stored.size else None

    def read(self, path: str) -> Stored:
        """Return size and hash of a file as it lies there."""
        digest, size = hashlib.sha256(), 0
        options = {} if self._local else {"block_size": _BLOCK}
        with self._fs.open(f"{self._root}/{path}", "rb", **options) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
        return Stored(path, size, digest.hexdigest())

    def write(self, path: str, chunks: Iterator[bytes]) -> Stored:
        """Write a file whole, or not at all.

        Args:
            path: within the store.
            chunks: the content; what it raises passes through, and no file is left.

        Raises:
            StorageError: the store refuses.
        """
        final = f"{self._root}/{path}"
        partial = f"{self._partial}/{uuid4().hex}" if self._local else final
        digest, size = hashlib.sha256(), 0
        with _storing("write to"):
            file = self._open(partial)
        try:
            for chunk in chunks:
                with _storing("write to"):
                    file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            with _storing("write to"):
                file.close()
                if self._local:
                    self._fs.makedirs(final.rpartition("/")[0], exist_ok=True)
                    os.replace(partial, final)  # noqa: PTH105 - paths are fsspec's, text
                else:
                    file.commit()
        except BaseException:
            self._discard(file, partial)
            raise
        folder, _, name = path.rpartition("/")
        with self._lock:
            if folder in self._folders:
                self._folders[folder][_stem(name)] = path
        return Stored(path, size, digest.hexdigest())

    @staticmethod
    def path_of(uri: str) -> str:
        """Return the path within the store of a file's address in a manifest.

        The last four parts of an address tell it, so that an archive may be moved as a whole.
        """
        return "/".join(uri.split("/")[-4:])

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Walk all whole files of the store: path and size in bytes.

        Raises:
            StorageError: the store cannot be read.
        """
        with _storing("read"):
            if not self._fs.exists(self._root):
                raise FileNotFoundError(self._root)
            for found, info in self._fs.find(self._root, detail=True).items():
                path = found[len(self._root) :].lstrip("/")
                if not path.startswith(_PARTIAL):
                    yield path, info["size"]

    def _listed(self, folder: str) -> dict[str, str]:
        """Return a day's files by their name without the extension; days are remembered."""
        with self._lock:
            if folder not in self._folders:
                try:
                    found = self._fs.ls(f"{self._root}/{folder}", detail=True, refresh=True)
                except FileNotFoundError:
                    found = []
                files = [info["name"] for info in found if info["type"] == "file"]
                names = [path.rpartition("/")[2] for path in files]
                self._folders[folder] = {_stem(name): f"{folder}/{name}" for name in names}
                if len(self._folders) > _REMEMBERED_FOLDERS:
                    self._folders.popitem(last=False)
            return self._folders[folder]

    def _open(self, partial: str) -> t.Any:
        if self._local:
            return self._fs.open(partial, "wb")
        file = self._fs.open(partial, "wb", autocommit=False, block_size=_BLOCK)
        # fsspec keeps each such file for the end of a transaction, and here is none.
        self._fs.transaction.files.clear()
        return file

    def _discard(self, file: t.Any, partial: str) -> None:
        """Leave nothing of a file that was not finished; what fails here is hidden anyway."""
        try:
            if self._local:
                file.close()
                os.unlink(partial)  # noqa: PTH108
            else:
                try:
                    file.discard()
                finally:
                    # Else the file's own end would close it, and so upload what there is of it.
                    file.closed = True
        except Exception:  # noqa: BLE001 - the reason why it is discarded is on its way already
            return


def name_of(key: int, start: object) -> str:
    """Return a recording's name within the store, without the extension.

    Args:
        key: its interactionId.
        start: its startDatetimeUTC; what is no date goes to the day 0000/00/00.
    """
    try:
        moment = datetime.fromisoformat(start) if isinstance(start, str) else None
        if moment and moment.tzinfo:
            moment = moment.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        moment = None
    day = f"{moment:%Y/%m/%d}".rjust(10, "0") if moment else "0000/00/00"
    name = str(key)
    if len(name) > _LONGEST_NAME:
        name = hashlib.sha256(name.encode()).hexdigest()
    return f"{day}/{name}"


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


@contextmanager
def _storing(what: str) -> Iterator[None]:
    """Say what the storage refuses. Each file system has errors of its own, hence all of them."""
    try:
        yield
    except FocusError:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise StorageError(
            f"Cannot {what} media_path: {reason}. See that it exists, that there is space, and "
            "that its credentials are at hand."
        ) from error
