"""Measure `tap-focus-media verify`: parallel reads from S3, and a manifest of a million lines.

A server in a separate process speaks as much of S3 as the command needs, and answers each request
after a delay. benchmarks/archive.py prints the rows.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from processes import BIN, KIB, MIB, Run, run_measured, server_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

VERIFY = str(BIN / "tap-focus-media")
CONTENT = os.urandom(20 * KIB)
DELAY = 0.02
"""Seconds before each response of S3."""

_REQUEST = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.1\r\n")
_RANGE = re.compile(rb"\r\nrange: bytes=(\d+)-(\d*)", re.IGNORECASE)


class Archive(NamedTuple):
    """An archive of files with the same content.

    Attributes:
        days: number of folders.
        files: number of files in each.
        content: their content.
    """

    days: int
    files: int
    content: bytes

    def names(self) -> Iterator[tuple[str, int]]:
        """Yield the folder and the number of each file."""
        for index in range(self.days):
            year, day = divmod(index, 360)
            folder = f"{2019 + year}/{day // 30 + 1:02}/{day % 30 + 1:02}"
            for number in range(self.files):
                yield folder, index * self.files + number

    def write_manifest(self, path: Path) -> None:
        """Write the rows in an order that is unrelated to the days."""
        sha256 = hashlib.sha256(self.content).hexdigest()
        names = sorted(self.names(), key=lambda name: hash(name[1] * 2654435761 % 2**32))
        with path.open("w", encoding="utf-8") as file:
            for folder, number in names:
                row = {
                    "interactionId": number,
                    "thirdPartyId": f"teams|{number}",
                    "startDatetimeUTC": f"{folder.replace('/', '-')}T09:00:00+00:00",
                    "type": "teams",
                    "status": "stored",
                    "uri": f"s3://bucket/calls/{folder}/{number}.mp3",
                    "contentType": "audio/mpeg",
                    "sizeInBytes": len(self.content),
                    "sha256": sha256,
                    "fetchedAt": "2025-05-01T10:00:00.123+00:00",
                    "retainUntil": "2032-05-01T00:00:00Z",
                    **dict.fromkeys(("error", "legalHolds", "lockedUntil", "previousFiles")),
                    "nextCursorId": "c" * 40,
                }
                file.write(f"{json.dumps(row)}\n")


def serve_s3(archive: Archive, url: Connection) -> None:
    """Serve a bucket on the loopback interface, and send the base URL through `url`."""
    asyncio.run(_Bucket(archive).serve(url))


class _Bucket:
    """A server with one bucket, which can be listed and read."""

    def __init__(self, archive: Archive) -> None:
        self._content = archive.content
        self._children: dict[str, dict[str, None]] = {}
        for folder, number in archive.names():
            parts = f"calls/{folder}/{number}.mp3".split("/")
            for depth in range(1, len(parts)):
                prefix = "/".join(parts[:depth]) + "/"
                self._children.setdefault(prefix, {})["/".join(parts[: depth + 1])] = None

    async def serve(self, url: Connection) -> None:
        """Send the base URL through `url`, and serve forever."""
        server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        url.send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await server.serve_forever()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                match = _REQUEST.match(request)
                assert match
                response = self._respond(match[2].decode(), _RANGE.search(request))
                if match[1] == b"HEAD":
                    response = response.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                await asyncio.sleep(DELAY)
                writer.write(response)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _respond(self, target: str, span: re.Match[bytes] | None) -> bytes:
        parts = urlsplit(target)
        query = parse_qs(parts.query)
        if "list-type" in query:
            return _response(200, self._listing(query.get("prefix", [""])[0]))
        if not unquote(parts.path).endswith(".mp3"):
            return _response(404, b"<Error><Code>NoSuchKey</Code></Error>")
        if not span:
            return _response(200, self._content)
        start, size = int(span[1]), len(self._content)
        body = self._content[start : int(span[2]) + 1 if span[2] else None]
        header = f"Content-Range: bytes {start}-{start + len(body) - 1}/{size}\r\n"
        return _response(206, body, header)

    def _listing(self, prefix: str) -> bytes:
        entries = [
            f"<Contents><Key>{name}</Key><LastModified>2025-05-01T00:00:00.000Z</LastModified>"
            f'<ETag>"e"</ETag><Size>{len(self._content)}</Size></Contents>'
            if name.endswith(".mp3")
            else f"<CommonPrefixes><Prefix>{name}/</Prefix></CommonPrefixes>"
            for name in self._children.get(prefix, {})
        ]
        return (
            '<?xml version="1.0"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name>'
            f"<Prefix>{prefix}</Prefix><KeyCount>{len(entries)}</KeyCount><MaxKeys>1000</MaxKeys>"
            f"<IsTruncated>false</IsTruncated>{''.join(entries)}</ListBucketResult>"
        ).encode()


def _response(status: int, body: bytes, headers: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
        f'{headers}ETag: "e"\r\nLast-Modified: Thu, 01 May 2025 00:00:00 GMT\r\n\r\n'
    )
    return head.encode() + body


def run_verify(media_path: str, manifest: Path, *options: str) -> Run:
    """Verify an archive that is ok."""
    return run_measured([VERIFY, "verify", "--media-path", media_path, *options, str(manifest)])


def compare_s3_concurrency(
    folder: Path, print_row: Callable[[str, float, float | None, str], None]
) -> None:
    """Compare 16 and 4 reads at once from S3 with one at a time."""
    archive = Archive(20, 40, CONTENT)
    manifest = folder / "manifest.jsonl"
    archive.write_manifest(manifest)
    with server_process(serve_s3, archive) as url:
        os.environ |= {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL": url,
        }
        media_path = "s3://bucket/calls"
        startup = run_verify(media_path, manifest, "--size-only").wall
        walls = {
            number: run_verify(media_path, manifest, "--concurrency", str(number)).wall
            for number in (1, 4, 16)
        }
    one = walls[1]
    for number, target in ((4, "at least 3.5"), (16, "at least 10")):
        title = (
            f"verify on S3, 20 ms a request: speed-up of {number} at once over 1 "
            f"({archive.days * archive.files / (one - startup):.0f} files/s)"
        )
        gain = (one - startup) / (walls[number] - startup)
        print_row(title, one / walls[number], gain, target)


def measure_manifest(
    folder: Path, print_row: Callable[[str, float, float | None, str], None]
) -> None:
    """Measure time and memory for a manifest of a million lines and as many files."""
    archive = Archive(2500, 400, b"x")
    manifest = folder / "manifest.jsonl"
    archive.write_manifest(manifest)
    audio = folder / "audio"
    sources: dict[str, Path] = {}
    for day, number in archive.names():
        path = audio / day / f"{number}.mp3"
        if day in sources:
            os.link(sources[day], path)
        else:
            path.parent.mkdir(parents=True)
            path.write_bytes(archive.content)
            sources[day] = path
    run = run_verify(str(audio), manifest, "--size-only")
    print_row("verify of 1,000,000 files by size, s", run.wall, None, "at most 120")
    print_row("verify of 1,000,000 files, peak MiB", run.peak_memory / MIB, None, "at most 300")
