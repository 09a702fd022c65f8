"""Retry policy for every request: what is retried, how long to wait, how often."""

from __future__ import annotations

import email.utils
import logging
import random
import sys
import time
import typing as t

from tap_focus.api.usage import Total
from tap_focus.errors import APIError, UnavailableError

logger = logging.getLogger("tap-focus.client")

RETRYABLE_STATUSES = frozenset({408, 425, 429, *range(500, 1000)})

MAX_WAIT = 60.0
"""Longest wait between two attempts in seconds, even if Retry-After asks for more."""

T = t.TypeVar("T")


class RetryableError(Exception):
    """A transient failure of one attempt; the text is logged.

    Attributes:
        retry_after: seconds that the server asked to wait, or None.
        is_rate_limit: whether other requests have to wait as well.
        on_exhausted: the error to raise after the last attempt, or None for `UnavailableError`.
    """

    def __init__(
        self,
        reason: str,
        *,
        retry_after: float | None = None,
        is_rate_limit: bool = False,
        on_exhausted: APIError | None = None,
    ) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.is_rate_limit = is_rate_limit
        self.on_exhausted = on_exhausted


class RetryPolicy:
    """How often a request to `host` is repeated; 0 retries are one attempt.

    Threads share a policy. When Focus limits the rate of one request, all of them wait.

    Attributes:
        retries: the retries of all requests.
    """

    def __init__(self, max_retries: int, host: str) -> None:
        self.max_retries = max_retries
        self.host = host
        self.retries = Total()
        self._paused_until = 0.0

    def call(
        self, attempt: t.Callable[[], T], request: str, *, max_retries: int = sys.maxsize
    ) -> T:
        """Call `attempt` until it raises no `RetryableError`, or the retries are used up.

        `max_retries` can only lower the limit of the policy.

        Raises:
            UnavailableError: the last retry failed too.
            APIError: the `on_exhausted` of the last failure.
        """
        started = time.monotonic()
        limit = min(self.max_retries, max_retries)
        for retries in range(limit + 1):
            self._wait_while_paused()
            try:
                return attempt()
            except RetryableError as error:
                failure = error
            wait = seconds_to_wait(retries, failure.retry_after)
            if failure.is_rate_limit:
                self._paused_until = max(self._paused_until, time.monotonic() + wait)
            if retries < limit:
                progress = f"Retry {retries + 1} of {limit} in {wait:.1f} s"
                logger.warning("%s: %s. %s", request, failure, progress)
                self.retries.add(1)
                time.sleep(wait)
        raise failure.on_exhausted or UnavailableError(
            request,
            host=self.host,
            attempts=limit + 1,
            seconds=time.monotonic() - started,
            reason=str(failure),
        )

    def _wait_while_paused(self) -> None:
        while (wait := self._paused_until - time.monotonic()) > 0:
            # The jitter spreads the requests that have waited.
            time.sleep(wait + random.uniform(0, 0.5))  # noqa: S311 - jitter needs no secrecy


def seconds_to_wait(retries: int, retry_after: float | None) -> float:
    """Return the wait after so many retries, with jitter so that taps do not synchronize."""
    if retry_after is not None:
        return min(retry_after, MAX_WAIT) + random.uniform(0, 0.5)  # noqa: S311
    longest = min(0.5 * 2.0 ** min(retries, 10), MAX_WAIT)
    return random.uniform(longest / 2, longest)  # noqa: S311 - jitter needs no secrecy


def parse_retry_after(header: str) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110, section 10.2.3); None if invalid."""
    if header.isascii() and header.isdigit():
        return float(header)
    at = parse_http_date(header)
    return None if at is None else max(at - time.time(), 0.0)


def parse_http_date(header: str) -> float | None:
    """Return an HTTP date in seconds since 1970, or None if it is invalid."""
    try:
        return email.utils.parsedate_to_datetime(header).timestamp()
    except (ValueError, OverflowError):
        return None
