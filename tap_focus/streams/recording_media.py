"""The stream `recording_media`: the manifest of the audio archive.

Its columns are listed in `tap_focus.streams.columns`.
"""

from __future__ import annotations

import sys
import typing as t
from datetime import datetime, timezone
from functools import cached_property

import msgspec
from singer_sdk.exceptions import ConfigValidationError
from typing_extensions import override

from tap_focus import errors
from tap_focus.api.record_model import KEY
from tap_focus.api.text import sanitize_value
from tap_focus.archive.naming import Shard, parse_shard
from tap_focus.archive.refusals import RefusalGuard
from tap_focus.archive.retry_ranges import RetryRange, RetryRanges, RetrySchedule
from tap_focus.archive.rows import ended_at
from tap_focus.archive.stores.interface import supports_locks
from tap_focus.streams import columns
from tap_focus.streams.base import FeedStream
from tap_focus.streams.progress import AudioProgress

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from singer_sdk import Tap

    from tap_focus.api.client import Client
    from tap_focus.api.page import Page
    from tap_focus.archive.downloader import AudioDownloader, DownloadResult
    from tap_focus.streams.writer import MessageWriter

    Row = dict[str, t.Any]

_OLD_CURSOR_FAILURES = (
    errors.CursorRejectedError,
    errors.HTTPStatusError,
    errors.InvalidRecordingError,
    errors.InvalidResponseError,
    errors.PageSizeIgnoredError,
    errors.PaginationError,
    errors.ResponseTooLargeError,
    errors.UnavailableError,
)
"""Errors of a page that was requested with an old cursor, after the feed itself was read."""

FINAL = ". Not requested again"
"""End of the error of a row that is final."""

RETRIES_OF_A_REPETITION = 1
"""Retries of a request that is repeated after an earlier run: the download has failed before."""


