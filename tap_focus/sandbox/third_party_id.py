"""The `thirdPartyId` of a recording. It ends in the interactionId, so that no index is needed."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from tap_focus.sandbox.people import Person
    from tap_focus.sandbox.seeded_random import SeededRandom

# A Teams ID ends in a number that looks like a time in milliseconds.
_TEAMS_BASE = 1_700_000_000_000


def create_third_party_id(
    channel: str, interaction_id: int, host: Person, random: SeededRandom
) -> str:
    """Return "<Teams user>|<meeting>|<number>" for a Teams recording, otherwise a UUID."""
    if channel == "teams":
        _, teams_user = host.addresses["teamsUserId"]
        return f"{teams_user}|{random.uuid()}|{_TEAMS_BASE + interaction_id}"
    return random.uuid(last_part=interaction_id)


def parse_interaction_id(third_party_id: str) -> int | None:
    """Return the interactionId in a `thirdPartyId`. None: the format is unknown."""
    try:
        if "|" in third_party_id:
            return int(third_party_id.rpartition("|")[2]) - _TEAMS_BASE
        return int(third_party_id.rpartition("-")[2], 16)
    except ValueError:
        return None
