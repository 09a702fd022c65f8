#!/usr/bin/env python3
"""Alert from the log of one run: write which metrics exceed a limit, and exit with 1.

usage: check_metrics.py METRIC=LIMIT ... < LOG

The log is that of the tap, or that of Meltano with --log-format=json. A metric that is missing in
the log is an alert, too. docs/reference/metrics.md describes the metrics.
"""

import json
import sys
from collections.abc import Iterable, Iterator

OPTIONAL = "feed_lag"  # unknown if the run has read no recording


def read_points(log: Iterable[str]) -> Iterator[dict]:
    """Yield the metrics of the tap, but not those of the target."""
    for line in log:
        _, is_metric, point = line.partition(" METRIC: ")
        if is_metric:
            yield json.loads(point)
        elif line.startswith("{"):
            entry = json.loads(line)
            # `meltano invoke` writes no name.
            if "metric_info" in entry and entry.get("name", "tap-").startswith("tap-"):
                yield entry["metric_info"]


def find_alerts(points: Iterable[dict], limits: dict[str, float]) -> Iterator[str]:
    """Yield a line for each limit that is exceeded, by stream and shard."""
    values: dict[tuple[str, str], float] = {}
    for point in points:
        tags = point["tags"]
        key = (point["metric"], f"{tags['stream']} {tags.get('shard', '')}".rstrip())
        # A counter starts at 0 again after each of its lines.
        before = values.get(key, 0) if point["type"] == "counter" else 0
        values[key] = before + point["value"]
    for (metric, stream), value in values.items():
        if value > limits.get(metric, float("inf")):
            yield f"{stream}: {metric} is {value:.0f}, more than {limits[metric]:.0f}"
    found = {metric for metric, _ in values}
    for metric in limits.keys() - found - ({OPTIONAL} if found else set()):
        yield f"The log contains no {metric}"


limits = {name: float(limit) for name, limit in (option.split("=") for option in sys.argv[1:])}
sys.exit("\n".join(find_alerts(read_points(sys.stdin), limits)) or None)
