"""The one policy of trying again, for login, cursor and audio: what passes, how long, how often."""

from __future__ import annotations

import email.utils
import logging
import random
import time
import typing as t

from tap_focus.errors import FocusError, UnavailableError

logger = logging.getLogger("tap-focus.client")

MAX_WAIT = 60.0
"""The longest wait between two tries, in seconds, also when Retry-After asks for more."""

T = t.TypeVar("T")


class Passing(Exception):  # noqa: N818 - a reason to try again, not an error yet
    """One try that failed in a way that may pass.

    Attributes:
        retry_after: seconds that Focus asks to wait.
        lasting: what to raise when it does not pass.
    """

    def __init__(
        self, reason: str, *, retry_after: float | None = None, lasting: FocusError | None = None
    ) -> None:
        """Say in a few words what failed; they stand in the log."""
        super().__init__(reason)
        self.retry_after = retry_after
        self.lasting = lasting


def retry(attempt: t.Callable[[], T], *, what: str, host: str, tries: int) -> T:
    """Call `attempt` until it succeeds, fails for good, or has failed so many times.

    Args:
        attempt: raises `Passing` for what may pass; all else is for good.
        what: names the request in the log, such as `GET /client/recording/cursor`.
        host: where it goes.
        tries: how often to call it at most, at least once.

    Raises:
        FocusError: what failed lasts; an `UnavailableError` where nothing says more.
    """
    began = time.monotonic()
    for number in range(1, tries + 1):
        try:
            return attempt()
        except Passing as error:
            failure = error
        if number < tries:
            wait = _wait(number, failure.retry_after)
            logger.warning(
                "%s: %s. Trying again in %.1f s (try %d of %d)",
                what,
                failure,
                wait,
                number + 1,
                tries,
            )
            time.sleep(wait)
    raise failure.lasting or UnavailableError(
        f"{what} failed {tries} times in {time.monotonic() - began:.0f} s, the last time: "
        f"{failure}",
        "The bookmark stands where it was: run again later. "
        f"If it lasts, check that {host} can be reached from here.",
    )


def seconds_to_wait(retry_after: str) -> float | None:
    """Seconds that a Retry-After asks for, in either of its forms; None where it makes no sense."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    at = timestamp(retry_after)
    return None if at is None else max(at - time.time(), 0.0)


def timestamp(http_date: str) -> float | None:
    """Seconds since 1970 of a date in a header; None for what is none."""
    try:
        return email.utils.parsedate_to_datetime(http_date).timestamp()
    except (ValueError, OverflowError):
        return None


def _wait(failures: int, asked: float | None) -> float:
    """Seconds to wait after so many failures, with jitter, so that taps do not act in step."""
    if asked is None:
        longest = min(0.5 * 2.0 ** min(failures - 1, 10), MAX_WAIT)
        return random.uniform(longest / 2, longest)  # noqa: S311 - jitter is no secret
    return min(asked, MAX_WAIT) + random.uniform(0, 0.5)  # noqa: S311
