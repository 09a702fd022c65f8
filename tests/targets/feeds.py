"""The feeds of the matrix: the sandbox, and recordings with odd values.

Each feed has two parts. The second one adds recordings and updates some of the first part.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_focus.sandbox import Sandbox
from tests.helpers.fake_focus import FakeFocus, feed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ANY_COLUMNS = ("retentionGroupId", "legalHolds", "isPrivateReason", "dataGroups")

ANY_VALUES: list[Any] = [
    12,
    "12",
    1.5,
    2**53 + 1,
    True,
    "true",
    "null",
    "",
    [],
    {},
    [None, 1, "1", [2]],
    {"a": {"b": [1.5]}, "é 😀": None},
    None,
]

TEXTS = (
    "line\nbreak\r\nand return\rand tab\t",
    '"quotes", \'others\', commas; {"a": [1]} {a,b} $1 %s \\n \\N \\.',
    "é 😀 👩‍👩‍👧 \u2028 \x01 \x7f",
    "x" * 70_000,
    "NULL",
    "",
)

DATE_TIMES = (
    "2025-05-01T09:01:10.9567891Z",  # seven digits, as .NET writes them
    "2025-05-01T09:01:10.956Z",
    "2025-05-01T09:01:10Z",
    "2025-05-01T11:01:10.956+02:00",
    "9999-12-31T23:59:59Z",  # the end of time, as .NET writes it
)

FULL = {
    "startDatetimeUTC": "2025-05-01T09:01:10.956Z",
    "endDatetimeUTC": "2025-05-01T09:03:10.956Z",
    "durationInSeconds": 120.5,
    "type": "teams",
    "commentsCount": 3,
    "transcriptSnippet": "Good morning",
    "thirdPartyId": "call|1",
    "endpoints": [{"person": {"id": 1, "fullName": "Ada"}, "endpoint": None}, None],
    "analysis": ["pricing"],
    "retentionGroupId": 4,
    "retainUntil": "2032-05-01T00:00:00Z",
    "legalHolds": [{"id": 1}],
    "tags": ["a", None],
    "isPrivate": False,
    "isPrivateReason": "why",
    "mediaAccessStatus": "Permitted",
    "dataGroups": [1, "2"],
    "optional": {"a": 1},
}
"""A value in every column."""

EMPTY = {
    name: type(value)() if isinstance(value, (str, list, dict)) else 0
    for name, value in FULL.items()
    if not name.endswith("UTC") and name not in {"retainUntil", "isPrivate"}
}
"""Every value empty, or 0."""


def first_part() -> list[dict[str, Any]]:
    """Return recordings whose IDs are their positions, counted from 1."""
    fields: list[dict[str, Any]] = [
        FULL,
        {},
        dict.fromkeys(FULL),
        EMPTY,
        {**FULL, "newText": "new", "newNumber": 1.5, "newObject": {"a": [1]}, "NEWTEXT": None},
        {**FULL, "durationInSeconds": "5", "tags": {"a": 1}, "endpoints": "none", "isPrivate": 1},
        {**FULL, "retainUntil": "Indefinite", "commentsCount": 2**63, "optional": [1]},
        {**FULL, "commentsCount": 2**53 + 1, "durationInSeconds": 1234567.123456},
        *({**FULL, **dict.fromkeys(ANY_COLUMNS, value)} for value in ANY_VALUES),
        *(
            {
                **FULL,
                "transcriptSnippet": text,
                "tags": [text],
                "legalHolds": text,
                "endpoints": [{"person": {"fullName": text}}],
                "optional": {"text": text, text[:50]: 1},
            }
            for text in TEXTS
        ),
        *({**FULL, "startDatetimeUTC": text, "retainUntil": text} for text in DATE_TIMES),
    ]
    return [{"interactionId": number, **values} for number, values in enumerate(fields, start=1)]


def second_part() -> list[dict[str, Any]]:
    """Return updates of all recordings of the first part whose number is even, and new ones.

    An updated recording has the values of the next one. One key needs more than 53 bits.
    """
    first = first_part()
    updates = [
        {**after, "interactionId": before["interactionId"]}
        for before, after in zip(first, [*first[1:], first[0]], strict=True)
        if before["interactionId"] % 2 == 0
    ]
    new = [{**values, "interactionId": 2**53 + n} for n, values in enumerate(first[:4], start=1)]
    return [*updates, *new]


@dataclass
class Focus:
    """A server, and a function that adds the second part to its feed."""

    settings: dict[str, Any]
    grow: Callable[[], None]


@contextmanager
def sandbox() -> Iterator[Focus]:
    """Run a sandbox with 150 entries, and 100 more in the second part."""
    with Sandbox(records=150, seed=7, live_every=0) as server:
        yield Focus(server.settings, lambda: server.grow(100))


@contextmanager
def odd_values() -> Iterator[Focus]:
    """Run a server whose recordings have odd values."""
    with FakeFocus(feed(first_part())) as server:
        # The first run ends with an empty page, and the second one requests the page after it.
        both = feed(first_part(), [], second_part())
        yield Focus(server.settings, lambda: server.pages.update(both))


FEEDS = {"sandbox": sandbox, "odd": odd_values}
