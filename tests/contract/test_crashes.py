"""Killed at any instant and resumed from the last state that was out: nothing is lost.

The real `tap-focus` in a process of its own, against generated feeds. A test's number is the seed
of its feed and of its kills.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.conftest import BIN, clean_environment
from tests.helpers.fake_focus import CURSOR, Focus, feed, page, recording, slow, status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Run

    Tap = Callable[..., Run]

case = pytest.mark.case


def generated_feed(dice: random.Random) -> dict[str | None, bytes]:
    """Pages of 1 to 40 recordings: new ones, new versions, the same one twice.

    A recording is at least 1 KiB and a pipe holds 64, so a tap that nobody reads is held up soon.
    """
    pages: dict[str | None, bytes] = {}
    asked: str | None = None
    known = 0
    for number in range(dice.randint(3, 12)):
        recordings = []
        for version in range(dice.randint(1, 40)):
            if known and dice.random() < 0.3:
                key = dice.randint(1, known)
            else:
                known += 1
                key = known
            recordings.append(recording(key, commentsCount=number * 100 + version, pad="x" * 1024))
        after = f"{CURSOR}-{dice.getrandbits(32)}"
        pages[asked] = page(recordings, after)
        asked = after
    pages[asked] = page([], asked)
    return pages


def warehouse(records: list[dict[str, Any]]) -> dict[int, int]:
    """What a target that upserts ends with: the last version of each recording."""
    return {record["interactionId"]: record["commentsCount"] for record in records}


def expected(pages: dict[str | None, bytes]) -> dict[int, int]:
    return warehouse([r for body in pages.values() for r in json.loads(body)["recordings"]])


class Process:
    """A running tap whose lines are read one by one."""

    def __init__(self, folder: Path, config: dict[str, Any], state: Any = None) -> None:
        (folder / "config.json").write_text(json.dumps(config))
        command = [str(BIN / "tap-focus"), "--config", "config.json"]
        if state is not None:
            (folder / "state.json").write_text(json.dumps(state))
            command += ["--state", "state.json"]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, cwd=folder, env=clean_environment()
            )
        self.log = folder / "log"

    def line(self) -> bytes:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def rest(self) -> list[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout.readlines()

    def stop(self, number: int) -> float:
        """Send a signal; return the seconds until the process has ended."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.rest()
        self.process.wait(10)
        return time.monotonic() - began


@contextmanager
def running(folder: Path, config: dict[str, Any], state: Any = None) -> Iterator[Process]:
    tap = Process(folder, config, state)
    try:
        yield tap
    finally:
        tap.process.kill()
        tap.process.wait()
        if tap.process.stdout:
            tap.process.stdout.close()


