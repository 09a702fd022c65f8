"""The sandbox's company: its feed and recordings, without a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from collections import defaultdict

import pytest

from tap_focus.sandbox.company import Company
from tap_focus.streams import columns

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    Entries = list[dict[str, t.Any]]


@pytest.fixture(scope="module")
def entries() -> Entries:
    return feed_entries(Company(1), range(2000))


def feed_entries(company: Company, positions: Iterable[int]) -> Entries:
    return [company.feed_entry(position) for position in positions]


def versions_by_id(entries: Entries) -> dict[int, Entries]:
    versions = defaultdict(list)
    for entry in entries:
        versions[entry["interactionId"]].append(entry)
    return versions


def test_a_seed_gives_the_same_recordings_in_every_process() -> None:
    positions = (0, 77, 4567, 1_000_000)
    program = (
        "import json; from tap_focus.sandbox.company import Company;"
        f"print(json.dumps([Company(7).feed_entry(position) for position in {positions}]))"
    )

    output = subprocess.check_output(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": "5"}
    )

    assert json.loads(output) == feed_entries(Company(7), positions)


def test_another_seed_gives_other_recordings() -> None:
    assert Company(7).feed_entry(77) != Company(8).feed_entry(77)


def test_2000_entries_of_seed_1_are_1897_recordings(entries: Entries) -> None:
    assert len(versions_by_id(entries)) == 1897


def test_every_field_is_in_the_schema_of_the_stream(entries: Entries) -> None:
    fields = {field for entry in entries for field in entry}

    assert fields <= columns.RECORDINGS["properties"].keys()


def test_every_recording_has_the_same_fields(entries: Entries) -> None:
    assert len({tuple(entry) for entry in entries}) == 1


@pytest.mark.parametrize(
    "field", ["transcriptSnippet", "analysis", "retainUntil", "legalHolds", "dataGroups"]
)
def test_a_nullable_field_is_null_or_has_one_type(entries: Entries, field: str) -> None:
    types = {type(entry[field]) for entry in entries}

    assert type(None) in types
    assert len(types) == 2


def test_recordings_use_every_channel(entries: Entries) -> None:
    channels = {entry["type"] for entry in entries}

    assert channels == {"teams", "phone", "mobile", "sms", "whatsapp", "slack", "email"}


def test_a_duration_is_a_number_zero_or_null(entries: Entries) -> None:
    durations = [entry["durationInSeconds"] for entry in entries]

    assert {type(duration) for duration in durations} == {float, int, type(None)}


def test_access_to_the_audio_is_permitted_or_not(entries: Entries) -> None:
    assert {entry["mediaAccessStatus"] for entry in entries} == {"Permitted", "NotPermitted"}


def test_only_private_recordings_have_a_reason(entries: Entries) -> None:
    assert {entry["isPrivate"] for entry in entries} == {True, False}
    assert all(entry["isPrivate"] == (entry["isPrivateReason"] is not None) for entry in entries)


@pytest.mark.parametrize("key", ["person", "user"])
def test_the_person_and_user_of_an_endpoint_are_objects_null_or_absent(
    entries: Entries, key: str
) -> None:
    endpoints = [endpoint for entry in entries for endpoint in entry["endpoints"]]

    types = {type(endpoint.get(key, "absent")) for endpoint in endpoints}

    assert types == {dict, type(None), str}


def test_every_recording_has_two_or_more_endpoints_and_one_originator(entries: Entries) -> None:
    for entry in entries:
        originators = [endpoint["isOriginator"] for endpoint in entry["endpoints"]]

        assert len(originators) >= 2
        assert originators.count(True) == 1


def test_2000_entries_cover_two_months_in_approximate_order(entries: Entries) -> None:
    starts = [entry["startDatetimeUTC"] for entry in entries]

    assert starts[0].startswith("2025-01-06")
    assert max(starts).startswith(("2025-02-28", "2025-03-01", "2025-03-02"))
    assert starts != sorted(starts)


def test_about_one_entry_in_twenty_is_an_update(entries: Entries) -> None:
    updates = len(entries) - len(versions_by_id(entries))

    assert 75 < updates < 125


def test_an_update_differs_from_all_earlier_versions(entries: Entries) -> None:
    for versions in versions_by_id(entries).values():
        assert len({json.dumps(version) for version in versions}) == len(versions)


def test_an_update_keeps_the_start_and_the_third_party_id(entries: Entries) -> None:
    for versions in versions_by_id(entries).values():
        assert (
            len({(version["startDatetimeUTC"], version["thirdPartyId"]) for version in versions})
            == 1
        )


def test_some_recordings_are_updated_twice() -> None:
    entries = feed_entries(Company(3), range(5000))

    assert max(map(len, versions_by_id(entries).values())) > 2


def test_every_recording_has_its_own_third_party_id(entries: Entries) -> None:
    third_party_ids = {entry["thirdPartyId"] for entry in entries}

    assert len(third_party_ids) == len(versions_by_id(entries))


@pytest.mark.parametrize("position", [0, 5, 333, 99_999])
def test_a_recording_is_found_by_its_third_party_id(position: int) -> None:
    company = Company(1)
    recording = company.feed_entry(company.original_position(position))

    assert company.find(recording["thirdPartyId"]) == recording


def test_an_unknown_third_party_id_finds_nothing() -> None:
    company = Company(1)
    known = company.feed_entry(0)["thirdPartyId"]
    changed = known.replace("-a", "-b", 1)

    for third_party_id in (changed, "", "|", "1|2|1700000000999", "1-2-zz"):
        assert company.find(third_party_id) is None
    assert Company(2).find(known) is None
