"""Download the audio of recordings into the archive."""

from __future__ import annotations

import sys
import typing as t
from concurrent.futures import ThreadPoolExecutor, wait

from tap_focus import errors
from tap_focus.api.record_model import KEY
from tap_focus.archive.audio_check import check_content, check_size
from tap_focus.archive.naming import FileName, extension_for, file_stem, parse_file_name
from tap_focus.archive.rows import (
    NoAudio,
    RequestedAudio,
    file_columns,
    new_row,
    requested_audio,
    retention_of,
)
from tap_focus.archive.stores.factory import open_store
from tap_focus.archive.stores.interface import FileDetails
from tap_focus.archive.transfer import Transfer

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_focus.api.client import Client
    from tap_focus.archive.stores.interface import Retention, StoredFile
    from tap_focus.archive.transfer import DownloadLimits

    Recording = dict[str, t.Any]
    Row = dict[str, t.Any]

POLL_INTERVAL = 0.2
"""Seconds between two calls of `on_wait`. A signal is handled within this time."""

_STATUSES = {403: "not_permitted", 404: "not_found", 410: "not_found"}
"""Manifest status for an HTTP status. Other HTTP statuses give `failed`."""

_FAILURES = (
    errors.FileUnreadableError,
    errors.HTTPStatusError,
    errors.InvalidAudioError,
    errors.InvalidResponseError,
    errors.RedirectError,
    errors.UnavailableError,
)
"""Errors that can concern a single recording."""


class DownloadResult(t.NamedTuple):
    """The result for one recording.

    Attributes:
        recording: as Focus sent it.
        row: its row in the manifest, without `nextCursorId`.
        is_new: whether a file was downloaded.
        error: why there is no file, if one was requested or could not be examined.
    """

    recording: Recording
    row: Row
    is_new: bool = False
    error: Exception | None = None

    @property
    def has_no_audio(self) -> bool:
        """Whether Focus has no audio for the recording, or not yet."""
        return self.error is not None and self.row["status"] == "not_found"


