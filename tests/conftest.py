"""Fixtures: the sandbox, runners of the tap, and a PostgreSQL server."""

from __future__ import annotations

import copy
import json
import os
import signal
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from scripts.postgres import run_postgres
from tap_focus.sandbox import Sandbox
from tests.helpers.runner import ArchiveRunner, ForkServer, TapRunner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POSTGRES_VARIABLE = "TAP_FOCUS_TEST_POSTGRES"

# On a busy machine an example can take much longer than usual.
hypothesis.settings.register_profile(
    "without-deadline", parent=hypothesis.settings.default, deadline=None
)
hypothesis.settings.load_profile("without-deadline")

# Under `nohup`, or in the background of a script, a signal is ignored, and processes that the tests
# start would inherit that. A signal with a handler has its default action in them.
for number in (signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, lambda *_: None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-snapshots",
        action="store_true",
        help="write the snapshots of tests/contract/test_snapshots.py instead of comparing them",
    )


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox with 250 events that does not grow by itself."""
    with Sandbox(records=250, seed=7, live_every=0) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
def tap(fork_server: ForkServer, tmp_path: Path) -> TapRunner:
    """Run the installed `tap-focus` in an empty folder."""
    return TapRunner(tmp_path, fork_server)


@pytest.fixture(scope="session")
def discovered_catalog(
    fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The output of `tap-focus --discover`."""
    tap = TapRunner(tmp_path_factory.mktemp("discovery"), fork_server)
    catalog: dict[str, Any] = json.loads(tap("--discover").out)
    return catalog


@pytest.fixture
def catalog(discovered_catalog: dict[str, Any]) -> dict[str, Any]:
    """A copy of the discovered catalog that the test may change."""
    return copy.deepcopy(discovered_catalog)


@pytest.fixture
def audio_catalog(catalog: dict[str, Any]) -> dict[str, Any]:
    """A catalog that selects `recording_media` only."""
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if entry["breadcrumb"] == []:
                entry["metadata"]["selected"] = stream["stream"] == "recording_media"
    return catalog


@pytest.fixture
def archive(tap: TapRunner, audio_catalog: dict[str, Any], tmp_path: Path) -> ArchiveRunner:
    """Run the tap with the audio archive in the folder `audio`."""
    return ArchiveRunner(tap, audio_catalog, str(tmp_path / "audio"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server: the one in the environment, or a private one."""
    if POSTGRES_VARIABLE in os.environ:
        yield os.environ[POSTGRES_VARIABLE]
        return
    with run_postgres() as url:
        yield url
