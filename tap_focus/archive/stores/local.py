"""The store in a local folder. Files and checksums survive a power failure."""

from __future__ import annotations

import errno
import os
import stat
import typing as t
from pathlib import Path

import msgspec
from fsspec.implementations.local import LocalFileSystem
from typing_extensions import override

from tap_focus.archive.naming import content_type_of
from tap_focus.archive.stores.checksum_file import CHECKSUM_FILE, ChecksumFile
from tap_focus.archive.stores.hashing import checksum_of
from tap_focus.archive.stores.interface import (
    OPEN,
    READ,
    UNKNOWN_SIZE,
    WRITE,
    FileDetails,
    NewFile,
    StoredFile,
    storage_errors,
)
from tap_focus.archive.stores.listing import Day, ListedStore
from tap_focus.archive.stores.marker import MARKER_NAME, Marker, decode_marker, encode_marker
from tap_focus.archive.stores.partial_file import (
    PartialFile,
    is_partial,
    move,
    remove_stale_partials,
    sync_folder,
)
from tap_focus.errors import FileUnreadableError, StorageError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

READ_SIZE = 1024 * 1024

_OMITTED = (CHECKSUM_FILE, "lost+found")
"""Files and folders that are not reported: a volume has lost+found."""


class _LocalDay(Day):
    """A folder's files and entries."""

    def __init__(self, folder: Path, day: str, names: list[str]) -> None:
        self.checksums = ChecksumFile(folder, day)
        super().__init__({*names, *self.checksums.names()})


