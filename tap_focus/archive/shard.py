"""Shards: the split of all recordings between several machines."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_PATTERN = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")


@dataclass(frozen=True)
class Shard:
    """One machine's share of the recordings: number `index`, from 1 to `count`."""

    index: int
    count: int

    def __str__(self) -> str:
        """Return the shard as the setting spells it."""
        return f"{self.index}/{self.count}"

    def contains(self, interaction_id: int) -> bool:
        """Return whether a recording belongs to this shard.

        The hash must never change. With another hash, each machine would skip recordings that no
        other machine has archived.
        """
        digest = hashlib.sha256(str(interaction_id).encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index - 1


def parse_shard(text: str) -> Shard:
    """Parse `k/n`, such as `2/3` for the second of three shards; ValueError if it is invalid."""
    if match := _PATTERN.fullmatch(text):
        index, count = map(int, match.groups())
        if 1 <= index <= count:
            return Shard(index, count)
    raise ValueError(f"must be k/n with k from 1 to n, such as 2/3, not {text!r:.80}")
