"""Shards: the split of all recordings between several machines."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from typing_extensions import override

_PATTERN = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")


@dataclass(frozen=True)
class Shard:
    """One machine's share of the recordings.

    Attributes:
        index: number of the shard, from 1 to `count`.
        count: number of shards.
    """

    index: int = 1
    count: int = 1

    @override
    def __str__(self) -> str:
        """Return the shard as the setting spells it: `index/count`."""
        return f"{self.index}/{self.count}"

    def contains(self, interaction_id: int) -> bool:
        """Return whether a recording belongs to this shard.

        The hash must never change. With another hash, each machine would skip recordings that no
        other machine has archived.
        """
        digest = hashlib.sha256(str(interaction_id).encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index - 1


def parse_shard(text: str) -> Shard:
    """Parse the setting `media_shard`.

    Args:
        text: `k/n`, such as `2/3` for the second of three shards.

    Raises:
        ValueError: the text is not `k/n` with 1 ≤ k ≤ n.
    """
    if match := _PATTERN.fullmatch(text):
        index, count = map(int, match.groups())
        if 1 <= index <= count:
            return Shard(index, count)
    raise ValueError(f"must be k/n with k from 1 to n, such as 2/3, not {text!r:.80}")
