"""Normalization and validation of the settings. They are listed in `tap_focus.settings`."""

from __future__ import annotations

import contextlib
import difflib
import fnmatch
import ipaddress
import json
import math
import re
import typing as t
from datetime import datetime, timezone
from urllib.parse import urlsplit

from singer_sdk.plugin_base import JSONSchemaValidator

from tap_focus.settings import REGIONS

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from jsonschema import ValidationError

DOMAIN = ".focus.subphonic.ai"
"""The host of a region is its name with this domain."""


def normalize(config: Mapping[str, t.Any], schema: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return a copy of a configuration without nulls, with values of the types in the schema.

    The environment contains only text, and YAML and JSON allow `8.0` for an integer. A value that
    cannot be converted is unchanged, and `validate` reports it.
    """
    result = {name: value for name, value in config.items() if value is not None}
    for name, setting in schema["properties"].items():
        if name in result:
            result[name] = _convert(result[name], setting)
    with contextlib.suppress(KeyError, TypeError):
        encoding = result["batch_config"]["encoding"]
        if encoding["format"] == "jsonl" and not encoding.get("compression"):
            # The SDK compresses these files in any case, so the BATCH message must say so.
            encoding = {**encoding, "compression": "gzip"}
            result["batch_config"] = {**result["batch_config"], "encoding": encoding}
    return result


def validate(
    config: dict[str, t.Any], schema: dict[str, t.Any], streams: Collection[str]
) -> list[str]:
    """Add the defaults to normalized settings and check them.

    Returns:
        One line per invalid setting. It starts with the setting's name and contains no secret.
    """
    try:
        errors = list(JSONSchemaValidator(schema).iter_errors(config))
    except AttributeError:
        # The SDK's schema of stream_maps contains a string in place of a schema.
        return ["stream_maps: __else__ must be null or __NULL__"]
    invalid = {str(error.path[0]) for error in errors if error.path}
    lines = [_error_message(error, schema) for error in errors]
    if not config.get("region") and not config.get("api_url"):
        lines.append(f"region: missing. Set it to one of {_join(REGIONS)}, or set api_url")
    checks: dict[str, t.Callable[[t.Any], object]] = {
        "api_url": _check_url,
        "start_date": to_utc,
        "user_agent": _check_header,
        "media_shard": _check_shard,
        "stream_maps": lambda maps: _check_maps(maps, streams),
    }
    for name, check in checks.items():
        if config.get(name) and name not in invalid:
            try:
                check(config[name])
            except ValueError as error:
                lines.append(f"{name}: {error}")
    return lines


def from_environment(
    environment: Mapping[str, str], prefix: str, schema: Mapping[str, t.Any]
) -> tuple[dict[str, t.Any], list[str]]:
    """Return the settings in environment variables, and errors for those that are not valid JSON.

    Objects and arrays are JSON. Other settings are text, which `normalize` converts.
    """
    config: dict[str, t.Any] = {}
    errors = []
    known = schema["properties"]
    for variable, text in environment.items():
        name = variable.removeprefix(prefix).lower()
        if not variable.startswith(prefix) or name == "loglevel" or name[:1] == "_":
            continue  # variables of the SDK and of Meltano
        if name not in known and (
            name.startswith("media__") or name.removeprefix("media_") in known
        ):
            continue  # Meltano repeats the settings of a plugin named tap-focus-media
        config[name] = text
        kinds = known.get(name, {}).get("type", ())
        if "object" in kinds or "array" in kinds:
            try:
                config[name] = json.loads(text)
            except (ValueError, RecursionError):
                errors.append(f"{variable}: must be JSON")
    return config, errors


def unknown_settings(names: Collection[str], schema: Mapping[str, t.Any]) -> list[str]:
    """Return a line for each name that is not a setting, with the most similar setting."""
    known = [*schema["properties"]]
    lines = []
    for name in sorted(set(names) - set(known)):
        similar = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {similar[0]}?" if similar else ""
        lines.append(f"{ascii(name)[1:-1]:.80}: unknown setting, ignored.{hint}")
    return lines


def base_url(config: Mapping[str, t.Any]) -> str:
    """Return the URL to which paths are appended; `api_url` takes precedence over `region`."""
    return str(config.get("api_url") or f"https://{config.get('region')}{DOMAIN}/api")


def account(config: Mapping[str, t.Any]) -> str:
    """Return what identifies the account: the region or another host, and its number."""
    host = urlsplit(base_url(config)).hostname or ""
    return f"{host.removesuffix(DOMAIN)}/{config.get('client_id')}"


def to_utc(text: str) -> str:
    """Convert an ISO 8601 date or date-time, UTC unless it names a zone, to Focus's `fromDate`.

    Returns:
        `YYYY-MM-DDTHH:MM:SSZ`, rounded down to whole seconds so that no recording is skipped.
    """
    try:
        # Python 3.10 does not support "Z". The SDK adds it when it is imported.
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        moment = moment.astimezone(timezone.utc).replace(microsecond=0, tzinfo=None)
    except (ValueError, OverflowError):
        raise ValueError("must be a date such as 2025-01-31 or 2025-01-31T09:00:00Z") from None
    return f"{moment.isoformat()}Z"


_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True}
_BOOLEANS |= {"false": False, "no": False, "off": False, "0": False}


def _convert(value: t.Any, setting: Mapping[str, t.Any]) -> t.Any:
    """Return a value as the type of its setting, if it can be converted without loss."""
    kinds = setting.get("type", ())
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            if "boolean" in kinds and value.lower() in _BOOLEANS:
                return _BOOLEANS[value.lower()]
            if "integer" in kinds and re.fullmatch(r"\s*[-+]?[0-9]+\s*", value):
                return int(value)
            is_number = "integer" in kinds or "number" in kinds
            # float() accepts underscores, as in Python's source code.
            if is_number and "_" not in value and math.isfinite(float(value)):
                value = float(value)
    if "integer" in kinds and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _check_url(text: str) -> None:
    """Reject a URL to which credentials must not be sent."""
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port  # each may be invalid
    except ValueError:
        raise ValueError("must be a URL") from None
    if "@" in url.netloc:
        raise ValueError("must not contain a username or password. Use api_key and username")
    if url.query or url.fragment or not host or not text.isprintable() or " " in text:
        raise ValueError("must be a base URL such as https://focus.example.com/api")
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(host)):
        raise ValueError("must start with https:// (http:// is allowed for localhost only)")


def _check_header(text: str) -> None:
    if not (text.isascii() and text.isprintable()):
        raise ValueError("must be printable ASCII text")


def _check_shard(text: str) -> None:
    """Reject a text that `tap_focus.archive.naming.parse_shard` does not accept."""
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError("must be k/n with k from 1 to n, such as 2/3")


def _check_maps(maps: dict[str, t.Any], streams: Collection[str]) -> None:
    """Reject maps of unknown streams: a typo would silently disable a masking rule."""
    for name, definition in maps.items():
        source = definition.get("__source__", name) if isinstance(definition, dict) else name
        if not isinstance(source, str):
            raise ValueError(  # noqa: TRY004 - the caller reports it
                f"__source__ of {ascii(name)[:80]} must be the name of a stream"
            )
        if name != "__else__" and not fnmatch.filter(streams, source):
            raise ValueError(f"no stream matches {ascii(source)[:80]}. Streams: {_join(streams)}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


_EXPECTED = {
    "type": "must be {}",
    "enum": "must be one of {}",
    "minimum": "must be {} or more",
    "maximum": "must be {} or less",
    "exclusiveMinimum": "must be more than {}",
    "minLength": "must not be empty",
}


def _error_message(error: ValidationError, schema: dict[str, t.Any]) -> str:
    rule, expected = str(error.validator), t.cast("t.Any", error.validator_value)
    if rule == "required" and not error.path:
        missing = next(name for name in schema["required"] if f"'{name}'" in error.message)
        return f"{missing}: missing. {schema['properties'][missing]['description']}"
    name = ".".join(str(part) for part in error.path)
    if rule not in _EXPECTED:
        # Not the text of jsonschema: it contains the value, and a stream map may contain a salt.
        return f"{name}: does not match its schema ({rule}). See tap-focus --about"
    if rule == "type":
        kinds = [expected] if isinstance(expected, str) else expected
        expected = [f"a{'n' * (kind[0] in 'aio')} {kind}" for kind in kinds if kind != "null"]
    text = _join(expected) if isinstance(expected, list) else expected
    return f"{name}: {_EXPECTED[rule].format(text)}"


def _join(names: t.Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last
