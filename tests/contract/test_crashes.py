"""Nothing is lost when the tap is killed at any instant and resumed from the last state.

The seed of a test decides its feed and its kills.
"""

from __future__ import annotations

import gzip
import itertools
import json
import random
import signal
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.helpers import SLOWNESS, guarantee, timing
from tests.helpers.assertions import cursor_of, wait_until, whole_messages
from tests.helpers.fake_focus import (
    CURSOR,
    FakeFocus,
    feed,
    ok,
    page,
    recording,
    slow,
    status,
)
from tests.helpers.runner import TIMEOUT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.fake_focus import Fault
    from tests.helpers.runner import TapProcess, TapRunner

KILLS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
EXIT_CODES = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}

LONG_TEXT = "x" * 1024
"""Of 64 such texts a pipe is full, so that a tap whose output is not read waits."""


def random_feed(rng: random.Random) -> dict[str | None, bytes]:
    """Return pages of 1 to 40 recordings: new ones, new versions, and repeated ones.

    The recordings have only fields that the schema knows.
    """
    pages: dict[str | None, bytes] = {}
    requested_by: str | None = None
    last = 0
    for number in range(rng.randint(3, 12)):
        recordings = []
        for version in range(rng.randint(1, 40)):
            if last and rng.random() < 0.3:
                key = rng.randint(1, last)
            else:
                last += 1
                key = last
            comments = number * 100 + version
            recordings.append(recording(key, commentsCount=comments, transcriptSnippet=LONG_TEXT))
        next_cursor = f"{CURSOR}-{rng.getrandbits(32)}"
        pages[requested_by] = page(recordings, next_cursor)
        requested_by = next_cursor
    pages[requested_by] = page([], requested_by)
    return pages


def last_versions(records: list[dict[str, Any]]) -> dict[int, int]:
    """Return what a target that upserts contains in the end: the last version of each recording."""
    return {record["interactionId"]: record["commentsCount"] for record in records}


def recordings_in(pages: dict[str | None, bytes]) -> list[dict[str, Any]]:
    return [recording for body in pages.values() for recording in json.loads(body)["recordings"]]


