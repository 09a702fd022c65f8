"""Types of msgspec that accept the values which a column's JSON schema admits.

msgspec validates in C while it parses, so that checking every value costs little.
"""

from __future__ import annotations

import datetime as dt
import functools
import operator
import re
import typing as t

import msgspec

if t.TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DEPTH = 64
"""Deepest nesting of a value that is written. Recursive parsers of targets stop near 1,000."""

_INT64 = msgspec.Meta(ge=-(2**63), le=2**63 - 1)
"""Range of the widest integer column of warehouses."""

_SCALAR: t.Any = bool | int | float | str | None
_FLAT: t.Any = _SCALAR | list[_SCALAR] | dict[str, _SCALAR]
_NESTED: t.Any = _SCALAR | list[_FLAT] | dict[str, _FLAT]
_SHALLOW: t.Any = _SCALAR | list[_NESTED] | dict[str, _NESTED]

_STRING_FORMATS: dict[str, t.Any] = {"date-time": dt.datetime, "date": dt.date, "time": dt.time}


def field_type(schema: Mapping[str, t.Any]) -> t.Any:
    """Return a type that accepts what a JSON schema admits; null is always accepted.

    Looks at the type, at the formats of dates and times, at `maxLength`, at the 64-bit range of
    integers, and at the items of arrays of scalars. Every number must fit a double, except within
    arrays of objects, whose elements are not checked.
    """
    kind = _field_type(schema)
    try:
        msgspec.json.Decoder(kind)
    except TypeError:  # a union that msgspec cannot decide by the first character
        return t.Any
    return kind


def _field_type(schema: Mapping[str, t.Any]) -> t.Any:
    if alternatives := schema.get("anyOf") or schema.get("oneOf"):
        return functools.reduce(operator.or_, map(_field_type, alternatives))
    kinds = schema.get("type", "any")
    none: t.Any = type(None)
    names = [kinds] if isinstance(kinds, str) else list(kinds)
    types = [_TYPES.get(name, _any_type)(schema) for name in names if name != "null"]
    if t.Any in types or len(types) == len(_TYPES):
        return t.Any
    return functools.reduce(operator.or_, types, none)


def shallow_type(schema: Mapping[str, t.Any]) -> t.Any:
    """Return a type that is cheaper to check than `field_type`, for values of the usual form.

    It accepts objects to a small depth only. A value that it rejects may still be valid.
    """
    kind = field_type(schema)
    if kind == dict[str, t.Any] | None:
        return dict[str, _NESTED] | None
    return _SHALLOW if kind is t.Any else kind


class _Array(msgspec.Struct, array_like=True):
    """Any array: msgspec skips the elements that a struct has no fields for."""


def has_long_integer(text: bytes) -> bool:
    """Return whether a JSON text contains more digits in a row than Python's json module accepts.

    Looks at every 256th byte: of 4,300 digits or more, 16 samples in a row are digits.
    """
    return _DIGIT_SAMPLES.search(text[::256]) is not None


_DIGIT_SAMPLES = re.compile(rb"[0-9]{16}")


def _string_type(schema: Mapping[str, t.Any]) -> t.Any:
    if schema.get("format") in _STRING_FORMATS:
        return _STRING_FORMATS[schema["format"]]
    longest = schema.get("maxLength")
    return t.Annotated[str, msgspec.Meta(max_length=longest)] if longest else str


def _array_type(schema: Mapping[str, t.Any]) -> t.Any:
    items = schema.get("items")
    if not isinstance(items, dict):
        return _Array
    kinds = items.get("type", ())
    has_nested_items = {"array", "object"} & {*([kinds] if isinstance(kinds, str) else kinds)}
    return _Array if has_nested_items else list[field_type(items)]  # type: ignore[misc]


def _any_type(_: Mapping[str, t.Any]) -> t.Any:
    return t.Any


_TYPES: dict[str, t.Callable[[Mapping[str, t.Any]], t.Any]] = {
    "boolean": lambda _: bool,
    "integer": lambda _: t.Annotated[int, _INT64],
    "number": lambda _: float,
    "string": _string_type,
    "array": _array_type,
    "object": lambda _: dict[str, t.Any],
}


def is_too_deep(text: bytes) -> bool:
    """Return whether a JSON text may be nested more than `MAX_DEPTH` levels deep.

    Removes all but the brackets, then innermost pairs, once for each level. A text whose strings
    contain unpaired brackets is reported as well.
    """
    brackets = text.translate(_ROUND, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return False
        brackets = brackets.replace(b"()", b"")
    return bool(brackets)


_ROUND = bytes.maketrans(b"[]{}", b"()()")
_NO_BRACKETS = bytes(code for code in range(256) if code not in b"[]{}")


def depth(value: t.Any) -> int:
    """Return how deep a decoded JSON value is nested; 0 for a scalar."""
    level, deepest = [value], 0
    while level := [item for item in level if isinstance(item, (dict, list))]:
        deepest += 1
        level = [
            inner for item in level for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return deepest
