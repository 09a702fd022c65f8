"""The stream `recording_media` for the recordings of a work list."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime, timezone

from typing_extensions import override

from tap_focus import errors
from tap_focus.archive.downloader import POLL_INTERVAL
from tap_focus.archive.refusals import RefusalGuard
from tap_focus.archive.retry_ranges import RetrySchedule
from tap_focus.archive.work_list import read_work_list
from tap_focus.streams.progress import AudioProgress
from tap_focus.streams.recording_media import RecordingMediaStream

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk.helpers.types import Context

    Row = dict[str, t.Any]


class WorkListStream(RecordingMediaStream):
    """One row for each recording of a work list. It has no bookmark, and writes no STATE.

    `nextCursorId` is null: a bookmark must not be restored from rows that are in no order.
    """

    selected_by_default = True

    def __init__(
        self, *args: t.Any, work_list: t.IO[bytes], can_create: bool, **kwargs: t.Any
    ) -> None:
        """Prepare to read a work list. `can_create` allows a new archive."""
        super().__init__(*args, **kwargs)
        self._work_list = work_list
        self._can_create = can_create

    @override
    def new_progress(self) -> AudioProgress:
        return AudioProgress(self.logger, "End of the work list")

    @override
    def get_records(self, context: Context | None) -> Iterator[Row]:
        self._check_settings()
        self._schedule = RetrySchedule(self.config["media_retry_days"])
        self._refusals = RefusalGuard(trusts_archive=True)
        # Without a bookmark, only the user knows whether an archive without marker is a new one.
        self._downloader.open(self._account, has_bookmark=not self._can_create)
        for recordings in self._chunks():
            yield from self._fetch(recordings)
            self._progress.page_written(len(recordings), None)
        self._refusals.finish()
        if not self._is_batched:
            self._progress.finish()

    @override
    def _write_state_message(self) -> None:
        """Write none: the state belongs to the runs that follow the feed."""

    def _chunks(self) -> Iterator[list[Row]]:
        """Yield the recordings of the work list. Signals are handled while it is waited for."""
        chunks = read_work_list(
            self._work_list, shard=self._shard, chunk_size=self.config["page_size"]
        )
        reader = ThreadPoolExecutor(1, "work-list")
        while True:
            future = reader.submit(next, chunks, None)
            while not wait([future], timeout=POLL_INTERVAL).done:
                self._on_wait()
            if not (chunk := future.result()):
                return
            yield chunk

    def _fetch(self, recordings: list[Row]) -> Iterator[Row]:
        """Download the audio of recordings, and yield their rows when the files are on the disk.

        An error ends the run after the rows of the recordings before it.
        """
        now = datetime.now(timezone.utc)
        rows: list[Row] = []
        failure: errors.TapFocusError | None = None
        try:
            for result in self._download(recordings):
                self._mark_final(result, now, now)
                rows += [self._row(checked, None) for checked in self._refusals.check(result)]
        except errors.TapFocusError as error:
            failure = error
        self._downloader.flush()
        yield from rows
        self._writer.flush()
        if failure:
            raise failure
