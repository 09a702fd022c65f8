"""The Singer streams: rows of recordings, and a bookmark that moves at each page's end."""

from __future__ import annotations

import abc
import typing as t
from functools import cached_property, partial

from singer_sdk import Stream
from singer_sdk.batch import Batcher
from singer_sdk.exceptions import ConfigValidationError, MapExpressionError
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import CustomStreamMap
from singer_sdk.singerlib.json import serialize_json

from tap_focus import schemas
from tap_focus.background import Background, result
from tap_focus.bookmark import REPLICATION_KEY, Bookmark
from tap_focus.errors import StorageError, TooManyFailedError
from tap_focus.feed import KEY, Page, Plain, Recording, walk
from tap_focus.media import COPIED
from tap_focus.passthrough import may_pass, record_messages
from tap_focus.progress import MediaProgress, Progress
from tap_focus.settings import to_shard, to_utc

if t.TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Iterator

    from singer_sdk.helpers.types import Context
    from singer_sdk.metrics import Counter
    from singer_sdk.singerlib import Catalog, RecordMessage

    from tap_focus.sdk import BaseBatchFileEncoding
    from tap_focus.tap import TapFocus

    Row = dict[str, t.Any]

_PLAIN = Plain(schemas.TYPES)

_NAMED_FIELDS = 100
"""How many unknown fields are named in the log at most: a hostile feed must not flood it."""

_MOST_FAILED = 1000
"""How many failed downloads a bookmark keeps: it is written with every page."""


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


class RecordingsStream(CursorStream):
    """Every communication, as Focus tells it."""

    name = "recordings"
    schema = schemas.RECORDINGS

    def __init__(self, tap: TapFocus) -> None:
        """Make the stream of a tap."""
        super().__init__(tap)
        self._unknown_fields: set[str] = set()

    def progress(self) -> Progress:
        """Count recordings."""
        return Progress(self.logger, "recording")

    def rows(self, page: Page) -> Iterator[Row]:
        """Make a row of each recording that is not passed through, and let the others pass."""
        if self._may_pass and all(page.plain):
            self._pass(page.raws, page.cursor)
            return
        passing = []
        for place, plain in enumerate(page.plain):
            if plain and self._may_pass:
                passing.append(page.raws[place])
                continue
            self._pass(passing, page.cursor)
            passing.clear()
            yield self._row(page.recording(place), page.cursor)
        self._pass(passing, page.cursor)

    def _row(self, recording: Recording, cursor: str) -> Row:
        """Make a row: the fields that are as expected, the others apart, and the cursor."""
        unknown = {name for name, value in recording.items() if not schemas.fits(name, value)}
        row = dict.fromkeys(unknown & schemas.TYPES.keys())
        row |= {name: recording[name] for name in recording if name not in unknown}
        row["additionalFields"] = self._additional(recording, unknown) if unknown else None
        row["nextCursorId"] = cursor
        return row

    @cached_property
    def _may_pass(self) -> bool:
        return may_pass(self)

    def _pass(self, raws: list[t.Any], cursor: str) -> None:
        """Write records as they came, and count them as the SDK counts the others."""
        if raws:
            for lines in record_messages(self.name, raws, cursor):
                self._tap.message_writer.write_lines(lines)
            self._counter.increment(len(raws))

    def get_record_counter(self, **options: t.Any) -> Counter:
        """Keep the SDK's counter at hand."""
        self._counter = super().get_record_counter(**options)
        return self._counter

    def post_process(
        self,
        row: Row,
        context: Context | None = None,  # noqa: ARG002
    ) -> Row:
        """Make text of what flattening declares as text.

        It does so itself for objects and arrays, and would leave `5` a number.
        """
        if self._flattened:
            for name, kind in schemas.TYPES.items():
                if kind is None and not isinstance(row.get(name), (str, dict, list, type(None))):
                    row[name] = serialize_json(row[name])
        return row

    @cached_property
    def _flattened(self) -> bool:
        return any(stream_map.flattening_enabled for stream_map in self.stream_maps)

    def _additional(self, recording: Recording, unknown: set[str]) -> Row:
        for name in sorted(unknown - self._unknown_fields):
            if len(self._unknown_fields) == _NAMED_FIELDS:
                break
            self._unknown_fields.add(name)
            what = "with a type that is new" if name in schemas.TYPES else "that is new"
            self.logger.warning(
                "Focus sent a field %s: %.80r; it is kept in additionalFields", what, name
            )
        return {name: recording[name] for name in recording if name in unknown}


