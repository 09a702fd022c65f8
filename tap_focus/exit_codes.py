"""Exit code of the process and advice to the operator, for each class of errors.

An error whose class and base classes have no entry here ends the run as "Unexpected error" with
exit code 70.
"""

from __future__ import annotations

import os
import traceback
import typing as t
from pathlib import Path

from singer_sdk.exceptions import ConfigValidationError, MapExpressionError, StreamMapConfigError

from tap_focus import errors
from tap_focus.streams.sdk import mapped_property


class Outcome(t.NamedTuple):
    """How the process ends after an error: exit code by sysexits.h, and what to do."""

    exit_code: int
    advice: str


OUTCOMES: dict[type[Exception] | tuple[type[Exception], int], Outcome] = {
    ConfigValidationError: Outcome(1, "Correct the setting or the state that the message names."),
    MapExpressionError: Outcome(1, "Correct the expression in stream_maps."),
    StreamMapConfigError: Outcome(1, "Correct stream_maps."),
    ModuleNotFoundError: Outcome(
        1,
        "Install the package in the tap's environment. With Meltano, add it to the plugin's "
        "pip_url.",
    ),
    errors.CursorRejectedError: Outcome(
        os.EX_DATAERR,
        "State is unchanged. If page_size was changed, restore it. Otherwise clear the state and "
        "run again, with start_date set to a day before the last good run. Recordings that were "
        "already loaded are sent again.",
    ),
    errors.WorkListError: Outcome(
        os.EX_DATAERR,
        "Correct the query. The rows of earlier lines have been written. See tap-focus-media fetch "
        "--help.",
    ),
    errors.StorageError: Outcome(
        os.EX_CANTCREAT,
        "Check that media_path exists and has free space, and check its credentials and Python "
        "packages. Temporary files need space in TMPDIR.",
    ),
    errors.BatchStorageError: Outcome(
        os.EX_CANTCREAT,
        "Check that storage.root exists and has free space, and check its credentials. Temporary "
        "files need space in TMPDIR.",
    ),
    errors.OutputError: Outcome(
        os.EX_IOERR, "Check the target's log, or the disk. The next run continues from the state."
    ),
    OSError: Outcome(os.EX_IOERR, "Check that the file or folder exists and can be accessed."),
    errors.UnavailableError: Outcome(
        os.EX_TEMPFAIL,
        "Earlier pages have been written and the state saved. Run again later. If the error "
        "persists, check the network.",
    ),
    errors.InvalidResponseError: Outcome(
        os.EX_PROTOCOL,
        "Check that api_url is the API of Focus. Otherwise run again later, or ask Focus support.",
    ),
    errors.PaginationError: Outcome(
        os.EX_PROTOCOL,
        "Earlier pages have been written and the state saved. Run again later, or ask Focus.",
    ),
    errors.InvalidRecordingError: Outcome(
        os.EX_PROTOCOL, "Earlier pages have been written and the state saved. Ask Focus support."
    ),
    errors.InvalidAudioError: Outcome(os.EX_PROTOCOL, "Ask Focus support."),
    errors.UnexpectedStatusError: Outcome(
        os.EX_PROTOCOL,
        "Check that api_url is the API of Focus. Otherwise ask Focus support.",
    ),
    errors.ResponseTooLargeError: Outcome(os.EX_CONFIG, "Set a smaller page_size."),
    errors.PageSizeIgnoredError: Outcome(
        os.EX_CONFIG,
        "Check that api_url is the API of Focus. If so, set page_size to the number that it sends.",
    ),
    (errors.HTTPStatusError, 401): Outcome(
        os.EX_CONFIG,
        "Check api_key, username and client_id against Focus's page Admin → Account → "
        "Integrations.",
    ),
    (errors.HTTPStatusError, 403): Outcome(
        os.EX_CONFIG,
        "Give the service user the right Recording.View, and enable the Cursor synchronization "
        "API for the account.",
    ),
    (errors.HTTPStatusError, 404): Outcome(os.EX_CONFIG, "Check region or api_url."),
    errors.HTTPStatusError: Outcome(
        os.EX_CONFIG, "Check the settings. If they are correct, ask Focus support."
    ),
    errors.PlaybackForbiddenError: Outcome(
        os.EX_CONFIG, "Give the service user the right Recording.Play."
    ),
    errors.RedirectError: Outcome(
        os.EX_CONFIG,
        "Redirects are not followed, since they could leak credentials. Set region or api_url to "
        "the address of Focus.",
    ),
    errors.CertificateError: Outcome(
        os.EX_CONFIG,
        "Check api_url, or set REQUESTS_CA_BUNDLE to your company's CA bundle.",
    ),
    errors.CABundleError: Outcome(
        os.EX_CONFIG, "Set REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE to a readable PEM file."
    ),
    errors.ProxyError: Outcome(
        os.EX_CONFIG,
        "Check HTTPS_PROXY and ALL_PROXY, and the username and password in them. A SOCKS proxy "
        "needs the Python package PySocks.",
    ),
    errors.ProtocolMismatchError: Outcome(os.EX_CONFIG, "Check the scheme and port of api_url."),
}
"""Outcome by exception class, or by exception class and HTTP status.

An entry counts for subclasses without their own, too. `docs/reference/exit-codes.md` is generated
from this table.
"""


def explain(error: Exception) -> tuple[int, str]:
    """Return the exit code for an error, and what failed, why, and what to do."""
    cause = error.cause if isinstance(error, errors.LoginFailedError) else error
    outcome = _find_outcome(cause)
    text = str(error)
    if isinstance(cause, OSError):
        # Only these parts: the texts of libraries may contain URLs.
        parts = (cause.strerror or type(cause).__name__, cause.filename)
        text = ": ".join(str(part) for part in parts if part)
    elif isinstance(cause, ModuleNotFoundError):
        text = f"The Python package {cause.name} is missing"
    elif isinstance(cause, (MapExpressionError, StreamMapConfigError)):
        if isinstance(cause, MapExpressionError) and "expression for" not in text:
            # The SDK's text contains the expression, in which there may be a salt.
            text = f"the expression for {mapped_property(error.__traceback__)} is invalid"
        text = f"stream_maps: {text}"
    if not outcome:
        return os.EX_SOFTWARE, (
            f"Unexpected error: {type(error).__name__} in {_location(error)}. Please report it "
            "with this line and the version."
        )
    return outcome.exit_code, f"{text.removesuffix('.')}. {outcome.advice}"


def _find_outcome(error: Exception) -> Outcome | None:
    status = getattr(error, "status", 0)
    for kind in type(error).__mro__:
        for key in ((kind, status), kind):
            if key in OUTCOMES:
                return OUTCOMES[key]
    return None


def _location(error: Exception) -> str:
    """Return the innermost line of this package, and the innermost line of all."""
    frames = traceback.extract_tb(error.__traceback__)
    package = str(Path(__file__).parent)
    own = [frame for frame in frames if frame.filename.startswith(package)]
    places = [f"{Path(f.filename).name}, line {f.lineno}" for f in [*own[-1:], frames[-1]]]
    return " and ".join(dict.fromkeys(places))
