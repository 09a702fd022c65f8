"""A stream that follows the feed's cursor. Its bookmark moves at the end of each page."""

from __future__ import annotations

import abc
import typing as t
from functools import cached_property

from simpleeval import NameNotDefined
from singer_sdk.batch import Batcher
from singer_sdk.exceptions import ConfigValidationError, MapExpressionError
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import CustomStreamMap
from singer_sdk.singerlib.catalog import Metadata
from typing_extensions import override

from tap_focus.api.record_model import KEY
from tap_focus.errors import BatchStorageError
from tap_focus.settings_checks import to_utc
from tap_focus.streams.columns import is_json_column
from tap_focus.streams.metrics import MeteredStream
from tap_focus.streams.sdk import mapped_property
from tap_focus.streams.selection import property_paths, to_breadcrumb
from tap_focus.streams.state import REPLICATION_KEY, CursorStateManager
from tap_focus.streams.writer import encode_json

if t.TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Iterator

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context
    from singer_sdk.singerlib import Catalog, MetadataMapping, RecordMessage

    from tap_focus.api.client import Client
    from tap_focus.api.page import Page
    from tap_focus.api.record_model import RecordModel
    from tap_focus.streams.sdk import BaseBatchFileEncoding
    from tap_focus.streams.writer import MessageWriter

    Row = dict[str, t.Any]


