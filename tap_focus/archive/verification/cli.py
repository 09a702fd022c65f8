"""The command `tap-focus-media`: check the archive against its manifest."""

from __future__ import annotations

import os
import sqlite3
import sys
import textwrap
import typing as t
from contextlib import contextmanager

import click

from tap_focus.archive.printable import printable
from tap_focus.archive.stores.factory import open_store
from tap_focus.archive.verification.comparison import FINDINGS, Check, Comparison, DayEnd
from tap_focus.archive.verification.console import Console
from tap_focus.archive.verification.manifest import InvalidManifestError, Manifest
from tap_focus.archive.verification.options import parse_day, parse_reports, parse_share
from tap_focus.archive.verification.report import write_report
from tap_focus.archive.verification.result import About, Result, now
from tap_focus.errors import OutputError, StorageError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tap_focus.archive.stores.interface import AudioStore


def _table(meanings: dict[str, str], width: int = 76) -> str:
    """Return names and meanings in two columns."""
    indent = " " * (2 + max(map(len, meanings)))
    rows = [
        textwrap.fill(
            meaning, width, initial_indent=name.ljust(len(indent)), subsequent_indent=indent
        )
        for name, meaning in meanings.items()
    ]
    return "\n".join(rows)


HELP = f"""Check the files of an archive against a MANIFEST.

A manifest contains the rows of the stream recording_media as JSON lines, as written by target-jsonl
or by the tap. It is read from files or standard input, in any order. The last row of a recording
counts, by fetchedAt. The files of all its rows are checked.

The command prints one line for each finding, and then a summary:

\b
{_table(FINDINGS)}

Progress is on standard error. After an interruption, continue with --from and the day that the
command prints.

Exit codes: 0 if no finding fails the verification, 1 if one does, 2 if an option or the manifest is
invalid or the manifest has no rows, 73 if the archive cannot be opened, 74 if the findings, a
report or the temporary database cannot be written, 130 or 143 if a signal stopped the command.
"""


@click.group()
def main() -> None:
    """Work with the audio archive of tap-focus."""


@main.command(help=HELP)
@click.option("--media-path", required=True, help="Folder or URL of the archive.")
@click.option("--size-only", is_flag=True, help="Compare sizes only. No file is read.")
@click.option(
    "--attested",
    is_flag=True,
    help="Compare the checksums that the storage has recorded. No file is read. This is weaker: it "
    "trusts the storage.",
)
@click.option(
    "--sample",
    default="100%",
    callback=parse_share,
    help="Compare the content of some files, such as 1%.",
)
@click.option("--one-way", is_flag=True, help="Ignore files that are not in the manifest.")
@click.option(
    "--from", "first", default="", callback=parse_day, help="First day, such as 2025-05-01."
)
@click.option("--to", "last", default="", callback=parse_day, help="Last day.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 256),
    default=8,
    show_default=True,
    help="Files that are read at the same time.",
)
@click.option(
    "--recordings",
    type=click.File("rb"),
    multiple=True,
    help="Rows of the stream recordings, to count what was not tried yet.",
)
@click.option(
    "--report",
    "reports",
    type=click.Path(dir_okay=False, writable=True),
    callback=parse_reports,
    multiple=True,
    help="Write a report: FILE.html, FILE.json or FILE.csv. Can be repeated.",
)
@click.option("--all", "show_all", is_flag=True, help="List the files that are ok, too.")
@click.argument("manifest", nargs=-1, type=click.File("rb"))
def verify(  # noqa: PLR0913 - one argument for each option
    *,
    media_path: str,
    manifest: tuple[t.IO[bytes], ...],
    recordings: tuple[t.IO[bytes], ...],
    reports: tuple[Path, ...],
    concurrency: int,
    show_all: bool,
    **options: t.Any,
) -> None:
    """Check the files of an archive against a manifest; see `HELP`."""
    check = _check(**options)
    with _temporary_files(check) as (rows, result):
        console = Console(rows, result, show_all=show_all)
        try:
            with console.stoppable():
                about = About(check=check, started=now())
                about.manifests = _read(rows.add_rows, manifest or (sys.stdin.buffer,), console)
                about.recordings = _read(rows.add_feed, recordings, console)
                if rows.is_empty:
                    # The query probably failed. With --one-way, everything would seem to be ok.
                    message = "it has no row of recording_media"
                    raise click.BadParameter(message, param_hint="MANIFEST")
                store = open_store(media_path)
                about.archive = printable(store.uri(""))
                _compare(Comparison(store, rows, check, concurrency, console.wait), result, console)
                about.account = _account(store)
                result.add_statuses(rows.count_statuses())
                console.write_summary()
                about.ended, about.files_read = now(), result.files_read
                for path in reports:
                    write_report(path, about, result)
        except StorageError as error:
            console.write_error(f"{error}. Check --media-path and the storage's credentials")
            sys.exit(os.EX_CANTCREAT)
        except OutputError as error:
            console.write_error(str(error))
            sys.exit(os.EX_IOERR)
        except (OSError, sqlite3.Error) as error:
            console.write_error(f"Cannot write a report or a temporary file: {error}")
            sys.exit(os.EX_IOERR)
        _warn(result, check)
        sys.exit(1 if result.failures else 0)


