"""The settings of the tap: types, defaults and descriptions, as JSON schema.

`tap_focus.settings_checks` normalizes and validates their values.
"""

from __future__ import annotations

import typing as t

from singer_sdk import typing as th

if t.TYPE_CHECKING:
    from collections.abc import Callable

REGIONS = ("uk", "eu", "us", "ca")


def _setting(name: str, kind: t.Any, **options: t.Any) -> Callable[[str], th.Property[t.Any]]:
    """Return a function that makes the setting from its description."""
    options.setdefault("title", name.replace("_", " ").capitalize())
    return lambda description: th.Property(name, kind, description=description, **options)


SCHEMA: dict[str, t.Any] = th.PropertiesList(
    _setting("region", th.StringType(allowed_values=list(REGIONS)))(
        "Region of your Focus account. Determines the base URL. Set this or `api_url`."
    ),
    _setting("api_url", th.StringType(), title="API URL")(
        "Base URL instead of the region's, for a proxy or the sandbox: https, or plain http to "
        "localhost. Takes precedence over `region`."
    ),
    _setting("api_key", th.StringType(min_length=1), title="API key", required=True, secret=True)(
        "API key, created in Focus under Admin → Account → Integrations."
    ),
    _setting("username", th.StringType(min_length=1), required=True)(
        "Username of the service user that Focus shows next to the API key."
    ),
    _setting("client_id", th.IntegerType(), title="Client ID", required=True)(
        "Number of your account that Focus shows next to the API key."
    ),
    _setting("start_date", th.DateTimeType())(
        "Where a sync without a bookmark starts, in UTC unless it names a zone. Default: the first "
        "recording in Focus. A bookmark takes precedence."
    ),
    _setting("page_size", th.IntegerType(minimum=1, maximum=100_000), default=100)(
        "Recordings per request. Larger pages are faster. After a crash at most one page, and the "
        "pages requested in advance, are read again."
    ),
    _setting("request_timeout", th.NumberType(exclusive_minimum=0, maximum=3600), default=60)(
        "Seconds to wait for a connection and between two parts of a response. One attempt takes "
        "at most five times as long in total."
    ),
    _setting(
        "max_retries", th.IntegerType(minimum=0, maximum=1000), title="Maximum retries", default=8
    )(
        "Retries of a request after a transient failure. The wait doubles from half a second up to "
        "a minute. A Retry-After of up to a minute is honored."
    ),
    _setting("user_agent", th.StringType(min_length=1))(
        "`User-Agent` header of each request. Default: `tap-focus/` and the version."
    ),
    _setting("sanitize_text", th.BooleanType(), default=False)(
        "Replace NUL characters and unpaired surrogates with U+FFFD. PostgreSQL cannot store them, "
        "not even within JSON."
    ),
    _setting("json_text", th.BooleanType(), title="JSON text", default=False)(
        "Write columns with arrays, objects or values of any type as text that contains JSON, for "
        "targets without a JSON type."
    ),
    _setting("media_path", th.StringType(min_length=1))(
        "Where `recording_media` stores the audio: a local folder, or a URL such as "
        "`s3://bucket/folder`. Required if that stream is selected."
    ),
    _setting("media_concurrency", th.IntegerType(minimum=1, maximum=64), default=8)(
        "Downloads at once."
    ),
    _setting("media_retry_days", th.NumberType(minimum=0, maximum=365), default=7)(
        "Days for which audio that is missing or failed is requested again, at growing intervals. "
        "0 turns it off."
    ),
    _setting(
        "media_max_bytes", th.IntegerType(minimum=1), title="Media max. size", default=10 * 1024**3
    )("Largest audio file in bytes. A larger one gets the status `failed`."),
    _setting(
        "media_max_seconds",
        th.NumberType(exclusive_minimum=0),
        title="Media max. duration",
        default=6 * 60 * 60,
    )("Longest download of one file in seconds, retries included."),
    _setting("media_lock", th.StringType(allowed_values=["governance", "compliance"]))(
        "Lock each file in S3 (Object Lock) in this mode, until `retainUntil` and while there are "
        "`legalHolds`. The bucket needs Object Lock."
    ),
    _setting("media_shard", th.StringType())(
        "`k/n` archives the k-th of n parts of all recordings, so that n machines can share the "
        "work."
    ),
).to_dict()
