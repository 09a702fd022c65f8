from __future__ import annotations

import base64
import json
import threading
import time
from contextlib import contextmanager
from email.utils import formatdate
from traceback import format_exception
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_focus.api.auth import LOGIN_PATHS, Credentials, Token, TokenProvider
from tap_focus.api.retry import RetryPolicy
from tap_focus.errors import HTTPStatusError, InvalidResponseError, LoginFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CREDENTIALS = Credentials(api_key="canary-key", username="canary-user", client_id=7)


def jwt(claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{payload}.c2lnbmF0dXJl"


def seconds_to_use(token: Token) -> float:
    return token.renew_at - time.monotonic()


class LoginResponse:
    """A response with a body and, if the server states its time, a `Date`."""

    def __init__(self, body: bytes, date: str | None = None) -> None:
        self.headers = {} if date is None else {"Date": date}
        self._body = body

    def read(self) -> bytes:
        return self._body


class FakeSession:
    """Answers logins in place of `tap_focus.api.session.Session`."""

    host = "focus.example.com"

    def __init__(self, respond: Callable[[], LoginResponse]) -> None:
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self._respond = respond

    @contextmanager
    def open(self, method: str, path: str, *, json: dict[str, Any]) -> Iterator[LoginResponse]:
        self.requests.append((method, path, json))
        yield self._respond()


def token_response(text: str = "opaque", date: str | None = None) -> LoginResponse:
    return LoginResponse(json.dumps({"token": text, "refreshToken": "unused"}).encode(), date)


def make_provider(session: FakeSession, max_retries: int = 0) -> TokenProvider:
    unchecked: Any = session
    return TokenProvider(unchecked, CREDENTIALS, RetryPolicy(max_retries, session.host))


def run_in_threads(call: Callable[[], object], count: int = 16) -> None:
    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.guarantee("renew-expiring-token")
def test_a_token_is_renewed_a_minute_before_it_expires() -> None:
    now = time.time()

    assert seconds_to_use(Token(jwt({"iat": now, "exp": now + 3600}))) == pytest.approx(3540, abs=1)


def test_a_short_lived_token_is_used_for_most_of_its_lifetime() -> None:
    now = time.time()

    assert seconds_to_use(Token(jwt({"iat": now, "exp": now + 10}))) == pytest.approx(7, abs=0.5)


@pytest.mark.guarantee("renew-expiring-token")
def test_a_wrong_local_clock_does_not_shorten_a_token_with_an_issue_time() -> None:
    assert seconds_to_use(Token(jwt({"iat": 1000, "exp": 4600}))) == pytest.approx(3540, abs=1)


def test_the_issue_time_takes_precedence_over_the_servers_clock() -> None:
    token = Token(jwt({"iat": 1000, "exp": 4600}), server_time=4000)

    assert seconds_to_use(token) == pytest.approx(3540, abs=1)


def test_without_any_clock_of_the_server_the_local_clock_is_used() -> None:
    token = Token(jwt({"exp": time.time() + 3600}))

    assert seconds_to_use(token) == pytest.approx(3540, abs=1)


@pytest.mark.guarantee("renew-expiring-token")
@pytest.mark.parametrize(
    "date", ["Thu, 01 Jan 1970 00:16:40 GMT", "Thursday, 01-Jan-70 00:16:40 GMT"]
)
def test_the_date_of_the_response_is_the_issue_time_of_a_token_without_one(date: str) -> None:
    session = FakeSession(lambda: token_response(jwt({"exp": 4600}), date))

    assert seconds_to_use(make_provider(session).get()) == pytest.approx(3540, abs=1)


@pytest.mark.parametrize("date", [None, "", "yesterday", "Thu, 99 Jan 1970 00:16:40 GMT"])
def test_an_unusable_date_of_the_response_is_ignored(date: str | None) -> None:
    session = FakeSession(lambda: token_response(jwt({"exp": time.time() + 3600}), date))

    assert seconds_to_use(make_provider(session).get()) == pytest.approx(3540, abs=1)


@pytest.mark.parametrize(
    "text",
    [
        "opaque",
        "a.b.c",
        "..",
        "a.!!!!.c",
        "a.é.c",
        jwt({}),
        jwt([]),
        jwt({"exp": "soon"}),
        jwt({"exp": 1}),
        jwt({"iat": 5, "exp": 4}),
        jwt({"exp": None}),
    ],
)
def test_a_token_without_a_usable_lifetime_is_kept_until_focus_rejects_it(text: str) -> None:
    assert Token(text).renew_at == float("inf")


@given(st.binary(max_size=60).map(lambda payload: base64.urlsafe_b64encode(payload).decode()))
def test_a_token_with_any_payload_has_a_time_to_renew_it(payload: str) -> None:
    assert Token(f"e30.{payload}.sig").renew_at > time.monotonic()


def test_no_repr_contains_a_secret() -> None:
    token = Token("canary-token")

    assert "canary" not in f"{token!r} {token} {CREDENTIALS!r} {CREDENTIALS}"
    assert token.header == "Bearer canary-token"


@pytest.mark.guarantee("fail-login-safely")
def test_nothing_is_sent_before_a_token_is_needed() -> None:
    session = FakeSession(token_response)
    make_provider(session)

    assert session.requests == []


def test_the_login_sends_the_credentials_with_the_number_as_a_number() -> None:
    session = FakeSession(token_response)
    make_provider(session).get()

    body = {"apiKey": "canary-key", "username": "canary-user", "clientId": 7}
    assert session.requests == [("POST", LOGIN_PATHS[0], body)]


def test_a_token_is_shared_until_it_is_due() -> None:
    provider = make_provider(FakeSession(token_response))
    first = provider.get()

    assert provider.get() is first

    first.renew_at = time.monotonic()

    assert provider.get() is not first


@pytest.mark.guarantee("renew-expiring-token")
def test_many_threads_share_one_login() -> None:
    def respond() -> LoginResponse:
        time.sleep(0.05)
        return token_response()

    session = FakeSession(respond)
    run_in_threads(make_provider(session).get)

    assert len(session.requests) == 1


@pytest.mark.guarantee("renew-rejected-token")
def test_many_threads_share_one_login_after_a_rejection() -> None:
    session = FakeSession(token_response)
    provider = make_provider(session)
    rejected = provider.get()
    barrier = threading.Barrier(16)

    def replace() -> None:
        barrier.wait(timeout=10)
        provider.forget_rejected(rejected)
        provider.get()

    run_in_threads(replace)

    assert len(session.requests) == 2


def test_a_second_rejection_in_a_row_is_final() -> None:
    session = FakeSession(token_response)
    provider = make_provider(session)

    assert provider.forget_rejected(provider.get())
    assert not provider.forget_rejected(provider.get())
    assert len(session.requests) == 2


def test_a_rejection_after_an_accepted_request_is_not_final() -> None:
    session = FakeSession(token_response)
    provider = make_provider(session)
    for _ in range(3):
        assert provider.forget_rejected(provider.get())
        provider.get()
        provider.note_accepted()

    assert len(session.requests) == 4


def test_a_token_that_was_already_replaced_is_rejected_without_consequences() -> None:
    session = FakeSession(token_response)
    provider = make_provider(session)
    old = provider.get()
    provider.forget_rejected(old)
    new = provider.get()

    assert provider.forget_rejected(old)
    assert provider.get() is new


def test_a_failed_login_is_not_repeated_for_the_threads_that_waited() -> None:
    def respond() -> LoginResponse:
        raise HTTPStatusError(401, "POST /authWithAPIKey")

    session = FakeSession(respond)
    provider = make_provider(session)
    causes = []
    for _ in range(2):
        with pytest.raises(LoginFailedError, match="401") as caught:
            provider.get()
        causes.append(caught.value.cause)

    assert causes[0] is causes[1]
    assert isinstance(causes[0], HTTPStatusError)
    assert len(session.requests) == 1


def test_the_newer_spelling_of_the_path_is_used_where_the_other_is_missing() -> None:
    def respond() -> LoginResponse:
        if session.requests[-1][1] == LOGIN_PATHS[0]:
            raise HTTPStatusError(404, "POST")
        return token_response()

    session = FakeSession(respond)
    provider = make_provider(session)
    provider.forget_rejected(provider.get())
    provider.get()

    assert [path for _, path, _ in session.requests] == [*LOGIN_PATHS, LOGIN_PATHS[1]]


@pytest.mark.parametrize(("status", "requests"), [(404, 2), (400, 1), (401, 1), (403, 1)])
def test_only_a_missing_path_is_requested_in_another_spelling(status: int, requests: int) -> None:
    def respond() -> LoginResponse:
        raise HTTPStatusError(status, "POST")

    session = FakeSession(respond)
    with pytest.raises(LoginFailedError, match=str(status)):
        make_provider(session).get()

    assert len(session.requests) == requests


@pytest.mark.guarantee("fail-login-safely")
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
        b'{"token": "canary b"}',
        b'{"token": "canary',
        b"\xff",
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_response_without_a_token_is_retried_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    session = FakeSession(lambda: LoginResponse(body))
    with pytest.raises(LoginFailedError) as caught:
        make_provider(session, max_retries=2).get()

    assert isinstance(caught.value.cause, InvalidResponseError)
    assert len(session.requests) == 3
    assert "canary" not in "".join(format_exception(caught.value)) + caplog.text


@given(
    st.binary()
    | st.fixed_dictionaries({"token": st.text() | st.none() | st.integers()}).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_any_response_is_a_token_for_a_header_or_an_invalid_response(body: bytes) -> None:
    provider = make_provider(FakeSession(lambda: LoginResponse(body, formatdate())))
    try:
        header = provider.get().header
    except LoginFailedError as error:
        assert isinstance(error.cause, InvalidResponseError)  # noqa: PT017 - or there is no error
    else:
        assert header.isascii()
        assert header.isprintable()
