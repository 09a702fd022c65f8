"""The fast path for records: JSON text from Focus is written without decoding the values.

The SDK's path writes the same messages at several times the cost; a test compares them.
"""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone
from itertools import islice

import msgspec
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk import Stream

    from tap_focus.api.page import Page
    from tap_focus.streams.record_parser import RecordParser

RECORDS_PER_WRITE = 48
"""Records that are encoded at once: about 64 KiB, the size of a pipe and less than a CPU cache."""

_ENCODER = msgspec.json.Encoder()


class _RecordMessage(msgspec.Struct, gc=False):
    type: str
    stream: str
    record: t.Any
    time_extracted: datetime


def can_write_raw(stream: Stream) -> bool:
    """Return whether the SDK would write a stream's records unchanged but for the selection.

    Any other processing is visible in one of these attributes, or in a subclass, and the records
    then take the SDK's path.
    """
    first, *others = stream.stream_maps
    return (
        not others
        and type(first) is SameRecordTransform
        and first.stream_alias == stream.name
        and not first.flattening_enabled
        and stream.TYPE_CONFORMANCE_LEVEL is TypeConformanceLevel.NONE
        and stream.get_batch_config(stream.config) is None
        and stream.ABORT_AT_RECORD_COUNT is None
        and not stream.child_streams
        # Set by FULL_TABLE replication, and then part of each message.
        and stream._stream_version is None  # noqa: SLF001
    )


def encode_page(stream: str, page: Page, parser: RecordParser) -> Iterator[bytes]:
    """Yield the RECORD messages of a page, several whole lines at once.

    Args:
        stream: name of the stream.
        page: the page, requested with `parser.model`.
        parser: parser of the stream.
    """
    now = datetime.now(timezone.utc)
    cursor = msgspec.json.encode(page.cursor)
    if parser.keeps_text(page):
        yield from _splice(stream, page.texts, cursor, now)
        return
    records = parser.raw_records(page, msgspec.Raw(cursor))
    while batch := [*islice(records, RECORDS_PER_WRITE)]:
        yield _ENCODER.encode_lines([_RecordMessage("RECORD", stream, r, now) for r in batch])


def _splice(stream: str, texts: list[memoryview], cursor: bytes, now: datetime) -> Iterator[bytes]:
    """Yield lines that contain the texts as they are, with the tap's own columns appended."""
    head = b'{"type":"RECORD","stream":%b,"record":' % msgspec.json.encode(stream)
    tail = b',"additionalFields":null,"nextCursorId":%b},"time_extracted":%b}\n' % (
        cursor,
        msgspec.json.encode(now),
    )
    for start in range(0, len(texts), RECORDS_PER_WRITE):
        # Without the last byte of each text, the brace, which follows the tap's own columns.
        batch = [text[:-1] for text in texts[start : start + RECORDS_PER_WRITE]]
        yield b"".join((head, (tail + head).join(batch), tail))
