"""focus-run: exit codes and arguments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tap_focus.run.command import UsageError, find_meltano, find_system_folder, parse
from tap_focus.run.meltano_process import Failure, exit_code


@pytest.mark.parametrize(
    ("message", "codes", "expected"),
    [
        ("Extractor failed", {"extractors": 78}, 78),
        ("Extractor failed", {"extractors": -9}, 137),
        ("Extractor and loader failed", {"extractors": 75, "loaders": 1}, 75),
        ("Loader failed", {"loaders": 1}, 69),
        ("Loader failed", {"loaders": -9}, 69),
        ("Another 'prod:a-to-b' pipeline is already running which started at …", None, 75),
        ("`dbt run` failed with exit code: 2", None, 79),
        ("Mappers failed", [{"mapper": 3}], 1),
        ("Cannot start plugin tap-focus: …", None, 1),
    ],
)
def test_the_exit_code_says_what_failed(message: str, codes: Any, expected: int) -> None:
    assert exit_code(Failure(message, codes)) == expected


@pytest.mark.parametrize(
    ("arguments", "options", "rest"),
    [
        (["a", "b"], [], ["a", "b"]),
        (["run", "a", "b"], [], ["a", "b"]),
        (["--environment=prod", "a"], ["--environment=prod"], ["a"]),
        (["--environment", "prod", "run", "a"], ["--environment=prod"], ["a"]),
        (["a", "--force", "--environment=prod"], ["--environment=prod"], ["a", "--force"]),
        (["--no-environment", "a"], ["--no-environment"], ["a"]),
        (
            ["--log-format=json", "--full-refresh", "a"],
            ["--log-format=json"],
            ["--full-refresh", "a"],
        ),
        (["--state-id-suffix", "x", "a"], [], ["--state-id-suffix", "x", "a"]),
    ],
)
def test_options_of_meltano_precede_those_of_a_run(
    arguments: list[str], options: list[str], rest: list[str]
) -> None:
    assert parse(arguments) == (options, rest)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of the PATH. The tap's own environment has no Meltano."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/nowhere/bin/python")
    return tmp_path


@pytest.mark.parametrize(
    ("script", "interpreter"),
    [
        ("#!/opt/venv/bin/python3.12\n", ["/opt/venv/bin/python3.12"]),
        ("#!/usr/bin/env python3\n", ["/usr/bin/env", "python3"]),
        ("#!/bin/sh\n'''exec' \"/a b/python\" \"$0\" \"$@\"\n' '''\n", ["/a b/python"]),
        ("#!/bin/sh\n'''exec' /long/path/python \"$0\" \"$@\"\n' '''\n", ["/long/path/python"]),
    ],
)
def test_meltano_runs_in_its_own_interpreter(
    path: Path, script: str, interpreter: list[str]
) -> None:
    meltano = path / "meltano"
    meltano.write_text(script)
    meltano.chmod(0o755)

    assert find_meltano() == (interpreter, str(meltano))


@pytest.mark.parametrize("script", ["", "#!/bin/sh\nexec docker run meltano\n"])
def test_a_meltano_that_is_not_python_is_rejected(path: Path, script: str) -> None:
    (path / "meltano").write_text(script)
    (path / "meltano").chmod(0o755)

    with pytest.raises(UsageError, match="not a Python script"):
        find_meltano()


def test_a_missing_meltano_is_reported(path: Path) -> None:
    assert not list(path.iterdir())
    with pytest.raises(UsageError, match="not on the PATH"):
        find_meltano()


def test_the_project_is_the_one_that_meltano_would_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MELTANO_PROJECT_ROOT", "MELTANO_SYS_DIR_ROOT"):
        monkeypatch.delenv(name, raising=False)
    project = tmp_path / "project"
    (project / "below").mkdir(parents=True)
    (project / "meltano.yml").touch()
    monkeypatch.chdir(tmp_path)

    assert find_system_folder([f"--cwd={project}"]) == project / ".meltano"
    assert find_system_folder(["--cwd=project/below"]) == project / ".meltano"
    with pytest.raises(UsageError, match=r"meltano\.yml"):
        find_system_folder([])
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(project))
    assert find_system_folder([]) == project / ".meltano"
    monkeypatch.setenv("MELTANO_SYS_DIR_ROOT", "elsewhere")
    assert find_system_folder([]) == Path.cwd() / "elsewhere"


@pytest.mark.parametrize("arguments", [[], ["run"], ["--environment=prod"]])
def test_a_run_of_nothing_is_a_usage_error(arguments: list[str]) -> None:
    """Meltano would report success."""
    with pytest.raises(SystemExit) as end:
        parse(arguments)

    assert end.value.code == 2
