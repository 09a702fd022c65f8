"""Expectations that several tests share."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

from tests.helpers import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.helpers.runner import Run


def assert_fails(run: Run, exit_code: int, *facts: str) -> None:
    """Expect a clear end: whole lines, and an error that contains the facts, without traceback."""
    assert run.exit_code == exit_code, run.log
    assert 1 <= len(run.errors) <= 2, run.log
    for fact in facts:
        assert fact in "\n".join(run.errors)
    assert "Traceback" not in run.log
    assert run.messages is not None
    assert not run.out or run.out.endswith("\n")


def whole_messages(lines: list[bytes]) -> list[dict[str, Any]]:
    """Return the messages on lines of standard output, and expect that no line is cut off."""
    assert all(line.endswith(b"\n") for line in lines)
    return [json.loads(line) for line in lines]


def assert_no_canary(text: str, canaries: list[str]) -> None:
    """Expect that none of the values that a fake Focus marks as secret is in a text."""
    assert [canary for canary in canaries if canary in text] == []


def wait_until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait until a condition is true, and fail when that takes too long."""
    end = time.monotonic() + seconds * SLOWNESS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def bookmark(cursor: Any, account: str = "127.0.0.1/7") -> dict[str, Any]:
    """Return the state whose bookmark of `recordings` is a cursor, by default of a FakeFocus."""
    return {
        "bookmarks": {
            "recordings": {
                "replication_key": "nextCursorId",
                "replication_key_value": cursor,
                "account": account,
            }
        }
    }


def cursor_of(state: dict[str, Any]) -> str:
    """Return the cursor in the bookmark of `recordings`."""
    cursor: str = state["bookmarks"]["recordings"]["replication_key_value"]
    return cursor


def has_cursor(run: Run) -> bool:
    """Return whether a state of the run contains a cursor: the bookmark has moved."""
    return any(
        "replication_key_value" in stream
        for state in run.states
        for stream in state["bookmarks"].values()
    )


def without_tap_fields(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record without the two fields that the tap adds."""
    return {k: v for k, v in record.items() if k not in ("nextCursorId", "additionalFields")}


def count_words(text: str) -> dict[str, int]:
    """Return the numbers in a text such as `1,200 ok, 3 missing`, by the word that follows."""
    found = re.findall(r"([\d,]*\d) ([a-z_-]+)", text)
    return {word: int(number.replace(",", "")) for number, word in found}
