"""Run `tap-focus` and the other installed commands, without the settings of this machine."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.helpers import SLOWNESS
from tests.helpers.fake_focus import FakeFocus, feed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from tap_focus.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
TAP = str(BIN / "tap-focus")

NULL = object()
"""A file that contains `null`. None means no file."""

TIMEOUT = math.ceil(60 * SLOWNESS)
"""Seconds after which a command is killed and its test fails."""

INHERITED = (
    "LANG",
    "PATH",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "COVERAGE_PROCESS_CONFIG",
    "COVERAGE_PROCESS_START",
)
"""The only variables of this machine that reach a command under test."""

_HOME = tempfile.TemporaryDirectory(prefix="tap-focus-tests-home-")


def clean_environment(**variables: str) -> dict[str, str]:
    """Return the environment of a command under test, with further variables."""
    return {
        **{name: os.environ[name] for name in INHERITED if name in os.environ},
        "HOME": _HOME.name,
        "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
        **variables,
    }


def max_retries(requests: int) -> int:
    """Return the setting `max_retries` that allows a number of requests."""
    return requests - 1


def settings(focus: FakeFocus | Sandbox, *, requests: int = 3, **changes: Any) -> dict[str, Any]:
    """Return the settings of a tap that gives up soon.

    Args:
        focus: the server.
        requests: how often a request is sent before the tap gives up.
        changes: other settings.
    """
    own = {"request_timeout": 5, "max_retries": max_retries(requests)}
    return {**focus.settings, **own, **changes}


@dataclass(frozen=True)
class Run:
    """A finished run of a command: its exit code, standard output and standard error."""

    exit_code: int
    out: str
    log: str

    @property
    def lines(self) -> list[str]:
        # Not splitlines(): it also splits at U+2028.
        return self.out.removesuffix("\n").split("\n") if self.out else []

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    def of_type(self, message_type: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == message_type]

    @property
    def message_counts(self) -> Counter[str]:
        return Counter(message["type"] for message in self.messages)

    @property
    def records(self) -> list[dict[str, Any]]:
        return [message["record"] for message in self.of_type("RECORD")]

    @property
    def ids(self) -> list[int]:
        return [record["interactionId"] for record in self.records]

    @property
    def states(self) -> list[dict[str, Any]]:
        return [message["value"] for message in self.of_type("STATE")]

    @property
    def state(self) -> dict[str, Any]:
        """The last state."""
        return self.states[-1]

    @property
    def errors(self) -> list[str]:
        """The messages that were logged as ERROR."""
        return [
            line.split("|", 3)[3].strip() for line in self.log.splitlines() if "| ERROR " in line
        ]


def read_feed(
    tap: TapRunner, *recordings: dict[str, Any], catalog: Any = None, **changes: Any
) -> Run:
    """Run the tap on a feed of one page, with changed settings."""
    with FakeFocus(feed([*recordings])) as focus:
        return tap(config=settings(focus, **changes), catalog=catalog)


def run_command(
    *command: str,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
    stdin: str = "",
    timeout: float = TIMEOUT,
) -> Run:
    """Run a command in a fresh process.

    Args:
        command: the path of the command and its arguments.
        folder: where it runs.
        environment: all variables. The default is `clean_environment()`.
        stdin: its standard input.
        timeout: seconds after which it is killed and the test fails.
    """
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        encoding="utf-8",
        input=stdin,
        cwd=folder,
        env=clean_environment() if environment is None else environment,
        timeout=timeout,
    )
    return Run(done.returncode, done.stdout, done.stderr)


class ForkServer:
    """A process that has imported the commands and forks for each run.

    A fresh process spends nearly all of its CPU time on imports. The first run starts the server.
    """

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="tap-focus-tests-")

    def run(self, *command: str, folder: Path, environment: dict[str, str], stdin: str = "") -> Run:
        """Run `tap-focus` or `tap-focus-media`; see `run_command`."""
        out, log, lines = (Path(self._folder.name, name) for name in ("out", "log", "in"))
        lines.write_text(stdin, "utf-8")
        request = {
            "command": command,
            "folder": str(folder),
            "environment": environment,
            "stdin": str(lines),
            "stdout": str(out),
            "stderr": str(log),
            "timeout": TIMEOUT,
        }
        try:
            exit_code = self._request(json.dumps(request))
        except BaseException:  # the test's own timeout, as a rule
            self._kill()
            raise
        return Run(exit_code, out.read_bytes().decode(), log.read_bytes().decode())

    def close(self) -> None:
        if self._server:
            self._server.communicate()
        self._folder.cleanup()

    def _request(self, line: str) -> int:
        if not self._server:
            self._server = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("fork_server.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=clean_environment(),
                start_new_session=True,
            )
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(f"{line}\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def _kill(self) -> None:
        if self._server:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.communicate()
            self._server = None


class TapProcess:
    """A running tap in a fresh process. Its output is read line by line."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8")

    @property
    def stdout(self) -> Any:
        assert self.process.stdout
        return self.process.stdout

    def read_line(self) -> bytes:
        line: bytes = self.stdout.readline()
        return line

    def read_rest(self) -> list[bytes]:
        lines: list[bytes] = self.stdout.readlines()
        return lines

    def stop(self, signal_number: int) -> float:
        """Send a signal. Return the seconds until the process has ended."""
        started = time.monotonic()
        self.process.send_signal(signal_number)
        self.read_rest()
        self.process.wait(TIMEOUT)
        return time.monotonic() - started


