"""Plausibility of audio: an error page must not be stored as a recording."""

from __future__ import annotations

from tap_focus.errors import InvalidAudioError

HEAD_BYTES = 1024
"""Bytes at the start of a file that `check_content` needs."""

MIN_BYTES_PER_SECOND = 5
"""Smallest plausible file for a duration. Even silence in AMR takes 50 bytes a second."""

_MARKUP = (b"<", b"{", b"[")
_OTHER_FORMATS = {
    b"%PDF": "a PDF document",
    b"PK\3\4": "a ZIP archive",
    b"\x1f\x8b": "gzip data",
    b"\x89PNG": "an image",
    b"GIF8": "an image",
    b"\xff\xd8\xff": "an image",
}


def check_content(head: bytes, size: int) -> None:
    """Check that a file is not an error page or a document.

    Formats of audio are too many for a list, so this recognizes what is not audio.

    Args:
        head: the first `HEAD_BYTES` bytes or more, or all if the file is shorter.
        size: the size of the file in bytes.

    Raises:
        InvalidAudioError: the content is markup, a short text, or another known format.
    """
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(_MARKUP) and _is_text(start):
        raise InvalidAudioError("The content is HTML, XML or JSON, not audio")
    if size <= HEAD_BYTES and len(start.split()) > 1 and _is_text(start):
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


def _is_text(data: bytes) -> bool:
    """Return whether data is text in UTF-8 or UTF-16, perhaps cut within a character."""
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    text = data.decode(encoding, errors="ignore")
    is_decoded = len(text.encode(encoding, errors="ignore")) >= len(data) - 3
    return is_decoded and all(char.isprintable() or char.isspace() for char in text)
