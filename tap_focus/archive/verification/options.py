"""Callbacks that parse the options of `tap-focus-media verify`."""

from __future__ import annotations

import re
import typing as t
from datetime import date
from pathlib import Path

import click

from tap_focus.archive.naming import UNKNOWN_DAY
from tap_focus.archive.verification.report import WRITERS, check_report

_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%")


def parse_day(_: click.Context, __: click.Parameter, value: str) -> str:
    """Return a day such as 2025-05-01 as the name of its folder."""
    if not value or value.replace("-", "/") == UNKNOWN_DAY:
        return value.replace("-", "/")
    try:
        return date.fromisoformat(value.replace("/", "-")).isoformat().replace("-", "/")
    except ValueError:
        raise click.BadParameter(f"{value!a:.40} is not a day such as 2025-05-01") from None


def parse_share(_: click.Context, __: click.Parameter, value: str) -> float:
    """Return a percentage such as 1% as a number from 0 to 1."""
    match = _SHARE.fullmatch(value)
    if not match or not 0 < float(match[1]) <= 100:  # noqa: PLR2004
        raise click.BadParameter(f"{value!a:.40} is not a percentage such as 1%")
    return float(match[1]) / 100


def parse_reports(
    _: click.Context, __: click.Parameter, values: tuple[t.Any, ...]
) -> tuple[Path, ...]:
    """Return the files of the reports after a check that they can be written."""
    paths = tuple(map(Path, values))
    for path in paths:
        if path.suffix.lower() not in WRITERS:
            raise click.BadParameter(f"the name must end with {', '.join(WRITERS)}")
        try:
            check_report(path)
        except OSError as error:
            raise click.BadParameter(f"cannot be written: {error.strerror}") from error
    return paths
