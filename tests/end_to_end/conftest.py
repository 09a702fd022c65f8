"""Fixture: a schema in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from psycopg.sql import SQL, Identifier

from tests.helpers.meltano import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def warehouse(postgres: str) -> Iterator[Warehouse]:
    warehouse = Warehouse(postgres)
    yield warehouse
    with warehouse.connect() as connection:
        connection.execute(
            SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(warehouse.schema))
        )
