from __future__ import annotations

import base64
import json
import threading
import time
from typing import Any

import pytest

from tap_focus.api.auth import Token, TokenKeeper
from tap_focus.errors import LoginFailedError, RefusedError


def jwt(claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{payload}.c2lnbmF0dXJl"


def seconds_to_use(token: Token) -> float:
    return token.renew_at - time.monotonic()


def test_a_token_is_renewed_a_minute_before_its_end() -> None:
    now = time.time()
    assert seconds_to_use(Token(jwt({"iat": now, "exp": now + 3600}))) == pytest.approx(3540, abs=1)


def test_a_short_lived_token_is_used_for_most_of_its_life() -> None:
    now = time.time()
    assert seconds_to_use(Token(jwt({"iat": now, "exp": now + 10}))) == pytest.approx(7, abs=0.5)


@pytest.mark.case(20)
def test_a_wrong_local_clock_does_not_shorten_a_token_that_tells_when_it_was_issued() -> None:
    assert seconds_to_use(Token(jwt({"iat": 1000, "exp": 4600}))) == pytest.approx(3540, abs=1)


def test_without_an_issue_time_the_servers_own_clock_counts() -> None:
    token = Token(jwt({"exp": 4600}), issued_at=1000)
    assert seconds_to_use(token) == pytest.approx(3540, abs=1)


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
def test_a_token_that_does_not_tell_its_end_is_kept_until_it_is_refused(text: str) -> None:
    assert Token(text).renew_at == float("inf")


def test_no_repr_shows_a_token() -> None:
    assert "opaque" not in f"{Token('opaque')!r} {Token('opaque')}"
    assert Token("opaque").header == "Bearer opaque"


def test_a_token_is_fetched_once_and_again_when_it_is_due() -> None:
    made: list[Token] = []

    def login() -> Token:
        made.append(Token(jwt({"iat": 1000, "exp": 4600})))
        return made[-1]

    keeper = TokenKeeper(login)
    assert keeper.get() is keeper.get() is made[0]
    made[0].renew_at = time.monotonic()
    assert keeper.get() is made[1]


@pytest.mark.case(20)
def test_many_threads_share_one_login_also_after_a_refusal() -> None:
    logins: list[Token] = []

    def login() -> Token:
        time.sleep(0.05)
        logins.append(Token(f"token {len(logins)}"))
        return logins[-1]

    keeper = TokenKeeper(login)

    def in_threads(call: Any) -> None:
        threads = [threading.Thread(target=call) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    in_threads(keeper.get)
    assert len(logins) == 1

    def refused() -> None:
        keeper.discard(logins[0])
        keeper.get()

    in_threads(refused)
    assert len(logins) == 2


def test_a_login_that_fails_is_not_asked_once_more_for_those_who_waited() -> None:
    tries: list[None] = []

    def login() -> Token:
        tries.append(None)
        raise RefusedError("no")

    keeper = TokenKeeper(login)
    for _ in range(2):
        with pytest.raises(LoginFailedError, match="no") as caught:
            keeper.get()
        assert caught.value.exit_code == RefusedError.exit_code
    assert len(tries) == 1
