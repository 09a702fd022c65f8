"""A line every few seconds for the person who waits, and one at the end that sums up."""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

_EVERY = 5.0
"""Seconds between two lines."""


class Progress:
    """Counts what a stream has written, and says so now and then."""

    def __init__(self, logger: logging.Logger, noun: str) -> None:
        """Begin to count now; the noun names what is counted, in the singular."""
        self._logger = logger
        self._noun = noun
        self._began = time.monotonic()
        self._next_line = self._began + _EVERY
        self._records = 0
        self._pages = 0
        self._latest = ""

    def page(self, records: int, latest: str) -> None:
        """Count a page that is out.

        Args:
            records: how many records it held.
            latest: the latest start among them, as Focus wrote it; empty where there is none.
        """
        self._records += records
        self._pages += 1
        self._latest = max(self._latest, latest)
        self.tick()

    def tick(self) -> None:
        """Say how far it has come, if it is time to."""
        now = time.monotonic()
        if now >= self._next_line:
            self._next_line = now + _EVERY
            self._logger.info("%s%s", self._so_far(now - self._began), self._reached())

    def finish(self) -> None:
        """Say that the walk came to the feed's end."""
        seconds = time.monotonic() - self._began
        self._logger.info("Up to date: %s%s", self._in_all(seconds), self._reached())

    def _so_far(self, seconds: float) -> str:
        rate = self._records / seconds
        return f"{_counted(self._records, self._noun)} so far, {rate:,.0f} a second"

    def _in_all(self, seconds: float) -> str:
        records, pages = _counted(self._records, self._noun), _counted(self._pages, "page")
        return f"{records} in {pages}, {seconds:.1f} s"

    def _reached(self) -> str:
        """How far the feed has come; the text is Focus's, so it is logged only if it is a date."""
        try:
            return f"; the feed has come to {datetime.fromisoformat(self._latest):%Y-%m-%d %H:%M}"
        except ValueError:
            return ""


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class MediaProgress(Progress):
    """Counts files and bytes as well."""

    def __init__(self, logger: logging.Logger) -> None:
        """Begin to count now."""
        super().__init__(logger, "recording")
        self.waiting = 0
        self._bytes = 0
        self._statuses: Counter[str] = Counter()

    def row(self, row: Mapping[str, Any], *, fetched: bool) -> None:
        """Count a row that is out, with its `status` and `sizeInBytes`.

        Args:
            row: of recording_media.
            fetched: whether its file was fetched for this row; else it lay there already.
        """
        self.waiting -= 1
        self._statuses["fetched" if fetched else row["status"]] += 1
        self._bytes += row["sizeInBytes"] if fetched else 0
        self.tick()

    def _so_far(self, seconds: float) -> str:
        return f"{self._counts(seconds)}, {self.waiting:,} waiting in this page"

    def _in_all(self, seconds: float) -> str:
        return f"{self._counts(seconds)}, {_counted(self._pages, 'page')}, {seconds:.1f} s"

    def _counts(self, seconds: float) -> str:
        rate = self._bytes / 1e6 / seconds
        of = self._statuses
        files, size = _counted(of["fetched"], "file"), _counted(self._bytes, "byte")
        return (
            f"{files}, {size}, {rate:,.1f} MB/s, {of['stored']:,} already there, "
            f"{of['failed']:,} failed, {of['not_permitted']:,} not permitted, "
            f"{of['not_found']:,} not found"
        )
