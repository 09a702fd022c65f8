"""Every setting of the tap: what it means, and in words what is wrong with one."""

from __future__ import annotations

import contextlib
import fnmatch
import ipaddress
import math
import typing as t
from datetime import datetime, timezone
from urllib.parse import urlsplit

from singer_sdk import typing as th
from singer_sdk.plugin_base import JSONSchemaValidator

from tap_focus.api.client import MAX_CONNECTIONS
from tap_focus.archive.downloader import Shard
from tap_focus.archive.store import check_store
from tap_focus.streams.sdk import BatchConfig

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from jsonschema import ValidationError

REGIONS = ("uk", "eu", "us", "ca")
STREAMS = ("recordings", "recording_media")

SCHEMA: dict[str, t.Any] = th.PropertiesList(
    th.Property(
        "region",
        th.StringType(allowed_values=list(REGIONS)),
        title="Region",
        description="Where your Focus account lives; picks the base URL. "
        "Either this or `api_url` is needed.",
    ),
    th.Property(
        "api_url",
        th.StringType(),
        title="API URL",
        description="A base URL in place of the region's, for a proxy or the sandbox: https, or "
        "plain http on loopback. Wins over `region`.",
    ),
    th.Property(
        "api_key",
        th.StringType(min_length=1),
        required=True,
        secret=True,
        title="API key",
        description="The key that Focus made under Admin → Account → Integrations.",
    ),
    th.Property(
        "username",
        th.StringType(min_length=1),
        required=True,
        title="Username",
        description="The service user that Focus shows beside the key.",
    ),
    th.Property(
        "client_id",
        th.IntegerType(),
        required=True,
        title="Client ID",
        description="Your account's number, shown beside the key.",
    ),
    th.Property(
        "start_date",
        th.DateTimeType(),
        title="Start date",
        description="Where a sync without a bookmark begins, in UTC unless it names a zone; "
        "without it, at the first communication that Focus stores. A bookmark wins over it.",
    ),
    th.Property(
        "page_size",
        th.IntegerType(minimum=1),
        default=100,
        title="Page size",
        description="Recordings asked for at once. Larger is faster; after a crash at most one "
        "page, and the one fetched ahead, is read again.",
    ),
    th.Property(
        "request_timeout",
        th.NumberType(exclusive_minimum=0, maximum=3600),
        default=60,
        title="Request timeout",
        description="Seconds to wait for a connection, and for each piece of an answer; one try "
        "may last five times as long in all.",
    ),
    th.Property(
        "max_retries",
        th.IntegerType(minimum=1),
        default=8,
        title="Maximum tries",
        description="Tries of one request before giving up. The waits between them double from "
        "half a second up to a minute; a Retry-After of up to a minute is honoured.",
    ),
    th.Property(
        "user_agent",
        th.StringType(min_length=1),
        title="User agent",
        description="The `User-Agent` header of each request; by default `tap-focus/` and the "
        "version.",
    ),
    th.Property(
        "media_path",
        th.StringType(min_length=1),
        title="Media path",
        description="Where `recording_media` stores the audio: a folder, or a URL such as "
        "`s3://bucket/folder`. Needed when that stream is selected.",
    ),
    th.Property(
        "media_concurrency",
        th.IntegerType(minimum=1, maximum=MAX_CONNECTIONS),
        default=8,
        title="Media concurrency",
        description="Downloads at once.",
    ),
    th.Property(
        "media_shard",
        th.StringType(),
        title="Media shard",
        description="`k/n`: archive the k-th of n parts of all recordings, so that n machines "
        "share the work.",
    ),
).to_dict()


