"""The sandbox's login and tokens."""

from __future__ import annotations

import time
import typing as t

import jwt
import pytest
import requests

from tap_focus.sandbox import Sandbox
from tests.helpers.sandbox_client import CURSOR_PATH, LOGIN_PATH, SandboxClient

if t.TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[SandboxClient]:
    with SandboxClient(sandbox) as client:
        yield client


def status_with(sandbox: Sandbox, **headers: str) -> int:
    return requests.get(sandbox.url + CURSOR_PATH, headers=headers, timeout=10).status_code


@pytest.mark.parametrize("path", ["/authWithAPIKey", "/authWithApiKey"])
def test_both_spellings_of_the_path_return_a_token_with_its_expiry(
    client: SandboxClient, path: str
) -> None:
    tokens = client.post(path, json=client.credentials).json()

    claims = jwt.decode(tokens["token"], options={"verify_signature": False})
    assert claims["exp"] - time.time() == pytest.approx(3600, abs=60)
    assert tokens["refreshToken"]


@pytest.mark.parametrize("change", [{"apiKey": "x"}, {"username": "x"}, {"clientId": 1}])
def test_a_login_with_a_wrong_value_is_401_without_the_key_in_the_message(
    client: SandboxClient, change: dict[str, t.Any]
) -> None:
    response = client.post_login(**change)

    assert response.status_code == 401
    assert client.credentials["apiKey"] not in response.text


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b'{"apiKey": "x"}'])
def test_a_malformed_login_is_400(client: SandboxClient, body: bytes) -> None:
    assert client.post(LOGIN_PATH, data=body).status_code == 400


def test_a_client_id_as_text_is_400(client: SandboxClient) -> None:
    assert client.post_login(clientId="9999").status_code == 400


def test_a_request_without_a_valid_token_is_401(sandbox: Sandbox, client: SandboxClient) -> None:
    assert status_with(sandbox) == 401
    assert status_with(sandbox, Authorization=client.get_token()) == 401
    assert status_with(sandbox, Authorization="Bearer x.y.z") == 401


def test_a_token_of_another_seed_is_401(sandbox: Sandbox) -> None:
    with Sandbox(seed=2) as other, SandboxClient(other) as client:
        foreign = client.get_token()

    assert status_with(sandbox, Authorization=f"Bearer {foreign}") == 401


def test_an_expired_token_is_401() -> None:
    now = 1_760_000_000.25
    with (
        Sandbox(records=5, live_every=0, token_ttl=60, clock=lambda: now) as sandbox,
        SandboxClient(sandbox) as client,
    ):
        valid = client.get_cursor()
        now += 61
        expired = [client.get_cursor(), client.post_audio("x")]

    assert valid.status_code == 200
    assert [response.status_code for response in expired] == [401, 401]
