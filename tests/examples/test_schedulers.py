"""examples/cron and examples/systemd: their commands, run as they are printed."""

from __future__ import annotations

import fcntl
import shutil
from configparser import RawConfigParser
from typing import TYPE_CHECKING

from tests.helpers.runner import ROOT, Run, run_command

if TYPE_CHECKING:
    from tests.examples.conftest import Server

SYSTEMD = ROOT / "examples" / "systemd"
CRONTAB = (ROOT / "examples" / "cron" / "crontab").read_text("utf-8")


def cron_commands() -> list[str]:
    """Return the commands of the crontab, without their five fields of time."""
    lines = [line for line in CRONTAB.splitlines() if line[:1].isdigit()]
    return [line.split(maxsplit=5)[5] for line in lines]


def run_cron(server: Server, command: str, **variables: str) -> Run:
    assert "%" not in command, "cron would end the command there"
    command = command.replace("/srv/tap-focus", str(server.folder))
    environment = {**server.environment, **variables}
    return run_command("/bin/sh", "-c", command, folder=server.folder, environment=environment)


def test_the_lines_of_the_crontab_load_everything_and_print_nothing(server: Server) -> None:
    runs = [run_cron(server, command) for command in cron_commands()]

    assert [(run.exit_code, run.out, run.log) for run in runs] == [(0, "", "")] * 2
    assert server.keys("recordings") == server.sandbox.latest().keys()
    assert server.keys("recording_media") == server.sandbox.latest().keys()
    assert "Up to date" in (server.folder / "focus.log").read_text("utf-8")


def test_a_failed_run_is_mailed_with_its_exit_code_and_the_end_of_the_log(server: Server) -> None:
    run = run_cron(server, cron_commands()[0], TAP_FOCUS_API_KEY="wrong")

    assert run.out.startswith("Exit code 78 of focus-run.")
    assert "Check api_key" in run.out


def test_a_run_that_overlaps_is_not_started(server: Server) -> None:
    with (server.folder / ".load.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = run_cron(server, cron_commands()[0])

    assert run.out.startswith("Exit code 75 ")
    assert server.sandbox.requests == []


def unit(name: str) -> RawConfigParser:
    parser = RawConfigParser(strict=False, delimiters="=", interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((SYSTEMD / name).read_text("utf-8"))
    return parser


def test_the_service_loads_the_recordings(server: Server) -> None:
    service = unit("focus-load.service")["Service"]
    variable, _, value = service["Environment"].partition("=")
    command = service["ExecStart"].replace("/srv/tap-focus", str(server.folder)).split()
    run = run_command(
        *command, folder=server.folder, environment={**server.environment, variable: value}
    )

    assert run.exit_code == 0, run.log
    assert server.keys("recordings") == server.sandbox.latest().keys()


def test_the_units_are_valid(server: Server) -> None:
    """systemd-analyze is missing where there is no systemd."""
    folder = server.folder / "units"
    folder.mkdir()
    for path in SYSTEMD.iterdir():
        content = path.read_text("utf-8").replace("/srv/tap-focus", str(server.folder))
        (folder / path.name).write_text(content, "utf-8")
    command = ["systemd-analyze", "verify", "--man=no", str(folder / "focus-load.timer")]
    found = run_command(*command).log if shutil.which(command[0]) else ""

    assert found == ""
    assert unit("focus-load.service")["Unit"]["OnFailure"] == "focus-alert@%n.service"
