"""Download the audio of recordings into the archive."""

from __future__ import annotations

import logging
import typing as t
from functools import cached_property, partial

from tap_focus.api.record_model import KEY
from tap_focus.archive.manifest import MAX_COPIED_LENGTH, build_row
from tap_focus.archive.naming import content_type_of, extension_for, file_stem
from tap_focus.archive.pool import DaemonThreadPool, wait_for
from tap_focus.archive.store import AudioStore, StoredFile
from tap_focus.errors import (
    HTTPStatusError,
    InvalidAudioError,
    InvalidResponseError,
    StorageError,
    UnavailableError,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_focus.api.client import Client

    Recording = dict[str, t.Any]
    Row = dict[str, t.Any]

logger = logging.getLogger("tap-focus.media")

_UNAUTHORIZED = 401
_FORBIDDEN = 403
_STATUSES = {_FORBIDDEN: "not_permitted", 404: "not_found", 410: "not_found"}
"""Manifest status for an HTTP status. Other HTTP statuses give `failed`."""


class DownloadResult(t.NamedTuple):
    """The result for one recording.

    Attributes:
        recording: the recording as Focus sent it.
        row: its row in the manifest, without `nextCursorId`.
        requested: whether the audio was requested for this entry. False if the file was already
            stored, if there is no audio to request, or if the recording occurs again later in the
            page.
    """

    recording: Recording
    row: Row
    requested: bool

    @property
    def downloaded(self) -> bool:
        """Whether the file was downloaded for this result."""
        return self.requested and self.row["status"] == "stored"


class AudioDownloader:
    """Downloads audio from Focus into a store, several files at once."""

    def __init__(self, client: Client, media_path: str | None, concurrency: int) -> None:
        """Create a downloader without side effects.

        Args:
            client: the client of the Focus API.
            media_path: a local folder or a URL such as `s3://bucket/folder`; None if not set.
            concurrency: number of downloads at once.
        """
        self._client = client
        self._media_path = media_path
        self._concurrency = concurrency
        self._has_warned = False

    def open(self) -> None:
        """Open the store, check that it can be written, and remove stale partial files.

        Raises:
            StorageError: `media_path` is not set, not supported, or cannot be written.
        """
        self._store.prepare()

    def download_all(
        self, recordings: Iterable[Recording], *, on_wait: Callable[[], None]
    ) -> Iterator[DownloadResult]:
        """Download the audio of a page of recordings.

        A recording that occurs several times is requested once, with the fields of its last entry.

        Args:
            recordings: with `interactionId`, `thirdPartyId`, `startDatetimeUTC`, `type` and
                `mediaAccessStatus`.
            on_wait: called several times a second while a download is waited for. It may raise
                to stop.

        Yields:
            One result for each recording, in the order of the recordings.

        Raises:
            StorageError: the store cannot be read or written.
            APIError: an error that is not specific to one recording, such as a failed login.
        """
        recordings = list(recordings)
        latest = {recording[KEY]: recording for recording in recordings}
        futures = {
            key: self._pool.submit(partial(self.download, recording))
            for key, recording in latest.items()
        }
        for recording in recordings:
            key = recording[KEY]
            result = wait_for(futures[key], on_wait)
            self._warn_if_forbidden(result)
            yield result if recording is latest[key] else result._replace(requested=False)

    def download(self, recording: Recording) -> DownloadResult:
        """Download the audio of one recording, unless it is stored already.

        Raises:
            StorageError: the store cannot be read or written.
            APIError: an error that is not specific to this recording.
        """
        stem = file_stem(recording[KEY], recording.get("startDatetimeUTC"))
        access = recording.get("mediaAccessStatus")
        third_party_id = recording.get("thirdPartyId")
        if file := self._store.find(stem):
            row = self._stored_row(recording, file, content_type_of(file.path))
        elif access != "Permitted":
            error = f"mediaAccessStatus is {access!a:.80}"
            row = build_row(recording, "not_permitted", error=error)
        elif not isinstance(third_party_id, str) or not third_party_id:
            error = "thirdPartyId is missing or not a text"
            row = build_row(recording, "not_found", error=error)
        elif len(third_party_id) > MAX_COPIED_LENGTH:
            error = f"thirdPartyId has more than {MAX_COPIED_LENGTH} characters"
            row = build_row(recording, "not_found", error=error)
        else:
            row = self._request(recording, third_party_id, stem)
            return DownloadResult(recording, row, requested=True)
        return DownloadResult(recording, row, requested=False)

    def _request(self, recording: Recording, third_party_id: str, stem: str) -> Row:
        def attempt() -> tuple[StoredFile, str]:
            with self._client.open_audio(third_party_id) as audio:
                path = f"{stem}.{extension_for(audio.content_type)}"
                return self._store.write(path, audio.iter_chunks()), audio.content_type

        try:
            file, content_type = self._client.retry_audio(attempt)
        except (InvalidAudioError, InvalidResponseError, UnavailableError) as error:
            return build_row(recording, "failed", error=error.reason)
        except HTTPStatusError as error:
            if error.status == _UNAUTHORIZED:
                raise
            status = _STATUSES.get(error.status, "failed")
            return build_row(recording, status, error=f"Focus returned status {error.status}")
        return self._stored_row(recording, file, content_type)

    def _stored_row(self, recording: Recording, file: StoredFile, content_type: str) -> Row:
        return build_row(
            recording,
            "stored",
            file=file,
            uri=self._store.uri(file.path),
            content_type=content_type,
        )

    def _warn_if_forbidden(self, result: DownloadResult) -> None:
        """Warn once if Focus refuses audio that `mediaAccessStatus` permits."""
        if result.requested and result.row["status"] == "not_permitted" and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "Focus refused audio with status 403, although mediaAccessStatus is Permitted. If "
                "this happens for all recordings, the service user lacks the right "
                "Recording.Play. Recordings with status not_permitted are not requested again "
                "until Focus updates them or recording_media starts with fresh state"
            )

    @cached_property
    def _store(self) -> AudioStore:
        if self._media_path is None:
            raise StorageError("open media_path", "it is not set")
        return AudioStore(self._media_path)

    @cached_property
    def _pool(self) -> DaemonThreadPool:
        return DaemonThreadPool(self._concurrency, "download")
