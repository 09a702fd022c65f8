"""Compare the files of an archive with its manifest, day by day, with several reads at once."""

from __future__ import annotations

import random
import typing as t
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime, timezone
from heapq import merge
from itertools import groupby

from tap_focus.archive.stores.interface import UNKNOWN_SIZE
from tap_focus.errors import StorageError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_focus.archive.stores.interface import AudioStore
    from tap_focus.archive.verification.manifest import ListedFile, Manifest

FAILURES = {
    "missing": "The manifest lists the file, but it does not exist.",
    "lost": "The file does not exist. Only an earlier row has the recording as stored.",
    "size-mismatch": "The file has another size.",
    "checksum-mismatch": "The file has the same size but another content.",
    "conflict": "Rows describe the file differently, or its name does not belong to the recording.",
    "unexpected": "The file is not in the manifest.",
    "unreadable": "The file or its folder cannot be read.",
    "unattested": "The storage has recorded no checksum. The option --attested needs one.",
}
"""Findings that fail the verification, with their meaning, in the order of the summary."""

NOTICES = {
    "expired": "The file is gone, after the end of its retention.",
    "past-retention": "The file still exists after the end of its retention.",
}
"""Findings that do not fail it."""

FINDINGS = FAILURES | {
    name: f"{meaning} Does not fail the verification." for name, meaning in NOTICES.items()
}
"""All findings with their meaning, for the help, the report and `docs/audio-archive.md`."""

MAX_WAITING_READS = 1000
"""Files that may wait for the result of an earlier file. Findings are in the order of paths."""

MAX_LISTED_AHEAD = 50_000
"""Names of files in folders that are listed before they are needed."""

POLL_INTERVAL = 0.2
"""Seconds between two calls of `on_wait`."""


class Finding(t.NamedTuple):
    """The result for one file: `ok`, or one of `FINDINGS`.

    Attributes:
        name: the kind of finding.
        path: path in the archive.
        detail: what differs; may be empty.
        size: bytes in the archive, if the file exists.
        was_read: the content was compared, not only the size.
    """

    name: str
    path: str
    detail: str = ""
    size: int = 0
    was_read: bool = False


class DayEnd(t.NamedTuple):
    """All findings of a day, such as `2025/05/01`, have been returned."""

    day: str


class Check(t.NamedTuple):
    """What is compared.

    Attributes:
        content: `read` compares the SHA-256 of the content, `attested` the SHA-256 that the store
            has recorded, and `size` nothing but the size.
        share: share of the files whose content is compared, chosen at random.
        one_way: files that are not in the manifest are ignored.
        first, last: range of days, such as `2025/05/01`; empty for no limit.
    """

    content: t.Literal["read", "attested", "size"] = "read"
    share: float = 1
    one_way: bool = False
    first: str = ""
    last: str = ""

    @property
    def has_range(self) -> bool:
        """Whether only some days are compared."""
        return bool(self.first or self.last)

    def contains(self, day: str) -> bool:
        """Return whether a day is in the range."""
        return self.first <= day and (not self.last or day <= self.last)


class _Expected(t.NamedTuple):
    """A listed file: its path, its size if it exists, and the read of its content, if any."""

    file: ListedFile
    path: str
    size: int | None
    content: Future[tuple[int, str | None]] | None


