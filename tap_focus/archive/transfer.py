"""The download of one file, in one or several attempts."""

from __future__ import annotations

import time
import typing as t

from tap_focus.archive.audio_check import HEAD_BYTES
from tap_focus.errors import InvalidAudioError

if t.TYPE_CHECKING:
    from tap_focus.api.client import Client, ResumePoint
    from tap_focus.archive.stores.interface import NewFile


class DownloadLimits(t.NamedTuple):
    """The size in bytes of the largest file, and the seconds of the longest download."""

    max_bytes: int
    max_seconds: float


class Transfer:
    """The download of one file, which a later attempt can continue.

    Attributes:
        head: the first bytes of the content, `HEAD_BYTES` or a chunk more.
    """

    def __init__(
        self, client: Client, third_party_id: str, file: NewFile, limits: DownloadLimits
    ) -> None:
        self.head = b""
        self._client = client
        self._third_party_id = third_party_id
        self._file = file
        self._max_bytes = limits.max_bytes
        self._max_seconds = limits.max_seconds
        self._started = time.monotonic()
        self._resume_point: ResumePoint | None = None

    def attempt(self) -> str:
        """Download the file, or the rest of it, and return its content type.

        Raises:
            InvalidAudioError: the response is no audio, too large or too slow.
            RetryableError: a transient failure.
            APIError: any other permanent failure.
        """
        # Used once: if the rest cannot be had, the next attempt starts over.
        resume_from, self._resume_point = self._resume_point, None
        with self._client.open_audio(self._third_party_id, resume_from=resume_from) as response:
            if not response.offset:
                self._file.restart()
                self.head = b""
            self._check(response.offset + (response.content_length or 0))
            try:
                for chunk in response.iter_chunks():
                    self._check(self._file.size + len(chunk))
                    if len(self.head) < HEAD_BYTES:
                        self.head += chunk
                    self._file.write(chunk)
            finally:
                self._resume_point = response.resume_point(self._file.size)
            return response.content_type

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise InvalidAudioError(
                f"The audio is larger than media_max_bytes: {self._max_bytes:,}"
            )
        if time.monotonic() - self._started > self._max_seconds:
            raise InvalidAudioError(
                f"The download took longer than media_max_seconds: {self._max_seconds:,.0f}"
            )
