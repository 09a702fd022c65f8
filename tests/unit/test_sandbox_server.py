"""The sandbox's HTTP server: responses, recorded requests, simulated faults and shutdown."""

from __future__ import annotations

import time
import typing as t
from collections import Counter

import pytest
import requests

from tap_focus.sandbox import Sandbox
from tap_focus.sandbox.recording import has_audio
from tests.helpers.sandbox_client import AUDIO_PATH, CURSOR_PATH, LOGIN_PATH, SandboxClient

if t.TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[SandboxClient]:
    with SandboxClient(sandbox) as client:
        yield client


def test_a_page_is_compressed_if_the_client_accepts_gzip(client: SandboxClient) -> None:
    compressed = client.get(CURSOR_PATH, headers={"Accept-Encoding": "gzip"})
    plain = client.get(CURSOR_PATH, headers={"Accept-Encoding": "identity"})

    assert compressed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert plain.json()["recordings"] == compressed.json()["recordings"]


def test_the_connection_stays_open(client: SandboxClient) -> None:
    response = client.get_cursor()

    assert response.headers.get("Connection") != "close"


def test_an_unknown_path_is_404_in_json(client: SandboxClient) -> None:
    response = client.get("/nowhere")

    assert response.status_code == 404
    assert response.json()["message"]


def test_requests_are_recorded_in_order_with_their_status() -> None:
    with Sandbox(records=5, live_every=0) as sandbox, SandboxClient(sandbox) as client:
        client.get_page(numberOfResults=2)
        client.get_cursor(cursorId="+/=")
        client.post_audio("x")

    assert [
        (request.method, request.path, request.params, request.status)
        for request in sandbox.requests
    ] == [
        ("POST", "/api/authWithAPIKey", {}, 200),
        ("GET", "/api/client/recording/cursor", {"numberOfResults": "2"}, 200),
        ("GET", "/api/client/recording/cursor", {"cursorId": "+/="}, 400),
        ("POST", "/api/client/recording.playBackByThirdPartyId", {}, 404),
    ]


def test_a_request_without_a_response_has_no_status() -> None:
    outcomes, sandbox = logins_with_faults(seed=1)

    without_status = [request for request in sandbox.requests if request.status is None]

    assert len(without_status) == outcomes.count("disconnected") > 0


def test_the_access_log_has_a_line_per_request() -> None:
    lines: list[str] = []
    with Sandbox(records=5, access_log=lines.append) as sandbox, SandboxClient(sandbox) as client:
        client.get("/nowhere")

    assert [line.rsplit(" ", 2)[0] for line in lines] == [
        "200 POST /api/authWithAPIKey",
        "404 GET /api/nowhere",
    ]


def test_faults_are_of_every_kind_at_the_requested_rate() -> None:
    outcomes, _ = logins_with_faults(seed=1)

    counts = Counter(outcomes)
    assert set(counts) == {"200", "500", "503 after 0", "503 after 1", "disconnected", "truncated"}
    assert 45 <= counts["200"] <= 75


def test_a_seed_gives_the_same_faults() -> None:
    first, _ = logins_with_faults(seed=1)
    second, _ = logins_with_faults(seed=1)
    other, _ = logins_with_faults(seed=2)

    assert first == second
    assert first != other


def logins_with_faults(seed: int) -> tuple[list[str], Sandbox]:
    with Sandbox(records=5, seed=seed, live_every=0, fail=0.5) as sandbox:
        credentials = SandboxClient(sandbox).credentials
        outcomes = [outcome("POST", sandbox.url + LOGIN_PATH, json=credentials) for _ in range(120)]
    return outcomes, sandbox


def test_a_page_can_be_truncated(sandbox: Sandbox, client: SandboxClient) -> None:
    headers = {"Authorization": f"Bearer {client.get_token()}"}
    with Sandbox(seed=sandbox.seed, live_every=0, fail=1) as failing:
        outcomes = {outcome("GET", failing.url + CURSOR_PATH, headers=headers) for _ in range(40)}

    assert "truncated" in outcomes


def test_audio_can_be_truncated(sandbox: Sandbox, client: SandboxClient) -> None:
    third_party_id = next(
        recording["thirdPartyId"]
        for recording in sandbox.feed()
        if has_audio(recording) and recording["mediaAccessStatus"] == "Permitted"
    )
    headers = {"Authorization": f"Bearer {client.get_token()}"}
    body = {"thirdPartyId": third_party_id}
    with Sandbox(seed=sandbox.seed, live_every=0, fail=1) as failing:
        outcomes = {
            outcome("POST", failing.url + AUDIO_PATH, headers=headers, json=body) for _ in range(40)
        }

    assert "truncated" in outcomes


def outcome(method: str, url: str, **kwargs: t.Any) -> str:
    try:
        response = requests.request(method, url, timeout=10, **kwargs)
    except requests.exceptions.ChunkedEncodingError:
        return "truncated"
    except requests.ConnectionError:
        return "disconnected"
    if "Retry-After" in response.headers:
        return f"{response.status_code} after {response.headers['Retry-After']}"
    return str(response.status_code)


def test_latency_delays_each_response() -> None:
    with Sandbox(records=5, latency=0.1) as sandbox:
        started = time.perf_counter()
        SandboxClient(sandbox).post_login()
        seconds = time.perf_counter() - started

    assert seconds >= 0.1


def test_shutdown_does_not_wait_for_requests_in_progress() -> None:
    with Sandbox(records=5, latency=600) as sandbox:
        with pytest.raises(requests.Timeout):
            requests.get(sandbox.url, timeout=0.05)
        started = time.perf_counter()

    assert time.perf_counter() - started < 60


def test_a_port_in_use_is_an_os_error_on_entering(sandbox: Sandbox) -> None:
    with pytest.raises(OSError, match="in use"), Sandbox(port=sandbox.port):
        pytest.fail("the server started")
