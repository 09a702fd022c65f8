"""The audio archive in a folder: what lies there after faults, in later runs, and by parts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from tap_focus.archive.downloader import Shard
from tests.conftest import BIN, ROOT, Run, clean_environment
from tests.helpers.assertions import assert_ends
from tests.helpers.audio import DAY, SOUND, audio, bookmark, by_id, feed, files, recording
from tests.helpers.fake_focus import CURSOR, SNIPPET, Focus, hang_up, page, status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.helpers.fake_focus import Handler

    Tap = Callable[..., Run]
    Archive = Callable[..., Run]

case = pytest.mark.case


@case(32)
def test_a_folder_that_cannot_be_written_ends_before_the_bookmark_moves(
    archive: Archive, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    with Focus(feed(1)) as focus:
        run = archive(focus, media_path=str(tmp_path / "taken" / "audio"))
    assert run.code == 73
    assert len(run.errors) == 1
    assert "media_path" in run.errors[0]
    assert "Traceback" not in run.log
    assert not run.of("STATE")


@case(32)
@pytest.mark.parametrize(
    ("url", "words"), [("gs://bucket/x", "with the extra"), ("nope://x", "Protocol not known")]
)
def test_a_store_that_no_package_knows_is_said_to_be_one(
    tap: Tap, archive: Archive, url: str, words: str
) -> None:
    with Focus(feed(1)) as focus:
        run = archive(focus, media_path=url)
        assert_ends(run, 73, "Cannot open media_path: ", words)
        # The other stream shares the settings, and needs none of it.
        assert tap(config={**focus.settings, "media_path": url}).code == 0


@case(32)
def test_a_full_disk_ends_before_the_bookmark_moves(archive: Archive, tmp_path: Path) -> None:
    """Stand-in for a full disk: no process of this one may write files beyond a size."""
    import resource  # noqa: PLC0415

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with Focus(feed(1)) as focus:
        focus.always["audio"] = audio(b"x" * 5_000_000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, limits[1]))
        try:
            run = archive(focus)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)
    assert run.code == 73
    assert "File too large" in run.errors[0]
    assert files(tmp_path / "audio") == {}
    assert all("replication_key_value" not in json.dumps(m["value"]) for m in run.of("STATE"))


@case(33)
def test_hostile_recordings_write_nothing_outside_the_archive(
    archive: Archive, tmp_path: Path
) -> None:
    hostile = [
        recording(1, thirdPartyId="../../etc/passwd", startDatetimeUTC="../../../x"),
        recording(2, thirdPartyId="/abs\u0000C:\\x", startDatetimeUTC=None),
        recording(-3, thirdPartyId="x" * 300, startDatetimeUTC="9999-12-31T23:59:59-23:59"),
        recording(int("7" * 300), startDatetimeUTC="2025-05-01T23:30:00-05:00"),
        recording(int("7" * 299 + "8"), startDatetimeUTC="2025-05-01T23:30:00-05:00"),
        recording(6, startDatetimeUTC=20250501),
    ]
    pages = {None: page(hostile, CURSOR), CURSOR: page([], CURSOR)}
    before = set(files(tmp_path))
    with Focus(pages) as focus:
        focus.always["audio"] = audio(SOUND, 'audio/../../x"; a=b')
        run = archive(focus)
    assert [row["status"] for row in run.records] == ["stored"] * 6
    stored = set(files(tmp_path)) - before
    assert len(stored) == 6 + 1 + 1  # the catalog and the configuration are new too
    assert all(path.startswith(("audio/", "catalog", "config")) for path in stored)
    assert len({row["uri"] for row in run.records}) == 6
    assert {path for path in stored if "2025" in path} == {
        path for path in stored if path.startswith("audio/2025/05/02/")
    }


@case(34)
def test_a_second_run_downloads_nothing_and_gives_the_same_rows(archive: Archive) -> None:
    with Focus(feed(1, 2, 3)) as focus:
        first = archive(focus)
        focus.always["audio"] = hang_up
        second = archive(focus)
    before, after = (
        [{name: value for name, value in row.items() if name != "fetchedAt"} for row in run.records]
        for run in (first, second)
    )
    assert after == before
    assert "3 files, 30,729 bytes" in first.log
    assert "0 files, 0 bytes, 0.0 MB/s, 3 already there" in second.log


@case(29, 34)
def test_an_empty_file_is_no_audio_and_is_fetched_anew(archive: Archive, tmp_path: Path) -> None:
    with Focus(feed(1)) as focus:
        archive(focus)
        (tmp_path / "audio" / DAY / "1.mp3").write_bytes(b"")
        assert by_id(archive(focus))[1]["sizeInBytes"] == len(SOUND)
    assert files(tmp_path / "audio") == {f"{DAY}/1.mp3": SOUND}


@case(33, 34)
def test_what_others_left_beside_a_recordings_file_is_not_taken_for_it(
    archive: Archive, tmp_path: Path
) -> None:
    folder = tmp_path / "audio" / DAY
    (folder / "2.folder").mkdir(parents=True)
    (folder / "1.mp3.part").write_bytes(b"half")
    with Focus(feed(1, 2)) as focus:
        rows = by_id(archive(focus))
    assert {row["sizeInBytes"] for row in rows.values()} == {len(SOUND)}
    assert (folder / "1.mp3.part").read_bytes() == b"half"


@case(34)
def test_a_recording_that_is_updated_is_not_downloaded_anew(archive: Archive) -> None:
    pages = {
        None: page([recording(1), recording(1, tags=["new"])], "a"),
        "a": page([recording(1, mediaAccessStatus="NotPermitted")], "b"),
        "b": page([], "b"),
    }
    with Focus(pages) as focus:
        focus.faults["audio"].append(audio())
        focus.always["audio"] = hang_up
        run = archive(focus)
    assert [row["status"] for row in run.records] == ["stored"] * 3


@case(35)
def test_one_four_and_sixteen_at_once_give_the_same_rows_and_files(
    archive: Archive, tmp_path: Path
) -> None:
    def own_sound(handler: Handler, _: bytes) -> None:
        audio(b"sound of " + handler.asked["thirdPartyId"].encode() * 1000)(handler, b"")

    results = []
    with Focus(feed(*range(40)), always={"audio": own_sound}) as focus:
        for number in (1, 4, 16):
            folder = tmp_path / f"audio{number}"
            run = archive(focus, media_concurrency=number, media_path=str(folder))
            kept = ("interactionId", "status", "sizeInBytes", "sha256")
            results.append(([{k: row[k] for k in kept} for row in run.records], files(folder)))
            assert len(focus.logins) == len(results)
    assert results[0] == results[1] == results[2]
    assert len(results[0][1]) == 40


@case(36)
@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_shards_are_together_all_and_no_two_the_same(parts: int) -> None:
    shards = [Shard(part, parts) for part in range(1, parts + 1)]
    for key in [*range(500), -1, 10**30]:
        assert sum(shard.has({"interactionId": key}) for shard in shards) == 1
    share = sum(shards[0].has({"interactionId": key}) for key in range(5000))
    assert share == pytest.approx(5000 / parts, rel=0.1)


@case(36)
def test_a_shard_archives_its_own_part(archive: Archive, tmp_path: Path) -> None:
    with Focus(feed(*range(60))) as focus:
        runs = [archive(focus, media_shard=f"{part}/3") for part in (1, 2, 3)]
    parts = [set(by_id(run)) for run in runs]
    assert set.union(*parts) == set(range(60))
    assert sum(len(part) for part in parts) == 60
    assert len(files(tmp_path / "audio")) == 60


@case(36)
@pytest.mark.parametrize("shard", [None, "2/3", "1/4"])
def test_a_state_of_one_shard_is_no_state_of_another(archive: Archive, shard: str | None) -> None:
    with Focus(feed(*range(9))) as focus:
        whole = archive(focus)
        part = archive(focus, media_shard="1/3", state=whole.state)
        assert (part.code, bookmark(part)["shard"]) == (0, "1/3")
        assert archive(focus, media_shard="1/3", state=part.state).code == 0
        assert_ends(archive(focus, media_shard=shard, state=part.state), 1, "is of 1/3")


@case(14)
def test_each_stream_goes_on_from_its_own_bookmark(tap: Tap, archive: Archive) -> None:
    with Focus(feed(1, 2)) as focus:
        recordings = tap(config=focus.settings)
        audio_run = archive(focus, state=recordings.state)
        assert len(audio_run.records) == 2
        assert audio_run.state["bookmarks"].keys() == {"recordings", "recording_media"}
        again = tap(config=focus.settings, state=audio_run.state)
        assert again.records == []


@case(28)
def test_the_audio_streams_log_holds_nothing_of_what_was_said(
    tap: Tap, audio_catalog: dict[str, Any], tmp_path: Path
) -> None:
    with Focus(feed(1, 2, 3, 4)) as focus:
        focus.faults["audio"].extend([status(500), status(403), audio(SNIPPET.encode(), "text/x")])
        focus.always["audio"] = audio()
        config = {**focus.settings, "media_path": str(tmp_path / "audio"), "max_retries": 2}
        run = tap(config=config, catalog=audio_catalog, environment={"TAP_FOCUS_LOGLEVEL": "DEBUG"})
        assert run.code == 0
        for canary in focus.canaries:
            assert canary not in run.log


@case(7, 29)
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_a_download_in_flight_is_dropped_and_its_leftover_cleaned(
    tap: Tap, audio_catalog: dict[str, Any], tmp_path: Path, number: int, code: int
) -> None:
    (tmp_path / "catalog.json").write_text(json.dumps(audio_catalog))

    def stuck(handler: Handler, _: bytes) -> None:
        handler.send(200, b"x" * 600_000, {"Content-Type": "audio/mpeg"}, length=10_000_000)
        time.sleep(30)

    with Focus(feed(1), always={"audio": stuck}) as focus:
        config = {**focus.settings, "media_path": "audio"}
        (tmp_path / "config.json").write_text(json.dumps(config))
        command = [str(BIN / "tap-focus"), "--config", "config.json", "--catalog", "catalog.json"]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=clean_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        folder = tmp_path / "audio"
        deadline = time.monotonic() + 10
        while not any(files(folder).values()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        began = time.monotonic()
        assert process.wait(10) == code
        assert time.monotonic() - began < 5
        (left,) = (path for path in folder.rglob("*") if path.is_file())
        assert left.parent == folder / ".partial"

        focus.always["audio"] = audio()
        config = {**config, "media_path": str(folder)}
        run = tap(config=config, catalog=audio_catalog)
        assert run.records[0]["status"] == "stored"
        assert left.exists()  # another run could be writing it still, until it is old
        os.utime(left, (0, 0))
        tap(config=config, catalog=audio_catalog)
    assert files(folder) == {f"{DAY}/1.mp3": SOUND}


@case(12)
def test_meltano_merges_the_failed_list_by_replacing_it(tmp_path: Path) -> None:
    """Each state holds the whole list, an empty one too, as Meltano's merging asks for."""
    environment = {
        **clean_environment(),
        "MELTANO_DATABASE_URI": f"sqlite:///{tmp_path}/meltano.db",
    }

    def meltano(*arguments: str) -> str:
        done = subprocess.run(
            [str(BIN / "meltano"), *arguments],
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        return done.stdout

    for failed in ([{"interactionId": 1, "attempts": 1}], []):
        stream = {"replication_key": "nextCursorId", "failed": failed}
        state = {"singer_state": {"bookmarks": {"recording_media": stream}}}
        meltano("state", "merge", "test-merge", json.dumps(state))
    merged = json.loads(meltano("state", "get", "test-merge"))
    assert merged["singer_state"]["bookmarks"]["recording_media"]["failed"] == []


def test_without_a_media_path_the_stream_ends_before_any_request(
    tap: Tap, audio_catalog: dict[str, Any]
) -> None:
    with Focus(feed(1)) as focus:
        run = tap(config=focus.settings, catalog=audio_catalog)
        assert run.code == 1
        assert_ends(run, 1, "media_path: missing. It is needed when recording_media is selected")
        assert not focus.logins


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3"])
def test_a_wrong_shard_is_named(tap: Tap, shard: str) -> None:
    account = {"region": "uk", "api_key": "k", "username": "u", "client_id": 1}
    run = tap(config={**account, "media_shard": shard})
    assert run.code == 1
    assert run.errors[0].startswith("media_shard: must be k/n")
