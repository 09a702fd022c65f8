"""Serve recordings from memory at the lowest possible cost: all responses are built in advance.

One server offers several feeds. The first segment of the URL's path names the feed.
"""

from __future__ import annotations

import socket
import time
from hashlib import sha256
from itertools import islice
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tap_focus.sandbox.company import Company

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

SEED = 1
MAX_ENDPOINTS = 3
"""With three endpoints, a recording of the sandbox has about 1.1 KB, like the vendor's sample."""

EXTRA_FIELDS = ("direction", "qualityScore", "integration")
"""Fields that the tap's schema lacks: a string, a number and an object."""

_TOKENS = b'{"token":"token","refreshToken":"token"}'


class Feed(NamedTuple):
    """One feed of the server.

    Attributes:
        pages: Number of pages, not counting the empty page at the end.
        delay: Seconds that the server waits before each page, the empty one included.
        extra_fields: Whether every recording has the `EXTRA_FIELDS`.
    """

    pages: int
    delay: float = 0
    extra_fields: bool = False


class ServerInfo(NamedTuple):
    """The facts that the server reports when it is ready.

    Attributes:
        url: Base URL. Append the name of a feed to get the tap's `api_url`.
        mean_size: Mean size of a recording in bytes, without the `EXTRA_FIELDS`.
        id_sum: Sum of all values of `interactionId`, for a check that all recordings arrived.
    """

    url: str
    mean_size: float
    id_sum: int


def serve(
    recordings: int, page_size: int, feeds: dict[str, Feed], first_connection: Any, info: Connection
) -> None:
    """Serve until the process is terminated.

    Args:
        recordings: Number of recordings in a feed with all pages.
        page_size: Recordings per page. The server ignores `numberOfResults`.
        feeds: The feeds by name.
        first_connection: Shared double. When it is 0, the next connection sets it to its
            `time.monotonic`.
        info: Pipe end to which a `ServerInfo` is sent.
    """
    with_extra_fields = any(feed.extra_fields for feed in feeds.values())
    events = _events(recordings)
    pages: dict[bool, list[bytes]] = {False: [], True: []}
    size = id_sum = 0
    while page := list(islice(events, page_size)):
        number = len(pages[False]) + 1
        encoded = [msgspec.json.encode(event) for event in page]
        size += sum(map(len, encoded))
        id_sum += sum(event["interactionId"] for event in page)
        pages[False].append(_page(encoded, number))
        if with_extra_fields:
            encoded = [msgspec.json.encode(_with_extra_fields(event)) for event in page]
            pages[True].append(_page(encoded, number))
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    port = listener.getsockname()[1]
    info.send(ServerInfo(f"http://127.0.0.1:{port}/", size / max(recordings, 1), id_sum))
    server = _Server(pages, feeds)
    while True:
        connection, _ = listener.accept()
        if not first_connection.value:
            first_connection.value = time.monotonic()
        Thread(target=server.handle, args=(connection,), daemon=True).start()


class _Server:
    """Maps requests to prepared responses."""

    def __init__(self, pages: dict[bool, list[bytes]], feeds: dict[str, Feed]) -> None:
        self._pages = pages
        self._empty_pages = {feed.pages: _page([], feed.pages + 1) for feed in feeds.values()}
        self._login = _response(_TOKENS)
        self._feeds = {name.encode(): feed for name, feed in feeds.items()}
        count = len(pages[False]) + 2
        self._page_numbers = {_cursor(number).encode(): number for number in range(count)}

    def handle(self, connection: socket.socket) -> None:
        """Respond to all requests of a connection."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as requests:
            while line := requests.readline():
                length = 0
                for header in iter(requests.readline, b"\r\n"):
                    name, _, value = header.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                requests.read(length)
                connection.sendall(self._respond(line.split()[1]))

    def _respond(self, target: bytes) -> bytes:
        path, _, query = target.partition(b"?")
        _, name, endpoint = path.split(b"/")[:3]
        if endpoint == b"authWithAPIKey":
            return self._login
        feed = self._feeds[name]
        cursor = dict(pair.split(b"=") for pair in query.split(b"&")).get(b"cursorId", b"")
        number = self._page_numbers[cursor] if cursor else 0
        if feed.delay:
            time.sleep(feed.delay)
        if number < feed.pages:
            return self._pages[feed.extra_fields][number]
        return self._empty_pages[feed.pages]


def _events(count: int) -> Iterator[dict[str, Any]]:
    company = Company(SEED)
    for event in map(company.feed_entry, range(count)):
        event["endpoints"] = event["endpoints"][:MAX_ENDPOINTS]
        yield event


def _with_extra_fields(event: dict[str, Any]) -> dict[str, Any]:
    number = event["interactionId"]
    values = (
        ("inbound", "outbound")[number % 2],
        number % 1000 / 1000,
        {"provider": event["type"], "version": number % 7},
    )
    return {**event, **dict(zip(EXTRA_FIELDS, values, strict=True))}


def _page(recordings: list[bytes], next_page: int) -> bytes:
    body = b'{"recordings":[%b],"nextCursorId":"%b"}'
    return _response(body % (b",".join(recordings), _cursor(next_page).encode()))


def _cursor(page: int) -> str:
    """Return the opaque cursor of a page, in characters that URLs do not escape."""
    return sha256(str(page).encode()).hexdigest()[:56]


def _response(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body
