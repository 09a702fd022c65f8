"""A stream's place in the feed, kept in the Singer state as an opaque cursor."""

from __future__ import annotations

import typing as t

from singer_sdk.exceptions import ConfigValidationError

from tap_focus.api.page import KEY
from tap_focus.streams.sdk import StreamStateManager

REPLICATION_KEY = "nextCursorId"

_SDK_LEFTOVERS = ("progress_markers", "partitions", "starting_replication_value")
"""What the SDK, or a tap that leaves the bookmark to it, may have left in a stream's state."""


class Bookmark(StreamStateManager):
    """The SDK's keeper of a stream's state, for a cursor that can't be compared or derived.

    The SDK would take the larger of two replication values, begin at `start_date` as if it were
    a cursor, and log the cursor in full. This bookmark moves when the stream says so: at a
    page's end.
    """

    @property
    def cursor(self) -> str | None:
        """The cursor that continues after the last page written; None before the first."""
        if self.stream_state.get("replication_key") != REPLICATION_KEY:
            return None
        return self.stream_state.get("replication_key_value") or None

    @property
    def failed(self) -> list[dict[str, t.Any]]:
        """What an earlier run could not fetch: a list, since Meltano merges objects for ever."""
        found = self.stream_state.get("failed")
        kept = found if isinstance(found, list) else []
        return [
            {**entry, "attempts": entry["attempts"] if type(entry.get("attempts")) is int else 0}
            for entry in kept
            if isinstance(entry, dict) and type(entry.get(KEY)) is int
        ]

    @property
    def shard(self) -> str | None:
        """Which part of the work the bookmark is of; None where it was not divided."""
        found = self.stream_state.get("shard")
        return found if isinstance(found, str) and self.cursor else None

    def move(self, cursor: str | None, **more: t.Any) -> None:
        """Let the bookmark follow a page, all of whose records are out.

        Args:
            cursor: continues after the page; None leaves the bookmark where it is in the feed.
            more: what else the stream keeps.
        """
        if cursor is not None:
            more |= {"replication_key": REPLICATION_KEY, "replication_key_value": cursor}
        self.stream_state.update(more)

    def increment_state(self, *_: t.Any, **__: t.Any) -> None:
        """Leave the bookmark where it is: a record alone does not move it."""

    def write_starting_replication_value(self, *_: t.Any, **__: t.Any) -> None:
        """Leave no trace of where the sync began: the bookmark itself tells."""


def usable_state(state: t.Any) -> dict[str, t.Any]:
    """Return the state to begin with: one of this tap's, or an empty one for a fresh start.

    Raises:
        ConfigValidationError: it is something that this tap never wrote. To begin afresh in
            silence could read years again, so the operator decides.
    """
    if state is None:
        return {}
    if not isinstance(state, dict):
        raise _unusable("must be a JSON object")
    if state and "bookmarks" not in state:
        raise _unusable("must have bookmarks (of what `meltano state get` prints: singer_state)")
    bookmarks = state.get("bookmarks")
    if bookmarks is None:
        return {}
    if not isinstance(bookmarks, dict):
        raise _unusable("bookmarks must be a JSON object")
    kept = {}
    for stream, bookmark in bookmarks.items():
        if bookmark is None:
            continue
        if not isinstance(bookmark, dict):
            raise _unusable(f"bookmarks.{stream} must be a JSON object")
        cursor = bookmark.get("replication_key_value")
        if bookmark.get("replication_key") == REPLICATION_KEY and not isinstance(
            cursor, (str, type(None))
        ):
            raise _unusable(f"bookmarks.{stream}.replication_key_value must be text")
        kept[stream] = {k: v for k, v in bookmark.items() if k not in _SDK_LEFTOVERS}
    return {**state, "bookmarks": kept}


def _unusable(what: str) -> ConfigValidationError:
    advice = "Give the state that the last run wrote, or none, to begin afresh."
    return ConfigValidationError("unusable state", errors=[f"state: {what}. {advice}"])
