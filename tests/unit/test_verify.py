from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from tap_focus.archive.verify import main
from tap_focus.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"sound" * 1000
DAY = "2025/05/01"


def row(interaction_id: int, **fields: Any) -> dict[str, Any]:
    return {
        "interactionId": interaction_id,
        "status": "stored",
        "uri": f"s3://bucket/calls/{DAY}/{interaction_id}.mp3",
        "sizeInBytes": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        **fields,
    }


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


def test_a_complete_archive_is_ok(archive: Path) -> None:
    result = verify(archive, row(1), row(2), row(3), row(4, status="not_found"))

    assert result.exit_code == 0
    assert result.stdout == (
        "3 ok, 0 missing, 0 size-mismatch, 0 checksum-mismatch, 0 unexpected, 0 unreadable; "
        "1 without a file\n"
    )


def test_each_fault_has_its_finding(archive: Path) -> None:
    (archive / DAY / "1.mp3").unlink()
    (archive / DAY / "2.mp3").write_bytes(CONTENT[:-1])
    (archive / DAY / "3.mp3").write_bytes(CONTENT[:-1] + b"!")
    (archive / DAY / "9.mp3").write_bytes(CONTENT)

    result = verify(archive, row(1), row(2), row(3))

    assert result.exit_code == 1
    assert findings(result) == {
        f"{DAY}/1.mp3": "missing",
        f"{DAY}/2.mp3": "size-mismatch",
        f"{DAY}/3.mp3": "checksum-mismatch",
        f"{DAY}/9.mp3": "unexpected",
    }
    assert "4,999 bytes instead of 5,000" in result.stdout


def test_a_file_that_cannot_be_read_has_its_finding(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StorageError("read a file", "Permission\x1bdenied")

    monkeypatch.setattr("tap_focus.archive.store.AudioStore.checksum", refuse)

    result = verify(archive, row(1), row(2), row(3))

    assert result.exit_code == 1
    assert set(findings(result).values()) == {"unreadable"}
    assert "Permission\\x1bdenied" in result.stdout


def test_the_last_row_of_a_recording_counts(archive: Path) -> None:
    wrong = row(1, sha256="0" * 64)

    assert verify(archive, wrong, row(2), row(3), row(1)).exit_code == 0
    assert verify(archive, row(1), row(2), row(3), wrong).exit_code == 1


def test_size_only_reads_no_file(archive: Path) -> None:
    (archive / DAY / "1.mp3").write_bytes(bytes(len(CONTENT)))

    assert verify(archive, row(1), row(2), row(3), options=("--size-only",)).exit_code == 0


def test_one_way_ignores_unexpected_files(archive: Path) -> None:
    assert verify(archive, row(1), options=("--one-way",)).exit_code == 0
    assert verify(archive, row(1)).exit_code == 1


def test_names_from_outside_are_escaped_and_shortened(archive: Path) -> None:
    (archive / "\x1b[2Jclear\nok 1").write_bytes(b"x")
    hostile = row(1, uri="x/\u202e" + "y" * 10_000 + "\x07/é/1.mp3")

    result = verify(archive, hostile)

    assert result.exit_code == 1
    assert result.stdout.isascii()
    assert all(line.isprintable() and len(line) < 400 for line in result.stdout.splitlines())
    assert "\\x1b[2Jclear\\nok 1" in result.stdout


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "5",
        '{"a": 1}',
        '{"a":' * 5000,
        '{"interactionId": [], "status": "failed"}',
        json.dumps(row(1, uri=None)),
        json.dumps(row(1, sizeInBytes=None)),
        json.dumps(row(1, sizeInBytes=-1)),
        json.dumps(row(1, sizeInBytes=10**400)),
        json.dumps(row(1, sha256=5)),
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
        "",
    ]

    assert verify(archive, *messages).exit_code == 0


def test_a_manifest_without_rows_is_rejected(archive: Path) -> None:
    result = verify(archive, options=("--one-way",))

    assert result.exit_code == 2
    assert "has no row" in result.stderr


@pytest.mark.parametrize("media_path", ["missing", "memory://audio"])
def test_an_archive_that_cannot_be_opened_is_reported(tmp_path: Path, media_path: str) -> None:
    path = media_path if "://" in media_path else str(tmp_path / media_path)
    arguments = ["verify", "--media-path", path]

    result = CliRunner().invoke(main, arguments, input=json.dumps(row(1)))

    assert result.exit_code == 73
    assert "media_path" in result.stderr
