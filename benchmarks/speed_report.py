"""What speed.py found out, and its page: the table, the targets, and what the peers leave out."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from common import MIB, Run, machine
from contestants import ALL, LOOP, TEMPLATE, THE_TAP, Contestant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from feed_server import Feed

NOTES = """\
## What each of them does

All read the same feed by `requests`, page after page, and stop at the first empty one. The server
is a process of its own, whose CPU is not counted; it sends every page from memory, not compressed.

- **tap-focus** with its defaults, but for the size of the pages. It checks every page, and every
  recording's id and fields, and writes a bookmark after each page. A recording that has none but
  the known fields leaves as the bytes that came, and any other takes the SDK's path: in this feed
  there is no other.
- **The hand-written loop** ([loop.py](peers/loop/loop.py)): `orjson` reads and writes. There is no
  schema, no bookmark, no second try, no new login, and it does not look at the status of an answer.
- **The tap of the SDK's template** ([tap.py](peers/template/tap.py)): the SDK's own paginator,
  retries, conformance of types and writer, as the template leaves them, and the same fields in the
  schema. As written here it has no bookmark, and logs in once.
- **dlt** ([pipeline.py](peers/dlt/pipeline.py)): it has no standard output, and the nearest to that
  is JSON lines in a folder, not compressed, nested lists left in their row. Each row goes through
  three files: extracted, normalised, loaded. It infers the schema, renames columns, gives each row
  an id of its own, rewrites date-times and leaves out nulls. There is no bookmark here: its
  incremental loading goes by a value in the rows, and the cursor stands beside them.
- **tap-rest-api-msdk** ([config.json](peers/tap_rest_api_msdk/config.json)): configured, not
  programmed. None of its ways to log in is Focus's, so it is given the token. Lists, and here
  `optional`, become text that holds JSON. It wants version 0.40 of the SDK. There is no bookmark
  here either.
"""


@dataclass
class Results:
    """All runs, by round."""

    recordings: int
    mean_size: float
    page_size: int
    slow_feed: Feed
    whole: dict[Contestant, list[Run]] = field(default_factory=lambda: defaultdict(list))
    empty: dict[Contestant, list[Run]] = field(default_factory=lambda: defaultdict(list))
    slow: list[Run] = field(default_factory=list)
    about: list[Run] = field(default_factory=list)
    connecting: list[float] = field(default_factory=list)

    def cpu(self, contestant: Contestant) -> float:
        """Seconds of CPU for the whole feed."""
        return statistics.median(run.cpu for run in self.whole[contestant])

    def start(self, contestant: Contestant) -> float:
        """Seconds of CPU for an empty feed."""
        return statistics.median(run.cpu for run in self.empty[contestant])

    def net(self, contestant: Contestant) -> float:
        """Seconds of CPU for the feed, the start taken off."""
        return self.cpu(contestant) - self.start(contestant)

    def rate(self, contestant: Contestant) -> float:
        """Recordings per second of CPU, start included."""
        return self.recordings / self.cpu(contestant)

    def slow_ratio(self) -> float:
        """How long the tap takes for a slow feed, beside the server's own time and its start."""
        answers = self.slow_feed.pages + 1  # the empty one too
        least = answers * self.slow_feed.seconds + _seconds(self.empty[THE_TAP])
        return _seconds(self.slow) / least


def markdown(results: Results, date: str) -> str:
    """Return the page."""
    return "\n".join(
        [
            "# How fast it is",
            "",
            "Made by `python benchmarks/speed.py`.",
            "",
            "![Recordings per second of CPU](speed.svg)",
            "",
            *_contestants(results),
            "",
            *_targets(results),
            "",
            *_conditions(date),
            "",
            NOTES,
        ]
    )


def _contestants(results: Results) -> Iterable[str]:
    yield (
        f"{results.recordings:,} recordings of {results.mean_size:,.0f} bytes on average, pages of "
        f"{results.page_size:,}, each a whole process. CPU is user and system time; medians of "
        f"{len(results.slow)} rounds, with the least and the most; of the memory, the most."
    )
    yield ""
    yield (
        "| | CPU seconds | of which start | recordings per CPU second | CPU, tap-focus = 1 "
        "| the same without start | wall seconds | peak MiB |"
    )
    yield "| --- |" + " ---: |" * 7
    for each in ALL:
        runs = results.whole[each]
        least, most = min(run.cpu for run in runs), max(run.cpu for run in runs)
        yield (
            f"| {each.title} | {results.cpu(each):.2f} ({least:.2f} to {most:.2f}) "
            f"| {results.start(each):.2f} | {results.rate(each):,.0f} "
            f"| {results.cpu(each) / results.cpu(THE_TAP):.2f} "
            f"| {results.net(each) / results.net(THE_TAP):.2f} "
            f"| {_seconds(runs):.2f} | {_peak(runs):.0f} |"
        )


def _targets(results: Results) -> Iterable[str]:
    tap, loop, template = THE_TAP, LOOP, TEMPLATE
    answers, milliseconds = results.slow_feed.pages + 1, results.slow_feed.seconds * 1000
    slow = f"wall time to {answers} answers of {milliseconds:.0f} ms each and the start"
    rows = [
        (
            "CPU to the loop's, start taken off",
            results.net(tap) / results.net(loop),
            "at most 0.5",
        ),
        ("the same, start included", results.cpu(tap) / results.cpu(loop), "at most 0.9"),
        (
            "CPU of the template's tap to this one's, start taken off",
            results.net(template) / results.net(tap),
            "at least 10",
        ),
        ("the same, start included", results.cpu(template) / results.cpu(tap), "at least 10"),
        (slow, results.slow_ratio(), "at most 1.05"),
        ("peak memory, in MiB", max(_peak(results.whole[tap]), _peak(results.slow)), "at most 120"),
    ]
    yield "| Of tap-focus | Measured | Target | Met |"
    yield "| --- | ---: | --- | --- |"
    for what, figure, target in rows:
        bound, limit = target.rsplit(" ", 1)
        met = figure <= float(limit) if bound == "at most" else figure >= float(limit)
        yield f"| {what} | {figure:.2f} | {target} | {'yes' if met else '**no**'} |"
    yield f"| `--about`, wall seconds | {_seconds(results.about):.2f} | | |"
    connecting = statistics.median(results.connecting)
    yield f"| from the start to the first connection, seconds | {connecting:.2f} | | |"


def _conditions(date: str) -> Iterable[str]:
    yield (
        f"Measured on {date}: {machine()}. The start is the same process on a feed with one empty "
        "page. Installed:"
    )
    yield ""
    for each in ALL:
        versions = ", ".join(each.requirements()).replace("==", " ")
        yield f"- {each.title}: {versions}"


def _seconds(runs: list[Run]) -> float:
    return statistics.median(run.seconds for run in runs)


def _peak(runs: list[Run]) -> float:
    return max(run.peak_memory for run in runs) / MIB
