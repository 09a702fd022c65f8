"""Cursors: a client can store them, but not read, change or sort them."""

from __future__ import annotations

import hashlib
import hmac
import typing as t
from base64 import b64decode, b64encode

import msgspec

# Every cursor has all characters of base64 that a query string must encode. A client that does
# not encode them fails at its first request.
_PREFIX = "+/="
_SIGNATURE_BYTES = 16


class Cursor(t.NamedTuple):
    """The content of a cursor. Times are in microseconds since 1970.

    Attributes:
        position: The position of the next feed entry.
        newest: The time at which the entry before it was the newest one.
        issued: The time of the response with this cursor. It makes each cursor unique.
    """

    position: int
    newest: int
    issued: int


class CursorCodec:
    """Encodes cursors as signed text and decodes them.

    The key depends on the seed only. Servers with the same seed accept each other's cursors.
    """

    def __init__(self, seed: int) -> None:
        self._key = hashlib.sha256(f"{seed}/cursor".encode()).digest()

    def encode(self, cursor: Cursor) -> str:
        """Return the cursor as "+/=", then base64 of a signature and a JSON array."""
        return self._sign(msgspec.json.encode(cursor))

    def decode(self, text: str) -> Cursor:
        """Return the cursor in a text.

        Raises:
            ValueError: The text was changed, or it was encoded with another seed.
        """
        content = b64decode(text.removeprefix(_PREFIX))[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(text, self._sign(content)):
            raise ValueError("invalid cursor")
        return msgspec.json.decode(content, type=Cursor)

    def _sign(self, content: bytes) -> str:
        # The signature comes first, so that cursors do not sort by position.
        signature = hmac.digest(self._key, content, "sha256")[:_SIGNATURE_BYTES]
        return _PREFIX + b64encode(signature + content).decode()
