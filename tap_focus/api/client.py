"""One HTTP conversation with Focus: base URL, login, timeouts, retries, and errors in words.

It knows nothing of Singer. What Focus sends or refuses is told by counts, statuses and paths
alone: no body, header, key, token or cursor ever stands in an error or a log line.
"""

from __future__ import annotations

import codecs
import logging
import os
import ssl
import typing as t
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import msgspec
import requests
import urllib3
from requests.utils import get_environ_proxies

from tap_focus.api.auth import Token, TokenKeeper
from tap_focus.api.deadline import Adapter, Deadline, deadline
from tap_focus.api.retry import Passing, retry, seconds_to_wait, timestamp
from tap_focus.errors import (
    BadAnswerError,
    CursorRefusedError,
    OddStatusError,
    RefusedError,
    TooLargeError,
)

logger = logging.getLogger("tap-focus.client")

CURSOR_PATH = "/client/recording/cursor"
AUDIO_PATH = "/client/recording.playBackByThirdPartyId"
LOGIN_PATHS = ("/authWithAPIKey", "/authWithApiKey")
"""The documented spelling, and the one that newer vendor pages use."""

MAX_BODY_BYTES = 128 * 1024 * 1024
"""The most that one answer may hold, decompressed: 128 MiB."""

MAX_CONNECTIONS = 64
"""The most connections that are kept open, and so the most downloads at once."""

DEADLINE_FACTOR = 5
"""One try may last this many times `request_timeout` in all, however steadily bytes drip in."""

_CA_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables of the environment that name one, the first before the second."""

_CHUNK = 256 * 1024
_BROKEN = (
    requests.RequestException,
    # From below requests, when an answer is closed.
    urllib3.exceptions.HTTPError,
    HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)
_PASSING_STATUSES = frozenset({408, 425, 429})

T = t.TypeVar("T")
Use = t.Callable[[requests.Response, Deadline], T]
"""Reads a good answer, bounded in time by the deadline, and makes something of it."""


class _Session(requests.Session):
    """A session that takes a redirect for an answer like any other.

    Told not to follow one, requests would still read its whole body and parse its target.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        """Find nothing to follow."""
        return


class _Login(msgspec.Struct):
    token: t.Annotated[str, msgspec.Meta(pattern=r"\A[!-~]+\Z")]  # what a header can carry


class Credentials(msgspec.Struct, frozen=True):
    """What Focus's admin pages show for a service user. The key stays out of every repr."""

    api_key: str
    username: str
    client_id: int

    def __repr__(self) -> str:
        """Say nothing: a repr may end in a log."""
        return "Credentials(…)"


