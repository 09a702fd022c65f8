"""The audio archive in a bucket: the installed commands against a server that speaks S3."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3  # type: ignore[import-untyped]
import pytest
import requests
from moto.server import ThreadedMotoServer

from tap_focus.sandbox import Sandbox
from tests.conftest import BIN, Run, clean_environment
from tests.helpers.fake_focus import Focus, Handler, hang_up, page, recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Archive = Callable[..., Run]

case = pytest.mark.case

MIB = 1 << 20
REGION = "eu-west-1"
# More than the 8 MiB that a file collects before it sends them: a part of it is up there already.
SEVERAL_PARTS = b"\xff\xf3\x18\xc0" * (5 * MIB)


@dataclass(frozen=True)
class Bucket:
    """A bucket, and what leads to it."""

    name: str
    client: Any
    environment: dict[str, str]

    @property
    def url(self) -> str:
        return f"s3://{self.name}/calls"

    @property
    def objects(self) -> dict[str, bytes]:
        """All that can be seen in the bucket, by name."""
        listed = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return {entry["Key"]: self.get(entry["Key"]) for entry in listed}

    @property
    def uploads(self) -> list[str]:
        """Names of objects whose upload was begun and neither finished nor given up."""
        listed = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        return [entry["Key"] for entry in listed]

    def get(self, name: str) -> bytes:
        body: bytes = self.client.get_object(Bucket=self.name, Key=name)["Body"].read()
        return body

    def put(self, name: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=name, Body=body)

    def delete(self, name: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=name)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 server in memory."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, tmp_path: Path) -> Iterator[Bucket]:
    """An empty bucket of the test's own: servers of a process share all that they hold."""
    environment = {
        "AWS_ACCESS_KEY_ID": "canary-access-key",
        "AWS_SECRET_ACCESS_KEY": "canary-secret-key",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": s3,
        # What this machine's user has set up does not count.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    client = boto3.client(
        "s3",
        endpoint_url=s3,
        region_name=REGION,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    name = "archive-" + hashlib.sha256(bytes(tmp_path)).hexdigest()[:16]
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    yield Bucket(name, client, environment)
    client.close()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A smaller Focus than elsewhere: every file costs some requests to the bucket."""
    with Sandbox(records=80, seed=7, live_every=0) as box:
        yield box


@pytest.fixture
def archive(tap: Callable[..., Run], audio_catalog: dict[str, Any], bucket: Bucket) -> Archive:
    """Run the tap from a Focus into the bucket."""

    def run(focus: Sandbox | Focus, **more: Any) -> Run:
        config = {**focus.settings, "media_path": bucket.url, "max_retries": 2, **more}
        return tap(config=config, catalog=audio_catalog, environment=bucket.environment)

    return run


@pytest.fixture
def verify(bucket: Bucket, tmp_path: Path) -> Callable[[Run], Run]:
    """Hold the bucket against the manifest that a run of the tap wrote."""

    def verify(run: Run) -> Run:
        manifest = tmp_path / "manifest.jsonl"
        manifest.write_text(run.out)
        done = subprocess.run(
            [str(BIN / "tap-focus-media"), "verify", "--media-path", bucket.url, str(manifest)],
            check=False,
            capture_output=True,
            text=True,
            env=clean_environment() | bucket.environment,
            timeout=60,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    return verify


def latest(run: Run) -> dict[int, dict[str, Any]]:
    """The last row of each recording, without what differs from one run to the next.

    That is the time at which the row was made, and the cursor, sealed anew for each answer.
    """
    other = {"fetchedAt", "nextCursorId"}
    return {
        row["interactionId"]: {name: row[name] for name in row if name not in other}
        for row in run.records
    }


def audio_of(sandbox: Sandbox) -> dict[str, bytes]:
    """What lies in an archive of all that the sandbox plays, as it tells itself when asked."""
    own = sandbox.settings
    login = {"apiKey": own["api_key"], "username": own["username"], "clientId": own["client_id"]}
    objects = {}
    with requests.Session() as session:
        token = session.post(f"{sandbox.url}/authWithAPIKey", json=login).json()["token"]
        session.headers["Authorization"] = f"Bearer {token}"
        for key, event in sandbox.latest().items():
            answer = session.post(
                f"{sandbox.url}/client/recording.playBackByThirdPartyId",
                json={"thirdPartyId": event["thirdPartyId"]},
            )
            if answer.status_code == 200:
                day = event["startDatetimeUTC"][:10].replace("-", "/")
                objects[f"calls/{day}/{key}.mp3"] = answer.content
    return objects


def played(sandbox: Sandbox) -> int:
    """How many times the sandbox has handed out audio."""
    return sum(
        request.path.endswith("playBackByThirdPartyId") and request.status == 200
        for request in sandbox.requests
    )


def three_recordings(audio: Callable[[Handler, bytes], None]) -> Focus:
    """A Focus with three recordings on a page, whose audio is answered as told."""
    permitted = {"mediaAccessStatus": "Permitted"}
    recordings = [recording(n, thirdPartyId=f"call-{n}", **permitted) for n in (1, 2, 3)]
    pages = {None: page(recordings, "after"), "after": page([], "after")}
    return Focus(pages, always={"audio": audio})


NAMES = {f"calls/2025/05/01/{number}.mp3" for number in (1, 2, 3)}


def whole(handler: Handler, _: bytes) -> None:
    handler.send(200, SEVERAL_PARTS, {"Content-Type": "audio/mpeg"})


def begun(handler: Handler, size: int) -> None:
    """Announce the whole file and send the first bytes of it."""
    length = len(SEVERAL_PARTS)
    handler.send(200, SEVERAL_PARTS[:size], {"Content-Type": "audio/mpeg"}, length=length)


@case(29)
def test_every_audio_that_may_be_played_lies_in_the_bucket_under_its_name(
    archive: Archive, sandbox: Sandbox, bucket: Bucket
) -> None:
    run = archive(sandbox)
    assert run.code == 0, run.log
    objects = bucket.objects
    assert objects == audio_of(sandbox)
    assert len(objects) > 20
    rows = latest(run)
    assert rows.keys() == sandbox.latest().keys()
    stored = {row["uri"]: row for row in rows.values() if row["status"] == "stored"}
    assert stored.keys() == {f"s3://{bucket.name}/{name}" for name in objects}
    for uri, row in stored.items():
        content = objects[uri.removeprefix(f"s3://{bucket.name}/")]
        assert row["sizeInBytes"] == len(content)
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
    assert bucket.uploads == []
    assert "canary" not in run.log + run.out


@case(34)
def test_a_second_run_over_the_bucket_fetches_no_audio_and_gives_the_same_rows(
    archive: Archive, sandbox: Sandbox
) -> None:
    first = archive(sandbox)
    fetched = played(sandbox)
    assert fetched > 20
    second = archive(sandbox)
    assert second.code == 0, second.log
    assert played(sandbox) == fetched
    assert latest(second) == latest(first)


@case(32)
def test_a_missing_bucket_ends_before_the_bookmark_moves(
    archive: Archive, sandbox: Sandbox
) -> None:
    run = archive(sandbox, media_path="s3://no-such-bucket/calls")
    assert run.code == os.EX_CANTCREAT, run.log
    assert len(run.errors) == 1, run.log
    assert "media_path" in run.errors[0]
    assert "Traceback" not in run.log
    assert "replication_key_value" not in json.dumps(run.of("STATE"))


@case(29, 30)
@pytest.mark.parametrize("size", [20_000, 18 * MIB])
def test_a_download_that_is_cut_leaves_no_object(
    archive: Archive, bucket: Bucket, size: int
) -> None:
    def cut(handler: Handler, body: bytes) -> None:
        begun(handler, size)
        hang_up(handler, body)

    with three_recordings(cut) as focus:
        run = archive(focus)
    assert run.code == 0, run.log
    assert {row["status"] for row in run.records} == {"failed"}
    assert bucket.objects == {}
    # What is begun and not finished cannot be seen, and costs all the same.
    assert bucket.uploads == []
    assert "Traceback" not in run.log


@case(29)
def test_a_tap_killed_in_mid_download_leaves_no_object_and_the_next_run_completes(
    archive: Archive, bucket: Bucket, audio_catalog: dict[str, Any], tmp_path: Path
) -> None:
    def stall(handler: Handler, _: bytes) -> None:
        begun(handler, 18 * MIB)
        handler.rfile.read(1)  # until the other side is gone

    with three_recordings(stall) as focus:
        settings = {**focus.settings, "media_path": bucket.url}
        for name, content in (("config", settings), ("catalog", audio_catalog)):
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        process = subprocess.Popen(
            [str(BIN / "tap-focus"), "--config", "config.json", "--catalog", "catalog.json"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=tmp_path,
            env=clean_environment() | bucket.environment,
        )
        try:
            until(lambda: len(bucket.uploads) == 3)
        finally:
            process.kill()
            process.wait()
        assert bucket.objects == {}
        focus.always["audio"] = whole
        run = archive(focus)
    assert run.code == 0, run.log
    assert bucket.objects == dict.fromkeys(NAMES, SEVERAL_PARTS)
    assert {row["sha256"] for row in run.records} == {hashlib.sha256(SEVERAL_PARTS).hexdigest()}


def test_verify_finds_what_is_altered_torn_missing_or_unknown_in_the_bucket(
    archive: Archive, sandbox: Sandbox, bucket: Bucket, verify: Callable[[Run], Run]
) -> None:
    run = archive(sandbox)
    names = sorted(bucket.objects)
    right = verify(run)
    assert right.code == 0, right.log
    assert right.out.startswith(f"{len(names)} files right, 0 missing, 0 torn, 0 altered")

    altered, torn, missing, *others = names
    unknown = "calls/2001/01/01/1.mp3"
    bucket.put(altered, bytes(len(bucket.get(altered))))
    bucket.put(torn, bucket.get(torn)[:-1])
    bucket.delete(missing)
    bucket.put(unknown, b"who knows")
    wrong = verify(run)
    assert wrong.code == 1, wrong.log
    *findings, summary = wrong.lines
    assert {tuple(line.split(":")[0].split()) for line in findings} == {
        ("altered", altered.removeprefix("calls/")),
        ("torn", torn.removeprefix("calls/")),
        ("missing", missing.removeprefix("calls/")),
        ("unknown", unknown.removeprefix("calls/")),
    }
    assert summary.startswith(
        f"{len(others)} files right, 1 missing, 1 torn, 1 altered, 1 unknown, 0 unreadable"
    )


def test_verify_of_a_missing_bucket_says_so(
    archive: Archive, sandbox: Sandbox, bucket: Bucket, verify: Callable[[Run], Run]
) -> None:
    run = archive(sandbox)
    for name in bucket.objects:
        bucket.delete(name)
    bucket.client.delete_bucket(Bucket=bucket.name)
    done = verify(run)
    assert done.code == os.EX_CANTCREAT
    assert "media_path" in done.log
    assert "Traceback" not in done.log


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
