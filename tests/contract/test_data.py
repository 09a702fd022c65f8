"""The data of recordings: unknown fields, values, and what no log contains."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers import guarantee
from tests.helpers.assertions import assert_fails, assert_no_canary, bookmark
from tests.helpers.fake_focus import (
    API_KEY,
    CURSOR,
    PERSON,
    FakeFocus,
    chunked,
    close,
    feed,
    gzipped,
    invalid_gzip,
    ok,
    page,
    page_cursor,
    recording,
    redirect,
    reset,
    respond,
    status,
    truncated,
    truncated_chunked,
)
from tests.helpers.runner import settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.fake_focus import Fault, Handler
    from tests.helpers.runner import TapRunner

AT_DEBUG = {"TAP_FOCUS_LOGLEVEL": "DEBUG"}


@guarantee("bound-response-memory")
def test_a_page_of_50_mb_is_read(tap: TapRunner) -> None:
    text = "x" * 1_000_000
    with FakeFocus(feed(50, text=text), cursor=[gzipped]) as focus:
        run = tap(config=settings(focus, request_timeout=60))

    assert (run.exit_code, len(run.records)) == (0, 50)
    assert run.records[-1]["additionalFields"] == {"text": text}


@guarantee("keep-unknown-fields")
def test_a_new_field_is_kept_in_additional_fields_and_logged_once(tap: TapRunner) -> None:
    new = {"sentiment": {"score": 0.25}, "additionalFields": 1, "nextCursorId": "own", "a\nb": None}
    pages = feed(
        [recording(1, **new), recording(2, **new)], [recording(3, sentiment=None), recording(4)]
    )
    with FakeFocus(pages) as focus:
        run = tap(config=settings(focus))

    assert [record["additionalFields"] for record in run.records] == [
        new,
        new,
        {"sentiment": None},
        None,
    ]
    assert [record["nextCursorId"] for record in run.records] == [
        page_cursor(n) for n in (1, 1, 2, 2)
    ]
    assert run.log.count("sentiment") == 1
    assert r"'a\nb'" in run.log


@guarantee("keep-unknown-fields")
@pytest.mark.parametrize("indent", [None, 1])
def test_a_field_of_an_unexpected_type_is_kept_in_additional_fields_and_logged_once(
    tap: TapRunner, indent: int | None
) -> None:
    unexpected = {
        "endpoints": {"name": PERSON},
        "isPrivate": 1,
        "commentsCount": "7",
        "type": [PERSON],
    }
    pages = feed([recording(1, **unexpected), recording(2), recording(3, **unexpected)])
    pages[None] = json.dumps(json.loads(pages[None]), indent=indent).encode()
    with FakeFocus(pages) as focus:
        run = tap(config=settings(focus))

    assert run.exit_code == 0
    for record in (run.records[0], run.records[2]):
        assert record["additionalFields"] == unexpected
        assert {name: record[name] for name in unexpected} == dict.fromkeys(unexpected)
    assert run.records[1]["additionalFields"] is None
    for name in unexpected:
        assert run.log.count(f"'{name}'") == 1
    assert PERSON not in run.log


@guarantee("keep-unknown-fields")
def test_thousands_of_new_fields_do_not_flood_the_log(tap: TapRunner) -> None:
    fields = {f"field {n}": n for n in range(5000)}
    with FakeFocus(feed(1, **fields)) as focus:
        run = tap(config=settings(focus))

    assert run.records[0]["additionalFields"] == fields
    assert len(run.log.splitlines()) < 120


@guarantee("keep-unknown-fields")
@pytest.mark.parametrize("key", [None, "7", 7.5, True])
def test_a_recording_without_an_id_ends_the_run_with_its_position(tap: TapRunner, key: Any) -> None:
    with FakeFocus(feed(2, [recording(3), recording(0, interactionId=key)])) as focus:
        run = tap(config=settings(focus))

    assert_fails(run, 76, "ecording 2", "page 2")
    assert (run.ids, run.state) == ([1, 2], bookmark(page_cursor(1)))
    assert focus.cursors.count(page_cursor(1)) == 1


@guarantee("preserve-values")
def test_values_arrive_unchanged_one_record_per_line(tap: TapRunner) -> None:
    sent = (
        '{"interactionId": 9007199254740993, "durationInSeconds": 0.1234567890123456789,\n'
        ' "type": "\\"\\\\\\/\\b\\f\\n\\r\\t"'
        ', "thirdPartyId": "\\u0000", "transcriptSnippet": "\\ud83d\\ude00 \\u2028 \\u00e9 \u00e9",'
        ' "retentionGroupId": -0.0,'
        '\n "legalHolds": [1e2, 123456789012345678901234567890, 2.50],'
        ' "optional": {"deep": [[{}, null, true]]}}'
    )
    body = f'{{\n  "recordings": [\n    {sent}\n  ],\n  "nextCursorId": "a"\n}}'
    with FakeFocus({None: body.encode(), "a": page([], "a")}, cursor=[chunked]) as focus:
        run = tap(config=settings(focus))

    (line,) = [line for line in run.lines if '"RECORD"' in line]
    for digits in ("9007199254740993", "0.1234567890123456789", "123456789012345678901234567890"):
        assert digits in line
    expected = json.loads(sent, parse_float=float_text)
    written = json.loads(line, parse_float=float_text)["record"]
    assert {name: written[name] for name in expected} == expected


def float_text(digits: str) -> str:
    """Return a number's text, whose exponent may be written in two ways."""
    return digits.upper().replace("E+", "E")


