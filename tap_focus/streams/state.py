"""A stream's position in the feed: an opaque cursor in the Singer state."""

from __future__ import annotations

import typing as t

from singer_sdk.exceptions import ConfigValidationError
from typing_extensions import override

from tap_focus.archive.printable import printable
from tap_focus.streams.columns import CURSOR_NAME
from tap_focus.streams.sdk import StreamStateManager

REPLICATION_KEY = CURSOR_NAME

_SDK_KEYS = ("progress_markers", "partitions", "starting_replication_value")
"""State that the SDK writes for other replication keys. It is removed from a bookmark."""


class CursorStateManager(StreamStateManager):
    """State of a stream whose replication key is an opaque cursor.

    The SDK would keep the larger of two cursors, start at `start_date` as if it were a cursor, and
    log the cursor. This bookmark moves only when the stream calls `advance`.
    """

    @property
    def cursor(self) -> str | None:
        """Cursor that continues after the last page written; None before the first."""
        if self.stream_state.get("replication_key") != REPLICATION_KEY:
            return None
        return self.stream_state.get("replication_key_value") or None

    def check(self, name: str, value: str, *, label: str) -> None:
        """Check that a value in the bookmark is that of this run. Older bookmarks may have none.

        Raises:
            ConfigValidationError: it is another one, so the cursor would skip recordings.
        """
        stored = self.stream_state.get(name)
        if self.cursor and stored not in (None, value):
            raise invalid_state(
                f"the bookmark of {self.stream_name} belongs to {label} {printable(str(stored))}. "
                f"This run is for {label} {value} and would skip recordings"
            )

    def advance(self, cursor: str | None, **extra: t.Any) -> None:
        """Move the bookmark after all records of a page have been written.

        None leaves the cursor unchanged. Further values are stored in the bookmark as well.
        """
        if cursor is not None:
            extra |= {"replication_key": REPLICATION_KEY, "replication_key_value": cursor}
        self.stream_state.update(extra)

    @override
    def increment_state(self, *_: t.Any, **__: t.Any) -> None:
        """Do nothing: a single record does not move the bookmark."""

    @override
    def write_starting_replication_value(self, *_: t.Any, **__: t.Any) -> None:
        """Do nothing: the bookmark itself is the starting value."""


def validate_state(state: t.Any) -> dict[str, t.Any]:
    """Return a state of this tap without the SDK's own keys, or an empty one for a first run.

    Raises:
        ConfigValidationError: this tap never wrote such a state. Starting from the beginning could
            read years again, so the operator has to decide.
    """
    if state is None:
        return {}
    if not isinstance(state, dict):
        raise invalid_state("it must be a JSON object")
    if state and "bookmarks" not in state:
        raise invalid_state(
            "it has no bookmarks. From the output of `meltano state get`, pass singer_state only"
        )
    bookmarks = state.get("bookmarks")
    if not isinstance(bookmarks, (dict, type(None))):
        raise invalid_state("bookmarks must be a JSON object")
    kept = {}
    for stream, bookmark in (bookmarks or {}).items():
        if bookmark is None:
            continue
        name = f"bookmarks.{stream!a:.80}"
        if not isinstance(bookmark, dict):
            raise invalid_state(f"{name} must be a JSON object")
        kept[stream] = {k: v for k, v in bookmark.items() if k not in _SDK_KEYS}
        cursor = bookmark.get("replication_key_value")
        if cursor is not None and bookmark.get("replication_key") == REPLICATION_KEY:
            try:
                cursor.encode()  # as the request will do
            except (AttributeError, UnicodeEncodeError):
                raise invalid_state(f"{name}.replication_key_value must be a string") from None
    return {**state, "bookmarks": kept}


def invalid_state(reason: str) -> ConfigValidationError:
    """Return the error for a state that cannot be used, and for what reason."""
    advice = "Pass the last state of this pipeline, or no state to start from the beginning."
    return ConfigValidationError("Invalid state", errors=[f"state: {reason}. {advice}"])
