from __future__ import annotations

import csv
import io
import json
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from tap_focus.archive.verification.cli import main
from tap_focus.archive.verification.comparison import Check, Finding
from tap_focus.archive.verification.report import write_report
from tap_focus.archive.verification.report_chart import MAX_BARS, chart
from tap_focus.archive.verification.report_html import MAX_FINDINGS
from tap_focus.archive.verification.result import About, DayCounts
from tap_focus.archive.verification.result import Result as Counts
from tests.helpers.reports import HtmlReport

if TYPE_CHECKING:
    from pathlib import Path

DAY = "2025/05/01"
SHA256 = "d7a8fbb307d7809469ca9abcb0082e4f8d5651e46d3cdb762d02d0bf37c9e592"
CONTENT = b"The quick brown fox jumps over the lazy dog"


def row(interaction_id: int, status: str = "stored", **fields: Any) -> dict[str, Any]:
    file = {
        "uri": f"s3://bucket/{DAY}/{interaction_id}.mp3",
        "sizeInBytes": len(CONTENT),
        "sha256": SHA256,
    }
    return {
        "interactionId": interaction_id,
        "startDatetimeUTC": "2025-05-01T23:00:00",
        "status": status,
        **(file if status == "stored" else {}),
        **fields,
    }


class Archive:
    """An archive with the file of recording 1, and a manifest with a row of each kind."""

    rows = (
        row(1, retainUntil="2025-06-01T00:00:00Z"),
        row(2, retainUntil="2025-06-01T00:00:00Z"),
        row(3),
        row(4, "not_permitted"),
        row(5, "not_found", startDatetimeUTC="2025-05-03T00:00:00+01:00"),
        row(6, "failed", startDatetimeUTC=None),
    )
    feed = (
        {"interactionId": 1, "startDatetimeUTC": "2025-05-01T23:00:00Z"},
        {"interactionId": 7, "startDatetimeUTC": "2025-05-04T10:00:00Z"},
    )

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.media_path = folder / "audio"
        (self.media_path / DAY).mkdir(parents=True)
        (self.media_path / DAY / "1.mp3").write_bytes(CONTENT)
        self.write("manifest.jsonl", self.rows)

    def write(self, name: str, rows: Any) -> Path:
        path = self.folder / name
        path.write_text("\n".join(map(json.dumps, rows)))
        return path

    def verify(self, *options: str) -> Result:
        arguments = ["verify", "--media-path", str(self.media_path), *options]
        return CliRunner().invoke(main, [*arguments, str(self.folder / "manifest.jsonl")])

    def report(self, extension: str, *options: str) -> str:
        path = self.folder / f"report.{extension}"
        self.verify("--report", str(path), *options)
        return path.read_text("utf-8")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


EXPECTED_DAYS = {
    "0000/00/00": {"recordings": 1, "failed": 1},
    DAY: {
        "recordings": 4,
        "stored": 3,
        "not_permitted": 1,
        "ok": 1,
        "expired": 1,
        "past_retention": 1,
        "failures": 1,
        "bytes": len(CONTENT),
    },
    "2025/05/02": {"recordings": 1, "not_found": 1},
    "2025/05/04": {"recordings": 1, "not_tried": 1},
}


def without_zeros(numbers: dict[str, Any]) -> dict[str, int]:
    return {name: int(number) for name, number in numbers.items() if int(number)}


def test_the_csv_has_the_numbers_of_each_day(archive: Archive) -> None:
    feed = archive.write("feed.jsonl", archive.feed)

    text = archive.report("csv", "--recordings", str(feed))

    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    numbers = ("recordings", *DayCounts.__struct_fields__)
    days = {line["name"]: {n: line[n] for n in numbers} for line in rows if line["row"] == "day"}
    assert {day: without_zeros(counts) for day, counts in days.items()} == EXPECTED_DAYS
    total = next(line for line in rows if line["row"] == "total")
    assert (total["recordings"], total["bytes"]) == ("7", str(len(CONTENT)))


def test_the_json_has_everything(archive: Archive) -> None:
    feed = archive.write("feed.jsonl", archive.feed)

    report = json.loads(archive.report("json", "--recordings", str(feed), "--from", "2025-01-01"))

    days = {day: counts for day, counts in EXPECTED_DAYS.items() if day > "2025"}
    for counts in days.values():
        counts.pop("recordings", None)
    assert {day: without_zeros(counts) for day, counts in report["days"].items()} == days
    assert [(f["finding"], f["path"]) for f in report["findings"]] == [
        ("missing", f"{DAY}/3.mp3"),
        ("expired", f"{DAY}/2.mp3"),
        ("past-retention", f"{DAY}/1.mp3"),
    ]
    assert report["about"]["archive"] == f"file://{archive.media_path}"
    assert report["about"]["check"]["first"] == "2025/01/01"
    (name, sha256), *others = report["about"]["manifests"]
    assert (name, len(sha256), others) == (str(archive.folder / "manifest.jsonl"), 64, [])
    assert report["conclusion"] == "Failed: 1 finding in an archive of 3 files."


def test_the_html_has_the_numbers_the_findings_and_the_limits(archive: Archive) -> None:
    feed = archive.write("feed.jsonl", archive.feed)

    page = HtmlReport(archive.report("html", "--recordings", str(feed)))

    assert page.tables["days"][DAY] == ["4", "3", "1", "", "", "", "1", "1", "1", "1", "43"]
    assert page.tables["days"]["2025"][0] == "6"
    assert page.tables["days"]["Total"][0] == "7"
    assert "Failed: 1 finding" in page.text
    assert f"{DAY}/3.mp3" in page.text
    assert "Focus showed to one service user" in page.text
    assert page.tags.isdisjoint({"script", "img", "link", "iframe"})


