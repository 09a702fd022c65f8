"""The report of a verification for an auditor, as HTML, JSON or CSV."""

from __future__ import annotations

import csv
import typing as t
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile

import msgspec

from tap_focus.archive.printable import csv_cell
from tap_focus.archive.verification.comparison import FINDINGS
from tap_focus.archive.verification.report_html import write_html
from tap_focus.archive.verification.result import LIMITS, DayCounts

if t.TYPE_CHECKING:
    from tap_focus.archive.verification.result import About, Result


def check_report(path: Path) -> None:
    """Check that a report can be written later; OSError if its folder or name do not allow it."""
    with suppress(FileNotFoundError):
        path.lstat()  # the name may be too long
    TemporaryFile(dir=path.parent).close()


def write_report(path: Path, about: About, result: Result) -> None:
    """Write a report in the format of its extension. Only its owner can read it.

    It gets its name when it is complete. Raises OSError.
    """
    with NamedTemporaryFile(
        "w",
        encoding="utf-8",
        newline="",
        dir=path.parent,
        prefix=".tap-focus-report-",
        delete=False,
    ) as file:
        try:
            WRITERS[path.suffix.lower()](t.cast("t.TextIO", file), about, result)
            file.close()
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _write_json(file: t.TextIO, about: About, result: Result) -> None:
    head = {
        "about": {**msgspec.to_builtins(about), "check": about.check._asdict()},
        "conclusion": result.conclusion(),
        "proof": result.proof(about),
        "limits": LIMITS,
        "files": {name: result.counts[name] for name in ("ok", *FINDINGS)},
        "total": result.total,
        "days": dict(sorted(result.days.items())),
    }
    encoded = msgspec.json.format(msgspec.json.encode(head), indent=1).decode()
    file.write(encoded.removesuffix("}").rstrip())
    separator = ',\n "findings": ['
    for finding in result.findings():
        entry = {"finding": finding.name, "path": finding.path, "detail": finding.detail}
        file.write(f"{separator}\n  {msgspec.json.encode(entry).decode()}")
        separator = ","
    file.write("\n ]\n}\n" if separator == "," else f"{separator}]\n}}\n")


def _write_csv(file: t.TextIO, about: About, result: Result) -> None:
    """Write one table: rows about the verification, a row per day, the total, the findings."""
    numbers = DayCounts.__struct_fields__
    writer = csv.writer(file)
    writer.writerow(["row", "name", "path", "detail", "recordings", *numbers])
    details = {**msgspec.to_builtins(about), "conclusion": result.conclusion()}
    check = zip(about.check._fields, details.pop("check"), strict=True)
    for name, value in [*details.items(), *check]:
        entries = value if isinstance(value, list) else [["", value]]
        for path, detail in entries:
            writer.writerow(["about", name, csv_cell(path), csv_cell(str(detail))])
    days = [("day", day, counts) for day, counts in sorted(result.days.items())]
    for row, day, counts in [*days, ("total", "", result.total)]:
        values = [getattr(counts, number) for number in numbers]
        writer.writerow([row, day, "", "", counts.recordings, *values])
    for finding in result.findings():
        cells = [csv_cell(finding.path), csv_cell(finding.detail)]
        writer.writerow(["finding", finding.name, *cells])


WRITERS = {".html": write_html, ".json": _write_json, ".csv": _write_csv}
"""Functions that write a report, by extension."""
