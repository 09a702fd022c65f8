"""The audio archive in a folder: storage errors, hostile names, later runs and shards."""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers import guarantee, timing
from tests.helpers.assertions import (
    assert_fails,
    assert_no_canary,
    has_cursor,
    wait_until,
)
from tests.helpers.audio import DAY, audio_files, media_bookmark, read_files, rows_by_id
from tests.helpers.fake_focus import (
    ACCOUNT,
    AUDIO,
    SNIPPET,
    FakeFocus,
    feed,
    ok,
    recording,
    respond,
    status,
)
from tests.helpers.runner import BIN, ROOT, clean_environment, run_command, settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.fake_focus import Handler
    from tests.helpers.runner import ArchiveRunner, Run, TapRunner


@guarantee("fail-on-storage-errors")
def test_a_folder_that_cannot_be_written_ends_the_run_before_the_bookmark_advances(
    archive: ArchiveRunner, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    with FakeFocus(feed(1)) as focus:
        run = archive(focus, media_path=str(tmp_path / "taken" / "audio"))

    assert_fails(run, 73, "media_path")
    assert not has_cursor(run)


UNSUPPORTED = pytest.mark.parametrize("url", ["gs://bucket/x", "memory://x"])


@guarantee("fail-on-storage-errors")
@UNSUPPORTED
def test_a_storage_that_no_installed_package_supports_ends_the_run(
    archive: ArchiveRunner, url: str
) -> None:
    with FakeFocus(feed(1)) as focus:
        run = archive(focus, media_path=url)

    assert_fails(run, 73, "media_path", url.split(":", maxsplit=1)[0])


@UNSUPPORTED
def test_media_path_does_not_matter_without_the_audio_stream(tap: TapRunner, url: str) -> None:
    with FakeFocus(feed(1)) as focus:
        run = tap(config=settings(focus, media_path=url))

    assert (run.exit_code, run.ids) == (0, [1])


@guarantee("fail-on-storage-errors")
def test_a_full_disk_ends_the_run_before_the_bookmark_advances(
    archive: ArchiveRunner, tmp_path: Path
) -> None:
    """A limit on the size of files takes the place of a full disk."""
    with FakeFocus(feed(1), always={"audio": respond(b"x" * 5_000_000, "audio/mpeg")}) as focus:
        run = archive(focus, limit="-f 4000")

    assert_fails(run, 73, os.strerror(errno.EFBIG))
    assert audio_files(tmp_path / "audio") == {}
    assert not has_cursor(run)


def test_without_media_path_the_run_ends_before_any_request(
    tap: TapRunner, audio_catalog: dict[str, Any]
) -> None:
    with FakeFocus(feed(1)) as focus:
        run = tap(config=focus.settings, catalog=audio_catalog)

    assert_fails(run, 1, "media_path", "recording_media")
    assert focus.requests == []


@guarantee("confine-audio-paths")
def test_hostile_recordings_write_nothing_outside_the_archive(
    archive: ArchiveRunner, tmp_path: Path
) -> None:
    hostile = [
        recording(1, thirdPartyId="../../etc/passwd", startDatetimeUTC="../../../x"),
        recording(2, thirdPartyId="/abs\u0000C:\\x", startDatetimeUTC=None),
        recording(-3, thirdPartyId="x" * 300, startDatetimeUTC="9999-12-31T23:59:59-23:59"),
        recording(2**63 - 1, startDatetimeUTC="2025-05-01T23:30:00-05:00"),
        recording(-(2**63), startDatetimeUTC="2025-05-01T23:30:00-05:00"),
        recording(6, startDatetimeUTC=20250501),
    ]
    audio = respond(AUDIO, 'audio/../../x"; a=b')
    with FakeFocus(feed(hostile), always={"audio": audio}) as focus:
        run = archive(focus)

    assert [row["status"] for row in run.records] == ["stored"] * 6
    assert len({row["uri"] for row in run.records}) == 6
    archived = audio_files(tmp_path / "audio")
    assert len(archived) == 6
    outside = {path for path in read_files(tmp_path) if not path.startswith("audio/")}
    assert outside == {"config.json", "catalog.json"}
    assert {path.rpartition("/")[0] for path in archived if "2025" in path} == {"2025/05/02"}


@guarantee("confine-audio-paths", "download-once")
def test_files_of_others_beside_the_audio_are_neither_used_nor_changed(
    archive: ArchiveRunner, tmp_path: Path
) -> None:
    folder = tmp_path / "audio" / DAY
    (folder / "2.folder").mkdir(parents=True)
    (folder / "1.mp3.part").write_bytes(b"half")
    with FakeFocus(feed(2)) as focus:
        run = archive(focus)

    assert [row["sizeInBytes"] for row in run.records] == [len(AUDIO)] * 2
    assert (folder / "1.mp3.part").read_bytes() == b"half"


@guarantee("download-once")
def test_a_second_run_downloads_nothing_and_writes_the_same_rows(archive: ArchiveRunner) -> None:
    with FakeFocus(feed(3)) as focus:
        first = archive(focus)
        second = archive(focus)

    assert len(focus.of_kind("audio")) == 3
    assert without_time(second) == without_time(first)
    assert f"{3 * len(AUDIO):,} bytes" in first.log
    assert "0 bytes" in second.log


def without_time(run: Run) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "fetchedAt"} for row in run.records]


