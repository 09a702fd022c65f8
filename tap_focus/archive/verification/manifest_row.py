"""The columns of a row of `recording_media` that are compared."""

from __future__ import annotations

import re
import typing as t

import msgspec

from tap_focus.archive.naming import file_stem, from_database, in_utc, parse_date_time

if t.TYPE_CHECKING:
    from collections.abc import Iterator

_Size = t.Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_MESSAGES = frozenset(("SCHEMA", "STATE", "BATCH", "ACTIVATE_VERSION"))
_FRACTION = re.compile(r"[0-9](\.[0-9]+)")
_NO_HOLD: tuple[t.Any, ...] = (None, "", [], {}, "null", "[]", "{}")


class _Message(msgspec.Struct):
    """The parts of a line that show what it contains."""

    type: t.Any = None
    stream: t.Any = None
    record: msgspec.Raw = msgspec.Raw()
    interactionId: t.Any = None  # noqa: N815 - the column's name


class Recording(msgspec.Struct):
    """The columns that the streams `recordings` and `recording_media` share."""

    interactionId: int | str  # noqa: N815
    startDatetimeUTC: t.Any = None  # noqa: N815

    def stem(self) -> tuple[str, str]:
        """Return the day of a recording and the name of its file without version and extension."""
        start = self.startDatetimeUTC
        text = from_database(start) if isinstance(start, str) else start
        day, _, name = file_stem(int(self.interactionId), text).rpartition("/")
        return day, name


class _File(msgspec.Struct):
    uri: str
    sizeInBytes: _Size  # noqa: N815
    sha256: str


class Row(Recording, kw_only=True):
    """The columns of the manifest that are compared."""

    status: t.Literal["stored", "not_permitted", "not_found", "failed"]
    uri: str | None = None
    sizeInBytes: _Size | None = None  # noqa: N815
    sha256: str | None = None
    fetchedAt: t.Any = None  # noqa: N815
    retainUntil: t.Any = None  # noqa: N815
    legalHolds: t.Any = None  # noqa: N815
    lockedUntil: t.Any = None  # noqa: N815
    previousFiles: list[_File] | str | None = None  # noqa: N815

    def dates(self) -> tuple[str | None, str | None, str | None]:
        """Return `fetchedAt`, `retainUntil` and `lockedUntil` in UTC as text that sorts by time."""
        return _utc(self.fetchedAt), _utc(self.retainUntil), _utc(self.lockedUntil)

    def has_hold(self) -> bool:
        """Return whether there is a legal hold; its structure is not documented."""
        return self.legalHolds not in _NO_HOLD

    def files(self) -> Iterator[_File]:
        """Yield the file and its earlier versions.

        A failed row still describes a file that was stored once, but is missing or unreadable.
        """
        is_described = None not in (self.uri, self.sizeInBytes, self.sha256)
        if self.status == "stored" or (self.status == "failed" and is_described):
            yield msgspec.convert(self, _File, from_attributes=True)
        previous = self.previousFiles
        if isinstance(previous, str):  # some targets store arrays as JSON text
            previous = _PREVIOUS_FILES.decode(previous or "null")
        yield from previous or ()


_MESSAGE = msgspec.json.Decoder(_Message)
_PREVIOUS_FILES = msgspec.json.Decoder(list[_File] | None)

decode_recording = msgspec.json.Decoder(Recording).decode
decode_row = msgspec.json.Decoder(Row).decode


def decode_line(line: bytes, *, other_stream: str) -> msgspec.Raw | bytes | None:
    """Return the row in a line, which is a row or a Singer message.

    None for messages without a record and for records of `other_stream`. The row itself is not
    validated.
    """
    message = _MESSAGE.decode(line)
    if message.record:
        return None if message.stream == other_stream else message.record
    is_message = message.interactionId is None and message.type in _MESSAGES
    return None if is_message else line


def _utc(value: object) -> str | None:
    """Return a date-time in UTC as text that sorts by time, or None if it is invalid."""
    moment = parse_date_time(from_database(value)) if isinstance(value, str) else None
    if not moment:
        return None
    try:
        moment = in_utc(moment)
    except OverflowError:
        return None
    fraction = _FRACTION.search(t.cast("str", value))
    return f"{moment.replace(tzinfo=None).isoformat()}{fraction[1] if fraction else ''}"
