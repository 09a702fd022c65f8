"""One attempt, over real sockets where the error depends on a library's text."""

from __future__ import annotations

import gzip
import logging
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
import requests_mock
import trustme

from tap_focus.api.retry import RetryableError
from tap_focus.api.session import CA_BUNDLE_VARIABLES, Session
from tap_focus.errors import (
    APIError,
    CABundleError,
    CertificateError,
    HTTPStatusError,
    InvalidResponseError,
    ProtocolMismatchError,
    ProxyError,
    RedirectError,
    UnexpectedStatusError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

URL = "https://focus.example.com/api"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_network_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXY_VARIABLES, *CA_BUNDLE_VARIABLES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


class Server:
    """Sends the same response on each connection.

    Attributes:
        connections: how many there have been.
        requests: the heads of the requests that could be read.
    """

    def __init__(self, response: bytes, tls: ssl.SSLContext | None) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self._response = response
        self._tls = tls

    def run(self) -> None:
        with suppress(OSError):  # the listener is closed at the end
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                with connection, suppress(OSError):
                    self._respond(connection)

    def _respond(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True)
        with connection:
            request = connection.recv(65536)
            # A plain server answers a TLS handshake, too: it cannot know what it is.
            while request[:1].isalpha() and b"\r\n\r\n" not in request:
                request += connection.recv(65536)
            self.requests.append(request)
            connection.sendall(self._response)


@contextmanager
def serve(response: bytes = OK, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(response, tls)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        # Closing alone would not wake the thread.
        with suppress(OSError):
            server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        thread.join(10)


def read(url: str) -> bytes:
    """Send one request with a session that reads the environment, and return the body."""
    session = Session(url, request_timeout=5, user_agent="test")
    with session.open("GET", "/x", headers={"Authorization": "Bearer canary"}) as response:
        return response.read()


def error_of(url: str) -> Exception:
    """Return the error of a request, whose text shows no secret."""
    with pytest.raises((APIError, RetryableError)) as caught:
        read(url)

    assert "canary" not in str(caught.value)
    return caught.value


def test_a_plain_response_is_read() -> None:
    with serve() as server:
        assert read(f"http://{server.address}/api/") == b"{}"

    assert server.requests[0].startswith(b"GET /api/x HTTP/1.1\r\n")


def test_tls_to_a_plain_port_is_a_mismatch_of_protocols() -> None:
    with serve(b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        error = error_of(f"https://{server.address}/api")

    assert isinstance(error, ProtocolMismatchError)
    assert server.address in str(error)
    assert server.connections == 1


@pytest.mark.parametrize("version", [b"\x01", b"\x03"])
def test_plain_http_to_a_tls_port_is_a_mismatch_of_protocols(version: bytes) -> None:
    """A TLS server answers with an alert. OpenSSL's closes the connection instead."""
    with serve(b"\x15\x03%b\x00\x02\x02\x46" % version) as server:
        error = error_of(f"http://{server.address}/api")

    assert isinstance(error, ProtocolMismatchError)
    assert server.address in str(error)
    assert server.connections == 1


def test_a_certificate_of_an_unknown_authority_is_rejected(server_tls: ssl.SSLContext) -> None:
    with serve(tls=server_tls) as server:
        error = error_of(f"https://{server.address}/api")

    assert isinstance(error, CertificateError)
    assert server.address in str(error)
    assert server.requests == []


@pytest.mark.parametrize("variable", CA_BUNDLE_VARIABLES)
def test_a_ca_bundle_from_the_environment_is_trusted(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    authority: trustme.CA,
    server_tls: ssl.SSLContext,
    variable: str,
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv(variable, str(tmp_path / "ca.pem"))
    with serve(tls=server_tls) as server:
        assert read(f"https://{server.address}/api") == b"{}"


@pytest.mark.parametrize("content", [None, b"", b"canary: no certificate\n"])
@pytest.mark.parametrize("variable", CA_BUNDLE_VARIABLES)
def test_a_ca_bundle_that_cannot_be_read_is_an_error_before_any_request(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    monkeypatch.setenv(variable, str(tmp_path / "ca.pem"))
    with serve() as server:
        error = error_of(f"https://{server.address}/api")

    assert isinstance(error, CABundleError)
    assert variable in str(error)
    assert server.connections == 0


def test_a_bad_ca_bundle_is_an_error_on_each_attempt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    session = Session(URL, request_timeout=5, user_agent="test")
    for _ in range(2):
        with pytest.raises(CABundleError), session.open("GET", "/x"):
            pass


@pytest.mark.parametrize("status", [403, 407, 400])
def test_a_proxy_that_rejects_the_tunnel_is_final_and_named_without_credentials(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    with serve(b"HTTP/1.1 %d canary\r\nContent-Length: 0\r\n\r\n" % status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:canary@{proxy.address}/canary")
        error = error_of(URL)

    assert isinstance(error, ProxyError)
    assert f"http://{proxy.address} " in str(error)
    assert str(status) in str(error)
    assert proxy.requests[0].startswith(b"CONNECT focus.example.com:443 ")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_proxy_that_cannot_connect_now_may_do_so_later(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    with serve(b"HTTP/1.1 %d canary\r\nContent-Length: 0\r\n\r\n" % status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        error = error_of(URL)

    assert isinstance(error, RetryableError)
    assert str(status) in str(error)


def test_a_proxy_without_tls_at_an_https_url_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(b"HTTP/1.1 400 Bad Request\r\n\r\n") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"https://me:canary@{proxy.address}")
        error = error_of(URL)

    assert isinstance(error, ProxyError)
    assert proxy.address in str(error)
    assert "http://" in str(error)


@pytest.mark.parametrize(
    "url", ["gopher://proxy.example.com:1", "http://", "https://:0", "socks://127.0.0.1:1"]
)
def test_a_proxy_with_an_unusable_url_is_final(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)

    assert isinstance(error_of(URL), ProxyError)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
def test_plain_http_never_uses_a_proxy(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    with serve(b"canary") as proxy, serve() as server:
        monkeypatch.setenv(variable, f"http://{proxy.address}")

        assert read(f"http://{server.address}/api") == b"{}"

    assert proxy.connections == 0


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, RetryableError) for status in (408, 425, 429, 500, 502, 503, 504, 599)),
        *((status, HTTPStatusError) for status in (400, 401, 403, 404, 410, 418)),
        *((status, UnexpectedStatusError) for status in (201, 202, 204, 206)),
        *((status, RedirectError) for status in (301, 302, 303, 307, 308)),
    ],
)
def test_each_status_but_200_is_an_error(status: int, kind: type[Exception]) -> None:
    with requests_mock.Mocker() as focus:
        focus.get(f"{URL}/x", status_code=status, text="canary")
        error = error_of(URL)

    assert type(error) is kind
    assert focus.call_count == 1
    assert getattr(error, "status", status) == status


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("soon", None), ("", None), (None, None)]
)
def test_a_retryable_status_keeps_the_wait_that_the_server_asks_for(
    header: str | None, seconds: float | None
) -> None:
    headers = {} if header is None else {"Retry-After": header}
    with requests_mock.Mocker() as focus:
        focus.get(f"{URL}/x", status_code=429, headers=headers)
        error = error_of(URL)

    assert isinstance(error, RetryableError)
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    ("location", "fact"),
    [
        ("https://me:canary@other.example.com:8443/canary", "'other.example.com:8443'"),
        ("https://b\u00fccher.example.com/", r"b\xfccher"),
        ("/canary", "another path"),
        ("", "another path"),
        ("https://[canary", "an invalid URL"),
        ("https://host:canary/", "an invalid URL"),
    ],
)
def test_a_redirect_is_not_followed_and_named_by_its_host(location: str, fact: str) -> None:
    with requests_mock.Mocker() as focus:
        focus.get(f"{URL}/x", status_code=302, headers={"Location": location})
        error = error_of(URL)

    assert isinstance(error, RedirectError)
    assert fact in str(error)
    assert focus.call_count == 1


@pytest.mark.parametrize("encoding", ["", "identity", "Identity", "gzip", "GZIP"])
def test_a_response_may_be_compressed_once_by_gzip(encoding: str) -> None:
    is_compressed = encoding.lower() == "gzip"
    body = gzip.compress(b"text") if is_compressed else b"text"
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: %b\r\n\r\n"
    with serve(head % encoding.encode() + body) as server:
        assert read(f"http://{server.address}/api") == b"text"

    assert b"\r\naccept-encoding: gzip\r\n" in server.requests[0].lower()


@pytest.mark.parametrize(
    "encoding", ["gzip, gzip", "gzip,gzip", "deflate", "br", "zstd", "x-gzip", "identity, gzip"]
)
def test_a_response_that_is_compressed_otherwise_is_invalid(encoding: str) -> None:
    """Each further layer of compression could multiply the size."""
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: %b\r\n\r\n"
    with serve(head % encoding.encode() + gzip.compress(gzip.compress(b"text"))) as server:
        error = error_of(f"http://{server.address}/api")

    assert isinstance(error, RetryableError)
    assert isinstance(error.on_exhausted, InvalidResponseError)


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"canary",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ncanary\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n" + b"x" * 9,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\ncanary",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000,
    ],
    ids=lambda response: repr(response[17:60]),
)
def test_a_broken_response_may_be_better_on_the_next_attempt(response: bytes) -> None:
    with serve(response) as server:
        assert isinstance(error_of(f"http://{server.address}/api"), RetryableError)


