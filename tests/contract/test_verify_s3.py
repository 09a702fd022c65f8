"""`tap-focus-media verify` on an archive in S3."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.runner import BIN, Run, clean_environment, run_command
from tests.helpers.s3 import s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.helpers.s3 import S3Server

CONTENT = b"sound" * 100
DAYS = ("2025/05/01", "2025/05/02")
BUCKET = "verify"


def row(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "interactionId": number,
        "status": "stored",
        "uri": f"s3://{BUCKET}/calls/{DAYS[number % 2]}/{number}.mp3",
        "sizeInBytes": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        **fields,
    }


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    """A bucket with the files of the recordings 0 to 19, and with folder markers."""
    with s3_server() as server:
        server.create_bucket(BUCKET)
        for number in range(20):
            key = row(number)["uri"].removeprefix(f"s3://{BUCKET}/")
            checksum = {"ChecksumAlgorithm": "SHA256"} if number else {}
            server.client.put_object(Bucket=BUCKET, Key=key, Body=CONTENT, **checksum)
        for marker in ("calls/", "calls/2025/", "calls/2025/05/01/", "calls/2024/01/"):
            server.client.put_object(Bucket=BUCKET, Key=marker, Body=b"")
        yield server


def verify(s3: S3Server, *options: str, rows: list[dict[str, Any]] | None = None) -> Run:
    rows = rows or [row(number) for number in range(20)]
    s3.requests.clear()
    return run_command(
        *(str(BIN / "tap-focus-media"), "verify", "--media-path", f"s3://{BUCKET}/calls"),
        *options,
        stdin="\n".join(map(json.dumps, rows)),
        environment=clean_environment(**s3.environment),
    )


def read_files(s3: S3Server) -> list[str]:
    paths = [request.path for request in s3.requests if request.operation == "GET"]
    return [path for path in paths if path.endswith(".mp3")]


def test_folder_markers_are_not_unexpected(s3: S3Server) -> None:
    run = verify(s3)

    assert run.exit_code == 0, run.out
    assert run.out.startswith("20 ok, 0 missing")


def test_attested_compares_the_checksums_of_s3_without_reading(s3: S3Server) -> None:
    run = verify(s3, "--attested")

    assert run.exit_code == 1
    assert run.lines[0].startswith(f"unattested        {DAYS[0]}/0.mp3: ")
    assert run.lines[1].startswith("19 ok, ")
    assert s3.count("GET", ".mp3") == 0
    assert s3.count("HEAD", ".mp3") == 20


def test_size_only_only_lists(s3: S3Server) -> None:
    run = verify(s3, "--size-only")

    assert run.exit_code == 0
    assert s3.count("GET", ".mp3") + s3.count("HEAD", ".mp3") == 0


def test_a_range_reads_only_its_days(s3: S3Server) -> None:
    run = verify(s3, "--from", "2025-05-02")

    assert run.out.startswith("10 ok, 0 missing")
    assert len(read_files(s3)) == 10
    assert all("/2025/05/02/" in path for path in read_files(s3))


def test_a_bucket_that_does_not_exist_is_named(s3: S3Server) -> None:
    run = run_command(
        *(str(BIN / "tap-focus-media"), "verify", "--media-path", "s3://missing/calls"),
        stdin=json.dumps(row(1)),
        environment=clean_environment(**s3.environment),
    )

    assert run.exit_code == 73
    assert "media_path" in run.log
