"""The front door: the tap's settings and streams, and how it ends."""

from __future__ import annotations

import copy
import io
import os
import sys
import traceback
import typing as t
from functools import cached_property
from pathlib import Path

import click
import msgspec
from singer_sdk import Tap
from singer_sdk.exceptions import (
    ConfigValidationError,
    MapExpressionError,
    StreamMapConfigError,
)
from singer_sdk.helpers.capabilities import TapCapabilities
from singer_sdk.singerlib import Catalog

from tap_focus import settings
from tap_focus.api.client import Client, Credentials
from tap_focus.archive.downloader import Media
from tap_focus.archive.store import Archive
from tap_focus.errors import FocusError
from tap_focus.streams.recordings import RecordingMediaStream, RecordingsStream
from tap_focus.streams.sdk import ConfigInput, parse_environment_config
from tap_focus.streams.state import usable_state
from tap_focus.streams.writer import MessageWriter

if t.TYPE_CHECKING:
    from types import FrameType

    from tap_focus.streams.base import CursorStream


class TapFocus(Tap):
    """Singer tap for Focus: every recorded call, meeting and message."""

    name = "tap-focus"
    config_jsonschema: t.ClassVar[dict[str, t.Any]] = settings.SCHEMA
    # The feed is incremental alone, so no version of a table is ever complete.
    capabilities: t.ClassVar = [
        each for each in Tap.capabilities if each != TapCapabilities.ACTIVATE_VERSION
    ]
    message_writer_class = MessageWriter
    message_writer: MessageWriter

    def __init__(self, *, state: t.Any = None, **kwargs: t.Any) -> None:
        """Make a tap; see the SDK's for the arguments.

        Raises:
            ConfigValidationError: a setting or the state is wrong.
        """
        # The SDK listens to signals from here on, and the writer is what stops.
        self.message_writer = MessageWriter()
        super().__init__(state=usable_state(state), message_writer=self.message_writer, **kwargs)

    def discover_streams(self) -> list[CursorStream]:
        """Return the streams; Focus need not be asked for them."""
        return [RecordingsStream(self), RecordingMediaStream(self)]

    @cached_property
    def client(self) -> Client:
        """The one conversation with Focus, and so one login, for all streams of a run."""
        if self.config.get("region") and self.config.get("api_url"):
            self.logger.info("api_url is set and wins over region")
        if unknown := sorted(self.config.keys() - self.config_jsonschema["properties"].keys()):
            self.logger.warning("Settings that the tap does not know: %s", ", ".join(unknown))
        return Client(
            settings.base_url(self.config),
            Credentials(
                api_key=self.config["api_key"],
                username=self.config["username"],
                client_id=self.config["client_id"],
            ),
            request_timeout=float(self.config["request_timeout"]),
            max_retries=self.config["max_retries"],
            user_agent=self.config.get("user_agent") or f"{self.name}/{self.plugin_version}",
        )

    @cached_property
    def media(self) -> Media:
        """The audio archive, opened and cleaned of what a crash left.

        Raises:
            ConfigValidationError: there is no `media_path`.
            StorageError: it cannot be used.
        """
        path = self.config.get("media_path")
        if not path:
            missing = (
                "media_path: missing. It is needed when recording_media is selected; to leave the "
                "audio out, select recordings alone"
            )
            raise ConfigValidationError("wrong settings", errors=[missing])
        archive = Archive(path)
        archive.clean()
        return Media(self.client, archive)

    @classmethod
    def main(cls) -> t.NoReturn:
        """Run the command; whatever ends it says so in a line or two, with its exit code."""
        # What Meltano shows of a failed test is the last line, and the SDK's sums up nothing.
        cls.logger.addFilter(lambda line: line.msg != "Config validation failed")
        try:
            cls.cli()
        except FocusError as error:
            cls._end(error.exit_code, str(error))
        except ConfigValidationError as error:
            cls._end(1, *error.errors)
        except (MapExpressionError, StreamMapConfigError) as error:
            cls._end(1, f"stream_maps: {error}")
        except ModuleNotFoundError as error:
            cls._end(1, f"A Python package is missing: {error.name}. Install it beside the tap.")
        except OSError as error:
            cls._end(os.EX_IOERR, f"{error.strerror or type(error).__name__}: {error.filename}")
        except Exception as error:  # noqa: BLE001 - an error's own text may hold personal data
            frames = traceback.extract_tb(error.__traceback__)
            own = [frame for frame in frames if Path(frame.filename).parent.name == "tap_focus"]
            places = " and ".join(
                dict.fromkeys(
                    f"{Path(frame.filename).name}, line {frame.lineno}"
                    for frame in [*own[-1:], frames[-1]]
                )
            )
            cls._end(
                os.EX_SOFTWARE,
                f"{type(error).__name__} in {places}. Nobody foresaw this: please report it with "
                "this line and the version.",
            )
        sys.exit(0)

    @classmethod
    def _end(cls, exit_code: int, *lines: str) -> t.NoReturn:
        for line in lines:
            cls.logger.error("%s", line)
        sys.exit(exit_code)

    @classmethod
    def cb_config(
        cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]
    ) -> ConfigInput:
        """Read the configuration files, once; one that is none is a usage error."""
        config: dict[str, t.Any] = {}
        for path in value:
            if path != "ENV":
                try:
                    config |= _object(Path(path).read_text(encoding="utf-8"))
                except (OSError, ValueError) as error:
                    raise click.BadParameter(f"{path}: {error}", ctx, param) from None
        return ConfigInput(config=config, parse_env="ENV" in value)

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Let the SDK's command read the state and the catalog with an eye on what they are."""
        command = super().get_singer_command()
        for option in command.params:
            if option.name in {"state", "catalog"}:
                option.callback = _checked_file
        return command

    @property
    def _env_var_config(self) -> dict[str, t.Any]:
        """Settings from the environment, as text.

        The SDK's would fail on a number that is none, without naming the setting.
        """
        schema = copy.deepcopy(self.config_jsonschema)
        self.append_builtin_config(schema)
        for setting in schema["properties"].values():
            if "integer" in setting["type"]:
                setting["type"] = ["string"]
        try:
            # Else the SDK would look for a .env from where its own package lies, upwards.
            return parse_environment_config(schema, self._env_var_prefix, dotenv_path=".env")
        except ValueError:
            error = f"{self._env_var_prefix}…: one of these variables should hold JSON and does not"
            raise ConfigValidationError("wrong settings", errors=[error]) from None

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check the settings in the tap's own words, which hold no secret."""
        self._config = settings.normalised(self._config)
        self.append_builtin_config(self.config_jsonschema)
        errors = settings.problems(self._config, self.config_jsonschema)
        if errors and raise_errors:
            raise ConfigValidationError("wrong settings", errors=errors)
        return errors

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Stop on SIGTERM or SIGINT: not as done (the SDK's 0), and without another STATE."""
        self.message_writer.stop(signum)


def _object(text: str) -> dict[str, t.Any]:
    """Return a JSON object, or say in a ValueError why it is none."""
    try:
        return msgspec.json.decode(text, type=dict[str, t.Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _checked_file(
    ctx: click.Context, param: click.Parameter, value: t.IO[str] | None
) -> t.IO[str] | None:
    """Check a state or a catalog before the SDK takes it for one."""
    if value is None:
        return None
    try:
        text = value.read()
        if param.name == "catalog":
            Catalog.from_dict(_object(text))
        else:
            usable_state(msgspec.json.decode(text))
    except ConfigValidationError as error:
        raise click.BadParameter(error.errors[0], ctx, param) from None
    except (ValueError, msgspec.DecodeError, RecursionError) as error:
        raise click.BadParameter(str(error), ctx, param) from None
    except (KeyError, TypeError, AttributeError):
        raise click.BadParameter(
            "no Singer catalog; make one with --discover", ctx, param
        ) from None
    return io.StringIO(text)