def records_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The records that a message hands on: its own, or those of its batch files."""
    if message["type"] == "RECORD":
        return [message["record"]]
    records = []
    for url in message.get("manifest", []):
        with gzip.open(unquote(urlsplit(url).path), "rt", encoding="utf-8") as lines:
            records += [json.loads(line) for line in lines]
    return records


KILLS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
CODES = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}


def crash_until_done(
    folder: Path, focus: Focus, dice: random.Random, config: dict[str, Any]
) -> list[dict[str, Any]]:
    """Kill the tap some times, each time resumed from the last state; return all records."""
    records: list[dict[str, Any]] = []
    state: Any = None
    for crashes_left in range(4, -1, -1):
        kill = dice.choice(KILLS) if crashes_left else None
        lines: list[bytes] = []
        focus.queries.clear()
        with running(folder, config, state) as tap:
            if kill:
                lines += [tap.line() for _ in range(dice.choice([0, 1, 2, 5, 20, 60, 120]))]
                time.sleep(dice.random() / 20)
                tap.process.send_signal(kill)
            lines += tap.rest()
            lines = [line for line in lines if line]  # at the end there are none
            code = tap.process.wait(10)
            # A signal may come before the tap listens, when the interpreter answers it by itself,
            # or after the tap has finished.
            assert not lines or code in {CODES.get(kill, 0) if kill else 0, 0, -(kill or 0)}, (
                tap.log.read_text()
            )
        if focus.queries and state is not None:
            bookmark = state["bookmarks"]["recordings"]["replication_key_value"]
            assert focus.queries[0].get("cursorId") == bookmark
        if lines and not lines[-1].endswith(b"\n"):
            assert kill == signal.SIGKILL, "a line was torn by a signal that can be handled"
            lines.pop()
        for line in lines:
            message = json.loads(line)
            records += records_of(message)
            if message["type"] == "STATE":
                state = message["value"]
        if code == 0:
            break
    assert code == 0
    return records


@case(6, 7)
@pytest.mark.parametrize("seed", range(10))
def test_nothing_is_lost_when_the_tap_is_killed_again_and_again(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    pages = generated_feed(dice)
    with Focus(pages) as focus:
        records = crash_until_done(tmp_path, focus, dice, focus.settings)
    assert warehouse(records) == expected(pages)


@case(6, 7)
@pytest.mark.parametrize("seed", range(100, 104))
def test_nothing_is_lost_in_batch_mode_either(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    pages = generated_feed(dice)
    batch = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": f"file://{tmp_path}/batches"},
        "batch_size": dice.randint(1, 50),
    }
    with Focus(pages, always={"cursor": slow(0.02)}) as focus:
        config = {**focus.settings, "batch_config": batch}
        records = crash_until_done(tmp_path, focus, dice, config)
    assert warehouse(records) == expected(pages)


@case(6)
@pytest.mark.parametrize("lines", [1, 2, 25, 26, 27, 60, 110])
def test_what_is_read_again_after_a_kill_is_one_page_at_most(tmp_path: Path, lines: int) -> None:
    pages = {
        (None if n == 0 else f"c{n}"): page(
            [recording(n * 25 + k, pad="x" * 2000) for k in range(25)], f"c{n + 1}"
        )
        for n in range(6)
    }
    pages["c6"] = page([], "c6")
    with Focus(pages) as focus:
        with running(tmp_path, focus.settings) as tap:
            out = [tap.line() for _ in range(lines)]
            tap.process.kill()
            out += tap.rest()
        whole = [json.loads(line) for line in out if line.endswith(b"\n")]
        states = [place for place, m in enumerate(whole) if m["type"] == "STATE"]
        state = whole[states[-1]]["value"] if states else {}
        seen = {m["record"]["interactionId"] for m in whole if m["type"] == "RECORD"}
        with running(tmp_path, focus.settings, state) as tap:
            again = [json.loads(line) for line in tap.rest()]
    resumed = [m["record"]["interactionId"] for m in again if m["type"] == "RECORD"]
    assert seen | set(resumed) == set(range(150))
    assert len(seen & set(resumed)) <= 25


@case(7)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("moment", ["waiting", "downloading", "logging in", "writing"])
def test_a_signal_stops_the_tap_within_five_seconds(
    tmp_path: Path, moment: str, number: int, code: int
) -> None:
    faults: Any = {
        "waiting": {"cursor": [_well, status(503, Retry_After="50")]},
        "downloading": {"cursor": [_well, slow(50)]},
        "logging in": {"login": [slow(50)]},
        "writing": {},
    }[moment]
    with Focus(feed(200, 200), **faults) as focus:
        config = {**focus.settings, "page_size": 200}
        with running(tmp_path, config) as tap:
            if moment in {"waiting", "downloading"}:
                lines = [tap.line() for _ in range(202)]
                assert b'"STATE"' in lines[-1]
                _until(lambda: len(focus.queries) == 2)
            elif moment == "logging in":
                tap.line()
                _until(lambda: len(focus.logins) == 1)
            else:
                tap.line()
            assert tap.stop(number) < 5
            assert tap.process.returncode == code
            log = tap.log.read_text()
    assert f"Stopped by signal {int(number)}" in log
    assert "Traceback" not in log
    assert "ERROR" not in log


@case(7)
def test_a_signal_stops_a_tap_whose_output_nobody_reads(tmp_path: Path) -> None:
    with Focus(feed(500)) as focus, running(tmp_path, focus.settings) as tap:
        tap.line()
        time.sleep(0.5)  # until the pipe is full
        began = time.monotonic()
        tap.process.send_signal(signal.SIGTERM)
        assert tap.process.wait(10) == 143
        assert time.monotonic() - began < 5


@case(8)
def test_a_reader_that_goes_away_ends_the_tap_without_a_flood(tmp_path: Path) -> None:
    with Focus(feed(500, 500)) as focus, running(tmp_path, focus.settings) as tap:
        tap.line()
        assert tap.process.stdout is not None
        tap.process.stdout.close()
        assert tap.process.wait(10) == os.EX_IOERR
        log = tap.log.read_text()
    assert log.count("ERROR") == 1
    assert "Standard output takes no more lines" in log
    assert "Traceback" not in log
    assert len(log.splitlines()) < 15


def _well(handler: Any, body: bytes) -> None:
    handler.send(200, body)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
