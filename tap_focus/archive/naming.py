"""Where a recording belongs: the shard that archives it, and the name of its file.

A file's name is `<yyyy>/<mm>/<dd>/<interactionId>.<extension>`, with the UTC day of the start. A
later version of the audio is `<interactionId>-2.<extension>`, in the same folder.
"""

from __future__ import annotations

import hashlib
import re
import typing as t
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

UNKNOWN_DAY = "0000/00/00"
"""Folder of recordings without a valid start."""

MAX_ID_DIGITS = 64
"""Longer ids are hashed, since file systems limit the length of a name to 255 bytes."""

# Content types by extension. The first one describes a file that is stored already.
_CONTENT_TYPES = {
    "mp3": ("audio/mpeg", "audio/mp3"),
    "wav": ("audio/wav", "audio/wave", "audio/x-wav", "audio/vnd.wave"),
    "m4a": ("audio/mp4", "audio/x-m4a"),
    "aac": ("audio/aac",),
    "ogg": ("audio/ogg", "application/ogg"),
    "opus": ("audio/opus",),
    "flac": ("audio/flac",),
    "webm": ("audio/webm", "video/webm"),
    "amr": ("audio/amr",),
    "mp4": ("video/mp4",),
    "bin": ("application/octet-stream", "binary/octet-stream"),  # the latter: default of S3
}
_EXTENSIONS = {name: extension for extension, names in _CONTENT_TYPES.items() for name in names}

OTHER_EXTENSION = "audio"
"""Extension for content types that are not in the table."""

_FILE_NAME = re.compile(
    rf"(-?[0-9]{{1,{MAX_ID_DIGITS}}}|[0-9a-f]{{64}})(?:-([2-9]|[1-9][0-9]{{1,8}}))?"
    rf"\.({'|'.join([*_CONTENT_TYPES, OTHER_EXTENSION])})"
)

# RFC 3339. The offset may be missing, since Focus documents the field as UTC.
_DATE_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]((?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)

_SHORT_OFFSET = re.compile(r"T[0-9:.]+[+-][0-9]{2}\Z")


@dataclass(frozen=True)
class Shard:
    """One machine's share of the recordings: number `index`, from 1 to `count`."""

    index: int
    count: int

    def __str__(self) -> str:
        """Return the shard as the setting spells it."""
        return f"{self.index}/{self.count}"

    def contains(self, interaction_id: int) -> bool:
        """Return whether a recording belongs to this shard.

        The hash must never change. With another hash, each machine would skip recordings that no
        other machine has archived.
        """
        digest = hashlib.sha256(str(interaction_id).encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index - 1


def parse_shard(text: str) -> Shard:
    """Parse `k/n`, such as `2/3` for the second of three shards; ValueError if it is invalid."""
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f"must be k/n with k from 1 to n, such as 2/3, not {text!r:.80}")
    return Shard(int(match[1]), int(match[2]))


def file_stem(interaction_id: int, start: object) -> str:
    """Return the path of a recording's file in the archive, without the extension."""
    name = str(interaction_id)
    if len(name) > MAX_ID_DIGITS:
        name = hashlib.sha256(name.encode()).hexdigest()
    day = UNKNOWN_DAY
    if moment := parse_date_time(start):
        with suppress(OverflowError):  # the UTC day is outside the years 1 to 9999
            day = in_utc(moment).date().isoformat().replace("-", "/")
    return f"{day}/{name}"


class FileName(t.NamedTuple):
    """The parts of a file's name.

    Attributes:
        interaction: last part of the recording's `file_stem`.
        version: 1 for the first audio of the recording.
        extension: without the dot.
    """

    interaction: str
    version: int
    extension: str

    def __str__(self) -> str:
        """Return the name, such as `1000.mp3`, or `1000-2.mp3` for the second version."""
        version = "" if self.version == 1 else f"-{self.version}"
        return f"{self.interaction}{version}.{self.extension}"


def parse_file_name(name: str) -> FileName | None:
    """Return the parts of a name, or None if the archive does not write such a name."""
    match = _FILE_NAME.fullmatch(name)
    if not match:
        return None
    interaction, version, extension = match.groups()
    return FileName(interaction, int(version or 1), extension)


def adjacent_days(day: str) -> tuple[str, ...]:
    """Return a folder, and those of the days before and after it.

    A correction of the start by some hours can move a recording to one of them.
    """
    if day == UNKNOWN_DAY:
        return (day,)
    middle = date.fromisoformat(day.replace("/", "-"))
    days = [day]
    for offset in (-1, 1):
        with suppress(OverflowError):
            days.append((middle + timedelta(offset)).isoformat().replace("-", "/"))
    return tuple(days)


def extension_for(content_type: str) -> str:
    """Return the file extension for a content type, without the dot."""
    return _EXTENSIONS.get(content_type, OTHER_EXTENSION)


def content_type_of(path: str) -> str:
    """Return the content type for a file's extension."""
    return _CONTENT_TYPES.get(path.rpartition(".")[2], _CONTENT_TYPES["bin"])[0]


def path_from_uri(uri: str) -> str:
    """Return a file's path in the archive from its `uri` in the manifest.

    Only the last four parts count, so an archive can be moved as a whole.
    """
    return "/".join(uri.split("/")[-4:])


def in_utc(moment: datetime) -> datetime:
    """Return a time in UTC, which is also the zone of a naive one.

    Raises:
        OverflowError: it is outside the years 1 to 9999.
    """
    return moment.replace(tzinfo=moment.tzinfo or timezone.utc).astimezone(timezone.utc)


def from_database(text: str) -> str:
    """Return a date-time as RFC 3339, if a database wrote it with a space or an offset of hours."""
    text = text.replace(" ", "T", 1)
    return f"{text}:00" if _SHORT_OFFSET.search(text) else text


def parse_date_time(value: object) -> datetime | None:
    """Parse an RFC 3339 date-time without fractions of a second; None if it is invalid.

    The result is naive if the text has no offset. Python 3.10's `fromisoformat` does not know `Z`,
    and msgspec rounds the seventh digit up, which can change the day.
    """
    match = _DATE_TIME.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return None
    date, time, offset = match.groups(default="")
    try:
        return datetime.fromisoformat(f"{date}T{time}{offset.upper().replace('Z', '+00:00')}")
    except ValueError:
        return None
