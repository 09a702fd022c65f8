from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import (
    ConfigValidationError,
    MapExpressionError,
    StreamMapConfigError,
)

from tap_focus import cli, errors

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
    errors.InvalidRecordingError: (errors.InvalidRecordingError("no id"), os.EX_PROTOCOL),
    errors.PlaybackForbiddenError: (errors.PlaybackForbiddenError(20), os.EX_CONFIG),
    errors.InvalidAudioError: (errors.InvalidAudioError("empty"), os.EX_PROTOCOL),
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

    assert cli.explain(error)[0] == exit_code


@pytest.mark.parametrize("kind", CAUSES)
def test_a_failed_login_has_the_exit_code_and_the_text_of_its_cause(
    kind: type[errors.TapFocusError],
) -> None:
    error, exit_code = CAUSES[kind]

    assert cli.explain(errors.LoginFailedError(error)) == cli.explain(error)
    assert cli.explain(errors.LoginFailedError(error))[0] == exit_code


@pytest.mark.parametrize("kind", CAUSES)
def test_the_line_of_an_error_says_what_failed_and_what_to_do(
    kind: type[errors.TapFocusError],
) -> None:
    error, _ = CAUSES[kind]
    _, line = cli.explain(error)
    advice = line.removeprefix(f"{error}. ")

    assert line.startswith(f"{error}. ")
    assert advice.endswith(".")
    assert "\n" not in line


@pytest.mark.parametrize("kind", cli.ADVICE)
def test_each_class_in_the_table_has_a_docstring_an_exit_code_and_advice(
    kind: type[Exception],
) -> None:
    advice = cli.ADVICE[kind]

    assert inspect.getdoc(kind)
    assert 0 < advice.exit_code < 126
    assert advice.exit_code != os.EX_SOFTWARE
    assert advice.text.endswith(".")


@pytest.mark.parametrize(
    ("status", "fact"),
    [(400, "settings"), (401, "api_key"), (403, "Recording.View"), (404, "api_url"), (422, "")],
)
def test_a_rejected_request_has_advice_for_its_status(status: int, fact: str) -> None:
    exit_code, line = cli.explain(errors.HTTPStatusError(status, "GET /x"))

    assert exit_code == os.EX_CONFIG
    assert str(status) in line
    assert fact in line


def test_the_advice_for_a_status_does_not_replace_that_of_a_rejected_cursor() -> None:
    exit_code, line = cli.explain(errors.CursorRejectedError(404))

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
    found, line = cli.explain(error)

    assert found == exit_code
    assert line.startswith(fact)


def test_an_unexpected_error_is_located_without_its_own_text() -> None:
    try:
        cli._decode(None)  # type: ignore[arg-type]
    except AttributeError as error:
        exit_code, line = cli.explain(error)
    try:
        json.loads("{}")["canary: a name, a number"]
    except LookupError as error:
        _, other = cli.explain(error)

    assert exit_code == os.EX_SOFTWARE
    assert "AttributeError in cli.py, line " in line
    assert "KeyError in test_cli.py, line " in other
    assert "canary" not in other


class Lines:
    """What a run logs and how it ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        self._monkeypatch = monkeypatch
        self._caplog = caplog

    def run(self, error: BaseException) -> tuple[int, list[str]]:
        """Return the exit code and the lines of a run that ends with an error."""

        def command() -> None:
            raise error

        self._monkeypatch.setattr(cli, "_get_command", lambda: command)
        return cli._run(), self._caplog.messages


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Lines:
    return Lines(monkeypatch, caplog)


def test_an_unexpected_error_ends_the_run_with_one_line(
    lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code, (line,) = lines.run(LookupError("canary: a name, a number"))

    assert exit_code == os.EX_SOFTWARE
    assert "LookupError" in line
    assert "test_cli.py, line " in line
    assert "canary" not in line + capsys.readouterr().err


def test_each_invalid_setting_is_one_line(lines: Lines) -> None:
    error = ConfigValidationError("Invalid", errors=["page_size: invalid", "region: missing"])

    assert lines.run(error) == (1, ["page_size: invalid", "region: missing"])


def test_invalid_settings_without_details_are_one_line(lines: Lines) -> None:
    assert lines.run(ConfigValidationError("Invalid", errors=[])) == (1, ["Invalid"])


@pytest.mark.parametrize(("code", "exit_code"), [(143, 143), (0, 0), (None, 0), ("text", 1)])
def test_a_run_that_stops_itself_keeps_its_exit_code(
    lines: Lines, code: Any, exit_code: int
) -> None:
    assert lines.run(SystemExit(code)) == (exit_code, [])


@pytest.mark.parametrize("variable", cli.LOG_LEVEL_VARIABLES)
@pytest.mark.parametrize("level", ["LOUD", "10", "canary level"])
def test_an_unknown_log_level_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variable: str, level: str
) -> None:
    monkeypatch.setenv(variable, level)

    assert cli._run() == 1
    assert [line.split(":")[0] for line in caplog.messages] == [variable]
    assert "canary" not in caplog.text


@pytest.mark.parametrize("level", ["", "debug", "INFO"])
def test_a_known_log_level_is_accepted(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    monkeypatch.setenv("TAP_FOCUS_LOGLEVEL", level)

    cli._check_logging()


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"{'canary': 1}", "invalid JSON"),
        (b'{"canary": 1', "invalid JSON"),
        (b"\xff", "invalid JSON"),
        (b"[" * 100_000, "invalid JSON"),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_an_unreadable_input_file_is_described_without_its_content(
    content: bytes, fact: str
) -> None:
    with pytest.raises(ValueError, match=fact) as caught:
        cli._decode(content)

    assert "canary" not in str(caught.value)


def test_an_input_file_may_begin_with_a_byte_order_mark() -> None:
    assert cli._decode(b'\xef\xbb\xbf{"a": 1.50}') == {"a": 1.5}


class Ended(BaseException):
    """The end of the process, in a test."""


class FailingStream:
    def flush(self) -> None:
        raise BrokenPipeError


@pytest.mark.parametrize(
    ("exit_code", "stdout", "expected"),
    [(0, None, 0), (3, None, 3), (0, FailingStream(), os.EX_IOERR), (3, FailingStream(), 3)],
)
def test_the_process_ends_with_an_error_if_its_output_cannot_be_flushed(
    monkeypatch: pytest.MonkeyPatch, exit_code: int, stdout: Any, expected: int
) -> None:
    codes = []

    def end(code: int) -> None:
        codes.append(code)
        raise Ended

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr("logging.shutdown", lambda: None)
    monkeypatch.setattr(sys, "stdout", stdout)
    with pytest.raises(Ended):
        cli._end_process(exit_code)

    assert codes == [expected]


def test_windows_is_refused_in_one_line() -> None:
    program = "import sys; sys.platform = 'win32'; import tap_focus"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "Windows" in done.stderr
    assert len(done.stderr.splitlines()) == 1
