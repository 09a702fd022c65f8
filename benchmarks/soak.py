"""Read a long feed from a server that fails now and then, and check every record.

The sandbox runs in a separate process and lets a share of all requests fail. Each record is
compared with the sandbox's data. At each tenth of the feed, a row shows the progress, the number
of warnings (the tap logs one for each retry) and the tap's memory. The exit code is 1 if a
recording is missing or changed.

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
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import msgspec
import psutil
from processes import BIN, MIB, TAP

from tap_focus.sandbox.company import Company

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = 1
SETTINGS = {"api_url", "api_key", "username", "client_id"}


def main() -> int:
    """Run the soak test and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=1_000_000)
    parser.add_argument("--fail", type=float, default=0.01)
    parser.add_argument("--page-size", type=int, default=100)
    options = parser.parse_args()
    with (
        running_sandbox(options.recordings, options.fail) as settings,
        tempfile.NamedTemporaryFile("w", suffix=".json") as config,
    ):
        json.dump({**settings, "page_size": options.page_size}, config)
        config.flush()
        return soak(options.recordings, config.name)


@contextmanager
def running_sandbox(recordings: int, fail: float) -> Iterator[dict[str, Any]]:
    """Run `focus-sandbox` and yield the settings that it prints."""
    command = [str(BIN / "focus-sandbox"), "--port=0", f"--records={recordings}", f"--seed={SEED}"]
    command += [f"--fail={fail}", "--live-every=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield read_settings(process.stdout)
        finally:
            process.terminate()


def read_settings(output: IO[str]) -> dict[str, str]:
    """Return the tap's settings from the `export` lines of the sandbox."""
    settings: dict[str, str] = {}
    for line in output:
        if match := re.match(r"export TAP_FOCUS_(\w+)=['\"]?([^'\"\n]+)", line):
            settings[match[1].lower()] = match[2]
        if set(settings) >= SETTINGS:
            return settings
    sys.exit("focus-sandbox did not print its settings")


def soak(recordings: int, config: str) -> int:
    """Run the tap, compare every record with the sandbox's data, and return the exit code."""
    tap = subprocess.Popen(
        [str(TAP), "--config", config], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert tap.stdout is not None
    assert tap.stderr is not None
    warnings: list[bytes] = []
    collector = threading.Thread(target=collect_warnings, args=(tap.stderr, warnings), daemon=True)
    collector.start()
    process = psutil.Process(tap.pid)
    company = Company(SEED)
    started_at = time.monotonic()
    count = changed = peak_memory = 0
    print(f"{'feed':10}  {'recordings':>12}  {'warnings':>8}  {'memory MiB':>10}  {'seconds':>8}")
    for line in tap.stdout:
        message = msgspec.json.decode(line)
        if message["type"] != "RECORD":
            continue
        record = message["record"]
        expected = company.feed_entry(count)
        changed += any(record[name] != value for name, value in expected.items())
        count += 1
        if count % max(recordings // 10, 1) == 0:
            memory = process.memory_info().rss // MIB
            peak_memory = max(peak_memory, memory)
            day, wall = record["startDatetimeUTC"][:10], time.monotonic() - started_at
            print(f"{day}  {count:12,}  {len(warnings):8,}  {memory:10,}  {wall:8.0f}", flush=True)
    exit_code = tap.wait()
    collector.join()
    print(
        f"exit code {exit_code}, {recordings - count:,} missing, {changed:,} changed, "
        f"{len(warnings):,} warnings, peak memory {peak_memory:,} MiB"
    )
    return int(exit_code != 0 or count != recordings or changed > 0)


def collect_warnings(log: IO[bytes], warnings: list[bytes]) -> None:
    """Append all lines of level WARNING to a list."""
    warnings.extend(line for line in log if b"| WARNING" in line)


if __name__ == "__main__":
    sys.exit(main())
