"""The container image, run read-only by bubblewrap as uid 10001: see scripts/test-image."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from scripts.postgres import run_postgres
from tap_focus.sandbox import Sandbox
from tests.helpers.runner import Run, run_command

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.image

GRACE_SECONDS = 30
"""Kubernetes kills a container after this time, by default."""


def image_config() -> dict[str, Any]:
    """Return what the Containerfile sets: user, environment, command."""
    inspected = run_command("buildah", "inspect", "--type", "image", "localhost/tap-focus")
    config: dict[str, Any] = json.loads(inspected.out)["OCIv1"]["config"]
    return config


class Image:
    """Runs the image with an account and a warehouse."""

    def __init__(self, sandbox: Sandbox, url: str) -> None:
        self.url = url
        sqlalchemy_url = url.replace("://", "+psycopg://", 1)
        self.config = image_config()
        self.environment = {
            **dict(variable.split("=", 1) for variable in self.config["Env"]),
            **{f"TAP_FOCUS_{name.upper()}": str(v) for name, v in sandbox.settings.items()},
            "TARGET_POSTGRES_SQLALCHEMY_URL": sqlalchemy_url,
            "MELTANO_DATABASE_URI": sqlalchemy_url,
        }

    def command(self, *arguments: str) -> list[str]:
        """Return the command that runs a command in the image without rights."""
        socket = self.url.partition("host=")[2].partition("&")[0]
        user, _, group = self.config["User"].partition(":")
        return [
            *("bwrap", "--ro-bind", os.environ["TAP_FOCUS_TEST_IMAGE"], "/"),
            *("--proc", "/proc", "--dev", "/dev"),
            *("--perms", "1777", "--tmpfs", "/tmp"),  # noqa: S108 - in the image
            *("--ro-bind", socket, socket, "--chdir", self.config["WorkingDir"]),
            *("--unshare-pid", "--as-pid-1", "--cap-drop", "ALL"),
            *("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"),
            *("/usr/bin/setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"),
            *("--bounding-set=-all", "--no-new-privs"),
            *self.config["Entrypoint"],
            *(arguments or self.config["Cmd"]),
        ]

    def __call__(self, *arguments: str) -> Run:
        return run_command(*self.command(*arguments), environment=self.environment, timeout=120)

    @contextmanager
    def start(self) -> Iterator[subprocess.Popen[bytes]]:
        with subprocess.Popen(self.command(), env=self.environment) as process:
            try:
                yield process
            finally:
                process.kill()

    def count(self) -> int:
        with psycopg.connect(self.url) as connection:
            row = connection.execute("SELECT count(*) FROM focus.recordings").fetchone()
        assert row
        return int(row[0])


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(records=250, seed=7, live_every=0, latency=0.2) as sandbox:
        yield sandbox


@pytest.fixture
def image(sandbox: Sandbox) -> Iterator[Image]:
    with run_postgres() as url:
        folder = Path(url.partition("host=")[2].partition("&")[0])
        for path in (folder, *folder.glob(".s.PGSQL.*")):
            path.chmod(0o777)  # uid 10001 connects
        yield Image(sandbox, url)


def test_the_image_loads_the_recordings(image: Image, sandbox: Sandbox) -> None:
    runs = [image() for _ in range(2)]

    assert [run.exit_code for run in runs] == [0, 0], runs[0].log
    assert image.count() == len(sandbox.latest())
    assert "Up to date: 0 recordings" in runs[1].log


def test_sigterm_ends_the_image_within_the_grace_period(image: Image, sandbox: Sandbox) -> None:
    image.environment["TAP_FOCUS_PAGE_SIZE"] = "5"
    with image.start() as process:
        while len(sandbox.requests) < 5:
            time.sleep(0.05)
        started = time.monotonic()
        # bwrap itself runs outside. It ends with the exit code of its child, which is tini.
        (tini,) = run_command("pgrep", "-P", str(process.pid)).out.split()
        os.kill(int(tini), signal.SIGTERM)
        exit_code = process.wait(GRACE_SECONDS)
        seconds = time.monotonic() - started

    assert exit_code == 143
    assert seconds < GRACE_SECONDS
    assert image().exit_code == 0
    assert image.count() == len(sandbox.latest())


def test_the_image_has_no_rights_and_no_build_tools(image: Image) -> None:
    found = image("sh", "-c", "command -v gcc make git pip uvx curl; true")
    status = image("cat", "/proc/self/status").out
    written = image("touch", "/project/file")

    assert found.out.split() in ([], ["/project/.venv/bin/uvx"])
    assert "Uid:\t10001\t10001" in status
    assert "CapEff:\t0000000000000000" in status
    assert "CapBnd:\t0000000000000000" in status
    assert written.exit_code != 0
