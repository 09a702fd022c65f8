"""The result of a verification: what was compared, and the numbers of each day."""

from __future__ import annotations

import re
import typing as t
from collections import Counter
from contextlib import suppress
from datetime import datetime, timezone
from importlib.metadata import version
from tempfile import TemporaryFile

import msgspec
from typing_extensions import Self

from tap_focus.archive.printable import printable
from tap_focus.archive.verification.comparison import FAILURES, FINDINGS, Check, Finding
from tap_focus.archive.verification.manifest import NOT_TRIED, STATUSES

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OUTSIDE = "outside"
"""Day of files that are outside the folders of days."""

_DAY = re.compile(r"([0-9]{4}/[0-9]{2}/[0-9]{2})(?:/|\Z)")

_PROOF = {
    "read": "The content of {files} was read and has the SHA-256 that the manifest states.",
    "attested": (
        "For {files}, the storage states the SHA-256 that the manifest states. The content was not "
        "read: this is a weaker check, which relies on the storage."
    ),
    "size": "The content of the files was not compared.",
}
LIMITS = (
    (
        "The recordings are those that Focus showed to one service user. Focus omits the "
        "recordings that this user has no right to see, and does not announce deletions."
    ),
    "The SHA-256 was computed during the download. Changes before the download are not visible.",
    "The manifest is taken as true. Compare its SHA-256 with one that was kept elsewhere.",
)
"""What no verification proves."""


class DayCounts(msgspec.Struct):
    """Numbers of one day: of recordings by the manifest, then of files in the archive."""

    stored: int = 0
    not_permitted: int = 0
    not_found: int = 0
    failed: int = 0
    not_tried: int = 0
    ok: int = 0
    expired: int = 0
    past_retention: int = 0
    failures: int = 0
    bytes: int = 0

    @property
    def recordings(self) -> int:
        """Recordings in the manifest and in the feed, if it was given."""
        return sum(getattr(self, status) for status in (*STATUSES, NOT_TRIED))

    def add(self, other: DayCounts) -> None:
        """Add the numbers of another day."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class About(msgspec.Struct, kw_only=True):
    """What was verified, when and how.

    Attributes:
        check: what was compared.
        started, ended: UTC date-times.
        version: of tap-focus.
        archive: URI.
        account: from the archive's marker file; empty if it is missing.
        manifests, recordings: name and SHA-256 of each file that was read.
        files_read: files whose content was compared.
    """

    check: Check
    started: str
    ended: str = ""
    version: str = msgspec.field(default_factory=lambda: version("tap-focus"))
    archive: str = ""
    account: str = ""
    manifests: list[tuple[str, str]] = []
    recordings: list[tuple[str, str]] = []
    files_read: int = 0


def now() -> str:
    """Return the time in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


class Result:
    """Counts of a verification, and its findings in a temporary file.

    Attributes:
        days: numbers by day, such as `2025/05/01`.
        counts: files by finding.
        files_read: files whose content was compared.
    """

    def __init__(self, check: Check) -> None:
        self.days: dict[str, DayCounts] = {}
        self.counts: Counter[str] = Counter()
        self.files_read = 0
        self._check = check
        self._log = TemporaryFile(prefix="tap-focus-findings-")  # noqa: SIM115 - closed at the end

    def __enter__(self) -> Self:
        """Return the result."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the temporary file."""
        with suppress(OSError):  # close() flushes, which fails again on a full disk
            self._log.close()

    def add(self, finding: Finding) -> None:
        """Count a finding, and keep it unless it is `ok`."""
        name, match = finding.name, _DAY.match(finding.path)
        day = self._day(match[1] if match else OUTSIDE)
        self.counts[name] += 1
        self.files_read += finding.was_read
        day.bytes += finding.size
        if name in FAILURES:
            day.failures += 1
        else:
            attribute = name.replace("-", "_")
            setattr(day, attribute, getattr(day, attribute) + 1)
        if name != "ok":
            texts = (name, printable(finding.path), printable(finding.detail))
            self._log.write(msgspec.json.encode(texts) + b"\n")

    def add_statuses(self, counts: Counter[tuple[str, str]]) -> None:
        """Add the numbers of recordings by day and status."""
        for (day, status), count in counts.items():
            if self._check.contains(day):
                setattr(self._day(day), status, count)

    @property
    def total(self) -> DayCounts:
        """The sum of all days."""
        total = DayCounts()
        for day in self.days.values():
            total.add(day)
        return total

    @property
    def listed_files(self) -> int:
        """Number of files in the manifest."""
        others = {"unexpected", "past-retention"}
        return sum(count for name, count in self.counts.items() if name not in others)

    @property
    def failures(self) -> int:
        """Number of findings that fail the verification."""
        return sum(self.counts[name] for name in FAILURES)

    def findings(self, names: Iterable[str] = tuple(FINDINGS)) -> Iterator[Finding]:
        """Yield the findings, except `ok`, as printable text, in the order of `names`."""
        for wanted in names:
            if self.counts[wanted]:
                self._log.seek(0)
                for line in self._log:
                    name, path, detail = msgspec.json.decode(line)
                    if name == wanted:
                        yield Finding(name, path, detail)

    def conclusion(self) -> str:
        """Return the result as a sentence."""
        files = f"{self.listed_files:,} {'file' if self.listed_files == 1 else 'files'}"
        if self.failures:
            plural = "finding" if self.failures == 1 else "findings"
            return f"Failed: {self.failures:,} {plural} in an archive of {files}."
        if not self.listed_files:
            return "Nothing was verified: the manifest lists no file."
        return f"Passed: {files} of the manifest, no finding that fails the verification."

    def proof(self, about: About) -> str:
        """Return what is proved about the content of the files without a finding."""
        files = f"{about.files_read:,} {'file' if about.files_read == 1 else 'files'}"
        if about.check.share < 1:
            files += ", chosen at random,"
        return _PROOF[about.check.content].format(files=files)

    def _day(self, day: str) -> DayCounts:
        return self.days.setdefault(day, DayCounts())
