"""Records that leave as they came: their bytes pass through, with the tap's own two fields put in.

Nearly every recording of nearly every user is such a one. The SDK's path is the rule, and writes
the same messages; a test compares them.
"""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

import msgspec
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from singer_sdk import Stream


_AT_ONCE = 48
"""How many records are joined: some 64 KiB, which a pipe takes whole, and a processor's cache."""


def may_pass(stream: Stream) -> bool:
    """Whether the SDK would leave a stream's records as they are, by its own objects' word.

    Whatever a later SDK does to records, it will show in one of these, or in a subclass, and the
    records then take the SDK's path.
    """
    first, *others = stream.stream_maps
    return (
        not others
        and type(first) is SameRecordTransform
        and first.stream_alias == stream.name
        and not first.flattening_enabled
        and all(stream.mask.values())
        and stream.TYPE_CONFORMANCE_LEVEL is TypeConformanceLevel.NONE
        and stream.get_batch_config(stream.config) is None
        and stream.ABORT_AT_RECORD_COUNT is None
        and not stream.child_streams
        # Set in the FULL_TABLE mode of replication; each message would have to tell it.
        and stream._stream_version is None  # noqa: SLF001
    )


def record_messages(stream: str, raws: Sequence[t.Any], cursor: str) -> Iterator[bytes]:
    """Make RECORD messages of the stream `recordings`.

    Args:
        stream: its name.
        raws: JSON objects of the known fields, not empty, each without a line break.
        cursor: their `nextCursorId`.

    Yields:
        Some whole lines.
    """
    head = b'{"type":"RECORD","stream":%b,"record":' % msgspec.json.encode(stream)
    tail = b',"additionalFields":null,"nextCursorId":%b},"time_extracted":%b}\n' % (
        msgspec.json.encode(cursor),
        msgspec.json.encode(datetime.now(timezone.utc)),
    )
    for start in range(0, len(raws), _AT_ONCE):
        # Each object is opened again: its last byte, the brace, comes with the tail.
        opened = [bytes(raw)[:-1] for raw in raws[start : start + _AT_ONCE]]
        yield head + (tail + head).join(opened) + tail
