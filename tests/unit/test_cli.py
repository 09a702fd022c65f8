from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from singer_sdk.exceptions import ConfigValidationError

from tap_focus import cli


class Lines:
    """What a run logs and how it ends."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def run(self, error: BaseException) -> tuple[int, list[str]]:
        """Return the exit code and the lines of a run that ends with an error."""

        def command() -> None:
            raise error

        return cli._run(command), self._caplog.messages


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    return Lines(caplog)


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

    assert cli._run(lambda: None) == 1
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
