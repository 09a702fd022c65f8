"""A Meltano project whose tap and target are small scripts, to test what Meltano does with them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.helpers import SLOWNESS
from tests.helpers.runner import BIN, Run, clean_environment, run_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROJECT = """\
default_environment: dev
send_anonymous_usage_stats: false
environments:
- name: dev
- name: prod
plugins:
  extractors:
  - name: tap-stub
    namespace: tap_stub
    executable: ./tap
    capabilities: [state, catalog, discover]
    settings:
    - name: api_key
      sensitive: true
  loaders:
  - name: target-stub
    namespace: target_stub
    executable: ./target
  utilities:
  - name: models
    namespace: models
    executable: ./models
    commands:
      build: ""
"""

TAP = """\
import json, os, sys, time
time.sleep(0.3)
if "--discover" in sys.argv:
    print('{"streams": []}')
    sys.exit()
environment = os.environ["MELTANO_ENVIRONMENT"]
state = {"environment": environment, "runs": 0}
if "--state" in sys.argv:
    with open(sys.argv[sys.argv.index("--state") + 1]) as file:
        state = json.load(file)
if state["environment"] != environment:
    sys.exit(65)
print("the tap's log", file=sys.stderr, flush=True)
print(json.dumps({"type": "STATE", "value": {**state, "runs": state["runs"] + 1}}), flush=True)
if "STUB_TARGET_CRASH" in os.environ:
    print(" " * 200_000, flush=True)  # more than a pipe takes
if "STUB_STARTED" in os.environ:
    open(os.environ["STUB_STARTED"], "w").close()
    time.sleep(60)
exit_code = int(os.environ.get("STUB_TAP_EXIT", "0"))
os.kill(os.getpid(), -exit_code) if exit_code < 0 else sys.exit(exit_code)
"""
"""Counts the runs of its environment in the state, and fails if it gets another's state.

It starts as slowly as a real tap does: Meltano writes the state more than half a second before the
tap reads it.
"""

TARGET = """\
import json, os, sys, time
if "STUB_TARGET_CRASH" in os.environ:
    time.sleep(1)
    sys.exit(1)
for line in sys.stdin:
    print(json.dumps(json.loads(line)["value"]), flush=True)
sys.exit(int(os.environ.get("STUB_TARGET_EXIT", "0")))
"""

MODELS = """\
import os, sys
sys.exit(int(os.environ.get("STUB_MODELS_EXIT", "0")))
"""

MELTANO = str(BIN / "meltano")
PIPELINE = ("tap-stub", "target-stub")


class StubProject:
    """A project in a folder, with another folder for temporary files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.temporary = folder / "temporary"
        self.home = folder / "home"
        for path in (self.folder, self.temporary, self.home):
            path.mkdir()
        (self.folder / "meltano.yml").write_text(PROJECT, "utf-8")
        for name, program in (("tap", TAP), ("target", TARGET), ("models", MODELS)):
            path = self.folder / name
            path.write_text(f"#!{sys.executable}\n{program}", "utf-8")
            path.chmod(0o755)
        self.environment = clean_environment(
            HOME=str(self.home), TMPDIR=str(self.temporary), NO_COLOR="1", TAP_STUB_API_KEY="secret"
        )

    def __call__(self, *arguments: str, **environment: str) -> Run:
        """Run `focus-run`."""
        return self.run(str(BIN / "focus-run"), *arguments, **environment)

    def run(self, *command: str, **environment: str) -> Run:
        """Run a command in the project."""
        return run_command(
            *command,
            folder=self.folder,
            environment={**self.environment, **environment},
            timeout=60 * SLOWNESS,
        )

    def start(self, *arguments: str, command: str = "focus-run") -> subprocess.Popen[bytes]:
        """Start `focus-run` without its output."""
        return subprocess.Popen(
            [str(BIN / command), *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @contextmanager
    def start_sleeping(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start `focus-run`, wait until its tap sleeps, and end it afterwards."""
        started = self.temporary.parent / "started"
        self.environment["STUB_STARTED"] = str(started)
        with self.start(*PIPELINE) as process:
            del self.environment["STUB_STARTED"]
            try:
                while not started.exists() and process.poll() is None:
                    time.sleep(0.02)
                yield process
            finally:
                process.terminate()

    def state(self, environment: str) -> dict[str, Any]:
        run = self.run(MELTANO, "state", "get", f"{environment}:tap-stub-to-target-stub")
        state: dict[str, Any] = json.loads(run.out)["singer_state"]
        return state