@dataclass(frozen=True)
class TapRunner:
    """Runs the tap in a folder. The files that it reads are written there too."""

    folder: Path
    fork_server: ForkServer

    def __call__(
        self,
        *arguments: str,
        environment: dict[str, str] | None = None,
        limit: str = "",
        **files: Any,
    ) -> Run:
        """Run the tap until it ends.

        Args:
            arguments: of the command.
            environment: variables in addition to those of `clean_environment`.
            limit: options of the shell's `ulimit`, such as `-f 4000`.
            files: `config`, `state` and `catalog`: the contents of the files.
        """
        command = [TAP, *arguments, *self.file_options(**files)]
        run = run_command if limit else self.fork_server.run
        if limit:
            command = ["sh", "-c", f'ulimit {limit} && exec "$0" "$@"', *command]
        return run(
            *command, folder=self.folder, environment=clean_environment(**(environment or {}))
        )

    @contextmanager
    def start(
        self,
        *,
        environment: dict[str, str] | None = None,
        stdout: int = subprocess.PIPE,
        stderr: int | None = None,
        **files: Any,
    ) -> Iterator[TapProcess]:
        """Start the tap in a fresh process, and kill it in the end; see `__call__`.

        Without `stderr`, the log is in `TapProcess.log`.
        """
        log = self.folder / "log"
        with (
            log.open("wb") as log_file,
            subprocess.Popen(
                [TAP, *self.file_options(**files)],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=log_file if stderr is None else stderr,
                cwd=self.folder,
                env=clean_environment(**(environment or {})),
            ) as process,
        ):
            try:
                yield TapProcess(process, log)
            finally:
                process.kill()

    def file_options(self, **files: Any) -> list[str]:
        """Write files such as `config` as JSON, and return the options that name them."""
        options = []
        for name, content in files.items():
            if content is not None:
                path = self.folder / f"{name}.json"
                path.write_text(json.dumps(None if content is NULL else content))
                options += [f"--{name}", str(path)]
        return options


@dataclass(frozen=True)
class ArchiveRunner:
    """Runs the tap with `recording_media` as the only selected stream."""

    tap: TapRunner
    catalog: dict[str, Any]
    media_path: str
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(
        self,
        focus: FakeFocus | Sandbox,
        *,
        state: Any = None,
        environment: dict[str, str] | None = None,
        limit: str = "",
        **changes: Any,
    ) -> Run:
        """Run the tap until it ends; see `TapRunner` and `settings`."""
        return self.tap(
            environment={**self.environment, **(environment or {})},
            limit=limit,
            config=self._config(focus, changes),
            catalog=self.catalog,
            state=state,
        )

    def start(
        self,
        focus: FakeFocus | Sandbox,
        *,
        environment: dict[str, str] | None = None,
        stderr: int | None = None,
        **changes: Any,
    ) -> AbstractContextManager[TapProcess]:
        """Start the tap in a fresh process; see `TapRunner.start`."""
        return self.tap.start(
            environment={**self.environment, **(environment or {})},
            stderr=stderr,
            config=self._config(focus, changes),
            catalog=self.catalog,
        )

    def _config(self, focus: FakeFocus | Sandbox, changes: dict[str, Any]) -> dict[str, Any]:
        return settings(focus, **{"media_path": self.media_path, "requests": 2, **changes})