class LocalStore(ListedStore):
    """Complete files in a folder of a local or mounted disk."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.root = Path(LocalFileSystem._strip_protocol(url))  # noqa: SLF001 - expands ~ as well
        self._unsynced: set[str] = set()
        self._is_open = False

    @override
    def open(self, account: str, *, has_bookmark: bool) -> None:
        super().open(account, has_bookmark=has_bookmark)
        with storage_errors(WRITE):
            file = PartialFile(self.root)
            try:
                file.write(b"")
            finally:
                file.discard()
        self._is_open = True

    @override
    def uri(self, path: str) -> str:
        return f"file://{self.root / path}"

    @override
    def find(self, stem: str) -> list[StoredFile]:
        files = super().find(stem)
        # Another run may have written these files without having made them durable yet.
        with self._lock:
            self._unsynced.update(file.path.rpartition("/")[0] for file in files)
        return files

    @override
    def create(self, stem: str) -> NewFile:
        return _NewLocalFile(self, self.root / stem.rpartition("/")[0])

    @override
    def flush(self) -> None:
        """Sync folders and `SHA256SUMS`. The files are durable already when they get their name."""
        with storage_errors(WRITE), self._lock:
            folders = set()
            for day in self._unsynced:
                ChecksumFile(self.root / day, day).sync()
                folders |= {self.root / day, *(self.root / day).parents[: day.count("/") + 1]}
            for folder in folders:
                sync_folder(folder)
            self._unsynced.clear()

    @override
    def checksum(self, path: str) -> tuple[int, str]:
        with (
            storage_errors(f"read {path} in media_path", FileUnreadableError),
            (self.root / path).open("rb", buffering=0) as file,
        ):
            return checksum_of(iter(lambda: file.read(READ_SIZE), b""))

    @override
    def recorded_checksum(self, path: str) -> str | None:
        file = self._recorded(path)
        return file.sha256 if file else None

    def store(self, partial: Path, file: StoredFile) -> tuple[StoredFile, bool]:
        """Move a durable partial file to its name; see `NewFile.commit`."""
        day = file.path.rpartition("/")[0]
        with storage_errors(WRITE), self._lock:
            checksums = self._local_day(day).checksums
            with checksums.locked():
                is_new = move(partial, self.root / file.path)
                if is_new:
                    checksums.append(file)
            self._unsynced.add(day)
            self._remember(file.path)
        existing = file if is_new else self._examine(file.path)
        if not existing or existing.is_missing:
            reason = "another kind of file has its name"
            raise FileUnreadableError(f"write {file.path} in media_path", reason)
        return existing, is_new

    @override
    def _list(self, folder: str) -> Iterator[tuple[str, int]]:
        with storage_errors(f"list {folder} in media_path" if folder else READ):
            try:
                entries = os.scandir(self.root / folder)
            except FileNotFoundError:
                _check_links(self.root / folder)
                return
            with entries:
                for entry in entries:
                    if entry.name in _OMITTED or is_partial(entry.name):
                        continue
                    # Symbolic links are followed: a year may be on another disk.
                    try:
                        if entry.is_dir():
                            yield f"{entry.name}/", 0
                        elif entry.is_file():
                            yield entry.name, entry.stat().st_size
                        elif entry.is_symlink() and entry.name.isdigit():
                            _check_links(self.root / folder / entry.name)
                    except FileNotFoundError:  # removed in the meantime
                        pass
                    except OSError:
                        yield entry.name, UNKNOWN_SIZE

    @override
    def _load_day(self, day: str) -> Day:
        names = [name for name, size in self._list(day) if size]
        with storage_errors(f"read {CHECKSUM_FILE} of {day} in media_path"):
            loaded = _LocalDay(self.root / day, day, names)
        if self._is_open:  # verify changes nothing
            remove_stale_partials(self.root / day)
        return loaded

    def _local_day(self, day: str) -> _LocalDay:
        return t.cast("_LocalDay", self._day(day))

    def _recorded(self, path: str) -> StoredFile | None:
        day, _, name = path.rpartition("/")
        with storage_errors(f"read {CHECKSUM_FILE} of {day} in media_path"), self._lock:
            return self._local_day(day).checksums.find(name)

    @override
    def _examine(self, path: str) -> StoredFile | None:
        """Return the recorded file. A file without an entry is read, and gets one."""
        recorded = self._recorded(path)
        size = 0
        with storage_errors(f"read {path} in media_path", FileUnreadableError):
            try:
                status = (self.root / path).stat()
                size = status.st_size if stat.S_ISREG(status.st_mode) else 0
            except FileNotFoundError:
                pass
        if recorded:
            known = recorded.size or size
            return msgspec.structs.replace(recorded, size=known, is_missing=not size)
        if not size:
            return None
        size, sha256 = self.checksum(path)
        file = StoredFile(path=path, size=size, sha256=sha256, content_type=content_type_of(path))
        with storage_errors(WRITE):
            try:
                return self._record(file)
            except OSError as error:  # an old year may be read-only
                if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                    raise
        return file

    def _record(self, file: StoredFile) -> StoredFile:
        """Add the entry of a file that was found without one."""
        day, _, name = file.path.rpartition("/")
        with self._lock:
            checksums = self._local_day(day).checksums
            with checksums.locked():
                if recorded := checksums.find(name):  # another run was faster
                    return msgspec.structs.replace(recorded, size=recorded.size or file.size)
                checksums.append(file)
        return file

    @override
    def _read_marker(self) -> Marker | None:
        with storage_errors(OPEN):
            try:
                return decode_marker((self.root / MARKER_NAME).read_bytes())
            except FileNotFoundError:
                return None

    @override
    def _create_marker(self, marker: Marker) -> None:
        with storage_errors(WRITE):
            file = PartialFile(self.root)
            try:
                file.write(encode_marker(marker))
                move(file.close(), self.root / MARKER_NAME)
            finally:
                file.discard()
            for folder in (self.root, self.root.parent):
                sync_folder(folder)


def _check_links(folder: Path) -> None:
    """Check that a missing folder is not behind a broken link. It would seem to be empty."""
    for part in (folder, *folder.parents):
        if part.is_symlink() and not part.exists():
            raise StorageError(OPEN, f"{part} is a broken link. Is its target mounted?")


class _NewLocalFile(PartialFile, NewFile):
    def __init__(self, store: LocalStore, folder: Path) -> None:
        super().__init__(folder)
        self._store = store

    @override
    def commit(self, path: str, details: FileDetails) -> tuple[StoredFile, bool]:
        try:
            with storage_errors(WRITE):
                self.close()
            return self._store.store(self.path, self.describe(path, details))
        finally:
            self.discard()
