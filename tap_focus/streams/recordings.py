"""The two Singer streams: rows of recordings, and rows of the audio archive's manifest."""

from __future__ import annotations

import typing as t
from functools import cached_property, partial

from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.singerlib.json import serialize_json

from tap_focus.api.page import KEY, Page, Recording
from tap_focus.api.threads import Background, result
from tap_focus.archive.downloader import COPIED
from tap_focus.errors import TooManyFailedError
from tap_focus.settings import to_shard
from tap_focus.streams import schemas
from tap_focus.streams.base import CursorStream
from tap_focus.streams.progress import MediaProgress, Progress
from tap_focus.streams.raw_records import may_pass, record_messages

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk.helpers.types import Context
    from singer_sdk.metrics import Counter

    from tap_focus.tap import TapFocus

    Row = dict[str, t.Any]

_NAMED_FIELDS = 100
"""How many unknown fields are named in the log at most: a hostile feed must not flood it."""

_MOST_FAILED = 1000
"""How many failed downloads a bookmark keeps: it is written with every page."""


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
