"""The pipelines of docs/ci.md."""

from __future__ import annotations

import argparse
import re
import shlex
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from tests.helpers.markdown import read_blocks
from tests.helpers.runner import ROOT

_PATH = ROOT / "docs" / "ci.md"

_CELL = re.compile(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \|", re.MULTILINE)


def documented_variables(heading: str) -> set[str]:
    """Return the variables in the table of a section."""
    section = _PATH.read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return {name.strip("`") for cell in _CELL.findall(section) for name in cell.split(", ")}


class DockerRun(NamedTuple):
    """The command `docker run`.

    Attributes:
        variables: the names of the environment variables that the container gets.
        image: the name of the image.
        command: the command in the container.
    """

    variables: list[str]
    image: str
    command: list[str]


def text(name: str) -> str:
    """Return the file that the reader saves."""
    (content,) = (block.content for block in read_blocks(_PATH) if block.file == name)
    return content


def pipeline(name: str) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load(text(name))
    return content


def github_step() -> dict[str, Any]:
    """Return the step that runs the container."""
    (job,) = pipeline("github-focus.yml")["jobs"].values()
    step: dict[str, Any] = job["steps"][-1]
    return step


def docker_run() -> DockerRun:
    """Return the command of the step that runs the container."""
    words = shlex.split(github_step()["run"].replace("\\\n", " "))
    assert words[:3] == ["exec", "docker", "run"]
    parser = argparse.ArgumentParser(exit_on_error=False, allow_abbrev=False)
    for option in ("--rm", "--read-only"):
        parser.add_argument(option, action="store_true", required=True)
    for option, value in (("--tmpfs", "/tmp"), ("--cap-drop", "ALL"), ("--memory", "2g")):  # noqa: S108
        parser.add_argument(option, choices=[value], required=True)
    parser.add_argument("--env", action="append")
    parser.add_argument("image")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(words[3:])
    return DockerRun(options.env, options.image, options.command)


def gitlab_script() -> list[str]:
    (job,) = pipeline("gitlab-focus.yml").values()
    script: list[str] = job["script"]
    return script
