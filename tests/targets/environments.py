"""Environments with one target each, in `.venv-targets`, from pinned requirements."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.helpers.runner import BIN, ROOT

if TYPE_CHECKING:
    from pathlib import Path

REQUIREMENTS = ROOT / "tests" / "targets" / "requirements"
CACHE = ROOT / ".venv-targets"
UV = str(BIN / "uv")
PYTHON = sys.executable if sys.version_info[:2] == (3, 11) else "3.11"
"""The interpreter of the environments. Several targets do not run on later versions."""


def environment_of(package: str) -> Path:
    """Return the `bin` folder of a package's environment, installed if it is missing or old.

    Processes that need the same environment wait for the one that installs it.
    """
    requirements = REQUIREMENTS / f"{package}.txt"
    wanted = hashlib.sha256(requirements.read_bytes() + PYTHON.encode()).hexdigest()
    folder = CACHE / package
    stamp = folder / "installed"
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{package}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_text("utf-8") == wanted):
            shutil.rmtree(folder, ignore_errors=True)
            run_uv("venv", "--python", PYTHON, str(folder))
            python = str(folder / "bin" / "python")
            run_uv("pip", "install", "--no-deps", "--python", python, "-r", str(requirements))
            stamp.write_text(wanted, "utf-8")
    return folder / "bin"


def version_of(package: str) -> str:
    """Return the pinned version of a target's package."""
    lines = (REQUIREMENTS / f"{package}.txt").read_text("utf-8").splitlines()
    (version,) = [line.removeprefix(f"{package}==") for line in lines if f"{package}==" in line]
    return version


def run_uv(*arguments: str) -> None:
    """Run uv, and show its output only if it fails."""
    environment = {"UV_SYSTEM_CERTS": "1", **os.environ}
    done = subprocess.run(
        (UV, "--quiet", *arguments), check=False, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def lock() -> None:
    """Pin the dependencies of each target again. Its own version is in the first line."""
    for path in sorted(REQUIREMENTS.glob("*.in")):
        output = path.with_suffix(".txt")
        options = ("--no-header", "--no-annotate", "--no-emit-index-url", "--upgrade")
        compiled = ("-o", str(output), "--python", PYTHON)
        run_uv("pip", "compile", str(path), *compiled, *options)


if __name__ == "__main__":
    lock()
