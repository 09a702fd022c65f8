"""The METRIC lines of a run, as docs/reference/metrics.md describes them."""

from __future__ import annotations

import json
import logging
from collections import Counter
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from meltano.core.logging.parsers import SingerSDKLogParser

from tap_focus.streams import metrics
from tap_focus.tap import TapFocus
from tests.helpers import guarantee
from tests.helpers.assertions import assert_no_canary, wait_until
from tests.helpers.fake_focus import (
    AUDIO,
    FakeFocus,
    feed,
    ok,
    page_cursor,
    recording,
    status,
)
from tests.helpers.runner import settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.fake_focus import Handler
    from tests.helpers.runner import ArchiveRunner, Run, TapRunner

START = datetime(2025, 5, 1, 9, 1, 10, 956000, tzinfo=timezone.utc)
"""The start of the recordings of `fake_focus`."""

COMMON = {"feed_lag", "page_count", "http_request_count", "http_retry_count", "http_response_bytes"}
"""The metrics of both streams besides those of the SDK."""

FIELDS = {"unknown_field_count", "mismatched_field_count"}
"""The metrics of `recordings` only."""

SDK = {"record_count", "sync_duration"}

AUDIO_STATUSES = {
    "audio_file_count": 1,
    "audio_file_bytes": len(AUDIO),
    "audio_already_stored_count": 1,
    "audio_failed_count": 2,
    "audio_not_found_count": 3,
    "audio_not_permitted_count": 4,
    "audio_waiting_count": 0,
}


def points(run: Run) -> list[dict[str, Any]]:
    """Return the content of the METRIC lines."""
    lines = [line.partition(" METRIC: ") for line in run.log.splitlines()]
    assert all(
        before.endswith("singer_sdk.metrics             |") for before, sep, _ in lines if sep
    )
    return [json.loads(point) for _, separator, point in lines if separator]


def values(points: list[dict[str, Any]], stream: str = "recordings") -> dict[str, Any]:
    """Return the values of the metrics of a stream, each of which has one line."""
    found = [(p["metric"], p["value"]) for p in points if p["tags"]["stream"] == stream]
    assert len(dict(found)) == len(found)
    return dict(found)


def test_a_run_counts_pages_requests_retries_bytes_and_fields(tap: TapRunner) -> None:
    first = [recording(1), recording(2, sentiment=0.5, mood="x"), recording(3, sentiment=1)]
    second = [recording(4, startDatetimeUTC="2024-01-01T00:00:00Z", durationInSeconds="long")]
    faults = [status(503, Retry_After="0"), status(401)]
    with FakeFocus(feed(first, second), cursor=faults, claims={}) as focus:
        run = tap(config=settings(focus))
        age = (datetime.now(timezone.utc) - START).total_seconds()
        pages = [focus.pages[cursor] for cursor in (None, page_cursor(1), page_cursor(2))]
        bodies = [focus.login_response(), focus.login_response(), *pages]
    found = values(points(run))

    assert run.exit_code == 0
    assert found.keys() == COMMON | FIELDS | SDK
    assert age - 60 < found["feed_lag"] <= age
    assert found["page_count"] == 3
    assert found["http_request_count"] == len(focus.requests) == 7
    assert found["http_retry_count"] == 1
    assert found["http_response_bytes"] == sum(map(len, bodies))
    assert found["unknown_field_count"] == 2
    assert found["mismatched_field_count"] == 1
    assert found["record_count"] == 4


def test_the_points_have_the_types_and_tags_of_the_sdk(tap: TapRunner) -> None:
    with FakeFocus(feed(1)) as focus:
        run = tap(config=settings(focus))
    own = [point for point in points(run) if point["metric"] in COMMON | FIELDS]
    (timer,) = [point for point in points(run) if point["metric"] == "sync_duration"]

    assert all(point.keys() == timer.keys() for point in own)
    assert {point["type"] for point in own if point["metric"] != "feed_lag"} == {"counter"}
    assert [point["type"] for point in own if point["metric"] == "feed_lag"] == ["gauge"]
    assert all(point["tags"] == timer["tags"] for point in own)
    assert timer["tags"].keys() == {"stream", "pid", "context", "status"}
    assert timer["tags"]["status"] == "succeeded"


def test_an_empty_feed_has_no_lag(tap: TapRunner) -> None:
    with FakeFocus(feed()) as focus:
        found = values(points(tap(config=settings(focus))))

    assert found.keys() == (COMMON | FIELDS | SDK) - {"feed_lag"}
    assert found["page_count"] == 1


@pytest.mark.parametrize("requests", [1, 3])
def test_a_run_that_fails_writes_its_metrics_before_the_error(
    tap: TapRunner, requests: int
) -> None:
    retries = requests - 1
    always = {"cursor": status(503, Retry_After="0")}
    with FakeFocus(feed(2, 2), cursor=[ok], always=always) as focus:
        run = tap(config=settings(focus, requests=requests))
    found = values(points(run))

    assert run.exit_code == 75
    assert found["page_count"] == 1
    assert found["http_retry_count"] == retries
    assert found["http_request_count"] == len(focus.requests)
    assert {p["tags"].get("status") for p in points(run)} == {"failed", None}
    assert all("status" in p["tags"] for p in points(run) if p["metric"] != "record_count")
    assert "METRIC" not in run.log.splitlines()[-1]


def test_a_login_that_fails_is_counted(tap: TapRunner) -> None:
    with FakeFocus(feed(1), always={"login": status(401)}) as focus:
        run = tap(config=settings(focus))
    found = values(points(run))

    assert run.exit_code == 78
    assert found["http_request_count"] == 1
    assert found["page_count"] == found["record_count"] == 0
    assert "feed_lag" not in found


