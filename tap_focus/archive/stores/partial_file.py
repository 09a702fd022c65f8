"""Files on a local disk that get their name when they are complete and durable."""

from __future__ import annotations

import errno
import os
import re
import stat
import time
import typing as t
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from typing_extensions import override

from tap_focus.archive.stores.free_space import check_free_space
from tap_focus.archive.stores.hashing import HashedFile
from tap_focus.archive.stores.interface import WRITE, storage_errors

FILE_MODE, FOLDER_MODE = 0o640, 0o750
"""Audio is confidential: other users cannot read it."""

STALE_PARTIAL_SECONDS = 24 * 60 * 60
"""Age after which an incomplete file counts as abandoned. No download takes this long."""

_PARTIAL = re.compile(r"\.[0-9a-f]{32}\.partial")
_WITHOUT_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class PartialFile(HashedFile):
    """A partial file in the folder of the final file, which may be on its own volume."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self.path = folder / f".{uuid4().hex}.partial"
        self._file: t.BinaryIO | None = None

    @override
    def _append(self, chunk: bytes) -> None:
        with storage_errors(WRITE):
            file = self._open()
            check_free_space(self._folder, len(chunk))
            file.write(chunk)

    @override
    def _clear(self) -> None:
        if self._file:
            with storage_errors(WRITE):
                self._file.seek(0)
                self._file.truncate()

    def close(self) -> Path:
        """Sync the content to the disk. A file under its name must never be empty or incomplete."""
        with self._open() as file:
            file.flush()
            os.fsync(file.fileno())
        return self.path

    def discard(self) -> None:
        """Remove the file, unless it has got its name."""
        if self._file:
            with suppress(OSError):  # close() flushes, which fails again on a full disk
                self._file.close()
            with storage_errors(WRITE):
                self.path.unlink(missing_ok=True)

    def _open(self) -> t.BinaryIO:
        """Open the file when it is first needed: a recording without audio needs no folder."""
        if not self._file:
            _make_folder(self._folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.fdopen(os.open(self.path, flags, FILE_MODE), "wb")
        return self._file


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(FOLDER_MODE, exist_ok=True)


def move(partial: Path, final: Path) -> bool:
    """Give a partial file its name; return False if a file has this name already.

    An empty file is replaced, since it counts as missing.
    """
    try:
        os.link(partial, final)
    except FileExistsError:
        return _replace_empty(partial, final)
    except OSError as error:
        if error.errno not in _WITHOUT_LINKS:
            raise
        if os.path.lexists(final):
            return _replace_empty(partial, final)
        partial.rename(final)
        return True
    partial.unlink()
    return True


def _replace_empty(partial: Path, final: Path) -> bool:
    status = final.lstat()
    is_empty = stat.S_ISREG(status.st_mode) and status.st_size == 0
    if is_empty:
        partial.replace(final)
    return is_empty


def is_partial(name: str) -> bool:
    """Return whether a file in a folder is a partial one, of this or another run."""
    return _PARTIAL.fullmatch(name) is not None


def remove_stale_partials(folder: Path) -> None:
    """Remove abandoned partial files. Recent ones may belong to a concurrent run."""
    oldest = time.time() - STALE_PARTIAL_SECONDS
    with storage_errors(WRITE), suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):  # a concurrent run has removed it, or the folder is read-only
                is_own = is_partial(entry.name) and entry.is_file(follow_symlinks=False)
                if is_own and entry.stat(follow_symlinks=False).st_mtime < oldest:
                    Path(entry.path).unlink()


def sync_folder(folder: Path) -> None:
    """Sync the names of the files in a folder to the disk."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno != errno.EINVAL:  # the file system does not support it
            raise
    finally:
        os.close(file)
