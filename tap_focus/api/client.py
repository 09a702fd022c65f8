"""Client of the Focus API: the feed of recordings, and their audio."""

from __future__ import annotations

import sys
import typing as t
from contextlib import contextmanager
from functools import partial

import requests

from tap_focus.api.audio import AudioResponse, ResumePoint
from tap_focus.api.auth import Credentials, TokenProvider
from tap_focus.api.page import Page, decode_page
from tap_focus.api.pagination import iter_pages
from tap_focus.api.retry import RetryableError, RetryPolicy
from tap_focus.api.session import Session
from tap_focus.api.usage import Usage
from tap_focus.errors import (
    CursorRejectedError,
    HTTPStatusError,
    PageSizeIgnoredError,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_focus.api.record_model import RecordModel
    from tap_focus.api.response import Response

__all__ = ["AudioResponse", "Client", "Credentials", "ResumePoint"]

CURSOR_PATH = "/client/recording/cursor"
AUDIO_PATH = "/client/recording.playBackByThirdPartyId"

PAGE_SIZE_TOLERANCE = 2
"""A page may contain this many times the requested recordings.

A page has two more limits: `MAX_BODY_BYTES` in `response.py` is about its bytes, and
`MAX_RECORDING_BYTES` in `page.py` about the size of one recording.
"""

ALWAYS_ACCEPTED_RECORDINGS = 1000
"""A page may contain this many recordings, even if far fewer were requested."""

_CURSOR_REJECTIONS = frozenset({400, 404, 410})

T = t.TypeVar("T")


class Client:
    """Requests to one Focus account. Safe to use from several threads.

    Example:
        >>> client = Client(url, credentials, request_timeout=60, max_retries=8, user_agent="x")
        >>> for page in client.iter_pages(cursor=None, page_size=100):
        ...     print(page.number, page.size)
    """

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        *,
        request_timeout: float,
        max_retries: int,
        user_agent: str,
    ) -> None:
        """Create a client; nothing is sent before the first request.

        Args:
            base_url: `https://…/api`, or plain http on loopback.
            credentials: the service user.
            request_timeout: seconds to connect, and between two reads.
            max_retries: retries of one request after a transient failure, 0 or more.
            user_agent: the `User-Agent` header.
        """
        self._session = Session(base_url, request_timeout=request_timeout, user_agent=user_agent)
        self._retries = RetryPolicy(max_retries, self._session.host)
        self._tokens = TokenProvider(self._session, credentials, self._retries)

    @property
    def usage(self) -> Usage:
        """What has been sent and received so far."""
        return Usage(
            requests=self._session.requests.value,
            retries=self._retries.retries.value,
            received_bytes=self._session.received_bytes.value,
        )

    def iter_pages(
        self,
        *,
        cursor: str | None,
        page_size: int,
        from_date: str | None = None,
        model: RecordModel | None = None,
        on_wait: Callable[[], None] = lambda: None,
    ) -> Iterator[Page]:
        """Yield the pages of the feed; see `tap_focus.api.pagination.iter_pages`."""
        get_page = partial(self.get_page, page_size=page_size, model=model)
        return iter_pages(get_page, cursor, from_date, on_wait)

    def get_page(
        self,
        *,
        page_size: int,
        cursor: str | None = None,
        from_date: str | None = None,
        model: RecordModel | None = None,
        number: int = 1,
    ) -> Page:
        """Request one page of the feed, with retries.

        Args:
            page_size: recordings to request.
            cursor: continues after an earlier page.
            from_date: begins at a date, `YYYY-MM-DDTHH:MM:SSZ`; ignored if there is a cursor.
            model: checks the fields of the recordings; see `Page.matches_model`.
            number: position of the page in this run, for the errors.

        Raises:
            CursorRejectedError: Focus does not accept the cursor.
            APIError: any other permanent failure.
        """
        params = {"numberOfResults": str(page_size)}
        if cursor:
            params["cursorId"] = cursor
        elif from_date:
            params["fromDate"] = from_date

        def attempt() -> Page:
            with self._open_authenticated("GET", CURSOR_PATH, params=params) as response:
                # Must be inside the context: Session.open turns an InvalidResponseError that is
                # raised there into a RetryableError.
                page = decode_page(response.read(), number, model)
            if page.size > max(page_size * PAGE_SIZE_TOLERANCE, ALWAYS_ACCEPTED_RECORDINGS):
                raise PageSizeIgnoredError(
                    f"Focus sent {page.size} recordings in one page, though {page_size} were "
                    "requested"
                )
            return page

        try:
            return self._retries.call(attempt, f"GET {CURSOR_PATH}")
        except HTTPStatusError as error:
            if cursor and error.status in _CURSOR_REJECTIONS:
                raise CursorRejectedError(error.status) from error
            raise

    @contextmanager
    def open_audio(
        self, third_party_id: str, *, resume_from: ResumePoint | None = None
    ) -> Iterator[AudioResponse]:
        """Request the audio of a recording, once; `retry_audio` adds the retries.

        Args:
            third_party_id: of the recording.
            resume_from: where an earlier response was cut off. Focus may start over nevertheless;
                see `AudioResponse.offset`.

        Raises:
            InvalidAudioError: the response is no audio, is empty, or has an unknown length.
            RetryableError: a transient failure, also while the chunks are read.
            APIError: any other permanent failure.
        """
        # Uncompressed, so that Content-Length is the size of the file.
        headers = {"Accept": "audio/*, */*;q=0.5", "Accept-Encoding": "identity"}
        if resume_from:
            headers |= {
                "Range": f"bytes={resume_from.offset}-",
                "If-Range": resume_from.validator,
            }
        body = {"thirdPartyId": third_party_id}
        try:
            with self._open_authenticated(
                "POST", AUDIO_PATH, json=body, headers=headers
            ) as response:
                yield AudioResponse(response, resume_from)
        except HTTPStatusError as error:
            if resume_from and error.status == requests.codes.requested_range_not_satisfiable:
                raise RetryableError("Focus no longer offers the rest of the audio") from error
            raise

    def retry_audio(self, attempt: Callable[[], T], *, max_retries: int = sys.maxsize) -> T:
        """Call `attempt`, which downloads a file by `open_audio`, with retries.

        The request changes nothing at Focus, so it is safe to repeat.

        Args:
            attempt: the function.
            max_retries: a lower limit than the client's own.
        """
        return self._retries.call(attempt, f"POST {AUDIO_PATH}", max_retries=max_retries)

    @contextmanager
    def _open_authenticated(
        self, method: str, path: str, headers: dict[str, str] | None = None, **kwargs: t.Any
    ) -> Iterator[Response]:
        """Send a request with a token. If Focus rejects the token, log in and send it once more."""
        token = self._tokens.get()
        for is_last in (False, True):
            authenticated = {"Authorization": token.header, **(headers or {})}
            try:
                with self._session.open(method, path, headers=authenticated, **kwargs) as response:
                    self._tokens.note_accepted()
                    yield response
                    return
            except HTTPStatusError as error:
                is_rejection = error.status == requests.codes.unauthorized
                if is_last or not (is_rejection and self._tokens.forget_rejected(token)):
                    raise
            token = self._tokens.get()
