"""MP3 files of silence. The title in each file makes it unique."""

from __future__ import annotations

MAX_SECONDS = 30.0

# A frame of MPEG-2 Layer III (ISO/IEC 13818-3), mono, 8 kbit/s, 16 kHz: 576 samples, or 36 ms, in
# 36 bytes. The header encodes these values. Zeros in the rest of the frame mean silence.
_HEADER = bytes((0xFF, 0xF3, 0x18, 0xC0))
_FRAME = _HEADER.ljust(36, b"\0")
_FRAME_SECONDS = 0.036


def create_mp3(title: str, seconds: float) -> bytes:
    """Return a playable MP3 file of silence, about 1,000 bytes per second.

    Args:
        title: The title in the ID3v2 tag.
        seconds: The duration, limited to 30 seconds.
    """
    frames = max(1, round(min(seconds, MAX_SECONDS) / _FRAME_SECONDS))
    return _id3_tag(title) + _FRAME * frames


def _id3_tag(title: str) -> bytes:
    """Return an ID3v2.4 tag with one frame: the title (TIT2) in UTF-8 (encoding 3)."""
    text = b"\3" + title.encode()
    frame = b"TIT2" + _synchsafe(len(text)) + b"\0\0" + text
    return b"ID3\4\0\0" + _synchsafe(len(frame)) + frame


def _synchsafe(size: int) -> bytes:
    """Return a size as four bytes of seven bits each, so that no byte looks like a frame sync."""
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
