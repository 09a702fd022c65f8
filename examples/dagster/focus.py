"""Assets for Dagster: the recordings of Focus, the dbt models, the audio in shards, and a check.

Run it with `dagster dev -f focus.py`, or load it as a code location. Dagster needs the Meltano
project with its environment, and psql for the manifest. Set these variables, and the settings of
the tap and the target:

    FOCUS_PROJECT     folder of the project; default /srv/tap-focus
    FOCUS_WAREHOUSE   postgresql:// URL of the warehouse, for psql
    FOCUS_SHARDS      number of partitions of the audio; default 4
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator

from dagster import (
    AssetCheckResult,
    AssetExecutionContext,
    AssetSelection,
    Definitions,
    Failure,
    MaterializeResult,
    RetryRequested,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    StaticPartitionsDefinition,
    asset,
    asset_check,
    define_asset_job,
    schedule,
)

PROJECT = os.environ.get("FOCUS_PROJECT", "/srv/tap-focus")
SHARDS = int(os.environ.get("FOCUS_SHARDS", "4"))

PERMANENT = {2, 65, 78}
"""Exit codes that no retry can correct: command line, rejected cursor, configuration."""

MAX_RETRIES = 3
RETRY_SECONDS = 360  # Meltano refuses a run for five minutes after a crash


def focus_run(
    context: AssetExecutionContext, *arguments: str, **variables: str
) -> dict[str, float]:
    """Run focus-run, write its log to that of Dagster, and return the metrics of the tap.

    docs/reference/metrics.md describes them. The plugin of the tap syncs one stream, so the names
    are unique.

    Raises:
        Failure: It failed with a permanent error. It has the metrics as well.
        RetryRequested: It failed with another error.
    """
    metrics: dict[str, float] = {}
    with subprocess.Popen(
        [f"{PROJECT}/.venv/bin/focus-run", "--log-format=json", *arguments],
        cwd=PROJECT,
        env={**os.environ, "MELTANO_ENVIRONMENT": "prod", **variables},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            for line in process.stderr:
                entry = json.loads(line) if line.startswith("{") else {"event": line.rstrip()}
                context.log.info("%s: %s", entry.get("name", "meltano"), entry["event"])
                if "metric_info" in entry and entry["name"].startswith("tap-"):
                    metric = entry["metric_info"]
                    # A counter starts at 0 again after each of its lines.
                    before = metrics.get(metric["metric"], 0) if metric["type"] == "counter" else 0
                    metrics[metric["metric"]] = before + metric["value"]
        except BaseException:  # the run is canceled
            process.terminate()
            raise
    if process.returncode in PERMANENT:
        raise Failure(
            f"focus-run ended with {process.returncode}. What to do: docs/operate.md",
            metadata=metrics,
            allow_retries=False,
        )
    if process.returncode:
        raise RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=RETRY_SECONDS)
    return metrics


@asset
def recordings(context: AssetExecutionContext) -> MaterializeResult:
    """The table `recordings`: one row per communication."""
    return MaterializeResult(metadata=focus_run(context, "focus-to-postgres"))


@asset(deps=[recordings])
def models(context: AssetExecutionContext) -> None:
    """The tables of the dbt project."""
    focus_run(context, "dbt-postgres:build")


shards = StaticPartitionsDefinition([f"{n}of{SHARDS}" for n in range(1, SHARDS + 1)])


@asset(partitions_def=shards)
def audio(context: AssetExecutionContext) -> MaterializeResult:
    """The audio files of one shard, and their rows in the table `recording_media`."""
    metrics = focus_run(
        context,
        f"--state-id-suffix=shard-{context.partition_key}",
        "focus-audio",
        TAP_FOCUS_MEDIA_SHARD=context.partition_key.replace("of", "/"),
    )
    return MaterializeResult(metadata=metrics)


@asset_check(asset=audio)
def files_match_the_manifest() -> AssetCheckResult:
    """Compare the files with the table `recording_media`."""
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as manifest:
        query = "SELECT row_to_json(m) FROM focus.recording_media m"
        psql = ["psql", os.environ["FOCUS_WAREHOUSE"], "--set=ON_ERROR_STOP=1", "-Atc", query]
        subprocess.run(psql, stdout=manifest, check=True)
        verified = subprocess.run(
            [
                f"{PROJECT}/.venv/bin/tap-focus-media",
                "verify",
                "--media-path",
                os.environ["TAP_FOCUS_MEDIA_PATH"],
                manifest.name,
            ],
            check=False,
            capture_output=True,
            text=True,
        )
    summary = (verified.stdout or verified.stderr).splitlines()[-1]
    return AssetCheckResult(passed=verified.returncode == 0, metadata={"summary": summary})


recordings_job = define_asset_job("load_recordings", selection=[recordings, models])
# While a shard is being archived, the check would find files that are not in the manifest yet.
audio_files = AssetSelection.assets(audio)
audio_job = define_asset_job("archive_audio", audio_files.without_checks(), partitions_def=shards)
verify_job = define_asset_job("verify_audio", AssetSelection.checks_for_assets(audio))


@schedule(job=audio_job, cron_schedule="37 2 * * *")
def audio_schedule(_: ScheduleEvaluationContext) -> Iterator[RunRequest]:
    """Archive all shards every night."""
    for shard in shards.get_partition_keys():
        yield RunRequest(run_key=None, partition_key=shard)


definitions = Definitions(
    assets=[recordings, models, audio],
    asset_checks=[files_match_the_manifest],
    jobs=[recordings_job, audio_job, verify_job],
    schedules=[
        ScheduleDefinition(job=recordings_job, cron_schedule="7 * * * *"),
        audio_schedule,
        ScheduleDefinition(job=verify_job, cron_schedule="0 14 * * 0"),
    ],
)
