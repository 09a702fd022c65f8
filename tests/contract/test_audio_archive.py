"""What the archive keeps over years: later versions, lost and altered files, other archives."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers import guarantee
from tests.helpers.assertions import assert_fails, has_cursor
from tests.helpers.audio import DAY, audio_files, rows_by_id
from tests.helpers.fake_focus import (
    AUDIO,
    FakeFocus,
    feed,
    ok,
    page,
    page_cursor,
    recording,
    status,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.fake_focus import Handler
    from tests.helpers.runner import ArchiveRunner

OTHER = AUDIO[::-1][:-3] + b"ID3"
"""Other audio of the same size."""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def update(focus: FakeFocus, *recordings: dict[str, Any]) -> None:
    """Add a page of updated recordings to a feed of one page."""
    focus.pages |= {
        page_cursor(2): page([*recordings], page_cursor(3)),
        page_cursor(3): page([], page_cursor(3)),
    }


def check_sums(folder: Path) -> int:
    """Return the exit code of `sha256sum` for the checksums of a day, without the tap."""
    command = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    return subprocess.run(command, check=False, cwd=folder, capture_output=True).returncode


@guarantee("keep-versions")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"durationInSeconds": 10}, {"durationInSeconds": 10.5}),
        ({"durationInSeconds": None}, {"durationInSeconds": 10}),
        ({"durationInSeconds": 0}, {"durationInSeconds": 10}),
        ({}, {"thirdPartyId": "call|other"}),
    ],
    ids=["longer", "no duration at first", "zero at first", "other audio"],
)
def test_newer_audio_is_kept_beside_the_first(
    archive: ArchiveRunner, tmp_path: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    with FakeFocus(feed([recording(1, **first)])) as focus:
        before = archive(focus)
        update(focus, recording(1, **second))
        focus.always["audio"] = lambda handler, _: ok(handler, OTHER)
        after = archive(focus, state=before.state)
        again = archive(focus)

    folder = tmp_path / "audio"
    assert audio_files(folder) == {f"{DAY}/1.mp3": AUDIO, f"{DAY}/1-2.mp3": OTHER}
    row = rows_by_id(after)[1]
    assert (row["sha256"], row["uri"]) == (sha256(OTHER), (folder / DAY / "1-2.mp3").as_uri())
    assert row["previousFiles"] == [
        {
            "uri": (folder / DAY / "1.mp3").as_uri(),
            "sizeInBytes": len(AUDIO),
            "sha256": sha256(AUDIO),
        }
    ]
    assert rows_by_id(again)[1]["sha256"] == sha256(OTHER)
    assert len(focus.of_kind("audio")) == 2
    assert check_sums(folder / DAY) == 0


@guarantee("keep-versions")
@pytest.mark.parametrize(
    "fields", [{"durationInSeconds": 9}, {"durationInSeconds": None}, {"tags": ["new"]}]
)
def test_other_updates_download_nothing(archive: ArchiveRunner, fields: dict[str, Any]) -> None:
    with FakeFocus(feed([recording(1, durationInSeconds=10)])) as focus:
        before = archive(focus)
        update(focus, recording(1, **{"durationInSeconds": 10, **fields}))
        after = archive(focus, state=before.state)

    assert rows_by_id(after)[1]["sha256"] == rows_by_id(before)[1]["sha256"]
    assert len(focus.of_kind("audio")) == 1


@guarantee("keep-versions")
def test_the_same_content_is_stored_once(archive: ArchiveRunner, tmp_path: Path) -> None:
    with FakeFocus(feed([recording(1, durationInSeconds=10)])) as focus:
        before = archive(focus)
        update(focus, recording(1, durationInSeconds=11))
        after = archive(focus, state=before.state)

    assert audio_files(tmp_path / "audio") == {f"{DAY}/1.mp3": AUDIO}
    assert rows_by_id(after)[1]["previousFiles"] is None


@guarantee("keep-versions")
def test_newer_audio_that_cannot_be_had_leaves_the_first(
    archive: ArchiveRunner, tmp_path: Path
) -> None:
    with FakeFocus(feed([recording(1, durationInSeconds=10)])) as focus:
        before = archive(focus)
        update(focus, recording(1, durationInSeconds=11))
        focus.always["audio"] = status(418)
        after = archive(focus, state=before.state)
        focus.always["audio"] = lambda handler, _: ok(handler, OTHER)
        repeated = archive(focus, state=after.state)

    row = rows_by_id(after)[1]
    assert (row["status"], row["sha256"], "418" in row["error"]) == ("stored", sha256(AUDIO), True)
    assert rows_by_id(repeated)[1]["sha256"] == sha256(OTHER)
    assert len(audio_files(tmp_path / "audio")) == 2


@guarantee("keep-checksums")
def test_an_altered_file_keeps_the_checksum_of_its_download(
    archive: ArchiveRunner, tmp_path: Path
) -> None:
    path = tmp_path / "audio" / DAY / "1.mp3"
    with FakeFocus(feed(1)) as focus:
        before = archive(focus)
        path.write_bytes(OTHER)
        update(focus, recording(1, tags=["new"]))
        after = archive(focus, state=before.state)

    assert rows_by_id(after)[1]["sha256"] == sha256(AUDIO)
    assert path.read_bytes() == OTHER
    assert check_sums(path.parent) == 1


@guarantee("keep-checksums")
def test_a_lost_file_is_downloaded_again(archive: ArchiveRunner, tmp_path: Path) -> None:
    path = tmp_path / "audio" / DAY / "1.mp3"
    with FakeFocus(feed(1)) as focus:
        before = archive(focus)
        path.unlink()
        update(focus, recording(1, tags=["new"]))
        after = archive(focus, state=before.state)

    assert rows_by_id(after)[1]["status"] == "stored"
    assert audio_files(tmp_path / "audio") == {f"{DAY}/1.mp3": AUDIO}
    assert check_sums(path.parent) == 0


@guarantee("keep-checksums")
@pytest.mark.parametrize("code", [404, 418])
def test_a_lost_file_that_focus_no_longer_has_is_not_forgotten(
    archive: ArchiveRunner, tmp_path: Path, code: int
) -> None:
    with FakeFocus(feed(1)) as focus:
        before = archive(focus)
        (tmp_path / "audio" / DAY / "1.mp3").unlink()
        update(focus, recording(1, tags=["new"]))
        focus.always["audio"] = status(code)
        after = archive(focus, state=before.state)

    row = rows_by_id(after)[1]
    assert (row["status"], row["sha256"]) == ("failed", sha256(AUDIO))
    assert "missing" in row["error"]
    assert str(code) in row["error"]


@guarantee("keep-checksums")
def test_a_later_run_reads_no_audio(archive: ArchiveRunner, tmp_path: Path) -> None:
    path = tmp_path / "audio" / DAY / "1.mp3"
    with FakeFocus(feed(1)) as focus:
        first = archive(focus)
        os.utime(path, ns=(1, path.stat().st_mtime_ns))
        second = archive(focus)

    assert path.stat().st_atime_ns == 1
    assert rows_by_id(second)[1]["sha256"] == rows_by_id(first)[1]["sha256"]


@guarantee("refuse-other-archives")
def test_a_bookmark_without_archive_ends_the_run(archive: ArchiveRunner, tmp_path: Path) -> None:
    """The volume is not mounted: a new archive would begin in the middle of the feed."""
    with FakeFocus(feed(1)) as focus:
        state = archive(focus).state
        focus.requests.clear()
        shutil.rmtree(tmp_path / "audio")
        (tmp_path / "audio").mkdir()
        run = archive(focus, state=state)

    assert_fails(run, 73, "media_path", "mounted")
    assert focus.requests == []
    assert list((tmp_path / "audio").iterdir()) == []


@guarantee("refuse-other-archives")
@pytest.mark.parametrize("has_state", [True, False])
def test_an_archive_of_another_account_is_refused(
    archive: ArchiveRunner, *, has_state: bool
) -> None:
    with FakeFocus(feed(1)) as focus:
        state = archive(focus).state
        del state["bookmarks"]["recording_media"]["account"]  # as in earlier versions
        run = archive(focus, client_id=8, state=state if has_state else None)

    assert_fails(run, 73, "media_path", "account")


@guarantee("refuse-other-archives")
@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"layoutVersion": 99}'])
def test_a_marker_file_that_is_not_understood_ends_the_run(
    archive: ArchiveRunner, tmp_path: Path, content: str
) -> None:
    with FakeFocus(feed(1)) as focus:
        archive(focus)
        (tmp_path / "audio" / "tap-focus-archive.json").write_text(content)
        run = archive(focus)

    assert_fails(run, 73, "tap-focus-archive.json")
    assert not has_cursor(run)


@guarantee("confine-audio-paths", "download-once")
@pytest.mark.parametrize(
    "name", ["1.txt", "1.json", "1.mp3_bad", "1.mp3.part", "1", "01.mp3", "1 .mp3", "1-1.mp3"]
)
def test_only_names_that_the_archive_writes_count(
    archive: ArchiveRunner, tmp_path: Path, name: str
) -> None:
    other = tmp_path / "audio" / DAY / name
    other.parent.mkdir(parents=True)
    other.write_text("something else")
    with FakeFocus(feed(1)) as focus:
        run = archive(focus)

    assert rows_by_id(run)[1]["sha256"] == sha256(AUDIO)
    assert other.read_text() == "something else"


@guarantee("download-once")
def test_several_files_of_one_recording_are_a_warning(
    archive: ArchiveRunner, tmp_path: Path
) -> None:
    folder = tmp_path / "audio" / DAY
    folder.mkdir(parents=True)
    (folder / "1.mp3").write_bytes(AUDIO)
    (folder / "1.wav").write_bytes(OTHER)
    with FakeFocus(feed(1)) as focus:
        run = archive(focus)

    assert "1.wav" in run.log
    assert rows_by_id(run)[1]["status"] == "stored"
    assert focus.of_kind("audio") == []


@guarantee("download-once")
def test_a_start_that_is_corrected_over_midnight_archives_once(archive: ArchiveRunner) -> None:
    late = recording(1, startDatetimeUTC="2025-04-30T23:59:58Z")
    with FakeFocus(feed([recording(1)])) as focus:
        before = archive(focus)
        update(focus, late)
        after = archive(focus, state=before.state)

    assert rows_by_id(after)[1]["uri"] == rows_by_id(before)[1]["uri"]
    assert len(focus.of_kind("audio")) == 1


@guarantee("download-once")
def test_the_content_type_is_that_of_the_download(archive: ArchiveRunner) -> None:
    def sends_mp3(handler: Handler, body: bytes) -> None:
        handler.content_type = "audio/x-custom"
        ok(handler, body)

    with FakeFocus(feed(1), always={"audio": sends_mp3}) as focus:
        first = archive(focus)
        second = archive(focus)

    types = [rows_by_id(run)[1]["contentType"] for run in (first, second)]
    assert types == ["audio/x-custom"] * 2


def test_a_year_on_another_volume_works(archive: ArchiveRunner, tmp_path: Path) -> None:
    other_volume = tmp_path / "volume"
    other_volume.mkdir()
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "2025").symlink_to(other_volume)
    with FakeFocus(feed(1)) as focus:
        first = archive(focus)
        second = archive(focus)

    assert (other_volume / "05/01/1.mp3").read_bytes() == AUDIO
    assert rows_by_id(first)[1]["status"] == rows_by_id(second)[1]["status"] == "stored"
    assert len(focus.of_kind("audio")) == 1


@pytest.mark.parametrize("url", ["s3:/bucket/x", "s3://bucket//x", "s3://", "S3://bucket"])
def test_a_mistyped_location_is_refused(archive: ArchiveRunner, url: str) -> None:
    with FakeFocus(feed(1)) as focus:
        run = archive(focus, media_path=url)

    assert_fails(run, 73, "media_path")
    assert not has_cursor(run)


def test_files_are_not_readable_by_everybody(archive: ArchiveRunner, tmp_path: Path) -> None:
    with FakeFocus(feed(1)) as focus:
        archive(focus, environment={})

    for path in (tmp_path / "audio").rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o007, path


def test_the_manifest_keeps_retention_and_legal_holds(archive: ArchiveRunner) -> None:
    fields = {"retainUntil": "2032-01-01T00:00:00Z", "legalHolds": [{"id": 5, "name": "Case"}]}
    with FakeFocus(feed([recording(1, **fields), recording(2, retainUntil="Indefinite")])) as focus:
        run = archive(focus)

    rows = rows_by_id(run)
    assert {name: rows[1][name] for name in fields} == fields
    assert rows[2]["retainUntil"] is rows[2]["legalHolds"] is None


@pytest.mark.parametrize("setting", ["governance", "compliance"])
def test_a_lock_needs_object_storage(archive: ArchiveRunner, setting: str) -> None:
    with FakeFocus(feed(1)) as focus:
        run = archive(focus, media_lock=setting)

    assert_fails(run, 1, "media_lock", "s3")
    assert focus.requests == []


def test_json_text_applies_to_the_manifest(archive: ArchiveRunner) -> None:
    held = recording(1, legalHolds=[{"id": 5}], durationInSeconds=1)
    with FakeFocus(feed([held, recording(2)])) as focus:
        first = archive(focus, json_text=True)
        update(focus, {**held, "durationInSeconds": 2})
        focus.always["audio"] = lambda handler, _: ok(handler, OTHER)
        second = archive(focus, json_text=True, state=first.state)

    (schema,) = first.of_type("SCHEMA")
    for name in ("legalHolds", "previousFiles"):
        assert schema["schema"]["properties"][name]["type"] == ["string", "null"]
    assert json.loads(rows_by_id(first)[1]["legalHolds"]) == [{"id": 5}]
    assert rows_by_id(first)[2]["legalHolds"] is None
    assert len(json.loads(rows_by_id(second)[1]["previousFiles"])) == 1
