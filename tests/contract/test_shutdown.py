"""A run ends with its exit code, whatever its background threads do at that moment."""

from __future__ import annotations

import os
import time
from threading import Thread
from typing import TYPE_CHECKING

from tests.helpers.fake_focus import FakeFocus, feed, ok, status
from tests.helpers.runner import TIMEOUT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.fake_focus import Handler
    from tests.helpers.runner import ArchiveRunner

SLOW_EXIT = "import atexit, time\natexit.register(time.sleep, 0.2)\n"
"""An exit handler that runs after those of the logging package, such as that of a profiler."""


def read_slowly(descriptor: int, log: bytearray) -> None:
    """Read until the end, so slowly that a pipe to which downloads write stays full."""
    while part := os.read(descriptor, 300):
        log += part
        time.sleep(0.02)


def test_a_thread_that_logs_during_shutdown_does_not_crash_the_interpreter(
    archive: ArchiveRunner, tmp_path: Path
) -> None:
    """The log is a full pipe, so there is always a thread that is in the middle of a line."""

    def reject_the_first(handler: Handler, body: bytes) -> None:
        if handler.received.body["thirdPartyId"] == "call|1":
            time.sleep(0.5)  # until the others have failed
            status(401)(handler, body)
        else:
            status(503, Retry_After="0")(handler, body)

    always = {"login": status(403), "audio": reject_the_first}
    (tmp_path / "sitecustomize.py").write_text(SLOW_EXIT)
    reading_end, writing_end = os.pipe()
    os.write(writing_end, b"\n" * 60_000)
    log = bytearray()
    reader = Thread(target=read_slowly, args=(reading_end, log))
    with (
        FakeFocus(feed(100), login=[ok], always=always) as focus,
        archive.start(
            focus,
            requests=100,
            media_concurrency=64,
            stderr=writing_end,
            environment={"PYTHONPATH": str(tmp_path)},
        ) as process,
    ):
        os.close(writing_end)
        reader.start()
        exit_code = process.process.wait(TIMEOUT)
        reader.join()
    os.close(reading_end)

    assert b"Fatal Python error" not in log
    assert exit_code == 78
    assert log.count(b"| ERROR ") == 1
