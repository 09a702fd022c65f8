"""What the tap holds in memory, as the operating system tells it of the finished process."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tap_focus.api.client import MAX_BODY_BYTES
from tests.conftest import BIN, clean_environment
from tests.helpers.fake_focus import Focus, answering, feed, recording

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20

# From a small process: Linux counts for a process what the one that started it held.
MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_memory(folder: Path, config: dict[str, Any]) -> tuple[int, int, str]:
    """Run the tap; return its exit code, its peak resident memory in bytes, and its log."""
    (folder / "config.json").write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(BIN / "tap-focus"), "--config", "config.json"],
        check=True,
        capture_output=True,
        text=True,
        cwd=folder,
        env=clean_environment(),
    )
    code, kibibytes = done.stdout.split()
    return int(code), int(kibibytes) * 1024, done.stderr


def bomb(size: int) -> bytes:
    """Compress a recording of so many bytes of text, without ever holding them."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9) as file:
        file.write(b'{"nextCursorId": "a", "recordings": [{"interactionId": 1, "x": "')
        for _ in range(size // MIB):
            file.write(b"x" * MIB)
        file.write(b'"}]}')
    return out.getvalue()


@pytest.mark.case(24)
def test_a_gzip_bomb_is_refused_with_memory_bounded(tmp_path: Path) -> None:
    body = bomb(1024 * MIB)
    assert len(body) < 3 * MIB
    whole = answering(body, Content_Encoding="gzip")

    def in_chunks(handler: Any, _: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    for fault in (whole, in_chunks):
        with Focus(feed(1), cursor=[fault]) as focus:
            code, memory, log = peak_memory(tmp_path, focus.settings)
            assert code == 78
            assert f"more than {MAX_BODY_BYTES // MIB} MiB" in log
            assert "page_size" in log
            assert memory < MAX_BODY_BYTES + 128 * MIB


@pytest.mark.case(24)
@pytest.mark.parametrize(
    ("header", "expected"),
    [(b"Connection: close\r\n\r\n", 78), (b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", 75)],
)
def test_a_body_without_end_is_refused_with_memory_bounded(
    tmp_path: Path, header: bytes, expected: int
) -> None:
    def without_end(handler: Any, _: bytes) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + header)
        for _mebibyte in range(1024):
            handler.wfile.write(b"x" * MIB)

    with Focus(feed(1), cursor=[without_end]) as focus:
        code, memory, _ = peak_memory(tmp_path, {**focus.settings, "max_retries": 1})
    assert code == expected
    assert memory < MAX_BODY_BYTES + 128 * MIB


@pytest.mark.case(27)
def test_memory_does_not_grow_with_the_feed(tmp_path: Path) -> None:
    def memory_of(pages: int) -> int:
        bodies = {
            (None if n == 0 else f"c{n}"): json.dumps(
                {
                    "recordings": [recording(n * 100 + k, pad="x" * 500) for k in range(100)],
                    "nextCursorId": f"c{n + 1}",
                }
            ).encode()
            for n in range(pages)
        }
        bodies[f"c{pages}"] = b'{"recordings": [], "nextCursorId": "end"}'
        with Focus(bodies) as focus:
            code, memory, _ = peak_memory(tmp_path, focus.settings)
        assert code == 0
        return memory

    assert memory_of(300) - memory_of(20) < 12 * MIB
