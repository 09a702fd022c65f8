"""The command `tap-focus-media`, with the subcommands `verify` and `fetch`."""

from __future__ import annotations

import signal

import click

from tap_focus.archive.verification.cli import main


@main.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
    short_help="Download the audio of the recordings in a work list.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def fetch(arguments: tuple[str, ...]) -> None:
    """Pass all arguments on to `tap_focus.fetch`, which takes a moment to import."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # as in tap_focus.__main__
    from tap_focus import fetch  # noqa: PLC0415

    fetch.main(arguments)


__all__ = ["main"]
