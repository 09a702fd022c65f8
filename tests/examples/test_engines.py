"""examples/airflow and examples/dagster, run by their engines: see scripts/test-engines."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers import SLOWNESS
from tests.helpers.audio import audio_files
from tests.helpers.runner import ROOT, Run, run_command

if TYPE_CHECKING:
    from tests.examples.conftest import Server

pytestmark = pytest.mark.engine

DAGSTER_FILE = ROOT / "examples" / "dagster" / "focus.py"

READ_METADATA = """
import json
from dagster import DagsterEventType, DagsterInstance

with DagsterInstance.get() as instance:
    for run in reversed(instance.get_runs()):
        for entry in instance.all_logs(run.run_id):
            event = entry.dagster_event
            metadata = None
            if event and event.event_type is DagsterEventType.ASSET_MATERIALIZATION:
                metadata = event.materialization.metadata
            elif event and event.event_type is DagsterEventType.STEP_FAILURE:
                metadata = event.step_failure_data.user_failure_data.metadata
            if metadata is not None:
                print(json.dumps({name: value.value for name, value in metadata.items()}))
"""
"""Prints the metadata of each asset and each failure, the first one first."""


def run_engine(
    server: Server, engine: str, *arguments: str, command: str = "", **variables: str
) -> Run:
    """Run a command of an engine, with the variables that its example documents."""
    folder = ROOT / f".venv-{engine}" / "bin"
    home = server.folder / engine
    environment = {
        **server.environment,
        "PATH": f"{folder}:{server.environment['PATH']}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "DAGSTER_HOME": str(home),
        "FOCUS_PROJECT": str(server.folder),
        "FOCUS_WAREHOUSE": server.warehouse,
        "FOCUS_SHARDS": "2",
        **variables,
    }
    return run_command(
        str(folder / (command or engine)),
        *arguments,
        folder=home,
        environment=environment,
        timeout=170 * SLOWNESS,
    )


@pytest.fixture
def airflow(server: Server) -> Server:
    """A server with Airflow's database and the DAGs of the example."""
    (server.folder / "airflow").mkdir()
    shutil.copy(ROOT / "examples" / "airflow" / "focus.py", server.folder / "airflow")
    for command in (("db", "migrate"), ("dags", "reserialize")):
        run = run_engine(server, "airflow", *command)
        assert run.exit_code == 0, run.log
    return server


def test_airflow_loads_builds_the_models_archives_and_verifies(airflow: Server) -> None:
    runs = [
        run_engine(airflow, "airflow", "dags", "test", name)
        for name in ("focus_recordings", "focus_audio")
    ]

    assert [run.exit_code for run in runs] == [0, 0], runs[0].log
    assert airflow.keys("recordings") == airflow.sandbox.latest().keys()
    assert airflow.model_keys() == airflow.sandbox.latest().keys()
    assert airflow.keys("recording_media") == airflow.sandbox.latest().keys()
    findings = "0 missing, 0 lost, 0 size-mismatch, 0 checksum-mismatch, 0 conflict, 0 unexpected"
    assert findings in runs[1].out + runs[1].log


def test_airflow_does_not_retry_a_permanent_error(airflow: Server) -> None:
    run = run_engine(
        airflow, "airflow", "dags", "test", "focus_recordings", TAP_FOCUS_API_KEY="wrong"
    )
    log = run.out + run.log

    assert run.exit_code != 0
    assert "focus-run ended with 78" in log
    assert "UP_FOR_RETRY" not in log.upper()


def test_airflow_retries_a_transient_error(airflow: Server) -> None:
    dag = airflow.folder / "airflow" / "focus.py"
    content = dag.read_text("utf-8")
    for delay, short in (("minutes=6", "seconds=1"), ('"retries": 3', '"retries": 1')):
        assert delay in content
        content = content.replace(delay, short)
    dag.write_text(content, "utf-8")
    unreachable = {"TAP_FOCUS_API_URL": "http://127.0.0.1:9", "TAP_FOCUS_MAX_RETRIES": "0"}
    run = run_engine(airflow, "airflow", "dags", "test", "focus_recordings", **unreachable)
    log = run.out + run.log

    assert run.exit_code != 0
    assert log.count("POST /authWithAPIKey to 127.0.0.1:9 failed once") == 2


def materialize(server: Server, *arguments: str, **variables: str) -> Run:
    (server.folder / "dagster").mkdir(exist_ok=True)
    command = ("asset", "materialize", "-f", str(DAGSTER_FILE), "--select", *arguments)
    return run_engine(server, "dagster", *command, **variables)


def metadata(server: Server) -> list[dict[str, Any]]:
    """Return the metadata of each asset and each failure, the first one first."""
    run = run_engine(server, "dagster", "-c", READ_METADATA, command="python")
    assert run.exit_code == 0, run.log
    return [json.loads(line) for line in run.out.splitlines()]


def test_dagster_loads_builds_the_models_archives_and_verifies(server: Server) -> None:
    runs = [
        materialize(server, "recordings,models"),
        materialize(server, "audio", "--partition", "1of2"),
        materialize(server, "audio", "--partition", "2of2"),
    ]

    assert [run.exit_code for run in runs] == [0, 0, 0], runs[0].log
    assert server.keys("recordings") == server.sandbox.latest().keys()
    assert server.model_keys() == server.sandbox.latest().keys()
    assert server.keys("recording_media") == server.sandbox.latest().keys()
    assert "Asset check 'files_match_the_manifest' on 'audio' passed" in runs[2].log + runs[2].out
    recordings, _, *audio = metadata(server)
    assert recordings["record_count"] == len(server.sandbox.feed())
    assert recordings["page_count"] == 2
    assert recordings["feed_lag"] > 0
    assert recordings["http_request_count"] == 3
    assert all(shard["page_count"] == 2 for shard in audio)
    assert sum(shard["record_count"] for shard in audio) == recordings["record_count"]
    files = audio_files(server.audio).values()
    assert sum(shard["audio_file_count"] for shard in audio) == len(files) > 0
    assert sum(shard["audio_file_bytes"] for shard in audio) == sum(map(len, files))


def test_dagster_does_not_retry_a_permanent_error(server: Server) -> None:
    run = materialize(server, "recordings", TAP_FOCUS_API_KEY="wrong")

    assert run.exit_code == 1
    assert "focus-run ended with 78" in run.log + run.out
    assert "STEP_UP_FOR_RETRY" not in run.log + run.out
    (failure,) = metadata(server)
    assert failure["http_request_count"] == 1
    assert failure["record_count"] == 0
