"""The audio archive in a bucket, against a server in memory that speaks S3."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3  # type: ignore[import-untyped]
import pytest
import requests
from moto.server import ThreadedMotoServer

from tap_focus.sandbox import Sandbox
from tests.helpers import guarantee
from tests.helpers.assertions import assert_fails, count_words, has_cursor, wait_until
from tests.helpers.audio import DAY, rows_by_id
from tests.helpers.fake_focus import FakeFocus, Handler, close, feed, ok
from tests.helpers.runner import BIN, ArchiveRunner, Run, TapRunner, clean_environment, run_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Verify = Callable[[Run], Run]

MIB = 1 << 20
REGION = "eu-west-1"

LARGE = b"\xff\xf3\x18\xc0" * (5 * MIB)
"""Audio of 20 MiB, more than is kept in memory."""

MARKER = "tap-focus-archive.json"


@dataclass(frozen=True)
class Bucket:
    """A bucket, a client for it, and the environment that leads to it."""

    name: str
    client: Any
    environment: dict[str, str]

    @property
    def url(self) -> str:
        return f"s3://{self.name}/calls"

    @property
    def objects(self) -> dict[str, bytes]:
        """All objects but the marker of the archive, by their key."""
        return {key: self.get(key) for key in self.keys if not key.endswith(MARKER)}

    @property
    def keys(self) -> list[str]:
        listed = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return [entry["Key"] for entry in listed]

    @property
    def uploads(self) -> list[str]:
        """The keys of multipart uploads that are neither completed nor aborted."""
        listed = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        return [entry["Key"] for entry in listed]

    def get(self, key: str) -> bytes:
        body: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return body

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=key)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The URL of an S3 server in memory."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, tmp_path: Path) -> Iterator[Bucket]:
    """An empty bucket. All servers of a process share their buckets."""
    environment = {
        "AWS_ACCESS_KEY_ID": "canary-access-key",
        "AWS_SECRET_ACCESS_KEY": "canary-secret-key",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": s3,
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
    """A smaller sandbox than elsewhere, because each file costs several requests to the bucket."""
    with Sandbox(records=80, seed=7, live_every=0) as sandbox:
        yield sandbox


@pytest.fixture
def archive(tap: TapRunner, audio_catalog: dict[str, Any], bucket: Bucket) -> ArchiveRunner:
    """Run the tap with the audio archive in the bucket."""
    return ArchiveRunner(tap, audio_catalog, bucket.url, bucket.environment)


@pytest.fixture
def verify(bucket: Bucket, tmp_path: Path) -> Verify:
    """Check the bucket against the manifest that a run wrote."""

    def verify(run: Run) -> Run:
        manifest = tmp_path / "manifest.jsonl"
        manifest.write_text(run.out)
        command = [str(BIN / "tap-focus-media"), "verify", "--media-path", bucket.url]
        environment = clean_environment(**bucket.environment)
        return run_command(*command, str(manifest), environment=environment)

    return verify


def comparable_rows(run: Run) -> dict[int, dict[str, Any]]:
    """Return the rows without the columns that differ from one run to the next."""
    changing = {"fetchedAt", "nextCursorId"}
    return {
        key: {name: row[name] for name in row if name not in changing}
        for key, row in rows_by_id(run).items()
    }


def expected_objects(sandbox: Sandbox) -> dict[str, bytes]:
    """Return the objects of a complete archive, with the audio that the sandbox sends."""
    account = sandbox.settings
    login = {
        "apiKey": account["api_key"],
        "username": account["username"],
        "clientId": account["client_id"],
    }
    objects = {}
    with requests.Session() as session:
        session.trust_env = False
        token = session.post(f"{sandbox.url}/authWithAPIKey", json=login).json()["token"]
        session.headers["Authorization"] = f"Bearer {token}"
        for key, recording in sandbox.latest().items():
            response = session.post(
                f"{sandbox.url}/client/recording.playBackByThirdPartyId",
                json={"thirdPartyId": recording["thirdPartyId"]},
            )
            if response.status_code == 200:
                day = recording["startDatetimeUTC"][:10].replace("-", "/")
                objects[f"calls/{day}/{key}.mp3"] = response.content
    return objects


def downloads(sandbox: Sandbox) -> int:
    """Return how often the sandbox has sent audio."""
    return sum(
        request.path.endswith("playBackByThirdPartyId") and request.status == 200
        for request in sandbox.requests
    )


def send_part(handler: Handler, size: int) -> None:
    """Announce the large audio and send its first bytes."""
    handler.send(200, LARGE[:size], length=len(LARGE))


@guarantee("complete-audio-files")
def test_all_audio_that_may_be_fetched_is_in_the_bucket_under_its_name(
    archive: ArchiveRunner, sandbox: Sandbox, bucket: Bucket
) -> None:
    run = archive(sandbox)

    assert run.exit_code == 0, run.log
    objects = bucket.objects
    assert len(objects) > 20
    assert objects == expected_objects(sandbox)
    assert bucket.uploads == []
    assert "canary" not in run.log + run.out


@guarantee("complete-audio-files")
def test_the_row_of_an_object_has_its_size_and_checksum(
    archive: ArchiveRunner, sandbox: Sandbox, bucket: Bucket
) -> None:
    run = archive(sandbox)

    rows = rows_by_id(run)
    assert rows.keys() == sandbox.latest().keys()
    stored = {
        row["uri"]: (row["sizeInBytes"], row["sha256"])
        for row in rows.values()
        if row["status"] == "stored"
    }
    assert stored == {
        f"s3://{bucket.name}/{key}": (len(content), hashlib.sha256(content).hexdigest())
        for key, content in bucket.objects.items()
    }


@guarantee("download-once")
def test_a_second_run_downloads_nothing_and_writes_the_same_rows(
    archive: ArchiveRunner, sandbox: Sandbox
) -> None:
    first = archive(sandbox)
    downloads_of_first = downloads(sandbox)
    second = archive(sandbox)

    assert downloads_of_first > 20
    assert downloads(sandbox) == downloads_of_first
    assert comparable_rows(second) == comparable_rows(first)


@guarantee("fail-on-storage-errors")
def test_a_missing_bucket_ends_the_run_before_the_bookmark_advances(
    archive: ArchiveRunner, sandbox: Sandbox
) -> None:
    run = archive(sandbox, media_path="s3://no-such-bucket/calls")

    assert_fails(run, os.EX_CANTCREAT, "media_path")
    assert not has_cursor(run)


@guarantee("complete-audio-files", "reject-invalid-audio")
@pytest.mark.parametrize("size", [20_000, 18 * MIB], ids=["in memory", "on disk"])
def test_a_truncated_download_leaves_no_object_and_no_upload(
    archive: ArchiveRunner, bucket: Bucket, size: int
) -> None:
    def truncated(handler: Handler, body: bytes) -> None:
        send_part(handler, size)
        close(handler, body)

    with FakeFocus(feed(3), always={"audio": truncated}) as focus:
        run = archive(focus)

    assert run.exit_code == 0, run.log
    assert {row["status"] for row in run.records} == {"failed"}
    assert bucket.objects == {}
    assert bucket.uploads == []
    assert "Traceback" not in run.log


@guarantee("complete-audio-files")
def test_a_tap_killed_during_a_download_leaves_no_object_and_the_next_run_completes(
    archive: ArchiveRunner, bucket: Bucket
) -> None:
    stuck_downloads = []

    def stuck(handler: Handler, _: bytes) -> None:
        send_part(handler, 18 * MIB)
        stuck_downloads.append(1)
        handler.rfile.read(1)  # until the tap is killed

    with FakeFocus(feed(3), audio=[stuck] * 3) as focus:
        with archive.start(focus, request_timeout=60) as process:
            wait_until(lambda: len(stuck_downloads) == 3, seconds=30)
            process.process.kill()
        objects_after_kill = bucket.objects
        focus.always["audio"] = lambda handler, _: ok(handler, LARGE)
        run = archive(focus)

    assert objects_after_kill == {}
    assert run.exit_code == 0, run.log
    assert bucket.objects == {f"calls/{DAY}/{number}.mp3": LARGE for number in (1, 2, 3)}
    assert {row["sha256"] for row in run.records} == {hashlib.sha256(LARGE).hexdigest()}


def test_verify_finds_every_kind_of_fault_in_the_bucket(
    archive: ArchiveRunner, sandbox: Sandbox, bucket: Bucket, verify: Verify
) -> None:
    run = archive(sandbox)
    changed, truncated, missing, *others = sorted(bucket.objects)
    before = verify(run)
    unexpected = "calls/2001/01/01/1.mp3"
    bucket.put(changed, bytes(len(bucket.get(changed))))
    bucket.put(truncated, bucket.get(truncated)[:-1])
    bucket.delete(missing)
    bucket.put(unexpected, b"unexpected")
    after = verify(run)

    assert before.exit_code == 0, before.log
    assert after.exit_code == 1, after.log
    *findings, summary = after.lines
    assert {tuple(line.split(":")[0].split()) for line in findings} == {
        ("checksum-mismatch", changed.removeprefix("calls/")),
        ("size-mismatch", truncated.removeprefix("calls/")),
        ("missing", missing.removeprefix("calls/")),
        ("unexpected", unexpected.removeprefix("calls/")),
    }
    assert count_words(summary)["ok"] == len(others)


def test_verify_of_a_missing_bucket_says_so(
    archive: ArchiveRunner, bucket: Bucket, verify: Verify
) -> None:
    with FakeFocus(feed(1)) as focus:
        run = archive(focus)
    for key in bucket.keys:
        bucket.delete(key)
    bucket.client.delete_bucket(Bucket=bucket.name)
    result = verify(run)

    assert result.exit_code == os.EX_CANTCREAT
    assert "media" in result.log
    assert "Traceback" not in result.log
