"""Plausibility of audio: an error page must not be stored as a recording."""

from __future__ import annotations

import re

from tap_focus.errors import InvalidAudioError

HEAD_BYTES = 1024
"""Bytes at the start of a file that `check_content` needs."""

MIN_BYTES_PER_SECOND = 5
"""Smallest plausible file for a duration. Even silence in AMR takes 50 bytes a second."""

MAX_WORD_LENGTH = 50
"""Average length of the words in a text, at most. Printable data without spaces may be audio."""

_MARKUP = ("<", "{", "[")
_OTHER_FORMATS = {
    b"%PDF": "a PDF document",
    b"PK\3\4": "a ZIP archive",
    b"\x1f\x8b": "gzip data",
    b"\x89PNG": "an image",
    b"GIF8": "an image",
    b"\xff\xd8\xff": "an image",
    b"\xd0\xcf\x11\xe0": "a document of Office",
}
_8_BIT_MARKUP = re.compile(rb"\s*(<[!?A-Za-z]|[{[]\s*\")")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")


def check_content(head: bytes) -> None:
    """Check that a file is not an error page or a document.

    Formats of audio are too many for a list, so this recognizes what is not audio.

    Args:
        head: the first `HEAD_BYTES` bytes or more, or all if the file is shorter.

    Raises:
        InvalidAudioError: the content is markup, text, or another known format.
    """
    text = _decode(head)
    start = (text or "").removeprefix("\ufeff").lstrip()
    if (start.startswith(_MARKUP) and _is_text(start)) or (text is None and _is_8_bit_markup(head)):
        raise InvalidAudioError("The content is HTML, XML or JSON, not audio")
    has_words = len(start.split()) > max(1, len(start) // MAX_WORD_LENGTH)
    if head.isspace() or (has_words and _is_text(start)):
        raise InvalidAudioError("The content is text, not audio")
    for signature, name in _OTHER_FORMATS.items():
        if head.startswith(signature):
            raise InvalidAudioError(f"The content is {name}, not audio")


def check_size(size: int, duration: float | None) -> None:
    """Check a file's size in bytes against the duration of its recording in seconds, if known.

    Raises:
        InvalidAudioError: the file is too small for the duration.
    """
    if duration is not None and size < duration * MIN_BYTES_PER_SECOND:
        raise InvalidAudioError(
            f"{size:,} bytes are too few for a recording of {duration:,.0f} seconds"
        )


def _decode(data: bytes) -> str | None:
    """Return data in UTF-8 or UTF-16, perhaps cut within a character, as text; else None."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="ignore")
    if not (any(data[::2]) and any(data[1::2])):
        data = data.replace(b"\0", b"")  # UTF-16 of a western language, without a byte order mark
    text = data.decode(errors="ignore")
    return text if len(text.encode()) >= len(data) - 3 else None


def _is_text(text: str) -> bool:
    return all(char.isprintable() or char.isspace() for char in text)


def _is_8_bit_markup(data: bytes) -> bool:
    """Return whether data is markup in an encoding such as ISO 8859-1."""
    return bool(_8_BIT_MARKUP.match(data)) and not _CONTROL.search(data)
