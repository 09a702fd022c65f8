"""The HTML report of `tap-focus-media verify` in a real Chromium."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from base64 import b64decode
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_focus.archive.verification.comparison import Check, Finding
from tap_focus.archive.verification.report import write_report
from tap_focus.archive.verification.result import About, DayCounts, Result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), "")

pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason="needs Chromium, for example Debian's package chromium"
)

HOSTILE = "<img src=x onerror=alert(1)>"

MEASURE = """<script>
addEventListener("load", () => {
  const box = selector => document.querySelector(selector)?.getBoundingClientRect()
  const facts = {
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    chart: [box("svg").width, box("svg").height],
    bars: [...document.querySelectorAll("svg rect")].filter(
      bar => bar.getBoundingClientRect().height > 0).length,
    outside: [...document.querySelectorAll("svg text, svg rect")].filter(part => {
      const inner = part.getBoundingClientRect(), outer = box("svg")
      return inner.left < outer.left - 1 || inner.right > outer.right + 30
    }).length,
    days: document.querySelectorAll(".days tbody tr").length,
    images: document.images.length,
    text: document.body.innerText.slice(0, 20000),
  }
  document.body.innerHTML = "<pre id=facts></pre>"
  document.getElementById("facts").textContent = btoa(unescape(encodeURIComponent(
    JSON.stringify(facts))))
})
</script>"""
"""A script for a copy of the report, which has no script itself."""


def chromium(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    profile = f"--user-data-dir={folder / 'profile'}"
    command = [CHROMIUM, *options, profile, "--window-size=1000,1400", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)


@pytest.fixture
def report(tmp_path: Path) -> Callable[[int], Path]:
    """Write the report of a number of days."""

    def report(number: int) -> Path:
        with Result(Check()) as result:
            for index in range(number):
                day = (date(2019, 1, 1) + timedelta(index)).isoformat().replace("-", "/")
                counts = DayCounts(stored=90_000, not_found=5000, failed=30, not_tried=9, ok=90_000)
                result.days[day] = counts
            result.add(Finding("checksum-mismatch", "2019/01/01/5.mp3"))
            result.add(Finding("unexpected", HOSTILE + "y" * 280))
            path = tmp_path / "report.html"
            about = About(
                check=Check(), started="2026-01-01T00:00:00+00:00", archive="s3://bucket/focus"
            )
            write_report(path, about, result)
        return path

    return report


def measure(report: Path) -> dict[str, Any]:
    """Return what Chromium shows."""
    html = re.sub(r"<meta http-equiv[^>]*>", "", report.read_text())
    copy = report.with_name("measured.html")
    copy.write_text(html.replace("</html>", f"{MEASURE}</html>"))
    dom = chromium(report.parent, "--dump-dom", copy.as_uri()).stdout
    encoded = re.search(r'<pre id="facts">([^<]+)</pre>', dom)
    assert encoded
    facts: dict[str, Any] = json.loads(b64decode(encoded[1]))
    return facts


@pytest.mark.parametrize(("days", "bars"), [(30, 30), (365, 12), (7 * 365, 84)])
def test_chromium_shows_chart_days_and_findings(
    report: Callable[[int], Path], days: int, bars: int
) -> None:
    facts = measure(report(days))

    assert facts["overflow"] <= 0
    assert facts["outside"] == 0
    assert facts["chart"][0] > 700
    assert facts["chart"][1] > 200
    # For each period a bar of the number, and one of each status that is not too small.
    assert facts["bars"] >= 3 * bars
    assert facts["days"] == days + -(-days // 365) + 1 + 1  # years, total, files without a day
    assert "Failed: 2 findings" in facts["text"]


def test_chromium_shows_hostile_names_as_text(report: Callable[[int], Path]) -> None:
    facts = measure(report(3))

    assert facts["images"] == 0
    assert HOSTILE in facts["text"]


def test_chromium_accepts_the_report_without_a_complaint(report: Callable[[int], Path]) -> None:
    run = chromium(report(30).parent, "--dump-dom", (report(30)).as_uri())

    assert "CONSOLE" not in run.stderr
    assert "<svg" in run.stdout


def test_chromium_prints_a_year_on_a_few_pages(report: Callable[[int], Path]) -> None:
    path = report(365)
    pdf = path.with_suffix(".pdf")

    chromium(path.parent, f"--print-to-pdf={pdf}", path.as_uri())

    pages = re.findall(rb"/Type\s*/Page\b(?!s)", pdf.read_bytes())
    assert 5 <= len(pages) <= 14
