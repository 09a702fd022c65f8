"""The installed `tap-focus` against the sandbox, as a user runs it."""

from __future__ import annotations

import json
import os
from itertools import groupby
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from tap_focus.sandbox import Sandbox
from tap_focus.streams import columns
from tests.helpers import timing
from tests.helpers.assertions import assert_fails, bookmark, cursor_of, without_tap_fields

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.runner import TapRunner

LOGIN = "/api/authWithAPIKey"
CURSOR = "/api/client/recording/cursor"


def test_every_recording_is_written_as_the_server_sends_it(
    tap: TapRunner, sandbox: Sandbox
) -> None:
    run = tap(config=sandbox.settings)

    assert run.exit_code == 0
    assert [without_tap_fields(record) for record in run.records] == sandbox.feed()
    assert all(record["additionalFields"] is None for record in run.records)
    assert run.messages[0]["type"] == "SCHEMA"
    assert run.messages[0]["key_properties"] == ["interactionId"]
    assert all(message["time_extracted"] for message in run.of_type("RECORD"))


def test_a_state_with_the_next_cursor_follows_each_page(tap: TapRunner, sandbox: Sandbox) -> None:
    run = tap(config={**sandbox.settings, "page_size": 100})

    pages = [
        [message["record"]["nextCursorId"] for message in messages]
        for is_record, messages in groupby(run.messages, lambda m: m["type"] == "RECORD")
        if is_record
    ]
    assert [len(page) for page in pages] == [100, 100, 50]
    assert all(len(set(page)) == 1 for page in pages)
    *after_pages, last = run.states
    account = f"127.0.0.1/{sandbox.settings['client_id']}"
    assert after_pages == [bookmark(page[0], account) for page in pages]
    assert last not in after_pages, "the cursor of the empty page was not kept"


def test_the_next_run_requests_only_what_is_new(tap: TapRunner, sandbox: Sandbox) -> None:
    first = tap(config=sandbox.settings)
    sent_before = len(sandbox.requests)
    second = tap(config=sandbox.settings, state=first.state)
    second_requests = [request.path for request in sandbox.requests[sent_before:]]
    sandbox.grow(7)
    third = tap(config=sandbox.settings, state=second.state)

    assert (second.exit_code, second.records) == (0, [])
    assert second_requests == [LOGIN, CURSOR]
    assert [without_tap_fields(record) for record in third.records] == sandbox.feed()[-7:]


def test_nothing_is_lost_from_any_state_that_a_run_resumes(
    tap: TapRunner, sandbox: Sandbox
) -> None:
    config = {**sandbox.settings, "page_size": 60}
    run = tap(config=config)

    assert len(run.states) == 6
    written: list[dict[str, Any]] = []
    for message in run.messages:
        if message["type"] == "RECORD":
            written.append(message["record"])
        elif message["type"] == "STATE":
            resumed = tap(config=config, state=message["value"])
            assert resumed.exit_code == 0
            records = [without_tap_fields(record) for record in written + resumed.records]
            assert records == sandbox.feed()


def test_the_first_request_has_the_start_date_in_utc_and_no_cursor(
    tap: TapRunner, sandbox: Sandbox
) -> None:
    start = sandbox.feed()[200]["startDatetimeUTC"]
    run = tap(config={**sandbox.settings, "start_date": start, "page_size": 10})

    queries = [request.params for request in sandbox.requests if request.path == CURSOR]
    assert queries[0] == {"numberOfResults": "10", "fromDate": start[:19] + "Z"}
    assert all(set(query) == {"numberOfResults", "cursorId"} for query in queries[1:])
    assert 0 < len(run.records) < 100


def test_a_bookmark_wins_over_start_date(tap: TapRunner, sandbox: Sandbox) -> None:
    state = tap(config=sandbox.settings).state
    sent_before = len(sandbox.requests)
    tap(config={**sandbox.settings, "start_date": "2025-01-01"}, state=state)

    query = sandbox.requests[sent_before + 1].params
    assert query == {"numberOfResults": "100", "cursorId": cursor_of(state)}


def test_one_login_serves_the_whole_run(tap: TapRunner, sandbox: Sandbox) -> None:
    tap(config={**sandbox.settings, "page_size": 10})

    assert [request.path for request in sandbox.requests].count(LOGIN) == 1


@timing
def test_a_token_is_renewed_before_it_expires(tap: TapRunner) -> None:
    with Sandbox(records=60, seed=7, live_every=0, latency=0.1, token_ttl=2) as sandbox:
        run = tap(config={**sandbox.settings, "page_size": 2})

    assert (run.exit_code, len(run.records)) == (0, 60)
    assert 401 not in [request.status for request in sandbox.requests]
    assert [request.path for request in sandbox.requests].count(LOGIN) > 1


def test_all_settings_can_come_from_the_environment(tap: TapRunner, sandbox: Sandbox) -> None:
    environment = {f"TAP_FOCUS_{name.upper()}": str(v) for name, v in sandbox.settings.items()}
    run = tap("--config", "ENV", environment=environment)

    assert (run.exit_code, len(run.records)) == (0, 250)