class Client:
    """Requests to one Focus account; safe to use from several threads."""

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        *,
        request_timeout: float,
        max_retries: int,
        user_agent: str,
    ) -> None:
        """Prepare a conversation; nothing is sent before the first request.

        Args:
            base_url: `https://…/api`, or plain http on loopback; checked by the settings.
            credentials: the service user.
            request_timeout: seconds to connect, and between two reads.
            max_retries: tries of one request before giving up, at least 1.
            user_agent: the `User-Agent` header.
        """
        self._base_url = base_url.rstrip("/")
        self._credentials = credentials
        self._timeout = request_timeout
        self._max_tries = max_retries
        self._session = _Session()
        # What there is in the environment is looked at once; a `.netrc` never.
        self._session.trust_env = False
        self._session.verify = next(filter(None, map(os.environ.get, _CA_BUNDLES)), True)
        # Plain http is for this machine alone, and a proxy may be another.
        if urlsplit(base_url).scheme == "https":
            self._session.proxies = get_environ_proxies(base_url)
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, Adapter(pool_maxsize=MAX_CONNECTIONS))
        self._session.headers.update(
            {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "gzip"}
        )
        self._login_path = LOGIN_PATHS[0]
        self._tokens = TokenKeeper(self._login)
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Its lines hold URLs, with the cursor, and the server's headers. By name, since a logging
        # configuration may have set a level for any of them.
        for name in [*logging.root.manager.loggerDict]:
            if name.partition(".")[0] == "urllib3":
                logging.getLogger(name).disabled = True

    def get_page(self, params: dict[str, str], decode: t.Callable[[bytes], T]) -> T:
        """Fetch one page of the cursor.

        Args:
            params: the query: `numberOfResults`, and `cursorId` or `fromDate`.
            decode: makes a page of the body; a `BadAnswerError` of its making is tried again,
                since a proxy's error page or a cut body may pass.

        Returns:
            What `decode` made.

        Raises:
            FocusError: one of its subclasses, by what the operator must do.
        """
        try:
            return self._authenticated(
                "GET", CURSOR_PATH, lambda response, _: decode(_read(response)), params=params
            )
        except RefusedError as error:
            if "cursorId" in params and error.status in _CURSOR_REFUSALS:
                raise CursorRefusedError(
                    f"Focus refused the bookmark's cursor with status {error.status}. The bookmark "
                    "was left as it is. There are two ways on: run once with --full-refresh to "
                    "read everything again; or set start_date to a day before the last good run "
                    "and begin with a fresh state. Both bring recordings again that were already "
                    "loaded, which a target that upserts takes as updates. (If you have just "
                    "changed page_size, try the old one first.)"
                ) from error
            raise

    def get_audio(self, third_party_id: str, use: Use[T]) -> T:
        """Fetch the audio of a recording. The request changes nothing, so it is safe to retry.

        Args:
            third_party_id: Focus's `thirdPartyId` of the recording.
            use: reads the answer; a `BadAnswerError` of its making is tried again.

        Returns:
            What `use` made.

        Raises:
            FocusError: one of its subclasses; a `RefusedError` has the status.
        """
        return self._authenticated(
            "POST",
            AUDIO_PATH,
            use,
            json={"thirdPartyId": third_party_id},
            # Compressed, the announced length would not be that of the file.
            headers={"Accept": "audio/*, */*;q=0.5", "Accept-Encoding": "identity"},
        )

    def _authenticated(self, method: str, path: str, use: Use[T], **kwargs: t.Any) -> T:
        """Send a request with a token, retried; a refused token costs one login, and one only."""
        renewals = iter([True])

        def attempt() -> T:
            token = self._tokens.get()
            try:
                return self._try(method, path, use, token=token, **kwargs)
            except RefusedError as error:
                if error.status != requests.codes.unauthorized or not next(renewals, False):
                    raise
            logger.info("Focus refused the token; logging in again")
            self._tokens.discard(token)
            return attempt()

        return self._retry(f"{method} {path}", attempt)

    def _login(self) -> Token:
        """Fetch a token. Logging in changes nothing at Focus, so it is safe to retry."""
        body = {
            "apiKey": self._credentials.api_key,
            "username": self._credentials.username,
            "clientId": self._credentials.client_id,
        }
        try:
            token = self._retry(
                f"POST {self._login_path}",
                lambda: self._try("POST", self._login_path, _decode_login, json=body),
            )
        except RefusedError as error:
            if error.status != requests.codes.not_found or self._login_path == LOGIN_PATHS[-1]:
                raise
            self._login_path = LOGIN_PATHS[-1]
            return self._login()
        logger.info("Logged in to %s", self._host)
        return token

    @property
    def _host(self) -> str:
        return urlsplit(self._base_url).netloc

    def _retry(self, what: str, attempt: t.Callable[[], T]) -> T:
        return retry(attempt, what=what, host=self._host, tries=self._max_tries)

    def _try(
        self,
        method: str,
        path: str,
        use: Use[T],
        *,
        token: Token | None = None,
        headers: dict[str, str] | None = None,
        **kwargs: t.Any,
    ) -> T:
        """Send one request, and return what `use` makes of a good answer."""
        with deadline(self._timeout * DEADLINE_FACTOR) as limit:
            try:
                with self._session.request(
                    method,
                    self._base_url + path,
                    headers={"Authorization": token.header if token else None, **(headers or {})},
                    timeout=self._timeout,
                    stream=True,
                    **kwargs,
                ) as response:
                    self._check(response, f"{method} {path}")
                    return use(response, limit)
            except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as error:
                raise RefusedError(
                    "The proxy that the environment names cannot be used, or api_url. Check "
                    "HTTPS_PROXY and ALL_PROXY; a SOCKS proxy needs the Python package PySocks "
                    "beside the tap."
                ) from error
            except (BadAnswerError, *_BROKEN) as error:
                if _caused_by(error, ssl.SSLCertVerificationError):
                    raise RefusedError(
                        f"No trusted TLS connection to {self._host}: its certificate cannot be "
                        "verified. Check api_url, or name your company's CA bundle in "
                        "REQUESTS_CA_BUNDLE."
                    ) from error
                if limit.passed:
                    raise Passing("no answer in time") from error
                lasting = error if isinstance(error, BadAnswerError) else None
                raise Passing(_in_words(error), lasting=lasting) from error
            except OSError as error:
                # requests says so, and nothing else, of a CA bundle that it cannot find.
                raise RefusedError(
                    f"The CA bundle that {' or '.join(_CA_BUNDLES)} names cannot be read. "
                    "Mend the variable's path."
                ) from error

    def _check(self, response: requests.Response, what: str) -> None:
        """Raise what a status means for the operator; a 200 passes."""
        status = response.status_code
        if status == requests.codes.ok:
            return
        if status in _PASSING_STATUSES or status >= requests.codes.server_error:
            raise Passing(
                f"Focus answered {status}",
                retry_after=seconds_to_wait(response.headers.get("Retry-After", "")),
            )
        if status < 300:  # noqa: PLR2004 - the classes of what is no refusal
            raise OddStatusError(
                f"{what} was answered with status {status}, which Focus's API does not promise. "
                "Check api_url, or tell Focus's support.",
                status,
            )
        if status < 400:  # noqa: PLR2004 - the class of redirects
            host = _host_of(response.headers.get("Location", ""))
            raise RefusedError(
                f"{what} was redirected to {host}, and a redirect is never followed with "
                "credentials. Set region or api_url to Focus's own address."
            )
        raise RefusedError(
            f"{what} was refused with status {status}. {_ADVICE.get(status, _ADVICE[400])}", status
        )


