"""Measure the audio archive with several shards, and the loss when one of them is killed.

A server in a separate process waits before each response. Each shard is a process of the tap with
`media_shard`. All shards write into one folder and their output into files.

- 1, 2, 4 and 8 shards, and one process with as many downloads at the same time as 8 shards.
- The same while one shard is killed by SIGKILL in the middle of its work. It then runs again from
  the last state in its output.
- The same with a server that limits the rate of its responses.
- A load of recordings by focus-run into PostgreSQL, with models: memory, and bytes in the database.

The measurements go to scale.json. SCALE.md is generated from it (scale_report.py). A full run takes
about seven minutes. --quick takes less than one, prints the report and writes no file.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import requests
import scale_report
from audio_server import COUNTS_PATH, Feed, serve
from processes import (
    ACCOUNT,
    KIB,
    TAP,
    describe_machine,
    has_ended,
    server_process,
    write_audio_catalog,
)
from scale_pipeline import measure_pipeline
from scale_report import Results, ShardRun

CONCURRENCY = 8
"""Default of `media_concurrency`."""


class Size(NamedTuple):
    """Amount of work."""

    recordings: int
    limited_recordings: int
    loaded_recordings: int
    shards: tuple[int, ...]


FULL, QUICK = Size(2_000, 600, 100_000, (1, 2, 4, 8)), Size(200, 60, 2_000, (1, 2))

DELAY, PAGE_DELAY, FILE_SIZE, PAGE_SIZE = 0.25, 0.1, 20 * KIB, 200
LIMIT = 50
"""Audio responses per second of the server that limits its rate."""


class Shard:
    """A process of the tap that archives one part of a feed."""

    def __init__(self, folder: Path, url: str, name: str, concurrency: int) -> None:
        """Write the settings.

        Args:
            folder: Folder of all shards, with the catalog.
            url: URL of the server.
            name: `k/n`, as `media_shard` has it.
            concurrency: Value of `media_concurrency`.
        """
        self._folder = folder
        self._path = folder / name.replace("/", "of")
        self.outputs: list[Path] = []
        settings = {
            "api_url": url,
            **ACCOUNT,
            "page_size": PAGE_SIZE,
            "media_path": str(folder / "audio"),
            "media_concurrency": concurrency,
            "media_shard": name,
        }
        self._path.with_suffix(".config").write_text(json.dumps(settings), encoding="utf-8")

    def start(self) -> subprocess.Popen[bytes]:
        """Start the process, from the last state in its output if there is one."""
        command = [str(TAP), "--config", f"{self._path}.config"]
        command += ["--catalog", str(self._folder / "catalog.json")]
        if states := self._messages("STATE"):
            state = self._path.with_suffix(".state")
            state.write_text(json.dumps(states[-1]["value"]), encoding="utf-8")
            command += ["--state", str(state)]
        output = self._path.with_suffix(f".out{len(self.outputs)}")
        self.outputs.append(output)
        with output.open("wb") as file:
            return subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL)

    def rows(self) -> list[dict[str, Any]]:
        """Return all rows that the shard has written, repeated ones as well."""
        return [message["record"] for message in self._messages("RECORD")]

    def _messages(self, kind: str) -> list[dict[str, Any]]:
        """Return the messages of a type in complete lines."""
        lines = [
            line for path in self.outputs for line in path.read_bytes().splitlines(keepends=True)
        ]
        messages = [json.loads(line) for line in lines if line.endswith(b"\n")]
        return [message for message in messages if message["type"] == kind]


def run_shards(
    feed: Feed, count: int, *, concurrency: int = CONCURRENCY, kills: bool = False
) -> ShardRun:
    """Archive a feed with a number of shards, and check that nothing is missing.

    Args:
        feed: The feed of the server.
        count: Number of shards.
        concurrency: Downloads of each shard at the same time.
        kills: Whether the first shard is killed when half of its files are stored, and runs again.

    Raises:
        SystemExit: A shard failed, or a recording has no row.
    """
    with ExitStack() as stack:
        url = stack.enter_context(server_process(serve, feed))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_audio_catalog(folder / "catalog.json")
        shards = [Shard(folder, url, f"{k + 1}/{count}", concurrency) for k in range(count)]
        started_at = time.monotonic()
        processes = [shard.start() for shard in shards]
        if kills:
            while count_files(folder) < feed.recordings / 2:
                if has_ended(processes[0], within=0.02):
                    sys.exit("The first shard ended before it could be killed")
            processes[0].kill()
        usages = [wait(process) for process in processes]
        wall = time.monotonic() - started_at
        run = ShardRun(count, concurrency, round(wall, 2), peak_memory=max(u[1] for u in usages))
        run.cpu = round(sum(usage[0] for usage in usages), 2)
        if kills:
            run.missing_files = feed.recordings - count_files(folder)
            started_at = time.monotonic()
            wait(shards[0].start())
            run.repeated_wall = round(time.monotonic() - started_at, 2)
        rows = [row for shard in shards for row in shard.rows()]
        run.repeated_rows = len(rows) - feed.recordings
        latest = {row["interactionId"]: row["status"] for row in rows}
        run.failed = sum(status == "failed" for status in latest.values())
        run.files = count_files(folder)
        if len(latest) != feed.recordings or run.files + run.failed != feed.recordings:
            sys.exit(f"{len(latest)} rows and {run.files} files of {feed.recordings} recordings")
        run.requests = requests.get(url + COUNTS_PATH, timeout=10).json()
    print(run, flush=True)
    return run


def wait(process: subprocess.Popen[bytes]) -> tuple[float, int]:
    """Wait for a shard, and return its CPU seconds and its peak memory in bytes."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in {0, -9}:
        sys.exit(f"A shard ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * KIB


def count_files(folder: Path) -> int:
    """Return the number of complete audio files."""
    return sum(path.name[0].isdigit() for path in (folder / "audio").rglob("*.mp3"))


def measure(size: Size) -> Results:
    """Run everything once."""
    load = [round(os.getloadavg()[0], 1)]
    feed = Feed(size.recordings, FILE_SIZE, DELAY, PAGE_DELAY, page_size=PAGE_SIZE)
    limited = feed._replace(recordings=size.limited_recordings, limit=LIMIT)
    most = max(size.shards)
    results = Results(
        date=f"{datetime.now(timezone.utc):%Y-%m-%d}",
        machine=describe_machine(),
        feed=feed._asdict(),
        limited_feed=limited._asdict(),
        runs=[
            *(run_shards(feed, count) for count in size.shards),
            run_shards(feed, 1, concurrency=CONCURRENCY * most),
        ],
        killed=[run_shards(feed, count, kills=True) for count in size.shards],
        limited=[run_shards(limited, count) for count in size.shards],
        pipeline=measure_pipeline(size.loaded_recordings),
        load_averages=load,
    )
    load.append(round(os.getloadavg()[0], 1))
    return results


def main() -> None:
    """Measure, and write or print the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, 1 and 2 shards")
    options = parser.parse_args()
    results = measure(QUICK if options.quick else FULL)
    print(scale_report.markdown(results))
    if not options.quick:
        scale_report.save(results)


if __name__ == "__main__":
    main()
