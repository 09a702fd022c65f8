"""How the matrix of targets compares values."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest

from tests.helpers.runner import ROOT
from tests.targets.comparison import WRONG, Table, change_of, compare

TIME = "2025-05-01T09:01:10.9567891Z"
UTC = timezone.utc


@pytest.mark.parametrize(
    ("column", "expected", "actual", "change"),
    [
        ("commentsCount", 2**53 + 1, str(2**53 + 1), None),
        ("commentsCount", 2**53 + 1, float(2**53), "rounded numbers"),
        ("commentsCount", None, "", None),
        ("commentsCount", None, 0, "null as 0"),
        ("commentsCount", 3, None, WRONG),
        ("commentsCount", 3, 5, WRONG),
        ("commentsCount", 3, "three", WRONG),
        ("durationInSeconds", Decimal("0.1"), 0.1, None),
        ("isPrivate", True, "True", None),
        ("isPrivate", True, False, WRONG),
        ("isPrivate", None, False, "null as 0"),
        ("type", "", None, "`''` as null"),
        ("type", None, "", "null as `''`"),
        ("type", "a", None, WRONG),
        ("type", "a", "b", WRONG),
        ("type", "a\nb", "a\\nb", "`\\n` as two characters"),
        ("retainUntil", TIME, TIME, None),
        ("retainUntil", TIME, datetime(2025, 5, 1, 9, 1, 10, 956789), "microseconds"),  # noqa: DTZ001
        ("retainUntil", TIME, "2025-05-01 09:01:10", "whole seconds"),
        ("retainUntil", TIME, "2025-05-01 09:01:11", "whole seconds"),
        ("retainUntil", TIME, "2025-05-01 09:01:12", WRONG),
        ("retainUntil", TIME, "2025-05-01 09:01:10.956788", WRONG),
        ("retainUntil", TIME, "1989-05-01 09:01:10.956789", "dates out of range"),
        ("retainUntil", "2025-05-01T11:00:00+02:00", datetime(2025, 5, 1, 9, tzinfo=UTC), None),
        ("retainUntil", "2025-05-01T11:00:00+02:00", "2025-05-01 11:00:00", "no offset"),
        ("retainUntil", "2025-05-01T11:00:00+02:00", "2025-05-01 09:00:00", None),
        ("legalHolds", {"a": [1, None]}, '{"a": [1, null]}', None),
        ("legalHolds", {"a": [1]}, "{'a': [1]}", WRONG),
        ("legalHolds", "12", '"12"', None),
        ("legalHolds", "12", "12", "text without quotes"),
        ("legalHolds", 12, "12", None),
        ("legalHolds", 12, 12, "other types in JSON"),
        ("legalHolds", True, "1", WRONG),
        ("legalHolds", {}, None, "JSON as null"),
        ("legalHolds", None, "", None),
        ("legalHolds", None, "null", None),
        ("legalHolds", "", "", "text without quotes"),
    ],
)
def test_a_change_of_a_value_has_a_name(
    column: str, expected: Any, actual: Any, change: str | None
) -> None:
    assert change_of(column, expected, actual, is_json=False) == change


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (1, True),
        (1, "1"),
        (None, "null"),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"a": 1, "b": None}),
        (2**53 + 1, 2.0**53),
    ],
)
def test_a_json_column_keeps_types_digits_order_and_names(expected: Any, actual: Any) -> None:
    assert change_of("legalHolds", expected, expected, is_json=True) is None
    assert change_of("legalHolds", expected, actual, is_json=True) == WRONG


def test_rows_are_compared_by_their_last_version() -> None:
    written = [{"interactionId": n, "type": text} for n, text in ((1, "a"), (2, "b"), (1, "c"))]
    rows = [{"INTERACTION_ID": n, "TYPE": text} for n, text in ((2, "b"), (1, "a"), (1, "c"))]

    appended = compare(written, Table(rows, appends=True))
    doubled = compare(written, Table(rows))
    behind = compare(written, Table(rows[:2]))

    assert (appended.missing, appended.extra, appended.changed, appended.renamed) == (0, 0, 0, True)
    assert doubled.extra == 1
    assert behind.changes == {WRONG: {"type": 1}}
    assert compare(written, Table(rows[:1])).missing == 1


def test_the_docs_explain_every_change() -> None:
    results = json.loads((ROOT / "tests" / "targets" / "results.json").read_text("utf-8"))
    page = (ROOT / "docs" / "warehouses.md").read_text("utf-8")
    legend = page.partition("| Change | Meaning |")[2].partition("\n\n")[0]
    runs = [run for result in results.values() for run in result["runs"]]

    assert [n for run in runs for n in run.get("changes", {}) if n not in legend] == []
