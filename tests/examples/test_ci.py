"""docs/ci.md: the schemas of GitHub Actions and GitLab CI, and the rules that schedulers share.

`test_image.py` runs the commands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tap_focus.settings import SCHEMA
from tests.examples import ci
from tests.helpers.runner import BIN, run_command

if TYPE_CHECKING:
    from pathlib import Path

SCHEMAS = {"github-focus.yml": "vendor.github-workflows", "gitlab-focus.yml": "vendor.gitlab-ci"}


def check(content: str, schema: str, folder: Path) -> str:
    """Return the errors that a schema finds."""
    path = folder / "pipeline.yml"
    path.write_text(content, "utf-8")
    command = (str(BIN / "check-jsonschema"), "--builtin-schema", schema, str(path))
    run = run_command(*command)
    return "" if run.exit_code == 0 else run.out + run.log


@pytest.mark.parametrize(("name", "schema"), SCHEMAS.items())
def test_the_pipelines_match_their_schemas(name: str, schema: str, tmp_path: Path) -> None:
    content = ci.text(name)
    broken = re.sub(r"timeout(-minutes)?:", "time-limit:", content)

    assert broken != content
    assert check(content, schema, tmp_path) == ""
    assert "time-limit" in check(broken, schema, tmp_path)


def test_runs_on_github_have_a_limit_and_do_not_overlap() -> None:
    workflow = ci.pipeline("github-focus.yml")
    (job,) = workflow["jobs"].values()

    assert workflow["concurrency"]["cancel-in-progress"] is False
    assert workflow["permissions"] == {}
    assert job["timeout-minutes"] < 60
    assert job["environment"]


def test_runs_on_gitlab_have_a_limit_and_do_not_overlap() -> None:
    (job,) = ci.pipeline("gitlab-focus.yml").values()

    assert job["resource_group"]
    assert job["interruptible"] is False
    assert int(job["timeout"].removesuffix(" minutes")) < 60
    assert "retry" not in job


def test_the_container_on_github_gets_every_secret() -> None:
    step = ci.github_step()
    secrets = {name: f"${{{{ secrets.{name} }}}}" for name in step["env"]}

    assert step["env"] == secrets
    assert step["env"].keys() == ci.documented_variables("Settings")
    assert [*step["env"]] == ci.docker_run().variables
    settings = {f"TAP_FOCUS_{name.upper()}" for name in SCHEMA["properties"]}
    assert {name for name in secrets if name.startswith("TAP_FOCUS_")} <= settings
