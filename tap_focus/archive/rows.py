"""Rows of the manifest, and what the archive needs to know of a recording."""

from __future__ import annotations

import hashlib
import typing as t
from datetime import datetime, timezone
from decimal import Decimal

from tap_focus.api.record_model import KEY
from tap_focus.archive.naming import in_utc, parse_date_time
from tap_focus.archive.stores.interface import Retention

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_focus.archive.stores.interface import AudioStore, StoredFile

    Recording = dict[str, t.Any]
    Row = dict[str, t.Any]

MAX_COPIED_LENGTH = 4096
"""Longest text that a row copies from a recording, in characters."""

MAX_DURATION = 7 * 24 * 60 * 60
"""Longest plausible duration of a recording in seconds. A longer one is ignored."""

_FIRST = datetime(1, 1, 1, tzinfo=timezone.utc)
_LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc)


class RequestedAudio(t.NamedTuple):
    """The audio of a recording.

    Attributes:
        third_party_id: requests it.
        source: fingerprint of that, which a store keeps with the file.
        duration: seconds, or None if unknown.
        retention: how long the file must be kept.
    """

    third_party_id: str
    source: str
    duration: float | None
    retention: Retention


class NoAudio(t.NamedTuple):
    """Why a recording's audio is not requested: status and error of its row."""

    status: str
    error: str


def requested_audio(recording: Recording) -> RequestedAudio | NoAudio:
    """Return what to request for a recording, or why not to."""
    access = recording.get("mediaAccessStatus")
    third_party_id = recording.get("thirdPartyId")
    if access != "Permitted":
        return NoAudio("not_permitted", f"mediaAccessStatus is {access!a:.80}")
    if not isinstance(third_party_id, str) or not third_party_id:
        return NoAudio("not_found", "thirdPartyId is missing or not a text")
    if len(third_party_id) > MAX_COPIED_LENGTH:
        error = f"thirdPartyId has more than {MAX_COPIED_LENGTH} characters"
        return NoAudio("not_found", error)
    source = hashlib.sha256(third_party_id.encode(errors="surrogatepass")).hexdigest()[:32]
    duration = recording.get("durationInSeconds")
    is_known = isinstance(duration, (int, float, Decimal)) and 0 < duration <= MAX_DURATION
    return RequestedAudio(
        third_party_id,
        source,
        float(t.cast("float", duration)) if is_known else None,
        retention_of(recording),
    )


def retention_of(recording: Recording) -> Retention:
    """Return how long Focus keeps a recording."""
    until = parse_date_time(recording.get("retainUntil"))
    # The structure of legalHolds is not documented: what is neither null nor empty is a hold.
    return Retention(_clamp_to_utc(until), legal_hold=bool(recording.get("legalHolds")))


def ended_at(recording: Recording) -> datetime | None:
    """Return when a recording ended, or else when it started, if Focus states it."""
    times = (parse_date_time(recording.get(f"{name}DatetimeUTC")) for name in ("end", "start"))
    return _clamp_to_utc(next(filter(None, times), None))


def new_row(recording: Recording) -> Row:
    """Return a row without a file. A field that does not fit its column becomes null."""
    return {
        KEY: recording[KEY],
        "thirdPartyId": _text_or_none(recording.get("thirdPartyId")),
        "startDatetimeUTC": _date_time_or_none(recording.get("startDatetimeUTC")),
        "type": _text_or_none(recording.get("type")),
        "status": "stored",
        **dict.fromkeys(("uri", "contentType", "sizeInBytes", "sha256")),
        "fetchedAt": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "error": None,
        "retainUntil": _date_time_or_none(recording.get("retainUntil")),
        "legalHolds": recording.get("legalHolds"),
        **dict.fromkeys(("lockedUntil", "lockError", "previousFiles")),
    }


def file_columns(store: AudioStore, files: Sequence[StoredFile]) -> Row:
    """Return the columns that describe the versions of a file; the last one is the current one."""
    if not files:
        return {}
    *previous, file = files
    return {
        **_file(store, file),
        "contentType": file.content_type,
        "lockedUntil": file.locked_until and file.locked_until.isoformat(),
        "previousFiles": [_file(store, one) for one in previous] or None,
    }


def _file(store: AudioStore, file: StoredFile) -> Row:
    return {"uri": store.uri(file.path), "sizeInBytes": file.size, "sha256": file.sha256}


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and len(value) <= MAX_COPIED_LENGTH else None


def _date_time_or_none(value: object) -> str | None:
    text = _text_or_none(value)
    return text if parse_date_time(text) else None


def _clamp_to_utc(moment: datetime | None) -> datetime | None:
    """Return a time in UTC, or the first or last one that Python can represent."""
    if not moment:
        return None
    try:
        return in_utc(moment)
    except OverflowError:
        return _FIRST if moment.year == 1 else _LAST
