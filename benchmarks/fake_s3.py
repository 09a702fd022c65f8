"""A minimal S3 server with a delay, which counts its requests.

It does not check signatures, and objects are in memory.
"""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

COUNTS = "/-/counts"
"""Path that returns the number of requests by method as JSON, and starts to count from zero."""

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "eu-west-1",
}

PAGE = 1000


def serve_s3(delay: float, url: Connection) -> None:
    """Serve an empty bucket of any name on the loopback interface, and send the URL through `url`.

    Args:
        delay: seconds before each answer.
        url: the end of a pipe.
    """
    with _Server(delay) as server:
        url.send(f"http://127.0.0.1:{server.server_port}")
        server.serve_forever()


class _Server(ThreadingHTTPServer):
    def __init__(self, delay: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.delay = delay
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.counts: dict[str, int] = {}
        self.lock = Lock()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_request(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path)
        if path.path == COUNTS:
            with self.server.lock:
                text = json.dumps(self.server.counts)
                self.server.counts.clear()
            self.send(200, text.encode())
            return
        time.sleep(self.server.delay)
        with self.server.lock:
            self.server.counts[self.command] = self.server.counts.get(self.command, 0) + 1
        key = path.path.split("/", 2)[2] if path.path.count("/") > 1 else ""
        if self.command == "PUT":
            self.put(key, content)
        elif key:
            self.get(key)
        else:
            self.list_keys({name: v[0] for name, v in parse_qs(path.query).items()})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self.handle_request
        raise AttributeError(name)

    def put(self, key: str, content: bytes) -> None:
        with self.server.lock:
            if self.headers["If-None-Match"] == "*" and key in self.server.objects:
                self.send(412, b"<Error><Code>PreconditionFailed</Code></Error>")
                return
            kept = ("content-type", "x-amz-meta-", "x-amz-checksum-sha256")
            headers = {n: v for n, v in self.headers.items() if n.lower().startswith(kept)}
            self.server.objects[key] = content, headers
        self.send(200, b"", {"ETag": '"0"'})

    def get(self, key: str) -> None:
        if key not in self.server.objects:
            self.send(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        content, headers = self.server.objects[key]
        first, last = 0, len(content) - 1
        if span := self.headers["Range"]:
            first, last = (int(n) for n in span.removeprefix("bytes=").split("-"))
            last = min(last, len(content) - 1)
            headers = {**headers, "Content-Range": f"bytes {first}-{last}/{len(content)}"}
        headers = {**headers, "ETag": '"0"', "Last-Modified": self.date_time_string()}
        self.send(206 if span else 200, content[first : last + 1], headers)

    def list_keys(self, parameters: dict[str, str]) -> None:
        prefix, after = parameters.get("prefix", ""), parameters.get("continuation-token", "")
        entries: dict[str, str] = {}
        for key in sorted(self.server.objects):
            head, slash, _ = key[len(prefix) :].partition("/")
            name = prefix + head + slash
            if not key.startswith(prefix) or name <= after:
                continue
            if slash:
                entries[name] = f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
            else:
                size = len(self.server.objects[key][0])
                entries[name] = (
                    f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size>"
                    "<LastModified>2025-01-01T00:00:00Z</LastModified></Contents>"
                )
        names = list(entries)[:PAGE]
        text = "".join(entries[name] for name in names)
        if len(entries) > PAGE:
            token = escape(names[-1])
            text += f"<NextContinuationToken>{token}</NextContinuationToken>"
            text += "<IsTruncated>true</IsTruncated>"
        text = f"<ListBucketResult>{text}</ListBucketResult>"
        self.send(200, text.encode(), {"Content-Type": "application/xml"})

    def send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass
