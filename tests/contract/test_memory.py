"""The peak memory of a run, as the operating system reports it for the finished process."""

from __future__ import annotations

import gzip
import io
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers import guarantee
from tests.helpers.fake_focus import FakeFocus, feed, gzipped, page, respond
from tests.helpers.runner import TAP, Run, run_command, settings

if TYPE_CHECKING:
    from tests.helpers.fake_focus import Fault, Handler
    from tests.helpers.runner import TapRunner

MIB = 1 << 20

MAX_BODY_BYTES = 128 * MIB
"""The documented limit of a decompressed response."""

# A small process in between: Linux counts the memory of the parent as memory of a new process.
MEASURE = """
import resource, subprocess, sys
exit_code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(exit_code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


def measure(tap: TapRunner, config: dict[str, Any]) -> tuple[Run, int]:
    """Run the tap. Return the run, without its output, and its peak memory in bytes."""
    command = [TAP, *tap.file_options(config=config)]
    run = run_command(sys.executable, "-c", MEASURE, *command, folder=tap.folder)
    exit_code, peak = run.out.split()
    return Run(int(exit_code), "", run.log), int(peak) * MAXRSS_UNIT


def compressed_bomb(size: int) -> bytes:
    """Return a compressed page with a text of this size, made in little memory."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9) as file:
        file.write(b'{"nextCursorId": "a", "recordings": [{"interactionId": 1, "x": "')
        for _ in range(size // MIB):
            file.write(b"x" * MIB)
        file.write(b'"}]}')
    return out.getvalue()


@pytest.fixture(scope="module")
def bomb() -> bytes:
    return compressed_bomb(1024 * MIB)


def in_one_piece(body: bytes) -> Fault:
    return respond(body, Content_Encoding="gzip")


def in_one_chunk(body: bytes) -> Fault:
    def fault(handler: Handler, _: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))

    return fault


@guarantee("bound-response-memory")
@pytest.mark.parametrize("send", [in_one_piece, in_one_chunk])
def test_a_compressed_bomb_is_rejected_with_bounded_memory(
    tap: TapRunner, bomb: bytes, send: Any
) -> None:
    with FakeFocus(feed(1), cursor=[send(bomb)]) as focus:
        run, peak = measure(tap, focus.settings)

    assert run.exit_code == 78
    assert f"{MAX_BODY_BYTES // MIB} MiB" in run.log
    assert "page_size" in run.log
    assert peak < MAX_BODY_BYTES + 128 * MIB


@guarantee("bound-response-memory")
@pytest.mark.parametrize(
    ("header", "exit_code"),
    [(b"Connection: close\r\n\r\n", 78), (b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", 75)],
    ids=["until the connection closes", "in a chunk"],
)
def test_an_endless_body_is_rejected_with_bounded_memory(
    tap: TapRunner, header: bytes, exit_code: int
) -> None:
    def endless(handler: Handler, _: bytes) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + header)
        for _mebibyte in range(1024):
            handler.wfile.write(b"x" * MIB)

    with FakeFocus(feed(1), cursor=[endless]) as focus:
        run, peak = measure(tap, settings(focus, requests=1))

    assert run.exit_code == exit_code
    assert peak < MAX_BODY_BYTES + 128 * MIB


@guarantee("bound-response-memory")
def test_deep_nesting_does_not_multiply_the_memory(tap: TapRunner) -> None:
    body = b'{"recordings": [%b], "nextCursorId": "a"}' % b",".join(
        b'{"interactionId": %d, "new": [%b]}' % (n, b",".join([b"[]"] * 300_000)) for n in range(40)
    )
    with FakeFocus({None: body, "a": page([], "a")}, cursor=[gzipped]) as focus:
        run, peak = measure(tap, {**focus.settings, "request_timeout": 60})

    assert run.exit_code == 0, run.log
    assert peak < 600 * MIB


@guarantee("bound-feed-memory")
def test_memory_does_not_grow_with_the_feed(tap: TapRunner) -> None:
    def peak_of(pages: int) -> int:
        with FakeFocus(feed(*[100] * pages, pad="x" * 500)) as focus:
            run, peak = measure(tap, focus.settings)
        assert run.exit_code == 0
        return peak

    assert peak_of(300) - peak_of(20) < 12 * MIB
