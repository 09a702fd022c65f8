"""Fetch, verify, name and store the audio of one recording, and tell how it went."""

from __future__ import annotations

import hashlib
import logging
import typing as t
from datetime import datetime, timezone

from tap_focus.api.page import KEY, Recording
from tap_focus.archive.store import Archive, Stored, name_of
from tap_focus.errors import BadAnswerError, NoAudioError, RefusedError, UnavailableError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from tap_focus.api.client import Client
    from tap_focus.api.deadline import Deadline

logger = logging.getLogger("tap-focus.media")

_CHUNK = 256 * 1024
_SLOWEST = 64 * 1024
"""Bytes a second that a download must reach, after the time that every request has."""

_EXTENSIONS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
    "audio/vnd.wave": "wav",
    "audio/mp4": "m4a",
    "audio/x-m4a": "m4a",
    "audio/aac": "aac",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/flac": "flac",
    "audio/webm": "webm",
    "audio/amr": "amr",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "application/ogg": "ogg",
    "application/octet-stream": "bin",
    "binary/octet-stream": "bin",  # what S3 says of a file of which nobody said more
}
_CONTENT_TYPES = {extension: kind for kind, extension in reversed(_EXTENSIONS.items())}


class Shard(t.NamedTuple):
    """One machine's part of the work: `part` of so many `parts`, from 1."""

    part: int = 1
    parts: int = 1

    def __str__(self) -> str:
        """Return it as the setting has it, `part/parts`."""
        return f"{self.part}/{self.parts}"

    def has(self, recording: Recording) -> bool:
        """Whether a recording is this machine's: by a hash that is the same everywhere."""
        digest = hashlib.sha256(str(recording[KEY]).encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.parts == self.part - 1


class Archived(t.NamedTuple):
    """How a recording's file fares: its row, and whether the file was fetched just now."""

    row: dict[str, t.Any]
    fetched: bool


class Media:
    """Brings recordings' audio from Focus into an archive."""

    def __init__(self, client: Client, archive: Archive) -> None:
        """Fetch by a client, store in an archive."""
        self._client = client
        self._archive = archive
        self._first_refusal = iter([True])

    def archive(self, recording: Recording) -> Archived:
        """Archive a recording's audio, unless it lies there already.

        Args:
            recording: with `interactionId`, `thirdPartyId`, `startDatetimeUTC`, `type` and
                `mediaAccessStatus`.

        Raises:
            StorageError: the archive refuses; no row could be true.
            RefusedError: Focus refuses the credentials, or redirects.
        """
        name = name_of(recording[KEY], recording.get("startDatetimeUTC"))
        if stored := self._archive.find(name):
            return Archived(self._row(recording, stored=stored), fetched=False)
        row = self._fetch(recording, name)
        return Archived(row, fetched=row["status"] == "stored")

    def _fetch(self, recording: Recording, name: str) -> dict[str, t.Any]:
        access = recording.get("mediaAccessStatus")
        if access != "Permitted":
            return self._row(recording, "not_permitted", f"mediaAccessStatus is {access!r:.80}")
        third_party_id = recording.get("thirdPartyId")
        if not isinstance(third_party_id, str) or not third_party_id:
            return self._row(recording, "not_found", "Focus gives no thirdPartyId to ask with")
        try:
            stored, kind = self._client.get_audio(
                third_party_id, lambda answer, limit: self._store(answer, limit, name)
            )
        except (NoAudioError, UnavailableError, BadAnswerError) as error:
            return self._row(recording, "failed", error.what)
        except RefusedError as error:
            if error.status in _REFUSES_ALL:
                raise
            status = _REFUSES_ONE.get(error.status or 0, "failed")
            if status == "not_permitted" and next(self._first_refusal, False):
                logger.warning(
                    "Focus refuses audio that it calls Permitted, with status 403. If it refuses "
                    "all, the service user lacks the right Recording.Play; once it has it, run "
                    "with --full-refresh, since what is not_permitted is not tried again"
                )
            return self._row(recording, status, f"Focus answered {error.status}")
        return self._row(recording, stored=stored, kind=kind)

    def _store(self, answer: requests.Response, limit: Deadline, name: str) -> tuple[Stored, str]:
        """Stream an answer into the archive; return what lies there and its content type."""
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind not in _EXTENSIONS and not kind.startswith("audio/"):
            raise NoAudioError(f"Focus answered {kind or 'nothing'!r:.80} in place of audio")
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            # Of what is unpacked on the way, the announced length proves nothing.
            raise BadAnswerError("Focus compressed the audio, though it was asked not to")
        length = answer.headers.get("Content-Length")
        if length is None and "chunked" not in answer.headers.get("Transfer-Encoding", ""):
            raise NoAudioError("Focus did not announce the length, so it can't be seen to be whole")
        if length == "0":
            raise NoAudioError("Focus answered with no bytes in place of audio")

        def chunks() -> Iterator[bytes]:
            size = 0
            for chunk in answer.iter_content(_CHUNK):
                limit.allow(len(chunk) / _SLOWEST)
                size += len(chunk)
                yield chunk
            if not size:
                raise NoAudioError("Focus answered with no bytes in place of audio")

        path = f"{name}.{_EXTENSIONS.get(kind, 'audio')}"
        return self._archive.write(path, chunks()), kind

    def _row(
        self,
        recording: Recording,
        status: str = "stored",
        error: str | None = None,
        *,
        stored: Stored | None = None,
        kind: str | None = None,
    ) -> dict[str, t.Any]:
        row = {name: recording.get(name) for name in COPIED}
        row |= dict.fromkeys(("uri", "contentType", "sizeInBytes", "sha256"))
        if stored:
            extension = stored.path.rpartition(".")[2]
            row["uri"] = self._archive.url(stored.path)
            row["contentType"] = kind or _CONTENT_TYPES.get(extension, "application/octet-stream")
            row["sizeInBytes"] = stored.size
            row["sha256"] = stored.sha256
        row["fetchedAt"] = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        return {**row, "status": status, "error": error}


COPIED = (KEY, "thirdPartyId", "startDatetimeUTC", "type")
"""What a row takes over from its recording."""

_REFUSES_ONE = {403: "not_permitted", 404: "not_found", 410: "not_found"}
"""What a status says of one recording's audio."""

_REFUSES_ALL = (None, 401)
"""A redirect or a certificate, and the login: no other recording would fare better."""
