"""Settings of the tap: JSON schema with defaults and descriptions."""

from __future__ import annotations

import typing as t

from singer_sdk import typing as th

REGIONS = ("uk", "eu", "us", "ca")

MAX_CONCURRENCY = 64
"""Most downloads at once."""

SCHEMA: dict[str, t.Any] = th.PropertiesList(
    th.Property(
        "region",
        th.StringType(allowed_values=list(REGIONS)),
        title="Region",
        description="Region of your Focus account. Determines the base URL. Set this or `api_url`.",
    ),
    th.Property(
        "api_url",
        th.StringType(),
        title="API URL",
        description="Base URL instead of the region's, for a proxy or the sandbox: https, or plain "
        "http to localhost. Takes precedence over `region`.",
    ),
    th.Property(
        "api_key",
        th.StringType(min_length=1),
        required=True,
        secret=True,
        title="API key",
        description="API key, created in Focus under Admin → Account → Integrations.",
    ),
    th.Property(
        "username",
        th.StringType(min_length=1),
        required=True,
        title="Username",
        description="Username of the service user that Focus shows next to the API key.",
    ),
    th.Property(
        "client_id",
        th.IntegerType(),
        required=True,
        title="Client ID",
        description="Number of your account that Focus shows next to the API key.",
    ),
    th.Property(
        "start_date",
        th.DateTimeType(),
        title="Start date",
        description="Where a sync without a bookmark starts, in UTC unless it names a zone. "
        "Default: the first recording in Focus. A bookmark takes precedence.",
    ),
    th.Property(
        "page_size",
        th.IntegerType(minimum=1, maximum=100_000),
        default=100,
        title="Page size",
        description="Recordings per request. Larger pages are faster. After a crash at most one "
        "page, and the pages requested in advance, are read again.",
    ),
    th.Property(
        "request_timeout",
        th.NumberType(exclusive_minimum=0, maximum=3600),
        default=60,
        title="Request timeout",
        description="Seconds to wait for a connection and between two parts of a response. One "
        "attempt takes at most five times as long in total.",
    ),
    th.Property(
        "max_retries",
        th.IntegerType(minimum=0, maximum=1000),
        default=8,
        title="Maximum retries",
        description="Retries of a request after a transient failure. The wait doubles from half a "
        "second up to a minute. A Retry-After of up to a minute is honored.",
    ),
    th.Property(
        "user_agent",
        th.StringType(min_length=1),
        title="User agent",
        description="`User-Agent` header of each request. Default: `tap-focus/` and the version.",
    ),
    th.Property(
        "sanitize_text",
        th.BooleanType(),
        default=False,
        title="Sanitize text",
        description="Replace NUL characters and unpaired surrogates with U+FFFD. PostgreSQL cannot "
        "store them, also not within JSON.",
    ),
    th.Property(
        "media_path",
        th.StringType(min_length=1),
        title="Media path",
        description="Where `recording_media` stores the audio: a local folder, or a URL such as "
        "`s3://bucket/folder`. Required if that stream is selected.",
    ),
    th.Property(
        "media_concurrency",
        th.IntegerType(minimum=1, maximum=MAX_CONCURRENCY),
        default=8,
        title="Media concurrency",
        description="Downloads at once.",
    ),
    th.Property(
        "media_shard",
        th.StringType(),
        title="Media shard",
        description="`k/n` archives the k-th of n parts of all recordings, so that n machines can "
        "share the work.",
    ),
).to_dict()
