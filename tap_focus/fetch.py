"""The command `tap-focus-media fetch`: download the audio of the recordings in a work list."""

from __future__ import annotations

import typing as t
from functools import partial

import click
from singer_sdk.exceptions import ConfigValidationError
from typing_extensions import override

from tap_focus import cli
from tap_focus.streams.work_list import WorkListStream
from tap_focus.tap import TapFocus

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_focus.streams.base import FeedStream
    from tap_focus.streams.sdk import ConfigInput

HELP = """Download the audio of the recordings in WORK_LIST into the archive.

The work list contains rows of the stream recordings as JSON lines, in any order: usually those that
a query finds to have no stored file. It is read from a file, or from standard input. A row needs
the columns interactionId, thirdPartyId, startDatetimeUTC, type, mediaAccessStatus,
durationInSeconds, retainUntil and legalHolds, each of which may be null but the first.
endDatetimeUTC and additionalFields are used, too. Other columns are ignored.

The rows of the stream recording_media are written to standard output as Singer messages, for any
target. A row is written when its file is on the disk. There is no STATE: run the query again to
continue.

The settings, checks, log lines and exit codes are those of tap-focus. An invalid line ends the run
with exit code 65, after the rows of the lines before it.
"""


class _FetchTap(TapFocus):
    """The tap with a work list in place of the feed."""

    def __init__(self, *, work_list: t.IO[bytes], can_create: bool, **kwargs: t.Any) -> None:
        self.new_media_stream = partial(WorkListStream, work_list=work_list, can_create=can_create)
        super().__init__(**kwargs)

    @override
    def discover_streams(self) -> list[FeedStream]:
        return [one for one in super().discover_streams() if isinstance(one, WorkListStream)]


def main(arguments: Sequence[str]) -> t.NoReturn:
    """Run the command and end the process."""
    cli.run(lambda: _get_command().main([*arguments], prog_name="tap-focus-media fetch"))


def _get_command() -> click.Command:
    """Return the tap's command with other options, so that its files are checked as usual."""
    command = cli.get_command()
    command.params = [option for option in command.params if option.name in ("config", "catalog")]
    command.params += [
        click.Option(
            ["--create", "can_create"],
            is_flag=True,
            help="Start a new archive if media_path has none. Without this option, that is an "
            "error: the disk may not be mounted.",
        ),
        click.Argument(["work_list"], type=click.File("rb"), default="-"),
    ]
    command.help = HELP
    command.callback = _fetch
    return command


def _fetch(*, config: ConfigInput, **inputs: t.Any) -> None:
    TapFocus.print_version(print_fn=cli.logger.info)
    tap = _FetchTap(config=config.config, parse_env_config=config.parse_env, **inputs)
    if not all(stream.selected for stream in tap.streams.values()):
        error = "--catalog: it does not select the stream recording_media"
        raise ConfigValidationError("Invalid catalog", errors=[error])
    tap.sync_all()
