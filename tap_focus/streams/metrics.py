"""Metrics of a sync, in the SDK's own `METRIC` lines. Their reference is docs/reference/metrics.md.

No metric contains a value of a recording.
"""

from __future__ import annotations

import abc
import enum
import threading
import typing as t
from collections import Counter
from functools import cached_property

from singer_sdk import Stream, metrics
from typing_extensions import override

if t.TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from tap_focus.api.client import Client
    from tap_focus.streams.progress import Progress

LOG_INTERVAL = metrics.DEFAULT_LOG_INTERVAL
"""Seconds between two groups of lines."""


class Metric(str, enum.Enum):
    """The metrics besides those of the SDK, such as `record_count` and `sync_duration`."""

    FEED_LAG = "feed_lag"
    PAGES = "page_count"
    REQUESTS = "http_request_count"
    RETRIES = "http_retry_count"
    RECEIVED_BYTES = "http_response_bytes"
    UNKNOWN_FIELDS = "unknown_field_count"
    MISMATCHED_FIELDS = "mismatched_field_count"
    AUDIO_FILES = "audio_file_count"
    AUDIO_BYTES = "audio_file_bytes"
    AUDIO_ALREADY_STORED = "audio_already_stored_count"
    AUDIO_FAILED = "audio_failed_count"
    AUDIO_NOT_FOUND = "audio_not_found_count"
    AUDIO_NOT_PERMITTED = "audio_not_permitted_count"
    AUDIO_WAITING = "audio_waiting_count"


class MeteredStream(Stream, abc.ABC):
    """A stream whose sync logs metrics."""

    _client: Client

    @abc.abstractmethod
    def new_progress(self) -> Progress:
        """Return what counts the progress of the sync."""

    @property
    def metric_tags(self) -> dict[str, str]:
        """Tags of all metrics besides the SDK's."""
        return {}

    @cached_property
    def _progress(self) -> Progress:
        return self.new_progress()

    @override
    def get_record_counter(self, **options: t.Any) -> metrics.Counter:
        counter = super().get_record_counter(**options)
        counter.tags |= self.metric_tags
        return counter

    @override
    def get_batch_counter(self) -> metrics.Counter:
        counter = super().get_batch_counter()
        counter.tags |= self.metric_tags
        return counter

    @override
    def get_sync_timer(self) -> SyncTimer:
        tags = {metrics.Tag.STREAM: self.name, **self.metric_tags}
        return SyncTimer(tags, self._progress, self._client)


class SyncTimer(metrics.Timer):
    """The SDK's timer of a sync, which also logs the other metrics: every minute and at the end.

    As in the SDK, the value of a counter is the number since its previous line. A thread logs the
    lines of every minute, since the sync may be waiting for Focus or for the target.
    """

    def __init__(self, tags: dict[str, t.Any], progress: Progress, client: Client) -> None:
        super().__init__(metrics.Metric.SYNC_DURATION, tags)
        self._progress = progress
        self._client = client
        # An earlier stream may have used the client.
        self._logged = self._counters()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._log_regularly, name="metrics", daemon=True)

    @override
    def __enter__(self) -> Self:
        self._thread.start()
        return super().__enter__()

    @override
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        super().__exit__(exc_type, exc_val, exc_tb)  # adds the tag `status`
        self._log()

    def _log_regularly(self) -> None:
        while not self._ended.wait(LOG_INTERVAL):
            self._log()

    def _log(self) -> None:
        for gauge, value in self._progress.gauges().items():
            self._log_point("gauge", gauge, value)
        counters = self._counters()
        for counter, total in counters.items():
            self._log_point("counter", counter, total - self._logged[counter])
        self._logged = counters

    def _log_point(self, metric_type: str, metric: Metric, value: float) -> None:
        # The SDK logs only the text of the name, so names that it does not define are possible.
        name = t.cast("metrics.Metric", metric)
        metrics.log(self.logger, metrics.Point(metric_type, name, value, self.tags))

    def _counters(self) -> Counter[Metric]:
        """Return the totals of the counters."""
        usage = self._client.usage
        return Counter(
            {
                **self._progress.counters(),
                Metric.REQUESTS: usage.requests,
                Metric.RETRIES: usage.retries,
                Metric.RECEIVED_BYTES: usage.received_bytes,
            }
        )
