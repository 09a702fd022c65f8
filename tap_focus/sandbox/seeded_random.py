"""Reproducible random numbers: the same name gives the same numbers in every process."""

from __future__ import annotations

import typing as t
from hashlib import blake2b

if t.TYPE_CHECKING:
    from collections.abc import Sequence

T = t.TypeVar("T")


class SeededRandom:
    """A short sequence of random numbers that depends on a name only.

    The sequence has 512 bits, and a draw from n numbers uses log2(n) of them. That is enough for
    one recording, and creating a sequence is much faster than creating a `random.Random`.

    Args:
        name: The purpose of the numbers, such as "1/start/42".
    """

    __slots__ = ("_bits",)

    def __init__(self, name: str) -> None:
        self._bits = int.from_bytes(blake2b(name.encode()).digest(), "big")

    def randrange(self, stop: int) -> int:
        """Return the next number, from 0 to stop - 1."""
        self._bits, number = divmod(self._bits, stop)
        return number

    def choice(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[self.randrange(len(options))]

    def one_in(self, count: int) -> bool:
        """Return True with a probability of 1 / count."""
        return self.randrange(count) == 0

    def uuid(self, last_part: int | None = None) -> str:
        """Return a UUID of version 4, such as "0a1b2c3d-4e5f-4a6b-a7c8-0000000003e8".

        Args:
            last_part: The value of the last 12 hex digits. Random by default.
        """
        digits = f"{self.randrange(1 << 80):020x}"
        if last_part is None:
            last_part = self.randrange(1 << 48)
        head = f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-a{digits[15:18]}"
        return f"{head}-{last_part:012x}"
