"""The installed `tap-focus` against the sandbox: what a user types, and what comes out."""

from __future__ import annotations

import json
import os
from itertools import groupby
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from tap_focus.streams import schemas
from tests.helpers.assertions import bookmark, cursor_of, without_tap_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_focus.sandbox import Sandbox
    from tests.conftest import Run

    Tap = Callable[..., Run]


def test_every_recording_arrives_as_the_server_holds_it(tap: Tap, sandbox: Sandbox) -> None:
    run = tap(config=sandbox.settings)
    assert run.code == 0
    assert [without_tap_fields(record) for record in run.records] == sandbox.feed()
    assert all(record["additionalFields"] is None for record in run.records)
    assert run.messages[0]["type"] == "SCHEMA"
    assert run.messages[0]["key_properties"] == ["interactionId"]
    assert all(message["time_extracted"] for message in run.of("RECORD"))


def test_a_state_follows_each_page_and_holds_the_cursor_after_it(
    tap: Tap, sandbox: Sandbox
) -> None:
    run = tap(config={**sandbox.settings, "page_size": 100})
    pages = [
        [line["record"]["nextCursorId"] for line in lines]
        for is_record, lines in groupby(run.messages, lambda line: line["type"] == "RECORD")
        if is_record
    ]
    assert [len(page) for page in pages] == [100, 100, 50]
    assert all(len(set(page)) == 1 for page in pages)
    *after_pages, last = [message["value"] for message in run.of("STATE")]
    assert after_pages == [bookmark(page[0]) for page in pages]
    assert last not in after_pages, "the empty page's cursor was not kept"


def test_the_next_run_brings_only_what_is_new(tap: Tap, sandbox: Sandbox) -> None:
    first = tap(config=sandbox.settings)
    before = len(sandbox.requests)
    second = tap(config=sandbox.settings, state=first.state)
    assert second.code == 0
    assert second.records == []
    assert [request.path for request in list(sandbox.requests)[before:]] == [
        "/api/authWithAPIKey",
        "/api/client/recording/cursor",
    ]
    sandbox.grow(7)
    third = tap(config=sandbox.settings, state=second.state)
    assert [without_tap_fields(record) for record in third.records] == sandbox.feed()[-7:]


def test_nothing_is_lost_from_whichever_state_a_run_resumes(tap: Tap, sandbox: Sandbox) -> None:
    config = {**sandbox.settings, "page_size": 60}
    whole = tap(config=config)
    out: list[dict[str, Any]] = []
    resumed = 0
    for message in whole.messages:
        if message["type"] == "RECORD":
            out.append(message["record"])
        elif message["type"] == "STATE":
            rest = tap(config=config, state=message["value"])
            assert rest.code == 0
            both = [without_tap_fields(record) for record in out + rest.records]
            assert both == sandbox.feed()
            resumed += 1
    assert resumed == 6


def test_the_first_request_has_no_cursor_and_the_start_date_in_utc(
    tap: Tap, sandbox: Sandbox
) -> None:
    start = sandbox.feed()[200]["startDatetimeUTC"]
    run = tap(config={**sandbox.settings, "start_date": start, "page_size": 10})
    queries = [r.params for r in sandbox.requests if r.path.endswith("/cursor")]
    assert queries[0] == {"numberOfResults": "10", "fromDate": start[:19] + "Z"}
    assert all(set(query) == {"numberOfResults", "cursorId"} for query in queries[1:])
    assert 0 < len(run.records) < 100


def test_a_bookmark_wins_over_start_date(tap: Tap, sandbox: Sandbox) -> None:
    state = tap(config=sandbox.settings).state
    before = len(sandbox.requests)
    run = tap(config={**sandbox.settings, "start_date": "2025-01-01"}, state=state)
    query = list(sandbox.requests)[before + 1].params
    assert query == {"numberOfResults": "100", "cursorId": cursor_of(state)}
    assert run.log.count("start_date") == 1


def test_one_login_serves_the_whole_run(tap: Tap, sandbox: Sandbox) -> None:
    tap(config={**sandbox.settings, "page_size": 10})
    assert sum("auth" in request.path for request in sandbox.requests) == 1


def test_a_token_is_renewed_before_it_expires(tap: Tap) -> None:
    from tap_focus.sandbox import Sandbox  # noqa: PLC0415

    with Sandbox(records=60, seed=7, live_every=0, latency=0.1, token_ttl=2) as box:
        run = tap(config={**box.settings, "page_size": 2})
        assert run.code == 0
        assert len(run.records) == 60
        statuses = [request.status for request in box.requests]
        assert 401 not in statuses
        assert sum("auth" in request.path for request in box.requests) > 1


def test_settings_may_come_from_the_environment_alone(tap: Tap, sandbox: Sandbox) -> None:
    environment = {f"TAP_FOCUS_{name.upper()}": str(v) for name, v in sandbox.settings.items()}
    run = tap("--config", "ENV", environment=environment)
    assert run.code == 0
    assert len(run.records) == 250


