"""Types of msgspec that accept the values which a column's JSON schema admits.

msgspec validates in C while it parses, so that checking every value costs little.
"""

from __future__ import annotations

import datetime as dt
import functools
import operator
import typing as t

import msgspec

if t.TYPE_CHECKING:
    from collections.abc import Mapping

_INT64 = msgspec.Meta(ge=-(2**63), le=2**63 - 1)
"""Range of the widest integer column of warehouses."""


class _Array(msgspec.Struct, array_like=True):
    """Any array: msgspec skips the elements that a struct has no fields for."""


class _Types(t.NamedTuple):
    """Types for schemas that say nothing of a value's structure."""

    any: t.Any
    object: t.Any
    array: t.Any


_SCALAR: t.Any = bool | int | float | str | None
_FLAT: t.Any = _SCALAR | list[_SCALAR] | dict[str, _SCALAR]
_NESTED: t.Any = _SCALAR | list[_FLAT] | dict[str, _FLAT]

_UNLIMITED = _Types(t.Any, dict[str, t.Any], _Array)
_SHALLOW = _Types(_SCALAR | list[_NESTED] | dict[str, _NESTED], dict[str, _NESTED], list[_NESTED])

_STRING_FORMATS: dict[str, t.Any] = {"date-time": dt.datetime, "date": dt.date, "time": dt.time}


def field_type(schema: Mapping[str, t.Any], types: _Types = _UNLIMITED) -> t.Any:
    """Return a type that accepts what a JSON schema admits; null is always accepted.

    Looks at the type, at the formats of dates and times, at `maxLength`, at the 64-bit range of
    integers, and at the items of arrays of scalars. Every number must fit a double, except within
    arrays of objects, whose elements are not checked.
    """
    kind = _field_type(schema, types)
    try:
        msgspec.json.Decoder(kind)
    except TypeError:  # a union that msgspec cannot decide by the first character
        return types.any
    return kind


def shallow_type(schema: Mapping[str, t.Any]) -> t.Any:
    """Return the type of a column for a `RecordModel`: values of the usual form, little nested.

    A value that it rejects may still be valid.
    """
    kind = field_type(schema, _SHALLOW)
    return msgspec.Raw if kind == _SHALLOW.array | None else kind


def _field_type(schema: Mapping[str, t.Any], types: _Types) -> t.Any:
    if alternatives := schema.get("anyOf") or schema.get("oneOf"):
        return functools.reduce(operator.or_, (_field_type(each, types) for each in alternatives))
    kinds = schema.get("type", "any")
    names = {kinds} if isinstance(kinds, str) else {*kinds}
    if names >= {"boolean", "integer", "number", "string", "array", "object"}:
        return types.any
    found = [_type_of(name, schema, types) for name in names if name != "null"]
    return (
        types.any
        if types.any in found
        else functools.reduce(operator.or_, found, t.cast("t.Any", None))
    )


def _type_of(name: str, schema: Mapping[str, t.Any], types: _Types) -> t.Any:
    """Return the type for one of the JSON types of a schema."""
    if name == "array":
        items = schema.get("items")
        kinds = items.get("type", ()) if isinstance(items, dict) else ("object",)
        has_nested_items = {"array", "object"} & {*([kinds] if isinstance(kinds, str) else kinds)}
        return types.array if has_nested_items else list[field_type(items, types)]  # type: ignore[arg-type,misc]
    if name == "string":
        return _string_type(schema)
    return _SIMPLE.get(name) or (types.object if name == "object" else types.any)


_SIMPLE = {"boolean": bool, "integer": t.Annotated[int, _INT64], "number": float}


def _string_type(schema: Mapping[str, t.Any]) -> t.Any:
    if schema.get("format") in _STRING_FORMATS:
        return _STRING_FORMATS[schema["format"]]
    longest = schema.get("maxLength")
    return t.Annotated[str, msgspec.Meta(max_length=longest)] if longest else str
