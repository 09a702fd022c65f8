"""The report of a verification as one HTML file without scripts, for screen and print."""

from __future__ import annotations

import typing as t
from html import escape
from itertools import islice

from tap_focus.archive.verification.comparison import FINDINGS
from tap_focus.archive.verification.report_chart import chart, legend
from tap_focus.archive.verification.result import LIMITS, DayCounts

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_focus.archive.verification.result import About, Result

MAX_FINDINGS = 10_000
"""Findings in the HTML. A browser cannot show any number of them."""

COLUMNS = (
    ("recordings", "Recordings"),
    ("stored", "Stored"),
    ("not_permitted", "Not permitted"),
    ("not_found", "Not found"),
    ("failed", "Failed"),
    ("not_tried", "Not tried yet"),
    ("ok", "Files ok"),
    ("failures", "Failures"),
    ("expired", "Expired"),
    ("past_retention", "Past retention"),
    ("bytes", "Bytes"),
)
"""Attributes of `DayCounts` and the titles of their columns."""

_STYLE = """
body{font:14px/1.45 system-ui,sans-serif;color:#1c2b33;margin:2rem auto;max-width:60rem;
padding:0 1rem}
h1{font-size:1.6rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}
.verdict{border-left:6px solid;padding:.6rem .9rem;font-size:1.1rem;font-weight:600}
.passed{border-color:#1b6e53;background:#e8f3ee}.failed{border-color:#b3261e;background:#fbeae8}
.open{border-color:#c9a227;background:#fbf5e0}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{border-bottom:1px solid #d9dfe3;padding:.2rem .4rem;text-align:right;vertical-align:top}
th{border-bottom:2px solid #7b8a93;font-weight:600;vertical-align:bottom}
td:first-child,th:first-child{text-align:left;white-space:nowrap}
.findings td:nth-child(2){min-width:11rem}
.about td,.about th,.findings td,.findings th{text-align:left;overflow-wrap:anywhere}
.about th{border-bottom:1px solid #d9dfe3;width:11rem;vertical-align:top}
.days{font-size:12px}.year{background:#eef2f4;font-weight:600}
figure{margin:2rem 0}
svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:#1c2b33}
.legend span{margin-right:1.1rem;white-space:nowrap}
.legend i{display:inline-block;width:.8em;height:.8em;margin-right:.35em;border:1px solid #7b8a93}
@page{margin:15mm 12mm}
@media print{body{margin:0;max-width:none;padding:0;font-size:10pt}.days{font-size:7.5pt}
th,td{padding:.08rem .2rem}
thead{display:table-header-group}tr,figure,.verdict{break-inside:avoid}h2{break-after:avoid}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""

# No resource is loaded, and no script can run, whatever the names in the archive are.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def write_html(file: t.TextIO, about: About, result: Result) -> None:
    """Write the report."""
    file.writelines(_document(about, result))


def _document(about: About, result: Result) -> Iterator[str]:
    verdict = "failed" if result.failures else "passed" if result.listed_files else "open"
    yield (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Audio archive, verified on {about.ended[:10]}</title><style>{_STYLE}</style>"
        "<h1>Verification of an audio archive</h1>"
        f'<p class="verdict {verdict}">{result.conclusion()}</p>'
    )
    yield from _about(about, result)
    yield from _proof(about, result)
    yield "<figure><h2>Coverage over time</h2>"
    if drawing := chart(result.days):
        yield legend(result.days.values()) + drawing
        yield "<figcaption>A red mark above a bar: the period has failures.</figcaption></figure>"
    else:
        yield "<p>There are no recordings with a date.</p></figure>"
    yield from _findings(result)
    yield from _days(about, result)
    yield "</html>\n"


def _about(about: About, result: Result) -> Iterator[str]:
    share = f"{100 * about.check.share:g} % of them"
    content = {
        "read": f"presence and size of all files, content of {share}",
        "attested": f"presence and size of all files, checksum in the storage of {share}",
        "size": "presence and size of all files",
    }[about.check.content]
    days = f"{about.check.first or 'the first'} to {about.check.last or 'the last'}"
    rows = [
        ("Archive", about.archive),
        ("Account", about.account or "not recorded in the archive"),
        ("Started, ended", f"{about.started} to {about.ended}"),
        ("Software", f"tap-focus {about.version}"),
        ("Days", "all" if not about.check.has_range else days),
        ("Compared", content),
        ("Contents compared", f"{about.files_read:,} of {result.listed_files:,} files"),
        ("Other files", "ignored" if about.check.one_way else "reported as unexpected"),
    ]
    for label, files in (("Manifest", about.manifests), ("Recordings", about.recordings)):
        rows += [(label, f"{name}, SHA-256 {sha}") for name, sha in files]
    yield '<table class="about">'
    for label, value in rows:
        yield f"<tr><th>{label}<td>{escape(value)}"
    yield "</table>"


def _proof(about: About, result: Result) -> Iterator[str]:
    others = (
        ""
        if about.check.one_way or about.check.has_range
        else (" The archive contains no other files, except those listed below.")
    )
    yield (
        "<h2>What this report proves</h2><p>At the time of the verification, the files of the "
        "manifest existed with the stated size, except for the findings below. "
        f"{result.proof(about)}{others}</p>"
    )
    yield "<h2>What it does not prove</h2><ul>"
    limits = list(LIMITS)
    if not about.recordings:
        limits.append(
            "Recordings that the archive has not tried yet are not counted, since the list of "
            "recordings was not given."
        )
    yield from (f"<li>{limit}" for limit in limits)
    yield "</ul>"


def _findings(result: Result) -> Iterator[str]:
    yield "<h2>Findings</h2>"
    used = [name for name in FINDINGS if result.counts[name]]
    if not used:
        yield "<p>There are no findings.</p>"
        return
    yield '<table class="findings"><thead><tr><th>Finding<th>Files<th>Meaning</thead>'
    for name in used:
        yield f"<tr><td>{name}<td>{result.counts[name]:,}<td>{FINDINGS[name]}"
    yield '</table><p></p><table class="findings"><thead><tr><th>Finding<th>File<th>Detail</thead>'
    for name, path, detail, *_ in islice(result.findings(), MAX_FINDINGS):
        yield f"<tr><td>{name}<td>{escape(path)}<td>{escape(detail)}\n"
    yield "</table>"
    hidden = sum(result.counts[name] for name in used) - MAX_FINDINGS
    if hidden > 0:
        yield f"<p>{hidden:,} more findings are in the reports as JSON and CSV.</p>"


def _days(about: About, result: Result) -> Iterator[str]:
    """Yield the table of days, with a row for each year before its days."""
    columns = [(name, title) for name, title in COLUMNS if name != "not_tried" or about.recordings]
    yield "<h2>Days</h2><p>The first columns count recordings by the last row of the manifest"
    yield ", and those of the feed without a row" if about.recordings else ""
    yield (
        ". The columns from Files ok count files of the archive. The day is that of the start in "
        "UTC; 0000/00/00 has the recordings without a valid start.</p>"
        '<table class="days"><thead><tr><th>Day'
    )
    yield "".join(f"<th>{title}" for _, title in columns)
    yield "</thead>"
    years: dict[str, DayCounts] = {}
    for day, counts in result.days.items():
        years.setdefault(day[:4] if day[0].isdigit() else day, DayCounts()).add(counts)
    year = ""
    for day in sorted(result.days):
        label = day[:4] if day[0].isdigit() else day
        if label not in {year, day}:
            year = label
            yield _row(year, years[year], columns, "year")
        yield _row(day, result.days[day], columns)
    yield _row("Total", result.total, columns, "year")
    yield "</table>"


def _row(label: str, counts: DayCounts, columns: list[tuple[str, str]], style: str = "") -> str:
    numbers = [getattr(counts, name) for name, _ in columns]
    cells = "".join(f"<td>{number:,}" if number else "<td>" for number in numbers)
    return f"<tr{f' class={style}' if style else ''}><td>{label}{cells}\n"
