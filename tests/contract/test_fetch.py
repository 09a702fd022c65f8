"""`tap-focus-media fetch` archives the audio of the recordings in a work list."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from signal import SIGTERM
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.test_memory import MAXRSS_UNIT, MEASURE, MIB
from tests.helpers import guarantee
from tests.helpers.assertions import (
    assert_fails,
    assert_no_canary,
    wait_until,
    whole_messages,
)
from tests.helpers.audio import DAY, audio_files
from tests.helpers.fake_focus import AUDIO, FakeFocus, feed, ok, recording, redirect, slow, status
from tests.helpers.runner import BIN, Run, clean_environment, run_command, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.helpers.fake_focus import Handler
    from tests.helpers.runner import ArchiveRunner, TapRunner

FETCH = (str(BIN / "tap-focus-media"), "fetch")

COLUMNS = ("durationInSeconds", "retainUntil", "legalHolds", "additionalFields", "nextCursorId")
"""Columns that a row of `recordings` has, and a recording of `fake_focus` lacks."""


def row(number: int, **fields: Any) -> dict[str, Any]:
    """Return a row of the stream `recordings`."""
    return {**recording(number), **dict.fromkeys(COLUMNS), **fields}


def as_lines(*rows: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


@dataclass(frozen=True)
class FetchRunner:
    """Runs `tap-focus-media fetch` with the archive in the folder `audio`."""

    tap: TapRunner

    def __call__(
        self,
        focus: FakeFocus,
        work_list: str,
        *options: str,
        catalog: Any = None,
        create: bool = True,
        **changes: Any,
    ) -> Run:
        arguments = [*FETCH, *self.options(focus, create=create, catalog=catalog, **changes)]
        return self.tap.fork_server.run(
            *arguments,
            *options,
            folder=self.tap.folder,
            environment=clean_environment(),
            stdin=work_list,
        )

    def options(
        self, focus: FakeFocus, *, create: bool = True, catalog: Any = None, **changes: Any
    ) -> list[str]:
        changes = {"media_path": str(self.tap.folder / "audio"), "requests": 2, **changes}
        files = self.tap.file_options(config=settings(focus, **changes), catalog=catalog)
        return [*files, *["--create"] * create]

    @contextmanager
    def start(self, focus: FakeFocus, **changes: Any) -> Iterator[subprocess.Popen[bytes]]:
        """Start the command in a fresh process, and kill it in the end."""
        with (
            (self.tap.folder / "log").open("wb") as log,
            subprocess.Popen(
                [*FETCH, *self.options(focus, **changes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.tap.folder,
                env=clean_environment(),
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    @property
    def log(self) -> str:
        return (self.tap.folder / "log").read_text("utf-8")


@pytest.fixture
def fetch(tap: TapRunner) -> FetchRunner:
    return FetchRunner(tap)


# Rows


@guarantee("fetch-as-the-stream")
def test_the_rows_are_those_that_the_stream_writes(
    archive: ArchiveRunner, fetch: FetchRunner, tap: TapRunner, tmp_path: Path
) -> None:
    recordings = [
        recording(1, durationInSeconds=10.5, retainUntil="2035-01-01T00:00:00Z"),
        recording(2, mediaAccessStatus="Denied"),
        recording(3, thirdPartyId=None),
        recording(4, thirdPartyId=4),  # its column does not admit a number
        recording(5, startDatetimeUTC="yesterday", type="sms", legalHolds=[{"id": 1}]),
        recording(6, retainUntil="indefinite"),
        recording(7),
        recording(8),
    ]
    statuses = {"call|7": 404, "call|8": 500}

    def audio(handler: Handler, body: bytes) -> None:
        number = statuses.get(handler.received.body["thirdPartyId"])
        (status(number) if number else ok)(handler, body)

    with FakeFocus(feed(recordings), always={"audio": audio}) as focus:
        by_stream = archive(focus, media_path=str(tmp_path / "other"))
        loaded = tap(config=settings(focus))
        by_fetch = fetch(focus, as_lines(*loaded.records))

    assert by_fetch.exit_code == 0, by_fetch.log
    schemas = [run.of_type("SCHEMA") for run in (by_stream, by_fetch)]
    assert schemas[0] == schemas[1]
    expected = [
        {
            **row,
            "uri": row["uri"] and row["uri"].replace("/other/", "/audio/"),
            "nextCursorId": None,
            "fetchedAt": None,
        }
        for row in by_stream.records
    ]
    assert [{**row, "fetchedAt": None} for row in by_fetch.records] == expected
    assert {row["status"] for row in expected} == {"stored", "not_permitted", "not_found", "failed"}
    assert audio_files(tmp_path / "audio") == audio_files(tmp_path / "other")


@guarantee("fetch-as-the-stream")
def test_there_is_no_state_and_no_page_is_requested(fetch: FetchRunner) -> None:
    with FakeFocus(feed(1)) as focus:
        run = fetch(focus, as_lines(row(1)))

    assert run.message_counts == {"SCHEMA": 1, "RECORD": 1}
    assert [row["nextCursorId"] for row in run.records] == [None]
    assert focus.queries == []
    assert "End of the work list: 1 file, " in run.log


def test_the_metrics_count_the_files_of_a_work_list(fetch: FetchRunner) -> None:
    with FakeFocus(feed(2)) as focus:
        run = fetch(focus, as_lines(row(1), row(2)))

    assert '"metric":"audio_file_count","value":2,' in run.log
    assert f'"metric":"audio_file_bytes","value":{2 * len(AUDIO)},' in run.log
    assert_no_canary(run.log, focus.canaries)


def test_an_empty_work_list_writes_the_schema_only(fetch: FetchRunner) -> None:
    with FakeFocus(feed(1)) as focus:
        run = fetch(focus, "\n")

    assert (run.exit_code, run.message_counts) == (0, {"SCHEMA": 1})
    assert focus.requests == []


def test_singer_messages_are_a_work_list(
    fetch: FetchRunner, tap: TapRunner, tmp_path: Path
) -> None:
    with FakeFocus(feed(2)) as focus:
        (tmp_path / "messages.jsonl").write_text(tap(config=settings(focus)).out, "utf-8")
        run = fetch(focus, "", "messages.jsonl")

    assert run.ids == [1, 2]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"interactionId": "1"}, {"interactionId": 1}),
        (
            {"startDatetimeUTC": "2025-05-01 09:01:10.956"},
            {"startDatetimeUTC": "2025-05-01T09:01:10.956Z"},
        ),
        (
            {"startDatetimeUTC": "2025-05-01 11:01:10.956+02"},
            {"startDatetimeUTC": "2025-05-01T11:01:10.956+02:00"},
        ),
        ({"legalHolds": "[]"}, {"legalHolds": []}),
        ({"legalHolds": "hold"}, {"legalHolds": "hold"}),
        ({"legalHolds": "5"}, {"legalHolds": "5"}),
        ({"additionalFields": '{"thirdPartyId": 5}'}, {"thirdPartyId": None}),
    ],
)
def test_values_are_read_as_databases_write_them(
    fetch: FetchRunner, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    with FakeFocus(feed(1)) as focus:
        run = fetch(focus, as_lines(row(1, **fields)))

    assert run.exit_code == 0, run.log
    (record,) = run.records
    assert {name: record[name] for name in expected} == expected
    has_file = f"/{DAY}/1.mp3" in (record["uri"] or "")
    assert has_file == bool(record["thirdPartyId"])


def test_masked_and_deselected_columns_stay_out(
    fetch: FetchRunner, audio_catalog: dict[str, Any]
) -> None:
    stream = next(one for one in audio_catalog["streams"] if one["stream"] == "recording_media")
    for entry in stream["metadata"]:
        if entry["breadcrumb"] == ["properties", "type"]:
            entry["metadata"]["selected"] = False
    maps = {"recording_media": {"thirdPartyId": None}, "recordings": {"type": None}}
    with FakeFocus(feed(1)) as focus:
        run = fetch(focus, as_lines(row(1)), catalog=audio_catalog, stream_maps=maps)

    assert run.exit_code == 0, run.log
    (record,) = run.records
    assert record["status"] == "stored"
    assert not {"thirdPartyId", "type"} & record.keys()


def test_a_catalog_that_does_not_select_the_manifest_is_rejected(
    fetch: FetchRunner, catalog: dict[str, Any]
) -> None:
    with FakeFocus(feed(1)) as focus:
        run = fetch(focus, as_lines(row(1)), catalog=catalog)

    assert_fails(run, 1, "--catalog", "recording_media")
    assert focus.requests == []


# The work list


@guarantee("fetch-as-the-stream")
def test_a_repeated_work_list_downloads_nothing_again(
    archive: ArchiveRunner, fetch: FetchRunner
) -> None:
    with FakeFocus(feed(3), audio=[status(404)]) as focus:
        archive(focus, media_concurrency=1)
        first = fetch(focus, as_lines(*map(row, range(1, 6))), create=False)
        second = fetch(focus, as_lines(*map(row, range(1, 6))), create=False)

    assert [row["status"] for row in first.records] == ["stored"] * 5
    assert [row["sha256"] for row in second.records] == [row["sha256"] for row in first.records]
    assert len(focus.of_kind("audio")) == 6


@pytest.mark.parametrize("page_size", [100, 1], ids=["in a chunk", "in several chunks"])
def test_a_duplicate_is_downloaded_once(fetch: FetchRunner, tmp_path: Path, page_size: int) -> None:
    with FakeFocus(feed(1)) as focus:
        run = fetch(focus, as_lines(row(1), row(2), row(1)), page_size=page_size)

    assert run.ids == [1, 2, 1]
    assert len(focus.of_kind("audio")) == 2
    assert audio_files(tmp_path / "audio") == {f"{DAY}/1.mp3": AUDIO, f"{DAY}/2.mp3": AUDIO}


def test_a_changed_third_party_id_keeps_the_audio_before_it(
    fetch: FetchRunner, tmp_path: Path
) -> None:
    with FakeFocus(feed(1)) as focus:
        fetch(focus, as_lines(row(1)))
        focus.always["audio"] = lambda handler, _: ok(handler, AUDIO + b"ID3")
        run = fetch(focus, as_lines(row(1, thirdPartyId="call|other")))

    assert audio_files(tmp_path / "audio") == {
        f"{DAY}/1.mp3": AUDIO,
        f"{DAY}/1-2.mp3": AUDIO + b"ID3",
    }
    assert len(run.records[0]["previousFiles"]) == 1


@guarantee("disjoint-shards")
def test_shards_divide_a_work_list(fetch: FetchRunner) -> None:
    lines = as_lines(*map(row, range(1, 21)))
    with FakeFocus(feed(1)) as focus:
        shards = [fetch(focus, lines, media_shard=f"{index}/3") for index in (1, 2, 3)]

    assert sorted(key for run in shards for key in run.ids) == [*range(1, 21)]
    assert all(run.ids for run in shards)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("canary", "it is not valid JSON"),
        ('{"interactionId": 3, "type": "canary', "it is not valid JSON"),
        ("[3]", "Expected `object`"),
        (json.dumps({**row(3), "interactionId": "canary"}), "$.interactionId"),
        (json.dumps({**row(3), "interactionId": None}), "$.interactionId"),
        (json.dumps({**row(3), "startDatetimeUTC": "canary"}), "startDatetimeUTC"),
        (json.dumps({**row(3), "startDatetimeUTC": 1746090070956}), "$.startDatetimeUTC"),
        (json.dumps({**row(3), "durationInSeconds": "canary"}), "$.durationInSeconds"),
        (f'{json.dumps(row(3))[:-1]}, "legalHolds": {"[" * 90}{"]" * 90}}}', "legalHolds"),
        (json.dumps({"interactionId": 3, "status": "failed", "error": "canary"}), "thirdPartyId"),
    ],
)
def test_an_invalid_line_ends_the_run_after_the_lines_before_it(
    fetch: FetchRunner, line: str, reason: str
) -> None:
    with FakeFocus(feed(1)) as focus:
        run = fetch(focus, f"{as_lines(row(1), row(2))}{line}\n{as_lines(row(4))}")

    assert_fails(run, 65, "Line 3 of the work list", reason)
    assert run.ids == [1, 2]
    assert "canary" not in run.log.replace("canary-user", "")


@pytest.mark.parametrize(
    "name",
    [
        "interactionId",
        "thirdPartyId",
        "startDatetimeUTC",
        "type",
        "mediaAccessStatus",
        "durationInSeconds",
        "retainUntil",
        "legalHolds",
    ],
)
def test_a_line_without_a_column_that_the_row_needs_is_refused(
    fetch: FetchRunner, name: str
) -> None:
    fields = row(1)
    del fields[name]
    with FakeFocus(feed(1)) as focus:
        run = fetch(focus, as_lines(fields))

    assert_fails(run, 65, "Line 1 of the work list", f"`{name}`")
    assert focus.requests == []


# The archive and Focus


@guarantee("refuse-other-archives")
def test_the_archive_of_another_account_is_refused(fetch: FetchRunner) -> None:
    with FakeFocus(feed(1)) as focus:
        fetch(focus, as_lines(row(1)))
        run = fetch(focus, as_lines(row(2)), client_id=8)

    assert_fails(run, 73, "it is the archive of account", "not of")
    assert len(focus.of_kind("audio")) == 1


@guarantee("refuse-other-archives")
def test_an_archive_that_does_not_exist_is_created_on_request_only(
    fetch: FetchRunner, tmp_path: Path
) -> None:
    (tmp_path / "audio").mkdir()
    with FakeFocus(feed(1)) as focus:
        run = fetch(focus, as_lines(row(1)), create=False)

    assert_fails(run, 73, "Is it mounted?", "--create")
    assert focus.requests == []


@guarantee("stop-on-refused-account")
def test_20_refused_downloads_end_the_run_after_their_rows(fetch: FetchRunner) -> None:
    with FakeFocus(feed(1), always={"audio": status(403)}) as focus:
        run = fetch(focus, as_lines(*map(row, range(1, 100))), page_size=15)

    assert_fails(run, 78, "Focus refused 20 downloads", "Recording.Play")
    assert run.ids == [*range(1, 20)]  # the next query can leave them out
    assert {row["status"] for row in run.records} == {"not_permitted"}


@guarantee("stop-on-refused-account")
@pytest.mark.parametrize("fault", [status(401), redirect("https://example.com")])
def test_refusals_that_concern_the_account_write_no_row(fetch: FetchRunner, fault: Any) -> None:
    with FakeFocus(feed(1), always={"audio": fault}) as focus:
        run = fetch(focus, as_lines(row(1), row(2)))

    assert (run.exit_code, run.records) == (78, [])


def test_a_server_that_is_away_ends_the_run_with_75(fetch: FetchRunner) -> None:
    with FakeFocus(feed(1), always={"login": status(503, Retry_After="0")}) as focus:
        run = fetch(focus, as_lines(row(1)))

    assert_fails(run, 75, "failed 2 times")


@pytest.mark.parametrize(
    ("changes", "options", "exit_code", "fact"),
    [
        ({"media_path": None}, (), 1, "media_path: missing"),
        ({"media_shard": "4/3"}, (), 1, "media_shard: must be k/n"),
        ({}, ("--from", "2025-05-01"), 2, "No such option"),
        ({}, ("missing.jsonl",), 2, "missing.jsonl"),
        ({}, ("--config", "missing.json"), 2, "missing.json"),
    ],
)
def test_settings_and_options_are_checked_as_by_the_tap(
    fetch: FetchRunner,
    changes: dict[str, Any],
    options: tuple[str, ...],
    exit_code: int,
    fact: str,
) -> None:
    with FakeFocus(feed(1)) as focus:
        run = fetch(focus, as_lines(row(1)), *options, **changes)

    assert run.exit_code == exit_code
    assert fact in run.log
    assert focus.requests == []


def test_settings_come_from_the_environment(tap: TapRunner) -> None:
    with FakeFocus(feed(1)) as focus:
        values = {**focus.settings, "media_path": "audio"}
        # Meltano sets the settings of the plugin tap-focus-media by a second name.
        values |= {f"media_{name}": value for name, value in values.items()}
        values |= {"media__select": "[]"}
        run = tap.fork_server.run(
            *FETCH,
            *("--config", "ENV", "--create"),
            folder=tap.folder,
            environment=clean_environment(
                **{f"TAP_FOCUS_{name.upper()}": str(value) for name, value in values.items()}
            ),
            stdin=as_lines(row(1)),
        )

    assert run.exit_code == 0, run.log
    assert "unknown setting" not in run.log


# Signals, pipes, memory


@guarantee("stop-on-signal")
def test_sigterm_during_downloads_leaves_whole_rows_and_no_partial_file(
    fetch: FetchRunner, tmp_path: Path
) -> None:
    with (
        FakeFocus(feed(1), audio=[ok] * 4, always={"audio": slow(60)}) as focus,
        fetch.start(focus, page_size=2, media_concurrency=2) as process,
    ):
        assert process.stdin
        process.stdin.write(as_lines(*map(row, range(1, 10))).encode())
        process.stdin.close()
        wait_until(lambda: len(focus.of_kind("audio")) == 6)
        process.send_signal(SIGTERM)
        assert process.stdout
        lines = process.stdout.readlines()
        exit_code = process.wait(10)

    assert exit_code == 143
    messages = whole_messages(lines)
    assert [one["record"]["interactionId"] for one in messages if one["type"] == "RECORD"] == [
        *range(1, 5)
    ]
    names = {f"{DAY}/{key}.mp3" for key in range(1, 5)}
    assert {path for path in audio_files(tmp_path / "audio") if "partial" not in path} == names


def fetch_first_row(process: subprocess.Popen[bytes]) -> list[bytes]:
    """Send the first line of a work list, and return the SCHEMA and the row that follow."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(as_lines(row(1)).encode())
    process.stdin.flush()
    return [process.stdout.readline() for _ in range(2)]


