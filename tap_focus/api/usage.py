"""Totals of what a client has sent and received."""

from __future__ import annotations

import threading
import typing as t


class Usage(t.NamedTuple):
    """Totals of a client at one moment.

    Attributes:
        requests: attempts to send a request, with logins and retries.
        retries: requests that were repeated, or wait for it, after a transient failure.
        received_bytes: bytes of the bodies that were read, decompressed.
    """

    requests: int
    retries: int
    received_bytes: int


class Total:
    """A number to which several threads add."""

    def __init__(self) -> None:
        self.value = 0
        self._lock = threading.Lock()

    def add(self, number: int) -> None:
        """Add a number."""
        with self._lock:
            self.value += number