def normalised(config: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return a copy without nulls, in which numbers given as text are numbers.

    An environment has nothing but text. What is no number stays as it is, for `problems` to name.
    Batches of lines are said to be compressed, since the SDK compresses them whatever it is told.
    """
    result = {name: value for name, value in config.items() if value is not None}
    for name, schema in SCHEMA["properties"].items():
        for kind, convert in (("integer", int), ("number", float)):
            if kind in schema["type"] and isinstance(result.get(name), str):
                with contextlib.suppress(ValueError):
                    number = convert(result[name])
                    result[name] = number if math.isfinite(number) else result[name]
    with contextlib.suppress(KeyError, TypeError):
        encoding = result["batch_config"]["encoding"]
        if encoding["format"] == "jsonl" and not encoding.get("compression"):
            encoding = {**encoding, "compression": "gzip"}
            result["batch_config"] = {**result["batch_config"], "encoding": encoding}
    return result


def problems(config: dict[str, t.Any], schema: dict[str, t.Any]) -> list[str]:
    """Check a configuration and fill in its defaults.

    Args:
        config: the settings; absent ones get their default.
        schema: this module's schema with the SDK's own settings merged in.

    Returns:
        One line for each wrong setting, beginning with its name, never holding a secret.
    """
    try:
        errors = list(JSONSchemaValidator(schema).iter_errors(config))
    except AttributeError:
        # In the SDK's own schema a text stands for a schema there, which is met by other values.
        return ["stream_maps: __else__ must be null or __NULL__"]
    wrong = {str(error.path[0]) for error in errors if error.path}
    lines = [_in_words(error, schema) for error in errors]
    if not config.get("region") and not config.get("api_url"):
        lines.append(f"region: missing. Set it to one of {_list(REGIONS)}, or set api_url")
    checks: dict[str, t.Callable[[t.Any], object]] = {
        "api_url": _check_url,
        "start_date": to_utc,
        "user_agent": _check_header,
        "media_shard": to_shard,
        "stream_maps": _check_maps,
        "batch_config": _check_batch,
    }
    for name, check in checks.items():
        if config.get(name) and name not in wrong:
            try:
                check(config[name])
            except ValueError as error:
                lines.append(f"{name}: {error}")
    return lines


def base_url(config: Mapping[str, t.Any]) -> str:
    """Return the URL that paths are appended to; `api_url` wins over `region`."""
    if config.get("api_url"):
        return str(config["api_url"])
    return f"https://{config['region']}.focus.subphonic.ai/api"


def to_utc(text: str) -> str:
    """Turn an ISO 8601 date or date-time, UTC unless it names a zone, into Focus's `fromDate`.

    Returns:
        `YYYY-MM-DDTHH:MM:SSZ`, whole seconds, rounded down so that nothing is passed over.

    Raises:
        ValueError: it is no date.
    """
    try:
        # Python 3.10 alone would not know "Z"; the SDK teaches it when it is imported.
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        moment = moment.astimezone(timezone.utc).replace(microsecond=0, tzinfo=None)
    except (ValueError, OverflowError):
        raise ValueError(
            f"must be a date such as 2025-01-31 or 2025-01-31T09:00:00Z, not {text!r}"
        ) from None
    return f"{moment.isoformat()}Z"


def to_shard(text: str) -> Shard:
    """Read a `media_shard`.

    Raises:
        ValueError: it is not `k/n` with 1 ≤ k ≤ n.
    """
    part, _, parts = text.partition("/")
    if part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts):
        return Shard(int(part), int(parts))
    raise ValueError(f"must be k/n with k from 1 to n, such as 2/3, not {text!r}")


def _check_url(text: str) -> None:
    """Refuse a URL that would send credentials where they don't belong."""
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        raise ValueError("is no URL") from None
    if url.username is not None or url.password is not None:
        raise ValueError("must not hold a user name or password; use api_key and username")
    if url.query or url.fragment or not host:
        raise ValueError("must be a plain base URL such as https://focus.example.com/api")
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(host)):
        raise ValueError("must begin with https:// (plain http is for this machine alone)")


def _check_header(text: str) -> None:
    """Refuse text that no HTTP header can carry."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError("must be printable ASCII text")


def _check_batch(value: dict[str, t.Any]) -> None:
    """Refuse what the SDK would only fail on at the first batch, or never write."""
    try:
        batch = BatchConfig.from_dict(value)
        check_store(batch.storage.root)
    except (TypeError, KeyError, AttributeError):
        raise ValueError("needs encoding.format and storage.root") from None
    if type(batch.batch_size) is not int or batch.batch_size < 1:
        raise ValueError("batch_size must be an integer of 1 or more")
    if batch.encoding.format == "jsonl" and batch.encoding.compression != "gzip":
        raise ValueError("encoding.compression must be gzip, since jsonl is written so")


def _check_maps(maps: dict[str, t.Any]) -> None:
    """Refuse a map of no stream: whoever meant to hide something would hide nothing."""
    for name, definition in maps.items():
        source = definition.get("__source__", name) if isinstance(definition, dict) else name
        if name != "__else__" and not fnmatch.filter(STREAMS, source):
            raise ValueError(f"there is no stream {source!r}, only {' and '.join(STREAMS)}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


_EXPECTED: dict[object, t.Callable[[t.Any], str]] = {
    "type": lambda kinds: f"must be {_list(_with_article(kinds))}",
    "enum": lambda values: f"must be one of {_list(values)}",
    "minimum": lambda least: f"must be {least} or more",
    "maximum": lambda most: f"must be {most} or less",
    "exclusiveMinimum": lambda bound: f"must be more than {bound}",
    "minLength": lambda _: "must not be empty",
}


def _in_words(error: ValidationError, schema: dict[str, t.Any]) -> str:
    """Say what is wrong with one setting."""
    settings = schema["properties"]
    if error.validator == "required" and not error.path:
        missing = next(name for name in schema["required"] if f"'{name}'" in error.message)
        return f"{missing}: missing. {settings[missing]['description']}"
    name = ".".join(str(part) for part in error.path)
    if error.validator not in _EXPECTED:
        # Not jsonschema's own text: it holds the value, and a stream map may hold a salt.
        return f"{name}: does not fit its schema ({error.validator}); see tap-focus --about"
    is_secret = settings.get(str(error.path[0]), {}).get("secret", False)
    given = "" if is_secret else f", not {error.instance!r}"
    return f"{name}: {_EXPECTED[error.validator](error.validator_value)}{given}"


def _with_article(kinds: str | list[str]) -> list[str]:
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return [f"a{'n' if kind[0] in 'aeiou' else ''} {kind}" for kind in kinds if kind != "null"]


def _list(names: t.Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last
