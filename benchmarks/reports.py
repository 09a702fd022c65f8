"""Parts that the generated reports share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from pathlib import Path


def target_cells(value: float, target: str | None) -> str:
    """Return two table cells: a target, such as `at most 0.80`, and whether `value` meets it."""
    if target is None:
        return "|"
    bound, limit = target.rsplit(" ", 1)
    met = value <= float(limit) if bound == "at most" else value >= float(limit)
    return f"{target} | {'yes' if met else '**no**'}"


def describe_load(averages: list[float]) -> str:
    """Return the load averages at the start and at the end of a measurement, as text."""
    first, last = averages
    return f"{first} at the start and {last} at the end"


def write_json(path: Path, results: Any) -> None:
    """Write a dataclass of results to a file."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
