"""`tap-focus-media verify` checks an archive against its manifest."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import TYPE_CHECKING

import pytest

from tests.helpers import SLOWNESS
from tests.helpers.assertions import count_words
from tests.helpers.audio import DAY
from tests.helpers.fake_focus import AUDIO, FakeFocus, feed, recording, status
from tests.helpers.runner import BIN, Run, clean_environment, run_command

if TYPE_CHECKING:
    from tests.helpers.runner import ArchiveRunner

BLOCKED_READ = """
import threading
from tap_focus.archive.stores.local import LocalStore
from tap_focus.archive.verification.cli import main

checksum = LocalStore.checksum
LocalStore.checksum = lambda store, path: (
    threading.Event().wait() if "3.mp3" in path else checksum(store, path)
)
main()
"""
"""A command whose read of the third file never ends, as on a network disk that is gone."""

IMPATIENT = """
from tap_focus.archive.verification import console
from tap_focus.archive.verification.cli import main

console.PROGRESS_INTERVAL = 0
main()
"""
"""A command that always writes progress."""

VERIFY = (str(BIN / "tap-focus-media"), "verify", "--media-path")


@pytest.fixture
def manifest(archive: ArchiveRunner) -> str:
    """The manifest of the archive in the folder `audio`, as the tap writes it."""
    first = [recording(key) for key in range(1, 6)]
    second = [recording(6, mediaAccessStatus="No"), recording(1)]
    with FakeFocus(feed(first, second)) as focus:
        return archive(focus).out


@pytest.fixture
def audio(manifest: str, tmp_path: Path) -> Path:  # noqa: ARG001 - makes the archive
    """The folder of the archive."""
    return tmp_path / "audio"


def verify(folder: Path, *options: str, manifest: str) -> Run:
    return run_command(*VERIFY, str(folder), *options, stdin=manifest)


def findings(run: Run) -> list[tuple[str, str]]:
    """Return the kind and the path of each finding."""
    *lines, _ = run.lines
    found = [line.split(": ")[0].split() for line in lines]
    return sorted((kind, path) for kind, path in found)


def test_a_complete_archive_is_ok(manifest: str, audio: Path) -> None:
    run = verify(audio, manifest=manifest)

    assert run.exit_code == 0
    (summary,) = run.lines
    assert count_words(summary) == {
        "ok": 5,
        "missing": 0,
        "lost": 0,
        "size-mismatch": 0,
        "checksum-mismatch": 0,
        "conflict": 0,
        "unexpected": 0,
        "unreadable": 0,
        "unattested": 0,
        "expired": 0,
        "past-retention": 0,
        "without": 1,
    }


def test_the_manifest_can_be_a_file(manifest: str, audio: Path, tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text(manifest)
    run = run_command(*VERIFY, str(audio), str(path))

    assert (run.exit_code, count_words(run.out)["ok"]) == (0, 5)


def test_files_that_are_ok_can_be_listed(manifest: str, audio: Path) -> None:
    run = verify(audio, "--all", manifest=manifest)

    assert run.exit_code == 0
    assert findings(run) == [("ok", f"{DAY}/{key}.mp3") for key in range(1, 6)]


def test_messages_of_other_streams_in_the_manifest_are_ignored(manifest: str, audio: Path) -> None:
    other = '\ufeff{"type": "RECORD", "stream": "recordings", "record": {"interactionId": 7}}\n'
    run = verify(audio, manifest=other + manifest)

    assert (run.exit_code, run.out) == (0, verify(audio, manifest=manifest).out)


def test_every_kind_of_fault_is_found(manifest: str, audio: Path) -> None:
    (audio / DAY / "1.mp3").unlink()
    (audio / DAY / "2.mp3").write_bytes(AUDIO[:-1])
    (audio / DAY / "3.mp3").write_bytes(AUDIO[:-1] + b"!")
    (audio / DAY / "99.mp3").write_bytes(AUDIO)
    (audio / DAY / f".{'0' * 32}.partial").write_bytes(b"hidden")
    run = verify(audio, manifest=manifest)

    assert run.exit_code == 1
    assert findings(run) == [
        ("checksum-mismatch", f"{DAY}/3.mp3"),
        ("missing", f"{DAY}/1.mp3"),
        ("size-mismatch", f"{DAY}/2.mp3"),
        ("unexpected", f"{DAY}/99.mp3"),
    ]
    assert f"{len(AUDIO) - 1:,}" in run.out
    assert count_words(run.lines[-1])["ok"] == 2


def test_only_sizes_of_files_in_the_manifest_can_be_compared(manifest: str, audio: Path) -> None:
    (audio / DAY / "1.mp3").unlink()
    (audio / DAY / "2.mp3").write_bytes(AUDIO[:-1])
    (audio / DAY / "3.mp3").write_bytes(AUDIO[:-1] + b"!")
    (audio / DAY / "99.mp3").write_bytes(AUDIO)
    run = verify(audio, "--size-only", "--one-way", manifest=manifest)

    assert run.exit_code == 1
    assert [kind for kind, _ in findings(run)] == ["missing", "size-mismatch"]


@pytest.mark.parametrize("is_right_last", [True, False])
def test_rows_that_contradict_each_other_are_a_conflict(
    manifest: str, audio: Path, *, is_right_last: bool
) -> None:
    (row,) = [line for line in manifest.splitlines() if '"interactionId":2,' in line]
    wrong = row.replace(f'"sizeInBytes":{len(AUDIO)}', '"sizeInBytes":7')
    assert wrong != row
    rows = f"{wrong}\n{manifest}" if is_right_last else f"{manifest}{wrong}\n"
    run = verify(audio, manifest=rows)

    assert run.exit_code == 1
    assert findings(run) == [("conflict", f"{DAY}/2.mp3")]


def test_a_file_that_the_tap_no_longer_finds_is_lost(
    manifest: str, audio: Path, archive: ArchiveRunner
) -> None:
    (audio / DAY / "1.mp3").unlink()
    with FakeFocus(feed([recording(1)]), always={"audio": status(404)}) as focus:
        second = archive(focus).out
    run = verify(audio, manifest=manifest + second)

    assert run.exit_code == 1
    assert findings(run) == [("lost", f"{DAY}/1.mp3")]


def test_folders_behind_symbolic_links_belong_to_the_archive(
    manifest: str, audio: Path, tmp_path: Path
) -> None:
    year = audio / DAY[:4]
    year.rename(tmp_path / "other-disk")
    year.symlink_to(tmp_path / "other-disk")
    file = audio / DAY / "1.mp3"
    file.rename(tmp_path / "1.mp3")
    file.symlink_to(tmp_path / "1.mp3")
    run = verify(audio, manifest=manifest)

    assert (run.exit_code, count_words(run.out)["ok"]) == (0, 5)


@pytest.mark.parametrize(("signal_number", "exit_code"), [(SIGINT, 130), (SIGTERM, 143)])
def test_a_signal_ends_the_command_and_it_can_continue(
    tmp_path: Path, signal_number: int, exit_code: int
) -> None:
    row = {"status": "stored", "sizeInBytes": len(AUDIO), "sha256": sha256(AUDIO).hexdigest()}
    rows = []
    for number in (1, 2, 3):
        file = tmp_path / f"audio/2025/05/0{number}/{number}.mp3"
        file.parent.mkdir(parents=True)
        file.write_bytes(AUDIO)
        rows.append({**row, "interactionId": number, "uri": file.as_uri()})
    path = tmp_path / "manifest.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    script = tmp_path / "blocked.py"
    script.write_text(BLOCKED_READ)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with subprocess.Popen(
        [sys.executable, str(script), *VERIFY[1:], str(tmp_path / "audio"), "--all", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(TMPDIR=str(temporary)),
    ) as process:
        assert process.stdout
        assert process.stderr
        assert "2025/05/01/1.mp3" in process.stdout.readline()
        assert "2025/05/02/2.mp3" in process.stdout.readline()
        started = time.monotonic()
        process.send_signal(signal_number)
        log = process.stderr.read()
        process.wait(30)

    assert process.returncode == exit_code
    assert time.monotonic() - started < 5 * SLOWNESS
    assert re.search(r"Continue with --from 2025-05-0[12]\.", log)
    assert list(temporary.iterdir()) == []


def test_progress_is_on_standard_error(tmp_path: Path, audio: Path, manifest: str) -> None:
    script = tmp_path / "impatient.py"
    script.write_text(IMPATIENT)
    run = run_command(sys.executable, str(script), *VERIFY[1:], str(audio), stdin=manifest)

    assert run.exit_code == 0
    assert "files, 0 failures; last finished day: none" in run.log
    assert len(run.lines) == 1


def test_a_missing_archive_is_named(manifest: str, tmp_path: Path) -> None:
    run = verify(tmp_path / "nowhere", manifest=manifest)

    assert (run.exit_code, run.out) == (os.EX_CANTCREAT, "")
    assert "media" in run.log


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param("", id="empty"),
        pytest.param('{"a": 1}\n', id="no row"),
        pytest.param('{"a":' * 5000, id="deep"),
        pytest.param(
            '{"interactionId": 1, "status": "stored", "uri": "a/1.mp3", "sizeInBytes": null}',
            id="no size",
        ),
    ],
)
def test_an_invalid_manifest_is_rejected(tmp_path: Path, manifest: str) -> None:
    run = verify(tmp_path, "--one-way", manifest=manifest)

    assert (run.exit_code, run.out) == (2, "")
    assert "MANIFEST" in run.log
    assert "Traceback" not in run.log


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_findings_that_cannot_be_written_end_with_an_error(manifest: str, audio: Path) -> None:
    script = 'exec "$@" >/dev/full'
    run = run_command("sh", "-c", script, "sh", *VERIFY, str(audio), stdin=manifest)

    assert run.exit_code == os.EX_IOERR
    assert os.strerror(errno.ENOSPC) in run.log
    assert len(run.log.splitlines()) == 1
