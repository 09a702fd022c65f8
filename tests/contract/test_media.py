"""The audio archive in a folder: the installed `tap-focus` against a Focus that misbehaves."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from conftest import BIN, ROOT, Run, clean_environment
from faulty import (
    CURSOR,
    SNIPPET,
    Focus,
    bad_gzip,
    cut,
    cut_chunked,
    hang_up,
    page,
    redirect,
    slow,
    status,
)
from faulty import recording as any_recording

from tap_focus.media import Shard

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faulty import Fault, Handler

    Tap = Callable[..., Run]
    Archive = Callable[..., Run]

case = pytest.mark.case

SOUND = b"ID3" + bytes(range(256)) * 40
DAY = "2025/05/01"


def recording(key: int, **more: Any) -> dict[str, Any]:
    permitted = {"mediaAccessStatus": "Permitted", "thirdPartyId": f"call|{key}"}
    return any_recording(key, type="teams", **{**permitted, **more})


def feed(*keys: int, **more: Any) -> dict[str | None, bytes]:
    """A feed of one page."""
    recordings = [recording(key, **more) for key in keys]
    return {None: page(recordings, CURSOR), CURSOR: page([], CURSOR)}


def audio(body: bytes = SOUND, kind: str = "audio/mpeg", **headers: str) -> Fault:
    """Answer with audio; it is the server's default in these tests."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _: handler.send(200, body, {"Content-Type": kind, **named})


def sounding(fault: Fault) -> Fault:
    """Let a fault of the connection happen to an answer with audio."""

    def with_sound(handler: Handler, _: bytes) -> None:
        handler.content_type = "audio/mpeg"
        fault(handler, SOUND)

    return with_sound


def longer(handler: Handler, _: bytes) -> None:
    """Send more than was announced."""
    handler.send(200, SOUND + b"more", {"Content-Type": "audio/mpeg"}, length=len(SOUND))
    handler.close_connection = True


