"""The commands: `focus-sandbox` runs the server, `tap-focus-sandbox` runs the tap against it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import typing as t
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import click

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_focus.sandbox.server import Sandbox

_EXTRA_PACKAGES = frozenset(("aiohttp", "jwt"))
_INSTRUCTIONS = """\
# The sandbox runs until Ctrl-C. Paste these lines into another terminal, then run:
#   {tap} --config ENV"""


@click.command(context_settings={"auto_envvar_prefix": "FOCUS_SANDBOX", "show_default": True})
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8766, help="Port; 0 for any free port."
)
@click.option(
    "--records",
    type=click.IntRange(0, 10_000_000),
    default=2000,
    help="Feed entries at the start. 2,000 cover about two months.",
)
@click.option("--seed", type=int, default=1, help="Seed of the data. Each seed is a new company.")
@click.option(
    "--latency",
    type=click.FloatRange(0, 600),
    default=0.0,
    help="Seconds to wait before each response.",
)
@click.option(
    "--fail",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Share of requests that fail, in various ways.",
)
@click.option(
    "--token-ttl",
    type=click.FloatRange(0, 10**9),
    default=3600.0,
    help="Lifetime of a token in seconds.",
)
@click.option(
    "--live-every",
    type=click.FloatRange(0, 10**9),
    default=10.0,
    help="Seconds between new feed entries; 0 for none.",
)
@click.option("--verbose", is_flag=True, help="Log each request.")
def focus_sandbox(*, verbose: bool, **options: t.Any) -> None:
    """Run a simulated Focus server with made-up data on localhost.

    Each option is also an environment variable, such as FOCUS_SANDBOX_RECORDS.
    """
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _exit)
    with _running_sandbox(verbose=verbose, **options) as sandbox:
        for variable, value in _environment(sandbox).items():
            click.echo(f"export {variable}={shlex.quote(value)}")
        # The full path, because the tap may not be on the PATH.
        tap = Path(sys.argv[0]).with_name("tap-focus")
        click.echo(_INSTRUCTIONS.format(tap=shlex.quote(str(tap))))
        sys.stdout.flush()
        signal.pause()


def tap_focus_sandbox() -> t.NoReturn:
    """Run the tap with its own arguments against a sandbox in the same process.

    The sandbox's options come from the environment variables of `focus-sandbox`. The settings of
    the sandbox take precedence over the user's.
    """
    try:
        options = focus_sandbox.make_context("tap-focus-sandbox", []).params
    except click.BadParameter as error:
        name = error.param.name if error.param else None
        sys.exit(f"FOCUS_SANDBOX_{str(name).upper()}: {error.message}")
    with _running_sandbox(**{**options, "port": 0}) as sandbox:
        # `--config ENV` takes precedence over files, and the last file over those before it.
        os.environ.update(_environment(sandbox))
        sys.argv += ["--config", _pipe_path(json.dumps(sandbox.settings))]

        from tap_focus.cli import main  # noqa: PLC0415 - focus-sandbox runs without the tap

        main()


@contextmanager
def _running_sandbox(*, verbose: bool, **options: t.Any) -> Iterator[Sandbox]:
    """Run a sandbox. If it cannot start, exit with a one-line message."""
    try:
        from tap_focus.sandbox.server import Sandbox  # noqa: PLC0415 - requires the extra
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA_PACKAGES:
            raise
        sys.exit("The sandbox requires more packages. Install tap-focus with the extra sandbox.")
    access_log = partial(click.echo, err=True) if verbose else None
    sandbox = Sandbox(**options, access_log=access_log)
    with ExitStack() as stack:
        try:
            stack.enter_context(sandbox)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else error
            sys.exit(f"The sandbox cannot listen on port {sandbox.port}: {reason}")
        yield sandbox


def _environment(sandbox: Sandbox) -> dict[str, str]:
    """Return the tap's settings for this sandbox as environment variables."""
    return {f"TAP_FOCUS_{name.upper()}": str(value) for name, value in sandbox.settings.items()}


def _pipe_path(text: str) -> str:
    """Write a text to a pipe and return its path. Unlike a file, a pipe needs no cleanup."""
    read_end, write_end = os.pipe()
    os.write(write_end, text.encode())
    os.close(write_end)
    return f"/dev/fd/{read_end}"


def _exit(*_: object) -> t.NoReturn:
    sys.exit()
