"""Read a long feed from a Focus that fails now and then, and see that nothing is lost or grows.

A sandbox in a process of its own lets a share of all requests fail. The tap's lines are read one by
one and held against what the sandbox holds; at each tenth of the way a row tells how far the feed
has come, how many recordings and retries there were, and the tap's memory.

usage: python benchmarks/soak.py [--recordings N] [--fail RATE] [--page-size N]
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any

import msgspec
import psutil

from tap_focus.sandbox.company import Company

BIN = Path(sys.executable).parent
SEED = 1


def start_sandbox(recordings: int, fail: float) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """Start `focus-sandbox` and return it with the settings that it prints."""
    options = {"port": 0, "records": recordings, "seed": SEED, "fail": fail, "live-every": 0}
    command = [str(BIN / "focus-sandbox")]
    command += [word for name, value in options.items() for word in (f"--{name}", str(value))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    settings: dict[str, Any] = {}
    assert process.stdout is not None
    while len(settings) < 4:  # noqa: PLR2004 - URL, key, username and client id
        found = re.search(r"export TAP_FOCUS_(\w+)=['\"]?([^'\"\n]+)", process.stdout.readline())
        if found:
            settings[found[1].lower()] = found[2]
    return process, settings


def main() -> int:
    """Run the soak; the exit code is 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=1_000_000)
    parser.add_argument("--fail", type=float, default=0.01)
    parser.add_argument("--page-size", type=int, default=100)
    options = parser.parse_args()
    sandbox, settings = start_sandbox(options.recordings, options.fail)
    try:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
            json.dump({**settings, "page_size": options.page_size}, config)
            config.flush()
            return soak(options.recordings, config.name)
    finally:
        sandbox.terminate()
        sandbox.wait()


def soak(recordings: int, config: str) -> int:
    """Run the tap and hold every line against the feed."""
    tap = subprocess.Popen(
        [str(BIN / "tap-focus"), "--config", config], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    log: list[bytes] = []
    assert tap.stdout is not None
    assert tap.stderr is not None
    threading.Thread(target=collect, args=(tap.stderr, log), daemon=True).start()
    memory = psutil.Process(tap.pid)
    company = Company(SEED)
    began = time.monotonic()
    seen = wrong = peak = 0
    print(f"{'feed':10}  {'recordings':>12}  {'retries':>8}  {'memory MiB':>10}  {'seconds':>8}")
    for line in tap.stdout:
        message = msgspec.json.decode(line)
        if message["type"] != "RECORD":
            continue
        record = message["record"]
        event = company.event(seen)
        wrong += any(record[name] != value for name, value in event.items())
        seen += 1
        if seen % (recordings // 10) == 0:
            resident = memory.memory_info().rss >> 20
            peak = max(peak, resident)
            day, seconds = record["startDatetimeUTC"][:10], time.monotonic() - began
            print(f"{day}  {seen:12,}  {len(log):8,}  {resident:10,}  {seconds:8.0f}", flush=True)
    code = tap.wait()
    print(
        f"exit code {code}, {recordings - seen:,} lost, {wrong:,} changed, {len(log):,} retries, "
        f"largest memory seen {peak:,} MiB"
    )
    return int(code != 0 or seen != recordings or wrong > 0)


def collect(stream: IO[bytes], lines: list[bytes]) -> None:
    """Keep the log's lines about retries."""
    lines.extend(line for line in stream if b"Trying again" in line)


if __name__ == "__main__":
    sys.exit(main())
