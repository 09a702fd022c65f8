"""What is told in more than one place is the same in each."""

from __future__ import annotations

import json
import subprocess
import sys

from ruamel.yaml import YAML

from tests.conftest import BIN, ROOT


def own_settings() -> set[str]:
    about = subprocess.run(
        [str(BIN / "tap-focus"), "--about", "--format=json"],
        check=True,
        capture_output=True,
        text=True,
    )
    settings = json.loads(about.stdout)["settings"]["properties"]
    sdk = ("stream_map", "faker", "flattening", "batch")
    return {name for name in settings if not name.startswith(sdk)}


def test_readme_meltano_yml_and_the_hub_definition_say_what_about_says() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "generate.py"), "--check"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_example_environment_names_every_setting() -> None:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    named = {line.lstrip("# ").split("=")[0] for line in lines if "TAP_FOCUS_" in line}
    assert named == {f"TAP_FOCUS_{name.upper()}" for name in own_settings()}


def test_the_project_file_defines_every_setting_and_marks_the_secret() -> None:
    project = YAML(typ="safe").load(ROOT / "meltano.yml")
    plugin = next(p for p in project["plugins"]["extractors"] if p["name"] == "tap-focus")
    settings = {setting["name"]: setting for setting in plugin["settings"]}
    assert own_settings() <= settings.keys()
    assert all(setting["label"] and setting["description"] for setting in settings.values())
    assert [name for name, setting in settings.items() if setting.get("sensitive")] == ["api_key"]
