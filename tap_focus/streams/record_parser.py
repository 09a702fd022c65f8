"""Recordings as columns: the stream's schema decides which fields are columns, and of what type.

Values stay the JSON text that Focus sent, so that numbers keep their digits.
"""

from __future__ import annotations

import enum
import json
import typing as t
from collections import deque
from functools import cached_property
from itertools import repeat
from operator import attrgetter

import msgspec

from tap_focus.api.page import decode_json
from tap_focus.api.record_model import NET_MAXIMUM, RecordModel
from tap_focus.api.text import MAX_DEPTH, depth, has_long_integer, is_too_deep
from tap_focus.streams.columns import ADDITIONAL_FIELDS_NAME, CURSOR_NAME, TAP_FIELDS
from tap_focus.streams.field_types import field_type, shallow_type
from tap_focus.streams.json_text import (
    DECODE_ERRORS,
    Columns,
    join_fields,
    representable,
    split_fields,
)
from tap_focus.streams.writer import encode_json

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from tap_focus.api.page import Page
    from tap_focus.streams.selection import Exclusion

NULL = msgspec.Raw(b"null")

MAX_NEW_FIELDS = 100
"""Most fields that are reported; a hostile feed must not flood the log."""


class NewField(enum.Enum):
    """Why a field is not stored in a column."""

    UNKNOWN = "an unknown field"
    TYPE = "a field with a value that its column does not admit"
    HIDDEN = "a deselected or masked field with a value that its column does not admit"


class ParsedRecord(t.NamedTuple):
    """One recording by column.

    Attributes:
        columns: the selected columns in the schema's order, without the tap's own; null where the
            recording lacks the field or the column does not admit its value.
        additional: the fields without a column, and those whose value the column does not admit.
    """

    columns: Columns
    additional: Columns


