"""The bearer token's life: when it is fetched, kept, renewed before its end, and replaced.

Nothing here speaks HTTP: the client lends the function that logs in.
"""

from __future__ import annotations

import base64
import binascii
import threading
import time
import typing as t

import msgspec

from tap_focus.errors import FocusError, LoginFailedError

_RENEWAL_MARGIN = 60.0
"""Seconds before its end at which a token is no longer used, for the request's own duration."""


class Token:
    """A bearer token and when to stop using it.

    Attributes:
        renew_at: a time of `time.monotonic`, in seconds; infinite when the token does not tell
            its lifetime, and is then replaced when Focus refuses it.
    """

    __slots__ = ("_text", "renew_at")

    def __init__(self, text: str, *, issued_at: float | None = None) -> None:
        """Keep a token that was received just now.

        Args:
            text: the token, by Focus's word a JWT.
            issued_at: the server's own clock at the answer, in seconds since 1970, where known.
        """
        self._text = text
        lifetime = _lifetime(text, issued_at)
        # A short-lived token keeps most of its life. The second is what whole seconds may hide.
        self.renew_at = time.monotonic() + lifetime - min(_RENEWAL_MARGIN, lifetime / 5 + 1)

    def __repr__(self) -> str:
        """Say nothing of the token: a repr may end in a log."""
        return "Token(…)"

    @property
    def header(self) -> str:
        """The value of the `Authorization` header."""
        return f"Bearer {self._text}"


class TokenKeeper:
    """Hands out one token to all who ask, and logs in when there is none that holds.

    There is no documented endpoint for the refresh token that a login also returns, so a token
    is renewed as Focus's reference says: by the same login again.
    """

    def __init__(self, login: t.Callable[[], Token]) -> None:
        """Keep tokens that `login` fetches."""
        self._login = login
        self._token: Token | None = None
        self._failure: FocusError | None = None
        self._lock = threading.Lock()

    def get(self) -> Token:
        """Return a token that is not about to expire; many threads share one login.

        Raises:
            LoginFailedError: there is none. The login has tried again as often as it may, so it is
                not asked once more for those who waited.
        """
        with self._lock:
            if self._failure:
                raise LoginFailedError(self._failure)
            if self._token is None or time.monotonic() >= self._token.renew_at:
                try:
                    self._token = self._login()
                except FocusError as error:
                    self._failure = error
                    raise LoginFailedError(error) from error
            return self._token

    def discard(self, refused: Token) -> None:
        """Forget a token that Focus refused, unless somebody already replaced it."""
        with self._lock:
            if self._token is refused:
                self._token = None


class _Claims(msgspec.Struct):
    exp: float | None = None
    iat: float | None = None


def _lifetime(token: str, issued_at: float | None) -> float:
    """Seconds that a JWT has to live, by its unverified claims; infinite where they do not tell.

    The end is compared with the server's own clocks first (`iat`, then the answer's `Date`), so
    that a wrong local clock does not make every request log in.
    """
    try:
        payload = token.split(".")[1]
        claims = msgspec.json.decode(
            base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=_Claims
        )
    except (IndexError, binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        return float("inf")
    clocks = (claims.iat, issued_at, time.time())
    start = next(clock for clock in clocks if clock is not None)
    # An end that lies before its beginning says nothing; a refusal will.
    if claims.exp is None or claims.exp <= start:
        return float("inf")
    return claims.exp - start
