"""A fake Focus server on a real socket: a few pages in memory, and faults by script.

Each request is of a kind: `login`, `cursor` or `audio`. It takes the next fault from the list of
its kind. When the list is empty, it takes the fault in `always`, or is answered correctly. A fault
is a function that writes to the connection.
"""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import math
import socket
import struct
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from email.message import Message

    from typing_extensions import Self

    Fault = Callable[["Handler", bytes], None]

# Values that no log may contain; see `FakeFocus.canaries`.
API_KEY = "canary-key-41f7"
REFRESH_TOKEN = "canary-refresh-9b02"
PERSON = "Canary Cartwright"
PHONE_NUMBER = "+15550100199"
SNIPPET = "canary snippet, strictly between us"
CURSOR = "canary-cursor-" + "0123456789abcdef" * 4

ACCOUNT = {"api_key": API_KEY, "username": "canary-user", "client_id": 7}
"""The settings that log in."""

AUDIO = b"ID3" + bytes(range(256)) * 40
"""The audio of each recording."""


def recording(number: int, **fields: Any) -> dict[str, Any]:
    """Return a recording whose audio may be fetched, with values that no log may contain."""
    return {
        "interactionId": number,
        "startDatetimeUTC": "2025-05-01T09:01:10.956Z",
        "type": "teams",
        "thirdPartyId": f"call|{number}",
        "transcriptSnippet": SNIPPET,
        "endpoints": [
            {"person": {"id": 1, "fullName": PERSON}, "endpoint": {"endpoint": PHONE_NUMBER}}
        ],
        "mediaAccessStatus": "Permitted",
        **fields,
    }


def page(recordings: list[Any], cursor: Any) -> bytes:
    """Return the body of a page."""
    return json.dumps({"recordings": recordings, "nextCursorId": cursor}).encode()


def page_cursor(number: int) -> str:
    """Return the cursor that continues after a page of `feed`, counted from 1."""
    return f"{CURSOR}-{number}"


def feed(*pages: int | list[Any], **fields: Any) -> dict[str | None, bytes]:
    """Return pages and the empty page after them, by the cursor that requests each.

    Args:
        pages: for each page its recordings, or how many new ones it has. These are numbered from 1
            over all pages.
        fields: fields of each new recording.
    """
    bodies: dict[str | None, bytes] = {}
    requested_by: str | None = None
    last = 0
    for number, content in enumerate([*pages, []], start=1):
        recordings = content
        if isinstance(recordings, int):
            recordings = [recording(last + n, **fields) for n in range(1, recordings + 1)]
            last += len(recordings)
        bodies[requested_by] = page(recordings, page_cursor(number))
        requested_by = page_cursor(number)
    # The newest cursor continues to return an empty page.
    bodies[requested_by] = page([], requested_by)
    return bodies


@dataclass
class Request:
    """A request that arrived.

    Attributes:
        kind: `login`, `cursor` or `audio`.
        query: the parameters of a GET.
        body: the JSON of a POST.
        time: when it arrived, by `time.monotonic`.
        status: of the response. None before it, and for a fault that writes no status by `send`.
    """

    kind: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    headers: Message
    time: float
    status: int | None = None


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FakeFocus
    content_type = "application/json"
    received: Request

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        if "auth" in self.path:
            self._receive("login", body)
            self._respond(self.server.login_response())
        else:
            self._receive("audio", body)
            self.content_type = "audio/mpeg"
            self._respond(AUDIO)

    def do_GET(self) -> None:
        self._receive("cursor", {})
        if self.server.accepts(self.headers.get("Authorization")):
            self._respond(self.server.pages.get(self.received.query.get("cursorId"), b""))
        else:
            status(401)(self, b"")

    def _receive(self, kind: str, body: dict[str, Any]) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.received = Request(kind, url.path, query, body, self.headers, time.monotonic())
        self.server.requests.append(self.received)

    def _respond(self, body: bytes) -> None:
        kind = self.received.kind
        faults = self.server.faults[kind]
        fault = faults.popleft() if faults else self.server.always.get(kind, ok)
        with suppress(ConnectionError):  # a client may close the connection on a fault
            fault(self, body)

    def send(
        self,
        status: int,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        length: int | None = None,
    ) -> None:
        """Write a response.

        Args:
            status: its status.
            body: its body.
            headers: its headers. Those with an empty value are omitted.
            length: the announced length, if it is not the true one.
        """
        self.send_response(status)
        for name, value in {"Content-Type": self.content_type, **(headers or {})}.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def send_response(self, code: int, message: str | None = None) -> None:
        self.received.status = code
        super().send_response(code, message)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the text of the header `Date`, by the server's clock."""
        return super().date_time_string(timestamp or self.server.clock())

    def log_message(self, *_: object) -> None:
        """Write no log."""


