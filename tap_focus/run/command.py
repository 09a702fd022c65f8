"""The command `focus-run`: `meltano run` with private files and a specific exit code.

Meltano keeps the state, the catalog and the configuration of a run in `.meltano/run/<plugin>`, so
that two runs of a plugin at a time read each other's files. Other users can read them, and a killed
run leaves them there. This command gives each run its own, private system folder.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import typing as t
from contextlib import contextmanager
from pathlib import Path

from tap_focus.run import meltano_process

if t.TYPE_CHECKING:
    from types import FrameType

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
PREFIX = "focus-run-"

NOT_SHARED = ("run", "logs")
"""The parts of Meltano's system folder that a run does not share with others."""

DESCRIPTION = """\
Run `meltano run` with its own files, and exit with the tap's exit code.

The options below go to `meltano`, all other arguments to `meltano run`:

    focus-run --environment=prod tap-focus target-postgres
    focus-run --environment=prod --state-id-suffix=shard-1 tap-focus-media target-postgres
"""
EPILOG = f"""\
exit codes:
  0        the warehouse is up to date
  {meltano_process.LOADER_FAILED}       the target failed
  {meltano_process.ALREADY_RUNNING}       a transient error, or this pipeline is running
  {meltano_process.COMMAND_FAILED}       the data are loaded; a later command (dbt) failed
  128 + n  signal n ended the run
  other    the exit code of the tap, or 1 if Meltano could not start the run

Temporary files are written to the folder that TMPDIR names.
"""


class UsageError(Exception):
    """Meltano cannot be started."""


def main() -> None:
    """Run the command and end the process."""
    try:
        sys.exit(run(sys.argv[1:]))
    except (UsageError, OSError) as error:
        print(f"focus-run: {error}", file=sys.stderr)  # noqa: T201 - Meltano has the log
        sys.exit(2 if isinstance(error, UsageError) else os.EX_CANTCREAT)


def run(arguments: list[str]) -> int:
    """Run Meltano and return the exit code."""
    os.umask(0o077)
    options, run_arguments = parse(arguments)
    system_folder = find_system_folder(options)
    interpreter, script = find_meltano()
    command = [*interpreter, meltano_process.__file__, str(system_folder), script]
    command += [*options, "run", *run_arguments]
    signals = SignalForwarder()  # before the folder exists, so that a signal never leaves it
    with run_folder() as (folder, lock):
        private = folder / "meltano"
        link_system_folder(system_folder, private)
        environment = {
            # A check needs the network and a cache that lasts.
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
            **os.environ,
            "MELTANO_SYS_DIR_ROOT": str(private),
            "XDG_STATE_HOME": str(folder),  # of Meltano's log folders, which stay empty
        }
        return signals.wait(command, environment, lock)


# The command


def parse(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return the options of `meltano`, and the arguments of `meltano run`."""
    parser = argparse.ArgumentParser(
        prog="focus-run",
        usage="focus-run [MELTANO OPTION]... [RUN OPTION]... BLOCK...",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for name in ("environment", "cwd", "env-file", "log-level", "log-format", "log-config"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--no-environment", action="store_true")
    known, rest = parser.parse_known_args(arguments)
    options = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
        for name, value in vars(known).items()
        if value
    ]
    run_arguments = rest[1:] if rest[:1] == ["run"] else rest
    if not run_arguments:
        parser.error("name a tap and a target, or a job")  # Meltano would exit with 0
    return options, run_arguments


def find_meltano() -> tuple[list[str], str]:
    """Return the command of Meltano's Python interpreter, and the path of the script `meltano`.

    Raises:
        UsageError: `meltano` is neither next to this command nor on the `PATH`, or is no script.
    """
    beside = Path(sys.executable).parent / "meltano"
    script = str(beside) if beside.is_file() else shutil.which("meltano")
    if not script:
        raise UsageError("meltano is not on the PATH. Install it, or activate its environment.")
    with Path(script).open(encoding="utf-8", errors="replace") as file:
        first, second = file.readline(), file.readline()
    if first.startswith("#!") and "python" in first:
        return shlex.split(first[2:]), script
    if second.startswith("'''exec'"):  # pip writes this if the path is long or has spaces
        return shlex.split(second)[1:-2], script
    raise UsageError(
        f"{script} is not a Python script. Put the bin folder of Meltano's environment first on "
        "the PATH."
    )


# Files


def find_system_folder(options: list[str]) -> Path:
    """Return Meltano's system folder, usually `.meltano`, of the project that Meltano would find.

    Raises:
        UsageError: there is no project.
    """
    cwd = next((o.partition("=")[2] for o in options if o.startswith("--cwd=")), "")
    start = Path.cwd() / cwd
    if system_folder := os.environ.get("MELTANO_SYS_DIR_ROOT"):
        return start / system_folder
    if root := os.environ.get("MELTANO_PROJECT_ROOT"):
        return start / root / ".meltano"
    for folder in (start, *start.parents):
        if (folder / "meltano.yml").exists():
            return folder / ".meltano"
    raise UsageError(
        "no meltano.yml in this folder or above it. Change to the project, or set --cwd."
    )


@contextmanager
def run_folder() -> t.Iterator[tuple[Path, int]]:
    """Create a private folder and delete it in the end.

    Yields:
        The folder, and a file descriptor that locks it. Meltano inherits the lock, so that the
        folder counts as abandoned only when both processes have ended.
    """
    remove_abandoned_folders()
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():  # another run has not deleted it before it was locked
            break
        os.close(lock)
    try:
        yield folder, lock
    finally:
        shutil.rmtree(folder)
        os.close(lock)


def remove_abandoned_folders() -> None:
    """Delete the folders of runs that were killed. They contain the API key."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # another user's, or just deleted
            continue
        try:
            if os.fstat(lock).st_uid == os.geteuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)  # another run may do the same
        except BlockingIOError:
            continue  # in use
        finally:
            os.close(lock)


def link_system_folder(source: Path, target: Path) -> None:
    """Create a system folder with links to the parts that all runs share.

    These are the installed plugins and the default system database. SQLite creates the database
    through the link if it does not exist.
    """
    source.mkdir(exist_ok=True)
    target.mkdir()
    shared = {entry.name for entry in source.iterdir()} | {"meltano.db"}
    for name in shared.difference(NOT_SHARED):
        if not name.startswith("meltano.db-"):  # SQLite keeps these next to the database itself
            (target / name).symlink_to(source.resolve() / name)


# The process


class SignalForwarder:
    """Stops the process that it waits for at a signal, except at those that the caller ignores."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._received: list[int] = []
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._forward)

    def wait(self, command: list[str], environment: dict[str, str], lock: int) -> int:
        """Run a command and return its exit code, 128 + n if signal n ended it."""
        if not self._received:
            self._process = subprocess.Popen(command, env=environment, pass_fds=[lock])  # noqa: S603
            if self._received:  # while the process was started
                self._send()
            code = self._process.wait()
            if code == 0 or not self._received:
                return code if code >= 0 else 128 - code
        return 128 + self._received[0]

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        self._received.append(number)
        self._send()

    def _send(self) -> None:
        if self._process:
            is_first = len(self._received) == 1
            self._process.send_signal(meltano_process.STOP_SIGNAL if is_first else signal.SIGTERM)
