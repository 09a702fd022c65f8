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
from psycopg.sql import SQL

from scripts.postgres import run_postgres
from tap_focus.sandbox import Sandbox
from tests.examples import ci
from tests.examples.kubernetes import job, secret_names
from tests.helpers.dbt import connection_settings
from tests.helpers.runner import Run, run_command
from tests.helpers.s3 import s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import LiteralString

pytestmark = pytest.mark.image

MODEL = "focus_models.focus__recordings"

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
        dbt = connection_settings(url)
        self.secrets = {
            **{f"TAP_FOCUS_{name.upper()}": str(v) for name, v in sandbox.settings.items()},
            **{f"TARGET_POSTGRES_{n}": dbt[f"DBT_POSTGRES_{n}"] for n in ("HOST", "USER")},
            "TARGET_POSTGRES_PASSWORD": dbt["DBT_POSTGRES_PASSWORD"],
            "TARGET_POSTGRES_DATABASE": dbt["DBT_POSTGRES_DBNAME"],
            "MELTANO_DATABASE_URI": sqlalchemy_url,
        }
        self.environment = {
            **dict(variable.split("=", 1) for variable in self.config["Env"]),
            "TAP_FOCUS_API_URL": self.secrets["TAP_FOCUS_API_URL"],
            # Only in this form, target-postgres can use a Unix socket.
            "TARGET_POSTGRES_SQLALCHEMY_URL": sqlalchemy_url,
        }

    def command(self, *arguments: str) -> list[str]:
        """Return the command that runs a command in the image without rights."""
        socket = self.url.partition("host=")[2].partition("&")[0]
        user, _, group = self.config["User"].partition(":")
        return [
            *("bwrap", "--ro-bind", os.environ["TAP_FOCUS_TEST_IMAGE"], "/"),
            *("--proc", "/proc", "--dev", "/dev"),
            *("--perms", "1777", "--tmpfs", "/tmp"),  # noqa: S108 - in the image
            # Docker and Kubernetes mount this, too. dbt needs it for its locks.
            *("--perms", "1777", "--tmpfs", "/dev/shm"),  # noqa: S108 - in the image
            *("--ro-bind", socket, socket, "--chdir", self.config["WorkingDir"]),
            *("--unshare-pid", "--as-pid-1", "--cap-drop", "ALL"),
            *("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"),
            *("/usr/bin/setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"),
            *("--bounding-set=-all", "--no-new-privs"),
            *self.config["Entrypoint"],
            *(arguments or self.config["Cmd"]),
        ]

    def __call__(self, *arguments: str, **variables: str) -> Run:
        """Run a command with all secrets and further variables."""
        return self.run(*arguments, **self.secrets, **variables)

    def run(self, *arguments: str, **variables: str) -> Run:
        """Run a command with these variables and no secrets."""
        environment = {**self.environment, **variables}
        return run_command(*self.command(*arguments), environment=environment, timeout=120)

    @contextmanager
    def start(self, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
        environment = {**self.environment, **self.secrets, **variables}
        with subprocess.Popen(self.command(), env=environment) as process:
            try:
                yield process
            finally:
                process.kill()

    def count(self, table: LiteralString = "focus.recordings") -> int:
        with psycopg.connect(self.url) as connection:
            row = connection.execute(SQL("SELECT count(*) FROM ") + SQL(table)).fetchone()
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


def test_kubernetes_loads_the_recordings_and_builds_the_models(
    image: Image, sandbox: Sandbox
) -> None:
    """The container gets the variables of its manifest and of the secret."""
    (container,) = job("recordings.yaml")["template"]["spec"]["containers"]
    secrets = {name: image.secrets[name] for name in secret_names() & image.secrets.keys()}
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    run = image.run(*container["args"], **secrets, **variables)

    assert run.exit_code == 0, run.log
    assert image.count() == image.count(MODEL) == len(sandbox.latest())


def test_github_loads_the_recordings_and_builds_the_models(image: Image, sandbox: Sandbox) -> None:
    docker = ci.docker_run()
    secrets = {name: image.secrets[name] for name in {*docker.variables} & image.secrets.keys()}
    run = image.run(*docker.command, **secrets)

    assert run.exit_code == 0, run.log
    assert image.count() == image.count(MODEL) == len(sandbox.latest())


def test_gitlab_loads_the_recordings_with_the_state_in_s3(image: Image, sandbox: Sandbox) -> None:
    with s3_server() as s3:
        s3.create_bucket("your-bucket")
        state = {
            **s3.environment,
            "MELTANO_STATE_BACKEND_URI": "s3://your-bucket/meltano",
            "MELTANO_DATABASE_URI": "sqlite:////tmp/meltano.db",
        }
        image.secrets.update(state)
        runs = [image("sh", "-ec", "\n".join(ci.gitlab_script())) for _ in range(2)]

    assert [run.exit_code for run in runs] == [0, 0], runs[0].log
    assert image.count() == image.count(MODEL) == len(sandbox.latest())
    assert "Up to date: 0 recordings" in runs[1].log
    assert state.keys() - {"AWS_ENDPOINT_URL"} == ci.documented_variables("State in S3")


def test_recordings_are_loaded_although_dbt_fails(image: Image, sandbox: Sandbox) -> None:
    failed = image("focus-run", "focus-models", DBT_POSTGRES_PERSONAL_DATA='{"fullName": "drop"}')
    again = image("focus-run", "focus-models")

    assert failed.exit_code == 79
    assert again.exit_code == 0
    assert "Up to date: 0 recordings" in again.log
    assert image.count(MODEL) == len(sandbox.latest())


def test_sigterm_ends_the_image_within_the_grace_period(image: Image, sandbox: Sandbox) -> None:
    with image.start(TAP_FOCUS_PAGE_SIZE="5") as process:
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