class FakeFocus(ThreadingHTTPServer):
    """The server. It answers while its `with` block lasts.

    Attributes:
        pages: bodies of pages, by the cursor that requests each.
        faults: by kind, the faults of the next requests.
        always: by kind, the fault of all requests after those.
        requests: all requests that arrived.
        token: the last token that was issued.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(  # noqa: PLR0913 - named by the caller
        self,
        pages: Mapping[str | None, bytes],
        *,
        login: list[Fault] | None = None,
        cursor: list[Fault] | None = None,
        audio: list[Fault] | None = None,
        always: Mapping[str, Fault] | None = None,
        claims: Mapping[str, float] | None = None,
        token_lifetime: float = math.inf,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare a server.

        Args:
            pages: see `feed`.
            login: the faults of the first logins; the same for `cursor` and `audio`.
            always: the faults after those, by kind.
            claims: the claims of each token, instead of `iat` and `exp` of an hour.
            token_lifetime: seconds after which the server rejects a token, whatever it claims.
            clock: the server's clock, in seconds since 1970, for the header `Date`.
        """
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages = dict(pages)
        self.faults = {
            "login": deque(login or []),
            "cursor": deque(cursor or []),
            "audio": deque(audio or []),
        }
        self.always = dict(always or {})
        self.requests: list[Request] = []
        self.token = ""
        self.clock = clock
        self._claims = claims
        self._lifetime = token_lifetime
        self._token_end = 0.0
        self._tokens: list[str] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """Ignore clients that disappear."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api"

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the tap that lead here."""
        return {"api_url": self.url, **ACCOUNT}

    @property
    def canaries(self) -> list[str]:
        """The values that no log may contain."""
        return [API_KEY, REFRESH_TOKEN, PERSON, PHONE_NUMBER, SNIPPET, CURSOR, *self._tokens]

    @property
    def secrets(self) -> list[str]:
        """The values that no output may contain."""
        return [API_KEY, REFRESH_TOKEN, *self._tokens]

    def of_kind(self, kind: str) -> list[Request]:
        return [request for request in self.requests if request.kind == kind]

    @property
    def logins(self) -> list[Request]:
        return self.of_kind("login")

    @property
    def queries(self) -> list[dict[str, str]]:
        """The parameters of each request for a page."""
        return [request.query for request in self.of_kind("cursor")]

    @property
    def cursors(self) -> list[str | None]:
        """The cursor of each request for a page."""
        return [query.get("cursorId") for query in self.queries]

    @property
    def statuses(self) -> list[int | None]:
        return [request.status for request in self.requests]

    def waits(self, kind: str) -> list[float]:
        """Return the seconds from each request of a kind to the next one."""
        times = [request.time for request in self.of_kind(kind)]
        return [later - earlier for earlier, later in itertools.pairwise(times)]

    def accepts(self, authorization: str | None) -> bool:
        return authorization == f"Bearer {self.token}" and time.monotonic() < self._token_end

    def login_response(self) -> bytes:
        """Return the body of a response with a new token."""
        claims: dict[str, float] = {"n": len(self._tokens), **(self._claims or {})}
        if self._claims is None:
            claims |= {"iat": self.clock(), "exp": self.clock() + 3600}
        payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
        self.token = f"e30.{payload}.canarysignature"
        self._tokens.append(self.token)
        self._token_end = time.monotonic() + self._lifetime
        return json.dumps({"token": self.token, "refreshToken": REFRESH_TOKEN}).encode()


