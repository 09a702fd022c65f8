"""Entry point of the process: input files, logging, and the end of a run."""

from __future__ import annotations

import codecs
import gc
import json
import logging
import os
import sys
import typing as t
from pathlib import Path

import click
from dotenv import load_dotenv
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.singerlib import Catalog

from tap_focus.exit_codes import OUTCOMES, explain
from tap_focus.streams.sdk import ConfigInput
from tap_focus.streams.state import validate_state
from tap_focus.tap import TapFocus

if t.TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("tap-focus")

LOG_LEVEL_VARIABLES = ("TAP_FOCUS_LOGLEVEL", "LOGLEVEL")
LOG_CONFIG_VARIABLE = "SINGER_SDK_LOG_CONFIG"


def main() -> t.NoReturn:
    """Run the tap and end the process."""
    run(lambda: get_command().main())


def run(command: Callable[[], object]) -> t.NoReturn:
    """Run a command that uses the tap, and end the process."""
    # A page creates thousands of objects. With Python's threshold of 700, garbage collection would
    # take 1.5 of 5.5 µs of CPU for each record.
    gc.set_threshold(100_000)
    # Other users of the machine must not read the files with audio or batches of records.
    os.umask(os.umask(0o027) | 0o027)
    _end_process(_run(command))


def _run(command: Callable[[], object]) -> int:
    """Run a command, log an error in one line, and return the exit code."""
    try:
        _check_logging()
        command()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except ConfigValidationError as error:
        for line in error.errors or [str(error)]:
            logger.error("%s", line)  # noqa: TRY400 - no traceback
        return OUTCOMES[ConfigValidationError].exit_code
    except Exception as error:  # noqa: BLE001 - the text of an error may contain personal data
        exit_code, line = explain(error)
        logger.error("%s", line)  # noqa: TRY400 - no traceback
        return exit_code
    return 0


def get_command() -> click.Command:
    """Return the SDK's command with checked input files and a `--test` of the selected streams.

    Raises:
        ConfigValidationError: the logging configuration is invalid.
    """
    try:
        command: click.Command = TapFocus.cli  # this attribute also sets up the logging
    except Exception:
        if LOG_CONFIG_VARIABLE not in os.environ:
            raise
        error = f"{LOG_CONFIG_VARIABLE}: must name a logging configuration in YAML"
        raise ConfigValidationError("Invalid logging", errors=[error]) from None
    # Drop the SDK's last line about invalid settings. Meltano shows only the last line of a failed
    # test, and this one contains no reason.
    logger.addFilter(lambda line: line.msg != "Config validation failed")
    callbacks = {
        "config": _read_config,
        "state": _read_file,
        "catalog": _read_file,
        # Not the SDK's callback, which would test all streams. `_invoke` tests the selected ones.
        "test": None,
    }
    for option in command.params:
        if option.name in callbacks:
            option.callback = callbacks[option.name]
            option.expose_value = True
    command.callback = _invoke
    return command


def _invoke(
    *, config: ConfigInput, test: str, about: bool, about_format: str | None, **inputs: t.Any
) -> None:
    """Run the tap, or with `--test` read one record of each selected stream."""
    if about:
        TapFocus.print_about(about_format)
        return
    TapFocus.print_version(print_fn=logger.info)
    tap = TapFocus(config=config.config, parse_env_config=config.parse_env, **inputs)
    selected = [stream for stream in tap.streams.values() if stream.selected]
    if test == "disabled":
        tap.sync_all()
    elif test == "schema":
        for stream in selected:
            stream._write_schema_message()  # noqa: SLF001 - as the SDK's write_schemas does
    else:
        tap.run_sync_dry_run(streams=selected)


def _read_config(_: click.Context, __: click.Parameter, paths: tuple[str, ...]) -> ConfigInput:
    """Read the configuration files, and `.env` for ENV. An invalid one is a usage error."""
    config: dict[str, t.Any] = {}
    for path in paths:
        content: t.Any = {}
        try:
            if path == "ENV":
                load_dotenv(".env")
            else:
                content = _decode(Path(path).read_bytes())
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            file = ".env" if path == "ENV" else path
            raise click.BadParameter(f"{file}: {reason}") from None
        if not isinstance(content, dict):
            raise click.BadParameter(f"{path}: must contain a JSON object")
        config |= content
    _check_logging()  # .env may contain these variables, too
    return ConfigInput(config=config, parse_env="ENV" in paths)


def _read_file(
    _: click.Context, option: click.Parameter, file: t.TextIO | None
) -> dict[str, t.Any] | Catalog | None:
    """Read a state or a catalog. An invalid one is a usage error."""
    if file is None:
        return None
    try:
        content = _decode(file.buffer.read())
        if option.name == "state":
            return validate_state(content)
        for stream in content["streams"]:
            _ = stream["schema"]["properties"]  # the SDK would fail later
        return Catalog.from_dict({"streams": content["streams"]})
    except ConfigValidationError as error:
        raise click.BadParameter(error.errors[0]) from None
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    except (KeyError, TypeError, AttributeError):
        raise click.BadParameter("not a catalog. Create one with --discover") from None


def _decode(content: bytes) -> t.Any:
    """Decode a JSON file. The text of a `ValueError` contains none of its content."""
    if not content.removeprefix(codecs.BOM_UTF8).strip():
        raise ValueError("the file is empty")
    try:
        return json.loads(content)
    except Exception as error:  # noqa: BLE001
        raise ValueError(f"invalid JSON: {error}") from None


def _check_logging() -> None:
    """Check the log level, which the SDK would reject without naming the variable."""
    variables = [name for name in LOG_LEVEL_VARIABLES if os.environ.get(name)]
    if not variables:
        os.environ.pop("LOGLEVEL", None)  # the SDK fails on an empty one
    elif not isinstance(logging.getLevelName(os.environ[variables[0]].upper()), int):
        error = f"{variables[0]}: must be one of DEBUG, INFO, WARNING, ERROR or CRITICAL"
        raise ConfigValidationError("Invalid logging", errors=[error])


def _end_process(exit_code: int) -> t.NoReturn:
    """Flush the output and end the process without waiting for daemon threads.

    A normal exit would close standard error first. If a thread writes to the log at that moment,
    Python aborts the process with the fatal error `_enter_buffered_busy`.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except (OSError, ValueError):  # ValueError: it is closed
                exit_code = exit_code or os.EX_IOERR
    logging.shutdown()
    os._exit(exit_code)
