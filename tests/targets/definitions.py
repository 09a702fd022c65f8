"""The targets of the matrix: their packages, settings and stores."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psycopg.conninfo import conninfo_to_dict
from ruamel.yaml import YAML

from tests.helpers.runner import ROOT
from tests.helpers.s3 import CREDENTIALS, REGION
from tests.targets import stores

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tests.targets.comparison import Table
    from tests.targets.stores import Place

NATIVE, JSON_TEXT = "native", "json_text"


@dataclass(frozen=True)
class Target:
    """A target with settings.

    Attributes:
        name: in the table of the docs.
        package: on PyPI. `requirements/` pins its version.
        executable: the command.
        connect: returns the settings that say where to write.
        read: returns what the target wrote.
        settings: all other settings, which the table shows.
        batches: settings for small batches, so that each run of the small feeds has several.
        forms: of the columns with JSON. `JSON_TEXT` is there if the native form is not right.
        service: starts a service that the target needs, and yields the place with its port.
        plugin: the name in meltano.yml of a loader with the same version and settings.
    """

    name: str
    package: str
    executable: str
    connect: Callable[[Place], dict[str, Any]]
    read: Callable[[Place], Table]
    settings: dict[str, Any] = field(default_factory=dict)
    batches: dict[str, int] = field(default_factory=dict)
    forms: tuple[str, ...] = (NATIVE,)
    service: Callable[[Place], AbstractContextManager[Place]] = nullcontext
    plugin: str | None = None


def loader(name: str) -> dict[str, Any]:
    """Return the definition of a loader in meltano.yml, with what it inherits."""
    project = YAML(typ="safe").load(ROOT / "meltano.yml")
    plugins = {plugin["name"]: plugin for plugin in project["plugins"]["loaders"]}
    plugin = plugins[name]
    parent = plugins.get(plugin.get("inherit_from"), {})
    config = {**parent.get("config", {}), **plugin.get("config", {})}
    return {**parent, **plugin, "config": config}


def _postgres(place: Place) -> dict[str, Any]:
    return {
        "sqlalchemy_url": place.postgres.replace("postgresql://", "postgresql+psycopg://", 1),
        "default_target_schema": place.name,
    }


def _pipelinewise_postgres(place: Place) -> dict[str, Any]:
    parts = conninfo_to_dict(place.postgres)
    return {
        "host": parts["host"],
        "port": int(parts.get("port") or 5432),
        "user": parts["user"],
        "password": parts.get("password", "unused"),
        "dbname": parts["dbname"],
        "default_target_schema": place.name,
    }


def _s3(place: Place) -> dict[str, Any]:
    return {
        "prefix": place.name,
        "cloud_provider": {
            "cloud_provider_type": "aws",
            "aws": {
                "aws_access_key_id": CREDENTIALS["AWS_ACCESS_KEY_ID"],
                "aws_secret_access_key": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
                "aws_region": REGION,
                "aws_bucket": stores.BUCKET,
                "aws_endpoint_override": place.s3.url,
            },
        },
    }


def _s3_jsonl(place: Place) -> dict[str, Any]:
    return {
        "s3_bucket": stores.BUCKET,
        "path_template": place.name + "/{stream}-{date_time}.jsonl",
        "aws_endpoint_url": place.s3.url,
        "work_dir": str(place.folder),
    }


SMALL_BATCHES = {"batch_size_rows": 40}
BOTH = (NATIVE, JSON_TEXT)

NAMES_BY_TIME = {"append_date_to_filename_grain": "second"}
"""For target-s3: the last version of a recording is in the file whose name sorts last."""

TARGETS = [
    Target(
        name="target-postgres (MeltanoLabs)",
        package="meltanolabs-target-postgres",
        executable="target-postgres",
        connect=_postgres,
        read=stores.read_postgres,
        settings={"use_copy": True, "validate_records": False},
        batches=SMALL_BATCHES,
        plugin="target-postgres",
    ),
    Target(
        name="target-jsonl",
        package="target-jsonl",
        executable="target-jsonl",
        connect=lambda place: {"destination_path": str(place.folder)},
        read=stores.read_json_lines,
        plugin="target-jsonl",
    ),
    Target(
        name="target-postgres (PipelineWise)",
        package="pipelinewise-target-postgres",
        executable="target-postgres",
        connect=_pipelinewise_postgres,
        read=stores.read_postgres,
        batches=SMALL_BATCHES,
        forms=BOTH,
    ),
    Target(
        name="target-s3 (plinxore), JSON lines",
        package="plinxore-target-s3",
        executable="target-s3",
        connect=_s3,
        read=stores.read_s3_json_lines,
        settings={"format": {"format_type": "jsonl"}, **NAMES_BY_TIME},
        batches={"max_batch_size": 40},
        plugin="target-s3",
    ),
    Target(
        name="target-s3 (plinxore), Parquet",
        package="plinxore-target-s3",
        executable="target-s3",
        connect=_s3,
        read=stores.read_s3_parquet,
        settings={"format": {"format_type": "parquet"}},
        batches={"max_batch_size": 40},
        forms=BOTH,
    ),
    Target(
        name="target-s3 (plinxore), Parquet, inferred schema",
        package="plinxore-target-s3",
        executable="target-s3",
        connect=_s3,
        read=stores.read_s3_parquet,
        settings={
            "format": {"format_type": "parquet", "format_parquet": {"get_schema_from_tap": False}},
            **NAMES_BY_TIME,
        },
        batches={"max_batch_size": 40},
        forms=BOTH,
        plugin="target-s3-parquet",
    ),
    Target(
        name="target-csv (MeltanoLabs)",
        package="meltanolabs-target-csv",
        executable="target-csv",
        connect=lambda place: {"output_path": str(place.folder)},
        read=stores.read_csv,
        batches=SMALL_BATCHES,
        forms=BOTH,
    ),
    Target(
        name="target-csv (MeltanoLabs), a file per run",
        package="meltanolabs-target-csv",
        executable="target-csv",
        connect=lambda place: {"output_path": str(place.folder)},
        read=stores.read_csv,
        settings={
            "file_naming_scheme": "{stream_name}-{timestamp}.csv",
            "timestamp_format": "%Y%m%dT%H%M%S.%f",
        },
        batches=SMALL_BATCHES,
        forms=BOTH,
    ),
    Target(
        name="target-s3-jsonl",
        package="target-s3-jsonl",
        executable="target-s3-jsonl",
        connect=_s3_jsonl,
        read=stores.read_s3_json_lines,
    ),
    Target(
        name="target-sqlite",
        package="target-sqlite",
        executable="target-sqlite",
        connect=lambda place: {"database": str(place.folder / "store")},
        read=stores.read_sqlite,
        forms=BOTH,
    ),
    Target(
        name="target-duckdb",
        package="target-duckdb",
        executable="target-duckdb",
        connect=lambda place: {
            "path": str(place.folder / "store.duckdb"),
            "default_target_schema": "focus",
        },
        read=stores.read_duckdb,
        # With DuckDB 1.4 and later, the target loses the first row of some batches.
        batches={"batch_size_rows": 3},
        forms=BOTH,
        plugin="target-duckdb",
    ),
    Target(
        name="target-universal-file, Parquet",
        package="target-universal-file",
        executable="target-universal-file",
        connect=lambda place: {"protocol": "local", "path": str(place.folder)},
        read=stores.read_parquet,
        settings={"file_type": "parquet"},
        forms=BOTH,
    ),
    Target(
        name="target-clickhouse (Shaped)",
        package="shaped-target-clickhouse",
        executable="target-clickhouse",
        connect=lambda place: {"host": "127.0.0.1", "port": place.port, "password": "unused"},
        read=stores.read_clickhouse,
        settings={"engine_type": "ReplacingMergeTree"},
        forms=BOTH,
        service=stores.clickhouse,
    ),
]
