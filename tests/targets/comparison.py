"""Compares the rows of a store with the records that the tap wrote."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from tap_focus.streams.columns import RECORDINGS, is_json_column

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "interactionId"
COLUMNS: dict[str, dict[str, Any]] = RECORDINGS["properties"]
WRONG = "other values"
"""The name of a change that has no name in `_named_change`."""


@dataclass
class Table:
    """What a store contains after a run.

    Attributes:
        rows: in the order in which they were written, if the store appends.
        json_columns: the columns that have a type for JSON or structures. Their values are decoded.
        appends: whether each version of a recording is a row.
    """

    rows: list[dict[str, Any]]
    json_columns: set[str] = field(default_factory=set)
    appends: bool = False


@dataclass
class Difference:
    """The result of a comparison.

    Attributes:
        expected: recordings that must be in the store.
        missing: recordings that are not.
        extra: rows too many.
        values: values that were compared.
        changes: how many values are changed, by the name of the change and the column.
    """

    expected: int
    missing: int
    extra: int
    values: int
    changes: dict[str, Counter[str]]
    renamed: bool
    example: str

    @property
    def rows_right(self) -> bool:
        return not (self.missing or self.extra)

    @property
    def changed(self) -> int:
        return sum(counter.total() for counter in self.changes.values())


def expected_records(messages: list[str]) -> list[dict[str, Any]]:
    """Return the records of the tap's output, with the text of JSON columns decoded."""
    records: list[dict[str, Any]] = []
    is_text: dict[str, bool] = {}
    for line in messages:
        message = json.loads(line, parse_float=Decimal)
        if message["type"] == "SCHEMA":
            is_text = {
                name: definition["type"] == ["string", "null"] and is_json_column(COLUMNS[name])
                for name, definition in message["schema"]["properties"].items()
            }
        if message["type"] == "RECORD":
            records.append(
                {
                    name: json.loads(value, parse_float=Decimal)
                    if value is not None and is_text[name]
                    else value
                    for name, value in message["record"].items()
                }
            )
    return records


def compare(written: list[dict[str, Any]], table: Table) -> Difference:
    """Compare every row and every field.

    Args:
        written: the records of all runs of the tap so far.
        table: the content of the store.
    """
    latest = {record[KEY]: record for record in written}
    names = {_plain(name): name for row in table.rows for name in row}
    columns = {name: names.get(_plain(name)) for name in COLUMNS}
    rows: dict[int, dict[str, Any]] = {}
    for row in table.rows:
        key = row.get(columns[KEY] or "")
        rows[int(key) if key is not None else -1] = row
    changes: dict[str, Counter[str]] = defaultdict(Counter)
    example = ""
    compared = 0
    for key, record in latest.items():
        if key not in rows:
            continue
        for name in COLUMNS:
            compared += 1
            column = columns[name]
            actual = rows[key].get(column) if column else None
            is_json = bool(column) and column in table.json_columns
            if change := change_of(name, record.get(name), actual, is_json=is_json):
                changes[change][name] += 1
                if change == WRONG:
                    example = example or f"{name}: {record.get(name)!r:.60} -> {actual!r:.60}"
    return Difference(
        expected=len(latest),
        missing=len(latest.keys() - rows.keys()),
        extra=len(table.rows) - (len(written) if table.appends else len(rows)),
        values=compared,
        changes=changes,
        renamed=any(column not in {None, name} for name, column in columns.items()),
        example=example,
    )


def change_of(name: str, expected: Any, actual: Any, *, is_json: bool) -> str | None:
    """Return the name of the change of a value, or None if it is the same.

    A value is the same in another representation that keeps its type and all of its digits, such
    as a date-time without the time zone UTC. In CSV, an empty field that is no text is null.
    """
    definition = COLUMNS[name]
    if is_json_column(definition):
        return _json_change(expected, actual, is_json=is_json)
    kind = definition.get("format") or next(k for k in definition["type"] if k != "null")
    if expected is None or actual is None:
        return _null_change(expected, actual, is_text=kind == "string")
    comparisons: dict[str, Callable[[Any, Any], str | None]] = {
        "boolean": _boolean_change,
        "date-time": _time_change,
        "string": _text_change,
    }
    return comparisons.get(kind, _number_change)(expected, actual)