_CURSOR_REFUSALS = frozenset({400, 404, 410})
_ADVICE = {
    400: "Check the settings; if they are right, ask Focus's support.",
    401: "Check api_key, username and client_id: all three stand on the same page of Focus's "
    "admin area.",
    403: "The service user lacks a right (Recording.View), or the Cursor synchronization API "
    "is not switched on for the account.",
    404: "Check region or api_url.",
}


def _decode_login(response: requests.Response, _: Deadline) -> Token:
    body = _read(response)
    issued_at = timestamp(response.headers.get("Date", ""))
    try:
        return Token(msgspec.json.decode(body, type=_Login).token, issued_at=issued_at)
    except (msgspec.DecodeError, ValueError, RecursionError):
        # Without the cause: its text could hold a piece of the answer, and that is a token.
        raise BadAnswerError(
            "Focus answered the login with something other than a token. "
            "Check api_url: is it the API of Focus?"
        ) from None


def _read(response: requests.Response) -> bytes:
    """Read a body, decompressed, without the mark that some servers begin text with.

    Raises:
        BadAnswerError: it is larger than `MAX_BODY_BYTES`.
    """
    parts: list[bytes] = []
    size = 0
    for part in response.iter_content(_CHUNK):
        parts.append(part)
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise TooLargeError(
                f"Focus sent more than {MAX_BODY_BYTES >> 20} MiB in one answer. "
                "Set a smaller page_size."
            )
    return b"".join(parts).removeprefix(codecs.BOM_UTF8)


def _caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Whether an error of this kind is somewhere down an error's chain."""
    while error:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False


def _host_of(location: str) -> str:
    """The host that a redirect leads to, without the credentials that it may hold."""
    try:
        url = urlsplit(location)
        port = f":{url.port}" if url.port else ""
    except ValueError:
        return "an address that is none"
    return repr(url.hostname + port) if url.hostname else "another path"


def _in_words(error: Exception) -> str:
    """Say what broke without the library's own text, which holds URLs."""
    if isinstance(error, BadAnswerError):
        return "Focus answered something else than was asked for"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return "the answer could not be decompressed"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy failed"
    return "the connection failed or broke"
