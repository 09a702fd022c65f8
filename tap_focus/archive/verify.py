"""The command `tap-focus-media`: hold the audio archive against its manifest."""

from __future__ import annotations

import codecs
import os
import sys
import typing as t
from collections import Counter

import click
import msgspec

from tap_focus.archive.store import Archive
from tap_focus.errors import StorageError

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Row = dict[str, t.Any]

WRONG = ("missing", "torn", "altered", "unknown", "unreadable")
"""What can be wrong with a file, in the summary's order."""


class _StoredRow(msgspec.Struct):
    uri: str
    sizeInBytes: int  # noqa: N815 - the column's name
    sha256: str


_NO_ROW = (msgspec.DecodeError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What a line raises that is none."""


@click.group()
def main() -> None:
    """Work with the audio archive of tap-focus."""


@main.command()
@click.option("--media-path", required=True, help="The folder or URL that holds the audio.")
@click.option("--size-only", is_flag=True, help="Compare sizes, and read no file.")
@click.option("--one-way", is_flag=True, help="Do not look for files that the manifest lacks.")
@click.option("--all", "show_all", is_flag=True, help="List the files that are right, too.")
@click.argument("manifest", nargs=-1, type=click.File("rb"))
def verify(media_path: str, manifest: tuple[t.IO[bytes], ...], **options: bool) -> None:
    """Compare the files of an archive with a MANIFEST.

    A manifest is the rows of the stream recording_media as JSON lines, as target-jsonl writes them
    or as the tap does, from files or standard input; of several rows of a recording the last one
    counts. Rows without a file (not permitted, not found, failed) are counted only.

    One line is printed for each file that is missing, torn (of another size), altered (of another
    content), unknown (in no row) or unreadable, then a summary. The exit code is 0 if every file is
    right and none is unknown, 1 if not, 2 if the manifest is none or has no row, 73 if the archive
    cannot be reached, and 74 if the findings cannot be written.
    """
    try:
        rows = _latest_rows(line for file in manifest or [sys.stdin.buffer] for line in file)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="MANIFEST") from None
    if not rows:  # what made it has failed, and with --one-way all would seem right
        raise click.BadParameter("it holds no row of recording_media", param_hint="MANIFEST")
    try:
        sys.exit(_report(Archive(media_path), rows, **options))
    except StorageError as error:
        click.echo(str(error), err=True)
        sys.exit(StorageError.exit_code)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what waits for it would fail once more
        click.echo(f"Standard output takes no more lines: {error.strerror}.", err=True)
        sys.exit(os.EX_IOERR)


def _report(archive: Archive, rows: list[Row], *, show_all: bool, **options: bool) -> int:
    """Print the findings and a summary; return the exit code."""
    counts: Counter[str] = Counter()
    for finding, path, detail in _compare(archive, rows, counts, **options):
        counts[finding] += 1
        if finding != "right" or show_all:
            click.echo(f"{finding:10} {path}{detail}")
    wrong = sum(counts[finding] for finding in WRONG)
    click.echo(
        f"{counts['right']:,} files right, "
        + ", ".join(f"{counts[finding]:,} {finding}" for finding in WRONG)
        + f"; {counts['without file']:,} recordings without a file"
    )
    return 1 if wrong else 0


def _latest_rows(lines: Iterable[bytes]) -> list[Row]:
    """Return the last row of each recording; lines of other Singer messages are passed over."""
    rows: dict[int, Row] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line.removeprefix(codecs.BOM_UTF8))
            if "record" in row or row.get("type") in ("SCHEMA", "STATE", "BATCH"):
                if "record" not in row or row.get("stream") == "recordings":
                    continue
                row = row["record"]
            key, status = row["interactionId"], row["status"]
            if status == "stored":
                msgspec.convert(row, _StoredRow)
            rows[key] = row
        except _NO_ROW:
            raise ValueError(f"line {number} is no row of recording_media") from None
    return list(rows.values())


def _compare(
    archive: Archive,
    rows: list[Row],
    counts: Counter[str],
    *,
    size_only: bool,
    one_way: bool,
) -> Iterator[tuple[str, str, str]]:
    """Find out how each file fares: a finding, its path in the archive, and a detail."""
    there = dict(archive.sizes())
    for row in rows:
        if row["status"] != "stored":
            counts["without file"] += 1
            continue
        path = Archive.path_of(str(row.get("uri")))
        size = there.pop(path, None)
        if size is None:
            yield "missing", path, ""
        elif size != row.get("sizeInBytes"):
            yield "torn", path, f": {size:,} bytes in place of {row['sizeInBytes']:,}"
        elif size_only:
            yield "right", path, ""
        else:
            yield from _compare_content(archive, path, row)
    if not one_way:
        for path in there:
            yield "unknown", path, ""


def _compare_content(archive: Archive, path: str, row: Row) -> Iterator[tuple[str, str, str]]:
    try:
        right = archive.read(path).sha256 == row.get("sha256")
    except Exception as error:  # noqa: BLE001 - each file system has errors of its own
        yield "unreadable", path, f": {type(error).__name__}"
    else:
        yield ("right" if right else "altered"), path, ""
