"""Sizes and SHA-256 checksums, of files that are written and of files that are read."""

from __future__ import annotations

import abc
import hashlib
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable


class HashedFile(abc.ABC):
    """A file whose checksum is computed while it is written.

    Attributes:
        size: bytes written.
    """

    def __init__(self) -> None:
        self.size = 0
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """SHA-256 of the content in hex."""
        return self._digest.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Append to the content."""
        self._append(chunk)
        self._digest.update(chunk)
        self.size += len(chunk)

    def restart(self) -> None:
        """Remove the content that was written."""
        self._clear()
        self.size = 0
        self._digest = hashlib.sha256()

    @abc.abstractmethod
    def _append(self, chunk: bytes) -> None:
        """Write to the storage."""

    @abc.abstractmethod
    def _clear(self) -> None:
        """Remove the content from the storage."""


def checksum_of(chunks: Iterable[bytes]) -> tuple[int, str]:
    """Return the size in bytes and the SHA-256 of a content."""
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()
