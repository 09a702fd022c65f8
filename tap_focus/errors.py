"""What ends a sync, by what the operator must do.

An error's text says what happened and what to do, in a line or two; README's troubleshooting lists
them. `exit_code` is the process's, after sysexits.h.
"""

from __future__ import annotations

import os


class FocusError(Exception):
    """A sync that cannot go on.

    Attributes:
        what: what happened, without what to do where that is apart.
    """

    exit_code = 1

    def __init__(self, what: str, advice: str = "") -> None:
        """Say what happened and what to do."""
        super().__init__(f"{what}. {advice}" if advice else what)
        self.what = what


class UnavailableError(FocusError):
    """Wait: Focus was out of reach or kept failing; the next run may succeed."""

    exit_code = os.EX_TEMPFAIL


class TooManyFailedError(FocusError):
    """Wait or mend: so many downloads failed that the bookmark could not keep them."""

    exit_code = os.EX_TEMPFAIL


class RefusedError(FocusError):
    """Mend the configuration: Focus refuses the credentials, the rights or the address.

    Attributes:
        status: the HTTP status of the refusal, where there was one.
    """

    exit_code = os.EX_CONFIG

    def __init__(self, text: str, status: int | None = None) -> None:
        """Say what happened and what to do, and keep the status."""
        super().__init__(text)
        self.status = status


class LoginFailedError(FocusError):
    """As its cause says, and whatever was asked for: without a login nothing can be."""

    def __init__(self, cause: FocusError) -> None:
        """Take over the text and the exit code of what the login failed with."""
        super().__init__(str(cause))
        self.exit_code = cause.exit_code


class TooLargeError(FocusError):
    """Mend the configuration: an answer is larger than memory should hold; pages can be smaller."""

    exit_code = os.EX_CONFIG


class StorageError(FocusError):
    """Mend the storage: it is full, read-only, missing, or refuses the credentials."""

    exit_code = os.EX_CANTCREAT


class OutputError(FocusError):
    """Mend the target: standard output takes no more, since its reader ended or a disk is full."""

    exit_code = os.EX_IOERR


class CursorRefusedError(FocusError):
    """Start again: Focus no longer takes the bookmark's cursor."""

    exit_code = os.EX_DATAERR


class BadAnswerError(FocusError):
    """Look closer: Focus answered something that its API does not promise."""

    exit_code = os.EX_PROTOCOL


class OddStatusError(RefusedError):
    """Look closer: Focus answered a status that is neither good nor bad."""

    exit_code = os.EX_PROTOCOL


class UnusableRecordingError(FocusError):
    """Look closer: no row can be made of a recording. Trying again at once won't help."""

    exit_code = os.EX_PROTOCOL


class NoAudioError(FocusError):
    """Look closer: an answer is no audio. Trying again at once won't help."""

    exit_code = os.EX_PROTOCOL
