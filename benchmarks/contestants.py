"""Who is compared in speed.py, how each is installed and started, and whether it did the work."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from common import TAP

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / ".benchmarks"


class Contestant(NamedTuple):
    """A command that reads the whole feed.

    Attributes:
        name: its folder among the peers; the tap itself has none.
        title: what it is called in the table and in the chart.
        command: with `{here}` for its folder, `{bin}` for its environment's commands, `{config}`
            for the settings, and `{folder}` for a folder that is its own to write into.
        files: what it leaves in that folder, a line of JSON for each recording. Without, it writes
            Singer messages to standard output.
        key: how it names `interactionId`.
    """

    name: str
    title: str
    command: tuple[str, ...]
    files: str = ""
    key: str = "interactionId"

    def started(self, config: Path, folder: Path) -> list[str]:
        """Return the whole command for a run."""
        places = {
            "here": HERE / "peers" / self.name,
            "bin": ENVIRONMENTS / self.name / "bin",
            "config": config,
            "folder": folder,
        }
        return [word.format_map(places) for word in self.command]

    def requirements(self) -> list[str]:
        """Return what is installed for it, as `name==version`."""
        if not (path := self._requirements).exists():
            names = ("msgspec", "requests", "singer-sdk", "tap-focus", "urllib3")
            return [f"{name}=={version(name)}" for name in names]
        return path.read_text(encoding="utf-8").split()

    def install(self) -> None:
        """Make its environment, unless it is there and of these very versions."""
        if not self._requirements.exists():
            return
        environment = ENVIRONMENTS / self.name
        stamp = environment / "installed"
        wanted = f"{sys.version}\n{self._requirements.read_text(encoding='utf-8')}"
        if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
            return
        print(f"Installing {self.title} into .benchmarks/{self.name} …", flush=True)
        python = [str(environment / "bin" / "python"), "-m", "pip"]
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
        quietly = ["--quiet", "--disable-pip-version-check"]
        subprocess.run([*python, "install", *quietly, "-r", self._requirements], check=True)
        stamp.write_text(wanted, encoding="utf-8")

    @property
    def _requirements(self) -> Path:
        return HERE / "peers" / self.name / "requirements.txt"

    def handed_on(self, config: Path, folder: Path) -> Iterator[dict[str, Any]]:
        """Run it, and return the recordings that came out of it."""
        command = self.started(config, folder)
        if self.files:
            subprocess.run(
                command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            for path in folder.glob(self.files):
                with path.open("rb") as lines:
                    yield from map(msgspec.json.decode, lines)
            return
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            for message in map(msgspec.json.decode, process.stdout):
                if message["type"] == "RECORD":
                    yield message["record"]
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)


THE_TAP = Contestant("", "tap-focus", (str(TAP), "--config", "{config}"))
LOOP = Contestant("loop", "hand-written loop", ("{bin}/python", "{here}/loop.py", "{config}"))
TEMPLATE = Contestant(
    "template",
    "tap of the SDK's template",
    ("{bin}/python", "{here}/tap.py", "--config", "{config}"),
)
MSDK = Contestant(
    "tap_rest_api_msdk",
    "tap-rest-api-msdk",
    ("{bin}/tap-rest-api-msdk", "--config", "{here}/config.json", "--config", "{config}"),
)
DLT = Contestant(
    "dlt",
    "dlt",
    ("{bin}/python", "{here}/pipeline.py", "{config}", "{folder}"),
    files="out/*/recordings/*.jsonl",
    key="interaction_id",
)
ALL = (THE_TAP, LOOP, TEMPLATE, DLT, MSDK)
