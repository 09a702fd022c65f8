"""Alerts: from the log (examples/alerts), from the exit code and from SQL (docs/operate.md)."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.helpers.fake_focus import FakeFocus, feed, recording, status
from tests.helpers.markdown import read_blocks
from tests.helpers.runner import ROOT, Run, clean_environment, run_command, settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.runner import ArchiveRunner, TapRunner

CHECK_METRICS = str(ROOT / "examples" / "alerts" / "check_metrics.py")


def check(log: str, *limits: str) -> Run:
    return run_command(sys.executable, CHECK_METRICS, *limits, stdin=log)


@pytest.fixture
def log(tap: TapRunner) -> str:
    """The log of a run with a retry and a new field."""
    faults = [status(503, Retry_After="0")]
    with FakeFocus(feed([recording(1, sentiment=0.5)]), cursor=faults) as focus:
        return tap(config=settings(focus)).log


@pytest.mark.parametrize(
    ("limit", "alert"),
    [
        ("feed_lag=3600", "recordings: feed_lag is "),
        ("http_retry_count=0", "recordings: http_retry_count is 1, more than 0\n"),
        ("unknown_field_count=0", "recordings: unknown_field_count is 1, more than 0\n"),
        ("audio_failed_count=0", "The log contains no audio_failed_count\n"),
    ],
)
def test_a_metric_beyond_its_limit_is_an_alert(log: str, limit: str, alert: str) -> None:
    run = check(log, limit)

    assert run.exit_code == 1
    assert run.log.startswith(alert)


def test_metrics_within_their_limits_are_no_alert(log: str) -> None:
    run = check(log, "feed_lag=1e9", "http_retry_count=1", "unknown_field_count=1")

    assert (run.exit_code, run.out, run.log) == (0, "", "")


def test_a_log_without_metrics_is_an_alert() -> None:
    run = check("Killed\n", "feed_lag=1")

    assert (run.exit_code, run.log) == (1, "The log contains no feed_lag\n")


def test_the_lines_of_a_counter_are_added_by_stream_and_shard(archive: ArchiveRunner) -> None:
    """The logs of two shards, the first of which has run twice."""
    with FakeFocus(feed(9)) as focus:
        logs = [archive(focus, media_shard=shard).log for shard in ("1/2", "2/2")]
    run = check(logs[0] * 2 + logs[1], "page_count=3")

    assert run.log == "recording_media 1/2: page_count is 4, more than 3\n"


def block_with(text: str) -> str:
    """Return the content of the block of docs/operate.md that contains a text."""
    blocks = read_blocks(ROOT / "docs" / "operate.md")
    (content,) = [block.content for block in blocks if text in block.content]
    return content


def test_a_transient_error_is_an_alert_only_if_the_next_run_fails_too(tmp_path: Path) -> None:
    script = block_with("case $code in")
    (tmp_path / "focus-run").write_text('#!/bin/sh\nexit "$CODE"\n')
    (tmp_path / "focus-run").chmod(0o755)
    environment = clean_environment(PATH=f"{tmp_path}:{os.environ['PATH']}")

    def alert(code: int) -> str:
        variables = {**environment, "CODE": str(code)}
        command = ("/bin/sh", "-euc", script)
        return run_command(*command, folder=tmp_path, environment=variables).out

    assert [alert(code) for code in (75, 0, 143, 0, 137)] == [""] * 5
    assert alert(75) == "ALERT: focus-run failed again, now with 75\n"
    assert alert(78) == "ALERT: focus-run failed with 78\n"


@pytest.mark.parametrize(
    ("rows", "late"),
    [
        ([("71 hours", "23 hours"), ("90 days", "90 days")], 0),
        ([("71 hours", "25 hours")], 1),
        ([("73 hours", "23 hours")], 1),
        ([(None, "1 minute")], 1),
        ([], 1),
    ],
    ids=["fresh", "not loaded", "old recordings", "no start", "empty"],
)
def test_the_query_returns_a_row_if_the_data_are_late(
    postgres: str, rows: list[tuple[str | None, str]], late: int
) -> None:
    """Rows have the ages of their start and of their load."""
    query = block_with("AS latest_load").replace("focus.recordings", "pg_temp.recordings")
    ages = (
        "INSERT INTO recordings SELECT utc - %s::interval, utc - %s::interval"
        " FROM (SELECT now() AT TIME ZONE 'UTC' AS utc) AS clock"
    )
    with psycopg.connect(postgres) as connection:
        connection.execute("SET TIME ZONE 'Pacific/Auckland'")
        # The types of target-postgres.
        connection.execute(
            'CREATE TEMP TABLE recordings ("startDatetimeUTC" timestamp, _sdc_batched_at timestamp)'
        )
        for row in rows:
            connection.execute(ages, row)
        found = connection.execute(query.encode()).fetchall()

    assert len(found) == late
