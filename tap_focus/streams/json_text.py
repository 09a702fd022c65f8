"""JSON objects taken apart and put together as text, so that values keep their digits."""

from __future__ import annotations

import json
import re
import typing as t
from contextlib import suppress

import msgspec

from tap_focus.api.text import MAX_DEPTH, depth
from tap_focus.errors import InvalidRecordingError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

Columns = dict[str, msgspec.Raw]

DECODE_ERRORS = (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError)
_ANY = msgspec.json.Decoder()
_FIELDS = msgspec.json.Decoder(Columns)


def split_fields(text: bytes | memoryview) -> Columns:
    """Return the fields of a recording, undecoded.

    Raises:
        InvalidRecordingError: its field names cannot be decoded.
    """
    with suppress(*DECODE_ERRORS):
        return _FIELDS.decode(text)
    try:
        return dict(_split_with_surrogates(text))
    except DECODE_ERRORS:
        raise InvalidRecordingError("A recording cannot be decoded") from None


def _split_with_surrogates(text: bytes | memoryview) -> Iterator[tuple[str, msgspec.Raw]]:
    """Yield the fields of a recording with unpaired surrogates, which msgspec rejects."""
    document, end = str(text, "utf-8"), 0
    while key := _KEY.match(document, end):
        _, end = _SCANNER.raw_decode(document, key.end())
        yield json.loads(key[1]), msgspec.Raw(document[key.end() : end].encode())


_KEY = re.compile(r'\s*[{,]\s*("(?:[^"\\]|\\.)*")\s*:\s*', re.DOTALL)
_SCANNER = json.JSONDecoder(parse_int=str, parse_float=str)  # accepts any number of digits


def representable(value: msgspec.Raw) -> msgspec.Raw:
    """Return a value that every JSON parser can read: as it is, or else its text as a string."""
    try:
        try:
            decoded = _ANY.decode(value)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:  # an unpaired surrogate, or invalid
            decoded = json.loads(bytes(value))
        is_readable = depth(decoded) <= MAX_DEPTH
    except DECODE_ERRORS:
        is_readable = False
    return value if is_readable else msgspec.Raw(msgspec.json.encode(bytes(value).decode()))


def join_fields(fields: Columns) -> msgspec.Raw:
    """Return a JSON object; unlike msgspec, also with unpaired surrogates in names."""
    items = (json.dumps(name).encode() + b":" + bytes(text) for name, text in fields.items())
    return msgspec.Raw(b"{" + b",".join(items) + b"}")
