"""HTTP connections that take a limit on time, and no more than was announced.

requests has no bound on the whole time of a request: its timeout counts anew with every byte that
arrives, in headers too, so a server that drips could hold a request for ever. And it would pass
over bytes that follow a body's announced length.
"""

from __future__ import annotations

import socket
import threading
import time
import typing as t
from contextlib import contextmanager, suppress
from http.client import HTTPException, HTTPResponse

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.util.ssltransport import SSLTransport

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from urllib3 import PoolManager

_thread = threading.local()

_LOOK_EVERY = 0.2
"""Seconds between two looks at the deadlines; and, after one, between two attempts to hang up."""


class Deadline:
    """Hangs up on the connection that a thread uses when its time is over.

    Attributes:
        passed: whether it did.
        connection: what the thread asks by.
        sock: the answer's, which outlives the connection where that is not kept alive.
    """

    def __init__(self, seconds: float) -> None:
        """Begin to count, without a connection."""
        self.passed = False
        self.connection: HTTPConnection | None = None
        self.sock: t.Any = None
        self._most = seconds
        self._until = time.monotonic() + seconds

    def allow(self, seconds: float) -> None:
        """Grant more time, up to all that there was: for a large file, as its bytes arrive."""
        self._until = min(self._until + seconds, time.monotonic() + self._most)

    def look(self) -> None:
        """Hang up if the time is over; again and again, as a connection may be about to be made."""
        if time.monotonic() < self._until:
            return
        self.passed = True
        sock = self.sock or (self.connection and self.connection.sock)
        while isinstance(sock, SSLTransport):  # TLS within a proxy's TLS
            sock = sock.socket
        if sock:
            with suppress(OSError):  # the other side may have been faster
                # As if it were no TLS socket, whose own method would end the encryption first.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _Watch:
    """A thread that looks at all deadlines. One for all: to start one takes time that counts."""

    def __init__(self) -> None:
        self._deadlines: set[Deadline] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self, limit: Deadline) -> None:
        with self._lock:
            self._deadlines.add(limit)
            if not self._thread:
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()

    def end(self, limit: Deadline) -> None:
        with self._lock:
            self._deadlines.discard(limit)

    def _run(self) -> None:
        while True:
            time.sleep(_LOOK_EVERY)
            with self._lock:
                for limit in self._deadlines:
                    limit.look()


_watch = _Watch()


@contextmanager
def deadline(seconds: float) -> Iterator[Deadline]:
    """Bound what the current thread asks and reads by an `Adapter` within the block."""
    limit = _thread.deadline = Deadline(seconds)
    _watch.begin(limit)
    try:
        yield limit
    finally:
        _watch.end(limit)
        _thread.deadline = None


class _Response(HTTPResponse):
    """An answer that may not go on after its announced length, nor announce less than nothing."""

    def _safe_read(self, amt: int) -> bytes:
        if amt < 0:  # a chunk's size; it would be read to the end of memory
            raise HTTPException("a chunk's size is below zero")
        return super()._safe_read(amt)  # type: ignore[misc,no-any-return]

    def _close_conn(self) -> None:
        fp = self.fp
        excess = b""
        if self.length == 0:
            # No other way leads from a response to its socket.
            sock: socket.socket = fp.raw._sock  # type: ignore[attr-defined]  # noqa: SLF001
            timeout = sock.gettimeout()
            sock.settimeout(0)  # look at what has arrived, and wait for nothing
            with suppress(OSError):
                excess = fp.peek(1)
            sock.settimeout(timeout)
        super()._close_conn()  # type: ignore[misc]
        if excess:
            raise HTTPException("the body is longer than announced")


class _Connection(HTTPConnection):
    """Makes itself known to the thread's deadline, new or taken from the pool."""

    response_class = _Response

    def connect(self) -> None:
        self._make_known()  # a proxy may drip its answer to CONNECT
        super().connect()

    def request(self, *args: t.Any, **kwargs: t.Any) -> None:
        self._make_known()
        super().request(*args, **kwargs)
        self._make_known()

    def _make_known(self) -> None:
        if limit := getattr(_thread, "deadline", None):
            limit.connection, limit.sock = self, self.sock


def _watch_pools(manager: PoolManager) -> None:
    """Let a manager's pools make such connections, of each kind that it knows: TLS, SOCKS."""
    manager.pool_classes_by_scheme = {
        scheme: _watched(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
    }


def _watched(pool: t.Any) -> type:
    connection = type(pool.__name__, (_Connection, pool.ConnectionCls), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


class Adapter(HTTPAdapter):
    """An adapter for `requests.Session.mount` with such connections."""

    def init_poolmanager(self, *args: t.Any, **kwargs: t.Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        _watch_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: t.Any) -> t.Any:
        """Make the pools of connections through a proxy, once for each proxy."""
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if is_new:
            _watch_pools(manager)
        return manager
