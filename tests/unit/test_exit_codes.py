from __future__ import annotations

import inspect
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import MapExpressionError, StreamMapConfigError

from tap_focus import cli, errors
from tap_focus.exit_codes import OUTCOMES, explain

if TYPE_CHECKING:
    from collections.abc import Iterator


def concrete(kind: type[errors.TapFocusError]) -> Iterator[type[errors.TapFocusError]]:
    """Yield the classes below one that are raised: those without subclasses or with arguments."""
    below = kind.__subclasses__()
    if not below or "__init__" in vars(kind):
        yield kind
    for other in below:
        yield from concrete(other)


CAUSES: dict[type[errors.TapFocusError], tuple[Any, int]] = {
    errors.UnavailableError: (
        errors.UnavailableError("GET /x", host="h", attempts=2, seconds=1, reason="broken"),
        os.EX_TEMPFAIL,
    ),
    errors.HTTPStatusError: (errors.HTTPStatusError(418, "GET /x"), os.EX_CONFIG),
    errors.UnexpectedStatusError: (errors.UnexpectedStatusError(204, "GET /x"), os.EX_PROTOCOL),
    errors.RedirectError: (errors.RedirectError("GET /x", "'host'"), os.EX_CONFIG),
    errors.CertificateError: (errors.CertificateError("host"), os.EX_CONFIG),
    errors.CABundleError: (errors.CABundleError("CURL_CA_BUNDLE"), os.EX_CONFIG),
    errors.ProxyError: (errors.ProxyError("http://proxy", "it answered 407"), os.EX_CONFIG),
    errors.ProtocolMismatchError: (
        errors.ProtocolMismatchError("host", "the port does not speak TLS"),
        os.EX_CONFIG,
    ),
    errors.CursorRejectedError: (errors.CursorRejectedError(410), os.EX_DATAERR),
    errors.PaginationError: (errors.PaginationError("page 2"), os.EX_PROTOCOL),
    errors.InvalidResponseError: (errors.InvalidResponseError("no page"), os.EX_PROTOCOL),
    errors.ResponseTooLargeError: (errors.ResponseTooLargeError("128 MiB"), os.EX_CONFIG),
    errors.PageSizeIgnoredError: (errors.PageSizeIgnoredError("5,000 recordings"), os.EX_CONFIG),
    errors.InvalidRecordingError: (errors.InvalidRecordingError("no id"), os.EX_PROTOCOL),
    errors.PlaybackForbiddenError: (errors.PlaybackForbiddenError(20), os.EX_CONFIG),
    errors.InvalidAudioError: (errors.InvalidAudioError("empty"), os.EX_PROTOCOL),
    errors.WorkListError: (errors.WorkListError(3, "it is not valid JSON"), os.EX_DATAERR),
    errors.StorageError: (errors.StorageError("write to media_path", "full"), os.EX_CANTCREAT),
    errors.FileUnreadableError: (
        errors.FileUnreadableError("read 1.mp3", "archived"),
        os.EX_CANTCREAT,
    ),
    errors.LockError: (errors.LockError("lock 1.mp3", "denied"), os.EX_CANTCREAT),
    errors.BatchStorageError: (errors.BatchStorageError("full"), os.EX_CANTCREAT),
    errors.OutputError: (errors.OutputError("Broken pipe"), os.EX_IOERR),
}
"""An error of each class that the tap raises, and its exit code. LoginFailedError wraps another."""

ERROR_CLASSES = [*concrete(errors.TapFocusError)]


def test_the_table_of_this_test_has_each_error() -> None:
    assert {*CAUSES, errors.LoginFailedError} == {*ERROR_CLASSES}


@pytest.mark.parametrize("kind", CAUSES)
def test_each_error_has_its_exit_code(kind: type[errors.TapFocusError]) -> None:
    """Schedulers depend on these numbers."""
    error, exit_code = CAUSES[kind]

    assert explain(error)[0] == exit_code


@pytest.mark.parametrize("kind", CAUSES)
def test_a_failed_login_has_the_exit_code_and_the_text_of_its_cause(
    kind: type[errors.TapFocusError],
) -> None:
    error, exit_code = CAUSES[kind]

    assert explain(errors.LoginFailedError(error)) == explain(error)
    assert explain(errors.LoginFailedError(error))[0] == exit_code


@pytest.mark.parametrize("kind", CAUSES)
def test_the_line_of_an_error_says_what_failed_and_what_to_do(
    kind: type[errors.TapFocusError],
) -> None:
    error, _ = CAUSES[kind]
    _, line = explain(error)
    advice = line.removeprefix(f"{error}. ")

    assert line.startswith(f"{error}. ")
    assert advice.endswith(".")
    assert "\n" not in line


@pytest.mark.parametrize("key", OUTCOMES)
def test_each_class_in_the_table_has_a_docstring_an_exit_code_and_advice(
    key: type[Exception] | tuple[type[Exception], int],
) -> None:
    outcome = OUTCOMES[key]

    assert inspect.getdoc(key[0] if isinstance(key, tuple) else key)
    assert 0 < outcome.exit_code < 126
    assert outcome.exit_code != os.EX_SOFTWARE
    assert outcome.advice.endswith(".")


@pytest.mark.parametrize(
    ("status", "fact"),
    [(400, "settings"), (401, "api_key"), (403, "Recording.View"), (404, "api_url"), (422, "")],
)
def test_a_rejected_request_has_advice_for_its_status(status: int, fact: str) -> None:
    exit_code, line = explain(errors.HTTPStatusError(status, "GET /x"))

    assert exit_code == os.EX_CONFIG
    assert str(status) in line
    assert fact in line


def test_the_advice_for_a_status_does_not_replace_that_of_a_rejected_cursor() -> None:
    exit_code, line = explain(errors.CursorRejectedError(404))

    assert exit_code == os.EX_DATAERR
    assert "start_date" in line


@pytest.mark.parametrize(
    ("error", "exit_code", "fact"),
    [
        (MapExpressionError("the expression for type"), 1, "stream_maps: "),
        (StreamMapConfigError("unknown"), 1, "stream_maps: "),
        (ModuleNotFoundError("No module", name="s3fs"), 1, "The Python package s3fs is missing"),
        (FileNotFoundError(2, "No such file", "a.json"), os.EX_IOERR, "No such file: a.json"),
        (PermissionError(13, "Permission denied", "/x"), os.EX_IOERR, "Permission denied: /x"),
    ],
)
def test_errors_of_libraries_are_explained(error: Exception, exit_code: int, fact: str) -> None:
    found, line = explain(error)

    assert found == exit_code
    assert line.startswith(fact)


def test_an_unexpected_error_is_located_without_its_own_text() -> None:
    try:
        cli._decode(None)  # type: ignore[arg-type]
    except AttributeError as error:
        exit_code, line = explain(error)
    try:
        json.loads("{}")["canary: a name, a number"]
    except LookupError as error:
        _, other = explain(error)

    assert exit_code == os.EX_SOFTWARE
    assert "AttributeError in cli.py, line " in line
    assert "KeyError in test_exit_codes.py, line " in other
    assert "canary" not in other
