"""The work list of `tap-focus-media fetch`: rows of the stream `recordings` as JSON lines."""

from __future__ import annotations

import codecs
import typing as t

import msgspec

from tap_focus.api.record_model import KEY
from tap_focus.api.text import MAX_DEPTH, depth
from tap_focus.archive.naming import from_database, parse_date_time
from tap_focus.archive.verification.manifest import MAX_LINE_BYTES
from tap_focus.archive.verification.manifest_row import decode_line
from tap_focus.errors import WorkListError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_focus.archive.naming import Shard

    Recording = dict[str, t.Any]

MAX_CHUNK_BYTES = 16 * 1024 * 1024
"""Lines that are kept in memory at once; a longer line is kept alone."""

_Digits = t.Annotated[str, msgspec.Meta(pattern="^-?[0-9]{1,64}$")]


class _Row(msgspec.Struct):
    """The columns that a download needs, or that its row in the manifest copies.

    Most must be present: without `retainUntil` and `legalHolds`, for example, a file would not be
    locked, and the row would replace the dates of an earlier one by null.
    """

    interactionId: int | _Digits  # noqa: N815 - the names of the columns
    thirdPartyId: str | None  # noqa: N815
    startDatetimeUTC: str | None  # noqa: N815
    type: str | None
    mediaAccessStatus: str | None  # noqa: N815
    durationInSeconds: float | None  # noqa: N815
    retainUntil: str | None  # noqa: N815
    legalHolds: t.Any  # noqa: N815
    endDatetimeUTC: str | None = None  # noqa: N815
    additionalFields: t.Any = None  # noqa: N815


_decode_row = msgspec.json.Decoder(_Row).decode
_COLUMNS = _Row.__struct_fields__[:-1]


def read_work_list(
    file: t.IO[bytes], *, shard: Shard, chunk_size: int
) -> Iterator[list[Recording]]:
    """Yield the recordings of a work list as Focus sent them, with the fields that are needed.

    Args:
        file: rows or Singer messages of the stream `recordings`, as JSON lines.
        shard: others are skipped.
        chunk_size: maximum length of a list.

    Raises:
        WorkListError: a line is invalid. The recordings before it have been yielded.
    """
    chunk: list[Recording] = []
    size = 0
    error: WorkListError | None = None
    for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), start=1):
        try:
            recording = _parse(line.removeprefix(codecs.BOM_UTF8) if number == 1 else line)
        except ValueError as reason:
            error = WorkListError(number, str(reason))
            break
        if recording and shard.contains(recording[KEY]):
            chunk.append(recording)
            size += len(line)
        if len(chunk) >= chunk_size or size >= MAX_CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
    if error:
        raise error


def _parse(line: bytes) -> Recording | None:
    """Return the recording of a line, or None for an empty line and messages without a record.

    Raises:
        ValueError: the line is invalid. The text contains no value.
    """
    try:
        data = decode_line(line, other_stream="recording_media") if line.strip() else None
        if not data:
            return None
        row = _decode_row(data)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None  # its text names the column and the types
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise ValueError("it is not valid JSON") from None
    recording = {name: getattr(row, name) for name in _COLUMNS}
    recording[KEY] = int(row.interactionId)
    for name in ("startDatetimeUTC", "endDatetimeUTC", "retainUntil"):
        if isinstance(text := recording[name], str):
            recording[name] = _date_time(name, text)
    recording["legalHolds"] = _from_text(row.legalHolds)
    if depth(recording["legalHolds"]) > MAX_DEPTH:
        raise ValueError("legalHolds is nested too deep")
    # Values of Focus that the columns of the stream `recordings` do not admit.
    additional = _from_text(row.additionalFields)
    if isinstance(additional, dict):
        recording |= {name: additional[name] for name in _COLUMNS[1:] if name in additional}
    return recording


def _date_time(name: str, text: str) -> str:
    """Return a date-time in UTC, unless it has an offset, as RFC 3339."""
    text = from_database(text)
    moment = parse_date_time(text)
    if not moment:
        raise ValueError(f"{name} is not a date-time such as 2025-05-01T09:01:10Z")
    return text if moment.tzinfo else f"{text}Z"


def _from_text(value: t.Any) -> t.Any:
    """Return a value that `json_text` or a target may have stored as text with JSON."""
    if not isinstance(value, str) or not value.startswith(("{", "[", "null")):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return value
