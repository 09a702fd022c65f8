"""One page of the feed: its bytes split into recordings, looked at once, decoded when asked for."""

from __future__ import annotations

import codecs
import json
import re
import time
import typing as t
from contextlib import suppress
from decimal import Decimal

import msgspec

from tap_focus.errors import BadAnswerError, TooLargeError, UnusableRecordingError

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEY = "interactionId"
"""The field that identifies a recording: an integer."""

Recording = dict[str, t.Any]


class Answer(t.NamedTuple):
    """One answer of the cursor, split into its parts; the next request needs no more.

    Attributes:
        body: the whole of it.
        raws: each recording's own JSON; of a page with half surrogate pairs, decoded.
        cursor: the opaque text that continues after this page; never empty.
        number: which page of this run it is, from 1.
    """

    body: bytes
    raws: list[t.Any]
    cursor: str
    number: int


class Page(t.NamedTuple):
    """A page whose recordings each have an id, still as the bytes that Focus sent.

    Attributes:
        raws: each recording's own JSON; of a page with half surrogate pairs, decoded.
        plain: for each, whether it is of one line's bytes and all its fields are of known types.
        cursor: the opaque text that continues after this page; never empty.
        latest: the latest `startDatetimeUTC` among them; empty where there is none.
        number: which page of this run it is, from 1.
    """

    raws: list[t.Any]
    plain: list[bool]
    cursor: str
    latest: str
    number: int

    def recordings(self) -> Iterator[Recording]:
        """Decode the recordings, one at a time: integers of any size, decimals as `Decimal`.

        Raises:
            UnusableRecordingError: one holds a number that cannot be represented, or is too deep.
        """
        for place in range(len(self.raws)):
            yield self.recording(place)

    def recording(self, place: int) -> Recording:
        """Decode the recording at a place, from 0; see `recordings`."""
        raw = self.raws[place]
        if isinstance(raw, dict):
            return raw
        try:
            return _RECORDING.decode(raw)
        except (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError):
            raise UnusableRecordingError(
                f"Recording {place + 1} of page {self.number} of this run cannot be decoded: a "
                f"number is out of all bounds, or it is nested too deeply. {WRITTEN}"
            ) from None


def decode(body: bytes, number: int) -> Answer:
    """Split an answer's body into recordings and cursor, and look no deeper.

    Args:
        body: the decompressed bytes.
        number: which page of this run it is, from 1, for the errors' texts.

    Raises:
        BadAnswerError: it is not what the API promises. The text tells the place, not the content.
        TooLargeError: half a surrogate pair is in a page of more than 16 MiB.
    """
    try:
        page: _RawPage | _DecodedPage = _PAGE.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        page = _decode_leniently(body, number, error)
    return Answer(body, [*page.recordings], page.nextCursorId, number)


def examine(answer: Answer, plain: Plain | None = None) -> Page:
    """See that all is UTF-8, that each recording has an id, and which are plain.

    Args:
        answer: of Focus.
        plain: tells which recordings are plain; without it none is.

    Raises:
        BadAnswerError: it is not UTF-8.
        UnusableRecordingError: a recording has no `interactionId`, or one that is no integer, or
            is larger than 16 MiB.
    """
    time.sleep(0)  # the thread that asks for the next page goes first, and has little to do
    _check_utf8(answer)
    time.sleep(0)
    content = answer.body.strip()
    # A line break is never within a text: there it is escaped.
    one_line = b"\n" not in content and b"\r" not in content
    heads = plain.heads(answer) if plain and one_line else None
    time.sleep(0)
    which = [True] * len(answer.raws)
    if heads is None:
        found = [plain.head(raw) if plain and one_line else None for raw in answer.raws]
        which = [head is not None for head in found]
        heads = [
            head or _head(raw, place, answer.number)
            for place, (raw, head) in enumerate(zip(answer.raws, found, strict=True), start=1)
        ]
    starts = [head.startDatetimeUTC for head in heads]
    latest = max((start for start in starts if isinstance(start, str)), default="")
    return Page(answer.raws, which, answer.cursor, latest, answer.number)


