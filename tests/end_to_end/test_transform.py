"""The dbt models of `transform/`, on PostgreSQL and on DuckDB."""

from __future__ import annotations

import copy
import gzip
import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from ruamel.yaml import YAML

from tests.helpers.dbt import (
    JSON_COLUMNS,
    PROJECT,
    Dbt,
    connection_settings,
    load_media,
    load_recordings,
    needs_dbt,
    read_tables,
)
from tests.helpers.markdown import read_blocks
from tests.helpers.meltano import Meltano
from tests.helpers.privacy import personal_values
from tests.helpers.runner import ROOT, clean_environment, run_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tap_focus.sandbox import Sandbox
    from tests.helpers.dbt import Form

pytestmark = [needs_dbt, pytest.mark.models]

TABLES = {
    "stg_focus__recordings",
    "stg_focus__participants",
    "int_focus__people_in_recordings",
    "focus__recordings",
    "focus__participants",
    "focus__people",
    "focus__tags",
    "focus__topics",
    "focus__daily_activity",
    "focus__pairs",
    "focus__retention",
    "focus__feed_health",
}
AUDIO_TABLES = {"stg_focus__recording_media", "focus__audio_coverage"}


RAW, SCHEMA = "raw", "models"


class Models:
    """The schema of the loader and the schema of the models in PostgreSQL, and dbt for them."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.dbt = Dbt(
            folder,
            "postgres",
            **connection_settings(url),
            FOCUS_SCHEMA=RAW,
            DBT_POSTGRES_SCHEMA=SCHEMA,
        )

    def execute(self, query: str, *parameters: object) -> None:
        """Run a statement whose tables are those of the loader."""
        with psycopg.connect(self.url) as connection:
            connection.execute(SQL("SET search_path TO {}").format(Identifier(RAW)))
            connection.execute(query, parameters)

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        return read_tables(self.url, SCHEMA)

    def plans_of_deletions(self) -> Iterator[str]:
        """Yield how PostgreSQL runs the statements by which dbt deletes rows before a build."""
        log = (self.dbt.folder / "dbt" / "dbt.log").read_text("utf-8")
        found = re.findall(r"^ *(delete from .*?)\n\d\d:\d\d:", log, re.DOTALL | re.MULTILINE)
        statements = set(found)
        assert len(statements) >= 2
        with psycopg.connect(self.url) as connection:
            for statement in statements:
                rows = connection.execute(f"EXPLAIN {statement}").fetchall()
                yield "\n".join(line for (line,) in rows)

    def answer(self, query: str) -> list[dict[str, Any]]:
        """Return the rows of a query, in which the schema has the name of the documentation."""
        query = query.replace("focus_models.", f"{SCHEMA}.")
        with psycopg.connect(self.url) as connection:
            rows = connection.execute(f"SELECT to_jsonb(q) FROM ({query}) AS q").fetchall()  # noqa: S608
        return [row for (row,) in rows]


@pytest.fixture(scope="module")
def reused(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    """One database and one folder for all tests, so that dbt parses the project only once."""
    name = f"transform_{uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        url = urlunsplit(urlsplit(postgres)._replace(path=f"/{name}"))
        yield Models(url, tmp_path_factory.mktemp("dbt"))
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture
def models(reused: Models) -> Iterator[Models]:
    yield reused
    with psycopg.connect(reused.url) as connection:
        for schema in (RAW, SCHEMA):
            connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(schema)))


@pytest.fixture
def recordings(sandbox: Sandbox) -> list[dict[str, Any]]:
    return list(sandbox.latest().values())


def media_row(recording: dict[str, Any], status: str) -> dict[str, Any]:
    names = ("interactionId", "thirdPartyId", "startDatetimeUTC", "type")
    return {**{name: recording[name] for name in names}, "status": status}


def with_models(meltano: Meltano) -> Meltano:
    """Add the checkout's models and its dbt to a Meltano project."""
    (meltano.folder / "transform").symlink_to(PROJECT)
    (meltano.folder / ".meltano" / "utilities").symlink_to(ROOT / ".meltano" / "utilities")
    return meltano


