"""Login and the bearer token: shared by threads, renewed before expiry, replaced if rejected."""

from __future__ import annotations

import base64
import binascii
import logging
import threading
import time
import typing as t

import msgspec
from typing_extensions import override

from tap_focus.api.retry import RetryableError, RetryPolicy, parse_http_date
from tap_focus.errors import (
    HTTPStatusError,
    InvalidResponseError,
    LoginFailedError,
    TapFocusError,
)

if t.TYPE_CHECKING:
    from tap_focus.api.session import Session

logger = logging.getLogger("tap-focus.client")

LOGIN_PATHS = ("/authWithAPIKey", "/authWithApiKey")
"""The path on the vendor's API page, and the spelling of newer vendor pages."""

RENEWAL_MARGIN = 60.0
"""Seconds before its expiry at which a token is replaced, so that no request outlives it."""

_NOT_FOUND = 404


class Credentials(msgspec.Struct, frozen=True):
    """The key, service user and account number from Focus's admin page."""

    api_key: str
    username: str
    client_id: int

    @override
    def __repr__(self) -> str:
        return "Credentials(…)"  # it may be logged


class Token:
    """A bearer token.

    Attributes:
        renew_at: when to replace it, as a value of `time.monotonic`. Infinite if the token does
            not state its lifetime; it is then replaced when Focus rejects it.
    """

    def __init__(self, text: str, *, server_time: float | None = None) -> None:
        """Store a token; `server_time` is the server's clock in seconds since 1970, if known."""
        self._text = text
        lifetime = _lifetime(text, server_time)
        # A fifth of a short lifetime, and the second by which whole-second claims may be wrong.
        self.renew_at = time.monotonic() + lifetime - min(RENEWAL_MARGIN, lifetime / 5 + 1)

    @override
    def __repr__(self) -> str:
        return "Token(…)"  # it may be logged

    @property
    def header(self) -> str:
        """Value of the `Authorization` header."""
        return f"Bearer {self._text}"


class TokenProvider:
    """Shares one token between threads and logs in when there is no valid one.

    Focus documents no endpoint for the refresh token that a login also returns. Its reference says
    to log in again when the token expires.
    """

    def __init__(self, session: Session, credentials: Credentials, retries: RetryPolicy) -> None:
        self._session = session
        self._credentials = credentials
        self._retries = retries
        self._path = LOGIN_PATHS[0]
        self._token: Token | None = None
        self._has_rejection = False
        self._failure: TapFocusError | None = None
        self._lock = threading.Lock()

    def get(self) -> Token:
        """Return a token that is not about to expire.

        Raises:
            LoginFailedError: the login failed. It is not repeated for the threads that waited.
        """
        with self._lock:
            if self._failure:
                raise LoginFailedError(self._failure)
            if self._token is None or time.monotonic() >= self._token.renew_at:
                try:
                    self._token = self._login()
                except TapFocusError as error:
                    self._failure = error
                    raise LoginFailedError(error) from error
            return self._token

    def note_accepted(self) -> None:
        """Note that Focus accepted a token. A later rejection is then a first one again."""
        self._has_rejection = False

    def forget_rejected(self, rejected: Token) -> bool:
        """Forget a token that Focus rejected, unless another thread has replaced it.

        Returns:
            Whether to try again with a new token. False if the token before was rejected, too, and
            none has been accepted since.
        """
        with self._lock:
            if self._token is rejected:
                if self._has_rejection:
                    return False
                self._has_rejection = True
                self._token = None
            return True

    def _login(self) -> Token:
        try:
            token = self._retries.call(self._request_token, f"POST {self._path}")
        except HTTPStatusError as error:
            if error.status != _NOT_FOUND or self._path == LOGIN_PATHS[-1]:
                raise
            self._path = LOGIN_PATHS[-1]
            return self._login()
        logger.info("Logged in to %s", self._session.host)
        return token

    def _request_token(self) -> Token:
        body = {
            "apiKey": self._credentials.api_key,
            "username": self._credentials.username,
            "clientId": self._credentials.client_id,
        }
        with self._session.open("POST", self._path, json=body) as response:
            content = response.read()
            server_time = parse_http_date(response.headers.get("Date", ""))
        try:
            return Token(msgspec.json.decode(content, type=_Login).token, server_time=server_time)
        except (msgspec.DecodeError, ValueError, RecursionError):
            # Without the cause, whose text could contain a part of the token.
            error = InvalidResponseError("Focus answered the login with something that is no token")
            raise RetryableError("invalid response to the login", on_exhausted=error) from None


class _Login(msgspec.Struct):
    token: t.Annotated[str, msgspec.Meta(pattern=r"\A[!-~]+\Z")]  # what a header can contain


class _Claims(msgspec.Struct):
    exp: float | None = None
    iat: float | None = None


def _lifetime(token: str, server_time: float | None) -> float:
    """Return the lifetime of a JWT in seconds, by its unverified claims; infinite if unknown.

    `exp` is compared with the server's clocks first (`iat`, then the response's `Date`), so that a
    wrong local clock does not cause a login for every request.
    """
    try:
        payload = token.split(".")[1]
        claims = msgspec.json.decode(
            base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=_Claims
        )
    except (IndexError, binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        return float("inf")
    clocks = (claims.iat, server_time, time.time())
    start = next(clock for clock in clocks if clock is not None)
    # An expiry before the start is meaningless; Focus will reject the token when it has expired.
    if claims.exp is None or claims.exp <= start:
        return float("inf")
    return claims.exp - start