def test_a_closed_port_may_be_open_on_the_next_attempt() -> None:
    with serve() as server:
        pass

    assert isinstance(error_of(f"http://{server.address}/api"), RetryableError)


def test_an_invalid_response_is_retried_before_it_ends_the_run() -> None:
    session = Session(URL, request_timeout=5, user_agent="test")
    invalid = InvalidResponseError("invalid")
    with requests_mock.Mocker() as focus:
        focus.get(f"{URL}/x")
        with pytest.raises(RetryableError) as caught, session.open("GET", "/x"):
            raise invalid

    assert caught.value.on_exhausted is invalid


def test_an_error_of_the_caller_is_not_translated() -> None:
    session = Session(URL, request_timeout=5, user_agent="test")
    with requests_mock.Mocker() as focus:
        focus.get(f"{URL}/x")
        with pytest.raises(ZeroDivisionError), session.open("GET", "/x"):
            raise ZeroDivisionError


def test_cookies_are_not_sent_back() -> None:
    session = Session(URL, request_timeout=5, user_agent="test")
    with requests_mock.Mocker() as focus:
        focus.get(f"{URL}/x", headers={"Set-Cookie": "a=canary; Path=/"})
        for _ in range(2):
            with session.open("GET", "/x") as response:
                response.read()

    assert "Cookie" not in focus.request_history[1].headers


def test_urllib3_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serve() as server:
        read(f"http://{server.address}/api")

    assert [record.name for record in caplog.records if record.name.startswith("urllib3")] == []
