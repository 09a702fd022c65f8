"""Calls in threads that do not keep the process alive, as those of an executor would."""

from __future__ import annotations

import typing as t
from concurrent.futures import Future, wait
from queue import SimpleQueue
from threading import Thread

T = t.TypeVar("T")

_SLICE = 0.2
"""Seconds of one wait: a signal that arrives just before a wait begins is noticed after it."""


class Background:
    """A number of workers that call what they are given, in its order."""

    def __init__(self, workers: int, name: str) -> None:
        """Start the workers."""
        self._calls: SimpleQueue[t.Callable[[], None]] = SimpleQueue()
        for number in range(workers):
            Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    def begin(self, call: t.Callable[[], T]) -> Future[T]:
        """Let the next free worker call it; return the future result."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - handed on to whoever waits
                future.set_exception(error)

        self._calls.put(run)
        return future

    def _work(self) -> None:
        while True:
            self._calls.get()()


def result(future: Future[T], check: t.Callable[[], None]) -> T:
    """Wait for a result.

    Args:
        future: what `Background.begin` returned.
        check: called at once and several times a second; may raise, to give up.

    Raises:
        Exception: what the call, or `check`, raised.
    """
    check()
    while not future.done():
        wait([future], timeout=_SLICE)
        check()
    return future.result()