def test_meltano_loads_postgres_and_builds_the_models(
    models: Models, sandbox: Sandbox, tmp_path: Path
) -> None:
    meltano = with_models(Meltano(tmp_path, sandbox.settings))
    environment = {
        **connection_settings(models.url),
        "TARGET_POSTGRES_SQLALCHEMY_URL": models.url.replace("://", "+psycopg://", 1),
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": RAW,
        "DBT_POSTGRES_SOURCE_SCHEMA": RAW,
        "DBT_POSTGRES_SCHEMA": SCHEMA,
    }
    meltano.run("run", "tap-focus", "target-postgres", "dbt-postgres:build", **environment)

    tables = models.tables()
    assert tables.keys() == TABLES
    expected = sandbox.latest()
    assert {row["interaction_id"] for row in tables["focus__recordings"]} == expected.keys()
    assert len(tables["focus__participants"]) == sum(
        len(recording["endpoints"]) for recording in expected.values()
    )


@pytest.mark.parametrize("form", ["jsonb", "text"])
def test_a_second_build_equals_a_build_from_nothing(
    models: Models, sandbox: Sandbox, form: Form
) -> None:
    """Every model, with the audio archive, and after every kind of update."""
    first = sandbox.latest()
    ids = sorted(first)
    due, without_participants, with_fewer, deleted, without_tags, undated, renamed = ids[:7]
    # Its retention ends between the builds, without a load.
    first[due] |= {"retainUntil": "2026-01-01", "legalHolds": None}
    load_recordings(models.url, RAW, first.values(), form=form)
    load_media(models.url, RAW, [media_row(new, "failed") for new in first.values()])
    models.dbt("run", FOCUS_NOW="2025-03-05", FOCUS_USING_AUDIO="true")
    sandbox.grow(100)
    latest = {**sandbox.latest(), due: first[due]}
    changed = {key: new for key, new in latest.items() if new != first.get(key)}
    changed[without_participants] = {**first[without_participants], "endpoints": []}
    changed[with_fewer] = {**first[with_fewer], "endpoints": first[with_fewer]["endpoints"][:1]}
    changed[without_tags] = {**first[without_tags], "tags": [], "analysis": None}
    changed[undated] = {**first[undated], "startDatetimeUTC": None}
    changed[renamed] = copy.deepcopy(first[renamed])
    changed[renamed]["endpoints"][0]["person"]["fullName"] = "Only In This Recording"
    load_recordings(models.url, RAW, changed.values(), form=form, loaded_at="2025-03-05 12:00")
    load_media(models.url, RAW, [media_row(new, "stored") for new in changed.values()])
    for name in ("recordings", "recording_media"):
        models.execute(f'DELETE FROM {name} WHERE "interactionId" = %s', deleted)  # noqa: S608

    models.dbt("run", FOCUS_NOW="2026-01-02", FOCUS_USING_AUDIO="true")
    again = models.tables()
    for plan in models.plans_of_deletions():
        assert "Anti Join" in plan  # a subplan would search a table for each of millions of rows
        assert "SubPlan" not in plan
    models.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
    models.dbt("run", FOCUS_NOW="2026-01-02", FOCUS_USING_AUDIO="true")
    from_nothing = models.tables()

    assert again.keys() == TABLES | AUDIO_TABLES
    assert again == from_nothing
    assert deleted not in {row.get("interaction_id") for rows in again.values() for row in rows}
    participants = [row["interaction_id"] for row in again["focus__participants"]]
    assert participants.count(without_participants) == 0
    assert participants.count(with_fewer) == 1
    assert without_tags not in {row["interaction_id"] for row in again["focus__tags"]}
    (row,) = (r for r in again["stg_focus__recordings"] if r["interaction_id"] == due)
    assert row["is_deleted_by_retention"] is True


@pytest.mark.parametrize("form", ["jsonb", "text"])
def test_the_models_do_not_depend_on_how_the_loader_stores_json(
    models: Models, recordings: list[dict[str, Any]], form: Form
) -> None:
    """Also, the loader can change the type of a column between two builds."""
    recordings[0]["legalHolds"] = "2"
    recordings[1]["legalHolds"] = 0
    recordings[2]["isPrivateReason"] = 12
    recordings[3]["additionalFields"] = {"mood": "12", "agent": [1, None]}
    load_recordings(models.url, RAW, recordings)
    models.dbt("run")
    expected = models.tables()
    models.execute("DROP TABLE recordings")
    load_recordings(models.url, RAW, recordings, form=form)

    models.dbt("run")

    assert without_versions(models.tables()) == without_versions(expected)


