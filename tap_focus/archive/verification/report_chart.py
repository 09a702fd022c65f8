"""The chart of a report: share and number of recordings by status over time, as SVG."""

from __future__ import annotations

import typing as t
from datetime import date, timedelta

from tap_focus.archive.naming import UNKNOWN_DAY
from tap_focus.archive.verification.result import OUTSIDE, DayCounts

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SERIES = {
    "stored": ("stored", "#1b6e53"),
    "not_permitted": ("not permitted", "#c9a227"),
    "not_found": ("not found", "#9aa5ad"),
    "failed": ("failed", "#b3261e"),
    "not_tried": ("not tried yet", "#e4d9f5"),
}
"""Label and color of each status, from the bottom of a bar to its top."""

MAX_BARS = 100

WIDTH, BAR_HEIGHT, COUNT_HEIGHT = 900, 180, 90
_LEFT, _TOP, _GAP, _BOTTOM = 64, 12, 34, 24
_PERIODS = ((10, "day"), (7, "month"), (4, "year"), (2, "century"))


def chart(days: dict[str, DayCounts]) -> str:
    """Return the SVG for the numbers by day; empty if there are no recordings with a day."""
    dated = {
        day: counts
        for day, counts in days.items()
        if counts.recordings and day not in {UNKNOWN_DAY, OUTSIDE}
    }
    if not dated:
        return ""
    length, period = _period(min(dated), max(dated))
    bars = {label: DayCounts() for label in _labels(min(dated), max(dated), length)}
    for day, counts in dated.items():
        bars[day[:length]].add(counts)
    height = _TOP + BAR_HEIGHT + _GAP + COUNT_HEIGHT + _BOTTOM
    return "".join(
        [
            f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Recordings per {period}">',
            *_axes(bars, period),
            *_bars(bars),
            "</svg>",
        ]
    )


def _period(first: str, last: str) -> tuple[int, str]:
    """Return the shortest period that needs at most MAX_BARS bars, by its length in a day."""
    years = int(last[:4]) - int(first[:4])
    months = 12 * years + int(last[5:7]) - int(first[5:7])
    numbers = (31 * (months + 1), months + 1, years + 1, 0)
    return next(period for period, bars in zip(_PERIODS, numbers, strict=True) if bars <= MAX_BARS)


def _labels(first: str, last: str, length: int) -> Iterator[str]:
    """Yield all periods from the first to the last, so that a gap in the archive is visible."""
    if length == len(first):
        try:
            day = date.fromisoformat(first.replace("/", "-"))
            while (label := day.isoformat().replace("-", "/")) <= last:
                yield label
                day += timedelta(1)
        except (ValueError, OverflowError):
            return
    elif length == len("2025/05"):
        months = range(_month(first), _month(last) + 1)
        yield from (f"{month // 12:04}/{month % 12 + 1:02}" for month in months)
    else:
        yield from (f"{n:0{length}}" for n in range(int(first[:length]), int(last[:length]) + 1))


def _month(day: str) -> int:
    return 12 * int(day[:4]) + int(day[5:7]) - 1


def _axes(bars: dict[str, DayCounts], period: str) -> Iterator[str]:
    """Yield the scales of both parts, and the labels of some bars."""
    for percent in (0, 50, 100):
        y = _TOP + BAR_HEIGHT * (100 - percent) / 100
        yield _line(y)
        yield _text(_LEFT - 6, y + 4, f"{percent} %", "end")
    most = max(counts.recordings for counts in bars.values())
    bottom = _TOP + BAR_HEIGHT + _GAP + COUNT_HEIGHT
    for number, y in ((0, bottom), (most, bottom - COUNT_HEIGHT)):
        yield _line(y)
        yield _text(_LEFT - 6, y + 4, f"{number:,}", "end")
    yield _text(_LEFT, bottom - COUNT_HEIGHT - 8, f"Recordings per {period}", "start")
    step = -(-len(bars) // 8)
    if period == "month" and step > 1:
        step = -(-step // 12) * 12 if len(bars) > 24 else 3  # noqa: PLR2004 - whole years
    for index, label in enumerate(bars):
        if index % step == 0:
            left, width = _place(index, len(bars))
            text = label.replace("/", "-") + ("00s" if period == "century" else "")
            yield _text(left + width / 2, bottom + 16, text, "middle")


def _bars(bars: dict[str, DayCounts]) -> Iterator[str]:
    """Yield the bars of both parts, and a mark above each period with failures."""
    most = max(counts.recordings for counts in bars.values())
    bottom = _TOP + BAR_HEIGHT + _GAP + COUNT_HEIGHT
    for index, counts in enumerate(bars.values()):
        left, width = _place(index, len(bars))
        y = float(_TOP + BAR_HEIGHT)
        for status, (_, color) in SERIES.items():
            if number := getattr(counts, status):
                height = BAR_HEIGHT * number / counts.recordings
                y -= height
                yield _rectangle(left, y, width, height, color)
        if counts.recordings:
            height = COUNT_HEIGHT * counts.recordings / most
            yield _rectangle(left, bottom - height, width, height, "#44606e")
        if counts.failures:
            yield _rectangle(left, _TOP - 7, width, 5, "#b3261e")


def _place(index: int, number: int) -> tuple[float, float]:
    """Return the left edge and the width of a bar."""
    slot = (WIDTH - _LEFT) / number
    return _LEFT + index * slot + slot * 0.08, slot * 0.84


def _rectangle(*position: float | str) -> str:
    x, y, width, height, color = position
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{color}"/>'
    )


def _line(y: float) -> str:
    return f'<line x1="{_LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#c6cdd2"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def legend(days: Iterable[DayCounts]) -> str:
    """Return the legend of the chart, with the statuses that occur."""
    used = [
        (label, color)
        for status, (label, color) in SERIES.items()
        if any(getattr(counts, status) for counts in days)
    ]
    entries = [f'<span><i style="background:{color}"></i>{label}</span>' for label, color in used]
    return f'<p class="legend">{"".join(entries)}</p>'
