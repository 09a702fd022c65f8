"""The command `tap-focus-media`: check the archive against its manifest."""

from __future__ import annotations

import codecs
import os
import sys
import typing as t
from collections import Counter

import click
import msgspec

from tap_focus.api.record_model import KEY
from tap_focus.archive.naming import path_from_uri
from tap_focus.archive.old_store import AudioStore
from tap_focus.errors import StorageError

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FAILURES = ("missing", "size-mismatch", "checksum-mismatch", "unexpected", "unreadable")
"""Findings that fail the verification, in the order of the summary."""

MAX_PRINTED_LENGTH = 300


class StoredRow(msgspec.Struct):
    """The columns of the manifest that describe a stored file."""

    uri: str
    sizeInBytes: t.Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]  # noqa: N815 - the column's name
    sha256: str


class Finding(t.NamedTuple):
    """The result for one file: `ok` or one of `FAILURES`, the file's path, and a detail."""

    name: str
    path: str
    detail: str = ""


@click.group()
def main() -> None:
    """Work with the audio archive of tap-focus."""


@main.command()
@click.option("--media-path", required=True, help="Folder or URL of the archive.")
@click.option("--size-only", is_flag=True, help="Compare sizes only. No file is read.")
@click.option("--one-way", is_flag=True, help="Ignore files that are not in the manifest.")
@click.option("--all", "show_all", is_flag=True, help="List the files that are ok, too.")
@click.argument("manifest", nargs=-1, type=click.File("rb"))
def verify(
    media_path: str,
    manifest: tuple[t.IO[bytes], ...],
    *,
    size_only: bool,
    one_way: bool,
    show_all: bool,
) -> None:
    """Check the files of an archive against a MANIFEST.

    A manifest contains the rows of the stream recording_media as JSON lines, as written by
    target-jsonl or by the tap. It is read from files or standard input. The last row of a
    recording counts. Rows without a file (not_permitted, not_found, failed) are only counted.

    The command prints one line for each file that is missing, has another size (size-mismatch) or
    another content (checksum-mismatch), is not in the manifest (unexpected) or cannot be read
    (unreadable). A summary follows.

    Exit codes: 0 if all files are ok, 1 if not, 2 if the manifest is invalid or has no rows, 73 if
    the archive cannot be opened, 74 if the findings cannot be written.
    """
    rows = _read_rows(line for file in manifest or [sys.stdin.buffer] for line in file)
    try:
        counts: Counter[str] = Counter()
        store = AudioStore(media_path)
        for finding in _compare(store, rows, size_only=size_only, one_way=one_way):
            counts[finding.name] += 1
            if finding.name != "ok" or show_all:
                click.echo(f"{finding.name:17} {_printable(finding.path)}{finding.detail}")
        summary = ", ".join(f"{counts[name]:,} {name}" for name in ("ok", *FAILURES))
        click.echo(f"{summary}; {rows.count(None):,} without a file")
    except StorageError as error:
        message = _printable(str(error))
        click.echo(f"{message}. Check --media-path and the storage's credentials.", err=True)
        sys.exit(os.EX_CANTCREAT)
    except OSError as error:
        # Discard what is buffered. Otherwise it would fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        click.echo(f"Cannot write to standard output: {error.strerror}.", err=True)
        sys.exit(os.EX_IOERR)
    sys.exit(1 if any(counts[name] for name in FAILURES) else 0)


def _read_rows(lines: Iterable[bytes]) -> list[StoredRow | None]:
    """Return the last row of each recording, or None for a recording without a file.

    The lines are rows in JSON, or Singer messages. Messages without a record are ignored, as are
    records of the stream `recordings`.
    """
    rows: dict[t.Any, StoredRow | None] = {}
    try:
        for number, line in enumerate(lines, start=1):  # noqa: B007 - for the error
            if not line.strip():
                continue
            row = msgspec.json.decode(line.removeprefix(codecs.BOM_UTF8))
            if "record" in row:
                if row.get("stream") == "recordings":
                    continue
                row = row["record"]
            elif row.get("type") in ("SCHEMA", "STATE", "BATCH"):
                continue
            is_stored = row["status"] == "stored"
            rows[row[KEY]] = msgspec.convert(row, StoredRow) if is_stored else None
        # Without rows, the query probably failed. With --one-way, everything would seem to be ok.
        error = None if rows else "it has no row of recording_media"
    except OSError as failure:
        error = f"cannot be read: {failure.strerror}"
    except (msgspec.DecodeError, ValueError, RecursionError, TypeError, KeyError, AttributeError):
        error = f"line {number} is not a row of recording_media"
    if error:
        raise click.BadParameter(error, param_hint="MANIFEST")
    return list(rows.values())


def _compare(
    store: AudioStore, rows: Iterable[StoredRow | None], *, size_only: bool, one_way: bool
) -> Iterator[Finding]:
    sizes = dict(store.list_files())
    for row in filter(None, rows):
        path = path_from_uri(row.uri)
        size = sizes.pop(path, None)
        if size is None:
            yield Finding("missing", path)
        elif size != row.sizeInBytes:
            yield Finding("size-mismatch", path, f": {size:,} bytes instead of {row.sizeInBytes:,}")
        else:
            try:
                is_ok = size_only or store.checksum(path).sha256 == row.sha256
            except StorageError as error:
                yield Finding("unreadable", path, f": {_printable(error.reason)}")
            else:
                yield Finding("ok" if is_ok else "checksum-mismatch", path)
    if not one_way:
        yield from (Finding("unexpected", path) for path in sizes)


def _printable(text: str) -> str:
    r"""Return printable ASCII, with escapes such as `\n` for other characters, and shortened.

    Names and messages from a store or a manifest may contain terminal control sequences.
    """
    escaped = text.encode("unicode_escape").decode("ascii")
    if len(escaped) <= MAX_PRINTED_LENGTH:
        return escaped
    return f"{escaped[:MAX_PRINTED_LENGTH]}... ({len(text):,} characters)"