def without_versions(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [{k: v for k, v in row.items() if k != "source_version"} for row in rows]
        for name, rows in tables.items()
    }


def test_a_column_that_is_not_loaded_is_null(
    models: Models, recordings: list[dict[str, Any]]
) -> None:
    load_recordings(models.url, RAW, recordings)
    models.dbt("run")
    models.execute('ALTER TABLE recordings DROP "transcriptSnippet", DROP tags, DROP endpoints')

    models.dbt("run")

    tables = models.tables()
    assert {row["transcript_snippet"] for row in tables["focus__recordings"]} == {None}
    assert {row["direction"] for row in tables["focus__recordings"]} == {"unknown"}
    assert tables["focus__tags"] == tables["focus__people"] == []


def test_the_audio_models_count_every_recording_of_every_day(
    models: Models, recordings: list[dict[str, Any]]
) -> None:
    statuses = ("stored", "not_permitted", "not_found", "failed")
    days_of_feed = sorted({recording["startDatetimeUTC"][:10] for recording in recordings})
    missing = days_of_feed[3]
    recordings = [r for r in recordings if r["startDatetimeUTC"][:10] != missing]
    load_recordings(models.url, RAW, recordings)
    load_media(
        models.url,
        RAW,
        [media_row(recordings[n], statuses[n % 4]) for n in range(len(recordings) - 10)],
    )

    models.dbt("build", FOCUS_USING_AUDIO="true")

    tables = models.tables()
    assert tables.keys() == TABLES | AUDIO_TABLES
    days = tables["focus__audio_coverage"]
    assert [day["activity_date"] for day in days] == days_of_feed
    assert sum(day["recordings_count"] for day in days) == len(recordings)
    assert sum(day["not_tried_count"] for day in days) == 10
    assert days[3]["verdict"] == "no recordings"
    assert days[0]["verdict"] == "incomplete"
    stored = [row for row in tables["focus__retention"] if row["is_audio_stored"]]
    assert len(stored) == sum(day["stored_count"] for day in days)


def found(tables: dict[str, list[dict[str, Any]]], values: set[str]) -> set[str]:
    """Return the values that occur in a table."""
    text = json.dumps(tables, ensure_ascii=False)
    return {value for value in values if json.dumps(value, ensure_ascii=False)[1:-1] in text}


def test_rules_for_personal_data_apply_to_every_column_at_once(
    models: Models, recordings: list[dict[str, Any]]
) -> None:
    """The models were built before, so the incremental ones have to be built again."""
    load_recordings(models.url, RAW, recordings)
    personal = personal_values(recordings)
    models.dbt("run")
    kept = models.tables()
    rules = {
        "default": "drop",
        "transcript_snippet": "hash",
        "address": "hash",
        "full_name": "mask",
    }
    settings = {"FOCUS_PERSONAL_DATA": json.dumps(rules), "FOCUS_HASH_SALT": "it's a salt"}

    models.dbt("build", **settings)

    tables = models.tables()
    assert len(found(kept, personal)) > 0.9 * len(personal)
    assert found(tables, personal) == set()
    snippets = {row["transcript_snippet"] for row in tables["focus__recordings"]} - {None}
    assert len(snippets) > 5
    assert {len(snippet) for snippet in snippets} == {64}
    names = {row["full_name"] for row in tables["focus__people"]} - {None}
    assert {name[1:] for name in names} == {"***"}
    assert len(tables["focus__people"]) == len(kept["focus__people"])


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        ('{"fullName": "drop"}', "there is no personal column 'fullName'"),
        ('{"full_name": "hash"}', "needs the setting hash_salt"),
    ],
)
def test_a_rule_with_a_typo_is_an_error(models: Models, rules: str, error: str) -> None:
    load_recordings(models.url, RAW, [])

    assert error in models.dbt.fail("run", FOCUS_PERSONAL_DATA=rules)


