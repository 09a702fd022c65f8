"""Progress of a sync in the log: a line every few seconds, and a summary at the end."""

from __future__ import annotations

import time
import typing as t
from collections import Counter

from typing_extensions import override

if t.TYPE_CHECKING:
    import logging
    from collections.abc import Mapping
    from datetime import datetime

LOG_INTERVAL = 5.0
"""Seconds between two lines."""


class Progress:
    """Counts what a stream has written.

    The noun names what is counted, in the singular.
    """

    def __init__(self, logger: logging.Logger, noun: str) -> None:
        self._logger = logger
        self._noun = noun
        self._started = time.monotonic()
        self._next_line = self._started + LOG_INTERVAL
        self._records = 0
        self._pages = 0
        self._latest: datetime | None = None

    def page_written(self, records: int, latest: datetime | None) -> None:
        """Count a page with its number of records and their latest start, if known."""
        self._records += records
        self._pages += 1
        self._latest = max(filter(None, (self._latest, latest)), default=None)
        self.tick()

    def tick(self) -> None:
        """Log a line if the last one is `LOG_INTERVAL` ago."""
        now = time.monotonic()
        if now >= self._next_line:
            self._next_line = now + LOG_INTERVAL
            self._log(self._so_far(now - self._started))

    def finish(self) -> None:
        """Log that the end of the feed is reached."""
        self._log(f"Up to date: {self._total(time.monotonic() - self._started)}")

    def _log(self, counts: str) -> None:
        latest = f". Latest recording: {self._latest:%Y-%m-%d %H:%M}" if self._latest else ""
        self._logger.info("%s%s", counts, latest)

    def _so_far(self, seconds: float) -> str:
        records = _counted(self._records, self._noun)
        return f"{records} so far, {self._records / seconds:,.0f} per second"

    def _total(self, seconds: float) -> str:
        records, pages = _counted(self._records, self._noun), _counted(self._pages, "page")
        return f"{records} in {pages}, {seconds:.1f} s"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class AudioProgress(Progress):
    """Counts files and bytes as well.

    Attributes:
        waiting: recordings of the current page that have no row yet.
    """

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger, "recording")
        self.waiting = 0
        self._bytes = 0
        self._statuses: Counter[str] = Counter()

    def row(self, row: Mapping[str, t.Any], *, downloaded: bool) -> None:
        """Count a row. Its file was downloaded for it, or found in the archive, if any."""
        self.waiting -= 1
        self._statuses["downloaded" if downloaded else row["status"]] += 1
        self._bytes += row["sizeInBytes"] if downloaded else 0
        self.tick()

    @override
    def _so_far(self, seconds: float) -> str:
        return f"{self._counts(seconds)}, {self.waiting:,} waiting in this page"

    @override
    def _total(self, seconds: float) -> str:
        return f"{self._counts(seconds)}, {_counted(self._pages, 'page')}, {seconds:.1f} s"

    def _counts(self, seconds: float) -> str:
        counts = self._statuses
        return (
            f"{_counted(counts['downloaded'], 'file')}, {_counted(self._bytes, 'byte')}, "
            f"{self._bytes / 1e6 / seconds:,.1f} MB/s, {counts['stored']:,} already stored, "
            f"{counts['failed']:,} failed, {counts['not_permitted']:,} not permitted, "
            f"{counts['not_found']:,} not found"
        )
