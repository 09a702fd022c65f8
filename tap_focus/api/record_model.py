"""Validation of a page against expected fields, in the same pass that reads the identifiers."""

from __future__ import annotations

import typing as t
from contextlib import suppress

import msgspec

from tap_focus.api.text import has_long_integer, is_too_deep, is_utf8

KEY = "interactionId"
"""The field that identifies a recording: an integer."""

START = "startDatetimeUTC"
"""The field with the start of a recording: an ISO 8601 date-time."""

MAX_CURSOR_LENGTH = 4096
"""Longest cursor in characters. It is part of each record and of the next request's URL."""

NET_MAXIMUM = (b"9999-12-31T23:59:59.9999999", b"9999-12-31T23:59:59.999999")
""".NET's DateTime.MaxValue, a usual "never", which msgspec would round up to the year 10000, and a
date-time that replaces it."""

Int64 = t.Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class Envelope(msgspec.Struct):
    """What a page has besides the recordings."""

    nextCursorId: t.Annotated[  # noqa: N815 - the name in the API
        str, msgspec.Meta(min_length=1, max_length=MAX_CURSOR_LENGTH)
    ]


class RecordModel:
    """Types of the fields of a recording, checked in the same pass that reads the identifiers.

    A recording matches if it has no other fields, and each with a value of its type. The type
    `msgspec.Raw` means an array or null. Its values are checked later, by `are_readable_arrays`.
    """

    def __init__(self, types: t.Mapping[str, t.Any]) -> None:
        """Prepare the check.

        Args:
            types: a type of msgspec for each field.
        """
        self._types = types
        self._is_usable = KEY in types and START in types
        self._complete = _page_decoder(types, are_required=True)
        self._partial = _page_decoder(types, are_required=False)

    def add(self, types: t.Mapping[str, t.Any]) -> None:
        """Accept recordings with further fields of such types."""
        self._types = {**self._types, **types}
        self._partial = _page_decoder(self._types, are_required=False)

    def decode(self, body: bytes) -> tuple[t.Any, bool]:
        """Return a decoded page, and whether all recordings have all fields of `__init__`.

        Without a match, returns None as the page.
        """
        if not self._is_usable:
            return None, False
        # Most pages match at once, and the search for dates to replace takes time.
        return self._decode(body) or self._decode(body.replace(*NET_MAXIMUM)) or (None, False)

    def _decode(self, body: bytes) -> tuple[t.Any, bool] | None:
        for decoder in (self._complete, self._partial):
            with suppress(msgspec.DecodeError, ValueError, RecursionError):
                return decoder.decode(body), decoder is self._complete
        return None

    def arrays(self, recordings: t.Iterable[t.Any]) -> list[msgspec.Raw]:
        """Return the values of type `msgspec.Raw`, for `are_readable_arrays`."""
        return [
            value
            for name, attribute in _attributes(self._types).items()
            if self._types[name] is msgspec.Raw
            for recording in recordings
            if (value := getattr(recording, attribute)) is not None
        ]


def are_readable_arrays(values: list[msgspec.Raw]) -> bool:
    """Return whether values are arrays that every JSON parser can read, or null."""
    text = b"".join(values)
    return (
        {memoryview(value)[0] for value in values} <= {*b"[n"}  # the first character decides
        and is_utf8(text)
        and not has_long_integer(text)
        and not is_too_deep(text)
    )


def _attributes(types: t.Iterable[str]) -> dict[str, str]:
    """Return the attribute for each field; names of fields need not be Python identifiers."""
    return {name: name if name in (KEY, START) else f"f{i}" for i, name in enumerate(types)}


def _page_decoder(
    types: t.Mapping[str, t.Any], *, are_required: bool
) -> msgspec.json.Decoder[t.Any]:
    attributes = _attributes(types)
    fields: list[t.Any] = [(KEY, Int64)]
    for name, kind in types.items():
        if name != KEY:
            fields.append((attributes[name], kind, *([] if are_required else [None])))
    names = {attribute: name for name, attribute in attributes.items()}
    record = msgspec.defstruct("Record", fields, rename=names, forbid_unknown_fields=True, gc=False)
    page = msgspec.defstruct("Page", [("recordings", list[record])], bases=(Envelope,))  # type: ignore[valid-type]
    return msgspec.json.Decoder(page)