@guarantee("complete-audio-files", "download-once")
def test_an_empty_file_is_downloaded_again(archive: ArchiveRunner, tmp_path: Path) -> None:
    empty = tmp_path / "audio" / DAY / "1.mp3"
    empty.parent.mkdir(parents=True)
    empty.touch()
    with FakeFocus(feed(1)) as focus:
        run = archive(focus)

    assert rows_by_id(run)[1]["sizeInBytes"] == len(AUDIO)
    assert audio_files(tmp_path / "audio") == {f"{DAY}/1.mp3": AUDIO}


@guarantee("download-once")
def test_an_updated_recording_is_not_downloaded_again(archive: ArchiveRunner) -> None:
    updated = recording(1, tags=["new"])
    no_longer_permitted = recording(1, mediaAccessStatus="NotPermitted")
    with FakeFocus(feed([recording(1), updated], [no_longer_permitted])) as focus:
        run = archive(focus)

    assert [row["status"] for row in run.records] == ["stored"] * 3
    assert len(focus.of_kind("audio")) == 1


@guarantee("deterministic-concurrency")
def test_every_level_of_concurrency_gives_the_same_rows_and_files(
    archive: ArchiveRunner, tmp_path: Path
) -> None:
    def individual_audio(handler: Handler, _: bytes) -> None:
        ok(handler, b"audio of " + handler.received.body["thirdPartyId"].encode() * 1000)

    results = []
    columns = ("interactionId", "status", "sizeInBytes", "sha256")
    with FakeFocus(feed(40), always={"audio": individual_audio}) as focus:
        for number in (1, 4, 16):
            folder = tmp_path / f"audio{number}"
            run = archive(focus, media_concurrency=number, media_path=str(folder))
            rows = [{name: row[name] for name in columns} for row in run.records]
            results.append((rows, audio_files(folder)))

    assert results[0] == results[1] == results[2]
    assert len(results[0][1]) == 40
    assert len(focus.logins) == 3


SHARDS = {
    "1/3": [6, 8, 9, 10, 12, 17, 20, 23, 25],
    "2/3": [1, 2, 3, 4, 11, 14, 18, 19, 22, 27, 29, 30],
    "3/3": [5, 7, 13, 15, 16, 21, 24, 26, 28],
}
"""Of the recordings 1 to 30. All are in one shard."""


@guarantee("disjoint-shards")
@pytest.mark.parametrize("shard", SHARDS)
def test_a_shard_archives_the_same_recordings_in_every_release(
    archive: ArchiveRunner, tmp_path: Path, shard: str
) -> None:
    """A release with another hash would skip recordings without an error."""
    with FakeFocus(feed(30)) as focus:
        run = archive(focus, media_shard=shard)

    assert run.ids == SHARDS[shard]
    assert set(audio_files(tmp_path / "audio")) == {f"{DAY}/{key}.mp3" for key in SHARDS[shard]}


