"""The marker file at the root of an archive, which identifies it.

Without it, a volume that is not mounted looks like an empty archive. All files would be downloaded
again, to a wrong place.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone

import msgspec

from tap_focus.archive.printable import printable
from tap_focus.errors import StorageError

MARKER_NAME = "tap-focus-archive.json"

LAYOUT = 1
"""Version of the names of folders and files. Another layout needs another version."""


class Marker(msgspec.Struct, frozen=True):
    """The content of the marker file.

    Attributes:
        layout: see `LAYOUT`.
        account: whose recordings the archive contains.
        created: UTC date-time.
    """

    layout: int
    account: str
    created: str


def new_marker(account: str) -> Marker:
    """Return the marker of an archive that is created now."""
    return Marker(LAYOUT, account, datetime.now(timezone.utc).isoformat(timespec="seconds"))


def encode_marker(marker: Marker) -> bytes:
    """Return the content of the file, in ASCII."""
    return json.dumps(msgspec.to_builtins(marker)).encode() + b"\n"


def decode_marker(content: bytes | str) -> Marker:
    """Parse the content of the file.

    Raises:
        StorageError: the content is invalid.
    """
    try:
        return msgspec.json.decode(content, type=Marker)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise StorageError("open media_path", f"its {MARKER_NAME} is invalid") from None


def check_marker(marker: Marker, account: str) -> None:
    """Check that an archive can be used for an account.

    Raises:
        StorageError: it has another layout or belongs to another account.
    """
    reason = None
    if marker.layout != LAYOUT:
        reason = f"its {MARKER_NAME} has layout {marker.layout}, but this version writes {LAYOUT}"
    elif marker.account != account:
        reason = f"it is the archive of account {printable(marker.account)}, not of {account}"
    if reason:
        raise StorageError("open media_path", reason)
