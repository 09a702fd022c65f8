"""The tools that speed.py compares: how each one is installed, started and checked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from processes import read_output

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / ".benchmarks"
TAP_PACKAGES = ("msgspec", "requests", "singer-sdk", "tap-focus", "urllib3")


class Competitor(NamedTuple):
    """A command that reads a whole feed.

    Attributes:
        slug: Key in the results. For a peer also the name of its folder in `peers/`.
        title: Name in reports.
        bin: Folder of the commands in its environment.
        command: Words of the command, with the placeholders `{peer}` (the peer's folder), `{bin}`,
            `{config}` (a file with the tap's settings) and `{folder}` (an empty folder for output).
        output_files: Glob pattern of the JSON Lines files that it writes to `{folder}`. By default
            it writes Singer messages to standard output.
        key: Its name for `interactionId`.
    """

    slug: str
    title: str
    bin: Path
    command: tuple[str, ...]
    output_files: str = ""
    key: str = "interactionId"

    @property
    def requirements(self) -> Path:
        """File with the pinned versions of a peer."""
        return HERE / "peers" / self.slug / "requirements.txt"

    def command_line(self, config: Path, folder: Path) -> list[str]:
        """Return the command for one run."""
        values = {
            "peer": self.requirements.parent,
            "bin": self.bin,
            "config": config,
            "folder": folder,
        }
        return [word.format_map(values) for word in self.command]

    def records(self, command_line: list[str], folder: Path) -> Iterator[dict[str, Any]]:
        """Run one of its command lines and yield the records that it writes.

        Raises:
            subprocess.CalledProcessError: The command failed.
        """
        if self.output_files:
            subprocess.run(command_line, check=True, capture_output=True)
            for path in folder.glob(self.output_files):
                with path.open("rb") as lines:
                    yield from map(msgspec.json.decode, lines)
            return
        with subprocess.Popen(
            command_line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            for message in map(msgspec.json.decode, process.stdout):
                if message["type"] == "RECORD":
                    yield message["record"]
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command_line)

    def install(self) -> None:
        """Create the environment of a peer, unless it exists with the pinned versions."""
        stamp = self.bin.with_name("installed")
        wanted = f"{sys.version}\n{self.requirements.read_text(encoding='utf-8')}"
        if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
            return
        print(f"Installing {self.title} into {self.bin.parent} …", flush=True)
        python = str(self.bin / "python")
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([sys.executable, "-m", "venv", "--clear", self.bin.parent], check=True)
        subprocess.run([*pip, "--requirement", self.requirements], check=True)
        stamp.write_text(wanted, encoding="utf-8")

    def versions(self) -> dict[str, str]:
        """Return the installed versions of a peer's requirements, or of `TAP_PACKAGES`."""
        packages = list(TAP_PACKAGES)
        if self.requirements.exists():
            lines = self.requirements.read_text(encoding="utf-8").split()
            packages = [line.partition("==")[0] for line in lines]
        code = (
            "import importlib.metadata, json, sys\n"
            "print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))"
        )
        command = [str(self.bin / "python"), "-c", code, *packages]
        versions: dict[str, str] = json.loads(read_output(command))
        return versions


TAP_FOCUS = Competitor(
    "tap-focus",
    "tap-focus",
    Path(sys.executable).parent,
    ("{bin}/tap-focus", "--config", "{config}"),
)


def _peer(slug: str, title: str, *command: str, **options: str) -> Competitor:
    return Competitor(slug, title, ENVIRONMENTS / slug / "bin", command, **options)


LOOP = _peer("loop", "hand-written loop", "{bin}/python", "{peer}/loop.py", "{config}")
TEMPLATE = _peer(
    "template",
    "tap from the SDK's template",
    "{bin}/python",
    "{peer}/tap.py",
    "--config",
    "{config}",
)
DLT = _peer(
    "dlt",
    "dlt",
    "{bin}/python",
    "{peer}/pipeline.py",
    "{config}",
    "{folder}",
    output_files="out/*/recordings/*.jsonl",
    key="interaction_id",
)
MSDK = _peer(
    "tap_rest_api_msdk",
    "tap-rest-api-msdk",
    "{bin}/tap-rest-api-msdk",
    "--config",
    "{peer}/config.json",
    "--config",
    "{config}",
)
PEERS = (LOOP, TEMPLATE, DLT, MSDK)
