"""Draw the bar chart of RESULTS.md as SVG."""

from __future__ import annotations

from html import escape

TITLE = "Recordings per second of CPU time, start-up included"
# The image has no background: these colors have enough contrast on white and on black.
TEXT_COLOR, BAR_COLOR, FIRST_BAR_COLOR = "#7a7f87", "#9aa0a8", "#2f81f7"
WIDTH, LABEL_WIDTH, VALUE_WIDTH = 760, 210, 70
TOP, ROW_HEIGHT, BAR_HEIGHT = 40, 34, 20


def chart(rates: dict[str, float]) -> str:
    """Return an SVG image with one bar for each rate, and the first bar in a different color."""
    height = TOP + ROW_HEIGHT * len(rates)
    description = escape(", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items()))
    scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / max(rates.values())
    bars = [
        _bar(row, name, rate, round(rate * scale)) for row, (name, rate) in enumerate(rates.items())
    ]
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"
  height="{height}" role="img" font-family="system-ui, sans-serif" font-size="14"
  fill="{TEXT_COLOR}">
<title>{TITLE}: {description}</title>
<text y="18" font-weight="600">{TITLE}</text>
{"".join(bars)}</svg>
"""


def _bar(row: int, name: str, rate: float, width: int) -> str:
    top = TOP + ROW_HEIGHT * row
    baseline = top + BAR_HEIGHT - 5
    color = BAR_COLOR if row else FIRST_BAR_COLOR
    return f"""\
<text x="{LABEL_WIDTH - 10}" y="{baseline}" text-anchor="end">{escape(name)}</text>
<rect x="{LABEL_WIDTH}" y="{top}" width="{width}" height="{BAR_HEIGHT}" rx="2" fill="{color}"/>
<text x="{LABEL_WIDTH + width + 8}" y="{baseline}">{rate:,.0f}</text>
"""