class AudioDownloader:
    """Downloads audio from Focus into a store, `concurrency` files at once."""

    def __init__(
        self,
        client: Client,
        media_path: str | None,
        *,
        lock_mode: str | None,
        concurrency: int,
        limits: DownloadLimits,
    ) -> None:
        self._client = client
        self._media_path = media_path
        self._lock_mode = lock_mode
        self._concurrency = concurrency
        self._limits = limits

    def open(self, account: str, *, has_bookmark: bool) -> None:
        """Open the archive of an account; see `AudioStore.open`.

        Raises:
            StorageError: `media_path` is not set, not supported, or cannot be used.
        """
        if self._media_path is None:
            raise errors.StorageError("open media_path", "it is not set")
        self._store = open_store(self._media_path, self._lock_mode)
        self._store.open(account, has_bookmark=has_bookmark)
        # A stopped run does not wait for these threads, since it ends with os._exit.
        self._pool = ThreadPoolExecutor(self._concurrency, "download")

    def flush(self) -> None:
        """Sync all stored files to the disk. Called before the bookmark advances past them."""
        self._store.flush()

    def download_all(
        self,
        recordings: Sequence[Recording],
        *,
        on_wait: Callable[[], None],
        max_retries: int = sys.maxsize,
    ) -> Iterator[DownloadResult]:
        """Download the audio of recordings and yield their results in the same order.

        A recording that occurs several times is requested once, with the fields of its last entry.

        Args:
            recordings: as Focus sent them.
            on_wait: called several times a second while a download is waited for. May raise to
                stop.
            max_retries: a lower limit for each request than the client's own.

        Raises:
            StorageError: the store cannot be read or written.
            APIError: an error that is not specific to one recording, such as a failed login.
        """
        latest = {recording[KEY]: recording for recording in recordings}
        for recording in latest.values():
            self._check_retention(recording)
        futures = {
            key: self._pool.submit(self._download, recording, max_retries)
            for key, recording in latest.items()
        }
        for recording in recordings:
            future = futures[recording[KEY]]
            on_wait()
            while not wait([future], timeout=POLL_INTERVAL).done:
                on_wait()
            result = future.result()
            is_latest = recording is latest[recording[KEY]]
            yield result if is_latest else result._replace(is_new=False, error=None)

    def _check_retention(self, recording: Recording) -> None:
        """Check that a file can be locked, before any file of the page is stored."""
        if not self._store.requires_retention_date or retention_of(recording).until:
            return
        if not isinstance(requested_audio(recording), NoAudio):
            reason = "a recording has no retainUntil, and the bucket has no default retention"
            raise errors.StorageError("lock files in media_path", reason)

    def _download(self, recording: Recording, max_retries: int) -> DownloadResult:
        """Download the audio of one recording, unless it is stored already."""
        row = new_row(recording)
        stem = file_stem(recording[KEY], recording.get("startDatetimeUTC"))
        try:
            files = self._store.find(stem)
        except errors.FileUnreadableError as error:
            return DownloadResult(recording, row | _failure(error), error=error)
        is_stored = bool(files) and not files[-1].is_missing
        audio = requested_audio(recording)
        failure: Row = {}
        cause: Exception | None = None
        is_new = False
        if isinstance(audio, NoAudio):
            failure = {} if is_stored else audio._asdict()
        elif not is_stored or _is_outdated(files, audio):
            try:
                file, is_new = self._request(audio, stem, files, max_retries)
                files = [*(one for one in files if one.path != file.path), file]
            except _FAILURES as error:
                cause, failure = error, _failure(error)
        if is_stored:
            failure.pop("status", None)  # the version before is still there
        elif files and failure:
            reason = f"The stored file is missing. {failure['error']}"
            failure = {"status": "failed", "error": reason}
        files, lock_error = self._update_locks(files, retention_of(recording))
        if self._lock_mode and files and recording.get("retainUntil") and not row["retainUntil"]:
            lock_error = lock_error or "retainUntil is not a date-time"
        row |= file_columns(self._store, files) | {"lockError": lock_error} | failure
        return DownloadResult(recording, row, is_new, cause)

    def _request(
        self,
        audio: RequestedAudio,
        stem: str,
        files: Sequence[StoredFile],
        max_retries: int,
    ) -> tuple[StoredFile, bool]:
        """Request the audio, and store it as the next version of the file.

        Returns:
            The file, and whether it is new: not if the content is that of the version before.
        """
        new = self._store.create(stem)
        transfer = Transfer(self._client, audio.third_party_id, new, self._limits)
        try:
            content_type = self._client.retry_audio(transfer.attempt, max_retries=max_retries)
            check_content(transfer.head)
            check_size(new.size, audio.duration)
            path = _next_path(stem, files, extension_for(content_type))
            if files and files[-1].sha256 == new.sha256:
                if not files[-1].is_missing:
                    return files[-1], False
                path = files[-1].path
            details = FileDetails(content_type, audio.source, audio.duration, audio.retention)
            return new.commit(path, details)
        finally:
            new.discard()

    def _update_locks(
        self, files: Sequence[StoredFile], retention: Retention
    ) -> tuple[list[StoredFile], str | None]:
        """Update the locks of a recording's files, and return the files and the last failure."""
        updated, failure = [*files], None
        for index, file in enumerate(files):
            try:
                if not file.is_missing:
                    updated[index] = self._store.update_lock(file, retention)
            except errors.LockError as error:  # noqa: PERF203 - a recording has few files
                failure = error.reason
        return updated, failure


def _failure(error: Exception) -> Row:
    """Return status and error of a row for an error that concerns one recording."""
    if isinstance(error, errors.HTTPStatusError):
        reason = f"Focus returned status {error.status}"
        return {"status": _STATUSES.get(error.status, "failed"), "error": reason}
    return {"status": "failed", "error": getattr(error, "reason", str(error))}


def _is_outdated(files: Sequence[StoredFile], audio: RequestedAudio) -> bool:
    """Return whether Focus has other or longer audio, by what it stated with the versions."""
    sources = {file.source for file in files}
    is_known = None not in sources  # else of an earlier version, or of another tool
    longest = max(file.duration or 0 for file in files)
    # A call that had not ended may have had no duration.
    is_longer = (is_known or longest > 0) and (audio.duration or 0) > longest
    return is_longer or (is_known and audio.source not in sources)


def _next_path(stem: str, files: Sequence[StoredFile], extension: str) -> str:
    """Return the path of the next version of a file."""
    names = [parse_file_name(file.path.rpartition("/")[2]) for file in files]
    version = 1 + max((name.version for name in names if name), default=0)
    folder, _, interaction = stem.rpartition("/")
    return f"{folder}/{FileName(interaction, version, extension)}"
