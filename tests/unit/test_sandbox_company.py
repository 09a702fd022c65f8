"""The sandbox's company: its recordings, people and audio, without a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from collections import Counter

from tap_focus.sandbox.company import Company

FIELDS = [
    "interactionId",
    "startDatetimeUTC",
    "endDatetimeUTC",
    "durationInSeconds",
    "type",
    "commentsCount",
    "transcriptSnippet",
    "thirdPartyId",
    "endpoints",
    "analysis",
    "retentionGroupId",
    "retainUntil",
    "legalHolds",
    "tags",
    "isPrivate",
    "isPrivateReason",
    "mediaAccessStatus",
    "dataGroups",
    "optional",
]


def test_a_seed_means_the_same_recordings_in_any_process() -> None:
    program = (
        "import json; from tap_focus.sandbox.company import Company;"
        "print(json.dumps([Company(7).feed_entry(i) for i in (0, 77, 4567, 1_000_000)]))"
    )
    printed = subprocess.check_output(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": "5"}
    )
    company = Company(7)
    assert json.loads(printed) == [company.feed_entry(i) for i in (0, 77, 4567, 1_000_000)]
    assert company.feed_entry(77) != Company(8).feed_entry(77)


def test_recordings_have_all_fields_of_the_sample_and_vary_as_life_does() -> None:
    company = Company(1)
    events = [company.feed_entry(position) for position in range(2000)]
    assert all(list(event) == FIELDS for event in events)
    for field in ("transcriptSnippet", "analysis", "retainUntil", "legalHolds", "dataGroups"):
        kinds = {type(event[field]) for event in events}
        assert type(None) in kinds
        assert len(kinds) == 2
    assert {event["type"] for event in events} == {
        "teams",
        "phone",
        "mobile",
        "sms",
        "whatsapp",
        "slack",
        "email",
    }
    durations = [event["durationInSeconds"] for event in events]
    assert {type(duration) for duration in durations} == {float, int, type(None)}
    assert {event["mediaAccessStatus"] for event in events} == {"Permitted", "NotPermitted"}
    assert all(event["isPrivate"] == (event["isPrivateReason"] is not None) for event in events)
    shapes = Counter(
        (str(type(endpoint.get(key, "absent"))), key)
        for event in events
        for endpoint in event["endpoints"]
        for key in ("person", "user")
    )
    assert len(shapes) == 6  # an object, null or absent, for either
    assert all(
        [endpoint["isOriginator"] for endpoint in event["endpoints"]].count(True) == 1
        for event in events
    )
    dates = [event["startDatetimeUTC"] for event in events]
    assert dates[0].startswith("2025-01-06")
    assert max(dates).startswith(("2025-02-28", "2025-03-01", "2025-03-02"))
    assert dates != sorted(dates)


def test_an_update_tells_an_earlier_recording_anew_and_no_version_is_like_another() -> None:
    company = Company(3)
    versions: dict[int, list[dict[str, t.Any]]] = {}
    for position in range(5000):
        event = company.feed_entry(position)
        versions.setdefault(event["interactionId"], []).append(event)
        if len(versions[event["interactionId"]]) > 1:
            assert position >= 20
    updated = [told for told in versions.values() if len(told) > 1]
    assert 150 < len(updated) < 350
    assert max(map(len, updated)) > 2
    for told in updated:
        assert len({json.dumps(event) for event in told}) == len(told)
        assert len({event["startDatetimeUTC"] + event["thirdPartyId"] for event in told}) == 1
    assert len({told[0]["thirdPartyId"] for told in versions.values()}) == len(versions)


def test_a_recording_is_found_by_its_third_party_id_alone() -> None:
    company = Company(1)
    for position in (0, 5, 333, 99_999):
        event = company.feed_entry(company.original_position(position))
        assert company.find(event["thirdPartyId"]) == event
        assert company.find(event["thirdPartyId"].replace("-a", "-b", 1)) is None
    assert company.find("|") is None
    assert company.find("1|2|1700000000999") is None
    assert Company(2).find(company.feed_entry(0)["thirdPartyId"]) is None
