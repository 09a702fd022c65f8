"""Measure the audio archive: concurrent downloads, throughput of large files, and memory.

A server in a separate process sends one feed and the same audio for every recording. The benchmarks
print their results beside their targets:

- Eight concurrent downloads compared with one, from a server with a delay.
- Throughput of large files, one at a time, compared with curl. The tap also computes checksums.
- Peak memory during the download of one very large file.
- Small files that the store in a folder makes durable, and requests to S3 for each file.

`archive_verify.py` adds rows for `tap-focus-media verify`.

Wall times are given for whole processes and without start-up, which is a run on an empty feed.

usage: python benchmarks/archive.py [--rounds N] [--folder PATH]
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from archive_stores import count_s3_requests, measure_folder
from archive_verify import compare_s3_concurrency, measure_manifest
from audio_server import AUDIO_PATH, PAGE_SIZE, Feed, serve
from processes import (
    ACCOUNT,
    KIB,
    MIB,
    TAP,
    Run,
    describe_machine,
    run_measured,
    server_process,
    write_audio_catalog,
)
from reports import target_cells


class Bench:
    """Runs the tap and curl, and checks the files that they write."""

    def __init__(self, folder: Path) -> None:
        """Write a catalog that selects only `recording_media`."""
        self._folder = folder
        self._audio = folder / "audio"
        write_audio_catalog(folder / "catalog.json")

    def run_tap(self, url: str, feed: Feed, concurrency: int) -> Run:
        """Archive a feed with the tap."""
        settings = {
            "api_url": url,
            **ACCOUNT,
            "page_size": PAGE_SIZE,
            "media_path": str(self._audio),
            "media_concurrency": concurrency,
        }
        config = self._folder / "config.json"
        config.write_text(json.dumps(settings), encoding="utf-8")
        catalog = self._folder / "catalog.json"
        return self._run([str(TAP), "--config", str(config), "--catalog", str(catalog)], feed)

    def run_curl(self, url: str, feed: Feed) -> Run:
        """Download the audio of a feed with curl, one file at a time on one connection."""
        command = ["curl", "--silent", "--fail", "--data", "{}", "--create-dirs"]
        for number in range(feed.recordings):
            command += ["--output", str(self._audio / str(number)), url + AUDIO_PATH]
        return self._run(command, feed)

    def measure_startup(self) -> float:
        """Return the tap's median wall seconds for an empty feed."""
        empty = Feed(0, 0)
        with server_process(serve, empty) as url:
            return statistics.median(self.run_tap(url, empty, 1).wall for _ in range(5))

    def _run(self, command: list[str], feed: Feed) -> Run:
        """Run a command, check the sizes of the files that it wrote, and remove them."""
        run = run_measured(command)
        files = [path for path in self._audio.rglob("*") if path.suffix in {"", ".mp3"}]
        sizes = [path.stat().st_size for path in files if path.name[0].isdigit() and path.is_file()]
        if sizes != [feed.size] * feed.recordings:
            sys.exit(f"{command[0]} did not write {feed.recordings} files of {feed.size} bytes")
        shutil.rmtree(self._audio, ignore_errors=True)
        return run


def compare_concurrency(bench: Bench, startup: float) -> None:
    """Compare eight concurrent downloads with one."""
    feed = Feed(400, 20 * KIB, 0.25)
    with server_process(serve, feed) as url:
        one, eight = (bench.run_tap(url, feed, concurrency).wall for concurrency in (1, 8))
    title = f"Speed-up of 8 concurrent downloads over 1 ({one:.1f} s)"
    print_row(title, one / eight, (one - startup) / (eight - startup), "at least 7")


def compare_throughput(bench: Bench, startup: float, rounds: int) -> None:
    """Compare the throughput of large files with curl's."""
    feed = Feed(8, 64 * MIB)
    with server_process(serve, feed) as url:
        bench.run_curl(url, feed)  # warms up the page cache
        pairs = [
            (bench.run_curl(url, feed).wall, bench.run_tap(url, feed, 1).wall)
            for _ in range(rounds)
        ]
    curl, tap = (statistics.median(column) for column in zip(*pairs, strict=True))
    megabytes_per_second = feed.recordings * feed.size / 1e6 / curl
    title = f"Throughput divided by curl's ({megabytes_per_second:,.0f} MB/s)"
    print_row(title, curl / tap, curl / (tap - startup), "at least 0.80")


def measure_memory(bench: Bench) -> None:
    """Measure the peak memory while the tap downloads one very large file."""
    feed = Feed(1, 400 * MIB)
    with server_process(serve, feed) as url:
        peak = bench.run_tap(url, feed, 1).peak_memory
    print_row("Peak memory for a file of 400 MiB, MiB", peak / MIB, None, "at most 120")


def measure_stores(folder: Path) -> None:
    """Measure the stores without downloads."""
    speed = measure_folder(folder)
    print_row("Files of 20 KiB stored per second, with fsync", speed, None, "at least 1000")
    new, found = count_s3_requests()
    print_row("Requests to S3 for each new file", new, None, "at most 1.05")
    print_row("Requests to S3 for each file that is found again", found, None, "at most 1.05")


def print_row(title: str, value: float, without_startup: float | None, target: str) -> None:
    """Print a row of the table. The target applies to the value without start-up, if given."""
    net = "" if without_startup is None else f"{without_startup:.2f}"
    cells = target_cells(value if without_startup is None else without_startup, target)
    print(f"| {title} | {value:.2f} | {net} | {cells} |", flush=True)


def main() -> None:
    """Measure, and print a table row by row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of the throughput benchmark")
    parser.add_argument("--folder", type=Path, help="parent of the work folder; default: temporary")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        bench = Bench(Path(folder))
        startup = bench.measure_startup()
        print(f"{describe_machine()}. Start-up of the tap: {startup:.2f} s\n")
        print("| | Whole process | Without start-up | Target | Met |")
        print("| --- | ---: | ---: | --- | --- |")
        measure_stores(Path(folder))
        compare_throughput(bench, startup, options.rounds)
        measure_memory(bench)
        compare_concurrency(bench, startup)
        compare_s3_concurrency(Path(folder), print_row)
        measure_manifest(Path(folder), print_row)


if __name__ == "__main__":
    main()
