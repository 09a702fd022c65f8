"""examples/kubernetes: the schemas of Kubernetes, and the commands of the containers."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from tests.examples.kubernetes import FOLDER, documents, job
from tests.helpers.runner import BIN, ROOT, Run, run_command

if TYPE_CHECKING:
    from pathlib import Path

    from tests.examples.conftest import Server

FILES = sorted(FOLDER.glob("*.yaml"))

CODES_WITHOUT_RETRY = {2, 65, 78}
MODELS_FAILED = 79


@pytest.mark.parametrize("version", ["1.30", "1.34", "1.37"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_manifests_match_the_schemas_strictly(file: Path, version: str) -> None:
    for document in documents(file):
        assert kubernetes_validate.validate(document, version, strict=True) == version


def test_the_validation_rejects_an_unknown_field() -> None:
    (document,) = documents(FOLDER / "recordings.yaml")
    document["spec"]["jobTemplate"]["spec"]["backoffLimits"] = 1

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, "1.34", strict=True)


@pytest.mark.parametrize("name", ["recordings.yaml", "audio.yaml", "verify.yaml"])
def test_the_containers_have_no_rights(name: str) -> None:
    pod = job(name)["template"]["spec"]

    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    for container in pod["containers"] + pod.get("initContainers", []):
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"]
        assert not rights["allowPrivilegeEscalation"]
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize(
    ("name", "limit", "action", "codes"),
    [
        ("recordings.yaml", "backoffLimit", "FailJob", CODES_WITHOUT_RETRY | {MODELS_FAILED}),
        ("audio.yaml", "backoffLimitPerIndex", "FailIndex", CODES_WITHOUT_RETRY),
    ],
)
def test_retries_go_on_for_longer_than_meltano_refuses_a_run(
    name: str, limit: str, action: str, codes: set[int]
) -> None:
    specification = job(name)
    waits = [min(10 * 2**attempt, 360) for attempt in range(specification[limit])]
    rules = specification["podFailurePolicy"]["rules"]
    final = [r["onExitCodes"]["values"] for r in rules if r["action"] == action]

    assert sum(waits[:-2]) > 300
    assert {code for values in final for code in values} == codes
    assert specification["template"]["spec"]["restartPolicy"] == "Never"


def run_container(server: Server, container: dict[str, Any], **variables: str) -> Run:
    """Run the command of a container, without its image and its secrets."""
    variables = {
        **{entry["name"]: entry["value"] for entry in container["env"]},
        "PATH": f"{BIN}:{server.environment['PATH']}",
        **variables,
        "TAP_FOCUS_MEDIA_PATH": str(server.audio),  # instead of the bucket
        "HOME": server.environment["HOME"],
    }
    command = [*container.get("command", []), *container["args"]]
    command = [part.replace("/manifest/", f"{server.folder}/") for part in command]
    command = [part.replace("s3://YOUR-BUCKET/focus", str(server.audio)) for part in command]
    return run_command(
        *command,
        folder=server.folder,
        environment={**server.environment, **variables},
        timeout=120,
    )


@pytest.mark.parametrize("name", ["recordings.yaml", "audio.yaml"])
def test_the_jobs_run_a_job_of_the_project(name: str) -> None:
    """`test_image.py` runs that of the recordings in the image."""
    (container,) = job(name)["template"]["spec"]["containers"]
    project = YAML(typ="safe").load(ROOT / "meltano.yml")

    assert container["args"][-1].split()[-1] in {job["name"] for job in project["jobs"]}


def test_the_indexes_of_the_audio_job_archive_everything_and_the_files_can_be_verified(
    server: Server,
) -> None:
    (container,) = job("audio.yaml")["template"]["spec"]["containers"]
    for index in range(2):
        run = run_container(server, container, SHARDS="2", JOB_COMPLETION_INDEX=str(index))
        assert run.exit_code == 0, run.log
    verify = job("verify.yaml")["template"]["spec"]
    psql, verifier = verify["initContainers"][0], verify["containers"][0]
    script = psql["args"][0].replace("psql ", f"psql {shlex.quote(server.warehouse)} ")
    manifest = run_container(server, {**psql, "args": [script], "env": []})
    verified = run_container(server, verifier)

    assert server.keys("recording_media") == server.sandbox.latest().keys()
    assert manifest.exit_code == 0, manifest.log
    assert verified.exit_code == 0, verified.out
    assert " 0 missing" in verified.out