def test_a_report_without_the_feed_says_so(archive: Archive) -> None:
    text = archive.report("html")

    assert "Not tried yet" not in text
    assert "not tried yet are not counted" in text


def test_a_weaker_check_is_named(archive: Archive) -> None:
    assert "was read and has the SHA-256" in archive.report("html")
    assert "a weaker check" in archive.report("html", "--attested")
    assert "content of the files was not compared" in archive.report("html", "--size-only")
    assert "chosen at random" in archive.report("html", "--sample", "50%")


def test_the_account_comes_from_the_marker(archive: Archive) -> None:
    marker = {"layout": 1, "account": "7 at <b>", "created": "2025-01-01T00:00:00+00:00"}
    (archive.media_path / "tap-focus-archive.json").write_text(json.dumps(marker))

    assert "7 at &lt;b&gt;" in archive.report("html")


def test_an_invalid_marker_does_not_prevent_the_verification(archive: Archive) -> None:
    (archive.media_path / "tap-focus-archive.json").write_text("{")

    result = archive.verify()

    assert result.exit_code == 1
    assert "1 ok, 1 missing" in result.stdout
    assert "Warning: the account of the archive is unknown" in result.stderr


def test_an_invalid_line_of_the_feed_is_named(archive: Archive) -> None:
    feed = archive.write("feed.jsonl", [{"interactionId": 1}, {"type": "call"}])

    result = archive.verify("--recordings", str(feed))

    assert result.exit_code == 2
    assert "--recordings: line 2 is not a row of recordings" in result.stderr


@pytest.mark.parametrize("extension", ["html", "csv", "json"])
def test_hostile_names_are_escaped(archive: Archive, extension: str) -> None:
    for name in ("=cmd|'x'!A1", "<script>alert(1)<", "\x1b[2J\u202e"):
        (archive.media_path / name).write_bytes(b"x")

    text = archive.report(extension)

    assert text.isascii()
    assert all(line.isprintable() for line in text.splitlines())
    if extension == "html":
        assert "<script" not in text
        assert "&lt;script&gt;" in text
    if extension == "csv":
        cells = [cell for line in csv.reader(io.StringIO(text)) for cell in line]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t"))]
        assert "'=cmd|'x'!A1" in cells


def test_a_report_is_written_completely_or_not_at_all(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    (archive.folder / "report.json").write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tap_focus.archive.verification.cli.write_report", fail)
    result = archive.verify("--report", str(archive.folder / "report.json"))

    assert result.exit_code == 74
    assert "No space left" in result.stderr
    assert (archive.folder / "report.json").read_text() == "old"


def test_only_the_owner_can_read_a_report(archive: Archive) -> None:
    archive.report("html")

    assert (archive.folder / "report.html").stat().st_mode & 0o077 == 0
    assert not list(archive.folder.glob(".report*"))


# Size


def seven_years() -> dict[str, DayCounts]:
    start = date(2019, 1, 1)
    days = [(start + timedelta(n)).isoformat().replace("-", "/") for n in range(7 * 365 + 2)]
    return {day: DayCounts(stored=1000, not_found=50, ok=1000, bytes=10**9) for day in days}


def write(path: Path, counts: Counts) -> str:
    about = About(check=Check(), started="2025-01-01T00:00:00+00:00")
    write_report(path, about, counts)
    return path.read_text("utf-8")


def test_the_html_of_seven_years_is_small(tmp_path: Path) -> None:
    with Counts(Check()) as counts:
        counts.days = seven_years()

        text = write(tmp_path / "report.html", counts)

    assert len(text) < 400_000
    assert len(HtmlReport(text).tables["days"]) == 1 + 7 * 365 + 2 + 7 + 1


def test_the_html_shows_a_limited_number_of_findings(tmp_path: Path) -> None:
    with Counts(Check()) as counts:
        for number in range(MAX_FINDINGS + 5):
            counts.add(Finding("past-retention" if number else "lost", f"{DAY}/{number}.mp3"))

        page = write(tmp_path / "report.html", counts)
        report = json.loads(write(tmp_path / "report.json", counts))

    assert "5 more findings are in the reports" in page
    assert f"{DAY}/0.mp3" in page
    assert len(report["findings"]) == MAX_FINDINGS + 5


@pytest.mark.parametrize(
    ("first", "last", "bars"),
    [
        ("2025/05/01", "2025/05/01", 1),
        ("2025/05/01", "2025/07/10", 71),
        ("2025/01/01", "2025/12/31", 12),
        ("2019/01/01", "2025/12/31", 84),
        ("1990/01/01", "2025/12/31", 36),
        ("0001/01/01", "9999/12/31", 100),
        ("9999/12/30", "9999/12/31", 2),
    ],
)
def test_the_chart_has_a_bar_for_each_period(first: str, last: str, bars: int) -> None:
    days = {first: DayCounts(stored=1), last: DayCounts(stored=1, failures=1)}

    svg = ET.fromstring(chart(days))  # noqa: S314 - written by the code under test

    assert bars <= MAX_BARS
    (left, right) = (min(x for x in lefts(svg)), max(x for x in lefts(svg)))
    assert round((right - left) / (836 / bars)) + 1 == bars


def lefts(svg: ET.Element) -> list[float]:
    return [float(element.attrib["x"]) for element in svg.iter("rect")]


def test_there_is_no_chart_without_dated_recordings() -> None:
    assert chart({"0000/00/00": DayCounts(stored=1), "outside": DayCounts(failures=1)}) == ""
