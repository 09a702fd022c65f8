"""Look at an audio archive and at its manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.runner import Run

DAY = "2025/05/01"
"""The folder of the recordings of `fake_focus`."""


def read_files(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder, hidden ones too, by their path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def audio_files(folder: Path) -> dict[str, bytes]:
    """Return the files of an archive without those that describe it."""
    return {
        path: content
        for path, content in read_files(folder).items()
        if path.rpartition("/")[2] not in ("SHA256SUMS", "tap-focus-archive.json")
    }


def rows_by_id(run: Run) -> dict[int, dict[str, Any]]:
    """Return the last row of each recording."""
    return {record["interactionId"]: record for record in run.records}


def media_bookmark(run: Run) -> dict[str, Any]:
    """Return the last bookmark of `recording_media`."""
    found: dict[str, Any] = run.state["bookmarks"]["recording_media"]
    return found
