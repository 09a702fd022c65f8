"""The stream `recording_media`: the manifest of the audio archive."""

from __future__ import annotations

import typing as t
from functools import cached_property

from singer_sdk.exceptions import ConfigValidationError
from typing_extensions import override

from tap_focus.api.record_model import KEY
from tap_focus.api.text import sanitize
from tap_focus.archive.downloader import COPIED_FIELDS
from tap_focus.archive.naming import Shard, parse_shard
from tap_focus.errors import TooManyFailedDownloadsError
from tap_focus.streams import schemas
from tap_focus.streams.base import FeedStream
from tap_focus.streams.progress import AudioProgress

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk import Tap

    from tap_focus.api.client import Client
    from tap_focus.api.page import Page
    from tap_focus.archive.downloader import AudioDownloader, DownloadResult
    from tap_focus.streams.writer import MessageWriter

    Row = dict[str, t.Any]

MAX_FAILED = 1000
"""Failed downloads that the state can keep. It is written after every page."""


class RecordingMediaStream(FeedStream):
    """One row for each recording of the feed, with the status of its audio file."""

    name = "recording_media"
    schema = schemas.RECORDING_MEDIA
    selected_by_default = False

    _progress: AudioProgress

    def __init__(
        self, tap: Tap, *, client: Client, writer: MessageWriter, downloader: AudioDownloader
    ) -> None:
        super().__init__(tap, client=client, writer=writer)
        self._downloader = downloader
        self._failed: dict[int, Row] = {}

    @override
    def new_progress(self) -> AudioProgress:
        return AudioProgress(self.logger)

    @override
    def initial_records(self) -> Iterator[Row]:
        """Open the archive and retry the downloads that failed in earlier runs."""
        self._check_settings()
        self._downloader.open()
        if failed := self.state_manager.failed:
            self._failed = {entry[KEY]: entry for entry in failed}
            self.logger.info("Retrying %d downloads that failed in earlier runs", len(failed))
            recordings = [{**entry, "mediaAccessStatus": "Permitted"} for entry in failed]
            yield from self._download(recordings, self.state_manager.cursor)
            self._page_written(None)

    @override
    def page_records(self, page: Page) -> Iterator[Row]:
        recordings = [row for row in page.records() if self._shard.contains(row[KEY])]
        return self._download(recordings, page.cursor)

    @override
    def extra_state(self) -> dict[str, t.Any]:
        """Return the failed downloads, and the shard if there are several.

        The list is written even if it is empty, since Meltano keeps keys that a state omits.
        """
        if len(self._failed) > MAX_FAILED:
            raise TooManyFailedDownloadsError(MAX_FAILED)
        shard = {"shard": str(self._shard)} if self._shard.count > 1 else {}
        return {**shard, "failed": list(self._failed.values())}

    @cached_property
    def _shard(self) -> Shard:
        return parse_shard(self.config.get("media_shard") or "1/1")

    def _check_settings(self) -> None:
        error, shard = "", self.state_manager.shard
        if not self.config.get("media_path"):
            error = "media_path: missing. Set it, or deselect the stream recording_media"
        elif shard not in {None, str(self._shard)}:
            error = (
                f"media_shard: the state belongs to shard {shard}, which has skipped the "
                f"recordings of other shards. Set {shard}, or start with fresh state. Archived "
                "files are not downloaded again"
            )
        if error:
            raise ConfigValidationError("Invalid settings", errors=[error])

    def _download(self, recordings: list[Row], cursor: str | None) -> Iterator[Row]:
        self._progress.waiting = len(recordings)
        for result in self._downloader.download_all(recordings, on_wait=self._on_wait):
            self._update_failed(result)
            row = {**result.row, "nextCursorId": cursor}
            if self.config["sanitize_text"]:
                row |= {n: sanitize(v) for n, v in result.row.items() if isinstance(v, str)}
            yield row
            self._progress.row(result.row, downloaded=result.downloaded)

    def _on_wait(self) -> None:
        self._writer.raise_if_stopping()
        self._progress.tick()

    def _update_failed(self, result: DownloadResult) -> None:
        key = result.row[KEY]
        if result.row["status"] != "failed":
            self._failed.pop(key, None)
        elif result.requested:
            attempts = self._failed.get(key, {}).get("attempts", 0) + 1
            # From the row, where values have the right type and a greatest length.
            copied = {name: result.row[name] for name in COPIED_FIELDS}
            self._failed[key] = {**copied, "attempts": attempts}