class RecordParser:
    """Splits recordings into columns and additional fields.

    Attributes:
        columns: names of the selected columns in the schema's order.
        new_fields: fields that had not occurred before and were not stored in a column, and why.
            The caller reports and removes them.
    """

    def __init__(
        self,
        schema: Mapping[str, t.Any],
        *,
        selected: Collection[str],
        mapped: Collection[str] = (),
        exclusions: Mapping[str, Exclusion] | None = None,
        as_text: Collection[str] = (),
    ) -> None:
        """Prepare the validation.

        Args:
            schema: JSON schema of the stream; its properties are the columns.
            selected: the columns to write.
            mapped: columns that stream maps remove or alter. A value that such a column does not
                admit is dropped, since the map would not apply to it in `additionalFields`.
            exclusions: deselected properties within columns.
            as_text: columns that contain JSON text, such as `"[1]"` in place of `[1]`.
        """
        properties = {n: s for n, s in schema["properties"].items() if n not in TAP_FIELDS}
        self.columns: Sequence[str] = [name for name in schema["properties"] if name in selected]
        self.new_fields: dict[str, NewField] = {}
        self._noted: set[str] = set()
        self._exclusions = exclusions or {}
        self._known = frozenset(properties)
        self._hidden = {*mapped, *self._exclusions, *(self._known - {*self.columns})}
        self._types = {name: field_type(schema) for name, schema in properties.items()}
        self._decoders = {name: msgspec.json.Decoder(kind) for name, kind in self._types.items()}
        self._properties = properties
        self._attributes = {name: f"f{i}" for i, name in enumerate(self.columns)}
        self._text_columns = [name for name in self.columns if name in as_text]
        self._extra_names: list[str] = []

    @cached_property
    def model(self) -> RecordModel:
        """Recordings of the usual form, for `Client.iter_pages`."""
        shallow = {name: shallow_type(schema) for name, schema in self._properties.items()}
        # No recording matches an empty model.
        return RecordModel(shallow if all(map(is_plain_name, shallow)) else {})

    @cached_property
    def _raw(self) -> tuple[t.Any, msgspec.json.Decoder[t.Any]]:
        return _raw_decoder(self.columns, NULL)

    def keeps_text(self, page: Page) -> bool:
        """Return whether the recordings of a page are written with their text unchanged.

        They are if all match the model, all columns are selected, and the fields come in the order
        of the columns. The order is that of the first recording: a serializer does not change it.
        """
        return (
            page.size > 0
            and page.is_complete
            and not self._hidden
            and not self._text_columns
            and [*split_fields(page.texts[0]), *TAP_FIELDS] == self.columns
        )

    def parse(self, text: bytes | memoryview) -> ParsedRecord:
        """Split one recording.

        Raises:
            InvalidRecordingError: its field names cannot be decoded.
        """
        fields = split_fields(text)
        columns: Columns = {}
        additional: Columns = {}
        for name in self._types:
            value = fields.pop(name, NULL)
            if not self._is_valid(name, value):
                self._note(name, NewField.HIDDEN if name in self._hidden else NewField.TYPE)
                if name not in self._hidden:
                    additional[name] = representable(value)
                value = NULL
            if name in self._attributes:
                columns[name] = self._without_exclusions(name, value)
        return ParsedRecord(columns, {**additional, **self._unknown(fields)})

    def raw_records(self, page: Page, cursor: msgspec.Raw) -> Iterator[t.Any]:
        """Yield the recordings of a page as values that msgspec encodes as records.

        Several times as fast as `parse` where the columns admit all values; the result is the same.

        Args:
            page: the page, requested with `model`.
            cursor: JSON text for the column `nextCursorId`.
        """
        if page.matches_model:
            page.check_sizes()
            yield from self._structs(page.body, cursor)
        else:
            for text in page.texts:
                yield self._join(self.parse(text), cursor)
            self._expect_new_fields()

    def _structs(self, body: bytes, cursor: msgspec.Raw) -> list[t.Any]:
        """Return the recordings of a page that matches the model as structs."""
        records: list[t.Any] = self._raw[1].decode(body).recordings
        attribute = self._attributes.get(ADDITIONAL_FIELDS_NAME)
        if self._extra_names and attribute:
            extras = self._extra_page.decode(body).recordings
            for record, extra in zip(records, extras, strict=True):
                if extra != self._no_extras:
                    setattr(record, attribute, msgspec.Raw(msgspec.json.encode(extra)))
        for name in self._exclusions.keys() & self._attributes.keys():
            attribute = self._attributes[name]
            values = [self._without_exclusions(name, getattr(each, attribute)) for each in records]
            _set_all(records, attribute, values)
        for name in self._text_columns:
            attribute = self._attributes[name]
            raw = map(attrgetter(attribute), records)
            texts = [None if value == NULL else str(value, "utf-8") for value in raw]
            _set_all(records, attribute, texts)
        if attribute := self._attributes.get(CURSOR_NAME):
            _set_all(records, attribute, repeat(cursor))
        return records

    def _expect_new_fields(self) -> None:
        """Extend the model by the unknown fields that occurred, so that later pages match it."""
        unknown = [
            name
            for name, kind in self.new_fields.items()
            if kind is NewField.UNKNOWN and is_plain_name(name)
        ]
        if unknown:
            self._extra_names += unknown
            extra, self._extra_page = _raw_decoder(self._extra_names, msgspec.UNSET)
            self._no_extras = extra()
            self.model.add(dict.fromkeys(self._extra_names, shallow_type({})))

    def _is_valid(self, name: str, value: msgspec.Raw) -> bool:
        """Return whether a column admits a value."""
        text = bytes(value).replace(*NET_MAXIMUM)
        try:
            try:
                self._decoders[name].decode(text)
            except msgspec.ValidationError:
                return False
            except msgspec.DecodeError:  # an unpaired surrogate, or invalid
                msgspec.convert(json.loads(text), self._types[name])
            if has_long_integer(text):
                json.loads(text)
        except DECODE_ERRORS:
            return False
        return not is_too_deep(text) or depth(decode_json(value)) <= MAX_DEPTH

    def _unknown(self, fields: Columns) -> Columns:
        """Return the fields that have no column."""
        unknown = {}
        for name, value in fields.items():
            if name not in self._known:
                self._note(name, NewField.UNKNOWN)
                unknown[name] = representable(value)
        return unknown

    def _note(self, name: str, kind: NewField) -> None:
        if name not in self._noted and len(self._noted) < MAX_NEW_FIELDS:
            self._noted.add(name)
            self.new_fields[name] = kind

    def _without_exclusions(self, name: str, value: msgspec.Raw) -> msgspec.Raw:
        if not (exclusion := self._exclusions.get(name)):
            return value
        return msgspec.Raw(encode_json(exclusion.apply(decode_json(value))))

    def _join(self, record: ParsedRecord, cursor: msgspec.Raw) -> msgspec.Raw:
        """Return a record with all of its columns."""
        additional = join_fields(record.additional) if record.additional else NULL
        values = {**record.columns, ADDITIONAL_FIELDS_NAME: additional, CURSOR_NAME: cursor}
        for name in self._text_columns:
            if (value := values[name]) != NULL:
                values[name] = msgspec.Raw(msgspec.json.encode(str(value, "utf-8")))
        return join_fields({name: values[name] for name in self.columns})


def _set_all(records: list[t.Any], attribute: str, values: Iterable[t.Any]) -> None:
    """Set an attribute of each record; faster than a loop."""
    deque(map(setattr, records, repeat(attribute), values), maxlen=0)


def is_plain_name(name: str) -> bool:
    """Return whether msgspec accepts a name in a struct: it needs no escapes in JSON."""
    return name.isprintable() and json.dumps(name, ensure_ascii=False) == f'"{name}"'


def _raw_decoder(names: Sequence[str], default: t.Any) -> tuple[t.Any, msgspec.json.Decoder[t.Any]]:
    """Return a struct that keeps the text of such fields, and a decoder for pages of it."""
    # Names in a schema need not be Python identifiers, so the attributes have other names.
    record: t.Any = msgspec.defstruct(
        "RawRecord",
        [(f"f{i}", msgspec.Raw | msgspec.UnsetType, default) for i in range(len(names))],
        rename={f"f{i}": name for i, name in enumerate(names)},
        gc=False,
    )
    page = msgspec.defstruct("Page", [("recordings", list[record])])
    return record, msgspec.json.Decoder(page)