class RecordingMediaStream(FeedStream):
    """One row for each recording of the feed, with the status of its audio file."""

    name = "recording_media"
    schema = columns.RECORDING_MEDIA
    selected_by_default = False

    _progress: AudioProgress

    def __init__(
        self,
        tap: Tap,
        *,
        client: Client,
        writer: MessageWriter,
        account: str,
        downloader: AudioDownloader,
    ) -> None:
        super().__init__(tap, client=client, writer=writer, account=account)
        self._downloader = downloader

    @override
    def new_progress(self) -> AudioProgress:
        return AudioProgress(self.logger)

    @property
    @override
    def metric_tags(self) -> dict[str, str]:
        return {"shard": str(self._shard)} if self._shard.count > 1 else {}

    @override
    def initial_records(self) -> Iterator[Row]:
        """Open the archive, and request what an earlier version of the tap left in the bookmark."""
        self._check_settings()
        self._started = datetime.now(timezone.utc)
        bookmark = self.state_manager.stream_state
        self._cursor = self.state_manager.cursor
        self._position = _integer(bookmark.get("position"))
        # Without a bookmark, stored files show that the service user could download audio before.
        self._refusals = RefusalGuard(
            _integer(bookmark.get("refusals")), trusts_archive=not self._cursor
        )
        self._schedule = RetrySchedule(self.config["media_retry_days"])
        self._ranges = self._read_ranges(bookmark.get("retries"))
        self._downloader.open(self._account, has_bookmark=bool(self._cursor))
        recordings = [
            {**entry, "mediaAccessStatus": "Permitted"}
            for entry in bookmark.get("failed") or []
            if isinstance(entry, dict) and type(entry.get(KEY)) is int
        ]
        for result in self._download(recordings):
            if result.error:  # the bookmark has no cursor from which to request it later
                result.row["error"] += FINAL
            yield self._row(result, self._cursor)

    @override
    def page_records(self, page: Page) -> Iterator[Row]:
        now = datetime.now(timezone.utc)
        failed: list[int] = []
        for result in self._download(self._own(page.records())):
            if result.error and not self._mark_final(result, now, now):
                failed.append(result.recording[KEY])
            for checked in self._refusals.check(result):
                yield self._row(checked, page.cursor)
        end = self._position + page.size
        if failed:
            part = RetryRange(
                cursor=self._cursor,
                from_date=None if self._cursor else self.from_date,
                start=self._position,
                end=end,
                requested=now,
                requested_until=now,
                ids=failed,
            )
            self._ranges.add(part, now)
        self._cursor, self._position = page.cursor, end

    @override
    def final_records(self) -> Iterator[Row]:
        """Request audio again that was missing or failed in earlier runs."""
        self._refusals.finish()
        self._page_written(None)  # the bookmark may have waited for the refusals
        while part := self._ranges.next_due(self._schedule, self._started):
            yield from self._repeat(part)

    @property
    @override
    def can_advance(self) -> bool:
        return not self._refusals.is_open

    @override
    def flush_page(self) -> None:
        self._downloader.flush()

    @override
    def check_state(self) -> None:
        super().check_state()
        self.state_manager.check("shard", str(self._shard), label="media_shard")

    @override
    def extra_state(self) -> dict[str, t.Any]:
        """Return what to request again, and the shard if there are several.

        The lists are written even if they are empty, since Meltano keeps keys that a state omits.
        `failed` is the list of an earlier version.
        """
        shard = {"shard": str(self._shard)} if self._shard.count > 1 else {}
        legacy: dict[str, list[Row]] = (
            {"failed": []} if "failed" in self.state_manager.stream_state else {}
        )
        return {
            **super().extra_state(),
            **shard,
            **legacy,
            "position": self._position,
            "retries": self._ranges.to_state(),
            "refusals": self._refusals.count,
        }

    @cached_property
    def _shard(self) -> Shard:
        return parse_shard(self.config.get("media_shard") or "1/1")

    def _check_settings(self) -> None:
        error = ""
        if not self.config.get("media_path"):
            error = "media_path: missing. Set it, or deselect the stream recording_media"
        elif self.config.get("media_lock") and not supports_locks(self.config["media_path"]):
            error = "media_lock: files can be locked in S3 only, so media_path must be an s3:// URL"
        if error:
            raise ConfigValidationError("Invalid settings", errors=[error])

    def _read_ranges(self, stored: t.Any) -> RetryRanges:
        if not self._schedule.period:
            return RetryRanges()
        try:
            return RetryRanges(stored or [])
        except msgspec.ValidationError:
            self.logger.warning("Ignoring the invalid entry retries of the bookmark")
            return RetryRanges()

    def _own(self, recordings: Iterable[Row]) -> list[Row]:
        """Return the recordings of this shard."""
        return [recording for recording in recordings if self._shard.contains(recording[KEY])]

    def _repeat(self, part: RetryRange) -> Iterator[Row]:
        """Request the missing audio of a range again, and yield the rows that have changed."""
        pages = self._client.iter_pages(
            cursor=part.cursor,
            from_date=part.from_date,
            page_size=min(self.config["page_size"], part.end - part.start),
            on_wait=self._writer.raise_if_stopping,
        )
        try:
            for page in pages:
                yield from self._repeat_page(part, page)
                self._page_written(None)
                if not self._ranges.current:
                    return
        except _OLD_CURSOR_FAILURES as error:
            # Another failure than a rejected cursor may be temporary.
            grace = 1 if isinstance(error, errors.CursorRejectedError) else 2
            is_over = self._schedule.is_over(part.requested_until, self._started, periods=grace)
            self.logger.warning(
                "Cannot request missing audio of %s again%s: %s",
                f"{part.requested:%F}",
                ", and will not try later" if is_over else "",
                error,
            )
            part.retried, self._ranges.current = self._started, None
            if not is_over:
                self._ranges.add(part, self._started)
            self._page_written(None)

    def _repeat_page(self, part: RetryRange, page: Page) -> Iterator[Row]:
        recordings = [*page.records()][: part.end - part.start]
        wanted = [row for row in recordings if part.ids is None or row[KEY] in part.ids]
        failed: list[int] = []
        for result in self._download(self._own(wanted), max_retries=RETRIES_OF_A_REPETITION):
            if not result.error:
                is_changed = result.is_new
            elif self._mark_final(result, part.requested_until, self._started):
                is_changed = not self._is_over(result, part.requested, part.requested)
            else:
                failed.append(result.recording[KEY])
                is_changed = False
            if is_changed:
                yield self._row(result, self._cursor)
        end = part.start + len(recordings)
        if failed:
            repeated = msgspec.structs.replace(part, end=end, retried=self._started, ids=failed)
            self._ranges.add(repeated, self._started)
        part.cursor, part.from_date, part.start = page.cursor, None, end
        if end >= part.end or not page.size:
            self._ranges.current = None

    def _mark_final(self, result: DownloadResult, requested: datetime, now: datetime) -> bool:
        """Mark the row of a failed download that is not requested again; return whether it is."""
        is_final = bool(result.error) and self._is_over(result, requested, now)
        if is_final:
            result.row["error"] += FINAL
        return is_final

    def _is_over(self, result: DownloadResult, requested: datetime, now: datetime) -> bool:
        """Return whether a request at `now` is the last one for a recording.

        Missing audio may be late, so the time counts from the end of the recording. Another
        failure has no relation to that time, so it counts from the first request.
        """
        ended = ended_at(result.recording) if result.has_no_audio else None
        return self._schedule.is_over(min(ended or requested, requested), now)

    def _download(
        self, recordings: list[Row], max_retries: int = sys.maxsize
    ) -> Iterator[DownloadResult]:
        self._progress.waiting = len(recordings)
        for result in self._downloader.download_all(
            recordings, on_wait=self._on_wait, max_retries=max_retries
        ):
            yield result
            self._progress.row(result.row, downloaded=result.is_new)

    def _row(self, result: DownloadResult, cursor: str | None) -> Row:
        row = sanitize_value(result.row) if self.config["sanitize_text"] else result.row
        return {**row, "nextCursorId": cursor}

    def _on_wait(self) -> None:
        self._writer.raise_if_stopping()
        self._progress.tick()


def _integer(value: object) -> int:
    return value if type(value) is int else 0
