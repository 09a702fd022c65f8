"""Progress of a sync: a line in the log every few seconds, a summary, and numbers for metrics."""

from __future__ import annotations

import time
import typing as t
from collections import Counter
from datetime import datetime, timezone

from typing_extensions import override

from tap_focus.streams.metrics import Metric
from tap_focus.streams.record_parser import NewField

if t.TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

LOG_INTERVAL = 5.0
"""Seconds between two lines."""


class Progress:
    """Counts what a stream has written. Another thread may read the numbers.

    The last line begins with the end.
    """

    def __init__(self, logger: logging.Logger, end: str = "Up to date") -> None:
        self._logger = logger
        self._end = end
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
        self._log(f"{self._end}: {self._total(time.monotonic() - self._started)}")

    def counters(self) -> dict[Metric, int]:
        """Return the totals for the metrics."""
        return {Metric.PAGES: self._pages}

    def gauges(self) -> dict[Metric, float]:
        """Return the current values for the metrics, as far as they are known."""
        if not self._latest:
            return {}
        return {Metric.FEED_LAG: (datetime.now(timezone.utc) - self._latest).total_seconds()}

    def _log(self, counts: str) -> None:
        latest = f". Latest recording: {self._latest:%Y-%m-%d %H:%M}" if self._latest else ""
        self._logger.info("%s%s", counts, latest)

    def _so_far(self, seconds: float) -> str:
        records = _counted(self._records, "recording")
        return f"{records} so far, {self._records / seconds:,.0f} per second"

    def _total(self, seconds: float) -> str:
        records, pages = _counted(self._records, "recording"), _counted(self._pages, "page")
        return f"{records} in {pages}, {seconds:.1f} s"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class RecordingsProgress(Progress):
    """Counts the fields as well that are not stored in their own column."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger)
        self._new_fields: Counter[NewField] = Counter()

    def new_field(self, kind: NewField) -> None:
        """Count a field that has not occurred before in this run."""
        self._new_fields[kind] += 1

    @override
    def counters(self) -> dict[Metric, int]:
        fields = self._new_fields
        return {
            **super().counters(),
            Metric.UNKNOWN_FIELDS: fields[NewField.UNKNOWN],
            Metric.MISMATCHED_FIELDS: fields[NewField.TYPE] + fields[NewField.HIDDEN],
        }


class AudioProgress(Progress):
    """Counts files and bytes as well.

    Attributes:
        waiting: recordings of the current page that have no row yet.
    """

    def __init__(self, logger: logging.Logger, end: str = "Up to date") -> None:
        super().__init__(logger, end)
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
    def counters(self) -> dict[Metric, int]:
        counts = self._statuses
        return {
            **super().counters(),
            Metric.AUDIO_FILES: counts["downloaded"],
            Metric.AUDIO_BYTES: self._bytes,
            Metric.AUDIO_ALREADY_STORED: counts["stored"],
            Metric.AUDIO_FAILED: counts["failed"],
            Metric.AUDIO_NOT_FOUND: counts["not_found"],
            Metric.AUDIO_NOT_PERMITTED: counts["not_permitted"],
        }

    @override
    def gauges(self) -> dict[Metric, float]:
        return {**super().gauges(), Metric.AUDIO_WAITING: self.waiting}

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
