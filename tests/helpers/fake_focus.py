"""A Focus of a few pages in memory, on a real socket, which misbehaves by script.

Each request of a kind ("login", "cursor" or "audio") takes the next fault from its list; when the
list is used up it is answered well. A fault is a function that writes to the connection itself.
"""

from __future__ import annotations

import base64
import gzip
import json
import socket
import struct
import threading
import time
from collections import deque
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typing_extensions import Self

    Fault = Callable[["Handler", bytes], None]

# Each is looked for in every log: see `Focus.canaries`.
KEY = "canary-key-41f7"
REFRESH_TOKEN = "canary-refresh-9b02"
NAME = "Canary Cartwright"
NUMBER = "+15550100199"
SNIPPET = "canary snippet, strictly between us"
CURSOR = "canary-cursor-" + "0123456789abcdef" * 4


def recording(number: int, **more: Any) -> dict[str, Any]:
    """A recording full of what no log may hold."""
    return {
        "interactionId": number,
        "startDatetimeUTC": "2025-05-01T09:01:10.956Z",
        "transcriptSnippet": SNIPPET,
        "endpoints": [{"person": {"id": 1, "fullName": NAME}, "endpoint": {"endpoint": NUMBER}}],
        **more,
    }


def page(recordings: list[dict[str, Any]], cursor: Any) -> bytes:
    """The body of one answer of the cursor."""
    return json.dumps({"recordings": recordings, "nextCursorId": cursor}).encode()


def feed(*sizes: int, first: int = 1) -> dict[str | None, bytes]:
    """Pages of these sizes and the empty page after them, by the cursor that leads to each."""
    pages: dict[str | None, bytes] = {}
    asked: str | None = None
    for place, size in enumerate([*sizes, 0], start=1):
        after = f"{CURSOR}-{place}"
        pages[asked] = page([recording(first + n) for n in range(size)], after)
        asked = after
        first += size
    # Up to date: asked again, the newest cursor brings an empty page.
    pages[asked] = page([], asked)
    return pages


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Focus
    content_type = "application/json"
    asked: dict[str, Any]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "auth" in self.path:
            self.server.logins.append((self.path, json.loads(body)))
            self.answer("login", self.server.new_token())
        else:
            self.asked = json.loads(body)
            self.answer("audio", b"")

    def do_GET(self) -> None:
        query = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
        self.server.queries.append(query)
        if self.headers.get("Authorization") != f"Bearer {self.server.token}":
            status(401)(self, b"")
        else:
            self.answer("cursor", self.server.pages.get(query.get("cursorId"), b""))

    def answer(self, kind: str, body: bytes) -> None:
        faults = self.server.faults[kind]
        fault = faults.popleft() if faults else self.server.always.get(kind, well)
        with suppress(ConnectionError):  # a client may hang up on a fault
            fault(self, body)

    def send(
        self, code: int, body: bytes, headers: Mapping[str, str] | None = None, *, length: int = -1
    ) -> None:
        """Write an answer; its announced length may be a lie."""
        self.send_response(code)
        for name, value in {"Content-Type": self.content_type, **(headers or {})}.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length < 0 else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


class Focus(ThreadingHTTPServer):
    """The server, as a context manager."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        pages: Mapping[str | None, bytes],
        *,
        login: list[Fault] | None = None,
        cursor: list[Fault] | None = None,
        always: Mapping[str, Fault] | None = None,
        claims: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages = dict(pages)
        self.faults = {"login": deque(login or []), "cursor": deque(cursor or []), "audio": deque()}
        self.always = dict(always or {})
        self.claims = claims
        self.logins: list[tuple[str, dict[str, Any]]] = []
        self.queries: list[dict[str, str]] = []
        self.token = ""
        self.tokens: list[str] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """Stay silent: clients are expected to vanish."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api"

    @property
    def settings(self) -> dict[str, Any]:
        return {"api_url": self.url, "api_key": KEY, "username": "canary-user", "client_id": 7}

    @property
    def canaries(self) -> list[str]:
        return [KEY, REFRESH_TOKEN, NAME, NUMBER, SNIPPET, CURSOR, *self.tokens]

    def new_token(self) -> bytes:
        claims = {"n": len(self.tokens), **(self.claims or {})}
        if self.claims is None:
            claims |= {"iat": time.time(), "exp": time.time() + 3600}
        payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
        self.token = f"e30.{payload}.canarysignature"
        self.tokens.append(self.token)
        return json.dumps({"token": self.token, "refreshToken": REFRESH_TOKEN}).encode()


def well(handler: Handler, body: bytes) -> None:
    """Answer as Focus should."""
    handler.send(200, body)


def status(code: int, body: bytes = b"", **headers: str) -> Fault:
    """Answer with a status, and headers such as `Retry_After`."""
    text = body or f"{NAME} {SNIPPET} {KEY}".encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _: handler.send(code, text, named)


def answering(body: bytes, **headers: str) -> Fault:
    """Answer 200 with another body."""
    return status(200, body, **headers)


def redirect(url: str) -> Fault:
    return status(302, b"elsewhere", Location=url)


def hang_up(handler: Handler, _: bytes) -> None:
    """Close the connection in place of an answer."""
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def reset(handler: Handler, _: bytes) -> None:
    """Reset the connection in place of an answer."""
    # Lingering for zero seconds makes close() send RST.
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.wfile.close()
    handler.rfile.close()
    handler.connection.close()


def cut(handler: Handler, body: bytes) -> None:
    """Announce the whole body, send half of it and hang up."""
    handler.send(200, body[: len(body) // 2], length=len(body))
    hang_up(handler, body)


def cut_chunked(handler: Handler, body: bytes) -> None:
    """Send half of the body as a chunk, without the end, and hang up."""
    half = body[: len(body) // 2]
    handler.send_response(200)
    handler.send_header("Content-Type", handler.content_type)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"%x\r\n%s\r\n" % (len(half), half))
    hang_up(handler, body)


def chunked(handler: Handler, body: bytes) -> None:
    """Answer well, in chunks."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for start in range(0, len(body), 1000):
        part = body[start : start + 1000]
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
    handler.wfile.write(b"0\r\n\r\n")


def compressed(handler: Handler, body: bytes) -> None:
    """Answer well, with gzip."""
    handler.send(200, gzip.compress(body), {"Content-Encoding": "gzip"})


def bad_gzip(handler: Handler, body: bytes) -> None:
    """Say gzip and send something else."""
    handler.send(200, body, {"Content-Encoding": "gzip"})


def drip(handler: Handler, body: bytes) -> None:
    """Send a byte of the body every tenth of a second."""
    handler.send(200, b"", length=len(body))
    for byte in body:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.1)


def drip_without_length(handler: Handler, _: bytes) -> None:
    """Drip a body that ends with the connection, as HTTP/1.0 does."""
    handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        handler.wfile.write(b" ")
        time.sleep(0.1)


def drip_and_close(handler: Handler, body: bytes) -> None:
    """Drip a body after which the connection is closed."""
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    handler.wfile.write(head % len(body))
    for byte in body:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.1)


def sized_below_zero(handler: Handler, body: bytes) -> None:
    """Send a chunk of a size that would mean: all that ever comes."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n" + body)
    handler.close_connection = True


def drip_headers(handler: Handler, _: bytes) -> None:
    """Send a header that never ends."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        handler.wfile.write(b"x")
        time.sleep(0.1)


def slow(seconds: float) -> Fault:
    """Answer well, but late."""

    def fault(handler: Handler, body: bytes) -> None:
        time.sleep(seconds)
        well(handler, body)

    return fault
