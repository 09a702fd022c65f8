"""One HTTP attempt: base URL, headers, proxies, time limits, and statuses as errors.

No error or log line contains a body, a header, the key, a token or a cursor.
"""

from __future__ import annotations

import logging
import os
import ssl
import typing as t
from contextlib import contextmanager
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3
from requests.utils import get_environ_proxies, select_proxy
from typing_extensions import override

from tap_focus.api.deadline import DeadlineAdapter, time_limit
from tap_focus.api.response import Response
from tap_focus.api.retry import RETRYABLE_STATUSES, RetryableError, parse_retry_after
from tap_focus.api.usage import Total
from tap_focus.errors import (
    CABundleError,
    CertificateError,
    HTTPStatusError,
    InvalidResponseError,
    ProtocolMismatchError,
    ProxyError,
    RedirectError,
    UnexpectedStatusError,
)

if t.TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_FACTOR = 5
"""An attempt may last this many times `request_timeout`, however steadily bytes arrive."""

MAX_POOL_SIZE = 64
"""Most connections that are kept open for reuse."""

CA_BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Environment variables that name a CA bundle, by priority."""

_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
"""OpenSSL's reasons when a server answers a TLS handshake in plain text."""

_TLS_ALERT = r"\x15\x03"
"""How the start of a TLS alert looks in the text of `BadStatusLine`."""

PROXY_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")

RETRYABLE_EXCEPTIONS = (
    requests.RequestException,
    # Raised below requests when a response is closed.
    urllib3.exceptions.HTTPError,
    HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)


class Session:
    """Sends requests to one base URL. Threads may share a session.

    Attributes:
        host: host and port of the base URL.
        requests: attempts to send a request.
        received_bytes: bytes of the bodies that were read, decompressed.
    """

    def __init__(self, base_url: str, *, request_timeout: float, user_agent: str) -> None:
        """Read the proxies and the CA bundle from the environment; send nothing."""
        self._base_url = base_url.rstrip("/")
        self._timeout = request_timeout
        self._ca_bundle_checked = False
        self.host = urlsplit(self._base_url).netloc
        self.requests = Total()
        self.received_bytes = Total()
        self._session = _RequestsSession()
        # Otherwise requests would read the proxies from the environment for each request, and
        # take credentials from a `.netrc`.
        self._session.trust_env = False
        self._session.verify = next(filter(None, map(os.environ.get, CA_BUNDLE_VARIABLES)), True)
        # Plain http is for this machine only, and a proxy may be another machine.
        if urlsplit(base_url).scheme == "https":
            self._session.proxies = get_environ_proxies(base_url)
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, DeadlineAdapter(pool_maxsize=MAX_POOL_SIZE))
        self._session.headers.update(
            {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "gzip"}
        )
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        _silence_urllib3()

    @contextmanager
    def open(self, method: str, path: str, **kwargs: t.Any) -> Iterator[Response]:
        """Send one request and return the response; the body is read inside the context.

        Raises:
            RetryableError: a transient failure, of the request or while the body is read.
            APIError: a permanent failure.
        """
        self._check_ca_bundle()
        self._check_proxy()
        request = f"{method} {path}"
        self.requests.add(1)
        with time_limit(self._timeout * DEADLINE_FACTOR) as deadline:
            try:
                with self._session.request(
                    method, self._base_url + path, timeout=self._timeout, stream=True, **kwargs
                ) as response:
                    _check_status(response, request)
                    yield Response(response, deadline, self.received_bytes)
            except InvalidResponseError as error:
                # The cause may be temporary: the error page of a proxy, or a truncated body.
                raise RetryableError("unexpected response", on_exhausted=error) from error
            except RETRYABLE_EXCEPTIONS as error:
                if deadline.passed:
                    raise RetryableError("no complete response in time") from error
                raise self._translate(error) from error

    def _check_ca_bundle(self) -> None:
        """Load the CA bundle once, since requests reports an invalid one as a failed connection."""
        path = self._session.verify
        if isinstance(path, str) and not self._ca_bundle_checked:
            try:
                is_folder = Path(path).is_dir()
                ssl.create_default_context(
                    cafile=None if is_folder else path, capath=path if is_folder else None
                )
            except OSError as error:  # includes ssl.SSLError
                raise CABundleError(" or ".join(CA_BUNDLE_VARIABLES)) from error
            self._ca_bundle_checked = True

    def _check_proxy(self) -> None:
        """Check the proxy's scheme: requests has no clear error for one that is not supported."""
        proxy = select_proxy(self._base_url, self._session.proxies) or ""
        scheme, has_scheme, _ = proxy.partition("://")
        if has_scheme and scheme.lower() not in PROXY_SCHEMES:
            raise ProxyError(_without_credentials(proxy), "its URL is not supported")

    def _translate(self, error: Exception) -> Exception:  # noqa: PLR0911 - one for each kind
        """Return the tap's exception for a library's, without its text, which may contain URLs."""
        proxy = _without_credentials(select_proxy(self._base_url, self._session.proxies) or "")
        if isinstance(
            error, (requests.exceptions.InvalidSchema, requests.exceptions.InvalidProxyURL)
        ):
            return ProxyError(proxy, "its URL is not supported, or PySocks is not installed")
        if _caused_by(error, ssl.SSLCertVerificationError):
            return CertificateError(self.host)
        text = str(error)
        if status := _proxy_status(text):
            reason = f"it answered {status}"
            if status in RETRYABLE_STATUSES:
                return RetryableError(f"proxy: {reason}")
            return ProxyError(proxy, reason)
        if any(mark in text for mark in _NOT_TLS):
            if isinstance(error, requests.exceptions.ProxyError):
                return ProxyError(
                    proxy, "it does not speak TLS, so its URL must begin with http://"
                )
            return ProtocolMismatchError(self.host, "the port does not speak TLS")
        if _TLS_ALERT in text:
            return ProtocolMismatchError(self.host, "the port speaks TLS only")
        return RetryableError(_describe(error))