def _null_change(expected: Any, actual: Any, *, is_text: bool) -> str | None:
    if expected is not None:
        return "`''` as null" if expected == "" else WRONG
    if actual == "":
        return "null as `''`" if is_text else None
    return None if actual is None else "null as 0" if actual == 0 else WRONG


def _json_change(expected: Any, actual: Any, *, is_json: bool) -> str | None:
    if actual is None:
        return None if expected is None else "JSON as null"
    if is_json:
        return None if same_json(expected, actual) else WRONG
    if not isinstance(actual, str):
        return "other types in JSON"
    if expected is None and actual == "":
        return None
    with suppress(ValueError):
        if same_json(expected, json.loads(actual, parse_float=Decimal)):
            return None
    return "text without quotes" if actual == expected else WRONG


def same_json(expected: Any, actual: Any) -> bool:
    """Return whether two decoded JSON values have the same types, digits and order."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(
            same_json(value, actual[name]) for name, value in expected.items()
        )
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(same_json, expected, actual))
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, (int, Decimal)) and isinstance(actual, (int, float, Decimal)):
        return Decimal(expected) == Decimal(str(actual))
    return type(expected) is type(actual) and bool(expected == actual)


def _boolean_change(expected: bool, actual: Any) -> str | None:  # noqa: FBT001 - as the others
    return None if str(actual).lower() in {str(expected).lower(), str(int(expected))} else WRONG


def _text_change(expected: Any, actual: Any) -> str | None:
    if actual == expected:
        return None
    escaped = "".join(json.dumps(c)[1:-1] if c < " " else c for c in expected)
    return "`\\n` as two characters" if actual == escaped else WRONG


def _number_change(expected: Any, actual: Any) -> str | None:
    try:
        number = Decimal(str(actual))
    except InvalidOperation:
        return WRONG
    if number == Decimal(expected):
        return None
    return "rounded numbers" if abs(number - Decimal(expected)) <= 1 else WRONG


def _time_change(expected: str, actual: Any) -> str | None:
    wanted, digits = _parse_time(expected)
    if actual == expected:
        return None
    if isinstance(actual, datetime):
        found, found_digits = actual, actual.strftime(".%f")[1:]
    elif isinstance(actual, date):
        return "no time of day"
    else:
        found, found_digits = _parse_time(str(actual))
    change = None
    if found.tzinfo is None:
        if found.replace(tzinfo=wanted.tzinfo, microsecond=0) == wanted.replace(microsecond=0):
            change = "no offset" if wanted.utcoffset() else None
            found = found.replace(tzinfo=wanted.tzinfo)
        else:
            found = found.replace(tzinfo=timezone.utc)
    if abs(found - wanted) >= timedelta(seconds=1):
        return "dates out of range" if abs(found - wanted) > timedelta(days=365) else WRONG
    if found_digits.rstrip("0") == digits.rstrip("0"):
        return change
    if not found_digits.rstrip("0"):
        return "whole seconds"
    return "microseconds" if digits.startswith(found_digits.rstrip("0")) else WRONG


def _parse_time(text: str) -> tuple[datetime, str]:
    """Return a time of up to microseconds, and all digits of its fraction."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?\s*(\S*)", text)
    if not match:
        return datetime(1, 1, 1), ""  # noqa: DTZ001 - equals no time of the feed
    digits = match[3] or ""
    zone = match[4].replace("Z", "+00:00").replace("UTC", "+00:00")
    return datetime.fromisoformat(f"{match[1]}T{match[2]}.{digits:0<6.6}{zone}"), digits


def _plain(name: str) -> str:
    """Return a name without what targets change in names: case and underscores."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
