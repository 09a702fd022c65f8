"""Base class of all stores: finds files by listing folders, and creates the marker file."""

from __future__ import annotations

import abc
import logging
import re
import typing as t
from bisect import bisect_left
from collections import OrderedDict
from threading import RLock

from typing_extensions import override

from tap_focus.archive.naming import adjacent_days, parse_file_name
from tap_focus.archive.stores.interface import OPEN, READ, AudioStore, StoredFile
from tap_focus.archive.stores.marker import MARKER_NAME, Marker, check_marker, new_marker
from tap_focus.errors import FileUnreadableError, StorageError

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

logger = logging.getLogger("tap-focus.media")

MAX_CACHED_NAMES = 50_000
"""Names of files that a store keeps in memory, about 10 MB. A larger day is kept all the same."""

MIN_CACHED_DAYS, MAX_CACHED_DAYS = 3, 1000
"""A recording is searched in the folders of three days."""

_PARTS = tuple(re.compile(pattern) for pattern in ("[0-9]{4}/", "[0-9]{2}/", "[0-9]{2}/"))


class Day:
    """The names of the audio files in a folder, sorted."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = sorted(name for name in names if parse_file_name(name))

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._names)

    def add(self, name: str) -> None:
        """Add a name, unless it is known."""
        position = bisect_left(self._names, name)
        if self._names[position : position + 1] != [name]:
            self._names.insert(position, name)

    def names_of(self, interaction: str) -> list[tuple[int, str]]:
        """Return version and name of each file of a recording."""
        # Names such as 1-2.mp3 and 1.mp3 are adjacent, since "-", "." and "/" are in ASCII, too.
        first = bisect_left(self._names, f"{interaction}-")
        last = bisect_left(self._names, f"{interaction}/")
        parsed = [(parse_file_name(name), name) for name in self._names[first:last]]
        return [(p.version, name) for p, name in parsed if p and p.interaction == interaction]


class ListedStore(AudioStore):
    """A store that finds files by listing folders."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._days: OrderedDict[str, Day] = OrderedDict()
        self._cached_names = 0
        self._has_warned = False

    # What a kind of storage implements

    @abc.abstractmethod
    def _list(self, folder: str) -> Iterator[tuple[str, int]]:
        """Yield name and size of each file, and the names of subfolders with a final slash.

        A missing folder is empty. The store's own files are omitted, except the marker.
        """

    @abc.abstractmethod
    def _examine(self, path: str) -> StoredFile | None:
        """Return a file, or None if it does not exist or is empty.

        Raises:
            FileUnreadableError: it cannot be examined. The caller finds out whether others can.
        """

    @abc.abstractmethod
    def _read_marker(self) -> Marker | None:
        """Return the marker, or None if there is no such file."""

    @abc.abstractmethod
    def _create_marker(self, marker: Marker) -> None:
        """Store the marker, unless another run has done it in the meantime."""

    def _load_day(self, day: str) -> Day:
        """List a folder for the cache."""
        return Day(name for name, size in self._list(day) if size)

    # The interface

    @override
    def open(self, account: str, *, has_bookmark: bool) -> None:
        marker = self._read_marker()
        if not marker and has_bookmark:
            reason = (
                f"there is no {MARKER_NAME}. Is it mounted? Only a run without a bookmark, or "
                "tap-focus-media fetch --create, starts a new archive"
            )
            raise StorageError(OPEN, reason)
        if not marker:
            self._create_marker(new_marker(account))
            marker = self._read_marker()
        if not marker:
            raise StorageError(OPEN, f"{MARKER_NAME} cannot be read after it was written")
        check_marker(marker, account)

    @override
    def find(self, stem: str) -> list[StoredFile]:
        files = []
        for paths in self._candidates(stem).values():
            examined = [file for file in map(self._examine_one, paths) if file]
            existing = [file for file in examined if not file.is_missing]
            if len(existing) > 1 and not self._has_warned:
                self._has_warned = True
                logger.warning(
                    "media_path has several files of one recording, %s and %s. The first one "
                    "counts. Further cases are not logged",
                    *(file.path for file in existing[:2]),
                )
            files += (existing or examined)[:1]
        return files

    @override
    def account(self) -> str | None:
        marker = self._read_marker()
        return marker.account if marker else None

    @override
    def list_days(self) -> Iterator[str]:
        return (path.rstrip("/") for path, is_day in self._walk() if is_day)

    @override
    def list_unexpected(self) -> Iterator[str]:
        return (path for path, is_day in self._walk() if not is_day)

    @override
    def list_day(self, day: str) -> dict[str, int]:
        return {
            name: size
            for name, size in self._list(day)
            if not name.endswith("/") or self._contains_something(f"{day}/{name}")
        }

    def _walk(self, folder: str = "", depth: int = 0) -> Iterator[tuple[str, bool]]:
        """Yield the folders of days, and all that is not on the way to them, in order."""
        is_empty = True
        for name, _ in sorted(self._list(folder.rstrip("/"))):
            is_empty = False
            path = folder + name
            if _PARTS[depth].fullmatch(name):
                if depth == len(_PARTS) - 1:
                    yield path, True
                else:
                    yield from self._walk(path, depth + 1)
            elif path != MARKER_NAME and (not name.endswith("/") or self._contains_something(path)):
                yield path, False
        if is_empty and not folder:
            raise StorageError(READ, "it is empty or does not exist")

    def _contains_something(self, folder: str) -> bool:
        """Return whether a folder is more than a name, such as a folder marker in a bucket.

        A folder that cannot be listed is: it does not belong to the archive.
        """
        try:
            return any(True for _ in self._list(folder.rstrip("/")))
        except StorageError:
            return True

    def _examine_one(self, path: str) -> StoredFile | None:
        """Examine a file. A failure concerns this file only if the marker can still be read."""
        try:
            return self._examine(path)
        except FileUnreadableError:
            self._read_marker()
            raise

    def _candidates(self, stem: str) -> dict[int, list[str]]:
        """Return the paths of a recording's files by version, in the order in which they count."""
        day, _, interaction = stem.rpartition("/")
        with self._lock:
            names = [
                (version, name, f"{folder}/{name}")
                for folder in adjacent_days(day)
                for version, name in self._day(folder).names_of(interaction)
            ]
        names.sort(key=lambda found: found[:2])  # stable: the recording's own day first
        candidates: dict[int, list[str]] = {}
        for version, _, path in names:
            candidates.setdefault(version, []).append(path)
        return candidates

    def _day(self, day: str) -> Day:
        """Return a folder from the cache. The caller has the lock."""
        if day in self._days:
            self._days.move_to_end(day)
            return self._days[day]
        self._days[day] = loaded = self._load_day(day)
        self._cached_names += len(loaded)
        while len(self._days) > MIN_CACHED_DAYS and (
            self._cached_names > MAX_CACHED_NAMES or len(self._days) > MAX_CACHED_DAYS
        ):
            _, oldest = self._days.popitem(last=False)
            self._cached_names -= len(oldest)
        return loaded

    def _remember(self, path: str) -> None:
        """Add a new file to the cache. The caller has the lock."""
        day, _, name = path.rpartition("/")
        if day in self._days:
            before = len(self._days[day])
            self._days[day].add(name)
            self._cached_names += len(self._days[day]) - before
