"""The conversation with Focus where it is hard to reach by the command line."""

from __future__ import annotations

import codecs
import json
import ssl
from contextlib import suppress

import pytest
import requests
import requests_mock
from hypothesis import given
from hypothesis import strategies as st

from tap_focus.api import client as client_module
from tap_focus.api import retry
from tap_focus.api.client import Client, Credentials
from tap_focus.api.page import Page, decode, examine
from tap_focus.errors import (
    BadAnswerError,
    FocusError,
    LoginFailedError,
    RefusedError,
    TooLargeError,
    UnavailableError,
)

URL = "https://focus.example.com/api"
LOGIN = f"{URL}/authWithAPIKey"
CURSOR = f"{URL}/client/recording/cursor"
SECRET = "canary-key"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr("time.sleep", lambda _: None)
    return make_client()


def make_client(max_retries: int = 3) -> Client:
    return Client(
        URL,
        Credentials(api_key=SECRET, username="u", client_id=7),
        request_timeout=5,
        max_retries=max_retries,
        user_agent="test",
    )


def get_page(client: Client, **params: str) -> bytes:
    return client.get_page(params, lambda body: body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>canary-key</html>",
        b"{}",
        b"[]",
        b'{"token": 5}',
        b'{"token": ""}',
        b'{"token": "canary\\nheader"}',
        b'{"token": "canary\\n"}',
        b'{"token": "can\xc3\xa9ry"}',
        b'{"token": "a b"}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_is_no_token_is_tried_again_then_ends(client: Client, body: bytes) -> None:
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, content=body)
        with pytest.raises(LoginFailedError, match="other than a token") as caught:
            get_page(client)
        assert caught.value.exit_code == BadAnswerError.exit_code
        assert focus.call_count == 3
    assert "canary" not in str(caught.value)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_the_login_answers_is_a_token_or_an_error_of_the_tree(body: bytes) -> None:
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, content=body)
        focus.get(CURSOR, content=b"page")
        with suppress(FocusError):
            assert get_page(make_client(max_retries=1)) == b"page"


@given(
    st.binary()
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries(
        {
            "recordings": JSON | st.lists(st.dictionaries(st.text(), JSON)),
            "nextCursorId": JSON | st.text(),
        }
    ).map(lambda value: json.dumps(value).encode())
)
def test_whatever_the_cursor_answers_is_a_right_page_or_an_error_of_the_tree(body: bytes) -> None:
    with suppress(FocusError):
        page = examine(decode(body, 1))
        assert isinstance(page, Page)
        assert page.cursor
        assert all(type(recording["interactionId"]) is int for recording in page.recordings())


def test_the_login_sends_the_three_values_and_the_number_as_a_number(client: Client) -> None:
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, json={"token": "t"})
        focus.get(CURSOR, content=b"page")
        assert get_page(client, numberOfResults="5") == b"page"
        login, cursor = focus.request_history
    assert login.json() == {"apiKey": SECRET, "username": "u", "clientId": 7}
    assert login.headers["Content-Type"] == "application/json"
    assert "Authorization" not in login.headers
    assert cursor.headers["Authorization"] == "Bearer t"
    assert cursor.headers["User-Agent"] == "test"


@pytest.mark.case(23)
def test_a_certificate_that_cannot_be_verified_is_not_tried_again(client: Client) -> None:
    with requests_mock.Mocker() as focus:
        error = requests.exceptions.SSLError(f"secret {SECRET}")
        error.__cause__ = ssl.SSLCertVerificationError()
        focus.post(LOGIN, exc=error)
        with pytest.raises(LoginFailedError, match="REQUESTS_CA_BUNDLE") as caught:
            get_page(client)
        assert caught.value.exit_code == RefusedError.exit_code
        assert focus.call_count == 1
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.exceptions.ProxyError(SECRET), "the proxy failed"),
        (requests.exceptions.SSLError(SECRET), "the connection failed or broke"),
        (requests.ConnectTimeout(SECRET), "no answer in time"),
        (requests.ReadTimeout(SECRET), "no answer in time"),
        (requests.ConnectionError(SECRET), "the connection failed or broke"),
        (requests.exceptions.ContentDecodingError(SECRET), "could not be decompressed"),
    ],
)
def test_what_broke_is_said_without_the_librarys_text(
    client: Client, error: Exception, words: str
) -> None:
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, exc=error)
        with pytest.raises(LoginFailedError, match=words) as caught:
            get_page(client)
        assert caught.value.exit_code == UnavailableError.exit_code
        assert focus.call_count == 3
    assert SECRET not in str(caught.value)


def test_an_answer_larger_than_the_limit_is_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "MAX_BODY_BYTES", 1 << 20)
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, json={"token": "t"})
        focus.get(CURSOR, content=b"x" * ((1 << 20) + 1))
        with pytest.raises(TooLargeError, match=r"more than 1 MiB .* smaller page_size"):
            get_page(client)
        assert focus.call_count == 2
        focus.get(CURSOR, content=b"x" * (1 << 20))
        assert len(get_page(client)) == 1 << 20


def test_a_byte_order_mark_is_no_part_of_an_answer(client: Client) -> None:
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, content=codecs.BOM_UTF8 + b'{"token": "t"}')
        focus.get(CURSOR, content=codecs.BOM_UTF8 + b"{}")
        assert get_page(client) == b"{}"


@pytest.mark.parametrize(
    "location", ["", "/path", "https://[", "https://host:port/", "https://me:canary-key@evil/x"]
)
def test_a_redirect_names_its_host_at_most(client: Client, location: str) -> None:
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, status_code=307, headers={"Location": location})
        with pytest.raises(LoginFailedError, match="was redirected") as caught:
            get_page(client)
        assert caught.value.exit_code == RefusedError.exit_code
    assert SECRET not in str(caught.value)


def test_no_repr_shows_the_key() -> None:
    credentials = Credentials(api_key=SECRET, username="u", client_id=7)
    assert SECRET not in f"{credentials!r} {credentials}"


@pytest.mark.case(16)
def test_waits_grow_up_to_a_minute_and_never_go_in_step() -> None:
    for failures, longest in ((1, 0.5), (2, 1.0), (4, 4.0), (20, 60.0), (10_000, 60.0)):
        waits = {retry._wait(failures, None) for _ in range(50)}
        assert len(waits) > 40
        assert all(longest / 2 <= wait <= longest for wait in waits)


@pytest.mark.case(16)
def test_a_retry_after_of_a_day_is_capped() -> None:
    assert all(60 <= retry._wait(1, asked) <= 61 for asked in (60.0, 86_400.0, 1e300))
