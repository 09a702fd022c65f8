"""Exceptions of tap-focus.

An exception carries facts: its attributes, and in its text what failed and why. What the operator
should do, and the exit code of the process, are in the table `tap_focus.exit_codes.OUTCOMES`. A
class without an entry there, for itself or a base class, ends the run as "Unexpected error" with
exit code 70. The class docstrings appear in `docs/reference/exit-codes.md`.
"""

from __future__ import annotations


class TapFocusError(Exception):
    """The sync cannot continue."""


class APIError(TapFocusError):
    """A request to Focus failed."""


class UnavailableError(APIError):
    """Focus could not be reached, or failed on every attempt."""

    def __init__(
        self, request: str, *, host: str, attempts: int, seconds: float, reason: str
    ) -> None:
        times = "once" if attempts == 1 else f"{attempts} times"
        super().__init__(f"{request} to {host} failed {times} in {seconds:.0f} s: {reason}")
        self.host = host
        self.reason = reason


class HTTPStatusError(APIError):
    """Focus rejected a request."""

    _text = "Focus rejected {request} with status {status}"

    def __init__(self, status: int, request: str) -> None:
        super().__init__(self._text.format(status=status, request=request))
        self.status = status


class UnexpectedStatusError(HTTPStatusError):
    """Focus answered with a status that its API does not document."""

    _text = "Focus answered {request} with the unexpected status {status}"


class RedirectError(APIError):
    """Focus redirected a request. Redirects are not followed."""

    def __init__(self, request: str, location: str) -> None:
        super().__init__(f"Focus redirected {request} to {location}")


class CertificateError(APIError):
    """The TLS certificate of Focus could not be verified."""

    def __init__(self, host: str) -> None:
        super().__init__(f"The TLS certificate of {host} could not be verified")


class CABundleError(APIError):
    """The CA bundle that the environment names could not be read."""

    def __init__(self, variables: str) -> None:
        super().__init__(f"The CA bundle named by {variables} could not be read")


class ProxyError(APIError):
    """The proxy could not be used, or it rejected the connection."""

    def __init__(self, proxy: str, reason: str) -> None:
        super().__init__(f"The proxy {proxy} could not be used: {reason}")


class ProtocolMismatchError(APIError):
    """The server does not speak TLS on an https port, or only TLS on an http port."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"No HTTP connection to {host}: {reason}")


class LoginFailedError(APIError):
    """Logging in failed. The cause decides the exit code."""

    def __init__(self, cause: TapFocusError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class CursorRejectedError(APIError):
    """Focus rejected the cursor of the bookmark."""

    def __init__(self, status: int) -> None:
        super().__init__(f"Focus rejected the bookmark's cursor with status {status}")
        self.status = status


class PaginationError(APIError):
    """The cursor did not advance, or Focus rejected a cursor that it had just returned."""


class InvalidResponseError(APIError):
    """A response is not what the Focus API documents."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ResponseTooLargeError(APIError):
    """A response exceeds a size limit."""


class PageSizeIgnoredError(APIError):
    """A page has far more recordings than were requested."""


class InvalidRecordingError(APIError):
    """A recording has no usable primary key, or is too large."""


class PlaybackForbiddenError(APIError):
    """Focus refused the audio of all recordings with status 403."""

    def __init__(self, count: int) -> None:
        super().__init__(
            f"Focus refused {count} downloads in a row with status 403, although "
            "mediaAccessStatus is Permitted"
        )


class InvalidAudioError(APIError):
    """A response to an audio request is not a complete audio file."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ArchiveError(TapFocusError):
    """The audio archive failed."""


class StorageError(ArchiveError):
    """The audio archive could not be opened, read or written."""

    def __init__(self, action: str, reason: str) -> None:
        super().__init__(f"Cannot {action}: {reason}")
        self.reason = reason


class FileUnreadableError(StorageError):
    """A file of the archive cannot be examined, for example because it is in cold storage."""


class LockError(StorageError):
    """The store refused to lock a file."""


class WorkListError(TapFocusError):
    """A line of the work list is not a row of `recordings` with the necessary columns."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"Line {line} of the work list is not a row of recordings: {reason}")


class BatchStorageError(TapFocusError):
    """A batch file could not be written."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Cannot write to storage.root of batch_config: {reason}")


class OutputError(TapFocusError):
    """Standard output could not be written."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Cannot write to standard output: {reason}")
