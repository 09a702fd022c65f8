"""The feed of a made-up company. Each entry is computed from its position."""

from __future__ import annotations

import typing as t
from bisect import bisect_left

from tap_focus.sandbox.participants import Participants
from tap_focus.sandbox.recording import create_recording, update_recording
from tap_focus.sandbox.schedule import MINUTE, scheduled_time, to_milliseconds
from tap_focus.sandbox.seeded_random import SeededRandom
from tap_focus.sandbox.third_party_id import parse_interaction_id

if t.TYPE_CHECKING:
    from datetime import datetime

    from tap_focus.sandbox.recording import Recording

_MAX_ENTRIES = 10**8  # about the year 9700; Python's dates end in 9999

_FIRST_INTERACTION_ID = 1000
_ENTRIES_BEFORE_UPDATES = 20
_ENTRIES_PER_UPDATE = 20
_MAX_UPDATE_DISTANCE = 300  # to the updated recording, in entries
_MAX_JITTER = 25 * MINUTE  # between a recording's scheduled time and its start


class Company:
    """The feed of a made-up company.

    The feed is a sequence of entries, numbered by position. An entry is a new recording or an
    update of a recent one. It depends on the seed and the position only, so nothing is stored
    and entries can be read in any order.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._participants = Participants(seed)

    def feed_entry(self, position: int) -> Recording:
        """Return a new dict with the recording at a position.

        Args:
            position: From 0 to 10**8 - 1.
        """
        original = self.original_position(position)
        recording = self._new_recording(original)
        if original != position:
            update_recording(
                recording,
                _FIRST_INTERACTION_ID + position,
                scheduled_time(position),
                self._participants,
                self._random("update", position),
            )
        return recording

    def original_position(self, position: int) -> int:
        """Return the position of the first version of the recording at a position."""
        if not self._is_update(position):
            return position
        distance = self._random("update of", position).randrange(
            min(position, _MAX_UPDATE_DISTANCE)
        )
        original = position - 1 - distance
        while self._is_update(original):
            original -= 1
        return original

    def find(self, third_party_id: str) -> Recording | None:
        """Return the first version of the recording with this `thirdPartyId`, or None."""
        interaction_id = parse_interaction_id(third_party_id)
        if interaction_id is None:
            return None
        position = interaction_id - _FIRST_INTERACTION_ID
        if not 0 <= position < _MAX_ENTRIES or self._is_update(position):
            return None
        recording = self._new_recording(position)
        return recording if recording["thirdPartyId"] == third_party_id else None

    def first_position_since(self, moment: datetime, total: int) -> int:
        """Return the position of the first entry that started at a moment or later.

        Start times increase with the position only approximately, so older recordings can
        follow.

        Args:
            moment: A date and time with a time zone.
            total: The number of entries in the feed.

        Returns:
            The position, or `total` if every entry started earlier.
        """
        since = to_milliseconds(moment)
        position = bisect_left(range(total), since - _MAX_JITTER, key=scheduled_time)
        while position < total and self._start(self.original_position(position)) < since:
            position += 1
        return position

    def _is_update(self, position: int) -> bool:
        random = self._random("is update", position)
        return position >= _ENTRIES_BEFORE_UPDATES and random.one_in(_ENTRIES_PER_UPDATE)

    def _start(self, position: int) -> int:
        jitter = self._random("start", position).randrange(2 * _MAX_JITTER) - _MAX_JITTER
        return scheduled_time(position) + jitter

    def _new_recording(self, position: int) -> Recording:
        return create_recording(
            _FIRST_INTERACTION_ID + position,
            self._start(position),
            self._participants,
            self._random("recording", position),
        )

    def _random(self, purpose: str, position: int) -> SeededRandom:
        return SeededRandom(f"{self._seed}/{purpose}/{position}")
