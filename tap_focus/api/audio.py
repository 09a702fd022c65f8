"""A response to a request for audio: its headers, its content, and where to continue."""

from __future__ import annotations

import re
import typing as t

import requests

from tap_focus.api.retry import RetryableError
from tap_focus.errors import InvalidAudioError, InvalidResponseError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_focus.api.response import Response

MIN_BYTES_PER_SECOND = 64 * 1024
"""Speed that a download must reach once the time of an ordinary request is used up."""

AUDIO_CONTAINER_TYPES = frozenset(
    {
        "video/mp4",
        "video/webm",
        "application/ogg",
        "application/octet-stream",
        "binary/octet-stream",  # the default of S3
    }
)
"""Content types that are accepted as audio besides `audio/*`."""


class ResumePoint(t.NamedTuple):
    """Where the download of a file can continue: `offset` in bytes, in the version `validator`."""

    offset: int
    validator: str


class AudioResponse:
    """A response that claims to be an audio file, or the rest of one.

    Attributes:
        content_type: the media type in lower case, without parameters.
        content_length: the announced size of the content in bytes. None if the body has the
            transfer coding `chunked`, which announces no size but has a last chunk.
        offset: bytes of the file before the content, 0 unless the download is resumed.
    """

    def __init__(self, response: Response, resumed_from: ResumePoint | None = None) -> None:
        """Check the headers.

        Raises:
            InvalidAudioError: the type is no audio, the file is empty, or a connection that is lost
                before the end of the file could not be recognized.
            InvalidResponseError: the audio is compressed, or it is another range than requested.
        """
        headers = response.headers
        self._response = response
        self.offset = 0
        if response.status == requests.codes.partial_content and resumed_from:
            self.offset = resumed_from.offset
            if not _is_rest(headers.get("Content-Range", ""), self.offset):
                raise InvalidResponseError("Focus sent another range of the audio than requested")
        self.content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        self.content_length = _content_length(headers)
        if not (
            self.content_type.startswith("audio/") or self.content_type in AUDIO_CONTAINER_TYPES
        ):
            raise InvalidAudioError(f"Focus sent {self.content_type or 'no type'!a:.80}, not audio")
        if headers.get("Content-Encoding", "identity").lower() != "identity":
            # Content-Length is the size of the compressed body then, not that of the file.
            raise InvalidResponseError("Focus compressed the audio against the request")
        if self.content_length == 0:
            raise InvalidAudioError("Focus sent an empty file")

    def resume_point(self, size: int) -> ResumePoint | None:
        """Return where to continue after `size` bytes of the file, if Focus supports it.

        RFC 9110 requires a strong validator, so that the parts are of the same file.
        """
        headers = self._response.headers
        validator = headers.get("ETag", "")
        is_supported = headers.get("Accept-Ranges", "").lower() == "bytes" or self.offset
        if is_supported and size and validator.startswith('"'):
            return ResumePoint(size, validator)
        return None

    def iter_chunks(self) -> Iterator[bytes]:
        """Yield the content. Each chunk extends the time limit, so that large files are possible.

        Raises:
            InvalidAudioError: the file is empty.
            RetryableError: the connection failed, or the content is shorter than announced.
        """
        size = 0
        for chunk in self._response.iter_chunks():
            self._response.deadline.extend(len(chunk) / MIN_BYTES_PER_SECOND)
            size += len(chunk)
            yield chunk
        if not size:
            raise InvalidAudioError("Focus sent an empty file")
        if self.content_length is not None and size != self.content_length:
            raise RetryableError("the content has another length than announced")


def _is_rest(content_range: str, offset: int) -> bool:
    """Return whether a Content-Range (RFC 9110, section 14.4) reaches from an offset to the end."""
    match = re.fullmatch(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", content_range)
    return match is not None and int(match[1]) == offset and int(match[2]) + 1 == int(match[3])


def _content_length(headers: t.Mapping[str, str]) -> int | None:
    """Return the announced length in bytes, or None for a chunked body.

    Raises:
        InvalidAudioError: neither is stated in the form of RFC 9112, so the end is unknown.
    """
    codings = [c.strip().lower() for c in headers.get("Transfer-Encoding", "").split(",")]
    if codings == ["chunked"]:
        return None
    length = headers.get("Content-Length", "")
    if codings == [""] and re.fullmatch(r"[0-9]{1,18}", length):
        return int(length)
    raise InvalidAudioError("Focus did not announce the length of the audio")
