"""The rows of `recording_media`, in a temporary database that takes little memory."""

from __future__ import annotations

import codecs
import hashlib
import re
import sqlite3
import typing as t
from collections import Counter
from contextlib import contextmanager
from itertools import groupby
from tempfile import NamedTemporaryFile

import msgspec
from typing_extensions import Self

from tap_focus.archive.naming import UNKNOWN_DAY, parse_file_name, path_from_uri
from tap_focus.archive.verification.manifest_row import decode_line, decode_recording, decode_row

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_LINE_BYTES = 64 * 1024 * 1024
"""Longest line of a manifest. A recording has at most 16 MiB."""

CACHE_KIB = 64 * 1024
"""Memory of the database. The rest is in a temporary file."""

MAX_CONTENTS = 3
"""Different descriptions of one file that are kept."""

STATUSES = ("stored", "not_permitted", "not_found", "failed")
NOT_TRIED = "not_tried"
"""Recordings of the feed that have no row in the manifest."""

_FILE_PATH = re.compile(r"([0-9]{4}/[0-9]{2}/[0-9]{2})/([^/]+)")

_TABLES = """
CREATE TABLE recording (
    key TEXT PRIMARY KEY, day TEXT, status TEXT, fetched TEXT, retain_until TEXT, locked_until TEXT,
    has_hold INTEGER
) WITHOUT ROWID;
CREATE TABLE file (
    day TEXT, name TEXT, size INTEGER, sha256 TEXT, key TEXT, is_own INTEGER,
    PRIMARY KEY (day, name, size, sha256, key)
) WITHOUT ROWID;
CREATE TABLE feed (key TEXT PRIMARY KEY, day TEXT) WITHOUT ROWID;
"""
_ADD_RECORDING = """
INSERT INTO recording VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    day = excluded.day, status = excluded.status, fetched = excluded.fetched,
    retain_until = excluded.retain_until, locked_until = excluded.locked_until,
    has_hold = excluded.has_hold
WHERE CASE WHEN excluded.fetched <> fetched THEN excluded.fetched > fetched ELSE 1 END
"""
_ADD_FILE = "INSERT OR IGNORE INTO file VALUES (?, ?, ?, ?, ?, ?)"
_ADD_TO_FEED = "INSERT OR REPLACE INTO feed VALUES (?, ?)"
_FILES = """
SELECT name, size, sha256, is_own, status, retain_until, locked_until, has_hold
FROM file JOIN recording USING (key) WHERE file.day = ? ORDER BY name
"""
_NOT_TRIED = """
SELECT feed.day, ? FROM feed LEFT JOIN recording USING (key) WHERE recording.key IS NULL
"""


class InvalidManifestError(Exception):
    """A file of rows cannot be read.

    Attributes:
        param_hint: the argument of the command that names the file.
    """

    def __init__(self, reason: str, stream: str) -> None:
        super().__init__(reason)
        self.param_hint = "--recordings" if stream == "recordings" else "MANIFEST"


class ListedFile(t.NamedTuple):
    """A file of the archive as the rows of the manifest describe it.

    Attributes:
        name: name in the folder of its day.
        contents: size and SHA-256 of each different description, usually one, up to MAX_CONTENTS.
        is_own: the name is the one that the archive gives to the recording's file.
        is_stored: the last row of the recording has the status `stored`.
        retain_until, locked_until: dates of the last row, in UTC as text. None means indefinitely.
        has_hold: the last row has a legal hold.
    """

    name: str
    contents: list[tuple[int, str]]
    is_own: bool
    is_stored: bool
    retain_until: str | None
    locked_until: str | None
    has_hold: bool