@contextmanager
def _temporary_files(check: Check) -> Iterator[tuple[Manifest, Result]]:
    """Return an empty manifest and result, and end the command if they cannot be created."""
    try:
        with Manifest() as rows, Result(check) as result:
            yield rows, result
    except (OSError, sqlite3.Error) as error:
        click.echo(f"Cannot write a temporary file: {printable(str(error))}.", err=True)
        sys.exit(os.EX_IOERR)


def _check(  # noqa: PLR0913 - one argument for each option
    *, size_only: bool, attested: bool, sample: float, one_way: bool, first: str, last: str
) -> Check:
    """Return what the options request."""
    if size_only and (attested or sample < 1):
        raise click.UsageError("--size-only cannot be used with --attested or --sample")
    if last and first > last:
        raise click.UsageError("--from is after --to")
    content: t.Literal["read", "attested", "size"]
    content = "size" if size_only else "attested" if attested else "read"
    return Check(content, sample, one_way, first, last)


def _read(
    add: Callable[..., str], files: Sequence[t.IO[bytes]], console: Console
) -> list[tuple[str, str]]:
    """Add the lines of files, and return name and SHA-256 of each file."""
    read = []
    for file in files:
        try:
            sha256 = add(file, on_line=console.read_line)
        except InvalidManifestError as error:
            raise click.BadParameter(str(error), param_hint=error.param_hint) from error
        name = "standard input" if file is sys.stdin.buffer else os.fsdecode(file.name)
        read.append((printable(name), sha256))
    return read


def _account(store: AudioStore) -> str:
    """Return the account of an archive, or an empty text if the marker file cannot be read."""
    try:
        return printable(store.account() or "")
    except StorageError as error:
        click.echo(f"Warning: the account of the archive is unknown. {error}.", err=True)
        return ""


def _compare(comparison: Comparison, result: Result, console: Console) -> None:
    """Count and print the findings."""
    try:
        for item in comparison.findings():
            if isinstance(item, DayEnd):
                console.last_day = item.day
                continue
            result.add(item)
            console.write_finding(item)
    finally:
        comparison.close()


def _warn(result: Result, check: Check) -> None:
    """Warn of a verification that has compared nothing."""
    if not result.listed_files:
        place = " in this range of days" if check.has_range else ""
        click.echo(f"Warning: the manifest lists no file{place}. Nothing was verified.", err=True)
    elif check.share < 1 and not result.files_read:
        click.echo("Warning: the sample has no file. No content was compared.", err=True)
