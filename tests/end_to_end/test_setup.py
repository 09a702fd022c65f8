"""`scripts/setup` with a fake Python, so that nothing is installed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
import tomli
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

from tests.helpers.runner import ROOT

if TYPE_CHECKING:
    from pathlib import Path

# Hangs with exec, because a shell continues after a SIGINT that its child survives.
FAKE_PYTHON = """#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in
--version) echo "Python ${FAKE_VERSION:-3.11.0}" ;;
"-m venv .venv")
    mkdir -p .venv/bin
    [ "${HANG_IN:-}" != venv ] || { : >"$HANGING"; exec sleep 60; }
    cp "$0" .venv/bin/python
    ;;
*" install "*)
    [ "${HANG_IN:-}" != pip ] || { : >"$HANGING"; exec sleep 60; }
    [ "${FAIL_IN:-}" != pip ] || exit 1
    ;;
esac
"""

FAKE_RM = """#!/bin/sh
[ "$1" != -rf ] || { : >"$HANGING"; exec sleep 60; }
exec /bin/rm "$@"
"""

CREATE = "-m venv .venv"
INSTALL_PACKAGES = "--require-hashes --requirement requirements-dev.lock"
INSTALL_CHECKOUT = "--no-build-isolation --editable ."


class Checkout:
    """A folder with `scripts/setup`, the files it reads, and a fake Python."""

    def __init__(self, folder: Path, tools: Path) -> None:
        self.folder = folder
        self.calls_file = tools / "calls"
        self.hanging = tools / "hanging"
        (folder / "scripts").mkdir(parents=True)
        shutil.copy(ROOT / "scripts" / "setup", folder / "scripts")
        (folder / "pyproject.toml").write_text("[project]\n")
        (folder / "requirements-dev.lock").write_text("one==1\n")
        tools.mkdir(exist_ok=True)
        python = tools / "python"
        python.write_text(FAKE_PYTHON)
        python.chmod(0o755)
        self.environment = {
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "PYTHON": str(python),
            "CALLS": str(self.calls_file),
            "HANGING": str(self.hanging),
            "TAP_FOCUS_ALLOW_ROOT": "1",
        }

    def start(self, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.folder / "scripts" / "setup")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.environment, **environment},
            start_new_session=True,
            # A shell cannot trap a SIGINT that is ignored when it starts, as in a background job.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )

    def setup(self, **environment: str) -> tuple[int, list[str], list[str]]:
        """Return the exit code, the lines of standard error and the commands of the fake Python."""
        self.calls_file.write_text("")
        process = self.start(**environment)
        _, errors = process.communicate(timeout=30)
        return process.returncode, errors.splitlines(), self.calls_file.read_text().splitlines()

    def is_complete(self) -> bool:
        return (self.folder / ".venv" / "checkout").exists()

    def interrupt(self, number: signal.Signals, step: str, **environment: str) -> None:
        """Start the script, and signal its process group while the step runs."""
        self.hanging.unlink(missing_ok=True)
        process = self.start(HANG_IN=step, **environment)
        give_up = time.monotonic() + 30
        while not self.hanging.exists():
            assert time.monotonic() < give_up
            time.sleep(0.01)
        os.killpg(process.pid, number)
        process.communicate(timeout=30)
        assert process.returncode != 0


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout", tmp_path / "tools")


def steps(calls: list[str]) -> list[str]:
    """Return the steps that a run of the script took, in their order."""
    known = (CREATE, INSTALL_PACKAGES, INSTALL_CHECKOUT)
    return [step for call in calls for step in known if call.endswith(step)]


def test_a_first_run_installs_the_locked_packages_and_the_checkout(checkout: Checkout) -> None:
    code, _, calls = checkout.setup()

    assert code == 0
    assert steps(calls) == [CREATE, INSTALL_PACKAGES, INSTALL_CHECKOUT]


def test_a_second_run_does_nothing(checkout: Checkout) -> None:
    checkout.setup()

    code, errors, calls = checkout.setup()

    assert (code, errors, steps(calls)) == (0, [], [])


def test_a_path_with_a_space_is_refused_in_one_line(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "my projects" / "tap-focus", tmp_path / "tools")

    code, errors, calls = checkout.setup()

    assert code == 1
    assert len(errors) == 1
    assert "space" in errors[0]
    assert str(checkout.folder) in errors[0]
    assert calls == []


def test_a_link_does_not_hide_a_space(checkout: Checkout, tmp_path: Path) -> None:
    real = tmp_path / "my projects"
    checkout.folder.rename(real)
    checkout.folder.symlink_to(real)

    code, errors, calls = checkout.setup()

    assert code == 1
    assert "space" in errors[0]
    assert calls == []


@pytest.fixture
def as_root(checkout: Checkout, tmp_path: Path) -> Checkout:
    """A checkout whose user appears to be root."""
    fake_id = tmp_path / "tools" / "id"
    fake_id.write_text("#!/bin/sh\necho 0\n")
    fake_id.chmod(0o755)
    return checkout


def test_root_is_refused_in_one_line(as_root: Checkout) -> None:
    code, errors, calls = as_root.setup(TAP_FOCUS_ALLOW_ROOT="")

    assert code == 1
    assert len(errors) == 1
    assert "TAP_FOCUS_ALLOW_ROOT=1" in errors[0]
    assert calls == []


def test_root_is_possible_on_request(as_root: Checkout) -> None:
    code, _, _ = as_root.setup(TAP_FOCUS_ALLOW_ROOT="1")

    assert code == 0
    assert as_root.is_complete()


@pytest.mark.parametrize("step", ["venv", "pip"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_an_interrupted_run_is_repeated_from_the_start(
    checkout: Checkout, number: signal.Signals, step: str
) -> None:
    checkout.interrupt(number, step)
    leftover = checkout.folder / ".venv" / "leftover"
    leftover.touch()

    code, _, calls = checkout.setup()

    assert code == 0
    assert steps(calls) == [CREATE, INSTALL_PACKAGES, INSTALL_CHECKOUT]
    assert not leftover.exists()


def test_an_interrupted_deletion_is_repeated(checkout: Checkout, tmp_path: Path) -> None:
    checkout.setup()
    rm = tmp_path / "tools" / "rm"
    rm.write_text(FAKE_RM)
    rm.chmod(0o755)
    other_python = tmp_path / "python3.13"
    other_python.write_text(FAKE_PYTHON.replace("3.11.0", "3.13.0"))
    other_python.chmod(0o755)
    checkout.interrupt(signal.SIGKILL, "rm", PYTHON=str(other_python))
    rm.unlink()

    code, _, calls = checkout.setup()

    assert code == 0
    assert steps(calls) == [CREATE, INSTALL_PACKAGES, INSTALL_CHECKOUT]


def test_a_failed_installation_is_repeated_from_the_start(checkout: Checkout) -> None:
    failed, errors, _ = checkout.setup(FAIL_IN="pip")

    assert failed == 1
    assert "PIP_CERT" in errors[-1]

    code, _, calls = checkout.setup()

    assert code == 0
    assert steps(calls) == [CREATE, INSTALL_PACKAGES, INSTALL_CHECKOUT]


def test_two_runs_at_once_do_not_disturb_each_other(checkout: Checkout) -> None:
    first = checkout.start(HANG_IN="venv")
    give_up = time.monotonic() + 30
    while not checkout.hanging.exists():
        assert time.monotonic() < give_up
        time.sleep(0.01)

    code, errors, calls = checkout.setup()
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()

    assert code == 1
    assert len(errors) == 1
    assert str(first.pid) in errors[0]
    assert steps(calls) == []


def test_another_lock_file_creates_the_environment_again(checkout: Checkout) -> None:
    checkout.setup()
    (checkout.folder / "requirements-dev.lock").write_text("one==2\n")

    _, _, calls = checkout.setup()

    assert steps(calls) == [CREATE, INSTALL_PACKAGES, INSTALL_CHECKOUT]


def test_another_pyproject_installs_only_the_checkout(checkout: Checkout) -> None:
    checkout.setup()
    (checkout.folder / "pyproject.toml").write_text("[project]\nname = 'two'\n")

    _, _, calls = checkout.setup()

    assert steps(calls) == [INSTALL_CHECKOUT]


def test_another_python_creates_the_environment_again(checkout: Checkout, tmp_path: Path) -> None:
    checkout.setup()
    other = tmp_path / "python3.13"
    other.write_text(FAKE_PYTHON.replace("3.11.0", "3.13.0"))
    other.chmod(0o755)

    _, _, calls = checkout.setup(PYTHON=str(other))

    assert steps(calls) == [CREATE, INSTALL_PACKAGES, INSTALL_CHECKOUT]


def test_a_moved_checkout_creates_the_environment_again(checkout: Checkout, tmp_path: Path) -> None:
    checkout.setup()
    plugins = checkout.folder / ".meltano" / "extractors"
    plugins.mkdir(parents=True)
    checkout.folder = checkout.folder.rename(tmp_path / "moved")

    _, _, calls = checkout.setup()

    assert steps(calls) == [CREATE, INSTALL_PACKAGES, INSTALL_CHECKOUT]
    assert not (checkout.folder / ".meltano" / "extractors").exists()


def test_the_certificates_for_uv_serve_pip_as_well(checkout: Checkout, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    python = tmp_path / "tools" / "python"
    python.write_text(FAKE_PYTHON + f'echo "${{PIP_CERT:-}}" >{shown}\n')

    checkout.setup(SSL_CERT_FILE="/company/ca.pem")

    assert shown.read_text() == "/company/ca.pem\n"


def declared_requirements() -> list[Requirement]:
    """Return what scripts/lock pins for development: dependencies, two extras, and the groups."""
    content = tomli.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = content["project"]["optional-dependencies"]
    declared = [*content["project"]["dependencies"], *extras["sandbox"], *extras["s3"]]
    for name, group in content["dependency-groups"].items():
        if name in {"dbt", "image"}:  # in requirements-dbt.lock and requirements-image.lock
            continue
        declared += [entry for entry in group if isinstance(entry, str)]
    return [Requirement(entry) for entry in declared]


def locked_versions() -> dict[str, str]:
    text = (ROOT / "requirements-dev.lock").read_text("utf-8")
    pins = re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([^\s;]+)", text, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pins}


def test_the_lock_file_fits_pyproject() -> None:
    requirements = declared_requirements()
    locked = locked_versions()

    outdated = [
        str(requirement)
        for requirement in requirements
        if locked.get(canonicalize_name(requirement.name), "") not in requirement.specifier
    ]

    assert len(requirements) > 25
    assert outdated == [], "run scripts/lock"


def test_the_image_gets_the_dbt_of_the_project() -> None:
    groups = tomli.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    project = YAML(typ="safe").load(ROOT / "meltano.yml")
    (plugin,) = (p for p in project["plugins"]["utilities"] if p["name"] == "dbt-postgres")
    locked = (ROOT / "requirements-dbt.lock").read_text("utf-8").splitlines()

    assert plugin["pip_url"].split() == groups["dbt"]
    assert {f"{requirement} \\" for requirement in groups["dbt"]} <= {*locked}


def test_the_lock_file_names_no_host_and_has_a_hash_for_each_package() -> None:
    text = (ROOT / "requirements-dev.lock").read_text("utf-8")
    pins = re.split(r"^(?=\S+==)", text, flags=re.MULTILINE)[1:]

    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
    assert len(pins) > 100
    assert all("--hash=sha256:" in pin for pin in pins)
