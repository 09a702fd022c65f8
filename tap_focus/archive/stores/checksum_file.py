"""The file `SHA256SUMS` of a folder, which `sha256sum -c` checks.

Each entry has two lines. The first one is a comment for `sha256sum`, with what the archive knows
about the file besides its checksum:

    # {"size":1024003,"contentType":"audio/mpeg","source":"5f3c...","duration":61.5}
    9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  1000.mp3

Several processes can append entries. The last entry of a name counts. An older one of the same name
is turned into a comment, so that `sha256sum` does not check it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import typing as t
from contextlib import contextmanager, suppress

import msgspec

from tap_focus.archive.naming import content_type_of, parse_file_name
from tap_focus.archive.stores.interface import StoredFile
from tap_focus.archive.stores.partial_file import FILE_MODE

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHECKSUM_FILE = "SHA256SUMS"

_COMMENT = b"# {"
_ENTRY = re.compile(rb"^([0-9a-fA-F]{64}) [ *]([^/\n]+)\n", re.MULTILINE)
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class _Comment(msgspec.Struct, rename="camel", omit_defaults=True):
    size: t.Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    content_type: str
    source: str | None = None
    duration: float | None = None


class ChecksumFile:
    """The entries of a folder. Only their positions are kept in memory."""

    def __init__(self, folder: Path, day: str) -> None:
        self._path = folder / CHECKSUM_FILE
        self._day = day
        self._reset()

    def _reset(self) -> None:
        self._positions: dict[str, int] = {}
        self._end = 0
        self._inode = 0

    def names(self) -> list[str]:
        """Return the names of the files that have an entry."""
        self.refresh()
        return list(self._positions)

    def find(self, name: str) -> StoredFile | None:
        """Return the file of an entry, if there is one. `size` is 0 if it is unknown."""
        if name not in self._positions:
            self.refresh()
        file = self._read(name)
        if not file and name in self._positions:  # the file was edited
            self._reset()
            self.refresh()
            file = self._read(name)
        return file

    def refresh(self) -> None:
        """Read the entries that this or another process has added."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            self._reset()
            return
        with file:
            status = os.fstat(file.fileno())
            if status.st_ino != self._inode or status.st_size < self._end:
                self._reset()
                self._inode = status.st_ino
            file.seek(self._end)
            position = entry_position = self._end
            for line in file:
                if not line.endswith(b"\n"):
                    break  # truncated, or still being written
                is_comment = line.startswith(_COMMENT)
                if is_comment:
                    entry_position = position
                elif (match := _ENTRY.fullmatch(line)) and parse_file_name(os.fsdecode(match[2])):
                    self._positions[os.fsdecode(match[2])] = entry_position
                position += len(line)
                if not is_comment:
                    entry_position = position
            # After a comment, the line with the checksum may follow later.
            self._end = entry_position

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the file against other processes and threads, and read their new entries.

        The file is created if needed. A truncated last line is removed.
        """
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(self._path, flags, FILE_MODE)
        try:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in _WITHOUT_LOCKS:
                    raise
            self.refresh()
            self._repair()
            yield
        finally:
            os.close(self._file)

    def append(self, file: StoredFile) -> None:
        """Add the entry of a file, and replace an older one. The caller has the lock."""
        name = file.path.rpartition("/")[2]
        comment = _Comment(file.size, file.content_type, file.source, file.duration)
        entry = b"# %b\n%b  %b\n" % (
            msgspec.json.encode(comment),
            file.sha256.encode(),
            name.encode(),
        )
        older = self._positions.get(name)
        written = os.write(self._file, entry)
        if written < len(entry):
            os.ftruncate(self._file, self._end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if older is not None:
            self._comment_out(older)
        self._positions[name] = self._end
        self._end += len(entry)

    def sync(self) -> None:
        """Sync the entries to the disk."""
        with suppress(FileNotFoundError):
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(file)
            finally:
                os.close(file)

    def _read(self, name: str) -> StoredFile | None:
        if name not in self._positions:
            return None
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return None
        with file:
            file.seek(self._positions[name])
            line, details = file.readline(), None
            if line.startswith(_COMMENT):
                details = _parse_comment(line)
                line = file.readline()
        match = _ENTRY.fullmatch(line)
        if not match or match[2] != name.encode():
            return None
        return StoredFile(
            path=f"{self._day}/{name}",
            size=details.size if details else 0,
            sha256=match[1].decode().lower(),
            content_type=details.content_type if details else content_type_of(name),
            source=details.source if details else None,
            duration=details.duration if details else None,
        )

    def _repair(self) -> None:
        """Complete or remove a last entry without a line feed. The caller has the lock."""
        size = os.fstat(self._file).st_size
        if size == self._end:
            return
        last = os.pread(self._file, size - self._end, self._end) + b"\n"
        match = _ENTRY.search(last)
        if match and match.end() == len(last) and parse_file_name(os.fsdecode(match[2])):
            os.write(self._file, b"\n")
            self.refresh()
        else:
            os.ftruncate(self._file, self._end)

    def _comment_out(self, position: int) -> None:
        """Turn the line with the checksum of an entry into a comment, by one byte."""
        with self._path.open("r+b") as file:
            file.seek(position)
            if (line := file.readline()).startswith(_COMMENT):
                position += len(line)
            file.seek(position)
            file.write(b"#")


def _parse_comment(line: bytes) -> _Comment | None:
    with suppress(msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode(line.removeprefix(b"#"), type=_Comment)
    return None
