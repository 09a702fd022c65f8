"""The results of speed.py, as stored in speed.json."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from competitors import LOOP, TAP_FOCUS, Competitor

if TYPE_CHECKING:
    from processes import Run
    from scenarios import Scenario


@dataclass
class Series:
    """All runs of one tool in one scenario."""

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
        """CPU seconds for the feed without start-up."""
        return self.cpu - self.startup


@dataclass
class Results:
    """One run of speed.py.

    Attributes:
        recordings: Recordings in the feed.
        series: Runs by `key`.
    """

    recordings: int
    series: dict[str, Series] = field(default_factory=dict)

    def of(self, tool: Competitor, scenario: Scenario) -> Series:
        """Return the runs of a tool in a scenario, an empty series before the first run."""
        return self.series.setdefault(f"{tool.slug}/{scenario.slug}", Series())

    def ratio(self, scenario: Scenario) -> float:
        """Return the tap's CPU time over that of the loop on the same feed, without start-up."""
        loop = self.of(LOOP, scenario.baseline)
        return self.of(TAP_FOCUS, scenario).net_cpu / loop.net_cpu
