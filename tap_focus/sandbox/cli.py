"""The two commands: `focus-sandbox` serves, `tap-focus-sandbox` also runs the tap against it."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
import typing as t
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import click

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_focus.sandbox.server import Sandbox
    from tap_focus.tap import TapFocus

_EXTRA = frozenset(("aiohttp", "jwt"))
_HOW_TO_USE = """\
# The sandbox answers until Ctrl-C. In another terminal, paste these lines, and then:
#   {tap} --config ENV"""


@click.command(context_settings={"auto_envvar_prefix": "FOCUS_SANDBOX", "show_default": True})
@click.option("--port", type=click.IntRange(0, 65535), default=8766, help="0: any free port.")
@click.option(
    "--records",
    type=click.IntRange(0, 10_000_000),
    default=2000,
    help="Events in the feed from the start; 2,000 are about two months.",
)
@click.option("--seed", type=int, default=1, help="Another number makes another company.")
@click.option(
    "--latency",
    type=click.FloatRange(0, 600),
    default=0.0,
    help="Seconds to wait before each answer.",
)
@click.option(
    "--fail",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Share of the requests that fail, in varied ways.",
)
@click.option(
    "--token-ttl",
    type=click.FloatRange(0, 10**9),
    default=3600.0,
    help="Seconds that a token is good for.",
)
@click.option(
    "--live-every",
    type=click.FloatRange(0, 10**9),
    default=10.0,
    help="Seconds from one further event to the next; 0 for none.",
)
@click.option("--verbose", is_flag=True, help="Write a line for each answer.")
def focus_sandbox(*, verbose: bool, **options: t.Any) -> None:
    """Serve a stand-in for Focus, with made-up data, on this machine alone.

    Every option can also be set in the environment, such as FOCUS_SANDBOX_RECORDS.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with _sandbox(verbose=verbose, **options) as box:
        for name, value in box.settings.items():
            click.echo(f"export {_variable(name)}={shlex.quote(str(value))}")
        # Beside this command, which need not be on the PATH.
        tap = Path(sys.argv[0]).with_name("tap-focus")
        click.echo(_HOW_TO_USE.format(tap=shlex.quote(str(tap))))
        sys.stdout.flush()
        stop.wait()


def tap_focus_sandbox() -> None:
    """Run the tap, with all its arguments, against a sandbox that lives as long as the run.

    The sandbox's options come from the environment, as those of `focus-sandbox` do.
    """
    try:
        options = focus_sandbox.make_context("tap-focus-sandbox", []).params
    except click.BadParameter as error:
        name = error.param.name if error.param else None
        sys.exit(f"FOCUS_SANDBOX_{str(name).upper()}: {error.message}")
    # With `--config ENV` the SDK reads the environment last, so that has to lead here too.
    with _sandbox(**{**options, "port": 0}) as box:
        os.environ.update({_variable(name): str(value) for name, value in box.settings.items()})
        _sandbox_tap(box.settings).main()


def _sandbox_tap(settings: dict[str, t.Any]) -> type[TapFocus]:
    """Return the tap with settings that win over those of its config files."""
    from tap_focus.tap import TapFocus  # noqa: PLC0415 - focus-sandbox runs without the tap

    class SandboxTap(TapFocus):
        def __init__(self, *, config: dict[str, t.Any] | None = None, **kwargs: t.Any) -> None:
            super().__init__(config={**(config or {}), **settings}, **kwargs)

    return SandboxTap


@contextmanager
def _sandbox(*, verbose: bool, **options: t.Any) -> Iterator[Sandbox]:
    """Run a sandbox, or end the program with a line that says what is in the way."""
    try:
        # Both need the packages of the extra.
        from tap_focus.sandbox.log import access_log  # noqa: PLC0415
        from tap_focus.sandbox.server import Sandbox  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        sys.exit("The sandbox needs more packages: pip install 'tap-focus[sandbox]'")
    write = partial(click.echo, err=True)
    box = Sandbox(**options, middlewares=[access_log(write)] if verbose else [])
    with ExitStack() as stack:
        try:
            stack.enter_context(box)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else error
            sys.exit(f"The sandbox cannot listen on port {box.port}: {reason}")
        yield box


def _variable(setting: str) -> str:
    return f"TAP_FOCUS_{setting.upper()}"
