"""Whether refused downloads concern single recordings, or the whole account."""

from __future__ import annotations

import logging
import typing as t

from tap_focus.errors import HTTPStatusError, PlaybackForbiddenError, RedirectError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_focus.archive.downloader import DownloadResult

logger = logging.getLogger("tap-focus.media")

MAX_REFUSALS = 20
"""Downloads after which a run ends if Focus refused all of them, also those of earlier runs."""

_UNAUTHORIZED, _FORBIDDEN = 401, 403


class RefusalGuard:
    """Ends a run if Focus refuses the audio of all recordings, before the bookmark advances.

    Attributes:
        count: downloads that were refused since another one was answered, over several runs: there
            may be only a few new recordings in each of them.
        is_open: whether downloads of this run were refused, and it is not yet clear that others are
            not.
    """

    def __init__(self, count: int = 0, *, trusts_archive: bool = False) -> None:
        """Start with the refusals of earlier runs.

        With `trusts_archive`, a recording whose file is stored already counts as answered.
        """
        self.count = self._earlier = count
        self._trusts_archive = trusts_archive
        self.is_open = False
        self._is_decided = False
        self._deferred: list[DownloadResult] = []
        self._has_warned = False

    def check(self, result: DownloadResult) -> Iterator[DownloadResult]:
        """Yield the results that can be written.

        A result with status 401 or a redirect is held until another download is answered.

        Raises:
            APIError: `MAX_REFUSALS` downloads were refused, and no other one was answered.
        """
        self._warn(result)
        is_refused = _is_refused(result.error)
        is_answered = isinstance(result.error, HTTPStatusError) and not is_refused
        is_stored = self._trusts_archive and result.row["status"] == "stored"
        if result.is_new or is_answered or is_stored:
            self._is_decided, self.is_open, self.count = True, False, 0
        if self._is_decided:
            yield from self._deferred
            self._deferred.clear()
        elif is_refused:
            self.is_open = True
            self.count += 1
            if not _is_forbidden(result.error):
                self._deferred.append(result)
            # Refusals of earlier runs may concern single recordings, so others get a chance.
            if self.count - self._earlier >= MAX_REFUSALS:
                self._raise()
        if result not in self._deferred:
            yield result

    def finish(self) -> None:
        """Decide about downloads at the end of the feed that were fewer than `MAX_REFUSALS`.

        Raises:
            APIError: all were refused, with 401 or a redirect, or they are `MAX_REFUSALS` together
                with those of earlier runs.
        """
        if self._deferred or (self.is_open and self.count >= MAX_REFUSALS):
            self._raise()
        self._is_decided, self.is_open = True, False

    def _raise(self) -> t.NoReturn:
        if self._deferred:
            raise t.cast("Exception", self._deferred[0].error)
        raise PlaybackForbiddenError(self.count)

    def _warn(self, result: DownloadResult) -> None:
        if _is_forbidden(result.error) and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "Focus refused audio with status 403, although mediaAccessStatus is Permitted. If "
                "this happens for all recordings, the service user lacks the right Recording.Play"
            )


def _is_forbidden(error: Exception | None) -> bool:
    return isinstance(error, HTTPStatusError) and error.status == _FORBIDDEN


def _is_refused(error: Exception | None) -> bool:
    is_unauthorized = isinstance(error, HTTPStatusError) and error.status == _UNAUTHORIZED
    return is_unauthorized or _is_forbidden(error) or isinstance(error, RedirectError)
