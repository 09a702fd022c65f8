"""Compare the tap with a plain loop of requests, both as whole processes, in one run.

A server of its own process hands out the same pages from memory. Each round runs the loop and
then the tap; the figures are medians, and what counts is their ratio.

usage: python benchmarks/against_requests.py [--recordings N] [--page-size N] [--rounds N]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tap_focus.sandbox.company import Company

TAP = Path(sys.executable).parent / "tap-focus"

LOOP = """
import sys, json, requests
session = requests.Session()
url, size = sys.argv[1], sys.argv[2]
login = {"apiKey": "key", "username": "user", "clientId": 1}
token = session.post(url + "/authWithAPIKey", json=login).json()["token"]
session.headers["Authorization"] = "Bearer " + token
params = {"numberOfResults": size}
while True:
    page = session.get(url + "/client/recording/cursor", params=params).json()
    for recording in page["recordings"]:
        record = {"type": "RECORD", "stream": "recordings", "record": recording}
        sys.stdout.write(json.dumps(record) + "\\n")
    if not page["recordings"]:
        break
    params = {"numberOfResults": size, "cursorId": page["nextCursorId"]}
"""


def pages(recordings: int, size: int) -> list[bytes]:
    """Return the bodies of a feed, the last one empty."""
    company = Company(1)
    events = [company.event(position) for position in range(recordings)]
    cut = [events[start : start + size] for start in range(0, recordings, size)] + [[]]
    return [
        json.dumps({"recordings": page, "nextCursorId": f"cursor {number}"}).encode()
        for number, page in enumerate(cut, start=1)
    ]


def serve(bodies: list[bytes]) -> ThreadingHTTPServer:
    """Serve the pages on loopback, from a thread of this process."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(b'{"token": "t", "refreshToken": "r"}')

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            self.answer(bodies[int(query.get("cursorId", ["cursor 0"])[0].split()[1])])

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def timed(command: list[str]) -> tuple[float, float]:
    """Run a command; return its CPU and wall time in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, wall


def main() -> None:
    """Run both in turn and print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=50_000)
    parser.add_argument("--page-size", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    server = serve(pages(options.recordings, options.page_size))
    url = f"http://127.0.0.1:{server.server_port}"
    with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
        settings = {"api_url": url, "api_key": "key", "username": "user", "client_id": 1}
        json.dump({**settings, "page_size": options.page_size}, config)
        config.flush()
        commands = {
            "loop": [sys.executable, "-c", LOOP, url, str(options.page_size)],
            "tap": [str(TAP), "--config", config.name],
        }
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, command in commands.items():
                runs[name].append(timed(command))
    server.shutdown()
    medians = {
        name: [statistics.median(column) for column in zip(*times, strict=True)]
        for name, times in runs.items()
    }
    print(
        f"{options.recordings:,} recordings, pages of {options.page_size:,}, {os.cpu_count()} CPUs"
    )
    print(f"{'':6}{'CPU s':>8}{'wall s':>8}")
    for name, (cpu, wall) in medians.items():
        print(f"{name:6}{cpu:8.2f}{wall:8.2f}")
    ratios = [tap / loop for tap, loop in zip(medians["tap"], medians["loop"], strict=True)]
    print(f"{'ratio':6}{ratios[0]:8.2f}{ratios[1]:8.2f}")


if __name__ == "__main__":
    main()
