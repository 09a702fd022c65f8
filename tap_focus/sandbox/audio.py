"""MP3 files made by hand: silence, and a tag that tells each from the others."""

from __future__ import annotations

SECONDS_AT_MOST = 30.0

# A frame of MPEG-2 Layer III, mono, 8 kbit/s at 16 kHz: 576 samples, so 36 ms in 36 bytes. The
# header says so (sync, version and layer, bit rate and sampling rate, mono); zeros in the side
# information and in the data behind it mean that nothing sounds. ISO/IEC 13818-3.
_HEADER = bytes((0xFF, 0xF3, 0x18, 0xC0))
_FRAME = _HEADER.ljust(36, b"\0")
_FRAME_SECONDS = 0.036


def mp3(title: str, seconds: float) -> bytes:
    """Return a playable MP3 file of silence.

    Args:
        title: What the file's ID3v2 tag calls it.
        seconds: The length asked for; longer than 30 seconds makes 30 seconds.

    Returns:
        The file: about 1,000 bytes for each second.
    """
    frames = max(1, round(min(seconds, SECONDS_AT_MOST) / _FRAME_SECONDS))
    return _tag(title) + _FRAME * frames


def _tag(title: str) -> bytes:
    """Return an ID3v2.4 tag with one frame, the title (TIT2), in UTF-8 (encoding 3)."""
    text = b"\3" + title.encode()
    frame = b"TIT2" + _synchsafe(len(text)) + b"\0\0" + text
    return b"ID3\4\0\0" + _synchsafe(len(frame)) + frame


def _synchsafe(size: int) -> bytes:
    """Return a size in four bytes of seven bits each, so that no byte looks like a sync."""
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
