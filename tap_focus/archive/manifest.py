"""Rows of the manifest, the stream `recording_media`: build them and read them back."""

from __future__ import annotations

import codecs
import typing as t
from datetime import datetime, timezone

import msgspec

from tap_focus.api.record_model import KEY
from tap_focus.archive.naming import parse_date_time

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_COPIED_LENGTH = 4096
"""Longest text that a row and the bookmark copy from a recording, in characters."""

COPIED_FIELDS = (KEY, "thirdPartyId", "startDatetimeUTC", "type")
"""Fields of a recording that its row repeats."""

_DECODE_ERRORS = (msgspec.DecodeError, ValueError, RecursionError)


class StoredRow(msgspec.Struct):
    """The columns that describe a stored file."""

    uri: str
    sizeInBytes: t.Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]  # noqa: N815 - the column's name
    sha256: str


def build_row(
    recording: Mapping[str, t.Any], status: str, *, error: str | None = None, **file: t.Any
) -> dict[str, t.Any]:
    """Return a recording's row, without `nextCursorId`.

    A field of the recording that does not fit its column becomes null. `file` contains the columns
    `uri`, `contentType`, `sizeInBytes` and `sha256`; without a file they are null.
    """
    start = recording.get("startDatetimeUTC")
    return {
        KEY: recording[KEY],
        "thirdPartyId": _text_or_none(recording.get("thirdPartyId")),
        "startDatetimeUTC": start if parse_date_time(start) else None,
        "type": _text_or_none(recording.get("type")),
        **dict.fromkeys(("uri", "contentType", "sizeInBytes", "sha256")),
        **file,
        "fetchedAt": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "status": status,
        "error": error,
    }


def read_manifest(lines: Iterable[bytes]) -> list[StoredRow | None]:
    """Return the last row of each recording, or None for a recording without a file.

    The lines are rows in JSON, or Singer messages. Other messages than rows are ignored, as are
    records of the stream `recordings`.

    Raises:
        ValueError: a line is not a row of the manifest.
    """
    rows: dict[t.Any, StoredRow | None] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line.removeprefix(codecs.BOM_UTF8))
            if "record" in row or row.get("type") in ("SCHEMA", "STATE", "BATCH"):
                if "record" not in row or row.get("stream") == "recordings":
                    continue
                row = row["record"]
            is_stored = row["status"] == "stored"
            rows[row[KEY]] = msgspec.convert(row, StoredRow) if is_stored else None
        except (*_DECODE_ERRORS, TypeError, LookupError, AttributeError):
            raise ValueError(f"line {number} is not a row of recording_media") from None
    return list(rows.values())


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and len(value) <= MAX_COPIED_LENGTH else None