def test_an_invalid_number_in_the_environment_is_named(tap: TapRunner, sandbox: Sandbox) -> None:
    environment = {"TAP_FOCUS_CLIENT_ID": "abc", "TAP_FOCUS_PAGE_SIZE": "many"}
    run = tap("--config", "ENV", config=sandbox.settings, environment=environment)

    assert_fails(run, 1, "client_id: ", "page_size: ")
    assert sandbox.requests == []


@pytest.mark.parametrize("arguments", [(), ("--test",)])
def test_invalid_settings_end_the_run_before_any_request(
    tap: TapRunner, sandbox: Sandbox, arguments: tuple[str, ...]
) -> None:
    run = tap(*arguments, config={**sandbox.settings, "page_size": 0, "client_id": "abc"})

    assert_fails(run, 1, "client_id: ", "page_size: ")
    assert sandbox.requests == []


# Python 3.12 parses JSON that is nested more deeply than earlier versions can.
DEEP = '{"bookmarks":' + "[" * 100_000 + "]" * 100_000 + "}"


@pytest.mark.parametrize("name", ["config", "state", "catalog"])
@pytest.mark.parametrize("content", ["{", "", "[]", "5", pytest.param(DEEP, id="deep")])
def test_an_invalid_file_is_named_without_traceback(
    tap: TapRunner, tmp_path: Path, name: str, content: str
) -> None:
    path = tmp_path / "invalid.json"
    path.write_text(content)
    run = tap(f"--{name}", str(path))

    assert run.exit_code == 2
    assert f"--{name}" in run.log
    assert "Traceback" not in run.log


@pytest.mark.parametrize("content", [{}, {"bookmarks": {}}, bookmark("a")])
def test_a_catalog_without_streams_is_rejected(
    tap: TapRunner, sandbox: Sandbox, content: dict[str, Any]
) -> None:
    run = tap(config=sandbox.settings, catalog=content)

    assert run.exit_code == 2
    assert "--catalog" in run.log
    assert "Traceback" not in run.log
    assert sandbox.requests == []


def test_a_missing_file_is_named_without_traceback(tap: TapRunner) -> None:
    run = tap("--config", "nowhere.json")

    assert run.exit_code == 2
    assert "nowhere.json" in run.log
    assert "Traceback" not in run.log


def test_discovery_needs_no_credentials(tap: TapRunner) -> None:
    run = tap("--discover")

    assert run.exit_code == 0
    assert [stream["tap_stream_id"] for stream in json.loads(run.out)["streams"]] == [
        "recording_media",
        "recordings",
    ]


def test_about_describes_every_setting(tap: TapRunner) -> None:
    run = tap("--about", "--format=json")

    assert run.exit_code == 0
    properties = json.loads(run.out)["settings"]["properties"]
    assert properties["api_key"]["secret"] is True
    assert [name for name, schema in properties.items() if not schema.get("description")] == []


@pytest.mark.parametrize(
    ("arguments", "line"), [((), "Name: tap-focus"), (("--format=markdown",), "# `tap-focus`")]
)
def test_about_is_readable(tap: TapRunner, arguments: tuple[str, ...], line: str) -> None:
    assert line in tap("--about", *arguments).out


def test_the_test_option_reads_one_record_and_sets_no_bookmark(
    tap: TapRunner, sandbox: Sandbox
) -> None:
    run = tap("--test", config=sandbox.settings)

    assert (run.exit_code, len(run.records)) == (0, 1)
    assert "replication_key_value" not in run.state["bookmarks"]["recordings"]


def test_the_test_option_can_write_schemas_only(tap: TapRunner, sandbox: Sandbox) -> None:
    run = tap("--test=schema", config=sandbox.settings)

    assert (run.exit_code, set(run.message_counts)) == (0, {"SCHEMA"})


def test_a_configuration_can_come_through_a_pipe(
    tap: TapRunner, sandbox: Sandbox, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = Thread(target=lambda: fifo.write_text(json.dumps(sandbox.settings)))
    writer.start()
    run = tap("--config", str(fifo))
    writer.join()

    assert (run.exit_code, len(run.records)) == (0, 250)


def test_structured_logging_works(tap: TapRunner, sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "logging.yml"
    path.write_text(
        "version: 1\n"
        "formatters: {json: {(): singer_sdk.logging.StructuredFormatter}}\n"
        "handlers: {err: {class: logging.StreamHandler, formatter: json}}\n"
        "root: {level: INFO, handlers: [err]}\n"
    )
    run = tap(config=sandbox.settings, environment={"SINGER_SDK_LOG_CONFIG": str(path)})

    messages = [json.loads(line)["message"] for line in run.log.splitlines() if line[0] == "{"]
    assert any("Up to date" in message for message in messages)


def test_one_line_of_the_log_sums_up_the_run(tap: TapRunner, sandbox: Sandbox) -> None:
    run = tap(config=sandbox.settings)

    (line,) = [line for line in run.log.splitlines() if "Up to date" in line]
    latest = max(recording["startDatetimeUTC"] for recording in sandbox.feed())
    for fact in ("250 recordings", "4 pages", f"{latest[:10]} {latest[11:16]}"):
        assert fact in line


def test_the_fields_of_the_sandbox_are_a_subset_of_the_schema(sandbox: Sandbox) -> None:
    fields = {name for recording in sandbox.feed() for name in recording}

    assert fields <= columns.RECORDINGS["properties"].keys()
