from __future__ import annotations

import errno
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tap_focus.archive.stores.local import LocalStore
from tap_focus.archive.verification.cli import main
from tap_focus.archive.verification.comparison import FINDINGS
from tap_focus.errors import FileUnreadableError, StorageError
from tests.helpers.assertions import count_words
from tests.helpers.permissions import permissions_apply

CONTENT = b"sound" * 1000
DAY = "2025/05/01"
PAST, FUTURE = "2025-06-01T00:00:00Z", "9999-12-31T23:59:59.9999999Z"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def row(interaction_id: int, **fields: Any) -> dict[str, Any]:
    return {
        "interactionId": interaction_id,
        "status": "stored",
        "uri": f"s3://bucket/calls/{DAY}/{interaction_id}.mp3",
        "sizeInBytes": len(CONTENT),
        "sha256": sha256(CONTENT),
        **fields,
    }


def gone(interaction_id: int, **fields: Any) -> dict[str, Any]:
    """The row of a recording whose file does not exist any more."""
    nothing = dict.fromkeys(("uri", "sizeInBytes", "sha256"))
    return row(interaction_id, **nothing, status="not_found", **fields)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive with the files of the recordings 1 to 3."""
    folder = tmp_path / "audio"
    (folder / DAY).mkdir(parents=True)
    for number in (1, 2, 3):
        (folder / DAY / f"{number}.mp3").write_bytes(CONTENT)
    return folder


def verify(archive: Path, *rows: dict[str, Any] | str, options: tuple[str, ...] = ()) -> Result:
    lines = [line if isinstance(line, str) else json.dumps(line) for line in rows]
    arguments = ["verify", "--media-path", str(archive), *options]
    return CliRunner().invoke(main, arguments, input="\n".join(lines))


def findings(result: Result) -> dict[str, str]:
    *lines, _ = result.stdout.splitlines()
    return {path.partition(": ")[0]: name for name, path in (line.split(None, 1) for line in lines)}


def summary(result: Result) -> dict[str, int]:
    return count_words(result.stdout.splitlines()[-1])


def test_a_complete_archive_is_ok(archive: Path) -> None:
    result = verify(archive, row(1), row(2), row(3), row(4, status="not_found"))

    assert result.exit_code == 0
    assert result.stdout == (
        "3 ok, 0 missing, 0 lost, 0 size-mismatch, 0 checksum-mismatch, 0 conflict, 0 unexpected, "
        "0 unreadable, 0 unattested; 0 expired, 0 past-retention; 1 without a file\n"
    )


def test_the_help_explains_each_finding() -> None:
    lines = CliRunner().invoke(main, ["verify", "--help"]).stdout.splitlines()

    for name, meaning in FINDINGS.items():
        assert any(line.split(None, 1)[:1] == [name] for line in lines)
        assert meaning in " ".join(" ".join(lines).split())


def test_each_fault_has_its_finding(archive: Path) -> None:
    (archive / DAY / "1.mp3").unlink()
    (archive / DAY / "2.mp3").write_bytes(CONTENT[:-1])
    (archive / DAY / "3.mp3").write_bytes(CONTENT[:-1] + b"!")
    (archive / DAY / "9.mp3").write_bytes(CONTENT)
    (archive / "notes.txt").write_bytes(CONTENT)

    result = verify(archive, row(1), row(2), row(3))

    assert result.exit_code == 1
    assert findings(result) == {
        f"{DAY}/1.mp3": "missing",
        f"{DAY}/2.mp3": "size-mismatch",
        f"{DAY}/3.mp3": "checksum-mismatch",
        f"{DAY}/9.mp3": "unexpected",
        "notes.txt": "unexpected",
    }
    assert "4,999 bytes instead of 5,000" in result.stdout


@pytest.mark.parametrize("error", [StorageError, FileUnreadableError])
def test_a_file_that_cannot_be_read_has_its_finding(
    archive: Path, monkeypatch: pytest.MonkeyPatch, error: type[StorageError]
) -> None:
    def refuse(*_: object) -> None:
        raise error("read a file", "Permission\x1bdenied")

    monkeypatch.setattr(LocalStore, "checksum", refuse)

    result = verify(archive, row(1), row(2), row(3))

    assert result.exit_code == 1
    assert set(findings(result).values()) == {"unreadable"}
    assert "Permission\\x1bdenied" in result.stdout


def test_the_files_of_a_folder_that_cannot_be_listed_are_unreadable_not_missing(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (archive / "2025/05/02").mkdir()

    def refuse(*_: object) -> None:
        raise StorageError("list a folder", "Permission denied")

    monkeypatch.setattr(LocalStore, "list_day", refuse)

    result = verify(archive, row(1))

    assert result.exit_code == 1
    assert findings(result) == {f"{DAY}/1.mp3": "unreadable", "2025/05/02": "unreadable"}


@pytest.mark.parametrize("path", [DAY, f"{DAY}/1.mp3"])
def test_what_must_not_be_read_is_unreadable(archive: Path, path: str) -> None:
    (archive / path).chmod(0)
    try:
        with permissions_apply():
            result = verify(archive, row(1), options=("--one-way",))
    finally:
        (archive / path).chmod(0o700)

    assert (result.exit_code, findings(result)) == (1, {f"{DAY}/1.mp3": "unreadable"})


def test_a_foreign_folder_that_must_not_be_read_is_unexpected(archive: Path) -> None:
    (archive / "private").mkdir(mode=0)

    with permissions_apply():
        result = verify(archive, row(1), row(2), row(3))

    assert (result.exit_code, findings(result)) == (1, {"private/": "unexpected"})


# Several rows of one recording


@pytest.mark.parametrize("order", [1, -1])
def test_the_last_row_of_a_recording_counts_by_its_time(archive: Path, order: int) -> None:
    old = row(1, fetchedAt="2025-05-02T10:00:00.12+02:00")
    new = gone(1, fetchedAt="2025-05-02 08:00:00.123", retainUntil=PAST)

    result = verify(archive, *[old, new][::order], options=("--one-way",))

    assert result.exit_code == 0
    assert findings(result) == {f"{DAY}/1.mp3": "past-retention"}
    assert summary(result)["without"] == 1


def test_the_last_line_of_a_recording_counts_if_the_time_is_missing(archive: Path) -> None:
    rows = [row(1), gone(1)]

    results = [verify(archive, *rows[::order], options=("--one-way",)) for order in (1, -1)]

    assert [summary(result)["without"] for result in results] == [1, 0]


@pytest.mark.parametrize("fields", [{"sha256": "0" * 64}, {"sizeInBytes": 7}])
@pytest.mark.parametrize("order", [1, -1])
def test_rows_that_describe_a_file_differently_are_a_conflict(
    archive: Path, fields: dict[str, Any], order: int
) -> None:
    rows = [row(1), row(1, **fields)]

    result = verify(archive, *rows[::order], row(2), row(3))

    assert result.exit_code == 1
    assert findings(result) == {f"{DAY}/1.mp3": "conflict"}
    assert sha256(CONTENT)[:16] in result.stdout
    assert summary(result)["ok"] == 2


def test_an_altered_file_that_a_later_row_confirms_is_a_conflict(archive: Path) -> None:
    altered = CONTENT[:-1] + b"!"
    (archive / DAY / "1.mp3").write_bytes(altered)

    result = verify(archive, row(1), row(1, sha256=sha256(altered)), row(2), row(3))

    assert (result.exit_code, findings(result)) == (1, {f"{DAY}/1.mp3": "conflict"})


def test_rows_that_repeat_a_description_are_no_conflict(archive: Path) -> None:
    moved = row(1, uri=f"file:///disk/{DAY}/1.mp3", sha256=sha256(CONTENT).upper())

    assert verify(archive, row(1), moved, row(2), row(3)).exit_code == 0


def test_a_file_that_was_stored_once_and_is_gone_is_lost(archive: Path) -> None:
    (archive / DAY / "1.mp3").unlink()

    result = verify(archive, row(1), gone(1), row(2), row(3))

    assert (result.exit_code, findings(result)) == (1, {f"{DAY}/1.mp3": "lost"})


def test_a_failed_row_that_describes_the_missing_file_makes_it_lost(archive: Path) -> None:
    (archive / DAY / "1.mp3").unlink()

    result = verify(archive, row(1, status="failed"), row(2), row(3))

    assert (result.exit_code, findings(result)) == (1, {f"{DAY}/1.mp3": "lost"})


@pytest.mark.parametrize("as_text", [False, True])
def test_previous_files_are_part_of_the_archive(archive: Path, *, as_text: bool) -> None:
    longer = CONTENT * 2
    (archive / DAY / "1-2.mp3").write_bytes(longer)
    previous: Any = [row(1) | {"contentType": "audio/mpeg"}]
    new = {"sha256": sha256(longer), "sizeInBytes": len(longer), "uri": f"/x/{DAY}/1-2.mp3"}
    last = row(1, **new, previousFiles=json.dumps(previous) if as_text else previous)

    assert verify(archive, last, row(2), row(3)).exit_code == 0
    (archive / DAY / "1.mp3").write_bytes(b"x" * len(CONTENT))
    result = verify(archive, last, row(2), row(3))
    assert findings(result) == {f"{DAY}/1.mp3": "checksum-mismatch"}


@pytest.mark.parametrize("name", ["1.txt", "1.mp3_bad", "2.mp3", "1-1.mp3"])
def test_a_row_cannot_declare_another_file_the_audio_of_its_recording(
    archive: Path, name: str
) -> None:
    (archive / DAY / name).write_bytes(CONTENT)

    result = verify(archive, row(1, uri=f"s3://bucket/{DAY}/{name}"), options=("--one-way",))

    assert (result.exit_code, findings(result)) == (1, {f"{DAY}/{name}": "conflict"})


# Retention


def test_a_file_that_is_gone_after_its_retention_is_expired(archive: Path) -> None:
    (archive / DAY / "1.mp3").unlink()

    result = verify(archive, row(1, retainUntil=PAST), row(2), row(3))

    assert (result.exit_code, findings(result)) == (0, {f"{DAY}/1.mp3": "expired"})


@pytest.mark.parametrize(
    "fields",
    [
        {"retainUntil": FUTURE},
        {"retainUntil": None},
        {"retainUntil": "no date"},
        {"retainUntil": PAST, "legalHolds": [{"id": 5}]},
        {"retainUntil": PAST, "legalHolds": '["litigation"]'},
        {"retainUntil": PAST, "lockedUntil": FUTURE},
    ],
)
def test_a_file_that_is_gone_before_the_end_of_its_retention_is_missing(
    archive: Path, fields: dict[str, Any]
) -> None:
    (archive / DAY / "1.mp3").unlink()

    result = verify(archive, row(1, **fields), row(2), row(3))

    assert (result.exit_code, findings(result)) == (1, {f"{DAY}/1.mp3": "missing"})


def test_files_past_their_retention_are_listed_and_still_compared(archive: Path) -> None:
    locked = row(2, retainUntil=PAST, lockedUntil=FUTURE, legalHolds=[])
    held = row(3, retainUntil=PAST, legalHolds={"case": 1})

    result = verify(archive, row(1, retainUntil=PAST), locked, held)

    assert result.exit_code == 0
    assert findings(result) == {f"{DAY}/{n}.mp3": "past-retention" for n in (1, 2)}
    assert "locked until 9999" in result.stdout
    assert summary(result)["ok"] == 3


# Options


def test_size_only_reads_no_file(archive: Path) -> None:
    (archive / DAY / "1.mp3").write_bytes(bytes(len(CONTENT)))

    assert verify(archive, row(1), row(2), row(3), options=("--size-only",)).exit_code == 0


def test_one_way_ignores_unexpected_files(archive: Path) -> None:
    (archive / "notes.txt").write_bytes(CONTENT)

    assert verify(archive, row(1), options=("--one-way",)).exit_code == 0
    assert verify(archive, row(1)).exit_code == 1


def test_attested_compares_the_recorded_checksum_and_reads_no_file(archive: Path) -> None:
    lines = [f"{sha256(CONTENT)}  1.mp3\n", f"{'0' * 64}  2.mp3\n"]
    (archive / DAY / "SHA256SUMS").write_text("".join(lines))
    for number in (1, 2, 3):
        (archive / DAY / f"{number}.mp3").write_bytes(bytes(len(CONTENT)))

    result = verify(archive, row(1), row(2), row(3), options=("--attested",))

    assert result.exit_code == 1
    assert findings(result) == {
        f"{DAY}/2.mp3": "checksum-mismatch",
        f"{DAY}/3.mp3": "unattested",
    }


def test_a_range_of_days_is_compared(archive: Path) -> None:
    for day in ("2025/04/30", "2025/05/02", "2025/05/03"):
        (archive / day).mkdir(parents=True)
        (archive / day / "9.mp3").write_bytes(b"unexpected")

    result = verify(
        archive, row(1), row(2), row(3), options=("--from", "2025-05-01", "--to", "2025/05/02")
    )

    assert findings(result) == {"2025/05/02/9.mp3": "unexpected"}
    assert summary(result)["ok"] == 3


def test_a_sample_reads_some_files_and_lists_all(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    rows = [row(number) for number in range(1, 401)]
    for number in range(1, 401):
        (archive / DAY / f"{number}.mp3").write_bytes(CONTENT)
    (archive / DAY / "7.mp3").unlink()
    checksum = LocalStore.checksum

    def count(store: LocalStore, path: str) -> tuple[int, str]:
        reads.append(path)
        return checksum(store, path)

    monkeypatch.setattr(LocalStore, "checksum", count)

    result = verify(archive, *rows, options=("--sample", "25%"))

    assert findings(result) == {f"{DAY}/7.mp3": "missing"}
    assert 40 < len(reads) < 180  # beyond that, once in 10^11 runs
    assert summary(result)["ok"] == 399


def test_a_sample_without_a_file_is_a_warning(archive: Path) -> None:
    result = verify(archive, row(1), row(2), row(3), options=("--sample", "0.000001%"))

    assert result.exit_code == 0
    assert "Warning: the sample has no file" in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--sample", "1"),
        ("--sample", "0%"),
        ("--sample", "101%"),
        ("--from", "2025-02-30"),
        ("--to", "../../etc"),
        ("--concurrency", "0"),
        ("--report", "report.pdf"),
        ("--report", "missing/report.html"),
        ("--size-only", "--attested"),
        ("--size-only", "--sample", "1%"),
        ("--recordings", "missing"),
    ],
)
def test_invalid_options_are_rejected(archive: Path, options: tuple[str, ...]) -> None:
    result = verify(archive, row(1), options=options)

    assert (result.exit_code, result.stdout) == (2, "")


def test_many_reads_at_once_have_the_same_result(archive: Path) -> None:
    rows = []
    for number in range(300):
        folder = archive / f"2025/06/{number % 28 + 1:02}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.mp3").write_bytes(CONTENT if number % 7 else b"")
        rows.append(row(number, uri=f"x/{folder.relative_to(archive)}/{number}.mp3"))

    results = [
        verify(archive, *rows, options=("--concurrency", number)) for number in ("1", "4", "32")
    ]

    assert len({result.stdout for result in results}) == 1
    assert summary(results[0])["size-mismatch"] == 43


# Input from outside


def test_names_from_outside_are_escaped_and_shortened(archive: Path) -> None:
    (archive / "\x1b[2Jclear\nok 1").write_bytes(b"x")
    hostile = row(1, uri="x/\u202e" + "y" * 10_000 + "\x07/é/1.mp3")

    result = verify(archive, hostile)

    assert result.exit_code == 1
    assert result.stdout.isascii()
    assert all(line.isprintable() and len(line) < 400 for line in result.stdout.splitlines())
    assert "\\x1b[2Jclear\\nok 1" in result.stdout


@pytest.mark.parametrize("path", ["../../../etc/passwd", "/etc/passwd", "", "2025/05/01/../1.mp3"])
def test_a_uri_cannot_lead_out_of_the_archive(archive: Path, path: str) -> None:
    result = verify(archive, row(1, uri=path), options=("--one-way",))

    assert result.exit_code == 1
    assert summary(result)["missing"] == 1


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "5",
        "\xff",
        '{"a": 1}',
        '{"a":' * 5000,
        '{"interactionId": [], "status": "failed"}',
        '{"interactionId": "x", "status": "failed"}',
        '{"interactionId": 1, "status": "lost"}',
        json.dumps(row(1, uri=None)),
        json.dumps(row(1, uri="\ud800")),
        json.dumps(row(1, sizeInBytes=None)),
        json.dumps(row(1, sizeInBytes=-1)),
        json.dumps(row(1, sizeInBytes=10**400)),
        json.dumps(row(1, sha256=5)),
        json.dumps(row(1, previousFiles=[{"uri": "x"}])),
        json.dumps(row(1, previousFiles="[")),
    ],
)
def test_an_invalid_line_is_named_by_its_number(archive: Path, line: str) -> None:
    result = verify(archive, row(1), line)

    assert result.exit_code == 2
    assert "line 2 is not a row of recording_media" in result.stderr


def test_singer_messages_are_read_as_a_manifest(archive: Path) -> None:
    messages = [
        '\ufeff{"type": "SCHEMA", "stream": "recording_media", "schema": {}}',
        '{"type": "RECORD", "stream": "recordings", "record": {"interactionId": 7}}',
        *(
            json.dumps({"type": "RECORD", "stream": "recording_media", "record": row(number)})
            for number in (1, 2, 3)
        ),
        '{"type": "STATE", "value": {}}',
        '{"type": "ACTIVATE_VERSION", "stream": "recording_media", "version": 1}',
        "",
    ]

    assert verify(archive, *messages).exit_code == 0


def test_the_type_of_a_row_can_be_any_text(archive: Path) -> None:
    assert verify(archive, row(1, type="STATE"), row(2), row(3)).exit_code == 0


def test_a_manifest_without_rows_is_rejected(archive: Path) -> None:
    result = verify(archive, options=("--one-way",))

    assert result.exit_code == 2
    assert "has no row" in result.stderr


def test_a_manifest_without_files_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "empty" / DAY).mkdir(parents=True)
    report = tmp_path / "report.json"

    result = verify(tmp_path / "empty", gone(1), options=("--report", str(report)))

    assert result.exit_code == 0
    assert "Warning: the manifest lists no file" in result.stderr
    assert json.loads(report.read_text())["conclusion"].startswith("Nothing was verified")


@pytest.mark.parametrize("media_path", ["missing", "memory://audio", "s3:/bucket/folder"])
def test_an_archive_that_cannot_be_opened_is_reported(tmp_path: Path, media_path: str) -> None:
    path = media_path if ":" in media_path else str(tmp_path / media_path)
    arguments = ["verify", "--media-path", path]

    result = CliRunner().invoke(main, arguments, input=json.dumps(row(1)))

    assert result.exit_code == 73
    assert "media_path" in result.stderr


def test_a_range_of_days_that_ends_before_it_begins_is_refused(archive: Path) -> None:
    result = verify(archive, row(1), options=("--from", "2025-12-31", "--to", "2025-01-01"))

    assert result.exit_code == 2
    assert "--from is after --to" in result.output


def test_the_name_of_a_report_may_be_as_long_as_the_disk_allows(
    archive: Path, tmp_path: Path
) -> None:
    longest = tmp_path / ("r" * 250 + ".html")
    too_long = tmp_path / ("r" * 251 + ".html")
    result = verify(archive, row(1), options=("--one-way", "--report", str(longest)))
    refused = verify(archive, row(1), options=("--one-way", "--report", str(too_long)))

    assert result.exit_code == 0, result.output
    assert longest.exists()
    assert refused.exit_code == 2
    assert "--report" in refused.output


@pytest.mark.parametrize("module", ["manifest", "result"])
def test_a_temporary_file_that_cannot_be_created_is_an_error_of_one_line(
    archive: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    name = {"manifest": "NamedTemporaryFile", "result": "TemporaryFile"}[module]
    monkeypatch.setattr(f"tap_focus.archive.verification.{module}.{name}", refuse)
    result = verify(archive, row(1))

    assert result.exit_code == 74
    assert result.output.startswith("Cannot write a temporary file: ")
    assert result.output.count("\n") == 1


def test_a_disk_that_is_full_of_findings_is_an_error_of_one_line(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Path("/dev/full")
    monkeypatch.setattr(
        "tap_focus.archive.verification.result.TemporaryFile", lambda **_: full.open("wb")
    )
    result = verify(archive, *(row(1, uri=f"2025/05/01/{n}.mp3") for n in range(1000)))

    assert result.exit_code == 74
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("options", [(), ("--size-only",), ("--attested",)])
def test_a_link_in_a_loop_is_unreadable_and_the_other_files_are_compared(
    archive: Path, options: tuple[str, ...]
) -> None:
    loop = archive / DAY / "1.mp3"
    loop.unlink()
    loop.symlink_to(loop)
    result = verify(archive, row(1), options=(*options, "--one-way"))

    assert result.exit_code == 1
    assert result.output.startswith(f"unreadable        {DAY}/1.mp3")
    assert "1 unreadable" in result.output


@pytest.mark.parametrize("until", ["2025-06-01 00:00:00+00", "2025-06-01T00:00:00.5-05"])
def test_a_date_as_a_database_writes_it_ends_the_retention(archive: Path, until: str) -> None:
    (archive / DAY / "1.mp3").unlink()
    result = verify(archive, row(1, retainUntil=until), row(2), row(3))

    assert findings(result) == {f"{DAY}/1.mp3": "expired"}
