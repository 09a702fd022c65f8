"""Compares the rows of a store with the records that the tap wrote."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any

from tap_focus.streams.schemas import RECORDINGS, is_json_column

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
    is_time = definition.get("format") == "date-time"
    if is_json_column(definition):
        return _json_change(expected, actual, is_json=is_json)
    if expected is None:
        if actual is None:
            return None
        if actual != "":
            return WRONG
        return "null as ''" if "string" in definition["type"] and not is_time else None
    if actual is None:
        return "'' as null" if expected == "" else WRONG
    if is_time:
        return _time_change(expected, actual)
    if "string" in definition["type"]:
        return _text_change(expected, actual)
    if "boolean" in definition["type"]:
        return None if str(actual).lower() in {str(expected).lower(), str(int(expected))} else WRONG
    return _number_change(expected, actual)


def _json_change(expected: Any, actual: Any, *, is_json: bool) -> str | None:
    if actual is None:
        return None if expected is None else "JSON as null"
    if is_json:
        return None if same_json(expected, actual) else WRONG
    if expected is None:
        return None if actual in {"null", ""} else WRONG
    if not isinstance(actual, str):
        return "types in JSON columns"
    try:
        decoded = json.loads(actual, parse_float=Decimal)
    except ValueError:
        return "text without quotes" if actual == expected else WRONG
    if same_json(expected, decoded):
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


def _text_change(expected: Any, actual: Any) -> str | None:
    if actual == expected:
        return None
    escaped = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    is_escaped = actual == expected.translate(str.maketrans(escaped))
    return "line breaks as backslash and letter" if is_escaped else WRONG


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
        return "dates without time"
    else:
        found, found_digits = _parse_time(str(actual))
    change = None
    if found.tzinfo is None:
        if found.replace(tzinfo=wanted.tzinfo, microsecond=0) == wanted.replace(microsecond=0):
            change = "offsets lost" if wanted.utcoffset() else None
            found = found.replace(tzinfo=wanted.tzinfo)
        else:
            found = found.replace(tzinfo=timezone.utc)
    if abs(found - wanted) >= timedelta(seconds=1):
        return WRONG
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
