"""Fixture: a Meltano project as on a server, with an account, a warehouse and an audio archive."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from scripts.postgres import PSQL
from tests.helpers.dbt import PROJECT, connection_settings
from tests.helpers.meltano import Meltano
from tests.helpers.runner import BIN, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tap_focus.sandbox import Sandbox


class Server(Meltano):
    """A project with its environment in `.venv`. The warehouse is an own database."""

    def __init__(self, folder: Path, sandbox: Sandbox, warehouse: str) -> None:
        super().__init__(folder, sandbox.settings)
        self.sandbox = sandbox
        self.warehouse = warehouse
        self.audio = folder / "audio"
        (folder / ".venv").symlink_to(BIN.parent)
        (folder / "transform").symlink_to(PROJECT)
        (folder / ".meltano" / "utilities").symlink_to(ROOT / ".meltano" / "utilities")
        (folder / "tmp").mkdir()
        sqlalchemy_url = warehouse.replace("://", "+psycopg://", 1)
        self.environment |= {
            **connection_settings(warehouse),
            "PATH": os.pathsep.join([str(PSQL.parent), os.environ["PATH"]]),
            "TMPDIR": str(folder / "tmp"),
            "TARGET_POSTGRES_SQLALCHEMY_URL": sqlalchemy_url,
            "MELTANO_DATABASE_URI": sqlalchemy_url,
            "TAP_FOCUS_MEDIA_PATH": str(self.audio),
        }

    def keys(self, table: str, schema: str = "focus", column: str = "interactionId") -> set[int]:
        """Return the primary keys of a table."""
        with psycopg.connect(self.warehouse) as connection:
            query = SQL("SELECT {} FROM {}").format(Identifier(column), Identifier(schema, table))
            return {key for (key,) in connection.execute(query)}

    def model_keys(self) -> set[int]:
        """Return the primary keys of the model of the recordings."""
        return self.keys("focus__recordings", "focus_models", "interaction_id")


@pytest.fixture
def server(tmp_path: Path, sandbox: Sandbox, postgres: str) -> Iterator[Server]:
    name = f"examples_{uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        yield Server(tmp_path, sandbox, urlunsplit(urlsplit(postgres)._replace(path=f"/{name}")))
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
