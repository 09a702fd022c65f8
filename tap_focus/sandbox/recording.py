"""The content of one recording, with the fields of the vendor's sample."""

from __future__ import annotations

import typing as t

from tap_focus.sandbox import phrases
from tap_focus.sandbox.schedule import HOUR, MINUTE, YEAR, format_time
from tap_focus.sandbox.third_party_id import create_third_party_id

if t.TYPE_CHECKING:
    from tap_focus.sandbox.participants import Participants
    from tap_focus.sandbox.seeded_random import SeededRandom

    Recording = dict[str, t.Any]

# Shares in percent.
_CHANNELS = (
    *("teams",) * 34,
    *("phone",) * 20,
    *("mobile",) * 16,
    *("whatsapp",) * 10,
    *("sms",) * 8,
    *("slack",) * 7,
    *("email",) * 5,
)
_CALL_MINUTES = {
    "teams": (2, 4, 8, 14, 22, 27, 29, 38, 55, 88),
    "phone": (0, 0, 1, 1, 2, 3, 5, 8, 13, 31),
    "mobile": (0, 0, 0, 1, 1, 2, 4, 6, 9, 24),
}  # the other channels are messages


def create_recording(
    interaction_id: int, start: int, participants: Participants, random: SeededRandom
) -> Recording:
    """Return the first version of a recording.

    Args:
        interaction_id: The recording's ID.
        start: The start, in the schedule's milliseconds.
        participants: The people of the company.
        random: The source of everything else. The order of the draws determines the content.
    """
    channel = random.choice(_CHANNELS)
    duration = _duration(channel, random)
    end = start + (duration or 0)
    host, endpoints = participants.choose(channel, random)
    topic = random.choice(phrases.TOPICS)
    private = random.one_in(25)
    forbidden = not random.one_in(3) if private else random.one_in(25)
    return {
        "interactionId": interaction_id,
        "startDatetimeUTC": format_time(start),
        "endDatetimeUTC": format_time(end),
        "durationInSeconds": duration / 1000 if duration else duration,
        "type": channel,
        "commentsCount": random.randrange(4) if random.one_in(8) else 0,
        "transcriptSnippet": _snippet(channel, topic, host.name, random),
        "thirdPartyId": create_third_party_id(channel, interaction_id, host, random),
        "endpoints": endpoints,
        "analysis": random.choice(([topic], [topic], [topic, "Market Color"], [], None)),
        "retentionGroupId": 1 + random.randrange(6) if random.one_in(3) else None,
        "retainUntil": _retain_until(end, random),
        "legalHolds": [_legal_hold(random)] if random.one_in(30) else None,
        "tags": _tags(topic, random) if channel in _CALL_MINUTES else [],
        "isPrivate": private,
        "isPrivateReason": random.choice(phrases.PRIVATE_REASONS) if private else None,
        "mediaAccessStatus": "NotPermitted" if forbidden else "Permitted",
        "dataGroups": list(host.groups) if random.one_in(3) else None,
        "optional": _crm_case(random) if random.one_in(12) else {},
    }


def update_recording(
    recording: Recording,
    update_id: int,
    time: int,
    participants: Participants,
    random: SeededRandom,
) -> None:
    """Apply an update to a recording in place.

    Args:
        recording: The first version. Its IDs and times do not change.
        update_id: A number above the interactionId. It makes each version unique.
        time: The time of the update, in the schedule's milliseconds.
        participants: The people of the company.
        random: The source of everything else.
    """
    recording["commentsCount"] += 1 + (update_id - recording["interactionId"]) // 50
    recording["optional"]["review"] = {
        "id": update_id,
        "by": random.choice(participants.staff).name,
        "atUTC": format_time(time + 3 * HOUR + random.randrange(HOUR)),
    }
    change = random.choice(("legal hold", "retention", "analysis", "tags"))
    if change == "legal hold":
        recording["legalHolds"] = [*(recording["legalHolds"] or []), _legal_hold(random)]
        recording["retainUntil"] = None
    elif change == "retention":
        recording["retentionGroupId"] = 1 + random.randrange(6)
        recording["retainUntil"] = format_time(time + 7 * YEAR)
    elif change == "analysis":
        recording["analysis"] = [*(recording["analysis"] or []), "Compliance Review"]
    else:
        recording["tags"].append("reviewStatus.categoryNames.Approved")


def has_audio(recording: Recording) -> bool:
    """Return whether the recording has audio: a call, a meeting or a voice note."""
    return bool(recording["durationInSeconds"])


def _duration(channel: str, random: SeededRandom) -> int | None:
    """Return the duration in milliseconds; 0 or None for a written message."""
    if channel in _CALL_MINUTES:
        return random.choice(_CALL_MINUTES[channel]) * MINUTE + 1 + random.randrange(MINUTE)
    if channel == "whatsapp" and random.one_in(8):
        return 1 + random.randrange(MINUTE)  # a voice note
    return 0 if random.one_in(3) else None


def _snippet(channel: str, topic: str, name: str, random: SeededRandom) -> str | None:
    if channel not in _CALL_MINUTES:
        return random.choice(phrases.MESSAGES).format(topic=topic, name=name)
    if random.one_in(5):
        return None
    return random.choice(phrases.CALL_SNIPPETS).format(topic=topic, name=name)


def _retain_until(end: int, random: SeededRandom) -> str | None:
    if random.one_in(8):
        return None
    return format_time(end + random.choice((5, 7, 10, 10)) * YEAR)


def _tags(topic: str, random: SeededRandom) -> list[str]:
    first, count = random.randrange(3), random.randrange(4)
    phases = phrases.PHASES[first : first + count]
    tags = [f"conversationPhases.categoryNames.{phase}" for phase in phases]
    if not random.one_in(3):
        tags.append(f"callCategory.categoryNames.{topic.replace(' ', '_')}")
    return tags


def _legal_hold(random: SeededRandom) -> dict[str, t.Any]:
    index = random.randrange(len(phrases.LEGAL_HOLDS))
    return {"id": 1 + index, "name": phrases.LEGAL_HOLDS[index]}


def _crm_case(random: SeededRandom) -> dict[str, t.Any]:
    case = f"C-{random.randrange(9000)}"
    return {"crm": {"case": case, "labels": ["vip"], "score": random.randrange(1000) / 1000}}
