"""Compare the tap's CPU time with other ways to read the same feed.

Every tool runs as a whole process against a server that sends its recordings from memory
(feed_server.py). The tools take turns, round by round, and medians count. A run on an empty feed
measures start-up alone. Before the first round, each tool has to write every recording once.

The measurements go to speed.json. RESULTS.md and speed.svg are generated from it (speed_report.py).
The peers are installed once, from PyPI, into separate environments in .benchmarks/. A full run
takes about twelve minutes.

--quick measures only the tap and the hand-written loop, prints the ratios of their CPU time
without start-up and writes no file. It takes about half a minute.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import speed_report
from competitors import LOOP, PEERS, TAP_FOCUS, Competitor
from feed_server import Feed, ServerInfo, serve
from processes import ACCOUNT, Run, describe_machine, run_measured, server_process
from scenarios import (
    DESELECTED,
    HASHED,
    JSON_TEXT,
    SAMPLE_FIELDS,
    SCENARIOS,
    UNKNOWN_FIELDS,
    Scenario,
)
from speed_results import Results

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE_SIZE = 1000
SLOW_FEED = Feed(pages=100, delay=0.1)


class Size(NamedTuple):
    """Amount of work."""

    recordings: int
    rounds: int


FULL, QUICK = Size(200_000, 5), Size(40_000, 3)


class Bench:
    """Runs tools against the feeds of a server."""

    def __init__(
        self, tap: Competitor, server: ServerInfo, first_connection: Any, folder: Path
    ) -> None:
        """Write the catalogs that the scenarios need.

        Args:
            tap: The tap, with the environment to measure.
            server: The server of the feeds.
            first_connection: Shared double in which the server stores the time of a connection.
            folder: Folder for settings, catalogs and output.
        """
        self._tap = tap
        self._server = server
        self._first_connection = first_connection
        self._folder = folder
        self._options = {each.slug: each.options(tap, folder) for each in SCENARIOS}

    def check(self, tool: Competitor, scenario: Scenario, recordings: int) -> None:
        """Exit unless a tool writes all recordings as the scenario requires."""
        count = id_sum = 0
        with self._command(tool, scenario, scenario.baseline.slug) as (command, folder):
            for record in tool.records(command, folder):
                if tool == self._tap and not scenario.accepts(record):
                    sys.exit(f"{tool.title}, {scenario.title}: unexpected record {record}")
                count += 1
                id_sum += record[tool.key]
        if (count, id_sum) != (recordings, self._server.id_sum):
            sys.exit(f"{tool.title} wrote {count:,} of {recordings:,} recordings")
        print(f"{tool.title}, {scenario.title}: wrote all {count:,} recordings", flush=True)

    def run(self, tool: Competitor, scenario: Scenario, feed: str) -> Run:
        """Measure one run of a tool."""
        with self._command(tool, scenario, feed) as (command, _):
            return run_measured(command)

    def run_about(self) -> Run:
        """Measure `tap-focus --about`."""
        return run_measured([str(self._tap.bin / "tap-focus"), "--about"])

    def time_first_connection(self) -> float:
        """Return the seconds from the start of the tap to its first connection."""
        with self._command(self._tap, SAMPLE_FIELDS, "empty") as (command, _):
            os.sync()
            self._first_connection.value = 0
            started_at = time.monotonic()
            subprocess.run(command, check=True, capture_output=True)
        connected_at: float = self._first_connection.value
        return round(connected_at - started_at, 4)

    @contextmanager
    def _command(
        self, tool: Competitor, scenario: Scenario, feed: str
    ) -> Iterator[tuple[list[str], Path]]:
        """Yield the command that reads a feed, and a folder for its output."""
        settings = {
            "api_url": self._server.url + feed,
            **ACCOUNT,
            "page_size": PAGE_SIZE,
            **scenario.settings,
        }
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            folder = Path(name)
            config = folder / "config.json"
            config.write_text(json.dumps(settings), encoding="utf-8")
            options = self._options[scenario.slug] if tool == self._tap else []
            yield [*tool.command_line(config, folder), *options], folder


def measure(tap: Competitor, size: Size, *, quick: bool) -> Results:
    """Measure the tap in every scenario, and its competitors.

    Args:
        tap: The tap, with the environment to measure.
        size: Amount of work.
        quick: Whether to omit all competitors but the loop, and everything but CPU time.
    """
    peers = [LOOP] if quick else list(PEERS)
    for peer in peers:
        peer.install()
    # The tap and the loop on the same feed are neighbors, so that both see the same load.
    pairs = [
        (tap, SAMPLE_FIELDS),
        (LOOP, SAMPLE_FIELDS),
        (tap, JSON_TEXT),
        (tap, DESELECTED),
        (tap, HASHED),
        (tap, UNKNOWN_FIELDS),
        (LOOP, UNKNOWN_FIELDS),
        *((peer, SAMPLE_FIELDS) for peer in peers if peer != LOOP),
    ]
    pages = -(-size.recordings // PAGE_SIZE)
    slow_feed = SLOW_FEED._replace(pages=min(SLOW_FEED.pages, pages))
    feeds = {
        SAMPLE_FIELDS.slug: Feed(pages),
        UNKNOWN_FIELDS.slug: Feed(pages, extra_fields=True),
        "empty": Feed(0),
        "slow": slow_feed,
    }
    first_connection = multiprocessing.Value("d", 0.0)
    with (
        server_process(serve, size.recordings, PAGE_SIZE, feeds, first_connection) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        bench = Bench(tap, server, first_connection, Path(folder))
        for tool, scenario in pairs:
            bench.check(tool, scenario, size.recordings)
        results = Results(
            date=f"{datetime.now(timezone.utc):%Y-%m-%d}",
            machine=describe_machine(),
            versions={tool.title: tool.versions() for tool in (tap, *peers)},
            recordings=size.recordings,
            mean_size=server.mean_size,
            page_size=PAGE_SIZE,
            slow_feed=slow_feed,
        )
        for number in range(1, size.rounds + 1):
            for tool, scenario in pairs:
                series = results.of(tool, scenario)
                series.full.append(bench.run(tool, scenario, scenario.baseline.slug))
                series.empty.append(bench.run(tool, scenario, "empty"))
                print(
                    f"round {number}: {tool.title}, {scenario.title}: "
                    f"{series.full[-1].cpu:.2f} s CPU, start-up {series.empty[-1].cpu:.2f} s",
                    flush=True,
                )
            if not quick:
                results.slow.append(bench.run(tap, SAMPLE_FIELDS, "slow"))
                results.about.append(bench.run_about())
                results.first_connection.append(bench.time_first_connection())
    return results


def main() -> None:
    """Measure, and write or print the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="measure only the tap and the loop")
    parser.add_argument("--recordings", type=int, help="recordings in the feed")
    parser.add_argument("--rounds", type=int, help="runs of each tool")
    parser.add_argument(
        "--python",
        type=Path,
        default=Path(sys.executable),
        help="interpreter of the environment whose tap-focus is measured; default: this one",
    )
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    size = Size(options.recordings or size.recordings, options.rounds or size.rounds)
    tap = TAP_FOCUS._replace(bin=options.python.absolute().parent)
    results = measure(tap, size, quick=options.quick)
    if options.quick:
        print("\n".join(["", *speed_report.scenario_table(results)]))
    else:
        results.save()
        speed_report.write(results)


if __name__ == "__main__":
    main()
