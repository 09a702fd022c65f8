"""Files that get their final name only when they are complete."""

from __future__ import annotations

import typing as t
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

UPLOAD_PART_SIZE = 8 * 1024 * 1024
"""Bytes of an upload that are kept in memory. S3 requires parts of at least 5 MiB."""


class LocalPendingFile:
    """A file in a local folder, renamed on commit."""

    def __init__(self, partial_folder: str, final: str) -> None:
        """Create the file under a random name in a folder on the same file system."""
        self._partial = Path(partial_folder, uuid4().hex)
        self._final = Path(final)
        self._file = self._partial.open("wb")

    def write(self, data: bytes, /) -> None:
        """Append data."""
        self._file.write(data)

    def commit(self) -> None:
        """Rename the file to its final name and create the folders above it."""
        self._file.close()
        self._final.parent.mkdir(parents=True, exist_ok=True)
        self._partial.replace(self._final)

    def discard(self) -> None:
        """Remove the file. May follow a failed `commit`."""
        with suppress(OSError):  # close() flushes, which fails again on a full disk
            self._file.close()
        self._partial.unlink(missing_ok=True)


class ObjectPendingFile:
    """An upload to object storage. The object exists only after commit."""

    def __init__(self, filesystem: t.Any, final: str) -> None:
        """Open the upload."""
        self._file = filesystem.open(final, "wb", autocommit=False, block_size=UPLOAD_PART_SIZE)
        # fsspec keeps a reference to each such file for a transaction, which is not used here.
        filesystem.transaction.files.clear()

    def write(self, data: bytes, /) -> None:
        """Append data. A full part is uploaded."""
        self._file.write(data)

    def commit(self) -> None:
        """Upload the last part and complete the upload."""
        self._file.close()
        self._file.commit()

    def discard(self) -> None:
        """Abort the upload. May follow a failed `commit`."""
        try:
            self._file.discard()
        finally:
            # Otherwise the file's destructor would close it and upload the incomplete content.
            self._file.closed = True


PendingFile = LocalPendingFile | ObjectPendingFile
