"""A made-up company and all that it ever recorded, each event worked out from its position."""

from __future__ import annotations

import typing as t
from bisect import bisect_left

from tap_focus.sandbox import phrases
from tap_focus.sandbox.dice import Dice
from tap_focus.sandbox.participants import Participants
from tap_focus.sandbox.people import uuid_of
from tap_focus.sandbox.schedule import (
    EARLY_OR_LATE,
    HOUR,
    MINUTE,
    YEAR,
    since_beginning,
    slot,
    text,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tap_focus.sandbox.people import Person

    Recording = dict[str, t.Any]

HORIZON = 10**8  # positions from here on would lie behind the year 9999

_FIRST_ID = 1000
_SETTLED = 20  # the first events are all new recordings
_RECENT = 300  # an update is of a recording about this many events back, or fewer
_UPDATE_ONE_IN = 20

# One entry for each percent of the recordings.
_CHANNELS = (
    ("teams",) * 34
    + ("phone",) * 20
    + ("mobile",) * 16
    + ("whatsapp",) * 10
    + ("sms",) * 8
    + ("slack",) * 7
    + ("email",) * 5
)
_MINUTES = {
    "teams": (2, 4, 8, 14, 22, 27, 29, 38, 55, 88),
    "phone": (0, 0, 1, 1, 2, 3, 5, 8, 13, 31),
    "mobile": (0, 0, 0, 1, 1, 2, 4, 6, 9, 24),
}  # every other channel is written

# A Teams id ends in a number that passes for a time. Any other is a UUID whose last part is the
# interactionId, multiplied so that neighbours do not look alike.
_TEAMS_BASE = 1_700_000_000_000
_LAST_PART = 1 << 48
_SCATTER = 0x5DEECE66D
_GATHER = pow(_SCATTER, -1, _LAST_PART)


class Company:
    """Every recording of one made-up company.

    An event is a recording as the cursor API tells it: mostly a new one, and one in twenty an
    update of a recent one. Its content follows from the seed and its position in the feed, so
    nothing is stored and any place can be asked for first.
    """

    def __init__(self, seed: int) -> None:
        """Found the company.

        Args:
            seed: Another number makes other recordings.
        """
        self._seed = seed
        self._participants = Participants(seed)

    def event(self, position: int) -> Recording:
        """Return the recording at a place in the feed.

        Args:
            position: 0 for the first event, below `HORIZON`.

        Returns:
            A new dict with the fields of the vendor's sample. An update has the interactionId,
            thirdPartyId and times of the recording that it updates.
        """
        origin = self.origin(position)
        recording = self._recording(origin)
        if origin != position:
            self._update(recording, position)
        return recording

    def origin(self, position: int) -> int:
        """Return where an event's recording came first: the event's own place, or an earlier."""
        if not self._is_update(position):
            return position
        back = Dice(f"{self._seed}/update of/{position}").roll(min(position, _RECENT))
        earlier = position - 1 - back
        while self._is_update(earlier):
            earlier -= 1
        return earlier

    def find(self, third_party_id: str) -> Recording | None:
        """Return the recording with this thirdPartyId in its first version, None if unknown."""
        tail = third_party_id.replace("|", "-").rpartition("-")[2]
        try:
            if "|" in third_party_id:
                interaction_id = int(tail) - _TEAMS_BASE
            else:
                interaction_id = int(tail, 16) * _GATHER % _LAST_PART
        except ValueError:
            return None
        position = interaction_id - _FIRST_ID
        if not 0 <= position < HORIZON or self._is_update(position):
            return None
        recording = self._recording(position)
        return recording if recording["thirdPartyId"] == third_party_id else None

    def first_since(self, moment: datetime, count: int) -> int:
        """Return where the feed begins for someone who asks for a date.

        Dates rise with the position only roughly. The events before the first one that started
        at the moment or later are passed over, and none behind it: nothing that was asked for
        is lost, and some recordings that are older come along.

        Args:
            moment: The date and time, with its time zone.
            count: How many events there are.

        Returns:
            The position; `count` if nothing is that young.
        """
        wanted = since_beginning(moment)
        position = bisect_left(range(count), wanted - EARLY_OR_LATE, key=slot)
        while position < count and self._start(self.origin(position)) < wanted:
            position += 1
        return position

    def _is_update(self, position: int) -> bool:
        dice = Dice(f"{self._seed}/is update/{position}")
        return position >= _SETTLED and dice.roll(_UPDATE_ONE_IN) == 0

    def _start(self, position: int) -> int:
        late = Dice(f"{self._seed}/start/{position}").roll(2 * EARLY_OR_LATE)
        return slot(position) + late - EARLY_OR_LATE

    def _recording(self, position: int) -> Recording:
        roll = Dice(f"{self._seed}/recording/{position}").roll
        channel = _CHANNELS[roll(len(_CHANNELS))]
        start = self._start(position)
        length = _length(channel, roll)
        end = start + (length or 0)
        host, endpoints = self._participants.pick(channel, roll)
        topic = phrases.TOPICS[roll(len(phrases.TOPICS))]
        private = not roll(25)
        forbidden = roll(3) > 0 if private else not roll(25)
        return {
            "interactionId": _FIRST_ID + position,
            "startDatetimeUTC": text(start),
            "endDatetimeUTC": text(end),
            "durationInSeconds": length / 1000 if length else length,
            "type": channel,
            "commentsCount": roll(4) if not roll(8) else 0,
            "transcriptSnippet": _snippet(channel, topic, host.name, roll),
            "thirdPartyId": _third_party_id(channel, _FIRST_ID + position, host, roll),
            "endpoints": endpoints,
            "analysis": ([topic], [topic], [topic, "Market Colour"], [], None)[roll(5)],
            "retentionGroupId": 1 + roll(6) if not roll(3) else None,
            "retainUntil": text(end + (5, 7, 10, 10)[roll(4)] * YEAR) if roll(8) else None,
            "legalHolds": [_legal_hold(roll)] if not roll(30) else None,
            "tags": _tags(topic, roll) if channel in _MINUTES else [],
            "isPrivate": private,
            "isPrivateReason": phrases.PRIVATE_REASONS[roll(4)] if private else None,
            "mediaAccessStatus": "NotPermitted" if forbidden else "Permitted",
            "dataGroups": list(host.groups) if not roll(3) else None,
            "optional": _case(roll) if not roll(12) else {},
        }

    def _update(self, recording: Recording, position: int) -> None:
        """Turn a recording into what the event at a later position makes of it."""
        roll = Dice(f"{self._seed}/update/{position}").roll
        number = _FIRST_ID + position
        recording["commentsCount"] += 1 + (number - recording["interactionId"]) // 50
        # The number of the review is the event's own: no two versions are ever the same.
        recording["optional"]["review"] = {
            "id": number,
            "by": self._participants.staff[roll(len(self._participants.staff))].name,
            "atUTC": text(slot(position) + 3 * HOUR + roll(HOUR)),
        }
        change = ("hold", "retention", "analysis", "tags")[roll(4)]
        if change == "hold":
            recording["legalHolds"] = [*(recording["legalHolds"] or []), _legal_hold(roll)]
            recording["retainUntil"] = None
        elif change == "retention":
            recording["retentionGroupId"] = 1 + roll(6)
            recording["retainUntil"] = text(slot(position) + 7 * YEAR)
        elif change == "analysis":
            recording["analysis"] = [*(recording["analysis"] or []), "Compliance Review"]
        else:
            recording["tags"].append("reviewStatus.categoryNames.Approved")


def has_audio(recording: Recording) -> bool:
    """Tell whether there is anything to hear: a call, a meeting or a voice note."""
    return bool(recording["durationInSeconds"])


def _length(channel: str, roll: Callable[[int], int]) -> int | None:
    """Return the milliseconds that a recording lasts; 0 or None for a written message."""
    if channel in _MINUTES:
        return _MINUTES[channel][roll(10)] * MINUTE + 1 + roll(MINUTE)
    if channel == "whatsapp" and not roll(8):
        return 1 + roll(MINUTE)  # a voice note
    return None if roll(3) else 0


def _snippet(channel: str, topic: str, name: str, roll: Callable[[int], int]) -> str | None:
    lines = phrases.CALL_SNIPPETS if channel in _MINUTES else phrases.MESSAGES
    if channel in _MINUTES and not roll(5):
        return None
    return lines[roll(len(lines))].format(topic=topic, name=name)


def _tags(topic: str, roll: Callable[[int], int]) -> list[str]:
    first, count = roll(3), roll(4)
    phases = phrases.PHASES[first : first + count]
    tags = [f"conversationPhases.categoryNames.{phase}" for phase in phases]
    if roll(3):
        tags.append(f"callCategory.categoryNames.{topic.replace(' ', '_')}")
    return tags


def _legal_hold(roll: Callable[[int], int]) -> dict[str, t.Any]:
    number = roll(len(phrases.LEGAL_HOLDS))
    return {"id": 1 + number, "name": phrases.LEGAL_HOLDS[number]}


def _case(roll: Callable[[int], int]) -> dict[str, t.Any]:
    return {"crm": {"case": f"C-{roll(9000)}", "labels": ["vip"], "score": roll(1000) / 1000}}


def _third_party_id(
    channel: str, interaction_id: int, host: Person, roll: Callable[[int], int]
) -> str:
    if channel == "teams":
        _, address = host.addresses["teamsUserId"]
        meeting = uuid_of(roll(1 << 80), roll(_LAST_PART))
        return f"{address}|{meeting}|{_TEAMS_BASE + interaction_id}"
    return uuid_of(roll(1 << 80), interaction_id * _SCATTER % _LAST_PART)
