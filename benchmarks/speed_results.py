"""The measurements of speed.py, stored in speed.json."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from competitors import LOOP, TAP_FOCUS, Competitor
from feed_server import Feed  # noqa: TC002 - msgspec evaluates the annotations
from processes import Run  # noqa: TC002 - the same
from reports import write_json
from scenarios import SAMPLE_FIELDS, Scenario

PATH = Path(__file__).with_name("speed.json")


@dataclass
class Series:
    """All runs of one tool in one scenario, by round."""

    full: list[Run] = field(default_factory=list)
    empty: list[Run] = field(default_factory=list)

    @property
    def cpu(self) -> float:
        """Median CPU seconds for the whole feed, start-up included."""
        return statistics.median(run.cpu for run in self.full)

    @property
    def startup(self) -> float:
        """Median CPU seconds for an empty feed."""
        return statistics.median(run.cpu for run in self.empty)

    @property
    def net_cpu(self) -> float:
        """CPU seconds for the whole feed without start-up."""
        return self.cpu - self.startup


@dataclass
class Results:
    """One execution of speed.py.

    Attributes:
        date: Day of the measurement.
        machine: Processor, operating system and Python version.
        versions: Installed packages of each tool, by its title.
        recordings: Recordings in the feed.
        mean_size: Mean size of a recording in bytes, without unknown fields.
        page_size: Recordings per page.
        slow_feed: The feed of the runs in `slow`.
        series: Runs by tool and scenario, see `of`.
        slow: Runs of the tap on the slow feed.
        about: Runs of `tap-focus --about`.
        first_connection: Seconds from the start of the tap to its first connection.
    """

    date: str
    machine: str
    versions: dict[str, dict[str, str]]
    recordings: int
    mean_size: float
    page_size: int
    slow_feed: Feed
    series: dict[str, Series] = field(default_factory=dict)
    slow: list[Run] = field(default_factory=list)
    about: list[Run] = field(default_factory=list)
    first_connection: list[float] = field(default_factory=list)

    def of(self, tool: Competitor, scenario: Scenario = SAMPLE_FIELDS) -> Series:
        """Return the runs of a tool in a scenario; a new empty series before the first run."""
        return self.series.setdefault(f"{tool.slug}/{scenario.slug}", Series())

    def loop_ratio(self, scenario: Scenario) -> float:
        """Return the tap's CPU time divided by the hand-written loop's, both without start-up."""
        return self.of(TAP_FOCUS, scenario).net_cpu / self.of(LOOP, scenario.baseline).net_cpu

    def slow_ratio(self) -> float:
        """Return the tap's wall time on the slow feed divided by the least possible.

        The least possible is the sum of all the server's delays, plus the tap's start-up.
        """
        delays = (self.slow_feed.pages + 1) * self.slow_feed.delay
        startup = statistics.median(run.wall for run in self.of(TAP_FOCUS).empty)
        return statistics.median(run.wall for run in self.slow) / (delays + startup)

    def peak_memory(self) -> int:
        """Return the tap's peak memory in bytes over all scenarios and the slow feed."""
        prefix = f"{TAP_FOCUS.slug}/"
        runs = [
            run for key, one in self.series.items() if key.startswith(prefix) for run in one.full
        ]
        return max(run.peak_memory for run in [*runs, *self.slow])

    def save(self) -> None:
        """Write speed.json."""
        write_json(PATH, self)


def load() -> Results:
    """Read speed.json."""
    return msgspec.json.decode(PATH.read_bytes(), type=Results)
