"""Validation of a page against expected fields, in the same pass that reads the identifiers."""

from __future__ import annotations

import typing as t
from contextlib import suppress

import msgspec

KEY = "interactionId"
"""The field that identifies a recording: an integer."""

START = "startDatetimeUTC"
"""The field with the start of a recording: an ISO 8601 date-time."""

MAX_CURSOR_LENGTH = 4096
"""Longest cursor in characters. It is part of each record and of the next request's URL."""

# .NET's DateTime.MaxValue, a usual "never", which msgspec would round up to the year 10000.
_NET_MAXIMUM = (b"9999-12-31T23:59:59.9999999", b"9999-12-31T23:59:59.999999")

Int64 = t.Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class Envelope(msgspec.Struct):
    """What a page has besides the recordings."""

    nextCursorId: t.Annotated[  # noqa: N815 - the name in the API
        str, msgspec.Meta(min_length=1, max_length=MAX_CURSOR_LENGTH)
    ]


class RecordModel:
    """Types of the fields of a recording, checked in the same pass that reads the identifiers.

    A recording matches if it has no other fields, and each with a value of its type.
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
        for text in (body, body.replace(*_NET_MAXIMUM)) if self._is_usable else ():
            with suppress(msgspec.DecodeError, ValueError, RecursionError):
                return self._complete.decode(text), True
            with suppress(msgspec.DecodeError, ValueError, RecursionError):
                return self._partial.decode(text), False
        return None, False


def _page_decoder(
    types: t.Mapping[str, t.Any], *, are_required: bool
) -> msgspec.json.Decoder[t.Any]:
    # Field names need not be Python identifiers, so the attributes have other names.
    names = {f"f{i}": name for i, name in enumerate(types) if name not in (KEY, START)}
    fields: list[t.Any] = [(KEY, Int64)]
    for attribute, name in [(START, START), *names.items()]:
        kind = types.get(name, t.Any)
        fields.append((attribute, kind) if are_required else (attribute, kind, None))
    record = msgspec.defstruct("Record", fields, rename=names, forbid_unknown_fields=True, gc=False)
    page = msgspec.defstruct("Page", [("recordings", list[record])], bases=(Envelope,))  # type: ignore[valid-type]
    return msgspec.json.Decoder(page)
