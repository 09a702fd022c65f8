"""Snapshots that a person has read: the catalog, and the output and the log of a whole run.

After an intended change, write them again and read the difference:

    scripts/test tests/contract/test_snapshots.py --update-snapshots
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.helpers.fake_focus import FakeFocus, feed, recording, status
from tests.helpers.runner import settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.helpers.runner import TapRunner

    Snapshot = Callable[[str, str], None]

CHANGING = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}", "(time)"),
    (r'"time_extracted":"[^"]+"', '"time_extracted":"(time)"'),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:(port)"),
    (r"\bv\d+\.\d+\.\d+\S*\b", "v(version)"),
    (r"\d+\.\d s\b", "(seconds) s"),
    (r'"value":\d+\.\d+(e-\d+)?', '"value":(seconds)'),
    # The length of a token varies.
    (r'("http_response_bytes","value":)\d+', r"\1(bytes)"),
    (r'"pid":\d+', '"pid":(pid)'),
    # The SDK warns of versions of Python that it will no longer support.
    (r"\(time\) \| WARNING  \| py\.warnings[^\n]*\n(?: +[^\n]*\n|\n)*", ""),
)
"""Patterns of what differs from one run to the next, and what replaces it."""


@pytest.fixture
def snapshot(request: pytest.FixtureRequest) -> Snapshot:
    """Compare a text with a file beside this module."""

    def compare(name: str, text: str) -> None:
        path = request.path.with_name(name)
        if request.config.getoption("update_snapshots"):
            path.write_text(text, "utf-8")
        assert path.exists(), "There is no snapshot yet: use --update-snapshots"
        assert text == path.read_text("utf-8")

    return compare


def normalize(text: str) -> str:
    for pattern, replacement in CHANGING:
        text = re.sub(pattern, replacement, text)
    return text


def test_the_catalog_has_not_changed(tap: TapRunner, snapshot: Snapshot) -> None:
    snapshot("catalog.json", tap("--discover").out)


def test_the_output_and_the_log_of_a_run_have_not_changed(
    tap: TapRunner, snapshot: Snapshot
) -> None:
    """A first run, with a transient error, a rejected token and a field that is new."""
    first = [recording(1), recording(2, sentiment=0.5)]
    faults = [status(503, Retry_After="0"), status(401)]
    with FakeFocus(feed(first, [recording(3)]), cursor=faults) as focus:
        run = tap(config=settings(focus, start_date="2025-05-01"))

    assert run.exit_code == 0
    snapshot("run_stdout.jsonl", normalize(run.out))
    snapshot("run_stderr.txt", normalize(run.log))
