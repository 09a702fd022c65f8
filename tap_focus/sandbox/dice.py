"""Chance that can be repeated: the same name rolls the same numbers, in any process."""

from __future__ import annotations

from hashlib import blake2b


class Dice:
    """A row of random numbers that follows from a name alone.

    It holds 512 bits, and each roll uses up log2(sides) of them: plenty for one recording, and
    far cheaper to set up than `random.Random`.
    """

    __slots__ = ("_left",)

    def __init__(self, name: str) -> None:
        """Throw the dice.

        Args:
            name: Who rolls and what for, such as "1/start/42".
        """
        self._left = int.from_bytes(blake2b(name.encode()).digest(), "big")

    def roll(self, sides: int) -> int:
        """Return the next number, from 0 to sides - 1."""
        self._left, number = divmod(self._left, sides)
        return number
