"""The stream `recordings`: every communication, as Focus sent it.

Its columns are listed in `tap_focus.streams.columns`.
"""

from __future__ import annotations

import fnmatch
import typing as t
from functools import cached_property

import msgspec
from singer_sdk.singerlib.json import serialize_json
from typing_extensions import override

from tap_focus.api.page import decode_json
from tap_focus.streams import columns
from tap_focus.streams.base import FeedStream
from tap_focus.streams.columns import ADDITIONAL_FIELDS_NAME
from tap_focus.streams.progress import RecordingsProgress
from tap_focus.streams.raw_records import can_write_raw, encode_page
from tap_focus.streams.record_parser import NewField, RecordParser
from tap_focus.streams.selection import nested_exclusions
from tap_focus.streams.writer import encode_json

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk.helpers.types import Context
    from singer_sdk.metrics import Counter

    from tap_focus.api.page import Page
    from tap_focus.api.record_model import RecordModel

    Row = dict[str, t.Any]


class RecordingsStream(FeedStream):
    """One record for each new or updated recording."""

    name = "recordings"
    schema = columns.RECORDINGS

    _progress: RecordingsProgress

    @override
    def new_progress(self) -> RecordingsProgress:
        return RecordingsProgress(self.logger)

    @override
    def page_records(self, page: Page) -> Iterator[Row]:
        """Yield what `write_raw_records` would write, decoded."""
        cursor = msgspec.Raw(encode_json(page.cursor))
        for record in self._parser.raw_records(self._sanitized(page), cursor):
            yield decode_json(encode_json(record))
        self._log_new_fields()

    @override
    def write_raw_records(self, page: Page) -> bool:
        if not self._can_write_raw:
            return False
        for lines in encode_page(self.name, self._sanitized(page), self._parser):
            self._writer.write_lines(lines)
        self._record_counter.increment(page.size)
        self._log_new_fields()
        return True

    @property
    @override
    def record_model(self) -> RecordModel | None:
        return self._parser.model

    @override
    def get_record_counter(self, **options: t.Any) -> Counter:
        # Records that are written raw are counted by the same counter.
        self._record_counter = super().get_record_counter(**options)
        return self._record_counter

    @override
    def post_process(self, row: Row, context: Context | None = None) -> Row:
        """Convert values of any type to text where flattening declares a text column.

        The SDK converts objects and arrays, and would leave `5` a number.
        """
        if self._is_flattened:
            for name, schema in columns.RECORDINGS["properties"].items():
                value = row.get(name)
                if schema["type"] == columns.ANY["type"] and not isinstance(
                    value, (str, dict, list, type(None))
                ):
                    row[name] = serialize_json(value)
        return row

    def _sanitized(self, page: Page) -> Page:
        return page.sanitized() if self.config["sanitize_text"] else page

    @cached_property
    def _can_write_raw(self) -> bool:
        return can_write_raw(self)

    @cached_property
    def _is_flattened(self) -> bool:
        return any(stream_map.flattening_enabled for stream_map in self.stream_maps)

    @cached_property
    def _parser(self) -> RecordParser:
        properties = self.effective_schema["properties"]
        return RecordParser(
            self.effective_schema,
            selected=[name for name in properties if self._is_selected(name)],
            mapped=[name for name in properties if self._is_mapped(name)],
            exclusions=nested_exclusions(self.metadata),
            as_text=self.text_columns,
        )

    def _is_selected(self, column: str) -> bool:
        """Return whether the catalog selects a column."""
        return self.mask["properties", column]  # the SDK's name for the selection

    def _is_mapped(self, column: str) -> bool:
        """Return whether a stream map removes or alters a column, for example to mask it."""
        for pattern, definition in (self.config.get("stream_maps") or {}).items():
            if not isinstance(definition, dict):
                continue
            if fnmatch.fnmatch(self.name, definition.get("__source__", pattern)):
                default = None if "__else__" in definition else column
                if definition.get(column, default) != column:
                    return True
        return False

    @cached_property
    def _keeps_additional_fields(self) -> bool:
        """Whether the column `additionalFields` is written."""
        return ADDITIONAL_FIELDS_NAME in self._parser.columns and not self._is_mapped(
            ADDITIONAL_FIELDS_NAME
        )

    def _log_new_fields(self) -> None:
        """Log each field once that was not stored in its own column."""
        for name, kind in self._parser.new_fields.items():
            is_kept = kind is not NewField.HIDDEN and self._keeps_additional_fields
            where = "Its values are kept in additionalFields" if is_kept else "It is not kept"
            self._progress.new_field(kind)
            self.logger.warning("Focus sent %s: %.80s. %s", kind.value, ascii(name), where)
        self._parser.new_fields.clear()