def test_duckdb_gives_the_answers_of_postgres(
    models: Models, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The files contain updates, so that the last version of a recording has to win."""
    output = tmp_path / "output"
    meltano = with_models(Meltano(tmp_path, sandbox.settings))
    meltano.run("run", "tap-focus", "target-jsonl", "dbt-duckdb:run", FOCUS_NOW="2025-03-05")
    (first,) = output.glob("*.jsonl")
    first.rename(output / "recordings-20250101T000000.jsonl")
    sandbox.grow(100)
    meltano.run("run", "tap-focus", "target-jsonl", "dbt-duckdb:build", FOCUS_NOW="2025-03-05")
    duckdb = duckdb_tables(output / "focus.duckdb")
    load_recordings(models.url, RAW, sandbox.latest().values())
    models.dbt("run")

    postgres = {name: comparable(rows) for name, rows in models.tables().items()}
    assert {name: comparable(rows) for name, rows in duckdb.items()} == postgres
    both, only_duckdb = documented_queries()
    answers = run_in_duckdb(output / "focus.duckdb", "answers", *both, *only_duckdb)
    for query, rows in zip(both, answers, strict=False):
        assert comparable(rows) == comparable(models.answer(query)), query
    lines = [*output.glob("*.jsonl")]
    assert sum(len(path.read_text("utf-8").splitlines()) for path in lines) > len(sandbox.latest())


def test_duckdb_reads_files_with_json_text(
    recordings: list[dict[str, Any]], tmp_path: Path
) -> None:
    recordings[0] |= {"endpoints": None, "tags": None, "analysis": None, "optional": None}
    recordings[0]["legalHolds"] = {"name": "case 12"}
    media = [
        {**media_row(recording, status), "legalHolds": recording["legalHolds"]}
        for status in ("failed", "stored")  # the last line counts
        for recording in recordings
    ]
    results = []
    for name in ("native", "text"):
        folder = tmp_path / name
        folder.mkdir()
        for stream, rows in {"recordings": recordings, "recording_media": media}.items():
            written = rows if name == "native" else map(with_json_text, rows)
            lines = "".join(json.dumps(row) + "\n" for row in written)
            # A name of target-s3
            path = folder / stream / f"{stream}20250305-120000-part-00001-5c891dd9.jsonl.gz"
            path.parent.mkdir()
            path.write_bytes(gzip.compress(lines.encode()))
        environment = {
            "DBT_DUCKDB_PATH": str(folder / "focus.duckdb"),
            "FOCUS_FILES": str(folder / "{stream}" / "**" / "*.jsonl.gz"),
            "FOCUS_USING_AUDIO": "true",
        }
        Dbt(folder, "duckdb", **environment)("run")
        results.append(duckdb_tables(folder / "focus.duckdb"))

    assert results[0] == results[1]
    assert results[0].keys() == TABLES | AUDIO_TABLES
    stored = [day["stored_count"] for day in results[0]["focus__audio_coverage"]]
    assert sum(stored) == len(recordings)
    assert results[0]["focus__feed_health"][0]["last_loaded_at"] == "2025-03-05 12:00:00"


def with_json_text(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as the tap writes it with its setting `json_text`."""
    return {
        name: json.dumps(value) if name in NESTED and value is not None else value
        for name, value in row.items()
    }


NESTED = {*JSON_COLUMNS, "previousFiles"}


def documented_queries() -> tuple[list[str], list[str]]:
    """Return the queries of docs/queries.md for both databases, and those for DuckDB."""
    blocks = [b for b in read_blocks(ROOT / "docs" / "queries.md") if "focus_models" in b.content]
    queries = {b.content.strip("; \n"): b.marks for b in blocks if b.language == "sql"}
    both = [query for query, marks in queries.items() if not marks and "jsonb" not in query]
    return both, [query for query, marks in queries.items() if marks == ["duckdb"]]


DUCKDB_SCRIPT = """
import duckdb, json, sys
path, wanted, *queries = sys.argv[1:]
connection = duckdb.connect(path, read_only=True)
def rows(source):
    found = connection.sql(f"SELECT to_json(t) FROM {source} AS t").fetchall()
    return [json.loads(row) for (row,) in found]
if wanted == "tables":
    names = connection.sql("SELECT table_name FROM duckdb_tables()").fetchall()
    print(json.dumps({name: rows(f"focus_models.{name}") for (name,) in names}))
else:
    print(json.dumps([rows(f"({query})") for query in queries]))
"""


def run_in_duckdb(path: Path, *arguments: str) -> Any:
    """Run the script in the adapter's Python, which has the only DuckDB that reads the file."""
    python = ROOT / ".meltano" / "utilities" / "dbt-duckdb" / "venv" / "bin" / "python"
    command = (str(python), "-c", DUCKDB_SCRIPT, str(path), *arguments)
    run = run_command(*command, environment=clean_environment())
    assert run.exit_code == 0, run.log
    return json.loads(run.out)


def duckdb_tables(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of all tables of a DuckDB file."""
    tables: dict[str, list[dict[str, Any]]] = run_in_duckdb(path, "tables")
    return {
        name: sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))
        for name, rows in tables.items()
    }


LOADER_COLUMNS = {
    *("hours_since_last_load", "lag_hours", "last_loaded_at", "loaded_at"),
    *("model_version", "next_cursor_id", "source_version"),
}
TIMES = {
    *("ended_at", "first_recorded_at", "first_seen_at", "first_started_at", "last_recorded_at"),
    *("last_seen_at", "last_started_at", "retain_until", "started_at", "started_at_local"),
}


def comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows without what differs between loaders, and with one format for times."""
    result = []
    for row in rows:
        values = {}
        for name, value in row.items():
            if name in LOADER_COLUMNS:
                continue
            if name in TIMES and value:
                values[name] = value.replace(" ", "T").rstrip("0").rstrip(".")
            elif name == "duration_seconds" and value is not None:
                values[name] = float(value)
            else:
                values[name] = value
        result.append(values)
    return sorted(result, key=lambda row: json.dumps(row, sort_keys=True))


def test_another_project_installs_the_models_as_a_package(
    models: Models, recordings: list[dict[str, Any]], tmp_path: Path
) -> None:
    load_recordings(models.url, RAW, recordings)
    project = tmp_path / "project"
    project.mkdir()
    YAML().dump(
        {
            "name": "company",
            "profile": "focus",
            "vars": {"focus_schema": RAW, "focus_timezone": "Asia/Tokyo"},
        },
        project / "dbt_project.yml",
    )
    YAML().dump({"packages": [git_package(tmp_path / "repository")]}, project / "packages.yml")
    environment = {"DBT_PROJECT_DIR": str(project), "FOCUS_SCHEMA": "another"}

    models.dbt("deps", **environment)
    models.dbt("run", **environment)

    tables = models.tables()
    assert len(tables["focus__recordings"]) == len(recordings)
    row = tables["focus__recordings"][0]
    assert row["started_at_local"] > row["started_at"]


def git_package(repository: Path) -> dict[str, str]:
    """Return an entry of `packages.yml` for a new git repository with the models."""
    shutil.copytree(PROJECT, repository / "transform")
    author = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    git = shutil.which("git") or "git"
    for command in (["init", "--quiet"], ["add", "."], [*author, "commit", "--quiet", "-m", "Add"]):
        subprocess.run([git, *command], check=True, cwd=repository)
    return {"git": repository.as_uri(), "revision": "HEAD", "subdirectory": "transform"}


def test_empty_tables_are_no_error_and_every_column_is_described(models: Models) -> None:
    load_recordings(models.url, RAW, [])
    load_media(models.url, RAW, [])
    models.dbt("build", FOCUS_USING_AUDIO="true")

    tables = models.tables()
    assert [row["recordings_count"] for row in tables.pop("focus__feed_health")] == [0]
    assert all(rows == [] for rows in tables.values())
    assert described_columns() == column_names(models.url)


def described_columns() -> dict[str, set[str]]:
    """Return the documented columns of each model that becomes a table."""
    columns = {}
    for path in (PROJECT / "models").rglob("*.yml"):
        for model in YAML(typ="safe").load(path).get("models", []):
            assert all(column["description"] for column in model.get("columns", [model]))
            columns[model["name"]] = {column["name"] for column in model.get("columns", [])}
    return {name: names for name, names in columns.items() if not name.startswith("base_")}


def column_names(url: str) -> dict[str, set[str]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            """SELECT table_name, array_agg(column_name::text) FROM information_schema.columns
               WHERE table_schema = %s GROUP BY table_name""",
            [SCHEMA],
        ).fetchall()
    return {name: set(columns) for name, columns in rows}
