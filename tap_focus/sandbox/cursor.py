"""Cursors: a place in the feed that a client can keep, but neither read, forge nor sort."""

from __future__ import annotations

import hashlib
import hmac
import struct
import typing as t
from base64 import b64decode, b64encode

_FIELDS = struct.Struct(">QqqB")
_TAG_BYTES = 16


class Cursor(t.NamedTuple):
    """What a cursor says to the server.

    Attributes:
        position: The place in the feed of the next event.
        newest: When the event before it was the newest to be seen, in microseconds since 1970.
        issued: When the cursor was handed out, in microseconds since 1970.
    """

    position: int
    newest: int
    issued: int


class CursorSeal:
    """Turns cursors into text and back.

    The tag over the content serves as the start of the key stream that hides the content (the
    idea of SIV, RFC 5297), so the text needs no random numbers: servers with the same seed,
    one after another, understand each other's cursors.
    """

    def __init__(self, seed: int) -> None:
        """Derive the keys from the sandbox's seed."""
        self._tag_key = hashlib.sha256(f"{seed}/cursor tag".encode()).digest()
        self._stream_key = hashlib.sha256(f"{seed}/cursor stream".encode()).digest()

    def seal(self, cursor: Cursor) -> str:
        """Return the cursor as text, 56 characters of standard base64.

        Every text has a "+" and ends in "=", so that a client which does not encode its query
        string is found out at the first request and not at the thousandth.
        """
        attempt = 0
        while True:
            content = _FIELDS.pack(*cursor, attempt)
            tag = self._tag(content)
            text = b64encode(tag + self._mask(tag, content)).decode()
            if "+" in text:
                return text
            attempt += 1

    def open(self, text: str) -> Cursor:
        """Return what the text says.

        Raises:
            ValueError: The text is damaged, or comes from a sandbox with another seed.
        """
        sealed = b64decode(text, validate=True)
        tag, content = sealed[:_TAG_BYTES], self._mask(sealed[:_TAG_BYTES], sealed[_TAG_BYTES:])
        if not hmac.compare_digest(tag, self._tag(content)) or b64encode(sealed) != text.encode():
            raise ValueError("not a cursor of this sandbox")
        position, newest, issued, _ = _FIELDS.unpack(content)
        return Cursor(position, newest, issued)

    def _tag(self, content: bytes) -> bytes:
        return hmac.digest(self._tag_key, content, "sha256")[:_TAG_BYTES]

    def _mask(self, tag: bytes, content: bytes) -> bytes:
        stream = hmac.digest(self._stream_key, tag, "sha256")
        return bytes(a ^ b for a, b in zip(content, stream, strict=False))
