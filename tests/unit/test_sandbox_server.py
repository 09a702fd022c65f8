"""The sandbox's server and its commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from collections import Counter

import pytest
import requests
from aiohttp import web

from tap_focus.sandbox import Sandbox
from tap_focus.sandbox.cli import focus_sandbox, tap_focus_sandbox
from tap_focus.sandbox.company import Company
from tap_focus.sandbox.recording import has_audio
from tests.helpers.sandbox_client import CURSOR, PLAY, Caller

if t.TYPE_CHECKING:
    from aiohttp.typedefs import Handler


def test_answers_are_compressed_for_those_who_accept_it_and_connections_kept(
    box: Sandbox, caller: Caller
) -> None:
    response = caller.get()
    assert response.headers["Content-Encoding"] == "gzip"
    assert "close" not in response.headers.get("Connection", "")
    token = response.request.headers["Authorization"]
    headers = {"Authorization": token, "Accept-Encoding": "identity"}
    plain = requests.get(box.url + CURSOR, headers=headers, timeout=10)
    assert "Content-Encoding" not in plain.headers
    assert plain.json()["recordings"] == response.json()["recordings"]


def test_an_unknown_path_is_404_in_json(caller: Caller) -> None:
    response = caller.get("/nowhere")
    assert response.status_code == 404
    assert response.json()["message"]


def test_requests_are_remembered_in_order_with_their_answers() -> None:
    with Sandbox(records=5, live_every=0) as box, Caller(box) as caller:
        caller.page(numberOfResults=2)
        caller.get(cursorId="+/=")
        caller.play("x")
        seen = [(seen.method, seen.path, seen.params, seen.status) for seen in box.requests]
    assert seen == [
        ("POST", "/api/authWithAPIKey", {}, 200),
        ("GET", "/api/client/recording/cursor", {"numberOfResults": "2"}, 200),
        ("GET", "/api/client/recording/cursor", {"cursorId": "+/="}, 400),
        ("POST", "/api/client/recording.playBackByThirdPartyId", {}, 404),
    ]


def test_a_middleware_can_answer_in_the_place_of_the_api() -> None:
    @web.middleware
    async def teapot(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.endswith("cursor"):
            raise web.HTTPTooManyRequests(headers={"Retry-After": "2"})
        return await handler(request)

    with Sandbox(records=5, middlewares=[teapot]) as box, Caller(box) as caller:
        assert caller.get().headers["Retry-After"] == "2"
        assert box.requests[-1].status == 429


def test_failures_come_in_all_their_kinds_and_repeat_with_the_seed() -> None:
    def outcomes(seed: int) -> list[str]:
        kinds = []
        with Sandbox(records=200, seed=seed, live_every=0, fail=0.5) as box:
            body = {**Caller(box).login}
            for _ in range(120):
                with requests.Session() as session:
                    try:
                        answer = session.post(f"{box.url}/authWithAPIKey", json=body, timeout=10)
                    except requests.ConnectionError as error:
                        kinds.append(type(error).__name__)
                    except requests.exceptions.ChunkedEncodingError:
                        kinds.append("cut")
                    else:
                        wait = answer.headers.get("Retry-After", "")
                        kinds.append(f"{answer.status_code} {wait}")
            dropped = [seen for seen in box.requests if seen.status is None]
        assert len(dropped) == kinds.count("ConnectionError")
        return kinds

    kinds = outcomes(1)
    counts = Counter(kinds)
    assert set(counts) == {"200 ", "500 ", "503 0", "503 1", "ConnectionError", "cut"}
    assert 45 <= counts["200 "] <= 75
    assert outcomes(1) == kinds
    assert outcomes(2) != kinds


def test_a_page_and_audio_can_be_cut_short_too() -> None:
    with Sandbox(records=50, live_every=0) as box, Caller(box) as caller:
        headers = {"Authorization": caller.get().request.headers["Authorization"]}
    with Sandbox(records=50, live_every=0, fail=1) as box:
        name = next(
            event["thirdPartyId"]
            for event in box.feed()
            if has_audio(event) and event["mediaAccessStatus"] == "Permitted"
        )
        for call in (("GET", CURSOR, None), ("POST", PLAY, {"thirdPartyId": name})):
            assert any(_is_cut(box.url, headers, *call) for _ in range(40))


def _is_cut(url: str, headers: t.Any, method: str, path: str, body: t.Any) -> bool:
    try:
        requests.request(method, url + path, headers=headers, json=body, timeout=10)
    except requests.exceptions.ChunkedEncodingError:
        return True
    except requests.ConnectionError:
        return False
    return False


def test_latency_delays_each_answer_and_stopping_does_not_wait_for_it() -> None:
    with Sandbox(records=5, latency=0.1) as box:
        began = time.perf_counter()
        with Caller(box):
            assert time.perf_counter() - began >= 0.1
    with Sandbox(records=5, latency=60) as box:
        with pytest.raises(requests.Timeout):
            requests.get(box.url, timeout=0.05)
        began = time.perf_counter()
    assert time.perf_counter() - began < 0.5


def test_a_port_that_is_taken_is_an_error_where_the_sandbox_is_made(box: Sandbox) -> None:
    with pytest.raises(OSError, match="in use"), Sandbox(port=box.port):
        pytest.fail("it started")


def _command(name: str) -> list[str]:
    return [sys.executable, "-c", f"from tap_focus.sandbox.cli import {name} as run; run()"]


def test_focus_sandbox_prints_what_the_tap_needs_and_ends_quietly() -> None:
    environment = {**os.environ, "FOCUS_SANDBOX_RECORDS": "12"}
    with subprocess.Popen(
        [*_command("focus_sandbox"), "--port", "0", "--live-every", "0", "--verbose"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        lines = [process.stdout.readline().split("=", 1) for _ in range(4)]
        exports = {name: value.strip() for name, value in lines}
        url = exports["export TAP_FOCUS_API_URL"]
        body = {
            "apiKey": exports["export TAP_FOCUS_API_KEY"],
            "username": exports["export TAP_FOCUS_USERNAME"],
            "clientId": int(exports["export TAP_FOCUS_CLIENT_ID"]),
        }
        token = requests.post(f"{url}/authWithAPIKey", json=body, timeout=10).json()["token"]
        headers = {"Authorization": f"Bearer {token}"}
        page = requests.get(url + CURSOR, headers=headers, timeout=10).json()
        assert len(page["recordings"]) == 12
        process.send_signal(signal.SIGTERM)
        out, err = process.stdout.read(), process.stderr.read()
    assert "tap-focus --config ENV" in out
    assert process.returncode == 0
    assert [line.rsplit(" ", 2)[0] for line in err.splitlines()] == [
        "200 POST /api/authWithAPIKey",
        "200 GET /api/client/recording/cursor",
    ]


def test_a_taken_port_is_one_line_of_the_command(
    box: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(SystemExit) as stopped:
            focus_sandbox.main(["--port", str(box.port)])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert capsys.readouterr().out == ""
    expected = f"The sandbox cannot listen on port {box.port}: Address already in use"
    assert str(stopped.value) == expected


@pytest.mark.parametrize("command", ["focus_sandbox", "tap_focus_sandbox"])
@pytest.mark.parametrize("package", ["aiohttp", "jwt"])
def test_without_the_extra_the_commands_say_what_to_install(command: str, package: str) -> None:
    program = (
        f"import sys; sys.modules[{package!r}] = None;"
        f"from tap_focus.sandbox.cli import {command} as run; run()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr == ("The sandbox needs more packages: pip install 'tap-focus[sandbox]'\n")


def test_a_wrong_option_in_the_environment_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOCUS_SANDBOX_FAIL", "2")
    with pytest.raises(SystemExit, match=r"^FOCUS_SANDBOX_FAIL: 2.* not in the range"):
        tap_focus_sandbox()


def test_tap_focus_sandbox_runs_the_tap_whatever_its_settings_say(tmp_path: t.Any) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"region": "uk", "api_key": "x", "page_size": 7}))
    environment = {
        **os.environ,
        "FOCUS_SANDBOX_RECORDS": "25",
        "FOCUS_SANDBOX_LIVE_EVERY": "0",
        "TAP_FOCUS_API_URL": "http://127.0.0.1:9/api",
        "TAP_FOCUS_PAGE_SIZE": "7",
    }
    for source in (str(config), "ENV"):
        ended = subprocess.run(
            [*_command("tap_focus_sandbox"), "--config", source],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        messages = [json.loads(line) for line in ended.stdout.splitlines()]
        records = [message["record"] for message in messages if message["type"] == "RECORD"]
        company = Company(1)
        assert [record["interactionId"] for record in records] == [
            company.feed_entry(position)["interactionId"] for position in range(25)
        ]
