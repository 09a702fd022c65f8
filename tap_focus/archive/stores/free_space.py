"""Stop before a disk is full."""

from __future__ import annotations

import os
import typing as t

from tap_focus.archive.stores.interface import WRITE
from tap_focus.errors import StorageError

if t.TYPE_CHECKING:
    from pathlib import Path

RESERVE_BYTES = 64 * 1024 * 1024
"""Space that stays free for other programs, but at most 5% of the disk."""

RESERVE_FRACTION = 20


def check_free_space(folder: Path | str, size: int) -> None:
    """Check that a disk has space for `size` more bytes, and for the reserve.

    Raises:
        StorageError: it has not.
    """
    disk = os.statvfs(folder)
    # Some network file systems report no size.
    reserve = min(RESERVE_BYTES, disk.f_blocks * disk.f_frsize // RESERVE_FRACTION)
    if disk.f_blocks and disk.f_bavail * disk.f_frsize < size + reserve:
        raise StorageError(WRITE, f"the disk is almost full (less than {reserve:,} bytes free)")
