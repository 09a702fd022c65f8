from __future__ import annotations

import time
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from tap_focus.api.retry import (
    MAX_WAIT,
    RetryableError,
    RetryPolicy,
    parse_http_date,
    parse_retry_after,
    seconds_to_wait,
)
from tap_focus.errors import InvalidResponseError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each wait. No test waits for them."""
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    return waits


class Attempts:
    """Fails with each of the errors in turn, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.count = 0
        self._errors = list(errors)

    def __call__(self) -> str:
        self.count += 1
        if self._errors:
            raise self._errors.pop(0)
        return "done"


def failures(count: int) -> list[Exception]:
    return [RetryableError(f"failure {number}") for number in range(1, count + 1)]


@pytest.mark.guarantee("retry-transient-errors")
@pytest.mark.parametrize("max_retries", [0, 1, 3])
def test_max_retries_counts_the_attempts_after_the_first(
    waits: list[float], max_retries: int
) -> None:
    attempts = Attempts(*failures(max_retries + 1))

    with pytest.raises(UnavailableError):
        RetryPolicy(max_retries, "host").call(attempts, "GET /x")

    assert attempts.count == max_retries + 1
    assert len(waits) == max_retries


@pytest.mark.usefixtures("waits")
def test_the_last_retry_may_still_succeed() -> None:
    attempts = Attempts(*failures(3))

    assert RetryPolicy(3, "host").call(attempts, "GET /x") == "done"


def test_an_error_that_is_not_transient_ends_the_attempts_at_once(waits: list[float]) -> None:
    attempts = Attempts(InvalidResponseError("final"))

    with pytest.raises(InvalidResponseError):
        RetryPolicy(8, "host").call(attempts, "GET /x")

    assert attempts.count == 1
    assert waits == []


@pytest.mark.parametrize(("max_retries", "times"), [(0, "once"), (2, "3 times")])
@pytest.mark.usefixtures("waits")
def test_the_error_names_the_request_the_host_the_attempts_and_the_last_reason(
    max_retries: int, times: str
) -> None:
    with pytest.raises(UnavailableError) as caught:
        RetryPolicy(max_retries, "host:1").call(Attempts(*failures(max_retries + 1)), "GET /x")

    assert caught.value.host == "host:1"
    assert caught.value.reason == f"failure {max_retries + 1}"
    for fact in ("GET /x", "host:1", times, caught.value.reason):
        assert fact in str(caught.value)


@pytest.mark.usefixtures("waits")
def test_the_last_failure_may_name_the_error_that_ends_the_run() -> None:
    final = InvalidResponseError("final")
    attempts = Attempts(RetryableError("first"), RetryableError("last", on_exhausted=final))

    with pytest.raises(InvalidResponseError) as caught:
        RetryPolicy(1, "host").call(attempts, "GET /x")

    assert caught.value is final


@pytest.mark.usefixtures("waits")
def test_only_the_last_failure_decides_which_error_ends_the_run() -> None:
    invalid = RetryableError("first", on_exhausted=InvalidResponseError("invalid"))
    attempts = Attempts(invalid, RetryableError("last"))

    with pytest.raises(UnavailableError):
        RetryPolicy(1, "host").call(attempts, "GET /x")


@pytest.mark.guarantee("honor-retry-after")
def test_each_wait_follows_the_failure_before_it(waits: list[float]) -> None:
    attempts = Attempts(RetryableError("busy", retry_after=7), RetryableError("broken"))

    RetryPolicy(2, "host").call(attempts, "GET /x")

    assert 7 <= waits[0] <= 7.5
    assert 0.5 <= waits[1] <= 1


@pytest.mark.usefixtures("waits")
def test_each_retry_is_logged_with_its_reason_and_its_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    RetryPolicy(5, "host").call(Attempts(*failures(2)), "GET /x")

    first, second = caplog.messages
    for fact in ("GET /x", "failure 1", "1 of 5"):
        assert fact in first
    for fact in ("GET /x", "failure 2", "2 of 5"):
        assert fact in second


@pytest.mark.parametrize(
    ("retries", "longest"), [(0, 0.5), (1, 1.0), (3, 4.0), (6, 32.0), (7, 60.0), (10_000, 60.0)]
)
def test_waits_double_up_to_a_minute_with_jitter(retries: int, longest: float) -> None:
    waits = {seconds_to_wait(retries, None) for _ in range(50)}

    assert len(waits) > 40
    assert all(longest / 2 <= wait <= longest for wait in waits)


@pytest.mark.guarantee("honor-retry-after")
@pytest.mark.parametrize("asked", [0.0, 1.0, 60.0])
def test_a_wait_that_the_server_asks_for_is_never_shortened(asked: float) -> None:
    waits = {seconds_to_wait(0, asked) for _ in range(50)}

    assert len(waits) > 40
    assert all(asked <= wait <= asked + 0.5 for wait in waits)


@pytest.mark.guarantee("honor-retry-after")
@pytest.mark.parametrize("asked", [61.0, 86_400.0, 1e300])
def test_a_wait_that_the_server_asks_for_is_a_minute_at_most(asked: float) -> None:
    assert all(MAX_WAIT <= seconds_to_wait(0, asked) <= MAX_WAIT + 0.5 for _ in range(50))


@pytest.mark.guarantee("honor-retry-after")
@pytest.mark.parametrize(("header", "seconds"), [("0", 0), ("7", 7), ("86400", 86400)])
def test_retry_after_may_contain_seconds(header: str, seconds: float) -> None:
    assert parse_retry_after(header) == seconds


@pytest.mark.guarantee("honor-retry-after")
def test_retry_after_may_contain_a_date() -> None:
    wait = parse_retry_after(formatdate(time.time() + 30, usegmt=True))

    assert wait is not None
    assert 25 < wait <= 30


def test_a_retry_after_in_the_past_asks_for_no_wait() -> None:
    assert parse_retry_after("Thu, 01 Jan 1970 00:00:00 GMT") == 0


@pytest.mark.parametrize("header", ["", "soon", "-1", "1.5", "1e3", "٣", "²", "7 seconds"])
def test_an_invalid_retry_after_is_ignored(header: str) -> None:
    assert parse_retry_after(header) is None


@pytest.mark.parametrize(
    ("parse", "header"),
    [(parse_http_date, "Thu, 99 Jan 1970 00:00:00 GMT"), (parse_retry_after, "1 Jan 99999")],
)
def test_a_date_that_does_not_exist_is_ignored(
    parse: Callable[[str], float | None], header: str
) -> None:
    assert parse(header) is None


def test_a_rate_limit_makes_other_threads_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    sleeps: list[float] = []

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    policy = RetryPolicy(0, "host")

    def limited() -> None:
        raise RetryableError("429", retry_after=7, is_rate_limit=True)

    with pytest.raises(UnavailableError):
        policy.call(limited, "GET /x")
    policy.call(lambda: None, "GET /y")

    assert len(sleeps) == 1
    assert 7 <= sleeps[0] <= 8
