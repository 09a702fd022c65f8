"""Measure the audio archive: downloads at once, large files beside curl, and memory.

A server of its own process logs in, hands out one feed and answers every request for audio. Three
figures are printed beside their targets: how much faster eight downloads at once are than one,
against a Focus that takes its time; how fast large files are written and hashed, one at a time,
compared with curl that only writes them; and the memory that one very large file takes.

Both of the first two are given for whole processes and without the time that the tap takes to
start and to walk an empty feed.

usage: python benchmarks/media.py [--rounds N] [--folder PATH]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from processes import KIB, MIB, TAP, Run, run_measured, server_process

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

PAGE = 100
AUDIO_PATH = "/client/recording.playBackByThirdPartyId"


class Feed(NamedTuple):
    """So many recordings, the size of each one's audio, and the seconds that Focus takes for it."""

    recordings: int
    size: int
    seconds: float = 0


def serve(feed: Feed, url: Connection) -> None:
    """Serve a feed on loopback; its base URL is told through the connection."""
    block = os.urandom(min(feed.size, 4 * MIB))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != AUDIO_PATH:
                self.answer(b'{"token": "t", "refreshToken": "r"}')
                return
            time.sleep(feed.seconds)
            self.head("audio/mpeg", feed.size)
            for start in range(0, feed.size, len(block)):
                self.wfile.write(block[: feed.size - start])

        def do_GET(self) -> None:
            cursor = self.path.partition("cursorId=")[2].partition("&")[0]
            first = int(cursor or 0)
            last = min(first + PAGE, feed.recordings)
            recordings = [
                {
                    "interactionId": number,
                    "startDatetimeUTC": "2025-05-01T09:00:00Z",
                    "thirdPartyId": str(number),
                    "mediaAccessStatus": "Permitted",
                }
                for number in range(first, last)
            ]
            page = {"recordings": recordings, "nextCursorId": str(last)}
            self.answer(json.dumps(page).encode())

        def answer(self, body: bytes) -> None:
            self.head("application/json", len(body))
            self.wfile.write(body)

        def head(self, kind: str, length: int) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(length))
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        url.send(f"http://127.0.0.1:{server.server_port}")
        server.serve_forever()


class Bench:
    """A folder to work in, and the commands that are compared."""

    def __init__(self, folder: Path) -> None:
        """Make the catalog that selects the audio alone."""
        self._folder = folder
        self._audio = folder / "audio"
        found = subprocess.run([str(TAP), "--discover"], check=True, capture_output=True)
        catalog = json.loads(found.stdout)
        for stream in catalog["streams"]:
            for entry in stream["metadata"]:
                if entry["breadcrumb"] == []:
                    entry["metadata"]["selected"] = stream["tap_stream_id"] == "recording_media"
        (folder / "catalog.json").write_text(json.dumps(catalog))

    def tap(self, url: str, feed: Feed, concurrency: int) -> Run:
        """Archive a feed with the tap."""
        config = {
            "api_url": url,
            "api_key": "key",
            "username": "user",
            "client_id": 1,
            "page_size": PAGE,
            "media_path": str(self._audio),
            "media_concurrency": concurrency,
        }
        path = self._folder / "config.json"
        path.write_text(json.dumps(config))
        catalog = str(self._folder / "catalog.json")
        return self._archive([str(TAP), "--config", str(path), "--catalog", catalog], feed)

    def curl(self, url: str, feed: Feed) -> Run:
        """Write a feed's audio with curl, one file after the other on one connection."""
        command = ["curl", "--silent", "--fail", "--data", "{}", "--create-dirs"]
        for number in range(feed.recordings):
            command += ["--output", str(self._audio / str(number)), url + AUDIO_PATH]
        return self._archive(command, feed)

    def start(self) -> float:
        """Return the seconds that the tap takes for an empty feed."""
        nothing = Feed(0, 0)
        with server_process(serve, nothing) as url:
            return statistics.median(self.tap(url, nothing, 1).wall for _ in range(5))

    def _archive(self, command: list[str], feed: Feed) -> Run:
        """Run a command, see that it left every file whole, and remove them."""
        run = run_measured(command)
        sizes = [path.stat().st_size for path in self._audio.rglob("*") if path.is_file()]
        if sizes != [feed.size] * feed.recordings:
            sys.exit(f"{command[0]} did not write {feed.recordings} files of {feed.size} bytes")
        shutil.rmtree(self._audio, ignore_errors=True)
        return run


def line(what: str, whole: float, without_start: float | None, target: str) -> None:
    """Print a row of the table."""
    more = "" if without_start is None else f"{without_start:.2f}"
    print(f"{what:46}{whole:>8.2f}{more:>15}  {target}", flush=True)


def at_once(bench: Bench, start: float) -> None:
    """Compare eight downloads at once with one."""
    feed = Feed(400, 20 * KIB, 0.25)
    with server_process(serve, feed) as url:
        one, eight = (bench.tap(url, feed, concurrency).wall for concurrency in (1, 8))
    what = f"8 at once, times as fast as 1 ({one:.1f} s)"
    line(what, one / eight, (one - start) / (eight - start), "at least 6")


def large_files(bench: Bench, start: float, rounds: int) -> None:
    """Compare the tap's throughput of large files, one at a time, with curl's."""
    feed = Feed(8, 64 * MIB)
    with server_process(serve, feed) as url:
        bench.curl(url, feed)  # the first of all writers pays for memory that nobody had yet
        pairs = [(bench.curl(url, feed).wall, bench.tap(url, feed, 1).wall) for _ in range(rounds)]
    curl, tap = (statistics.median(column) for column in zip(*pairs, strict=True))
    rate = feed.recordings * feed.size / 1e6
    what = f"large files, throughput to curl's ({rate / curl:,.0f} MB/s)"
    line(what, curl / tap, curl / (tap - start), "at least 0.80")


def memory(bench: Bench) -> None:
    """Measure the memory that one very large file takes."""
    feed = Feed(1, 400 * MIB)
    with server_process(serve, feed) as url:
        peak = bench.tap(url, feed, 1).peak_memory
    line("a file of 400 MiB, peak resident memory in MiB", peak / MIB, None, "below 120")


def main() -> None:
    """Measure and print, row by row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of the large files; medians count")
    parser.add_argument("--folder", type=Path, help="where to write; by default a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        bench = Bench(Path(folder))
        start = bench.start()
        print(f"the tap takes {start:.2f} s to start; {os.cpu_count()} CPUs")
        print(f"{'':46}{'whole':>8}{'without start':>15}  target")
        large_files(bench, start, options.rounds)
        memory(bench)
        at_once(bench, start)


if __name__ == "__main__":
    main()
