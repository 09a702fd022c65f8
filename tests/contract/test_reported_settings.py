"""Faults with settings and input files that users of comparable extractors reported."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.assertions import assert_fails, bookmark
from tests.helpers.fake_focus import FakeFocus, feed, recording, respond, status
from tests.helpers.runner import read_feed as read
from tests.helpers.runner import settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.runner import TapRunner

UNCHANGED = {"isPrivate": "isPrivate"}


@pytest.mark.parametrize("value", [2.0, "2", "2.0", "2e0"])
def test_a_whole_number_is_an_integer_however_it_is_written(tap: TapRunner, value: Any) -> None:
    with FakeFocus(feed(1), cursor=[status(503)] * 3) as focus:
        config = {**focus.settings, "request_timeout": 5, "max_retries": value, "page_size": 5.0}
        run = tap(config=config)

    assert_fails(run, 75)
    assert [query["numberOfResults"] for query in focus.queries] == ["5"] * 3


@pytest.mark.parametrize("value", [2.5, "2.5", "two", "1e400", True])
def test_another_number_is_rejected_by_name_and_without_its_value(
    tap: TapRunner, value: Any
) -> None:
    with FakeFocus(feed(1)) as focus:
        run = tap(config=settings(focus, page_size=value))

    assert_fails(run, 1, "page_size")
    assert focus.requests == []


def test_every_setting_is_read_from_the_environment(tap: TapRunner) -> None:
    with FakeFocus(feed(2)) as focus:
        own = settings(focus, flattening_enabled="true", flattening_max_depth=2, page_sizes=5)
        variables = {f"TAP_FOCUS_{name.upper()}": str(value) for name, value in own.items()}
        run = tap("--config", "ENV", environment=variables)

    assert run.exit_code == 0
    assert "endpoints" in run.records[0]
    assert "page_sizes" in run.log
    assert "page_size?" in run.log


def test_a_misspelt_setting_in_a_file_is_a_warning_with_the_nearest_one(tap: TapRunner) -> None:
    run = read(tap, recording(1), page_sizes=5)

    assert run.exit_code == 0
    assert "page_size?" in run.log


@pytest.mark.parametrize("batch", [False, True])
def test_a_test_run_reads_one_record_of_the_selected_streams(
    tap: TapRunner, tmp_path: Path, *, batch: bool
) -> None:
    changes: dict[str, Any] = {}
    if batch:
        storage = {"root": tmp_path.as_uri(), "prefix": "x"}
        changes["batch_config"] = {"encoding": {"format": "jsonl"}, "storage": storage}
    with FakeFocus(feed(3)) as focus:
        run = tap("--test", config=settings(focus, **changes))

    assert run.exit_code == 0, run.log
    assert [message["stream"] for message in run.of_type("SCHEMA")] == ["recordings"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LOGLEVEL", "trace"),
        ("TAP_FOCUS_LOGLEVEL", "verbose"),
        ("SINGER_SDK_LOG_CONFIG", "config.json"),
    ],
)
def test_an_invalid_logging_variable_is_named(tap: TapRunner, variable: str, value: str) -> None:
    with FakeFocus(feed(1)) as focus:
        run = tap(config=settings(focus), environment={variable: value})

    assert run.exit_code == 1
    assert variable in run.log
    assert "Traceback" not in run.log


@pytest.mark.parametrize(
    "maps",
    [
        {"*": UNCHANGED},
        {"rec*": UNCHANGED},
        {"recordings": UNCHANGED, "recording_media": {"type": "type"}},
    ],
    ids=str,
)
def test_maps_of_streams_that_are_not_selected_are_accepted(
    tap: TapRunner, maps: dict[str, Any]
) -> None:
    run = read(tap, recording(1), stream_maps=maps)

    assert (run.exit_code, run.ids) == (0, [1])


@pytest.mark.parametrize(
    ("expression", "facts"),
    [
        ("md5('a salt' + commentsCount)", ["recordings.snippet", "TypeError"]),
        ("fake.name()", ["recordings.snippet", "Faker"]),
        ("nothing + 'a salt'", ["recordings.snippet", "nothing"]),
        ("md5('a salt'", ["snippet"]),
    ],
)
def test_an_expression_that_fails_is_located_without_its_text(
    tap: TapRunner, expression: str, facts: list[str]
) -> None:
    run = read(
        tap, recording(1, commentsCount=1), stream_maps={"recordings": {"snippet": expression}}
    )

    assert_fails(run, 1, "stream_maps", *facts)
    assert "salt" not in run.log


@pytest.mark.parametrize("kind", ["config", "state", "catalog"])
def test_a_file_may_begin_with_a_byte_order_mark(
    tap: TapRunner, catalog: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    with FakeFocus(feed(1)) as focus:
        files: dict[str, Any] = {"config": settings(focus), "state": bookmark(None)}
        files["catalog"] = catalog
        path = tmp_path / "with_mark.json"
        path.write_text(json.dumps(files.pop(kind)), encoding="utf-8-sig")
        run = tap(f"--{kind}", str(path), **files)

    assert (run.exit_code, run.ids) == (0, [1])


@pytest.mark.parametrize("content", ["", " \n"])
def test_an_empty_state_file_is_called_empty(tap: TapRunner, tmp_path: Path, content: str) -> None:
    (tmp_path / "empty.json").write_text(content)
    with FakeFocus(feed(1)) as focus:
        run = tap("--state", str(tmp_path / "empty.json"), config=settings(focus))

    assert run.exit_code == 2
    assert "empty" in run.log
    assert focus.requests == []


def test_settings_are_read_from_the_file_dot_env(tap: TapRunner, tmp_path: Path) -> None:
    with FakeFocus(feed(2)) as focus:
        own = settings(focus, page_size=7)
        lines = [f"TAP_FOCUS_{name.upper()}={value}" for name, value in own.items()]
        (tmp_path / ".env").write_text("\n".join(lines))
        run = tap("--config", "ENV")

    assert (run.exit_code, run.ids) == (0, [1, 2])
    assert focus.queries[0]["numberOfResults"] == "7"


def test_a_source_that_is_no_name_is_rejected(tap: TapRunner) -> None:
    run = read(tap, recording(1), stream_maps={"x": {"__source__": None}})

    assert_fails(run, 1, "stream_maps", "__source__")


@pytest.mark.parametrize(
    "name", ["region", "api_url", "start_date", "page_size", "media_shard", "media_path"]
)
def test_a_secret_in_the_wrong_setting_is_not_printed(
    tap: TapRunner, audio_catalog: dict[str, Any], name: str
) -> None:
    with FakeFocus(feed(1)) as focus:
        config = settings(focus) | {"media_path": "out", name: "canarysecret99:x@host"}
        run = tap(config=config, catalog=audio_catalog)

    assert run.exit_code in (1, 73)
    assert "canarysecret99" not in run.log


def test_a_login_that_is_compressed_several_times_ends(tap: TapRunner) -> None:
    layers = respond(b"\x1f\x8b" * 50_000, Content_Encoding="gzip, gzip")
    with FakeFocus(feed(1), login=[layers] * 2) as focus:
        run = tap(config=settings(focus, requests=2))

    assert_fails(run, 76)
    assert len(focus.logins) == 2
