"""A response: its headers, and its body, decompressed and with a size limit."""

from __future__ import annotations

import codecs
import typing as t

from tap_focus.api.retry import RetryableError
from tap_focus.errors import InvalidResponseError, ResponseTooLargeError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from tap_focus.api.deadline import Deadline
    from tap_focus.api.usage import Total

MAX_BODY_BYTES = 128 * 1024 * 1024
"""Largest response that is read into memory, decompressed: 128 MiB.

A page has two more limits: `PAGE_SIZE_TOLERANCE` in `client.py` is about the number of recordings,
and `MAX_RECORDING_BYTES` in `page.py` about the size of one.
"""

READ_SIZE = 256 * 1024
"""Bytes that are read from a response at once."""


class Response:
    """A response with status 200, or 206 to a range request, whose body has not been read.

    Attributes:
        status: the status.
        headers: the response headers, case-insensitive.
        deadline: the time limit of the attempt.
    """

    def __init__(
        self, response: requests.Response, deadline: Deadline, received_bytes: Total
    ) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.deadline = deadline
        self._response = response
        self._received_bytes = received_bytes

    def iter_chunks(self) -> Iterator[bytes]:
        """Yield the decompressed body.

        Raises:
            InvalidResponseError: the body is compressed more than once, or not by gzip.
            RetryableError: the attempt has exceeded its deadline.
        """
        encoding = self.headers.get("Content-Encoding", "identity").strip().lower()
        # Each further layer of compression could multiply the work for a small body.
        if encoding not in ("gzip", "identity", ""):
            raise InvalidResponseError("Focus compressed a response in an unsupported way")
        for chunk in self._response.iter_content(READ_SIZE):
            self._received_bytes.add(len(chunk))
            if self.deadline.passed:
                raise RetryableError("no complete response in time")
            yield chunk

    def read(self) -> bytes:
        """Return the decompressed body, without a byte order mark.

        Raises:
            ResponseTooLargeError: it is larger than `MAX_BODY_BYTES`.
        """
        chunks: list[bytes] = []
        size = 0
        for chunk in self.iter_chunks():
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise ResponseTooLargeError(
                    f"Focus sent more than {MAX_BODY_BYTES >> 20} MiB in one response"
                )
        return b"".join(chunks).removeprefix(codecs.BOM_UTF8)
