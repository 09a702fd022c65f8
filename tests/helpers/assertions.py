"""What the tests of the command ask of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.conftest import Run
    from tests.helpers.fake_focus import Focus

WAITS_LITTLE = {"request_timeout": 1, "max_retries": 3}


def settings(focus: Focus, **more: Any) -> dict[str, Any]:
    return {**focus.settings, **WAITS_LITTLE, **more}


def ids(run: Run) -> list[int]:
    return [record["interactionId"] for record in run.records]


def bookmark(cursor: str | None) -> dict[str, Any]:
    return {
        "bookmarks": {
            "recordings": {"replication_key": "nextCursorId", "replication_key_value": cursor}
        }
    }


def without_tap_fields(record: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in record.items() if k not in ("nextCursorId", "additionalFields")}


def cursor_of(state: dict[str, Any]) -> str:
    cursor: str = state["bookmarks"]["recordings"]["replication_key_value"]
    return cursor


def assert_ends(run: Run, code: int, *words: str) -> None:
    """A failed run ends with one clear line, whole JSON, and no traceback."""
    assert run.code == code, run.log
    assert len(run.errors) == 1, run.log
    for word in words:
        assert word in run.errors[0]
    assert "Traceback" not in run.log
    assert run.messages is not None
    assert not run.out or run.out.endswith("\n")
