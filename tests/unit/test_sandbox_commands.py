"""The commands `focus-sandbox` and `tap-focus-sandbox`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from contextlib import contextmanager

import pytest
import requests

from tap_focus.sandbox.company import Company
from tests.helpers.sandbox_client import CURSOR_PATH, LOGIN_PATH

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tap_focus.sandbox import Sandbox


def command(name: str) -> list[str]:
    return [sys.executable, "-c", f"from tap_focus.sandbox.cli import {name}; {name}()"]


def run(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command(name), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@contextmanager
def running_focus_sandbox(
    *arguments: str, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Start `focus-sandbox` and wait for the settings that it prints."""
    with subprocess.Popen(
        [*command("focus_sandbox"), "--port", "0", "--live-every", "0", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(4)]
        settings = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
        try:
            yield process, settings
        finally:
            process.kill()


def get_page(settings: dict[str, str]) -> list[dict[str, t.Any]]:
    url = settings["TAP_FOCUS_API_URL"]
    credentials = {
        "apiKey": settings["TAP_FOCUS_API_KEY"],
        "username": settings["TAP_FOCUS_USERNAME"],
        "clientId": int(settings["TAP_FOCUS_CLIENT_ID"]),
    }
    token = requests.post(url + LOGIN_PATH, json=credentials, timeout=10).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    page = requests.get(url + CURSOR_PATH, headers=headers, timeout=10).json()
    recordings: list[dict[str, t.Any]] = page["recordings"]
    return recordings


def record_ids(completed: subprocess.CompletedProcess[str]) -> list[int]:
    messages = [json.loads(line) for line in completed.stdout.splitlines()]
    return [
        message["record"]["interactionId"] for message in messages if message["type"] == "RECORD"
    ]


def test_focus_sandbox_prints_settings_that_work() -> None:
    with running_focus_sandbox() as (_, settings):
        page = get_page(settings)

    assert len(page) == 100


def test_an_option_can_come_from_the_environment() -> None:
    with running_focus_sandbox(FOCUS_SANDBOX_RECORDS="12") as (_, settings):
        page = get_page(settings)

    assert len(page) == 12


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_focus_sandbox_quietly(signum: signal.Signals) -> None:
    with running_focus_sandbox() as (process, _):
        started = time.perf_counter()
        process.send_signal(signum)
        _, log = process.communicate(timeout=30)
        seconds = time.perf_counter() - started

    assert process.returncode == 0
    assert log == ""
    assert seconds < 5


def test_verbose_logs_each_request() -> None:
    with running_focus_sandbox("--verbose") as (process, settings):
        get_page(settings)
        process.terminate()
        _, log = process.communicate(timeout=30)

    assert [line.rsplit(" ", 2)[0] for line in log.splitlines()] == [
        "200 POST /api/authWithAPIKey",
        "200 GET /api/client/recording/cursor",
    ]


def test_a_port_in_use_is_one_line(sandbox: Sandbox) -> None:
    completed = run("focus_sandbox", "--port", str(sandbox.port))

    assert completed.returncode == 1
    assert completed.stdout == ""
    assert len(completed.stderr.splitlines()) == 1
    assert f"port {sandbox.port}: Address already in use" in completed.stderr


@pytest.mark.parametrize("name", ["focus_sandbox", "tap_focus_sandbox"])
@pytest.mark.parametrize("package", ["aiohttp", "jwt"])
def test_a_command_without_the_extra_prints_how_to_install_it(name: str, package: str) -> None:
    program = f"import sys; sys.modules[{package!r}] = None; {command(name)[-1]}"

    completed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )

    assert completed.returncode == 1
    assert len(completed.stderr.splitlines()) == 1
    assert "extra sandbox" in completed.stderr


def test_an_invalid_option_in_the_environment_is_one_line() -> None:
    completed = run("tap_focus_sandbox", FOCUS_SANDBOX_FAIL="2")

    assert completed.returncode == 1
    assert len(completed.stderr.splitlines()) == 1
    assert completed.stderr.startswith("FOCUS_SANDBOX_FAIL: 2")


def test_tap_focus_sandbox_needs_no_settings() -> None:
    completed = run("tap_focus_sandbox", FOCUS_SANDBOX_RECORDS="25", FOCUS_SANDBOX_LIVE_EVERY="0")

    assert completed.returncode == 0, completed.stderr
    company = Company(1)
    assert record_ids(completed) == [
        company.feed_entry(position)["interactionId"] for position in range(25)
    ]


def test_settings_of_the_sandbox_take_precedence_over_files(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"region": "uk", "api_key": "x", "page_size": 7}))

    completed = run(
        "tap_focus_sandbox",
        "--config",
        str(config),
        FOCUS_SANDBOX_RECORDS="25",
        FOCUS_SANDBOX_LIVE_EVERY="0",
    )

    assert completed.returncode == 0, completed.stderr
    assert len(record_ids(completed)) == 25


def test_settings_of_the_sandbox_take_precedence_over_the_environment() -> None:
    completed = run(
        "tap_focus_sandbox",
        "--config",
        "ENV",
        FOCUS_SANDBOX_RECORDS="25",
        FOCUS_SANDBOX_LIVE_EVERY="0",
        TAP_FOCUS_API_URL="http://127.0.0.1:9/api",
        TAP_FOCUS_PAGE_SIZE="7",
    )

    assert completed.returncode == 0, completed.stderr
    assert len(record_ids(completed)) == 25


def test_other_settings_of_the_user_apply(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"start_date": "2030-01-01"}))

    completed = run("tap_focus_sandbox", "--config", str(config), FOCUS_SANDBOX_RECORDS="25")

    assert completed.returncode == 0, completed.stderr
    assert record_ids(completed) == []
