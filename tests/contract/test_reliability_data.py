"""What holds when things go wrong with the data, by the installed `tap-focus`.

`case` numbers are those of tests/RELIABILITY.md.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.assertions import assert_ends, bookmark, ids, settings
from tests.helpers.fake_focus import (
    CURSOR,
    KEY,
    NAME,
    Focus,
    answering,
    bad_gzip,
    chunked,
    compressed,
    cut,
    cut_chunked,
    feed,
    hang_up,
    page,
    recording,
    redirect,
    reset,
    status,
    well,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Run
    from tests.helpers.fake_focus import Fault

    Tap = Callable[..., Run]

case = pytest.mark.case


@case(24)
def test_a_page_of_nothing_but_nesting_does_not_fill_the_memory(tap: Tap) -> None:
    body = b'{"recordings": [%b], "nextCursorId": "a"}' % b",".join(
        b'{"interactionId": %d, "new": [%b]}' % (n, b",".join([b"[]"] * 300_000)) for n in range(40)
    )
    with Focus({None: body, "a": page([], "a")}, cursor=[compressed]) as focus:
        limited = {"config": {**focus.settings, "request_timeout": 60}, "memory": 600 << 20}
        run = tap(**limited)
    assert (run.code, len(run.records)) == (0, 40)


@case(24)
def test_a_page_of_50_mb_works(tap: Tap) -> None:
    text = "x" * 1_000_000
    pages = {None: page([recording(n, text=text) for n in range(50)], "a"), "a": page([], "a")}
    with Focus(pages, cursor=[compressed]) as focus:
        run = tap(config={**focus.settings, "request_timeout": 60})
    assert (run.code, len(run.records)) == (0, 50)
    assert run.records[-1]["additionalFields"] == {"text": text}


@case(25)
def test_a_new_field_is_kept_and_named_once(tap: Tap) -> None:
    new = {"sentiment": {"score": 0.25}, "additionalFields": 1, "nextCursorId": "own", "a\nb": None}
    pages = {
        None: page([recording(1, **new), recording(2, **new)], "a"),
        "a": page([recording(3, sentiment=None), recording(4)], "b"),
        "b": page([], "b"),
    }
    with Focus(pages) as focus:
        run = tap(config=settings(focus))
    assert [record["additionalFields"] for record in run.records] == [
        new,
        new,
        {"sentiment": None},
        None,
    ]
    assert [record["nextCursorId"] for record in run.records] == ["a", "a", "b", "b"]
    assert run.log.count("sentiment") == 1
    assert "'a\\nb'" in run.log


@case(25)
@pytest.mark.parametrize("indent", [None, 1])
def test_a_field_of_another_type_is_kept_and_named_once(tap: Tap, indent: int | None) -> None:
    odd = {"endpoints": {"name": NAME}, "isPrivate": 1, "commentsCount": "7", "type": [NAME]}
    pages = feed(3)
    first = json.loads(pages[None])
    first["recordings"][0] |= odd
    first["recordings"][2] |= odd
    pages[None] = json.dumps(first, indent=indent).encode()
    with Focus(pages) as focus:
        run = tap(config=settings(focus))
    assert run.code == 0
    for record in (run.records[0], run.records[2]):
        assert record["additionalFields"] == odd
        assert {name: record[name] for name in odd} == dict.fromkeys(odd)
    assert run.records[1]["additionalFields"] is None
    for name in odd:
        assert run.log.count(f"Focus sent a field with a type that is new: '{name}'") == 1
    assert NAME not in run.log


@case(25)
def test_a_flood_of_new_fields_does_not_flood_the_log(tap: Tap) -> None:
    fields = {f"field {n}": n for n in range(5000)}
    pages = {None: page([recording(1, **fields)], "a"), "a": page([], "a")}
    with Focus(pages) as focus:
        run = tap(config=settings(focus))
    assert run.records[0]["additionalFields"] == fields
    assert len(run.log.splitlines()) < 120


@case(25)
@pytest.mark.parametrize("key", [None, "7", 7.5, True])
def test_a_recording_without_an_id_ends_naming_its_place(tap: Tap, key: Any) -> None:
    pages = feed(2, 2)
    pages[f"{CURSOR}-1"] = page([recording(3), recording(key)], "x")
    with Focus(pages) as focus:
        run = tap(config=settings(focus))
        asked = [query.get("cursorId") for query in focus.queries]
    assert asked.count(f"{CURSOR}-1") == 1
    assert_ends(run, 76, "Recording 2 of page 2")
    assert (ids(run), run.state) == ([1, 2], bookmark(f"{CURSOR}-1"))


@case(26)
def test_values_arrive_unchanged_one_line_a_record(tap: Tap) -> None:
    odd = (
        '{"interactionId": 9007199254740993, "durationInSeconds": 0.1234567890123456789,\n'
        ' "commentsCount": 123456789012345678901234567890, "type": "\\"\\\\\\/\\b\\f\\n\\r\\t"'
        ', "thirdPartyId": "\\u0000", "transcriptSnippet": "\\ud83d\\ude00 \\u2028 \\u00e9 \u00e9",'
        ' "retentionGroupId": -0.0,'
        '\n "legalHolds": [1e2, 1E400, 2.50], "optional": {"deep": [[{}, null, true]]}}'
    )
    body = f'{{\n  "recordings": [\n    {odd}\n  ],\n  "nextCursorId": "a"\n}}'
    with Focus({None: body.encode(), "a": page([], "a")}, cursor=[chunked]) as focus:
        run = tap(config=settings(focus))
    lines = [line for line in run.lines if '"RECORD"' in line]
    assert len(lines) == 1
    for digits in ("9007199254740993", "0.1234567890123456789", "123456789012345678901234567890"):
        assert digits in lines[0]
    sent = json.loads(odd, parse_float=str)
    got = json.loads(lines[0], parse_float=str)["record"]
    assert got.pop("legalHolds") == ["1E+2", "1E+400", "2.50"]
    sent.pop("legalHolds")
    assert {name: got[name] for name in sent} == sent


@case(26)
def test_half_a_surrogate_pair_arrives(tap: Tap) -> None:
    body = b'{"recordings": [{"interactionId": 1, "type": "x\\ud83dy"}], "nextCursorId": "a"}'
    with Focus({None: body, "a": page([], "a")}) as focus:
        run = tap(config=settings(focus))
    assert run.records[0]["type"] == "x\ud83dy"


@case(28)
def test_a_header_that_is_none_does_not_bring_the_url_into_the_log(tap: Tap, tmp_path: Any) -> None:
    def fault(handler: Any, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nno header %b\r\n\r\n"
        handler.wfile.write(head % (len(body), KEY.encode()) + body)

    path = tmp_path / "logging.yml"
    path.write_text(
        "{version: 1, handlers: {err: {class: logging.StreamHandler}},"
        " loggers: {urllib3.connectionpool: {level: DEBUG}}, root: {handlers: [err], level: DEBUG}}"
    )
    with Focus(feed(2, 2), always={"cursor": fault}) as focus:
        for environment in ({}, {"SINGER_SDK_LOG_CONFIG": str(path)}):
            run = tap(config=settings(focus), environment=environment)
            assert ids(run) == [1, 2, 3, 4]
            assert all(canary not in run.log for canary in focus.canaries)
            assert "Traceback" not in run.log


@case(28)
def test_no_log_holds_a_secret_or_what_was_said(tap: Tap) -> None:
    """Every fault in one run each, at DEBUG: counts, times, statuses and ids are all there is."""
    passing: list[Fault] = [
        status(500),
        status(503, Retry_After="0"),
        hang_up,
        reset,
        cut,
        cut_chunked,
        bad_gzip,
        answering(NAME.encode()),
        answering(json.dumps({"error": NAME, "recordings": NAME}).encode()),
        status(401),
        status(401, WWW_Authenticate=KEY),
    ]
    ending: list[Fault] = [
        status(400),
        status(403),
        status(404),
        status(500),
        redirect(f"https://{KEY}@evil.example/{CURSOR}"),
        answering(page([NAME], CURSOR)),  # type: ignore[list-item]
        answering(page([recording("x" + NAME)], CURSOR)),  # type: ignore[arg-type]
    ]
    pages = feed(*[1] * len(passing))
    pages[None] = page([recording(1, **{"odd field": NAME})], f"{CURSOR}-1")
    cursor = [fault for one in passing for fault in (one, well)]
    with Focus(pages, login=[status(500), cut], cursor=cursor) as focus:
        environment = {"TAP_FOCUS_LOGLEVEL": "DEBUG"}
        runs = [tap(config=settings(focus), environment=environment)]
        assert runs[0].code == 0
        assert not focus.faults["cursor"]
        for fault in ending:
            focus.always = {"cursor": fault}
            config = {**focus.settings, "max_retries": 2}
            state = bookmark(f"{CURSOR}-1")
            runs.append(tap(config=config, state=state, environment=environment))
            assert runs[-1].code > 0
        maps = {"recordings": {"type": "int(transcriptSnippet)"}}
        focus.always = {}
        runs.append(tap(config={**focus.settings, "stream_maps": maps}, environment=environment))
        assert runs[-1].code == 1
        assert "an expression for recordings failed on a record with ValueError" in runs[-1].log
        for run in runs:
            assert run.log
            for canary in focus.canaries:
                assert canary not in run.log
            for secret in (KEY, *focus.tokens):
                assert secret not in run.out
        for arguments in (("--about",), ("--about", "--format=json"), ("--discover",)):
            assert KEY not in tap(*arguments, config=focus.settings).out
