"""Plausibility of audio: an error page must not be stored as a recording."""

from __future__ import annotations

import codecs
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
    if found := _find_other_content(head):
        raise InvalidAudioError(f"The content is {found}, not audio")


def check_size(size: int, duration: float | None) -> None:
    """Check a file's size in bytes against the duration of its recording in seconds, if known.

    Raises:
        InvalidAudioError: the file is too small for the duration.
    """
    if duration is not None and size < duration * MIN_BYTES_PER_SECOND:
        raise InvalidAudioError(
            f"{size:,} bytes are too few for a recording of {duration:,.0f} seconds"
        )


def _find_other_content(head: bytes) -> str:
    """Describe content that is not audio; empty if nothing speaks against audio."""
    for signature, name in _OTHER_FORMATS.items():
        if head.startswith(signature):
            return name
    if head.isspace():
        return "empty text"
    text = _decode(head).lstrip()
    if not all(char.isprintable() or char.isspace() for char in text):
        return ""
    if text.startswith(_MARKUP):
        return "HTML, XML or JSON"
    has_words = len(text.split()) > max(1, len(text) // MAX_WORD_LENGTH)
    return "text" if has_words else ""


def _decode(data: bytes) -> str:
    """Return data as text, which may be cut within a character; empty if it is no text."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="ignore")
    if not (any(data[::2]) and any(data[1::2])):
        data = data.replace(b"\0", b"")  # UTF-16 of a western language, without a byte order mark
    text = data.decode("utf-8-sig", errors="ignore")
    if len(text.encode()) >= len(data.removeprefix(codecs.BOM_UTF8)) - 3:
        return text
    is_markup = _8_BIT_MARKUP.match(data) and not _CONTROL.search(data)
    return data.decode("cp1252", errors="ignore") if is_markup else ""
