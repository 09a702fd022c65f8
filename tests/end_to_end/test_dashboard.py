"""The page of `scripts/trial dashboard`, in a real browser."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from scripts.dashboard import write_page
from tests.helpers import SLOWNESS
from tests.helpers.runner import clean_environment, run_command

if TYPE_CHECKING:
    from pathlib import Path

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)

Row = tuple[Any, ...]
ROWS: list[Row] = [
    ("2025-01-06", "phone", "person-1", "Ann", True, 2, 2, 1, 3600),
    ("2025-01-06", "phone", "person-2", "</script><b>Bo", False, 1, 0, 1, 1800),
    ("2025-01-06", "teams", "person-1", "Ann", True, 1, 1, 0, 1800),
    ("2025-01-08", "teams", "person-3", "Ann", True, 4, 3, 0, 60),
]


@pytest.fixture(scope="module")
def browser() -> str:
    found = [path for path in map(shutil.which, BROWSERS) if path]
    if not found and "CI" not in os.environ:
        pytest.skip("The page is tested in Chromium or Chrome. On Debian: apt-get install chromium")
    return found[0]


def render(browser: str, rows: list[Row], folder: Path, script: str = "") -> str:
    """Return the page as HTML, after its script and a further script have run."""
    page = folder / "dashboard.html"
    write_page(rows, page)
    page.write_text(page.read_text("utf-8").replace("\ndraw();", f"\ndraw();{script}"), "utf-8")
    run = run_command(
        browser,
        "--headless",
        "--no-sandbox",  # root, in a container
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={folder / 'profile'}",
        "--dump-dom",
        page.as_uri(),
        environment=clean_environment(HOME=str(folder)),
        timeout=60 * SLOWNESS,
    )
    assert run.exit_code == 0, run.log
    return run.out


def table(html: str) -> list[list[str]]:
    body = html.partition('<tbody id="people">')[2].partition("</tbody>")[0]
    return [re.findall("<td>(.*?)</td>", line) for line in body.split("</tr>")[:-1]]


def bars(html: str) -> list[str]:
    return re.findall('class="bar".*?<title>(.*?)</title>', html)


def test_the_page_shows_each_day_and_channel_and_the_people(browser: str, tmp_path: Path) -> None:
    html = render(browser, ROWS, tmp_path)

    assert bars(html) == ["2025-01-06 teams: 1", "2025-01-06 phone: 2", "2025-01-08 teams: 3"]
    assert "6 recordings on 2 days." in html
    assert ">2025-01-07<" in html
    assert table(html) == [["Ann", "4", "0", "0.0"], ["Ann", "3", "1", "1.5"]]


def test_a_choice_of_channel_and_person_filters_the_page(browser: str, tmp_path: Path) -> None:
    choose = """
      byId("channel").value = "phone";
      byId("person").value = "person-1";
      byId("person").dispatchEvent(new Event("change"));"""
    html = render(browser, ROWS, tmp_path, choose)

    assert bars(html) == ["2025-01-06 phone: 2"]
    assert table(html) == [["Ann", "2", "1", "1.0"]]


def test_a_name_cannot_end_the_script_and_no_rows_are_no_error(
    browser: str, tmp_path: Path
) -> None:
    name = render(browser, [(*ROWS[1][:4], True, *ROWS[1][5:])], tmp_path)
    empty = render(browser, [], tmp_path)

    assert table(name)[0][0] == "&lt;/script&gt;&lt;b&gt;Bo"
    assert "0 recordings on 0 days." in empty
