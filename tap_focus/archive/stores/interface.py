"""The interface of a store of audio files, and the protocols of `media_path`."""

from __future__ import annotations

import abc
import re
import typing as t
from contextlib import contextmanager

import msgspec
from fsspec import get_filesystem_class
from fsspec.registry import known_implementations

from tap_focus.archive.stores.hashing import HashedFile
from tap_focus.errors import StorageError

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

OPEN, READ, WRITE = "open media_path", "read media_path", "write to media_path"
"""Actions in the text of a `StorageError`."""

UNKNOWN_SIZE = -1
"""Size in a listing of a file that cannot be examined, such as a link to a forbidden folder."""

Extra = t.Literal["s3", "gcs", "azure"]

_PROTOCOLS: dict[Extra | None, tuple[str, ...]] = {
    None: ("file://", "local://"),
    "s3": ("s3://", "s3a://"),
    "gcs": ("gs://", "gcs://"),
    "azure": ("az://", "abfs://", "abfss://"),
}
"""Supported protocols by the package extra that they need; `factory.py` has a store for each extra.

fsspec knows more protocols, but not all of them write a file atomically.
"""

PACKAGE_EXTRAS = {protocol: extra for extra, names in _PROTOCOLS.items() for protocol in names}

_PROTOCOL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(//)?")


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A complete file.

    Attributes:
        path: path in the archive, such as `2025/05/01/1000.mp3`.
        size: bytes.
        sha256: in hex, as computed during the download. If the store has no record of it, it is
            computed from the content.
        content_type: as Focus sent it, or guessed from the extension.
        source: fingerprint of the `thirdPartyId` whose audio this is; None if unknown.
        duration: seconds, as Focus stated at the download; None if unknown.
        is_missing: the store has recorded the file, but it no longer exists.
        locked_until: end of the retention period in the store, if any.
        has_legal_hold: the store has put the file on hold.
    """

    path: str
    size: int
    sha256: str
    content_type: str
    source: str | None = None
    duration: float | None = None
    is_missing: bool = False
    locked_until: datetime | None = None
    has_legal_hold: bool = False


class Retention(t.NamedTuple):
    """How long a file must not be deleted.

    `until` is in UTC. None means the default of the bucket.
    """

    until: datetime | None
    legal_hold: bool


class FileDetails(t.NamedTuple):
    """What a store records about a new file besides its content; see `StoredFile`."""

    content_type: str
    source: str | None = None
    duration: float | None = None
    retention: Retention | None = None


class NewFile(HashedFile):
    """A file that is being written. It is not part of the archive before `commit`."""

    def describe(self, path: str, details: FileDetails) -> StoredFile:
        """Return the file as it is stored under a path."""
        return StoredFile(
            path=path,
            size=self.size,
            sha256=self.sha256,
            content_type=details.content_type,
            source=details.source,
            duration=details.duration,
        )

    @abc.abstractmethod
    def commit(self, path: str, details: FileDetails) -> tuple[StoredFile, bool]:
        """Store the file under a path in the archive.

        Returns:
            The file, and whether it is new. If another run has stored a file under this path in the
            meantime, that file is returned and this one discarded. An empty file is replaced.
        """

    @abc.abstractmethod
    def discard(self) -> None:
        """Remove the file, unless it is committed."""


class AudioStore(abc.ABC):
    """Complete files in a folder or bucket. Threads may share a store.

    Nothing is written before `open`. All methods raise `StorageError` if the storage fails. Paths
    are relative to the archive.

    Attributes:
        requires_retention_date: files are locked, and the bucket has no default retention.
    """

    requires_retention_date = False

    @abc.abstractmethod
    def open(self, account: str, *, has_bookmark: bool) -> None:
        """Check the marker file, or create it, and check that the store can be written.

        Raises:
            StorageError: the archive belongs to another account, or there is a bookmark but no
                archive, for example because a volume is not mounted.
        """

    @abc.abstractmethod
    def uri(self, path: str) -> str:
        """Return the URI of a file, for the manifest."""

    @abc.abstractmethod
    def find(self, stem: str) -> list[StoredFile]:
        """Return all versions of a recording's file, the first version first.

        The folders of the days before and after are searched as well. Content is read only if the
        store has not recorded its checksum. An empty file counts as missing.

        Raises:
            FileUnreadableError: a file exists but cannot be examined.
        """

    @abc.abstractmethod
    def create(self, stem: str) -> NewFile:
        """Start to write a file for a recording."""

    @abc.abstractmethod
    def flush(self) -> None:
        """Sync all committed files to the disk. Called before the bookmark advances past them."""

    def update_lock(self, file: StoredFile, retention: Retention) -> StoredFile:  # noqa: ARG002
        """Extend the lock of a file and set a legal hold, if locks are enabled.

        A lock is never shortened, and a legal hold is never removed.

        Returns:
            The file with its lock.

        Raises:
            LockError: the store refused, or the file is locked until a later date already.
        """
        return file

    @abc.abstractmethod
    def account(self) -> str | None:
        """Return the account in the marker file, or None if there is no such file."""

    @abc.abstractmethod
    def list_days(self) -> Iterator[str]:
        """Yield the folders of the archive in order, such as `2025/05/01`."""

    @abc.abstractmethod
    def list_day(self, day: str) -> dict[str, int]:
        """Return the sizes in bytes of a folder's files by name, without the store's own files.

        A size can be `UNKNOWN_SIZE`.

        Subfolders that contain something are included. Their name ends with a slash.
        """

    @abc.abstractmethod
    def list_unexpected(self) -> Iterator[str]:
        """Yield paths of files and folders outside the folders of days, except the marker."""

    @abc.abstractmethod
    def checksum(self, path: str) -> tuple[int, str]:
        """Read a file and return its size and SHA-256."""

    @abc.abstractmethod
    def recorded_checksum(self, path: str) -> str | None:
        """Return the SHA-256 that the store has recorded for a file, without reading it."""


def check_media_path(url: str) -> None:
    """Check a local folder or a URL such as `s3://bucket/folder`, without access to it.

    Raises:
        StorageError: the protocol is not supported, or its Python package is not installed.
    """
    if "::" in url:
        raise StorageError(OPEN, "URLs chained with :: are not supported")
    protocol = _protocol(url)
    if protocol not in PACKAGE_EXTRAS or "://" in url.removeprefix(protocol):
        # Only a known name is shown: a secret may be in the wrong setting.
        is_known = protocol.rstrip(":/").lower() in known_implementations
        supported = ", ".join(("local folders", *PACKAGE_EXTRAS))
        name = protocol if is_known and protocol not in PACKAGE_EXTRAS else "its protocol"
        raise StorageError(OPEN, f"{name} is not supported, only {supported}")
    path = url.removeprefix(protocol)
    if PACKAGE_EXTRAS[protocol] and ("//" in path or path.startswith("/") or not path):
        # S3 takes the double slash as a folder without a name, and fsspec removes it in some calls.
        raise StorageError(OPEN, f"{protocol} URLs with an empty part, as in //, are not supported")
    try:
        get_filesystem_class(protocol.removesuffix("://"))
    except (ImportError, ValueError):  # ValueError: the package itself registers the protocol
        extra = PACKAGE_EXTRAS[protocol]
        reason = f"{protocol} needs a package that is not installed (extra: {extra})"
        raise StorageError(OPEN, reason) from None


def package_extra(url: str) -> Extra | None:
    """Return the package extra for a valid `media_path`; None for a local folder."""
    return PACKAGE_EXTRAS[_protocol(url)]


def supports_locks(url: str) -> bool:
    """Return whether the store for a `media_path` can lock files, for the setting `media_lock`."""
    return PACKAGE_EXTRAS.get(_protocol(url)) == "s3"


def _protocol(url: str) -> str:
    # This includes `s3:` of `s3:/bucket`, which fsspec takes as a local folder.
    return match.group() if (match := _PROTOCOL.match(url)) else "file://"


@contextmanager
def storage_errors(action: str, error_class: type[StorageError] = StorageError) -> Iterator[None]:
    """Raise the exceptions of a file system, which has its own classes, as a StorageError."""
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        raise error_class(action, _reason(error)) from error


def error_code(error: BaseException) -> str:
    """Return the code of an error of S3, such as `NoSuchBucket`; empty for other errors."""
    response = getattr(error.__cause__ or error, "response", None)
    details = response.get("Error") if isinstance(response, dict) else None
    return str(details.get("Code", "")) if isinstance(details, dict) else ""


def _reason(error: Exception) -> str:
    code = error_code(error)
    if code.isdigit():  # the answer to a HEAD request has no other code
        code = f"status {code}"
    return getattr(error, "strerror", None) or code or type(error).__name__
