"""Compare the tap's CPU time with other ways to read the same feed.

Every tool runs as a whole process against a server that sends its recordings from memory
(feed_server.py). The tools take turns, round by round, and medians count. A run on an empty feed
measures start-up alone. Before the first round, each tool has to write every recording once.

--quick measures only the tap and the hand-written loop, and prints the ratios of their CPU time
without start-up. It takes about half a minute.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from competitors import LOOP, TAP_FOCUS, Competitor
from feed_server import Feed, ServerInfo, serve
from processes import Run, run_measured, server_process
from scenarios import SAMPLE_FIELDS, SCENARIOS, UNKNOWN_FIELDS, Scenario
from speed_results import Results

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE_SIZE = 1000


class Size(NamedTuple):
    """Amount of work."""

    recordings: int
    rounds: int


QUICK = Size(40_000, 3)


class Bench:
    """Runs tools against the feeds of a server."""

    def __init__(self, tap: Competitor, server: ServerInfo, folder: Path) -> None:
        """Write the catalogs that the scenarios need.

        Args:
            tap: The tap, with the environment to measure.
            server: The server of the feeds.
            folder: Folder for settings, catalogs and output.
        """
        self._tap = tap
        self._server = server
        self._folder = folder
        self._options = {each.slug: each.options(tap, folder) for each in SCENARIOS}

    def run(self, tool: Competitor, scenario: Scenario, feed: str) -> Run:
        """Measure one run of a tool."""
        with self._command(tool, scenario, feed) as (command, _):
            return run_measured(command)

    def check(self, tool: Competitor, scenario: Scenario, recordings: int) -> None:
        """End the benchmark unless a tool writes all recordings as the scenario asks for."""
        count = id_sum = 0
        with self._command(tool, scenario, scenario.baseline.slug) as (command, folder):
            for record in tool.records(command, folder):
                if tool == self._tap and not scenario.accepts(record):
                    sys.exit(f"{tool.title}, {scenario.title}: unexpected record {record}")
                count += 1
                id_sum += record[tool.key]
        if (count, id_sum) != (recordings, self._server.id_sum):
            sys.exit(f"{tool.title} wrote {count:,} of {recordings:,} recordings")

    @contextmanager
    def _command(
        self, tool: Competitor, scenario: Scenario, feed: str
    ) -> Iterator[tuple[list[str], Path]]:
        """Yield the command that reads a feed, and the empty folder that it can write to."""
        settings = {
            "api_url": self._server.url + feed,
            "api_key": "key",
            "username": "user",
            "client_id": 1,
            "page_size": PAGE_SIZE,
            **scenario.settings,
        }
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            folder = Path(name)
            config = folder / "config.json"
            config.write_text(json.dumps(settings), encoding="utf-8")
            options = self._options[scenario.slug] if tool == self._tap else []
            yield [*tool.command_line(config, folder), *options], folder


def measure(tap: Competitor, size: Size) -> Results:
    """Measure the tap and the hand-written loop in every scenario."""
    pairs = [(tap, scenario) for scenario in SCENARIOS]
    pairs += [(LOOP, SAMPLE_FIELDS), (LOOP, UNKNOWN_FIELDS)]
    pages = size.recordings // PAGE_SIZE
    feeds = {
        SAMPLE_FIELDS.slug: Feed(pages),
        UNKNOWN_FIELDS.slug: Feed(pages, unknown_fields=True),
        "empty": Feed(0),
    }
    first_connection = multiprocessing.Value("d", 0.0)
    LOOP.install()
    with (
        server_process(serve, size.recordings, PAGE_SIZE, feeds, first_connection) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        bench = Bench(tap, server, Path(folder))
        for tool, scenario in pairs:
            bench.check(tool, scenario, size.recordings)
        results = Results(size.recordings)
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
    return results


def print_ratios(results: Results) -> None:
    """Print the CPU time per recording of the tap and the loop, and the targets."""
    print(f"\n{'CPU without start-up':40}{'tap µs':>8}{'loop µs':>9}{'ratio':>7}  target")
    for scenario in SCENARIOS:
        tap = results.of(TAP_FOCUS, scenario)
        loop = results.of(LOOP, scenario.baseline)
        micro = 1e6 / results.recordings
        target = "" if scenario.max_ratio is None else f"at most {scenario.max_ratio:.2f}"
        print(
            f"{scenario.title:40}{tap.net_cpu * micro:8.1f}{loop.net_cpu * micro:9.1f}"
            f"{results.ratio(scenario):7.2f}  {target}"
        )


def main() -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="measure only the tap and the loop")
    parser.add_argument("--recordings", type=int, default=QUICK.recordings)
    parser.add_argument("--rounds", type=int, default=QUICK.rounds)
    parser.add_argument(
        "--python",
        type=Path,
        default=Path(sys.executable),
        help="interpreter of the environment whose tap-focus is measured; default: this one",
    )
    options = parser.parse_args()
    tap = TAP_FOCUS._replace(bin=options.python.absolute().parent)
    print_ratios(measure(tap, Size(options.recordings, options.rounds)))


if __name__ == "__main__":
    main()
