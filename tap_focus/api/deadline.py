"""HTTP connections with a limit on the total time of a request.

The timeout of requests restarts with every byte that arrives, in the headers too, so a server that
sends one byte a second could keep a request open forever. Here a background thread shuts the
socket down when the deadline has passed.
"""

from __future__ import annotations

import socket
import threading
import time
import typing as t
from contextlib import contextmanager, suppress
from http.client import HTTPException, HTTPResponse

from requests.adapters import HTTPAdapter
from typing_extensions import override
from urllib3.connection import HTTPConnection
from urllib3.util.ssltransport import SSLTransport

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from urllib3 import PoolManager

POLL_INTERVAL = 0.2
"""Seconds between two checks of the deadlines, and between two attempts to close a socket."""

_current = threading.local()
_deadlines: set[Deadline] = set()
_lock = threading.Lock()


class Deadline:
    """Closes the connection that the current thread uses when the time limit is exceeded.

    Attributes:
        passed: whether the time limit is exceeded.
        connection: the connection that sends the request.
        sock: the socket of the response; it outlives a connection that is not kept alive.
    """

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self.connection: HTTPConnection | None = None
        self.sock: t.Any = None
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def extend(self, seconds: float) -> None:
        """Extend the deadline, at most to the original limit counted from now."""
        self._end = min(self._end + seconds, time.monotonic() + self._seconds)

    def check(self) -> None:
        """Shut the socket down if the time limit is exceeded.

        Called again and again: after the deadline a connection may still be opened.
        """
        if time.monotonic() < self._end:
            return
        self.passed = True
        sock = self.sock or (self.connection and self.connection.sock)
        while isinstance(sock, SSLTransport):  # TLS inside the TLS of a proxy
            sock = sock.socket
        if sock:
            with suppress(OSError):  # the server may have closed it first
                # The method of the plain socket: a TLS socket's own would first end the encryption.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


@contextmanager
def time_limit(seconds: float) -> Iterator[Deadline]:
    """Limit the total time of the requests that the current thread sends by `DeadlineAdapter`."""
    deadline = _current.deadline = Deadline(seconds)
    with _lock:
        _deadlines.add(deadline)
        if not any(thread.name == "deadlines" for thread in threading.enumerate()):
            # One thread checks all deadlines: starting one for each request would cost more.
            threading.Thread(target=_check_deadlines, name="deadlines", daemon=True).start()
    try:
        yield deadline
    finally:
        with _lock:
            _deadlines.discard(deadline)
        _current.deadline = None


def _check_deadlines() -> None:
    while True:
        time.sleep(POLL_INTERVAL)
        with _lock:
            for deadline in _deadlines:
                deadline.check()


class _Response(HTTPResponse):
    @override
    def _safe_read(self, amt: int) -> bytes:  # type: ignore[misc]
        # http.client reads a chunk of negative size until the memory is full.
        if amt < 0:
            raise HTTPException("negative chunk size")
        return super()._safe_read(amt)  # type: ignore[misc,no-any-return]


class _Connection(HTTPConnection):
    """Registers its socket, new or reused, with the deadline of the current thread."""

    response_class = _Response

    @override
    def connect(self) -> None:
        self._register()  # a proxy may be slow to answer CONNECT
        super().connect()

    @override
    def request(self, *args: t.Any, **kwargs: t.Any) -> None:
        self._register()
        super().request(*args, **kwargs)
        self._register()

    def _register(self) -> None:
        if deadline := getattr(_current, "deadline", None):
            deadline.connection, deadline.sock = self, self.sock


class DeadlineAdapter(HTTPAdapter):
    """An adapter for `requests.Session.mount` whose connections obey `time_limit`."""

    @override
    def init_poolmanager(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _use_deadlines(self.poolmanager)

    @override
    def proxy_manager_for(self, proxy: str, **kwargs: t.Any) -> t.Any:
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if is_new:
            _use_deadlines(manager)
        return manager


def _use_deadlines(manager: PoolManager) -> None:
    """Replace the connection class of every scheme, TLS and SOCKS included."""
    pools: dict[str, t.Any] = manager.pool_classes_by_scheme
    for scheme, pool in pools.copy().items():
        connection = type(pool.__name__, (_Connection, pool.ConnectionCls), {})
        pools = {**pools, scheme: type(pool.__name__, (pool,), {"ConnectionCls": connection})}
    manager.pool_classes_by_scheme = pools
