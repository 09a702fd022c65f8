from __future__ import annotations

from typing import Any

import pytest

from tap_focus import settings
from tap_focus.tap import TapFocus

GOOD = {"region": "uk", "api_key": "k", "username": "u", "client_id": 9999}


def problems(**changes: Any) -> list[str]:
    config = settings.normalised({**GOOD, **changes})
    return settings.problems(config, settings.SCHEMA)


def test_good_settings_have_no_problem_and_get_their_defaults() -> None:
    config = settings.normalised(GOOD)
    assert settings.problems(config, settings.SCHEMA) == []
    defaults = {"page_size": 100, "request_timeout": 60, "max_retries": 8, "media_concurrency": 8}
    assert config == {**GOOD, **defaults}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"region": None}, "region: missing. Set it to one of uk, eu, us or ca, or set api_url"),
        ({"region": "mars"}, "region: must be one of uk, eu, us or ca, not 'mars'"),
        ({"page_size": 0}, "page_size: must be 1 or more, not 0"),
        ({"page_size": "many"}, "page_size: must be an integer, not 'many'"),
        ({"page_size": True}, "page_size: must be an integer, not True"),
        ({"max_retries": 0}, "max_retries: must be 1 or more, not 0"),
        ({"request_timeout": 0}, "request_timeout: must be more than 0, not 0"),
        ({"request_timeout": "soon"}, "request_timeout: must be a number, not 'soon'"),
        ({"client_id": "abc"}, "client_id: must be an integer, not 'abc'"),
        ({"client_id": 1.5}, "client_id: must be an integer, not 1.5"),
        (
            {"stream_maps": {"recording": {"type": None}}},
            "stream_maps: there is no stream 'recording', only recordings and recording_media",
        ),
        (
            {"stream_maps": {"calls": {"__source__": "record"}}},
            "stream_maps: there is no stream 'record', only recordings and recording_media",
        ),
        ({"username": ""}, "username: must not be empty, not ''"),
        ({"user_agent": "a\nb"}, "user_agent: must be printable ASCII text"),
        (
            {"start_date": "soon"},
            "start_date: must be a date such as 2025-01-31 or 2025-01-31T09:00:00Z, not 'soon'",
        ),
        (
            {"api_url": "http://focus.example.com/api"},
            "api_url: must begin with https:// (plain http is for this machine alone)",
        ),
        (
            {"api_url": "https://me:secret@focus.example.com"},
            "api_url: must not hold a user name or password; use api_key and username",
        ),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(changes: dict[str, Any], line: str) -> None:
    assert problems(**changes) == [line]


@pytest.mark.parametrize(
    ("batch", "line"),
    [
        ({"storage": {"root": "nope://batches"}}, "Protocol not known: nope"),
        ({"storage": {"root": "gs://batches"}}, "gs:// needs a Python package beside the tap"),
        ({"encoding": {"format": "jsonl", "compression": "none"}}, "encoding.compression must be"),
        ({"storage": {}}, "needs encoding.format and storage.root"),
        ({"storage": {"root": None}}, "needs encoding.format and storage.root"),
        ({"encoding": {}}, "needs encoding.format and storage.root"),
        ({"batch_size": 0}, "batch_size must be an integer of 1 or more"),
        ({"batch_size": "0"}, "batch_size must be an integer of 1 or more"),
        ({"batch_size": 1.5}, "batch_size must be an integer of 1 or more"),
    ],
)
def test_batches_that_could_not_be_written_are_refused(batch: dict[str, Any], line: str) -> None:
    good = {"encoding": {"format": "jsonl"}, "storage": {"root": "batches"}}
    assert problems(batch_config=good) == []
    (problem,) = problems(batch_config={**good, **batch})
    assert problem.startswith(f"batch_config: {line}")


def test_the_settings_know_the_taps_streams() -> None:
    assert TapFocus(config=GOOD).streams.keys() == set(settings.STREAMS)


@pytest.mark.parametrize("name", ["record*", "__else__", "recordings", "recording_media"])
def test_a_stream_map_may_name_streams_in_every_way_that_the_sdk_knows(name: str) -> None:
    assert problems(stream_maps={name: None}) == []
    assert problems(stream_maps={"x": {"__source__": "recordings"}}) == []


@pytest.mark.parametrize("name", ["api_key", "username", "client_id"])
def test_a_missing_setting_is_one_line_that_names_it(name: str) -> None:
    config = {key: value for key, value in GOOD.items() if key != name}
    (line,) = settings.problems(config, settings.SCHEMA)
    assert line.startswith(f"{name}: missing. ")


def test_all_wrong_settings_are_named_at_once() -> None:
    lines = problems(region="mars", page_size=0, client_id="abc", start_date="soon")
    assert [line.split(":")[0] for line in lines] == [
        "region",
        "client_id",
        "page_size",
        "start_date",
    ]


def test_no_line_holds_the_key() -> None:
    assert problems(api_key=123456789) == ["api_key: must be a string"]


@pytest.mark.parametrize(
    "url",
    [
        "https://focus.example.com/api",
        "https://focus.example.com:8443/",
        "http://localhost:8080/api",
        "http://127.0.0.1:1/api",
        "http://127.1.2.3:1/api",
        "http://[::1]:8080/api",
    ],
)
def test_https_and_loopback_are_good_urls(url: str) -> None:
    assert problems(api_url=url, region=None) == []


@pytest.mark.parametrize(
    "url",
    [
        "focus.example.com",
        "ftp://focus.example.com",
        "http://10.0.0.1/api",
        "http://localhost.example.com/api",
        "http://0.0.0.0/api",
        "https://",
        "https://host:port/api",
        "https://[::1/api",
        "https://focus.example.com/api?key=1",
        "https://@focus.example.com/api",
    ],
)
def test_any_other_url_is_refused(url: str) -> None:
    (line,) = problems(api_url=url)
    assert line.startswith("api_url: ")


def test_numbers_may_come_as_text_from_an_environment() -> None:
    config = settings.normalised({**GOOD, "client_id": " 9999", "request_timeout": "2.5"})
    assert settings.problems(config, settings.SCHEMA) == []
    assert (config["client_id"], config["request_timeout"]) == (9999, 2.5)


def test_api_url_wins_over_region() -> None:
    assert settings.base_url(GOOD) == "https://uk.focus.subphonic.ai/api"
    assert (
        settings.base_url({**GOOD, "api_url": "https://x.example/api"}) == "https://x.example/api"
    )


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("2025-06-06", "2025-06-06T00:00:00Z"),
        ("2025-06-06T14:00:00", "2025-06-06T14:00:00Z"),
        ("2025-06-06T14:00:00Z", "2025-06-06T14:00:00Z"),
        ("2025-06-06T14:00:00.999+02:00", "2025-06-06T12:00:00Z"),
        ("2025-06-06 23:30:00-05:00", "2025-06-07T04:30:00Z"),
        ("0001-01-01", "0001-01-01T00:00:00Z"),
    ],
)
def test_a_start_date_is_sent_in_utc(given: str, sent: str) -> None:
    assert problems(start_date=given) == []
    assert settings.to_utc(given) == sent


@pytest.mark.parametrize("given", ["", "2025-13-01", "0001-01-01T00:00:00+05:00", "1735689600"])
def test_what_is_no_date_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="must be a date"):
        settings.to_utc(given)
