"""Daemon threads that run calls in the background."""

from __future__ import annotations

import typing as t
from concurrent.futures import Future, wait
from queue import SimpleQueue
from threading import Thread

T = t.TypeVar("T")

POLL_INTERVAL = 0.2
"""Seconds between two calls of `on_wait`. A signal is handled within this time."""


class DaemonThreadPool:
    """A fixed number of threads that run calls in the order of submission.

    The threads of a ThreadPoolExecutor are joined when the process exits, so a stopped run would
    wait for its downloads. Daemon threads are not joined.
    """

    def __init__(self, workers: int, name: str) -> None:
        """Start the threads, named `<name>-<number>`."""
        self._calls: SimpleQueue[t.Callable[[], None]] = SimpleQueue()
        for number in range(workers):
            Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    def submit(self, call: t.Callable[[], T]) -> Future[T]:
        """Queue a call and return its future result."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - wait_for raises it
                future.set_exception(error)

        self._calls.put(run)
        return future

    def _work(self) -> None:
        while True:
            self._calls.get()()


def wait_for(future: Future[T], on_wait: t.Callable[[], None]) -> T:
    """Wait for a call and return its result.

    Args:
        future: returned by `DaemonThreadPool.submit`.
        on_wait: called once at the start and after each poll interval. It may raise to stop
            waiting.

    Raises:
        Exception: whatever the call or `on_wait` raises.
    """
    on_wait()
    while not future.done():
        wait([future], timeout=POLL_INTERVAL)
        on_wait()
    return future.result()
