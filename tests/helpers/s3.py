"""An S3 server on localhost: moto, and before it the rules of S3 that moto does not enforce."""

from __future__ import annotations

import base64
import hashlib
import http.client
import threading
import time
import xml.etree.ElementTree as ET
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import boto3  # type: ignore[import-untyped]
from moto.server import ThreadedMotoServer

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "eu-west-1"

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "canary-access-key",
    "AWS_SECRET_ACCESS_KEY": "canary-secret-key",
    "AWS_DEFAULT_REGION": REGION,
}

TRUNCATE = (200, "")

HOP_HEADERS = {"connection", "content-length", "date", "expect", "server", "transfer-encoding"}


class S3Request(NamedTuple):
    """A request that the server received.

    `operation` is the method, followed by the names of parameters such as `retention`.
    """

    operation: str
    path: str
    headers: dict[str, str]
    size: int


@dataclass
class S3Server:
    """A running server.

    Attributes:
        url: its address.
        requests: what it received, except the requests of the test's own `client`.
        faults: status and error code to answer with, by operation such as `PUT` or `HEAD`. Each is
            used once. `TRUNCATE` sends half of the content.
        delay: seconds before each answer.
    """

    url: str
    client: Any
    requests: list[S3Request] = field(default_factory=list)
    faults: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    delay: float = 0

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead a client to this server."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.url}

    def count(self, operation: str, suffix: str = "") -> int:
        """Return how many requests of an operation there were, for paths that end with `suffix`."""
        return sum(
            request.operation == operation and request.path.endswith(suffix)
            for request in self.requests
        )

    def create_bucket(self, name: str, *, lock: bool = False) -> None:
        """Create an empty bucket, with Object Lock if wanted."""
        self.client.create_bucket(
            Bucket=name,
            CreateBucketConfiguration={"LocationConstraint": REGION},
            ObjectLockEnabledForBucket=lock,
        )


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run moto, and the server with the further rules before it."""
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
    front = _Front(f"{host}:{port}", client)
    thread = threading.Thread(target=front.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield front.state
    finally:
        front.shutdown()
        thread.join()
        front.server_close()
        client.close()
        moto.stop()


class _Front(ThreadingHTTPServer):
    """Enforces rules, and forwards the requests that keep them."""

    daemon_threads = True

    def __init__(self, backend: str, client: Any) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.backend = backend
        self.state = S3Server(f"http://127.0.0.1:{self.server_port}", client)
        self.writing = threading.Lock()  # a condition and its write are one step


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Front

    def handle_request(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self._read_chunked() if self._is_chunked() else self.rfile.read(length)
        url = urlsplit(self.path)
        parameters = parse_qs(url.query, keep_blank_values=True)
        names = [
            name
            for name in ("object-lock", "retention", "legal-hold", "uploads", "uploadId")
            if name in parameters
        ]
        operation = " ".join([self.command, *names])
        headers = {name.lower(): value for name, value in self.headers.items()}
        state = self.server.state
        state.requests.append(S3Request(operation, url.path, headers, len(body)))
        time.sleep(state.delay)
        fault = state.faults[operation].pop(0) if state.faults.get(operation) else None
        if fault and fault != TRUNCATE:
            self._refuse(*fault)
            return
        bucket, _, key = url.path.lstrip("/").partition("/")
        with self.server.writing:
            if error := self._broken_rule(operation, bucket, key, body):
                self._refuse(*error)
            else:
                self._forward(body, truncate=fault == TRUNCATE)

    def __getattr__(self, name: str) -> Any:
        """Return the method for `do_GET` and so on."""
        if name.startswith("do_"):
            return self.handle_request
        raise AttributeError(name)

    def _broken_rule(
        self, operation: str, bucket: str, key: str, body: bytes
    ) -> tuple[int, str] | None:
        """Return status and code of the error with which S3 would answer."""
        announced = self.headers.get("x-amz-checksum-sha256")
        computed = base64.b64encode(hashlib.sha256(body).digest()).decode()
        if self.command == "PUT" and announced and announced != computed:
            return 400, "BadDigest"
        has_digest = announced or self.headers.get("Content-MD5")
        if operation == "PUT" and key:
            locks = self._default_retention(bucket) or self._lock_headers()
            if locks and not (has_digest or self.headers.get("x-amz-trailer")):
                return 400, "InvalidRequest"
            until = self.headers.get("x-amz-object-lock-retain-until-date")
            if until and _time(until) <= datetime.now(timezone.utc):
                return 400, "InvalidArgument"
        if operation == "PUT retention":
            return self._broken_retention(bucket, key, body)
        return None

    def _broken_retention(self, bucket: str, key: str, body: bytes) -> tuple[int, str] | None:
        root = ET.fromstring(body)  # noqa: S314 - from the store under test
        values = {element.tag.rpartition("}")[2]: element.text or "" for element in root}
        until = _time(values["RetainUntilDate"])
        if until <= datetime.now(timezone.utc):
            return 400, "InvalidArgument"
        head = self.server.state.client.head_object(Bucket=bucket, Key=key)
        current = head.get("ObjectLockRetainUntilDate")
        is_weaker = head.get("ObjectLockMode") == "COMPLIANCE" and values["Mode"] == "GOVERNANCE"
        if current and (until < current or is_weaker):
            return 403, "AccessDenied"
        return None

    def _default_retention(self, bucket: str) -> bool:
        client = self.server.state.client
        try:
            answer = client.get_object_lock_configuration(Bucket=bucket)
        except client.exceptions.ClientError:
            return False
        return "Rule" in answer["ObjectLockConfiguration"]

    def _lock_headers(self) -> bool:
        return any(name.lower().startswith("x-amz-object-lock") for name in self.headers)

    def _is_chunked(self) -> bool:
        return self.headers.get("Transfer-Encoding", "").lower() == "chunked"

    def _read_chunked(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _forward(self, body: bytes, *, truncate: bool) -> None:
        connection = http.client.HTTPConnection(self.server.backend)
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in {"connection", "content-length", "expect", "transfer-encoding"}
        }
        headers["Content-Length"] = str(len(body))
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_HEADERS:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        connection.close()
        if truncate:
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
        else:
            self.wfile.write(content)

    def _refuse(self, status: int, code: str) -> None:
        text = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
        content = b"" if self.command == "HEAD" else text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
