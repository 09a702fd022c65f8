"""The chart of speed.py: horizontal bars as SVG, legible on a light page and on a dark one."""

from __future__ import annotations

from html import escape

TITLE = "Recordings per second of CPU, start included"
# Greys and a blue that stand out from white and from black alike; there is no background.
_TEXT, _OTHER, _FIRST = "#7a7f87", "#9aa0a8", "#2f81f7"
_WIDTH, _LABELS, _VALUES = 760, 210, 70
_TOP, _STEP, _BAR = 40, 34, 20


def chart(rates: dict[str, float]) -> str:
    """Return the bars of all rates, the first of them in colour."""
    longest = max(rates.values())
    height = _TOP + _STEP * len(rates)
    told = escape(", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items()))
    bars = [
        _bar(name, rate, round((_WIDTH - _LABELS - _VALUES) * rate / longest), place)
        for place, (name, rate) in enumerate(rates.items())
    ]
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}"
  height="{height}" role="img" font-family="system-ui, sans-serif" font-size="14" fill="{_TEXT}">
<title>{TITLE}: {told}</title>
<text y="18" font-weight="600">{TITLE}</text>
{"".join(bars)}</svg>
"""


def _bar(name: str, rate: float, length: int, place: int) -> str:
    top = _TOP + _STEP * place
    line = top + _BAR - 5
    colour = _OTHER if place else _FIRST
    return f"""\
<text x="{_LABELS - 10}" y="{line}" text-anchor="end">{escape(name)}</text>
<rect x="{_LABELS}" y="{top}" width="{length}" height="{_BAR}" rx="2" fill="{colour}"/>
<text x="{_LABELS + length + 8}" y="{line}">{rate:,.0f}</text>
"""