@guarantee("stop-on-signal")
def test_sigterm_while_the_work_list_is_waited_for(fetch: FetchRunner) -> None:
    with FakeFocus(feed(1)) as focus, fetch.start(focus, page_size=1) as process:
        lines = fetch_first_row(process)
        started = time.monotonic()
        process.send_signal(SIGTERM)
        exit_code = process.wait(10)

    assert exit_code == 143
    assert time.monotonic() - started < 3
    assert json.loads(lines[1])["record"]["interactionId"] == 1
    assert "Traceback" not in fetch.log


@guarantee("stop-on-closed-pipe")
def test_a_closed_pipe_ends_the_run(fetch: FetchRunner) -> None:
    with FakeFocus(feed(1)) as focus, fetch.start(focus, page_size=1) as process:
        fetch_first_row(process)
        assert process.stdin
        assert process.stdout
        process.stdout.close()
        process.stdin.write(as_lines(row(2), row(3)).encode())
        process.stdin.close()
        exit_code = process.wait(10)

    assert exit_code == 74
    assert "Cannot write to standard output" in fetch.log
    assert "Traceback" not in fetch.log


@guarantee("bound-feed-memory")
def test_memory_does_not_grow_with_the_work_list(fetch: FetchRunner, tmp_path: Path) -> None:
    def peak_of(number: int) -> int:
        with (tmp_path / "list.jsonl").open("w") as file:
            for key in range(number):
                file.write(as_lines(row(key, mediaAccessStatus="Denied", legalHolds="x" * 3000)))
        with FakeFocus(feed(1)) as focus:
            command = [*FETCH, *fetch.options(focus), "list.jsonl"]
            run = run_command(sys.executable, "-c", MEASURE, *command, folder=tmp_path)
        exit_code, peak = run.out.split()
        assert exit_code == "0", run.log
        return int(peak) * MAXRSS_UNIT

    assert peak_of(10_000) - peak_of(500) < 12 * MIB


def test_two_commands_at_once_store_each_file_once(fetch: FetchRunner, tmp_path: Path) -> None:
    lines = as_lines(*map(row, range(1, 9))).encode()
    with (
        FakeFocus(feed(1), always={"audio": slow(0.05)}) as focus,
        fetch.start(focus) as first,
        fetch.start(focus) as second,
    ):
        outputs = []
        for process in (first, second):
            assert process.stdin
            process.stdin.write(lines)
            process.stdin.close()
        for process in (first, second):
            assert process.stdout
            outputs.append(whole_messages(process.stdout.readlines()))
            assert process.wait(20) == 0

    for messages in outputs:
        rows = [one["record"] for one in messages if one["type"] == "RECORD"]
        assert [row["status"] for row in rows] == ["stored"] * 8
    assert audio_files(tmp_path / "audio") == {f"{DAY}/{key}.mp3": AUDIO for key in range(1, 9)}