def test_an_audio_run_counts_each_status(archive: ArchiveRunner) -> None:
    refused = [recording(n, mediaAccessStatus="Denied") for n in range(8, 12)]
    responses = [ok, ok, status(404), status(404), status(410), status(400), status(400)]
    with FakeFocus(feed(1), audio=responses) as focus:
        archive(focus)
        focus.requests.clear()
        focus.pages = feed([recording(n) for n in range(1, 8)], refused)
        run = archive(focus, media_concurrency=1)
    found = values(points(run), "recording_media")

    assert run.exit_code == 0
    assert found.keys() == COMMON | AUDIO_STATUSES.keys() | SDK
    assert {name: found[name] for name in AUDIO_STATUSES} == AUDIO_STATUSES
    assert found["http_request_count"] == len(focus.requests)
    assert found["http_response_bytes"] > len(AUDIO)
    assert "shard" not in points(run)[0]["tags"]


def test_every_metric_of_a_shard_has_its_tag(archive: ArchiveRunner) -> None:
    with FakeFocus(feed(20)) as focus:
        run = archive(focus, media_shard="2/3")
    found = values(points(run), "recording_media")

    assert {point["tags"]["shard"] for point in points(run)} == {"2/3"}
    assert found["audio_file_count"] == found["record_count"] == len(run.ids) < 20


def test_an_audio_run_that_fails_says_how_many_recordings_are_waiting(
    archive: ArchiveRunner,
) -> None:
    always = {"audio": status(401), "login": status(401)}
    with FakeFocus(feed(3), login=[ok], audio=[ok], always=always) as focus:
        run = archive(focus, media_concurrency=1)
    found = values(points(run), "recording_media")

    assert run.exit_code == 78
    assert found["audio_file_count"] == 1
    assert found["audio_waiting_count"] == 2


def test_a_request_is_counted_for_one_stream_of_a_run(
    tap: TapRunner, catalog: dict[str, Any], tmp_path: Path
) -> None:
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = True
    with FakeFocus(feed(2)) as focus:
        run = tap(config=settings(focus, media_path=str(tmp_path / "audio")), catalog=catalog)
    recordings, media = (values(points(run), name) for name in ("recordings", "recording_media"))

    assert run.exit_code == 0
    # The second stream uses the token of the first one.
    assert recordings["http_request_count"] == 2
    assert media["http_request_count"] == len(focus.requests) - 2 == 5
    assert recordings["http_response_bytes"] < 2 * len(AUDIO) < media["http_response_bytes"]


def test_metrics_are_written_every_minute_while_the_tap_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each line of a counter has the number since the line before, as in the SDK."""
    logged: list[dict[str, Any]] = []

    def count(name: str) -> int:
        return len([point for point in logged if point["metric"] == name])

    def wait_for_two_groups(handler: Handler, body: bytes) -> None:
        before = count("page_count")
        wait_until(lambda: count("page_count") >= before + 2)
        ok(handler, body)

    assert metrics.LOG_INTERVAL == 60
    monkeypatch.setattr(metrics, "LOG_INTERVAL", 0.01)
    logger = logging.getLogger("singer_sdk.metrics")
    monkeypatch.setattr(logger, "filters", [lambda line: logged.append(line.args[0].to_dict())])
    with FakeFocus(feed(1, 2), cursor=[ok, wait_for_two_groups]) as focus:
        TapFocus(config=settings(focus)).sync_all()
    totals = Counter[str]()
    for point in logged:
        totals[point["metric"]] += point["value"] if point["type"] == "counter" else 0
    final = {point["metric"] for point in logged if "status" in point["tags"]}

    assert count("page_count") >= 3
    assert totals["page_count"] == 3
    assert totals["http_request_count"] == 4
    assert final == (COMMON | FIELDS | SDK) - {"record_count"}
    assert logged[0]["metric"] != "sync_duration"


def test_metrics_survive_meltano(tap: TapRunner, tmp_path: Path) -> None:
    """The SDK formats them for Meltano, and Meltano parses them."""
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"structured": {"()": "singer_sdk.logging.StructuredFormatter"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"level": "INFO", "handlers": ["console"]},
    }
    path = tmp_path / "logging.json"
    path.write_text(json.dumps(config))
    with FakeFocus(feed(1)) as focus:
        run = tap(config=settings(focus), environment={"SINGER_SDK_LOG_CONFIG": str(path)})
    lines = [SingerSDKLogParser().parse(line) for line in run.log.splitlines()]
    parsed = [line.extra["metric_info"] for line in lines if line and "metric_info" in line.extra]

    assert values(parsed).keys() == COMMON | FIELDS | SDK
    assert values(parsed)["page_count"] == 2


def test_metrics_are_written_at_the_log_level_info(tap: TapRunner) -> None:
    with FakeFocus(feed(1)) as focus:
        run = tap(config=settings(focus), environment={"TAP_FOCUS_LOGLEVEL": "WARNING"})

    assert not points(run)


@guarantee("no-secrets-in-logs")
def test_no_metric_contains_a_value_of_a_recording_or_the_name_of_a_field(
    tap: TapRunner, archive: ArchiveRunner
) -> None:
    with FakeFocus(feed([recording(123456789, sentiment=0.5)])) as focus:
        runs = [tap(config=settings(focus)), archive(focus)]
        lines = "\n".join(json.dumps(point) for run in runs for point in points(run))

    assert_no_canary(lines, [*focus.canaries, "sentiment", "123456789", "2025-05-01", "call|"])
