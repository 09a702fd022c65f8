"""Load recordings and build the dbt models every hour; archive and verify audio every night.

Copy this file to the DAGs folder of Airflow 3. The workers need the Meltano project with its
environment, and psql for the manifest. Set these variables for them, and the settings of the tap
and the target:

    FOCUS_PROJECT     folder of the project; default /srv/tap-focus
    FOCUS_WAREHOUSE   postgresql:// URL of the warehouse, for psql
    FOCUS_SHARDS      number of tasks that archive audio at the same time; default 4
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from datetime import datetime, timedelta, timezone
from typing import IO

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

PROJECT = os.environ.get("FOCUS_PROJECT", "/srv/tap-focus")
SHARDS = int(os.environ.get("FOCUS_SHARDS", "4"))

PERMANENT = {2, 65, 78}
"""Exit codes that no retry can correct: command line, rejected cursor, configuration."""

OPTIONS = {
    "start_date": datetime(2025, 1, 1, tzinfo=timezone.utc),
    "catchup": False,
    "max_active_runs": 1,
    "default_args": {
        "retries": 3,
        # Meltano refuses a run for five minutes after a crash.
        "retry_delay": timedelta(minutes=6),
        "execution_timeout": timedelta(hours=12),
    },
}


def run(*command: str, permanent: set[int], **variables: str) -> None:
    """Run a command of the project, and fail the task if it fails.

    Raises:
        AirflowFailException: It failed with a permanent error. The task is not retried.
        AirflowException: It failed with another error.
    """
    process = subprocess.Popen(
        [f"{PROJECT}/.venv/bin/{command[0]}", *command[1:]],
        cwd=PROJECT,
        env={**os.environ, "MELTANO_ENVIRONMENT": "prod", **variables},
    )
    try:
        code = process.wait()
    except BaseException:  # the task is stopped, or takes too long
        process.terminate()
        process.wait()
        raise
    if code:
        error = AirflowFailException if code in permanent else AirflowException
        raise error(f"{command[0]} ended with {code}. What to do: docs/operate.md")


def query(sql: str, output: IO[bytes]) -> None:
    """Write the rows of a query in the warehouse to a file."""
    command = ["psql", os.environ["FOCUS_WAREHOUSE"], "--set=ON_ERROR_STOP=1", "-Atc", sql]
    subprocess.run(command, stdout=output, check=True)


@dag(schedule="7 * * * *", **OPTIONS)
def focus_recordings() -> None:
    """Load new and updated recordings, then build the models."""

    @task
    def load() -> None:
        run("focus-run", "focus-to-postgres", permanent=PERMANENT)

    @task
    def build_models() -> None:
        run("focus-run", "dbt-postgres:build", permanent=PERMANENT)

    load() >> build_models()


@dag(schedule="37 2 * * *", **OPTIONS)
def focus_audio() -> None:
    """Archive the audio in shards, then verify the files."""

    @task
    def archive(shard: int) -> None:
        run(
            "focus-run",
            f"--state-id-suffix=shard-{shard}of{SHARDS}",
            "focus-audio",
            permanent=PERMANENT,
            TAP_FOCUS_MEDIA_SHARD=f"{shard}/{SHARDS}",
        )

    @task
    def verify() -> None:
        with tempfile.NamedTemporaryFile(suffix=".jsonl") as manifest:
            query("SELECT row_to_json(m) FROM focus.recording_media m", manifest)
            path = os.environ["TAP_FOCUS_MEDIA_PATH"]
            verify = ("verify", "--media-path", path, manifest.name)
            run("tap-focus-media", *verify, permanent={1, 2})

    @task
    def report() -> str:
        """Return the number of recordings by status, which Airflow shows as the task's XCom."""
        with tempfile.TemporaryFile() as counts:
            query("SELECT status, count(*) FROM focus.recording_media GROUP BY 1", counts)
            counts.seek(0)
            return counts.read().decode()

    archive.expand(shard=list(range(1, SHARDS + 1))) >> verify() >> report()


focus_recordings()
focus_audio()
