"""Logins, tokens that are rejected, and tokens that expire."""

from __future__ import annotations

import time

import pytest

from tests.helpers import guarantee, timing
from tests.helpers.assertions import assert_fails, bookmark
from tests.helpers.fake_focus import (
    CURSOR,
    REFRESH_TOKEN,
    FakeFocus,
    feed,
    ok,
    page_cursor,
    respond,
    status,
)
from tests.helpers.runner import TapRunner, settings


@guarantee("explain-rejected-cursor", "renew-rejected-token")
@pytest.mark.parametrize("code", [400, 404, 410])
def test_a_rejected_login_is_not_taken_for_a_rejected_cursor(tap: TapRunner, code: int) -> None:
    with FakeFocus(feed(2), always={"login": status(code)}) as focus:
        run = tap(config=settings(focus), state=bookmark(CURSOR))

    assert_fails(run, 78, f"{code}", "POST /auth")
    assert focus.queries == []


@guarantee("keep-pages-before-failure", "renew-rejected-token")
@pytest.mark.parametrize("code", [400, 404])
def test_a_login_that_is_rejected_in_the_middle_of_the_feed_ends_the_run(
    tap: TapRunner, code: int
) -> None:
    with FakeFocus(
        feed(2, 2), login=[ok], cursor=[ok, status(401)], always={"login": status(code)}
    ) as focus:
        run = tap(config=settings(focus))

    assert_fails(run, 78, f"{code}", "POST /auth")
    assert run.ids == [1, 2]


@guarantee("renew-rejected-token")
def test_a_rejected_token_costs_one_login_and_the_same_request_again(tap: TapRunner) -> None:
    with FakeFocus(feed(2, 2, 2), cursor=[ok, status(401)]) as focus:
        run = tap(config=settings(focus))

    assert (run.exit_code, run.ids) == (0, [1, 2, 3, 4, 5, 6])
    assert len(focus.logins) == 2
    assert focus.cursors == [None, *(page_cursor(n) for n in (1, 1, 2, 3))]


@guarantee("renew-rejected-token")
def test_tokens_that_are_rejected_between_other_errors_cost_one_login(tap: TapRunner) -> None:
    faults = [status(401), status(503), status(401), status(503)]
    with FakeFocus(feed(2, 2), cursor=faults) as focus:
        run = tap(config=settings(focus, requests=8))

    assert_fails(run, 78, "401")
    assert len(focus.logins) == 2


@guarantee("renew-rejected-token")
def test_a_new_token_that_is_rejected_ends_the_run(tap: TapRunner) -> None:
    with FakeFocus(feed(2, 2), always={"cursor": status(401)}) as focus:
        run = tap(config=settings(focus))

    assert_fails(run, 78, "401", "api_key")
    assert len(focus.logins) == 2


@guarantee("renew-rejected-token", "fail-login-safely")
@pytest.mark.parametrize("code", [401, 403])
def test_rejected_credentials_end_the_run_after_one_login(tap: TapRunner, code: int) -> None:
    with FakeFocus(feed(2), always={"login": status(code)}) as focus:
        run = tap(config=settings(focus))

    assert_fails(run, 78, f"{code}")
    assert len(focus.logins) == 1


IN_2100 = 4102444800.0


@timing
@guarantee("renew-expiring-token")
@pytest.mark.parametrize(
    ("claims", "server_time"),
    [
        pytest.param({"iat": 0.0, "exp": 4.0}, None, id="issued at"),
        # A wrong local clock must not make the token live for years.
        pytest.param({"exp": IN_2100 + 4.0}, IN_2100, id="Date of the response"),
    ],
)
def test_a_token_is_renewed_before_it_expires(
    tap: TapRunner, claims: dict[str, float], server_time: float | None
) -> None:
    with FakeFocus(
        feed(2, 2),
        cursor=[ok, status(503, Retry_After="3")],
        claims=claims,
        token_lifetime=4,
        clock=time.time if server_time is None else lambda: server_time,
    ) as focus:
        run = tap(config=settings(focus))

    assert (run.exit_code, run.ids) == (0, [1, 2, 3, 4])
    assert len(focus.logins) >= 2
    assert 401 not in focus.statuses


@guarantee("renew-expiring-token")
@pytest.mark.parametrize("claims", [{}, {"exp": 1.0}, {"exp": 4e9}, {"iat": 4e9, "exp": 4e9 + 900}])
def test_no_clock_causes_a_login_for_each_request(tap: TapRunner, claims: dict[str, float]) -> None:
    with FakeFocus(feed(1, 1, 1, 1), claims=claims) as focus:
        run = tap(config=settings(focus))

    assert (run.exit_code, run.ids) == (0, [1, 2, 3, 4])
    assert len(focus.logins) == 1


# tests/unit has more bodies.
WITHOUT_TOKEN = [
    b"<html>canary</html>",
    b'{"token": null, "refreshToken": "%b"}' % REFRESH_TOKEN.encode(),
]


@guarantee("fail-login-safely")
@pytest.mark.parametrize("body", WITHOUT_TOKEN)
def test_a_login_response_without_a_token_is_retried(tap: TapRunner, body: bytes) -> None:
    with FakeFocus(feed(2), login=[respond(body), status(500)]) as focus:
        run = tap(config=settings(focus, requests=3))

    assert (run.exit_code, run.ids) == (0, [1, 2])


@guarantee("fail-login-safely")
@pytest.mark.parametrize("body", WITHOUT_TOKEN)
def test_login_responses_without_a_token_end_the_run(tap: TapRunner, body: bytes) -> None:
    with FakeFocus(feed(2), always={"login": respond(body)}) as focus:
        run = tap(config=settings(focus, requests=2))

    assert_fails(run, 76, "token")
    assert "canary" not in run.log
    assert len(focus.logins) == 2