def without_length(handler: Handler, _: bytes) -> None:
    """Announce no length; nobody can tell whether all came."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n" + SOUND)
    handler.close_connection = True


@pytest.fixture
def catalog(tap: Tap) -> dict[str, Any]:
    """A catalog that selects the audio alone."""
    catalog: dict[str, Any] = json.loads(tap("--discover").out)
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if entry["breadcrumb"] == []:
                entry["metadata"]["selected"] = stream["stream"] == "recording_media"
    return catalog


@pytest.fixture
def archive(tap: Tap, catalog: dict[str, Any], tmp_path: Path) -> Archive:
    """Run the tap with the audio selected, into the folder `audio`."""

    def run(focus: Focus, *, state: Any = None, **more: Any) -> Run:
        focus.always.setdefault("audio", audio())
        config = {
            **focus.settings,
            "request_timeout": 1,
            "max_retries": 2,
            "media_path": str(tmp_path / "audio"),
            **more,
        }
        return tap(config=config, catalog=catalog, state=state)

    return run


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder, the hidden ones too, by their path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def by_id(run: Run) -> dict[int, dict[str, Any]]:
    return {record["interactionId"]: record for record in run.records}


def bookmark(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = run.state["bookmarks"]["recording_media"]
    return found


@case(29)
def test_a_file_lies_under_its_name_with_the_hash_that_its_row_tells(
    archive: Archive, tmp_path: Path
) -> None:
    with Focus(feed(1, 2)) as focus:
        run = archive(focus)
    assert run.code == 0
    assert files(tmp_path / "audio") == {f"{DAY}/1.mp3": SOUND, f"{DAY}/2.mp3": SOUND}
    row = by_id(run)[1]
    assert row.pop("fetchedAt")
    assert row == {
        "interactionId": 1,
        "thirdPartyId": "call|1",
        "startDatetimeUTC": "2025-05-01T09:01:10.956Z",
        "type": "teams",
        "status": "stored",
        "uri": (tmp_path / "audio" / DAY / "1.mp3").as_uri(),
        "contentType": "audio/mpeg",
        "sizeInBytes": len(SOUND),
        "sha256": hashlib.sha256(SOUND).hexdigest(),
        "error": None,
        "nextCursorId": CURSOR,
    }
    assert bookmark(run) == {
        "replication_key": "nextCursorId",
        "replication_key_value": CURSOR,
        "failed": [],
    }


@case(29, 30)
@pytest.mark.parametrize(
    "fault",
    [
        sounding(cut),
        sounding(cut_chunked),
        sounding(hang_up),
        longer,
        sounding(slow(1.5)),
        status(503, Retry_After="0"),
    ],
)
def test_a_body_that_is_not_whole_is_fetched_again(
    archive: Archive, tmp_path: Path, fault: Fault
) -> None:
    with Focus(feed(1)) as focus:
        focus.faults["audio"].append(fault)
        run = archive(focus)
    assert by_id(run)[1]["status"] == "stored"
    assert files(tmp_path / "audio") == {f"{DAY}/1.mp3": SOUND}
    assert "Trying again" in run.log


@case(29, 30, 31)
@pytest.mark.parametrize(
    "fault",
    [
        sounding(cut),
        sounding(cut_chunked),
        sounding(bad_gzip),
        longer,
        without_length,
        audio(b""),
        status(204),
        status(418),
        status(500),
        audio(b'{"error": "no"}', "application/json"),
        audio(b"<html>", "text/html; charset=utf-8"),
        audio(SOUND, ""),
        lambda handler, _: handler.send(200, b"", {"Content-Type": "audio/mpeg"}),
    ],
)
def test_what_is_not_whole_audio_is_not_stored_and_waits_in_the_bookmark(
    archive: Archive, tmp_path: Path, fault: Fault
) -> None:
    with Focus(feed(1)) as focus:
        focus.always["audio"] = fault
        run = archive(focus)
        assert run.code == 0
        row = by_id(run)[1]
        assert row["status"] == "failed"
        assert row["error"]
        assert row["uri"] is row["sha256"] is row["sizeInBytes"] is None
        assert files(tmp_path / "audio") == {}
        (failed,) = bookmark(run)["failed"]
        assert (failed["interactionId"], failed["attempts"]) == (1, 1)

        again = archive(focus, state=run.state)
        assert bookmark(again)["failed"][0]["attempts"] == 2
        focus.always["audio"] = audio()
        well = archive(focus, state=again.state)
    assert by_id(well)[1]["status"] == "stored"
    assert bookmark(well)["failed"] == []
    assert files(tmp_path / "audio") == {f"{DAY}/1.mp3": SOUND}


@case(31)
@pytest.mark.parametrize(
    ("code", "expected"), [(403, "not_permitted"), (404, "not_found"), (410, "not_found")]
)
def test_a_refusal_is_a_status_and_is_not_tried_again(
    archive: Archive, code: int, expected: str
) -> None:
    with Focus(feed(1, 2)) as focus:
        focus.faults["audio"].append(status(code))
        run = archive(focus, media_concurrency=1)
    assert [row["status"] for row in run.records] == [expected, "stored"]
    assert bookmark(run)["failed"] == []
    assert "Trying again" not in run.log


@case(31)
@pytest.mark.parametrize("access", ["NotPermitted", None, "permitted", 5])
def test_what_is_not_permitted_is_not_asked_for(archive: Archive, access: Any) -> None:
    with Focus(feed(1, mediaAccessStatus=access)) as focus:
        focus.always["audio"] = hang_up
        run = archive(focus)
    (row,) = run.records
    assert row["status"] == "not_permitted"
    assert "mediaAccessStatus" in row["error"]


@case(31)
def test_a_recording_without_a_third_party_id_is_not_found(archive: Archive) -> None:
    with Focus(feed(1, thirdPartyId=None)) as focus:
        run = archive(focus)
    assert run.records[0]["status"] == "not_found"


@case(31)
def test_one_failure_holds_nobody_up_and_rows_keep_the_pages_order(archive: Archive) -> None:
    def late_or_broken(handler: Handler, _: bytes) -> None:
        time.sleep(0.05)
        audio()(handler, b"")

    with Focus(feed(*range(1, 31))) as focus:
        focus.faults["audio"].extend([status(500), hang_up, status(404)])
        focus.always["audio"] = late_or_broken
        run = archive(focus)
    assert [row["interactionId"] for row in run.records] == list(range(1, 31))
    statuses = [row["status"] for row in run.records]
    assert statuses.count("stored") == 29
    assert statuses.count("not_found") == 1


@case(31)
def test_too_many_failures_end_before_the_bookmark_moves(archive: Archive) -> None:
    keys = list(range(1, 1003))
    with Focus(feed(*keys), always={"audio": audio(b"", "text/plain")}) as focus:
        run = archive(focus, media_concurrency=16, page_size=2000)
    assert run.code == 75
    assert len(run.errors) == 1
    assert "More than 1000 downloads" in run.errors[0]
    assert all("replication_key_value" not in json.dumps(m["value"]) for m in run.of("STATE"))


@case(19)
def test_a_key_that_is_refused_ends_the_run(archive: Archive) -> None:
    with Focus(feed(1)) as focus:
        focus.always["audio"] = status(401)
        run = archive(focus)
    assert run.code == 78
    assert run.records == []


@case(22)
def test_a_redirect_from_the_audio_is_not_followed(archive: Archive) -> None:
    with Focus(feed(1)) as other, Focus(feed(1)) as focus:
        focus.always["audio"] = redirect(f"{other.url}/elsewhere")
        run = archive(focus)
        assert not other.queries
        assert not other.logins
    assert run.code == 78
    assert "redirected" in run.errors[0]


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
    tap: Tap, catalog: dict[str, Any], tmp_path: Path
) -> None:
    with Focus(feed(1, 2, 3, 4)) as focus:
        focus.faults["audio"].extend([status(500), status(403), audio(SNIPPET.encode(), "text/x")])
        focus.always["audio"] = audio()
        config = {**focus.settings, "media_path": str(tmp_path / "audio"), "max_retries": 2}
        run = tap(config=config, catalog=catalog, environment={"TAP_FOCUS_LOGLEVEL": "DEBUG"})
        assert run.code == 0
        for canary in focus.canaries:
            assert canary not in run.log


@case(7, 29)
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_a_download_in_flight_is_dropped_and_its_leftover_cleaned(
    tap: Tap, catalog: dict[str, Any], tmp_path: Path, number: int, code: int
) -> None:
    (tmp_path / "catalog.json").write_text(json.dumps(catalog))

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
        run = tap(config=config, catalog=catalog)
        assert run.records[0]["status"] == "stored"
        assert left.exists()  # another run could be writing it still, until it is old
        os.utime(left, (0, 0))
        tap(config=config, catalog=catalog)
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
    tap: Tap, catalog: dict[str, Any]
) -> None:
    with Focus(feed(1)) as focus:
        run = tap(config=focus.settings, catalog=catalog)
        assert run.code == 1
        assert "media_path: missing. It is needed when recording_media is selected" in run.errors
        assert not focus.logins


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3"])
def test_a_wrong_shard_is_named(tap: Tap, shard: str) -> None:
    account = {"region": "uk", "api_key": "k", "username": "u", "client_id": 1}
    run = tap(config={**account, "media_shard": shard})
    assert run.code == 1
    assert run.errors[0].startswith("media_shard: must be k/n")


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
        [str(BIN / "tap-focus-media"), "verify", *arguments],
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
    nonsense = verify("--media-path", str(tmp_path), stdin='{"a": 1}\n')
    assert nonsense.returncode == 2
    assert "line 1 is no row of recording_media" in nonsense.stderr
