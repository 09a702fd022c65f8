"""Serve one feed, and the same audio for every recording, after a delay.

The server can limit the rate of its requests for audio, and counts what it answers.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections import Counter
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from processes import MIB

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

PAGE_SIZE = 100
AUDIO_PATH = "/client/recording.playBackByThirdPartyId"
COUNTS_PATH = "/counts"
"""Returns the numbers of requests since the last call, as JSON: `pages`, `audio`, `rejected`."""


class Feed(NamedTuple):
    """A feed of recordings with audio.

    Attributes:
        recordings: Number of recordings.
        size: Bytes of each audio file.
        delay: Seconds that the server waits before each audio response.
        page_delay: Seconds that the server waits before each page.
        limit: Audio responses per second. The server answers further requests with status 429 and
            `Retry-After: 1`.
        page_size: Recordings per page. The server ignores `numberOfResults`.
    """

    recordings: int
    size: int
    delay: float = 0
    page_delay: float = 0
    limit: float = math.inf
    page_size: int = PAGE_SIZE


class _Server(ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True

    def __init__(self, feed: Feed) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.feed = feed
        self.block = os.urandom(min(feed.size, 4 * MIB))
        self.counts: Counter[str] = Counter()
        self._lock = Lock()
        self._second = self._audio_in_second = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that were killed."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def count(self, name: str) -> None:
        """Count a request."""
        with self._lock:
            self.counts[name] += 1

    def take_counts(self) -> dict[str, int]:
        """Return the numbers of requests since the last call."""
        with self._lock:
            counts = dict(self.counts)
            self.counts.clear()
            return counts

    def allows_audio(self) -> bool:
        """Return whether one more request for audio is within the limit of this second."""
        with self._lock:
            second = int(time.monotonic())
            if second != self._second:
                self._second, self._audio_in_second = second, 0
            self._audio_in_second += 1
            return self._audio_in_second <= self.feed.limit


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != AUDIO_PATH:
            self._send_json({"token": "token", "refreshToken": "token"})
        elif self.server.allows_audio():
            self.server.count("audio")
            self._send_audio()
        else:
            self.server.count("rejected")
            self._send_head(HTTPStatus.TOO_MANY_REQUESTS, "application/json", 0)

    def do_GET(self) -> None:
        if self.path == COUNTS_PATH:
            self._send_json(self.server.take_counts())
            return
        feed = self.server.feed
        self.server.count("pages")
        time.sleep(feed.page_delay)
        cursor = self.path.partition("cursorId=")[2].partition("&")[0]
        first = int(cursor or 0)
        end = min(first + feed.page_size, feed.recordings)
        recordings = [
            {
                "interactionId": number,
                "startDatetimeUTC": "2025-05-01T09:00:00Z",
                "thirdPartyId": str(number),
                "mediaAccessStatus": "Permitted",
            }
            for number in range(first, end)
        ]
        self._send_json({"recordings": recordings, "nextCursorId": str(end)})

    def _send_audio(self) -> None:
        feed, block = self.server.feed, self.server.block
        time.sleep(feed.delay)
        self._send_head(HTTPStatus.OK, "audio/mpeg", feed.size)
        for start in range(0, feed.size, len(block)):
            self.wfile.write(block[: feed.size - start])

    def _send_json(self, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self._send_head(HTTPStatus.OK, "application/json", len(body))
        self.wfile.write(body)

    def _send_head(self, status: HTTPStatus, content_type: str, content_length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(content_length))
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            self.send_header("Retry-After", "1")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def serve(feed: Feed, url: Connection) -> None:
    """Serve a feed on the loopback interface, and send the base URL through `url`."""
    with _Server(feed) as server:
        url.send(f"http://127.0.0.1:{server.server_port}")
        server.serve_forever()
