"""Make the whole speed table: this tap beside other ways to read the same feed, as whole processes.

A server of its own process hands out 200,000 recordings from memory (feed_server.py). Each
contestant (contestants.py) has an environment of its own, shows once that it hands on every
recording, and is then measured, one after the other, round by round; medians count. An empty feed
tells what its start alone takes. RESULTS.md and speed.svg are written beside this file.

The peers are installed from PyPI, once. After that, a run takes about ten minutes.

usage: python benchmarks/speed.py [--quick] [--date YYYY-MM-DD]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from common import TAP, Run, measured, serving
from contestants import ALL, THE_TAP, Contestant
from feed_server import Facts, Feed, serve
from speed_chart import chart
from speed_report import Results, markdown

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
PAGE_SIZE = 1000
SLOW = Feed(pages=100, seconds=0.1)


class Size(NamedTuple):
    """How much is measured."""

    recordings: int
    rounds: int


FULL, QUICK = Size(200_000, 5), Size(20_000, 2)


class Bench:
    """A server to read from, and folders to work in."""

    def __init__(self, facts: Facts, first: Any) -> None:
        """Take what the server told, and the memory in which it notes a connection's time."""
        self._facts = facts
        self._first = first

    def run(self, contestant: Contestant, feed: str) -> Run:
        """Measure a contestant on a feed."""
        with self._places(feed) as (config, folder):
            return measured(contestant.started(config, folder))

    def connecting(self) -> float:
        """Return the seconds from the tap's start to its first connection."""
        self._first.value = 0
        began = self.run(THE_TAP, "none").began
        connected: float = self._first.value
        return connected - began

    def check(self, contestant: Contestant, recordings: int) -> None:
        """See that a contestant hands on every recording, or end the benchmark."""
        count = ids = 0
        with self._places("all") as (config, folder):
            for record in contestant.handed_on(config, folder):
                count += 1
                ids += record[contestant.key]
        if (count, ids) != (recordings, self._facts.ids):
            sys.exit(f"{contestant.title} handed on {count:,} recordings, not all {recordings:,}")
        print(f"{contestant.title} hands on all {count:,} recordings", flush=True)

    @contextmanager
    def _places(self, feed: str) -> Iterator[tuple[Path, Path]]:
        """Make settings for a feed, and a folder that lasts as long as a run."""
        settings = {
            "api_url": self._facts.url + feed,
            "api_key": "key",
            "username": "user",
            "client_id": 1,
            "page_size": PAGE_SIZE,
        }
        with tempfile.TemporaryDirectory() as name:
            config = Path(name, "config.json")
            config.write_text(json.dumps(settings))
            yield config, Path(name)


def measure(size: Size) -> Results:
    """Run everything."""
    for contestant in ALL:
        contestant.install()
    first = multiprocessing.Value("d", 0.0)
    pages = size.recordings // PAGE_SIZE
    feeds = {
        "all": Feed(pages),
        "none": Feed(0),
        "slow": SLOW._replace(pages=min(SLOW.pages, pages)),
    }
    with serving(serve, size.recordings, PAGE_SIZE, feeds, first) as facts:
        print(f"{size.recordings:,} recordings of {facts.mean_size:,.0f} bytes on average")
        bench = Bench(facts, first)
        for contestant in ALL:
            bench.check(contestant, size.recordings)
        results = Results(size.recordings, facts.mean_size, PAGE_SIZE, feeds["slow"])
        for number in range(1, size.rounds + 1):
            for contestant in ALL:
                whole, empty = (bench.run(contestant, feed) for feed in ("all", "none"))
                results.whole[contestant].append(whole)
                results.empty[contestant].append(empty)
                print(
                    f"round {number}: {contestant.title}, {whole.cpu:.2f} s of CPU, of which "
                    f"{empty.cpu:.2f} s to start; {whole.seconds:.2f} s in all",
                    flush=True,
                )
            results.slow.append(bench.run(THE_TAP, "slow"))
            results.about.append(measured([str(TAP), "--about"]))
            results.connecting.append(bench.connecting())
    return results


def main() -> None:
    """Measure and write what came out; a quick try is printed alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of it; writes no file")
    parser.add_argument("--date", default=f"{datetime.now(timezone.utc):%Y-%m-%d}")
    options = parser.parse_args()
    results = measure(QUICK if options.quick else FULL)
    text = markdown(results, options.date)
    print(text)
    if not options.quick:
        (HERE / "RESULTS.md").write_text(text, encoding="utf-8")
        rates = {each.title: results.rate(each) for each in ALL}
        (HERE / "speed.svg").write_text(chart(rates), encoding="utf-8")


if __name__ == "__main__":
    main()
