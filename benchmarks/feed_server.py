"""A Focus that costs as little as can be: a feed from memory, every answer made in advance.

One server hands out several feeds, each under a path of its own before Focus's paths: all pages, a
few, or none, at once or after a wait.
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
MOST_ENDPOINTS = 3
"""So that a recording of the sandbox's company is of about 1.1 KB, as Focus's are."""

_LOGIN = b'{"token":"token","refreshToken":"token"}'


class Feed(NamedTuple):
    """So many of the pages, and the seconds that the server takes for each, the empty one too."""

    pages: int
    seconds: float = 0


class Facts(NamedTuple):
    """What there is to read.

    Attributes:
        url: the base of each feed's URL, which ends in the feed's name.
        mean_size: bytes of a recording.
        ids: the sum of all `interactionId`, to see that all came.
    """

    url: str
    mean_size: float
    ids: int


def serve(
    recordings: int, page_size: int, feeds: dict[str, Feed], first: Any, facts: Connection
) -> None:
    """Serve for ever.

    Args:
        recordings: how many there are in all.
        page_size: how many are in a page, whatever the client asks for.
        feeds: by their names.
        first: shared memory of a double; 0 becomes the time of the next connection.
        facts: through it the `Facts` are told.
    """
    events = _events(recordings)
    bodies: list[bytes] = []
    size = ids = 0
    while page := list(islice(events, page_size)):
        encoded = [msgspec.json.encode(event) for event in page]
        size += sum(map(len, encoded))
        ids += sum(event["interactionId"] for event in page)
        bodies.append(_page(encoded, len(bodies) + 1))
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    port = listener.getsockname()[1]
    facts.send(Facts(f"http://127.0.0.1:{port}/", size / max(recordings, 1), ids))
    server = _Server(bodies, feeds)
    while True:
        connection, _ = listener.accept()
        if not first.value:
            first.value = time.monotonic()
        Thread(target=server.converse, args=(connection,), daemon=True).start()


class _Server:
    """Knows the answers."""

    def __init__(self, bodies: list[bytes], feeds: dict[str, Feed]) -> None:
        self._answers = [_answer(body) for body in bodies]
        self._ends = {feed.pages: _answer(_page([], feed.pages + 1)) for feed in feeds.values()}
        self._login = _answer(_LOGIN)
        self._feeds = {name.encode(): feed for name, feed in feeds.items()}
        self._places = {_cursor(number).encode(): number for number in range(len(bodies) + 2)}

    def converse(self, connection: socket.socket) -> None:
        """Answer all requests of a connection; nothing is written to a log."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as requests:
            while line := requests.readline():
                length = 0
                for header in iter(requests.readline, b"\r\n"):
                    name, _, value = header.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                requests.read(length)
                connection.sendall(self._to(line.split()[1]))

    def _to(self, target: bytes) -> bytes:
        path, _, query = target.partition(b"?")
        _, name, first = path.split(b"/")[:3]
        if first == b"authWithAPIKey":
            return self._login
        feed = self._feeds[name]
        cursor = dict(pair.split(b"=") for pair in query.split(b"&")).get(b"cursorId", b"")
        place = self._places[cursor] if cursor else 0
        if feed.seconds:
            time.sleep(feed.seconds)
        return self._answers[place] if place < feed.pages else self._ends[feed.pages]


def _events(count: int) -> Iterator[dict[str, Any]]:
    company = Company(SEED)
    for event in map(company.event, range(count)):
        event["endpoints"] = event["endpoints"][:MOST_ENDPOINTS]
        yield event


def _page(recordings: list[bytes], following: int) -> bytes:
    cursor = _cursor(following).encode()
    return b'{"recordings":[%b],"nextCursorId":"%b"}' % (b",".join(recordings), cursor)


def _cursor(page: int) -> str:
    """Return the cursor that leads to a page: as long as Focus's own, and as opaque."""
    return sha256(str(page).encode()).hexdigest()[:56]


def _answer(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body