@guarantee("disjoint-shards")
def test_a_state_without_a_shard_can_be_continued_by_one(archive: ArchiveRunner) -> None:
    with FakeFocus(feed(9)) as focus:
        whole = archive(focus)
        run = archive(focus, media_shard="1/3", state=whole.state)

    assert (run.exit_code, media_bookmark(run)["shard"]) == (0, "1/3")


@guarantee("disjoint-shards")
@pytest.mark.parametrize(("shard", "exit_code"), [("1/3", 0), (None, 1), ("2/3", 1), ("1/4", 1)])
def test_a_state_of_one_shard_is_rejected_by_another(
    archive: ArchiveRunner, shard: str | None, exit_code: int
) -> None:
    with FakeFocus(feed(9)) as focus:
        state = archive(focus, media_shard="1/3").state
        run = archive(focus, media_shard=shard, state=state)

    assert run.exit_code == exit_code
    assert ("media_shard" in "".join(run.errors)) == (exit_code == 1)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3"])
def test_an_invalid_shard_is_named(tap: TapRunner, shard: str) -> None:
    run = tap(config={**ACCOUNT, "region": "uk", "media_shard": shard})

    assert_fails(run, 1, "media_shard: ")


@guarantee("separate-bookmarks")
def test_each_stream_continues_from_its_own_bookmark(
    tap: TapRunner, archive: ArchiveRunner
) -> None:
    with FakeFocus(feed(2)) as focus:
        recordings = tap(config=focus.settings)
        media = archive(focus, state=recordings.state)
        again = tap(config=focus.settings, state=media.state)

    assert media.ids == [1, 2]
    assert media.state["bookmarks"].keys() == {"recordings", "recording_media"}
    assert again.records == []


@guarantee("no-secrets-in-logs")
def test_the_log_of_the_archive_contains_no_secret_and_no_data(archive: ArchiveRunner) -> None:
    faults = [status(500), status(403), respond(SNIPPET.encode(), "text/x")]
    with FakeFocus(feed(4), audio=faults) as focus:
        run = archive(focus, environment={"TAP_FOCUS_LOGLEVEL": "DEBUG"})

    assert run.exit_code == 0
    assert_no_canary(run.log, focus.canaries)


@timing
@guarantee("stop-on-signal", "complete-audio-files")
@pytest.mark.parametrize(
    ("signal_number", "exit_code"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)],
)
def test_a_signal_during_a_download_leaves_a_hidden_file_that_is_removed_later(
    archive: ArchiveRunner, tmp_path: Path, signal_number: int, exit_code: int
) -> None:
    def stuck(handler: Handler, _: bytes) -> None:
        handler.send(200, b"x" * 600_000, length=10_000_000)
        time.sleep(30)

    folder = tmp_path / "audio"
    with FakeFocus(feed(1), audio=[stuck]) as focus:
        with archive.start(focus, request_timeout=60) as process:
            wait_until(lambda: [*(folder / DAY).glob(".*.partial")])
            seconds = process.stop(signal_number)
        (partial,) = (path for path in folder.rglob("*.partial") if path.is_file())
        archive(focus)
        is_kept = partial.exists()  # another run could be writing it
        os.utime(partial, (0, 0))
        archive(focus)

    assert process.process.returncode == exit_code
    assert seconds < 5
    assert partial.name.startswith(".")
    assert is_kept
    assert audio_files(folder) == {f"{DAY}/1.mp3": AUDIO}


@guarantee("survive-state-merge")
def test_meltano_replaces_the_list_of_failed_downloads_when_it_merges_states(
    tmp_path: Path,
) -> None:
    """So each state must contain the whole list, even if it is empty."""
    environment = clean_environment(MELTANO_DATABASE_URI=f"sqlite:///{tmp_path}/meltano.db")

    def meltano(*arguments: str) -> str:
        run = run_command(str(BIN / "meltano"), *arguments, folder=ROOT, environment=environment)
        assert run.exit_code == 0, run.log
        return run.out

    for failed in ([{"interactionId": 1, "attempts": 1}], []):
        stream = {"replication_key": "nextCursorId", "failed": failed}
        state = {"singer_state": {"bookmarks": {"recording_media": stream}}}
        meltano("state", "merge", "test-merge", json.dumps(state))
    merged = json.loads(meltano("state", "get", "test-merge"))

    assert merged["singer_state"]["bookmarks"]["recording_media"]["failed"] == []
