"""One page of the feed: validated, split into recordings, decoded on demand."""

from __future__ import annotations

import codecs
import json
import typing as t
from datetime import datetime, timezone
from decimal import Decimal
from functools import cached_property

import msgspec

from tap_focus.api.record_model import KEY, Envelope, Int64, RecordModel, are_readable_arrays
from tap_focus.api.text import is_utf8, replace_surrogates, sanitize_json
from tap_focus.errors import InvalidRecordingError, InvalidResponseError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

MAX_RECORDING_BYTES = 16 * 1024 * 1024
"""Largest recording; decoded it needs many times as much memory.

A page has two more limits: `MAX_BODY_BYTES` in `response.py` is about its bytes, and
`PAGE_SIZE_TOLERANCE` in `client.py` about the number of recordings.
"""

Recording = dict[str, t.Any]


class _Head(msgspec.Struct, gc=False):  # many, short-lived, without references
    interactionId: Int64  # noqa: N815 - the name in the API
    startDatetimeUTC: msgspec.Raw = msgspec.Raw(b"null")  # noqa: N815 - the name in the API


class _HeadPage(Envelope):
    recordings: list[_Head]


class _RawPage(msgspec.Struct):
    recordings: list[msgspec.Raw]


_HEAD = msgspec.json.Decoder(_Head)
_HEAD_PAGE = msgspec.json.Decoder(_HeadPage)
_RAW_PAGE = msgspec.json.Decoder(_RawPage)
_VALUE = msgspec.json.Decoder(float_hook=Decimal)


class Page:
    """A page whose recordings are JSON objects with an integer `interactionId`.

    Attributes:
        body: the response, JSON on one line.
        cursor: opaque text that continues after this page; never empty.
        number: position of the page in this run, from 1.
        size: number of recordings.
        latest_start: the latest `startDatetimeUTC` of the page, or None.
    """

    def __init__(
        self,
        body: bytes,
        number: int,
        decoded: t.Any,
        *,
        arrays: list[msgspec.Raw] | None = None,
        is_complete: bool = False,
    ) -> None:
        self.body = _on_one_line(body)
        self.number = number
        self.cursor: str = decoded.nextCursorId
        self.size = len(decoded.recordings)
        self.latest_start = _latest([record.startDatetimeUTC for record in decoded.recordings])
        self._arrays = arrays
        self._is_complete = is_complete

    _original: bytes | None = None
    """The response, if `body` has other characters in place of unpaired surrogates."""

    @cached_property
    def matches_model(self) -> bool:
        """Whether the recordings match the `RecordModel` of the request.

        Every JSON parser can read them. Checked on demand, so that the next request need not wait.
        """
        return self._arrays is not None and are_readable_arrays(self._arrays)

    @property
    def is_complete(self) -> bool:
        """Whether the recordings match the model and have all of its fields."""
        return self._is_complete and self.matches_model

    @cached_property
    def texts(self) -> list[memoryview]:
        """Each recording as the JSON text that Focus sent, in valid UTF-8.

        Raises:
            InvalidRecordingError: one is larger than `MAX_RECORDING_BYTES`.
            InvalidResponseError: the page is not UTF-8.
        """
        self.check_sizes()
        # Parts of a page are written without being decoded. The model has checked the encoding.
        if not self.matches_model and not is_utf8(self.body):
            raise InvalidResponseError(f"Page {self.number} of this run is not UTF-8")
        texts = [memoryview(raw) for raw in _RAW_PAGE.decode(self.body).recordings]
        return [*_slices(self._original, self.body, texts)] if self._original else texts

    def check_sizes(self) -> None:
        """Check the size of each recording.

        Raises:
            InvalidRecordingError: one is larger than `MAX_RECORDING_BYTES`.
        """
        if len(self.body) <= MAX_RECORDING_BYTES:
            return
        for position, raw in enumerate(_RAW_PAGE.decode(self.body).recordings, start=1):
            if memoryview(raw).nbytes > MAX_RECORDING_BYTES:
                raise InvalidRecordingError(
                    f"Recording {position} of page {self.number} of this run is larger than "
                    f"{MAX_RECORDING_BYTES >> 20} MiB"
                )

    def sanitized(self) -> Page:
        """Return the page without NUL and unpaired surrogates in its recordings."""
        body = sanitize_json(self._original or self.body)
        if body == self.body:
            return self
        page = decode_page(body, self.number)
        page.cursor = self.cursor
        return page

    def records(self) -> Iterator[Recording]:
        """Yield the recordings decoded: integers of any size, decimals as `Decimal`."""
        for text in self.texts:
            yield decode_json(text)


