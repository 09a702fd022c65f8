"""The proof: `tap-focus-media verify` holds an archive against its manifest."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import BIN, Run
from tests.helpers.audio import DAY, SOUND, recording
from tests.helpers.fake_focus import Focus, page

if TYPE_CHECKING:
    from collections.abc import Callable

    Archive = Callable[..., Run]

VERIFY = (str(BIN / "tap-focus-media"), "verify")


@pytest.fixture
def manifest(archive: Archive, tmp_path: Path) -> Path:
    """A manifest as the tap writes it, with its archive beside it."""
    pages = {
        None: page([recording(key) for key in range(1, 6)], "a"),
        "a": page([recording(6, mediaAccessStatus="No"), recording(1)], "b"),
        "b": page([], "b"),
    }
    with Focus(pages) as focus:
        run = archive(focus)
    path = tmp_path / "manifest.jsonl"
    path.write_text(run.out)
    return path


def verify(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*VERIFY, *arguments],
        check=False,
        capture_output=True,
        text=True,
        input=stdin,
    )


def test_verify_says_that_a_whole_archive_is_right(manifest: Path, tmp_path: Path) -> None:
    done = verify("--media-path", str(tmp_path / "audio"), str(manifest))
    assert done.returncode == 0
    assert done.stdout == (
        "5 files right, 0 missing, 0 torn, 0 altered, 0 unknown, 0 unreadable; "
        "1 recordings without a file\n"
    )
    piped = verify("--media-path", str(tmp_path / "audio"), "--all", stdin=manifest.read_text())
    assert piped.returncode == 0
    assert f"right      {DAY}/1.mp3" in piped.stdout
    other = '\ufeff{"type": "RECORD", "stream": "recordings", "record": {"interactionId": 7}}\n'
    both = verify("--media-path", str(tmp_path / "audio"), stdin=other + manifest.read_text())
    assert (both.returncode, both.stdout) == (0, done.stdout)


def test_verify_reports_what_is_missing_torn_altered_and_unknown(
    manifest: Path, tmp_path: Path
) -> None:
    day = tmp_path / "audio" / DAY
    (day / "1.mp3").unlink()
    (day / "2.mp3").write_bytes(SOUND[:-1])
    (day / "3.mp3").write_bytes(SOUND[:-1] + b"!")
    (day / "99.mp3").write_bytes(SOUND)
    (tmp_path / "audio" / ".partial" / "leftover").write_bytes(b"hidden")
    done = verify("--media-path", str(tmp_path / "audio"), str(manifest))
    assert done.returncode == 1
    *lines, summary = done.stdout.splitlines()
    assert sorted(lines) == [
        f"altered    {DAY}/3.mp3",
        f"missing    {DAY}/1.mp3",
        f"torn       {DAY}/2.mp3: 10,242 bytes in place of 10,243",
        f"unknown    {DAY}/99.mp3",
    ]
    assert summary.startswith("2 files right, 1 missing, 1 torn, 1 altered, 1 unknown")
    sizes = verify(
        "--media-path", str(tmp_path / "audio"), "--size-only", "--one-way", str(manifest)
    )
    assert sorted(line.split()[0] for line in sizes.stdout.splitlines()[:-1]) == ["missing", "torn"]


def test_verify_says_what_it_cannot_work_with(manifest: Path, tmp_path: Path) -> None:
    nowhere = verify("--media-path", str(tmp_path / "nowhere"), str(manifest))
    assert (nowhere.returncode, nowhere.stdout) == (73, "")
    assert "media_path" in nowhere.stderr
    empty = verify("--media-path", str(tmp_path / "audio"), "--one-way", stdin="")
    assert empty.returncode == 2
    assert "holds no row of recording_media" in empty.stderr
    with Path("/dev/full").open("w") as full:
        unheard = subprocess.run(
            [*VERIFY, "--media-path", str(tmp_path / "audio"), str(manifest)],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert unheard.returncode == 74
    assert unheard.stderr == "Standard output takes no more lines: No space left on device.\n"
    deep = verify("--media-path", str(tmp_path), stdin='{"a":' * 5000)
    assert deep.returncode == 2
    unsized = '{"interactionId": 1, "status": "stored", "uri": "a/1.mp3", "sizeInBytes": null}'
    assert verify("--media-path", str(tmp_path), stdin=unsized).returncode == 2
    nonsense = verify("--media-path", str(tmp_path), stdin='{"a": 1}\n')
    assert nonsense.returncode == 2
    assert "line 1 is no row of recording_media" in nonsense.stderr