class _RequestsSession(requests.Session):
    @override
    def get_redirect_target(self, resp: requests.Response) -> None:
        # requests would read the body of a redirect and parse its target, even with
        # allow_redirects=False.
        return


def _check_status(response: requests.Response, request: str) -> None:
    status = response.status_code
    is_range = status == requests.codes.partial_content and "Range" in response.request.headers
    if status == requests.codes.ok or is_range:
        return
    if status in RETRYABLE_STATUSES:
        raise RetryableError(
            f"Focus answered {status}",
            retry_after=parse_retry_after(response.headers.get("Retry-After", "")),
            is_rate_limit=status == requests.codes.too_many_requests,
        )
    if status < requests.codes.multiple_choices:
        raise UnexpectedStatusError(status, request)
    if status < requests.codes.bad_request:
        raise RedirectError(request, _host_of(response.headers.get("Location", "")))
    raise HTTPStatusError(status, request)


def _silence_urllib3() -> None:
    """Disable urllib3's log lines, which contain URLs with the cursor, and headers."""
    # By name, since a logging configuration may have set a level for any of its loggers.
    for name in [*logging.root.manager.loggerDict]:
        if name.partition(".")[0] == "urllib3":
            logging.getLogger(name).disabled = True


def _caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False


def _host_of(location: str) -> str:
    """Return the host of a redirect's target, without the credentials in it."""
    try:
        url = urlsplit(location)
        port = f":{url.port}" if url.port else ""
    except ValueError:
        return "an invalid URL"
    return ascii(url.hostname + port)[:100] if url.hostname else "another path"


def _without_credentials(url: str) -> str:
    scheme, _, rest = url.rpartition("://")
    return f"{scheme or 'http'}://{rest.rpartition('@')[2].partition('/')[0]}"[:100] if url else ""


def _proxy_status(text: str) -> int | None:
    """Return the status with which a proxy rejected a tunnel, from the error of http.client."""
    _, found, rest = text.partition("Tunnel connection failed: ")
    return int(rest[:3]) if found and rest[:3].isdecimal() else None


def _describe(error: Exception) -> str:
    """Describe a failure without the library's own text, which contains URLs."""
    if isinstance(error, requests.Timeout):
        return "no response in time"
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return "the response could not be decompressed"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the connection to the proxy failed"
    return "the connection failed or was closed"