class RecordingMediaStream(CursorStream):
    """The audio archive's manifest: how each recording's file fares."""

    name = "recording_media"
    schema = schemas.RECORDING_MEDIA
    selected_by_default = False

    _counts: MediaProgress

    def progress(self) -> MediaProgress:
        """Count files and bytes."""
        return MediaProgress(self.logger)

    def get_records(self, context: Context | None) -> Iterator[Row]:
        """Walk the feed as every stream does; in a test of the connection, only with an archive."""
        if self.ABORT_AT_RECORD_COUNT is not None and not self.config.get("media_path"):
            self.logger.info("Not tested, since media_path is not set")
            return iter(())
        return super().get_records(context)

    def begin(self) -> Iterator[Row]:
        """Try first what failed before; without a bookmark there is nothing."""
        self._media = self._tap.media
        self._downloads = Background(self.config["media_concurrency"], "download")
        self._shard = to_shard(self.config.get("media_shard") or "1/1")
        if self.state_manager.shard not in {None, f"{self._shard}"}:
            error = (
                f"media_shard: the state is of {self.state_manager.shard}, and has passed over the "
                f"recordings of other parts. Go on with {self.state_manager.shard}, or begin with "
                "a fresh state: what is archived already is not fetched again"
            )
            raise ConfigValidationError("wrong settings", errors=[error])
        earlier = self.state_manager.failed
        self._failed = {entry[KEY]: entry for entry in earlier}
        if earlier:
            self.logger.info("Trying again %d downloads that failed before", len(earlier))
            again = [{**entry, "mediaAccessStatus": "Permitted"} for entry in earlier]
            yield from self._archived(again, self.state_manager.cursor)
            self._page_is_out(None)

    def rows(self, page: Page) -> Iterator[Row]:
        """Archive the audio of this machine's recordings, and make a row of each."""
        mine = [recording for recording in page.recordings() if self._shard.has(recording)]
        return self._archived(mine, page.cursor)

    def kept(self) -> dict[str, t.Any]:
        """Return the list of failed downloads, also when it is empty: it replaces the old one.

        And the shard, where there is one: another has its own bookmark.
        """
        if len(self._failed) > _MOST_FAILED:
            raise TooManyFailedError(
                f"More than {_MOST_FAILED} downloads wait for another try, which is all that a "
                "bookmark can hold. See the column error of recording_media for why they fail. "
                "The bookmark stands before this page: mend the reason, or wait, and run again."
            )
        shard = {"shard": f"{self._shard}"} if self._shard.parts > 1 else {}
        return {**shard, "failed": list(self._failed.values())}

    def _archived(self, recordings: list[Recording], cursor: str | None) -> Iterator[Row]:
        def check() -> None:
            self._tap.message_writer.check()
            self._counts.tick()

        # A recording that comes twice in a page is fetched once.
        latest = {recording[KEY]: recording for recording in recordings}
        coming = {
            key: self._downloads.begin(partial(self._media.archive, recording))
            for key, recording in latest.items()
        }
        self._counts.waiting = len(recordings)
        for recording in recordings:
            key = recording[KEY]
            row, fetched = result(coming[key], check)
            is_latest = recording is latest[key]
            if row["status"] != "failed":
                self._failed.pop(key, None)
            elif is_latest:
                attempts = self._failed.get(key, {}).get("attempts", 0) + 1
                copied = {name: recording.get(name) for name in COPIED}
                self._failed[key] = {**copied, "attempts": attempts}
            yield {**row, "nextCursorId": cursor}
            self._counts.row(row, fetched=fetched and is_latest)


def _not_unhandled(line: logging.LogRecord) -> bool:
    return not str(line.msg).startswith("An unhandled error occurred")
