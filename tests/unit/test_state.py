from __future__ import annotations

import copy
from contextlib import nullcontext
from typing import Any

import pytest
from singer_sdk.exceptions import ConfigValidationError

from tap_focus.streams.state import CursorStateManager, validate_state

BOOKMARK = {"replication_key": "nextCursorId", "replication_key_value": "c"}


def manager_for(bookmark: Any) -> CursorStateManager:
    state: Any = {"bookmarks": {"recordings": bookmark}}
    return CursorStateManager(tap_name="tap-focus", stream_name="recordings", tap_state=state)


@pytest.mark.parametrize(
    ("bookmark", "cursor"),
    [
        (BOOKMARK, "c"),
        ({}, None),
        ({**BOOKMARK, "replication_key_value": None}, None),
        ({**BOOKMARK, "replication_key_value": ""}, None),
        ({**BOOKMARK, "replication_key": "startDatetimeUTC"}, None),
        ({"replication_key_value": "c"}, None),
        ({**BOOKMARK, "shard": "1/2", "failed": []}, "c"),
    ],
)
def test_the_cursor_is_that_of_a_bookmark_with_the_replication_key(
    bookmark: dict[str, Any], cursor: str | None
) -> None:
    assert manager_for(bookmark).cursor == cursor


def test_advancing_replaces_the_cursor_whatever_its_order() -> None:
    manager = manager_for({})
    for cursor in ("b", "a", "z" * 4000, "\u0000é"):
        manager.advance(cursor)

        assert manager.cursor == cursor
        assert manager.stream_state == {**BOOKMARK, "replication_key_value": cursor}


def test_advancing_without_a_cursor_keeps_it_and_stores_the_rest() -> None:
    manager = manager_for(dict(BOOKMARK))
    manager.advance(None, failed=[{"interactionId": 1}], shard="1/2")

    assert manager.stream_state == {**BOOKMARK, "failed": [{"interactionId": 1}], "shard": "1/2"}


def test_a_first_run_without_a_page_has_no_replication_key() -> None:
    manager = manager_for({})
    manager.advance(None, failed=[])

    assert manager.stream_state == {"failed": []}


def test_the_sdk_does_not_move_the_bookmark() -> None:
    manager = manager_for(dict(BOOKMARK))
    manager.increment_state({"nextCursorId": "z"}, context=None)
    manager.write_starting_replication_value(None)

    assert manager.stream_state == BOOKMARK


@pytest.mark.parametrize(
    ("bookmark", "is_valid"),
    [
        ({**BOOKMARK, "shard": "2/3"}, True),
        ({**BOOKMARK, "shard": "1/3"}, False),
        ({**BOOKMARK, "shard": 5}, False),
        ({**BOOKMARK, "shard": ["2/3"]}, False),
        (BOOKMARK, True),
        ({"shard": "1/3"}, True),
    ],
)
def test_a_bookmark_belongs_to_a_shard_once_it_has_a_cursor(
    bookmark: dict[str, Any], *, is_valid: bool
) -> None:
    with nullcontext() if is_valid else pytest.raises(ConfigValidationError):
        manager_for(bookmark).check("shard", "2/3", label="media_shard")


@pytest.mark.parametrize(
    ("state", "valid"),
    [
        (None, {}),
        ({}, {"bookmarks": {}}),
        ({"bookmarks": None}, {"bookmarks": {}}),
        ({"bookmarks": {}}, {"bookmarks": {}}),
        ({"bookmarks": {"recordings": None}}, {"bookmarks": {}}),
        ({"bookmarks": {"recordings": {}}}, {"bookmarks": {"recordings": {}}}),
        ({"bookmarks": {"recordings": BOOKMARK}}, {"bookmarks": {"recordings": BOOKMARK}}),
        ({"bookmarks": {}, "other": 5}, {"bookmarks": {}, "other": 5}),
        (
            {
                "bookmarks": {
                    "recordings": {
                        **BOOKMARK,
                        "progress_markers": {"a": 1},
                        "partitions": [{"context": {}}],
                        "starting_replication_value": "2025-01-01",
                        "kept": 1,
                    }
                }
            },
            {"bookmarks": {"recordings": {**BOOKMARK, "kept": 1}}},
        ),
        (
            {"bookmarks": {"other": {"replication_key": "id", "replication_key_value": 5}}},
            {"bookmarks": {"other": {"replication_key": "id", "replication_key_value": 5}}},
        ),
    ],
    ids=repr,
)
def test_a_state_is_kept_without_the_sdks_own_keys(state: Any, valid: dict[str, Any]) -> None:
    before = copy.deepcopy(state)

    # An empty state and one with empty bookmarks mean the same.
    assert {"bookmarks": {}, **validate_state(state)} == {"bookmarks": {}, **valid}
    assert state == before


@pytest.mark.parametrize(
    ("state", "fact"),
    [
        ([], "object"),
        ("canary", "object"),
        (5, "object"),
        ({"canary": 1}, "no bookmarks"),
        ({"singer_state": {"bookmarks": {}}}, "singer_state"),
        ({"bookmarks": ["canary"]}, "bookmarks must"),
        ({"bookmarks": {"recordings": ["canary"]}}, "recordings' must"),
        ({"bookmarks": {"recordings": {**BOOKMARK, "replication_key_value": 7770777}}}, "a string"),
        ({"bookmarks": {"recordings": {**BOOKMARK, "replication_key_value": [1]}}}, "a string"),
        ({"bookmarks": {"recordings": {**BOOKMARK, "replication_key_value": "\ud83d"}}}, "string"),
    ],
    ids=repr,
)
def test_a_state_that_this_tap_never_wrote_is_rejected_without_showing_it(
    state: Any, fact: str
) -> None:
    """Starting from the beginning instead could read years again."""
    with pytest.raises(ConfigValidationError) as caught:
        validate_state(state)

    (line,) = caught.value.errors
    assert line.startswith("state: ")
    assert fact in line
    assert "canary" not in line
    assert "7770777" not in line
