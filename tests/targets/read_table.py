"""Print the rows of DuckDB or Parquet files as JSON: `read_table.py duckdb|parquet FILE ...`.

It runs in the environment of a target, which has the package that reads its files.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def read_duckdb(path: str) -> dict[str, Any]:
    """Return the rows of the table `recordings`."""
    import duckdb  # noqa: PLC0415

    connection = duckdb.connect(path, read_only=True)
    (schema,) = connection.execute(
        "SELECT table_schema FROM information_schema.tables WHERE table_name = 'recordings'"
    ).fetchone()
    cursor = connection.execute(f'SELECT * FROM "{schema}".recordings')  # noqa: S608
    names = [column[0] for column in cursor.description]
    json_columns = [column[0] for column in cursor.description if str(column[1]) == "JSON"]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for row in rows:
        for name in json_columns:
            row[name] = row[name] if row[name] is None else json.loads(row[name])
    return {"rows": rows, "json_columns": json_columns}


def read_parquet(*paths: str) -> dict[str, Any]:
    """Return the rows of all files, in their order."""
    import pyarrow.parquet as pq  # noqa: PLC0415
    import pyarrow.types as types  # noqa: PLC0415, PLR0402

    rows: list[dict[str, Any]] = []
    json_columns: set[str] = set()
    for path in paths:
        with open(path, "rb") as file:  # noqa: PTH123 - not a dataset with partitions
            table = pq.ParquetFile(file).read()
        rows += table.to_pylist()
        json_columns |= {field.name for field in table.schema if types.is_nested(field.type)}
    return {"rows": rows, "json_columns": sorted(json_columns)}


if __name__ == "__main__":
    readers: dict[str, Callable[..., dict[str, Any]]]
    readers = {"duckdb": read_duckdb, "parquet": read_parquet}
    print(json.dumps(readers[sys.argv[1]](*sys.argv[2:]), default=str))  # noqa: T201