class Comparison:
    """Compares a store with a manifest. Only the reads and listings run in other threads."""

    def __init__(
        self,
        store: AudioStore,
        manifest: Manifest,
        check: Check,
        concurrency: int,
        on_wait: Callable[[], None],
    ) -> None:
        self._store = store
        self._manifest = manifest
        self._check = check
        self._on_wait = on_wait
        self._concurrency = concurrency
        self._pool = ThreadPoolExecutor(concurrency, "verify")
        self._random = random.SystemRandom()
        self._now = datetime.now(timezone.utc).replace(tzinfo=None).isoformat()

    def close(self) -> None:
        """Cancel the reads that have not started."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def findings(self) -> Iterator[Finding | DayEnd]:
        """Yield the findings in the order of days, and the end of each day.

        Raises:
            StorageError: the archive cannot be listed.
        """
        waiting: deque[_Expected | Finding | DayEnd] = deque()
        for item in self._expected():
            waiting.append(item)
            while len(waiting) > MAX_WAITING_READS:
                yield from self._finish(waiting.popleft())
        while waiting:
            yield from self._finish(waiting.popleft())
        if not self._check.one_way and not self._check.has_range:
            for path in self._store.list_unexpected():
                self._on_wait()
                yield Finding("unexpected", path)

    def _expected(self) -> Iterator[_Expected | Finding | DayEnd]:
        """Yield the files of the manifest and the unexpected files, and start the reads."""
        for day, listing in self._listings():
            sizes: dict[str, int] = {}
            reason = ""
            try:
                sizes = self._result(listing) if listing else {}
            except StorageError as error:
                reason = error.reason
            is_listed = False
            for file in self._manifest.files(day):
                is_listed = True
                path = f"{day}/{file.name}" if day else file.name
                if reason:
                    yield Finding("unreadable", path, f"its folder cannot be listed: {reason}")
                else:
                    size = sizes.pop(file.name, None)
                    yield _Expected(file, path, size, self._start_read(file, path, size))
            if reason and not is_listed:
                yield Finding("unreadable", day, reason)
            if not self._check.one_way:
                for name in sorted(sizes):
                    yield Finding("unexpected", f"{day}/{name}", size=max(sizes[name], 0))
            yield DayEnd(day)

    def _listings(self) -> Iterator[tuple[str, Future[dict[str, int]] | None]]:
        """Yield the days of manifest and store with their listings, some of them in advance."""
        days = (day for day, _ in groupby(merge(self._manifest.days(), self._store.list_days())))
        started: deque[tuple[str, Future[dict[str, int]] | None]] = deque()
        for day in filter(self._check.contains, days):
            started.append((day, self._pool.submit(self._store.list_day, day) if day else None))
            while len(started) > self._concurrency or self._is_much(started):
                yield started.popleft()
        yield from started

    @staticmethod
    def _is_much(started: deque[tuple[str, Future[dict[str, int]] | None]]) -> bool:
        names = 0
        for _, listing in started:
            if listing and listing.done() and not listing.exception():
                names += len(listing.result())
        return names > MAX_LISTED_AHEAD

    def _start_read(
        self, file: ListedFile, path: str, size: int | None
    ) -> Future[tuple[int, str | None]] | None:
        """Start to read a file whose content is worth comparing."""
        is_candidate = size in {size for size, _ in file.contents} or len(file.contents) > 1
        if (
            size is None
            or size == UNKNOWN_SIZE
            or not is_candidate
            or self._check.content == "size"
        ):
            return None
        if self._check.share < 1 and self._random.random() >= self._check.share:
            return None
        return self._pool.submit(self._read, path, size)

    def _read(self, path: str, size: int) -> tuple[int, str | None]:
        if self._check.content == "attested":
            return size, self._store.recorded_checksum(path)
        return self._store.checksum(path)

    def _finish(self, item: _Expected | Finding | DayEnd) -> Iterator[Finding | DayEnd]:
        """Yield the findings for a file."""
        self._on_wait()
        if not isinstance(item, _Expected):
            yield item
            return
        file, path, size = item.file, item.path, item.size
        if size is None:
            yield self._gone(file, path)
            return
        if size == UNKNOWN_SIZE:
            yield Finding("unreadable", path, "it cannot be examined")
            return
        yield self._compare(item, size)
        if file.retain_until and file.retain_until <= self._now and not file.has_hold:
            detail = f"until {file.retain_until}"
            if file.locked_until and file.locked_until > self._now:
                detail += f", locked until {file.locked_until}"
            yield Finding("past-retention", path, detail)

    def _gone(self, file: ListedFile, path: str) -> Finding:
        """Return the finding for a file that does not exist."""
        until = file.retain_until and max(file.retain_until, file.locked_until or "")
        if until and until <= self._now and not file.has_hold:
            return Finding("expired", path, f"retained until {until}")
        if not file.is_stored:
            return Finding("lost", path, "an earlier row of the recording has it as stored")
        return Finding("missing", path)

    def _compare(self, item: _Expected, size: int) -> Finding:
        """Return the finding for a file that exists."""
        file, path = item.file, item.path
        sha256: str | None = None
        if item.content:
            try:
                size, sha256 = self._result(item.content)
            except StorageError as error:
                return Finding("unreadable", path, error.reason, size)
        was_read = sha256 is not None
        name, detail = self._judge(file, size, sha256)
        if name == "ok" and item.content and not was_read:
            name, detail = "unattested", "the store has recorded no checksum"
        return Finding(name, path, detail, size, was_read)

    @staticmethod
    def _judge(file: ListedFile, size: int, sha256: str | None) -> tuple[str, str]:
        """Return name and detail of the finding for a content, whose SHA-256 may be unknown."""
        expected_size, expected_sha256 = file.contents[0]
        if not file.is_own:
            return "conflict", "the archive does not give this name to the file of the recording"
        if len(file.contents) > 1:
            return "conflict", _conflict(file, size, sha256)
        if size != expected_size:
            return "size-mismatch", f"{size:,} bytes instead of {expected_size:,}"
        if sha256 not in {None, expected_sha256}:
            return "checksum-mismatch", ""
        return "ok", ""

    def _result(self, future: Future[t.Any]) -> t.Any:
        """Wait for a result, and call `on_wait` several times a second."""
        while not wait([future], timeout=POLL_INTERVAL).done:
            self._on_wait()
        return future.result()


def _conflict(file: ListedFile, size: int, sha256: str | None) -> str:
    """Describe the different contents in the rows of a file, and which one it has."""
    claims = " and ".join(f"{size:,} bytes with {sha256:.16}" for size, sha256 in file.contents)
    actual = f"{size:,} bytes" + (f" with {sha256:.16}" if sha256 else "")
    return f"the rows of the manifest say {claims}; the file has {actual}"