def _check_utf8(answer: Answer) -> None:
    """See that it is UTF-8: what is passed over raw nobody else looks at.

    By pieces: of a whole page Python would make a text of four bytes a character.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(answer.body), _PIECE):
            decoder.decode(answer.body[start : start + _PIECE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise BadAnswerError(f"Page {answer.number} of this run is not UTF-8. {WRITTEN}") from None


class Plain:
    """Tells recordings that have no field but the known ones, each of its type."""

    def __init__(self, types: Mapping[str, str | None]) -> None:
        """Prepare to tell.

        Args:
            types: the fields that a recording may have, each with its JSON type or None for any;
                each may be null or missing, but for the id.
        """
        fields = [(name, _PLAIN_TYPES[kind], None) for name, kind in types.items() if name != KEY]
        recording = msgspec.defstruct(
            "PlainRecording", fields, bases=(_Head,), forbid_unknown_fields=True, gc=False
        )
        page = msgspec.defstruct("PlainPage", [("recordings", list[recording])])  # type: ignore[valid-type]
        self._recording: msgspec.json.Decoder[t.Any] = msgspec.json.Decoder(recording)
        self._page: msgspec.json.Decoder[t.Any] = msgspec.json.Decoder(page)

    def heads(self, answer: Answer) -> list[_Head] | None:
        """Return the heads of all recordings, if all are plain."""
        with suppress(msgspec.DecodeError, RecursionError):
            heads: list[_Head] = self._page.decode(answer.body).recordings
            return heads
        return None

    def head(self, raw: t.Any) -> _Head | None:
        """Return the head of a recording, if it is plain."""
        if isinstance(raw, dict):  # of a page with half surrogate pairs
            return None
        with suppress(msgspec.ValidationError):
            head: _Head = self._recording.decode(raw)
            return head
        return None


class _RawPage(msgspec.Struct):
    recordings: list[msgspec.Raw]
    nextCursorId: t.Annotated[str, msgspec.Meta(min_length=1)]  # noqa: N815 - Focus's name


class _DecodedPage(msgspec.Struct):
    recordings: list[Recording]
    nextCursorId: t.Annotated[str, msgspec.Meta(min_length=1)]  # noqa: N815 - Focus's name


class _Head(msgspec.Struct, gc=False):  # many, short-lived, and never in a cycle
    interactionId: int  # noqa: N815 - Focus's name
    startDatetimeUTC: t.Any = None  # noqa: N815 - Focus's name


class _Array(msgspec.Struct, array_like=True):
    """Any array; of a structure without fields, msgspec passes over what there is."""


class _Object(msgspec.Struct):
    """Any object, likewise."""


_PLAIN_TYPES: dict[str | None, t.Any] = {
    None: msgspec.Raw,
    "string": str | None,
    "integer": int | None,
    "number": int | float | None,
    "boolean": bool | None,
    "array": _Array | None,
    "object": _Object | None,
}
_PAGE = msgspec.json.Decoder(_RawPage)
_HEAD = msgspec.json.Decoder(_Head, float_hook=Decimal)
_PIECE = 64 * 1024
_RECORDING = msgspec.json.Decoder(Recording, float_hook=Decimal)
_LONE_SURROGATE = re.compile(
    rb"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]", re.DOTALL
)
_LARGEST_RECORDING = 16 * 1024 * 1024
"""Bytes: decoded it takes many times as many."""

WRITTEN = (
    "All pages before it are written and bookmarked. Run again later; if it lasts, tell Focus's "
    "support, with the time of this message."
)
"""What each error adds that ends a walk in its midst."""


def _head(raw: t.Any, place: int, number: int) -> _Head:
    """Return the head of a recording that is not plain."""
    try:
        if isinstance(raw, dict):
            return msgspec.convert(raw, _Head)
        if len(memoryview(raw)) <= _LARGEST_RECORDING:
            return _HEAD.decode(raw)
        what = f"is larger than {_LARGEST_RECORDING >> 20} MiB"
    except (msgspec.DecodeError, ValueError, RecursionError):
        what = f"has no {KEY} that is an integer, so no row can be made of it"
    raise UnusableRecordingError(
        f"Recording {place} of page {number} of this run {what}. {WRITTEN}"
    )


def _decode_leniently(body: bytes, number: int, first: Exception) -> _DecodedPage:
    r"""Decode a page once more if it may hold half a surrogate pair, `"\ud83d"`.

    JSON admits it in text and msgspec does not; the standard library does, at a fraction of the
    speed.
    """
    try:
        if not isinstance(first, msgspec.ValidationError) and _LONE_SURROGATE.search(body):
            if len(body) > _LARGEST_RECORDING:
                raise TooLargeError(
                    f"Page {number} of this run holds half a surrogate pair, and is larger than "
                    f"the {_LARGEST_RECORDING >> 20} MiB in which one can be decoded. "
                    "Set a smaller page_size."
                )
            decoded = json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
            page = msgspec.convert(decoded, _DecodedPage)
            page.nextCursorId.encode()  # half a pair cannot be sent back
            return page
    except (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError) as error:
        first = error
    # msgspec's own words name the place and the kinds of value, never a value; others may not.
    detail = f" ({first})" if isinstance(first, msgspec.DecodeError) else ""
    raise BadAnswerError(
        f"Focus answered page {number} of this run with something other than a page of recordings"
        f"{detail}. If it lasts, check api_url, or tell Focus's support."
    ) from None


def _no_constant(name: str) -> t.NoReturn:
    raise ValueError(name)