def decode_page(body: bytes, number: int, model: RecordModel | None = None) -> Page:
    """Validate the body of a response as a page.

    Args:
        body: the decompressed bytes.
        number: position of the page in this run, from 1, for the errors.
        model: checks the fields of the recordings.

    Raises:
        InvalidResponseError: it is not a page.
        InvalidRecordingError: a recording is no object or has no integer `interactionId`.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    decoded, is_complete = model.decode(body) if model else (None, False)
    if model and decoded:
        arrays = model.arrays(decoded.recordings)
        return Page(body, number, decoded, arrays=arrays, is_complete=is_complete)
    try:
        return Page(body, number, _HEAD_PAGE.decode(body))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        if (decodable := replace_surrogates(body)) != body:
            return _decode_with_surrogates(decodable, body, number)
        _find_invalid_recording(body, number)
        # The texts of msgspec contain the position and types, never a value. Others may.
        detail = f": {error}" if isinstance(error, msgspec.DecodeError) else ""
        raise InvalidResponseError(
            f"Focus answered page {number} of this run with something other than a page of "
            f"recordings{detail}"
        ) from None


def _decode_with_surrogates(decodable: bytes, body: bytes, number: int) -> Page:
    r"""Decode a page with unpaired surrogates such as `"\ud83d"`, which msgspec rejects.

    Raises:
        InvalidResponseError: it is not a page, or the cursor cannot be sent.
    """
    page = decode_page(decodable, number)
    if any(character >= "\uf800" for character in page.cursor):
        raise InvalidResponseError(f"The cursor of page {number} of this run is not valid Unicode")
    page._original = _on_one_line(body)  # noqa: SLF001 - this is the only other function that sets it
    return page


def _on_one_line(body: bytes) -> bytes:
    """Replace line breaks in valid JSON: they are between values, since strings escape them."""
    return body.replace(b"\n", b" ").replace(b"\r", b" ")


def _slices(original: bytes, body: bytes, texts: list[memoryview]) -> t.Iterator[memoryview]:
    """Yield the parts of `original` that are at the places of the texts in `body`."""
    end = 0
    for text in texts:
        start = body.index(text, end)
        end = start + len(text)
        yield memoryview(original)[start:end]


def _find_invalid_recording(body: bytes, number: int) -> None:
    """Raise `InvalidRecordingError` if the body is a page except for one recording's identifier."""
    try:
        records = _RAW_PAGE.decode(body).recordings
    except (msgspec.DecodeError, RecursionError):
        return
    for position, raw in enumerate(records, start=1):
        if not _has_key(raw):
            raise InvalidRecordingError(
                f"Recording {position} of page {number} of this run has no {KEY} that is a 64-bit "
                "integer"
            )


def _has_key(raw: msgspec.Raw) -> bool:
    try:
        _HEAD.decode(raw)
    except msgspec.ValidationError:
        return False
    except (msgspec.DecodeError, RecursionError):
        return True  # another fault
    return True


def decode_json(raw: msgspec.Raw | bytes | memoryview) -> t.Any:
    r"""Decode JSON: integers of any size, decimals as `Decimal`, unpaired surrogates kept.

    msgspec rejects an unpaired surrogate such as `"\ud83d"`, which JSON permits. The standard
    library accepts it, at a fraction of the speed.
    """
    try:
        return _VALUE.decode(raw)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        return json.loads(bytes(raw), parse_float=Decimal)


def _latest(starts: list[t.Any]) -> datetime | None:
    """Return the latest date-time among date-times, JSON texts and other values."""
    if starts and isinstance(starts[0], msgspec.Raw):
        starts = [bytes(raw)[1:-1].decode(errors="replace") for raw in starts]
        starts = [text for text in starts if text[:1].isdigit()]
    try:
        latest = max([start for start in starts if start], default=None)
        moment = datetime.fromisoformat(latest) if isinstance(latest, str) else latest
    except (TypeError, ValueError):  # of several types, or invalid
        return None
    if not isinstance(moment, datetime):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
