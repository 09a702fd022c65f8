"""Measure the stores of the audio archive, without downloads: a folder, and a bucket in S3.

Eight threads store files, as the tap does with its default `media_concurrency`. After each page of
100 recordings, all files are durable.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import requests
from fake_s3 import COUNTS, CREDENTIALS, serve_s3
from processes import KIB, server_process

from tap_focus.archive.stores.factory import open_store
from tap_focus.archive.stores.interface import FileDetails

if TYPE_CHECKING:
    from pathlib import Path

    from tap_focus.archive.stores.interface import AudioStore

THREADS = 8
PAGE_SIZE = 100
FILE_SIZE = 20 * KIB
DETAILS = FileDetails("audio/mpeg", source="0123456789abcdef" * 2, duration=61.5)


def store_files(store: AudioStore, count: int) -> float:
    """Store files page by page, and return the seconds it took."""
    content = os.urandom(FILE_SIZE)

    def store_file(number: int) -> None:
        path = f"2025/05/01/{number}"
        assert store.find(path) == []
        new = store.create(path)
        new.write(content)
        new.commit(f"{path}.mp3", DETAILS)

    store.open("benchmark", has_bookmark=False)
    started_at = time.monotonic()
    with ThreadPoolExecutor(THREADS) as pool:
        for first in range(0, count, PAGE_SIZE):
            list(pool.map(store_file, range(first, first + PAGE_SIZE)))
            store.flush()
    return time.monotonic() - started_at


def measure_folder(folder: Path, count: int = 2000) -> float:
    """Return how many files are stored per second in a folder, with fsync."""
    return count / store_files(open_store(str(folder / "stores")), count)


def count_s3_requests(count: int = 200) -> tuple[float, float]:
    """Return the requests for each new file and for each file that is found again, in S3."""
    with server_process(serve_s3, 0.02) as url:
        os.environ.update({**CREDENTIALS, "AWS_ENDPOINT_URL": url})
        store_files(open_store("s3://bucket/calls"), count)
        new = _count_requests(url)
        later = open_store("s3://bucket/calls")
        later.open("benchmark", has_bookmark=True)
        assert all(later.find(f"2025/05/01/{number}") for number in range(count))
        return new / count, _count_requests(url) / count


def _count_requests(url: str) -> int:
    """Return the number of requests since the last call."""
    return sum(requests.get(url + COUNTS, timeout=10).json().values())