def ok(handler: Handler, body: bytes) -> None:
    """Respond as Focus should."""
    handler.send(200, body)


def respond(
    body: bytes, content_type: str = "application/json", *, status: int = 200, **headers: str
) -> Fault:
    """Respond with another body, and with headers such as `Content_Encoding`."""

    def fault(handler: Handler, _: bytes) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.send(status, body, {"Content-Type": content_type, **named})

    # pytest makes the name of a test case of it.
    fault.__name__ = f"{status} {content_type} {body[:20]!r}"
    return fault


def status(code: int, **headers: str) -> Fault:
    """Respond with a status, and with headers such as `Retry_After`."""
    fault = respond(f"{PERSON} {SNIPPET} {API_KEY}".encode(), status=code, **headers)
    fault.__name__ = f"{code}"
    return fault


def redirect(url: str) -> Fault:
    return status(302, Location=url)


def close(handler: Handler, _: bytes) -> None:
    """Close the connection instead of responding."""
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def reset(handler: Handler, _: bytes) -> None:
    """Reset the connection instead of responding."""
    # With a linger time of 0 seconds, close() sends RST.
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.wfile.close()
    handler.rfile.close()
    handler.connection.close()


def truncated(handler: Handler, body: bytes) -> None:
    """Announce the whole body, send half of it, and close the connection."""
    handler.send(200, body[: len(body) // 2], length=len(body))
    close(handler, body)


def truncated_chunked(handler: Handler, body: bytes) -> None:
    """Send half of the body as a chunk, and close the connection without the last chunk."""
    half = body[: len(body) // 2]
    handler.send_response(200)
    handler.send_header("Content-Type", handler.content_type)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"%x\r\n%b\r\n" % (len(half), half))
    close(handler, body)


def without_length(handler: Handler, body: bytes) -> None:
    """Announce neither a length nor chunks: a truncated body would look complete."""
    content_type = handler.content_type.encode()
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n\r\n%b" % (content_type, body))
    handler.close_connection = True


def chunked(handler: Handler, body: bytes) -> None:
    """Respond correctly, in chunks."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for start in range(0, len(body), 1000):
        part = body[start : start + 1000]
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
    handler.wfile.write(b"0\r\n\r\n")


def negative_chunk_size(handler: Handler, body: bytes) -> None:
    """Send a chunk whose size would mean: read until the end of the connection."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n" + body)
    handler.close_connection = True


def gzipped(handler: Handler, body: bytes) -> None:
    """Respond correctly, compressed."""
    handler.send(200, gzip.compress(body), {"Content-Encoding": "gzip"})


def invalid_gzip(handler: Handler, body: bytes) -> None:
    """Announce gzip and send the plain body."""
    handler.send(200, body, {"Content-Encoding": "gzip"})


def truncated_gzip(handler: Handler, body: bytes) -> None:
    """Send compressed data whose end is missing."""
    handler.send(200, gzip.compress(body)[:-10], {"Content-Encoding": "gzip"})


def drip(handler: Handler, body: bytes) -> None:
    """Send a byte of the body every tenth of a second."""
    handler.send(200, b"", length=len(body))
    _drip(handler, body)


def drip_without_keep_alive(handler: Handler, body: bytes) -> None:
    """Drip a body whose length is announced, on a connection that is closed after it."""
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    handler.wfile.write(head % len(body))
    _drip(handler, body)


def drip_without_length(handler: Handler, _: bytes) -> None:
    """Drip a body that ends with the connection, as in HTTP/1.0, and never ends."""
    handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n")
    _drip(handler, b" " * 10_000)


def drip_headers(handler: Handler, _: bytes) -> None:
    """Drip a header that never ends."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    _drip(handler, b"x" * 10_000)


def _drip(handler: Handler, data: bytes) -> None:
    for byte in data:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.1)


def slow(seconds: float) -> Fault:
    """Respond correctly, but late."""

    def fault(handler: Handler, body: bytes) -> None:
        time.sleep(seconds)
        ok(handler, body)

    fault.__name__ = f"slow {seconds}"
    return fault
