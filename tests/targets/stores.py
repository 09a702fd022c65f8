"""Readers of what a target wrote: tables of databases, and files."""

from __future__ import annotations

import csv
import gzip
import json
import sqlite3
import subprocess
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from subprocess import PIPE
from typing import TYPE_CHECKING, Any

import psycopg
import requests
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier
from psycopg.types.json import set_json_loads

from tests.targets.comparison import COLUMNS, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.helpers.s3 import S3Server

BUCKET = "matrix"
ALL_COLUMNS = set(COLUMNS)
loads = partial(json.loads, parse_float=Decimal)


@dataclass(frozen=True)
class Place:
    """Where a target writes in one case.

    Attributes:
        name: unique, in lower case: a schema of the database, a prefix in the bucket.
        folder: empty at first.
        bin: the `bin` folder of the target's environment.
        postgres: the `postgresql://` URL of a server.
        s3: a server with the bucket `BUCKET`.
        port: of the service that the target needs, if any.
    """

    name: str
    folder: Path
    bin: Path
    postgres: str
    s3: S3Server
    port: int = 0


def read_postgres(place: Place) -> Table:
    """Return the table `recordings` of the schema."""
    query = SQL("SELECT * FROM {}").format(Identifier(place.name, "recordings"))
    with psycopg.connect(place.postgres, row_factory=dict_row) as connection:
        set_json_loads(loads, connection)
        cursor = connection.execute(query)
        is_json = {column.name for column in cursor.description or [] if column.type_code == 3802}
        return Table(cursor.fetchall(), is_json)


def read_json_lines(place: Place) -> Table:
    """Return the lines of the files in the folder, oldest first."""
    files = sorted(place.folder.rglob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    return _lines_table(path.read_bytes() for path in files)


def read_s3_json_lines(place: Place) -> Table:
    """Return the lines of the objects of the prefix, oldest first."""
    return _lines_table(
        gzip.decompress(content) if key.endswith(".gz") else content
        for key, content in _objects(place)
    )


def read_in_environment(place: Place, kind: str, *arguments: str) -> Table:
    """Return what the program `read_table.py` reads in the environment of the target."""
    program = Path(__file__).with_name("read_table.py")
    command = [str(place.bin / "python"), str(program), kind, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    content = loads(done.stdout)
    return Table(content["rows"], {*content["json_columns"]})


def read_csv(place: Place) -> Table:
    """Return the rows of the CSV files in the folder, oldest first. All values are texts."""
    rows: list[dict[str, Any]] = []
    csv.field_size_limit(2**24)
    for path in sorted(place.folder.rglob("*.csv"), key=lambda path: path.stat().st_mtime_ns):
        with path.open(encoding="utf-8", newline="") as file:
            rows += csv.DictReader(file)
    return Table(rows, appends=True)


def read_sqlite(place: Place) -> Table:
    """Return the table `recordings` of the database `store.db` in the folder."""
    with closing(sqlite3.connect(place.folder / "store.db")) as connection:
        connection.row_factory = sqlite3.Row
        return Table([dict(row) for row in connection.execute("SELECT * FROM recordings")])


def read_duckdb(place: Place) -> Table:
    """Return the table `recordings` of the database `store.duckdb` in the folder."""
    return read_in_environment(place, "duckdb", str(place.folder / "store.duckdb"))


def read_parquet(place: Place) -> Table:
    """Return the rows of the Parquet files in the folder, oldest first."""
    files = sorted(place.folder.rglob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    table = read_in_environment(place, "parquet", *map(str, files))
    table.appends = True
    return table


def read_s3_parquet(place: Place) -> Table:
    """Return the rows of the Parquet files of the prefix, oldest first."""
    for number, (_, content) in enumerate(_objects(place)):
        (place.folder / f"{number:03}.parquet").write_bytes(content)
    return read_parquet(place)


@contextmanager
def clickhouse(place: Place) -> Iterator[Place]:
    """Run a ClickHouse server in the environment of the target, and yield the place with it."""
    program = Path(__file__).with_name("clickhouse_server.py")
    command = [str(place.bin / "python"), str(program), str(place.folder)]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as server:
        assert server.stdin
        assert server.stdout
        yield replace(place, port=int(server.stdout.readline()))
        server.stdin.close()


def read_clickhouse(place: Place) -> Table:
    """Return the table `recordings`, in which a row of ReplacingMergeTree replaces older ones."""
    url = f"http://127.0.0.1:{place.port}/?default_format=JSONEachRow"
    response = requests.post(url, data="SELECT * FROM recordings FINAL", timeout=60)
    response.raise_for_status()
    return Table([loads(line) for line in response.content.split(b"\n") if line])


def _lines_table(contents: Iterable[bytes]) -> Table:
    lines = [line for content in contents for line in content.split(b"\n") if line]
    rows = [loads(line) for line in lines]
    is_native = any(isinstance(row.get("tags"), list) for row in rows)
    return Table(rows, ALL_COLUMNS if is_native else set(), appends=True)


def _objects(place: Place) -> list[tuple[str, bytes]]:
    """Return keys and contents of the objects of the prefix, oldest first."""
    client = place.s3.client
    listing = client.list_objects_v2(Bucket=BUCKET, Prefix=place.name).get("Contents", [])
    keys = [item["Key"] for item in sorted(listing, key=lambda o: (o["LastModified"], o["Key"]))]
    return [(key, client.get_object(Bucket=BUCKET, Key=key)["Body"].read()) for key in keys]
