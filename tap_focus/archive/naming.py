"""Names of files in the archive: `<yyyy>/<mm>/<dd>/<interactionId>.<extension>`.

The day is the UTC day of the recording's start.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timezone

UNKNOWN_DAY = "0000/00/00"
"""Folder of recordings without a valid start."""

MAX_ID_DIGITS = 64
"""Longer ids are hashed, since file systems limit the length of a name to 255 bytes."""

_EXTENSIONS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
    "audio/vnd.wave": "wav",
    "audio/mp4": "m4a",
    "audio/x-m4a": "m4a",
    "audio/aac": "aac",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/flac": "flac",
    "audio/webm": "webm",
    "audio/amr": "amr",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "application/ogg": "ogg",
    "application/octet-stream": "bin",
    "binary/octet-stream": "bin",  # the default of S3
}
_OTHER_EXTENSION = "audio"
_CONTENT_TYPES = {
    extension: content_type for content_type, extension in reversed(_EXTENSIONS.items())
}
_DEFAULT_CONTENT_TYPE = "application/octet-stream"

# RFC 3339. The offset may be missing, since Focus documents the field as UTC.
_DATE_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]((?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)


def file_stem(interaction_id: int, start: object) -> str:
    """Return the path of a recording's file in the archive, without the extension.

    Args:
        interaction_id: the recording's `interactionId`.
        start: the recording's `startDatetimeUTC`, of any type. An invalid start gives the folder
            `0000/00/00`.
    """
    name = str(interaction_id)
    if len(name) > MAX_ID_DIGITS:
        name = hashlib.sha256(name.encode()).hexdigest()
    return f"{_day(start)}/{name}"


def extension_for(content_type: str) -> str:
    """Return the file extension for a content type, without the dot."""
    return _EXTENSIONS.get(content_type, _OTHER_EXTENSION)


def content_type_of(path: str) -> str:
    """Return the content type for a file's extension."""
    return _CONTENT_TYPES.get(path.rpartition(".")[2], _DEFAULT_CONTENT_TYPE)


def path_from_uri(uri: str) -> str:
    """Return a file's path in the archive from its `uri` in the manifest.

    Only the last four parts count, so an archive can be moved as a whole.
    """
    return "/".join(uri.split("/")[-4:])


def parse_date_time(value: object) -> datetime | None:
    """Parse an RFC 3339 date-time and drop fractions of a second.

    Python 3.10's `fromisoformat` does not know `Z`, and msgspec rounds the seventh digit up, which
    can change the day.

    Returns:
        A date-time, naive if the text has no offset, or None if the value is invalid.
    """
    match = _DATE_TIME.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return None
    date, time, offset = match.groups(default="")
    try:
        return datetime.fromisoformat(f"{date}T{time}{offset.upper().replace('Z', '+00:00')}")
    except ValueError:
        return None


def _day(start: object) -> str:
    moment = parse_date_time(start)
    if moment is None:
        return UNKNOWN_DAY
    if moment.tzinfo:
        try:
            moment = moment.astimezone(timezone.utc)
        except OverflowError:
            return UNKNOWN_DAY
    return f"{moment.year:04}/{moment.month:02}/{moment.day:02}"