def test_a_number_in_the_environment_that_is_none_is_named(tap: Tap, sandbox: Sandbox) -> None:
    environment = {"TAP_FOCUS_CLIENT_ID": "abc", "TAP_FOCUS_PAGE_SIZE": "many"}
    run = tap("--config", "ENV", config=sandbox.settings, environment=environment)
    assert run.code == 1
    assert "client_id: must be an integer, not 'abc'" in run.errors
    assert "page_size: must be an integer, not 'many'" in run.errors
    assert "Traceback" not in run.log
    assert not sandbox.requests


@pytest.mark.parametrize("arguments", [(), ("--test",)])
def test_wrong_settings_end_before_any_request(
    tap: Tap, sandbox: Sandbox, arguments: tuple[str, ...]
) -> None:
    run = tap(*arguments, config={**sandbox.settings, "page_size": 0, "client_id": "abc"})
    assert run.code == 1
    assert run.errors == [
        "client_id: must be an integer, not 'abc'",
        "page_size: must be 1 or more, not 0",
    ]
    assert "Traceback" not in run.log
    assert not sandbox.requests


@pytest.mark.parametrize("name", ["config", "state", "catalog"])
@pytest.mark.parametrize(
    "content",
    ["{", "", "[]", "5", pytest.param('{"bookmarks":' + "[" * 990 + "]" * 990 + "}", id="deep")],
)
def test_a_file_that_is_not_what_it_should_be_is_one_line(
    tap: Tap, sandbox: Sandbox, tmp_path: Path, name: str, content: str
) -> None:
    path = tmp_path / "broken.json"
    path.write_text(content)
    run = tap(f"--{name}", str(path), config=sandbox.settings)
    assert run.code != 0
    assert "Traceback" not in run.log
    assert name in run.log


def test_a_file_that_is_not_there_is_one_line(tap: Tap) -> None:
    run = tap("--config", "nowhere.json")
    assert run.code != 0
    assert "nowhere.json" in run.log
    assert "Traceback" not in run.log


def test_discovery_and_about_need_no_credentials(tap: Tap) -> None:
    catalog = tap("--discover")
    assert catalog.code == 0
    assert [stream["tap_stream_id"] for stream in json.loads(catalog.out)["streams"]] == [
        "recording_media",
        "recordings",
    ]
    about = tap("--about", "--format=json")
    assert about.code == 0
    described = json.loads(about.out)
    assert described["settings"]["properties"]["api_key"]["secret"] is True
    for name, setting in described["settings"]["properties"].items():
        assert setting.get("description"), f"{name} has no description"
    assert "# `tap-focus`" in tap("--about", "--format=markdown").out
    assert "Name: tap-focus" in tap("--about").out


def test_the_test_flag_tries_the_connection_with_one_record(tap: Tap, sandbox: Sandbox) -> None:
    run = tap("--test", config=sandbox.settings)
    assert run.code == 0
    assert len(run.records) == 1
    assert "replication_key_value" not in run.of("STATE")[-1]["value"]["bookmarks"]["recordings"]
    assert tap("--test=schema", config=sandbox.settings).kinds == {"SCHEMA": 2}


def test_a_configuration_may_come_through_a_pipe(
    tap: Tap, sandbox: Sandbox, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = Thread(target=lambda: fifo.write_text(json.dumps(sandbox.settings)))
    writer.start()
    run = tap("--config", str(fifo))
    writer.join()
    assert (run.code, len(run.records)) == (0, 250)


def test_structured_logging_works(tap: Tap, sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "logging.yml"
    path.write_text(
        "version: 1\n"
        "formatters: {json: {(): singer_sdk.logging.StructuredFormatter}}\n"
        "handlers: {err: {class: logging.StreamHandler, formatter: json}}\n"
        "root: {level: INFO, handlers: [err]}\n"
    )
    run = tap(config=sandbox.settings, environment={"SINGER_SDK_LOG_CONFIG": str(path)})
    lines = [json.loads(line) for line in run.log.splitlines() if line.startswith("{")]
    assert any(line["message"].startswith("Up to date: 250 recordings") for line in lines)


def test_the_log_sums_up_in_one_line(tap: Tap, sandbox: Sandbox) -> None:
    run = tap(config=sandbox.settings)
    (line,) = [line for line in run.log.splitlines() if "Up to date" in line]
    latest = max(recording["startDatetimeUTC"] for recording in sandbox.feed())
    assert "Up to date: 250 recordings in 4 pages" in line
    assert f"the feed has come to {latest[:10]} {latest[11:16]}" in line


def test_the_catalog_is_the_one_that_was_read_by_hand(tap: Tap) -> None:
    snapshot = Path(__file__).parent / "catalog.json"
    assert json.loads(tap("--discover").out) == json.loads(snapshot.read_text("utf-8"))


def test_the_schema_knows_every_field_of_the_vendors_sample(sandbox: Sandbox) -> None:
    assert {name for recording in sandbox.feed() for name in recording} == schemas.TYPES.keys()