class FeedStream(MeteredStream):
    """A stream that reads the feed of recordings from its own bookmark."""

    primary_keys = (KEY,)
    replication_key = REPLICATION_KEY
    # Values are what Focus sent. The SDK must not convert them to suit the schema.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE
    # The SDK would read the feed once for each partition in a state.
    partitions = None

    def __init__(self, tap: Tap, *, client: Client, writer: MessageWriter, account: str) -> None:
        super().__init__(tap)
        self._client = client
        self._writer = writer
        self._account = account
        self._pending_state: tuple[str | None, dict[str, t.Any]] | None = None
        # The tap logs each error with a reason. The SDK's line before it has none.
        self.logger.addFilter(_is_not_unhandled_error)

    @abc.abstractmethod
    def page_records(self, page: Page) -> Iterable[Row]:
        """Yield the records of a page, in its order."""

    def write_raw_records(self, page: Page) -> bool:  # noqa: ARG002 - for subclasses
        """Write the records of a page past the SDK, if possible; return whether they are written.

        By default they are not, and `page_records` yields them to the SDK.
        """
        return False

    @property
    def record_model(self) -> RecordModel | None:
        """Types of the fields that `write_raw_records` expects, if any."""
        return None

    @cached_property
    def text_columns(self) -> frozenset[str]:
        """Columns that contain JSON text, by the setting `json_text`."""
        properties = self.effective_schema["properties"] if self.config["json_text"] else {}
        return frozenset(name for name, schema in properties.items() if is_json_column(schema))

    def initial_records(self) -> Iterable[Row]:
        """Yield records before those of the first page."""
        return ()

    def final_records(self) -> Iterable[Row]:
        """Yield records after those of the last page."""
        return ()

    def flush_page(self) -> None:
        """Sync what a page has stored to the disk, before the bookmark advances past it."""

    @property
    def can_advance(self) -> bool:
        """Whether the bookmark may advance after a page."""
        return True

    def check_state(self) -> None:
        """Raise ConfigValidationError if the bookmark was written with other settings."""
        self.state_manager.check("account", self._account, label="account")

    def extra_state(self) -> dict[str, t.Any]:
        """Return what the bookmark contains besides the cursor."""
        return {"account": self._account}

    @cached_property
    @override
    def state_manager(self) -> CursorStateManager:
        return CursorStateManager(
            tap_name=self.tap_name, stream_name=self.name, tap_state=self.tap_state
        )

    @property
    @override
    def metadata(self) -> MetadataMapping:
        """Metadata with an entry for each property, also within the objects of arrays.

        The SDK has no entries for those, and Meltano applies a selection to existing ones only.
        """
        is_new = self._metadata is None
        metadata = super().metadata
        if is_new and self._tap_input_catalog is None:
            for path in property_paths(self.schema):
                if (breadcrumb := to_breadcrumb(path)) not in metadata:
                    metadata[breadcrumb] = Metadata(inclusion=Metadata.InclusionType.AVAILABLE)
        return metadata

    @override
    def get_records(self, context: Context | None) -> Iterator[Row]:
        """Read the feed from the bookmark until it is up to date.

        Yields:
            The records in the feed's order. A record has been written when the generator is
            resumed.
        """
        yield from self.initial_records()
        for page in self._pages():
            if not self.write_raw_records(page):
                yield from self.page_records(page)
            self._page_written(page.cursor)
            self._progress.page_written(page.size, page.latest_start)
        yield from self.final_records()
        if not self._is_batched:
            self._progress.finish()

    @override
    def get_batches(
        self, batch_config: t.Any, context: Context | None = None
    ) -> Iterator[tuple[BaseBatchFileEncoding, list[str]]]:
        """Write batch files with the records as RECORD messages would contain them.

        The SDK's batches would contain the records before selection and stream maps. The SDK
        resumes this generator after it has written a BATCH message; then the bookmark moves.

        Raises:
            ConfigValidationError: stream maps make several streams of this one.
            BatchStorageError: a file cannot be written.
        """
        if len(self.stream_maps) > 1:
            error = (
                f"batch_config: stream_maps make several streams of {self.name}, which batch files "
                "do not support. Remove batch_config or all but one of the maps"
            )
            raise ConfigValidationError("Invalid settings", errors=[error])
        records = (
            message.record
            for record in self._sync_records(context, write_messages=False)
            for message in self._generate_record_messages(t.cast("Row", record))
        )
        batcher = Batcher(self.tap_name, self.name, batch_config)
        batches = iter(batcher.get_batches(records))
        while manifest := _next_batch(batches):
            yield batch_config.encoding, manifest
            self._write_state()
        self._write_state()  # The empty last page has no batch.
        self._progress.finish()

    @override
    def _generate_record_messages(self, record: Row) -> t.Generator[RecordMessage, None, None]:
        """Apply selection and stream maps to a record, without its values in an error's text.

        Raises:
            MapExpressionError: an expression of a stream map failed.
        """
        try:
            yield from super()._generate_record_messages(record)
        except Exception as error:
            if not any(isinstance(stream_map, CustomStreamMap) for stream_map in self.stream_maps):
                raise
            column = mapped_property(error.__traceback__)
            raise MapExpressionError(
                f"The expression for {self.name}.{column} failed on a record: {_reason(error)}"
            ) from None

    @override
    def post_process(self, row: Row, context: Context | None = None) -> Row:
        """Convert the values of `text_columns`."""
        for name in self.text_columns & row.keys():
            if row[name] is not None:
                row[name] = encode_json(row[name]).decode()
        return row

    @override
    def generate_child_contexts(self, *_: t.Any, **__: t.Any) -> Iterable[None]:
        # There are no child streams. The SDK would apply the filter of a stream map once more.
        return ()

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        """Apply the selection, keys and schema of a catalog, but not its replication method."""
        super().apply_catalog(catalog)
        self.replication_key = REPLICATION_KEY
        self.forced_replication_method = None

    @property
    @override
    def is_timestamp_replication_key(self) -> bool:
        # A catalog may lack the cursor's schema, by which the SDK would decide.
        return False

    @cached_property
    def _is_batched(self) -> bool:
        return self.get_batch_config(self.config) is not None

    @property
    def from_date(self) -> str | None:
        """Where a sync without a bookmark begins, as Focus expects it; None for the beginning."""
        start_date = self.config.get("start_date")
        return to_utc(start_date) if start_date else None

    def _pages(self) -> Iterator[Page]:
        cursor = self.state_manager.cursor
        start_date = self.config.get("start_date")
        if not cursor and self.state_manager.stream_state.get("replication_key_value"):
            self.logger.warning("Ignoring a bookmark with another replication key")
        if cursor and start_date:
            self.logger.info("Continuing from the bookmark. start_date applies to a first run only")
        elif cursor:
            self.logger.info("Continuing from the bookmark")
        else:
            self.logger.info("No bookmark. Starting at %s", start_date or "the first recording")
        return self._client.iter_pages(
            page_size=self.config["page_size"],
            cursor=cursor,
            from_date=self.from_date,
            model=self.record_model,
            on_wait=self._writer.raise_if_stopping,
        )

    def _page_written(self, cursor: str | None) -> None:
        """Move the bookmark after all records up to a cursor; None leaves the cursor unchanged.

        The records of a batch are written only with its BATCH message.
        """
        self.flush_page()
        if cursor is None and self._pending_state:
            cursor = self._pending_state[0]
        self._pending_state = (cursor, self.extra_state())
        if not self._is_batched:
            self._write_state()

    def _write_state(self) -> None:
        if self._pending_state is not None and self.can_advance:
            cursor, extra = self._pending_state
            self.state_manager.advance(cursor, **extra)
            self._tap.state_writer.write_state(self.tap_state)
            self._writer.flush()  # the SDK does not write an unchanged state


def _reason(error: BaseException) -> str:
    """Describe why an expression failed, without values of the record."""
    cause = error.__cause__ or error
    name = getattr(cause, "name", None)
    if isinstance(cause, NameNotDefined):
        is_faker = name == "fake"
        return "the Python package Faker is not installed" if is_faker else f"no field {name!a}"
    return type(cause).__name__


def _next_batch(batches: Iterator[list[str]]) -> list[str] | None:
    try:
        return next(batches, None)
    except OSError as error:
        raise BatchStorageError(error.strerror or type(error).__name__) from error


def _is_not_unhandled_error(line: logging.LogRecord) -> bool:
    return not str(line.msg).startswith("An unhandled error occurred")
