"""Measure focus-run with the job that loads recordings and builds models: memory, and bytes."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg
from feed_server import Feed, serve
from processes import BIN, has_ended, server_process
from scale_report import PipelineRun

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))  # a script's own folder is on the path, the project's is not

from scripts.postgres import run_postgres  # noqa: E402

PAGE_SIZE = 1000
FEED = "full"

SIZE = """
SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c
WHERE c.relnamespace = to_regnamespace(%s) AND c.relkind IN ('r', 'm')
"""


def measure_pipeline(recordings: int) -> PipelineRun:
    """Load a feed into an empty database and build the models.

    Raises:
        subprocess.CalledProcessError: The run failed.
    """
    install = [str(BIN / "meltano"), "--log-level=warning", "install"]
    plugins = ["tap-focus", "target-postgres", "dbt-postgres"]
    subprocess.run([*install, *plugins], check=True, cwd=ROOT)
    feeds = {FEED: Feed(-(-recordings // PAGE_SIZE))}
    first_connection = multiprocessing.Value("d", 0.0)
    server = partial(serve, recordings, PAGE_SIZE, feeds, first_connection)
    with (
        server_process(server) as info,
        run_postgres() as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        parts = urlsplit(url)
        host = parts.hostname or parse_qs(parts.query)["host"][0]
        environment = {
            **os.environ,
            "TAP_FOCUS_API_URL": info.url + FEED,
            "TAP_FOCUS_API_KEY": "key",
            "TAP_FOCUS_USERNAME": "user",
            "TAP_FOCUS_CLIENT_ID": "1",
            "TARGET_POSTGRES_SQLALCHEMY_URL": url.replace("://", "+psycopg://", 1),
            "DBT_POSTGRES_HOST": host,
            "DBT_POSTGRES_USER": parts.username or "",
            "DBT_POSTGRES_PASSWORD": parts.password or "",
            "DBT_POSTGRES_DBNAME": parts.path.removeprefix("/"),
            "MELTANO_DATABASE_URI": f"sqlite:///{folder}/system.db",
            "DBT_POSTGRES_TARGET_PATH": folder,
            "DBT_POSTGRES_LOG_PATH": folder,
        }
        load = _run("focus-to-postgres", environment)
        build = _run("dbt-postgres:build", environment)
        with psycopg.connect(url) as connection:
            sizes = [connection.execute(SIZE, [s]).fetchone() for s in ("focus", "focus_models")]
            row = connection.execute("SELECT count(*) FROM focus.recordings").fetchone()
    loaded, models = (int(size[0]) if size else 0 for size in sizes)
    rows = row[0] if row else 0
    return PipelineRun(
        recordings=rows,
        feed_bytes=round(info.mean_size),
        table_bytes=round(loaded / rows),
        model_bytes=round(models / rows),
        load_wall=load[0],
        load_memory=load[1],
        build_wall=build[0],
        build_memory=build[1],
    )


def _run(job: str, environment: dict[str, str]) -> tuple[float, int]:
    """Run a job, and return the wall seconds and the peak memory of its processes in bytes.

    The memory is the sum of what all processes have for themselves and their part of what they
    share (PSS).
    """
    command = [str(BIN / "focus-run"), "--environment=prod", job]
    peak = 0
    started_at = time.monotonic()
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while not has_ended(process, within=0.1):
            peak = max(peak, _memory(process.pid))
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return round(time.monotonic() - started_at, 1), peak


def _memory(process_id: int) -> int:
    """Return the memory of a process and its descendants in bytes."""
    try:
        parent = psutil.Process(process_id)
        processes = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    total = 0
    for process in processes:
        with suppress(psutil.Error):  # it has just ended
            total += process.memory_full_info().pss
    return total
