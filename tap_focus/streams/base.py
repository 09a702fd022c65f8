"""A Singer stream that walks the feed's cursor, whose bookmark moves at each page's end."""

from __future__ import annotations

import abc
import typing as t
from functools import cached_property

from singer_sdk import Stream
from singer_sdk.batch import Batcher
from singer_sdk.exceptions import ConfigValidationError, MapExpressionError
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import CustomStreamMap

from tap_focus.api.page import KEY, Page, Plain
from tap_focus.api.pagination import walk
from tap_focus.errors import StorageError
from tap_focus.settings import to_utc
from tap_focus.streams import schemas
from tap_focus.streams.state import REPLICATION_KEY, Bookmark

if t.TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Iterator

    from singer_sdk.helpers.types import Context
    from singer_sdk.singerlib import Catalog, RecordMessage

    from tap_focus.streams.progress import Progress
    from tap_focus.streams.sdk import BaseBatchFileEncoding
    from tap_focus.tap import TapFocus

    Row = dict[str, t.Any]

_PLAIN = Plain(schemas.TYPES)


class CursorStream(Stream, abc.ABC):
    """A stream that walks the feed's cursor from a bookmark of its own."""

    primary_keys = (KEY,)
    replication_key = REPLICATION_KEY
    # A record is what Focus sent: no value is converted to suit the schema.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE
    # The SDK would walk the feed once for each partition that it finds in a state.
    partitions = None

    _tap: TapFocus

    def __init__(self, tap: TapFocus) -> None:
        """Make the stream of a tap."""
        super().__init__(tap)
        # Each of the tap's errors explains itself; the SDK's line before it would only alarm.
        self.logger.addFilter(_not_unhandled)
        self._written: tuple[str | None, dict[str, t.Any]] | None = None

    @abc.abstractmethod
    def rows(self, page: Page) -> Iterable[Row]:
        """Make the rows of a page, in its order."""

    @abc.abstractmethod
    def progress(self) -> Progress:
        """Begin to count."""

    def begin(self) -> Iterable[Row]:
        """Make the rows that come before the first page's, if any."""
        return ()

    def kept(self) -> dict[str, t.Any]:
        """Return what the bookmark keeps beside the cursor."""
        return {}

    @property
    def state_manager(self) -> Bookmark:
        """The bookmark, in place of the SDK's comparison of replication values."""
        if not isinstance(self._state_manager, Bookmark):
            self._state_manager = Bookmark(
                tap_name=self.tap_name, stream_name=self.name, tap_state=self.tap_state
            )
        return self._state_manager

    def get_records(self, context: Context | None) -> Iterator[Row]:  # noqa: ARG002
        """Walk the feed from the bookmark until it is up to date.

        Yields:
            The rows in the feed's order. The generator is resumed only when a row has been taken
            care of, so what follows a page's last `yield` may rely on it.
        """
        self._counts = self.progress()
        yield from self.begin()
        for page in self._pages():
            yield from self.rows(page)
            self._page_is_out(page.cursor)
            self._counts.page(len(page.raws), page.latest)
        if not self._batched:
            self._counts.finish()

    def get_batches(
        self, batch_config: t.Any, context: Context | None = None
    ) -> Iterator[tuple[BaseBatchFileEncoding, list[str]]]:
        """Write batch files of what RECORD messages would hold.

        The SDK's own would hold the records before selection and stream maps. It pulls a batch's
        records long before it writes the BATCH message, and resumes this generator only after it
        has: then the bookmark follows.

        Raises:
            ConfigValidationError: stream maps make several streams of this one, and a batch can't.
            StorageError: a file cannot be written.
        """
        if len(self.stream_maps) > 1:
            error = f"batch_config: stream_maps make several streams of {self.name}; set one only"
            raise ConfigValidationError("wrong settings", errors=[error])
        records = (
            message.record
            for record in self._sync_records(context, write_messages=False)
            for message in self._generate_record_messages(t.cast("Row", record))
        )
        batcher = Batcher(self.tap_name, self.name, batch_config)
        batches = iter(batcher.get_batches(records))
        while manifest := self._written_batch(batches):
            yield batch_config.encoding, manifest
            self._move_bookmark()
        self._move_bookmark()  # The last, empty page has no batch.
        self._counts.finish()

    @staticmethod
    def _written_batch(batches: Iterator[list[str]]) -> list[str] | None:
        try:
            return next(batches, None)
        except OSError as error:
            raise StorageError(
                f"Cannot write to batch_config's storage.root: "
                f"{error.strerror or type(error).__name__}. See that it exists, that there is "
                "space (in the folder for temporary files too), and that its credentials are at "
                "hand."
            ) from error

    def _generate_record_messages(self, record: Row) -> t.Generator[RecordMessage, None, None]:
        """Make the messages of a record; what its values do to an expression is told without them.

        Raises:
            MapExpressionError: a stream map's expression failed.
        """
        try:
            yield from super()._generate_record_messages(record)
        except Exception as error:
            if not any(isinstance(each, CustomStreamMap) for each in self.stream_maps):
                raise
            raise MapExpressionError(
                f"an expression for {self.name} failed on a record with {type(error).__name__}"
            ) from None

    def generate_child_contexts(self, *_: t.Any, **__: t.Any) -> Iterable[None]:
        """Return none: there are no child streams, for which the SDK would filter once more."""
        return ()

    def apply_catalog(self, catalog: Catalog) -> None:
        """Take over a catalog's selection and keys, not its method: the feed knows one only."""
        super().apply_catalog(catalog)
        self.replication_key = REPLICATION_KEY
        self.forced_replication_method = None

    @property
    def is_timestamp_replication_key(self) -> bool:
        """A cursor is none, also where a catalog's schema lacks it."""
        return False

    @cached_property
    def _batched(self) -> bool:
        return self.get_batch_config(self.config) is not None

    def _pages(self) -> Iterator[Page]:
        cursor = self.state_manager.cursor
        start = self.config.get("start_date")
        if not cursor and self.state_manager.stream_state.get("replication_key_value"):
            self.logger.warning("The state's bookmark is of another replication key: left aside")
        if cursor and start:
            self.logger.info("Going on from the bookmark; start_date counts for a first run only")
        elif cursor:
            self.logger.info("Going on from the bookmark")
        else:
            self.logger.info("No bookmark: starting at %s", start or "the first recording")
        return walk(
            self._tap.client.get_page,
            page_size=self.config["page_size"],
            cursor=cursor,
            from_date=to_utc(start) if start else None,
            plain=_PLAIN,
            check=self._tap.message_writer.check,
        )

    def _page_is_out(self, cursor: str | None) -> None:
        """Note that all rows up to a cursor are taken care of; None is where the bookmark stands.

        What a batch holds is not out before its message is.
        """
        self._written = (cursor, self.kept())
        if not self._batched:
            self._move_bookmark()

    def _move_bookmark(self) -> None:
        """Let the bookmark follow what is out, and write it."""
        if self._written is not None:
            cursor, kept = self._written
            self.state_manager.move(cursor, **kept)
            self._tap.state_writer.write_state(self.tap_state)


def _not_unhandled(line: logging.LogRecord) -> bool:
    return not str(line.msg).startswith("An unhandled error occurred")