@guarantee("preserve-values")
def test_an_unpaired_surrogate_arrives(tap: TapRunner) -> None:
    body = b'{"recordings": [{"interactionId": 1, "type": "x\\ud83dy"}], "nextCursorId": "a"}'
    with FakeFocus({None: body, "a": page([], "a")}) as focus:
        run = tap(config=settings(focus))

    assert run.records[0]["type"] == "x\ud83dy"


@guarantee("no-secrets-in-logs")
@pytest.mark.parametrize("level", [None, "DEBUG"])
def test_an_invalid_header_does_not_put_the_url_into_the_log(
    tap: TapRunner, tmp_path: Path, level: str | None
) -> None:
    def invalid_header(handler: Handler, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nno header %b\r\n\r\n"
        handler.wfile.write(head % (len(body), API_KEY.encode()) + body)

    path = tmp_path / "logging.yml"
    path.write_text(
        "{version: 1, handlers: {err: {class: logging.StreamHandler}},"
        f" loggers: {{urllib3.connectionpool: {{level: {level}}}}},"
        f" root: {{handlers: [err], level: {level}}}}}"
    )
    environment = {"SINGER_SDK_LOG_CONFIG": str(path)} if level else {}
    with FakeFocus(feed(2, 2), always={"cursor": invalid_header}) as focus:
        run = tap(config=settings(focus), environment=environment)

    assert run.ids == [1, 2, 3, 4]
    assert_no_canary(run.log, focus.canaries)
    assert "Traceback" not in run.log


TRANSIENT: list[Fault] = [
    status(500),
    status(503, Retry_After="0"),
    close,
    reset,
    truncated,
    truncated_chunked,
    invalid_gzip,
    respond(PERSON.encode()),
    respond(json.dumps({"error": PERSON, "recordings": PERSON}).encode()),
    status(401),
    status(401, WWW_Authenticate=API_KEY),
]


@guarantee("no-secrets-in-logs")
def test_the_log_of_transient_errors_contains_no_secret_and_no_data(tap: TapRunner) -> None:
    pages = feed([recording(1, **{"new field": PERSON})], *[1] * (len(TRANSIENT) - 1))
    cursor = [step for fault in TRANSIENT for step in (fault, ok)]
    with FakeFocus(pages, login=[status(500), truncated], cursor=cursor) as focus:
        run = tap(config=settings(focus), environment=AT_DEBUG)

    assert run.exit_code == 0
    assert not focus.faults["cursor"]
    assert_no_canary(run.log, focus.canaries)
    assert_no_canary(run.out, focus.secrets)


@guarantee("no-secrets-in-logs")
@pytest.mark.parametrize(
    "fault",
    [
        status(400),
        status(403),
        status(404),
        status(500),
        redirect(f"https://{API_KEY}@evil.example/{CURSOR}"),
        respond(page([PERSON], CURSOR)),
        respond(page([recording(1, interactionId=f"x{PERSON}")], CURSOR)),
    ],
)
def test_an_error_contains_no_secret_and_no_data(tap: TapRunner, fault: Fault) -> None:
    with FakeFocus({}, always={"cursor": fault}) as focus:
        run = tap(config=settings(focus, requests=2), state=bookmark(CURSOR), environment=AT_DEBUG)

    assert_fails(run, run.exit_code)
    assert run.exit_code > 0
    assert_no_canary(run.log, focus.canaries)
    assert_no_canary(run.out, focus.secrets)


@guarantee("no-secrets-in-logs")
def test_an_error_in_a_stream_map_contains_no_data(tap: TapRunner) -> None:
    maps = {"recordings": {"type": "int(transcriptSnippet)"}}
    with FakeFocus(feed(1)) as focus:
        run = tap(config=settings(focus, stream_maps=maps), environment=AT_DEBUG)

    assert_fails(run, 1, "stream_maps", "recordings", "ValueError")
    assert_no_canary(run.log, focus.canaries)


@guarantee("no-secrets-in-logs")
@pytest.mark.parametrize("arguments", [("--about",), ("--about", "--format=json"), ("--discover",)])
def test_about_and_discovery_contain_no_secret(tap: TapRunner, arguments: tuple[str, ...]) -> None:
    with FakeFocus({}) as focus:
        run = tap(*arguments, config=focus.settings)

    assert run.exit_code == 0
    assert API_KEY not in run.out + run.log
