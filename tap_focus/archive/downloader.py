"""Download the audio of recordings into the archive."""

from __future__ import annotations

import logging
import typing as t
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime, timezone

from tap_focus import errors
from tap_focus.api.record_model import KEY
from tap_focus.archive.naming import content_type_of, extension_for, file_stem, parse_date_time
from tap_focus.archive.store import AudioStore, StoredFile

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_focus.api.client import Client

    Recording = dict[str, t.Any]
    Row = dict[str, t.Any]

logger = logging.getLogger("tap-focus.media")

MAX_COPIED_LENGTH = 4096
"""Longest text that a row and the bookmark copy from a recording, in characters."""

COPIED_FIELDS = (KEY, "thirdPartyId", "startDatetimeUTC", "type")
"""Fields of a recording that its row repeats."""

POLL_INTERVAL = 0.2
"""Seconds between two calls of `on_wait`. A signal is handled within this time."""

_FAILURES = (errors.InvalidAudioError, errors.InvalidResponseError, errors.UnavailableError)
"""Errors that concern one recording."""

_UNAUTHORIZED = 401
_STATUSES = {403: "not_permitted", 404: "not_found", 410: "not_found"}
"""Manifest status for an HTTP status. Other HTTP statuses give `failed`."""


class DownloadResult(t.NamedTuple):
    """A recording's row in the manifest, without `nextCursorId`.

    `requested` is false if the file was already stored, if there is no audio to request, or if the
    recording occurs again later in the page.
    """

    row: Row
    requested: bool = False

    @property
    def downloaded(self) -> bool:
        """Whether the file was downloaded for this result."""
        return self.requested and self.row["status"] == "stored"


class AudioDownloader:
    """Downloads audio from Focus into a store, `concurrency` files at once."""

    def __init__(self, client: Client, media_path: str | None, concurrency: int) -> None:
        self._client = client
        self._media_path = media_path
        self._concurrency = concurrency
        self._has_warned = False

    def open(self) -> None:
        """Open the store and remove its stale partial files.

        Raises:
            StorageError: `media_path` is not set, not supported, or cannot be written.
        """
        if self._media_path is None:
            raise errors.StorageError("open media_path", "it is not set")
        self._store = AudioStore(self._media_path)
        self._store.prepare()
        # A stopped run does not wait for these threads, since it ends with os._exit.
        self._pool = ThreadPoolExecutor(self._concurrency, "download")

    def download_all(
        self, recordings: Sequence[Recording], *, on_wait: Callable[[], None]
    ) -> Iterator[DownloadResult]:
        """Download the audio of a page of recordings and yield their results in the same order.

        A recording that occurs several times is requested once, with the fields of its last entry.
        `on_wait` is called several times a second while a download is waited for. It may raise to
        stop.

        Raises:
            StorageError: the store cannot be read or written.
            APIError: an error that is not specific to one recording, such as a failed login.
        """
        latest = {recording[KEY]: recording for recording in recordings}
        futures = {key: self._pool.submit(self._download, latest[key]) for key in latest}
        for recording in recordings:
            key = recording[KEY]
            on_wait()
            while not wait([futures[key]], timeout=POLL_INTERVAL).done:
                on_wait()
            result = futures[key].result()
            self._warn_if_forbidden(result)
            yield result if recording is latest[key] else result._replace(requested=False)

    def _download(self, recording: Recording) -> DownloadResult:
        """Download the audio of one recording, unless it is stored already."""
        stem = file_stem(recording[KEY], recording.get("startDatetimeUTC"))
        access = recording.get("mediaAccessStatus")
        third_party_id = recording.get("thirdPartyId")
        if file := self._store.find(stem):
            row = self._stored_row(recording, file, content_type_of(file.path))
        elif access != "Permitted":
            row = _row(recording, "not_permitted", f"mediaAccessStatus is {access!a:.80}")
        elif not isinstance(third_party_id, str) or not third_party_id:
            row = _row(recording, "not_found", "thirdPartyId is missing or not a text")
        elif len(third_party_id) > MAX_COPIED_LENGTH:
            error = f"thirdPartyId has more than {MAX_COPIED_LENGTH} characters"
            row = _row(recording, "not_found", error)
        else:
            return DownloadResult(self._request(recording, third_party_id, stem), requested=True)
        return DownloadResult(row)

    def _request(self, recording: Recording, third_party_id: str, stem: str) -> Row:
        def attempt() -> tuple[StoredFile, str]:
            with self._client.open_audio(third_party_id) as audio:
                path = f"{stem}.{extension_for(audio.content_type)}"
                return self._store.write(path, audio.iter_chunks()), audio.content_type

        try:
            return self._stored_row(recording, *self._client.retry_audio(attempt))
        except _FAILURES as error:
            return _row(recording, "failed", error.reason)
        except errors.HTTPStatusError as error:
            if error.status == _UNAUTHORIZED:
                raise
            status = _STATUSES.get(error.status, "failed")
            return _row(recording, status, f"Focus returned status {error.status}")

    def _stored_row(self, recording: Recording, file: StoredFile, content_type: str) -> Row:
        return _row(recording, "stored") | {
            "uri": self._store.uri(file.path),
            "contentType": content_type,
            "sizeInBytes": file.size,
            "sha256": file.sha256,
        }

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


def _row(recording: Recording, status: str, error: str | None = None) -> Row:
    """Return a row without a file. A field that does not fit its column becomes null."""
    start = _text_or_none(recording.get("startDatetimeUTC"))
    return {
        KEY: recording[KEY],
        "thirdPartyId": _text_or_none(recording.get("thirdPartyId")),
        "startDatetimeUTC": start if parse_date_time(start) else None,
        "type": _text_or_none(recording.get("type")),
        **dict.fromkeys(("uri", "contentType", "sizeInBytes", "sha256")),
        "fetchedAt": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "status": status,
        "error": error,
    }


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and len(value) <= MAX_COPIED_LENGTH else None