def records_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the records of a RECORD message, or of the files of a BATCH message."""
    if message["type"] == "RECORD":
        return [message["record"]]
    records = []
    for url in message.get("manifest", []):
        with gzip.open(unquote(urlsplit(url).path), "rt", encoding="utf-8") as lines:
            records += [json.loads(line) for line in lines]
    return records


def run_until_killed(process: TapProcess, rng: random.Random, kill: int | None) -> list[bytes]:
    """Read some lines, kill the tap, and return all its lines. Without a signal, let it finish."""
    lines = []
    if kill:
        lines += [process.read_line() for _ in range(rng.choice([0, 1, 2, 5, 20, 60, 120]))]
        time.sleep(rng.random() / 20)
        process.process.send_signal(kill)
    lines += process.read_rest()
    return [line for line in lines if line]  # a line is empty after the end


def run_with_crashes(
    tap: TapRunner,
    focus: FakeFocus,
    rng: random.Random,
    environment: dict[str, str] | None = None,
    **settings: Any,
) -> list[dict[str, Any]]:
    """Kill the tap up to four times and resume it from its last state. Return all records."""
    records: list[dict[str, Any]] = []
    state: Any = None
    exit_code = None
    kills = [*rng.choices(KILLS, k=4), None]
    while exit_code != 0:
        kill = kills.pop(0)
        focus.requests.clear()
        config = {**focus.settings, **settings}
        with tap.start(config=config, state=state, environment=environment) as process:
            lines = run_until_killed(process, rng, kill)
            exit_code = process.process.wait(TIMEOUT)
            # Before the tap handles signals, the interpreter ends in its own way.
            if lines and kill:
                assert exit_code in {0, EXIT_CODES[kill], -kill}, process.log
            elif not kill:
                assert exit_code == 0, process.log
        if focus.queries and state is not None:
            assert focus.cursors[0] == cursor_of(state)
        if kill == signal.SIGKILL and lines and not lines[-1].endswith(b"\n"):
            lines.pop()
        for message in whole_messages(lines):
            records += records_of(message)
            if message["type"] == "STATE":
                state = message["value"]
    return records


# Without stream maps, the tap writes records raw. With a map, it writes them by the SDK.
PATHS: list[tuple[str, dict[str, Any]]] = [("raw", {}), ("SDK", {"recordings": {}})]
BUFFERING: list[tuple[str, dict[str, str]]] = [
    ("buffered", {}),
    ("unbuffered", {"PYTHONUNBUFFERED": "1"}),
]


@guarantee("resume-after-kill", "stop-on-signal")
@pytest.mark.parametrize(
    ("stream_maps", "environment", "seed"),
    [
        pytest.param(maps, environment, seed, id=f"{path}-{buffering}-{seed}")
        for seed, ((path, maps), (buffering, environment), _) in enumerate(
            itertools.product(PATHS, BUFFERING, range(3))
        )
    ],
)
def test_nothing_is_lost_when_the_tap_is_killed_again_and_again(
    tap: TapRunner, stream_maps: dict[str, Any], environment: dict[str, str], seed: int
) -> None:
    rng = random.Random(seed)
    pages = random_feed(rng)
    with FakeFocus(pages) as focus:
        records = run_with_crashes(tap, focus, rng, environment, stream_maps=stream_maps)

    assert last_versions(records) == last_versions(recordings_in(pages))


@guarantee("resume-after-kill", "stop-on-signal")
@pytest.mark.parametrize("seed", range(100, 104))
def test_nothing_is_lost_in_batch_mode(tap: TapRunner, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    pages = random_feed(rng)
    batch = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": f"file://{tmp_path}/batches"},
        "batch_size": rng.randint(1, 50),
    }
    with FakeFocus(pages, always={"cursor": slow(0.02)}) as focus:
        records = run_with_crashes(tap, focus, rng, batch_config=batch)

    assert last_versions(records) == last_versions(recordings_in(pages))


@guarantee("resume-after-kill")
@pytest.mark.parametrize("lines_before_kill", [1, 2, 25, 26, 27, 60, 110])
def test_at_most_one_page_is_written_again_after_a_kill(
    tap: TapRunner, lines_before_kill: int
) -> None:
    with FakeFocus(feed(*[25] * 6, transcriptSnippet="x" * 2000)) as focus:
        with tap.start(config=focus.settings) as process:
            lines = [process.read_line() for _ in range(lines_before_kill)]
            process.process.kill()
            lines += process.read_rest()
        messages = whole_messages([line for line in lines if line.endswith(b"\n")])
        states = [message["value"] for message in messages if message["type"] == "STATE"]
        resumed = tap(config=focus.settings, state=states[-1] if states else {})

    before = {m["record"]["interactionId"] for m in messages if m["type"] == "RECORD"}
    assert before | set(resumed.ids) == set(range(1, 151))
    assert len(before & set(resumed.ids)) <= 25


MOMENTS: dict[str, list[Fault]] = {
    "waiting": [ok, status(503, Retry_After="50")],
    "downloading": [ok, slow(50)],
    "writing": [],
}
"""What the tap does when the signal arrives, and the responses that lead to it."""


@timing
@guarantee("stop-on-signal")
@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_stops_the_tap_within_five_seconds(
    tap: TapRunner, moment: str, signal_number: int
) -> None:
    with (
        FakeFocus(feed(200, 200), cursor=MOMENTS[moment]) as focus,
        tap.start(config={**focus.settings, "page_size": 200}) as process,
    ):
        process.read_line()
        if moment != "writing":
            lines = [process.read_line() for _ in range(201)]
            assert b'"STATE"' in lines[-1]
            wait_until(lambda: len(focus.queries) == 2)
        seconds = process.stop(signal_number)

    assert process.process.returncode == EXIT_CODES[signal.Signals(signal_number)]
    assert seconds < 5
    assert "Traceback" not in process.log
    assert "ERROR" not in process.log


@timing
@guarantee("stop-on-signal")
@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_login_within_five_seconds(tap: TapRunner, signal_number: int) -> None:
    with (
        FakeFocus(feed(2), login=[slow(50)]) as focus,
        tap.start(config=focus.settings) as process,
    ):
        process.read_line()
        wait_until(lambda: len(focus.logins) == 1)
        seconds = process.stop(signal_number)

    assert process.process.returncode == EXIT_CODES[signal.Signals(signal_number)]
    assert seconds < 5


@timing
@guarantee("stop-on-signal")
def test_a_signal_stops_a_tap_whose_output_is_not_read(tap: TapRunner) -> None:
    with FakeFocus(feed(500)) as focus, tap.start(config=focus.settings) as process:
        process.read_line()
        time.sleep(0.5 * SLOWNESS)  # until the pipe is full
        started = time.monotonic()
        process.process.send_signal(signal.SIGTERM)
        exit_code = process.process.wait(TIMEOUT)
        seconds = time.monotonic() - started

    assert exit_code == 143
    assert seconds < 5