class Manifest:
    """All rows of one or more manifests, in any order.

    The last row of a recording counts, by `fetchedAt`, or else by the order of lines. The files of
    all its rows are kept. The database is in a temporary file without a name, so that no signal can
    leave it behind. Use an instance in one thread only.

    Attributes:
        lines: number of lines that were read.
        has_feed: recordings were added.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.has_feed = False
        with NamedTemporaryFile(prefix="tap-focus-manifest-") as file:
            self._db = sqlite3.connect(file.name, isolation_level=None)
            for setting in ("journal_mode = OFF", "synchronous = OFF", "temp_store = FILE"):
                self._db.execute(f"PRAGMA {setting}")
            self._db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            self._db.executescript(f"BEGIN; {_TABLES}")
            self._db.execute("PRAGMA journal_mode")  # the file is open now and can lose its name

    def __enter__(self) -> Self:
        """Return the manifest."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the database."""
        self._db.close()

    def add_rows(self, file: t.IO[bytes], *, on_line: Callable[[], None]) -> str:
        """Add the rows of a manifest, JSON lines or Singer messages, and return its SHA-256.

        Messages without a record and records of the stream `recordings` are ignored.

        Raises:
            InvalidManifestError: a line is not a row, or the file cannot be read.
        """
        return self._add(file, "recording_media", "recordings", self._add_row, on_line)

    def add_feed(self, file: t.IO[bytes], *, on_line: Callable[[], None]) -> str:
        """Add rows or Singer messages of the stream `recordings`, and return their SHA-256.

        Raises:
            InvalidManifestError: a line is not a row, or the file cannot be read.
        """
        self.has_feed = True
        return self._add(file, "recordings", "recording_media", self._add_recording, on_line)

    @property
    def is_empty(self) -> bool:
        """Whether no row was added."""
        return not self._db.execute("SELECT EXISTS (SELECT * FROM recording)").fetchone()[0]

    def days(self) -> Iterator[str]:
        """Yield the folders of the files in order. Paths outside such a folder have the day ''."""
        return (day for (day,) in self._db.execute("SELECT DISTINCT day FROM file ORDER BY day"))

    def files(self, day: str) -> Iterator[ListedFile]:
        """Yield the files of a folder in the order of their names."""
        rows = self._db.execute(_FILES, (day,))
        for name, group in groupby(rows, key=lambda row: row[0]):
            contents: dict[tuple[int, str], None] = {}
            is_own = True
            for row in group:
                _, size, sha256, is_own_row, status, retain_until, locked_until, has_hold = row
                is_own = is_own and bool(is_own_row)
                if len(contents) < MAX_CONTENTS:
                    contents[size, sha256] = None
            yield ListedFile(
                name,
                [*contents],
                is_own,
                status == "stored",
                retain_until,
                locked_until,
                bool(has_hold),
            )

    def count_statuses(self) -> Counter[tuple[str, str]]:
        """Count the recordings by day and status. `not_tried` needs the feed."""
        counts: Counter[tuple[str, str]] = Counter()
        counts.update(self._db.execute("SELECT day, status FROM recording"))
        counts.update(self._db.execute(_NOT_TRIED, (NOT_TRIED,)))
        return counts

    def _add(
        self,
        file: t.IO[bytes],
        stream: str,
        other: str,
        add: Callable[[msgspec.Raw | bytes], None],
        on_line: Callable[[], None],
    ) -> str:
        digest, number = hashlib.sha256(), 0
        with _readable(stream, lambda: number):
            for line in iter(lambda: file.readline(MAX_LINE_BYTES), b""):
                number += 1
                self.lines += 1
                digest.update(line)
                on_line()
                if not line.strip():
                    continue
                data = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                if row := decode_line(data, other_stream=other):
                    add(row)
        return digest.hexdigest()

    def _add_recording(self, data: msgspec.Raw | bytes) -> None:
        recording = decode_recording(data)
        day, _ = recording.stem()
        self._db.execute(_ADD_TO_FEED, (str(int(recording.interactionId)), day))

    def _add_row(self, data: msgspec.Raw | bytes) -> None:
        row = decode_row(data)
        key = str(int(row.interactionId))
        recording_day, own_name = row.stem()
        for file in row.files():
            path = path_from_uri(file.uri)
            match = _FILE_PATH.fullmatch(path)
            day, name = match.groups() if match else ("", path)
            parts = parse_file_name(name)
            is_own = parts is not None and parts.interaction == own_name
            values = (day, name, file.sizeInBytes, file.sha256.lower(), key, is_own)
            self._db.execute(_ADD_FILE, values)
            if recording_day == UNKNOWN_DAY and day:
                recording_day = day
        entry = (key, recording_day, row.status, *row.dates(), row.has_hold())
        self._db.execute(_ADD_RECORDING, entry)


@contextmanager
def _readable(stream: str, number: Callable[[], int]) -> Iterator[None]:
    """Raise the errors of a file, and of line `number()`, as InvalidManifestError."""
    try:
        yield
    except OSError as error:
        raise InvalidManifestError(f"cannot be read: {error.strerror}", stream) from error
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as error:
        raise InvalidManifestError(f"line {number()} is not a row of {stream}", stream) from error
