from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_focus import settings, settings_checks
from tap_focus.tap import STREAM_NAMES, TapFocus

ACCOUNT = {"region": "uk", "api_key": "k", "username": "u", "client_id": 9999}
SCHEMA = TapFocus._settings_schema()
OWN_SETTINGS = settings.SCHEMA["properties"]


def normalized(**changes: Any) -> dict[str, Any]:
    return settings_checks.normalize({**ACCOUNT, **changes}, SCHEMA)


def errors(**changes: Any) -> list[str]:
    return settings_checks.validate(normalized(**changes), SCHEMA, STREAM_NAMES)


def test_valid_settings_give_no_error_and_get_their_defaults() -> None:
    config = normalized()
    defaults = {name: s["default"] for name, s in SCHEMA["properties"].items() if "default" in s}

    assert settings_checks.validate(config, SCHEMA, STREAM_NAMES) == []
    assert config == {**defaults, **ACCOUNT}
    assert (config["page_size"], config["request_timeout"], config["max_retries"]) == (100, 60, 8)


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"region": None}, ["region: ", "missing", "uk, eu, us or ca", "api_url"]),
        ({"region": "mars"}, ["region: ", "uk, eu, us or ca"]),
        ({"page_size": 0}, ["page_size: ", "1 or more"]),
        ({"page_size": 100_001}, ["page_size: ", "100000 or less"]),
        ({"page_size": "many"}, ["page_size: ", "an integer"]),
        ({"page_size": True}, ["page_size: ", "an integer"]),
        ({"page_size": [100]}, ["page_size: ", "an integer"]),
        ({"max_retries": -1}, ["max_retries: ", "0 or more"]),
        ({"max_retries": 4.5}, ["max_retries: ", "an integer"]),
        ({"max_retries": "4.5"}, ["max_retries: ", "an integer"]),
        ({"request_timeout": 0}, ["request_timeout: ", "more than 0"]),
        ({"request_timeout": 3601}, ["request_timeout: ", "3600 or less"]),
        ({"request_timeout": "soon"}, ["request_timeout: ", "a number"]),
        ({"request_timeout": "inf"}, ["request_timeout: ", "a number"]),
        ({"request_timeout": "nan"}, ["request_timeout: ", "a number"]),
        ({"client_id": "abc"}, ["client_id: ", "an integer"]),
        ({"client_id": 1.5}, ["client_id: ", "an integer"]),
        ({"client_id": "9" * 5000}, ["client_id: ", "an integer"]),
        ({"username": ""}, ["username: ", "empty"]),
        ({"api_key": 5}, ["api_key: ", "a string"]),
        ({"user_agent": "a\nb"}, ["user_agent: ", "ASCII"]),
        ({"user_agent": "é"}, ["user_agent: ", "ASCII"]),
        ({"media_concurrency": 0}, ["media_concurrency: ", "1 or more"]),
        ({"media_concurrency": 65}, ["media_concurrency: ", "64 or less"]),
        ({"flattening_enabled": "perhaps"}, ["flattening_enabled: ", "a boolean"]),
        ({"stream_maps": 5}, ["stream_maps: ", "an object"]),
        ({"stream_maps": {"__else__": "x"}}, ["stream_maps: ", "__else__"]),
    ],
    ids=repr,
)
def test_an_invalid_setting_is_one_line_that_names_it_and_what_it_must_be(
    changes: dict[str, Any], facts: list[str]
) -> None:
    (line,) = errors(**changes)

    assert line.startswith(facts[0])
    for fact in facts[1:]:
        assert fact in line


@pytest.mark.parametrize("name", ["api_key", "username", "client_id"])
def test_a_missing_setting_is_one_line_that_names_it(name: str) -> None:
    (line,) = errors(**{name: None})

    assert line.startswith(f"{name}: missing")


def test_all_invalid_settings_are_named_at_once() -> None:
    lines = errors(region="mars", page_size=0, client_id="abc", start_date="soon", username=None)

    assert {line.split(":")[0] for line in lines} == {
        "region",
        "client_id",
        "page_size",
        "start_date",
        "username",
    }


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            SCHEMA["properties"],
            st.sampled_from(
                [
                    "canary",
                    "",
                    ["canary"],
                    {"canary": 1},
                    {"recordings": {"canary": ["canary"]}},
                    {"recordings": {"a": 5}},
                    {"recordings": "canary"},
                    -7770777,
                    7770777.5,
                    "https://canary:canary@canary/",
                    "http://canary/",
                    True,
                    None,
                ]
            ),
        ),
    )
)
def test_no_error_contains_the_value_of_a_setting(config: dict[str, Any]) -> None:
    normal = settings_checks.normalize(config, SCHEMA)
    # The names of streams and of their columns in stream_maps are no values.
    maps = normal.get("stream_maps")
    if isinstance(maps, dict) and "canary" in maps:
        del normal["stream_maps"]
    lines = settings_checks.validate(normal, SCHEMA, STREAM_NAMES)

    assert "7770777" not in "".join(lines)
    assert [line for line in lines if "canary" in line.partition(":")[2]] == []


def test_an_invalid_stream_map_does_not_show_its_expression() -> None:
    maps = {"recordings": {"type": ["canary"], "thirdPartyId": {"a": "canary"}}}
    lines = errors(stream_maps=maps)

    assert lines != []
    assert "canary" not in "".join(lines)


@pytest.mark.guarantee("restrict-connections")
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
def test_https_and_plain_http_to_this_machine_are_accepted(url: str) -> None:
    assert errors(api_url=url, region=None) == []


@pytest.mark.guarantee("restrict-connections")
@pytest.mark.parametrize(
    "url",
    [
        "other.example.net",
        "ftp://focus.example.com",
        "http://focus.example.com/api",
        "http://10.0.0.1/api",
        "http://localhost.example.com/api",
        "http://0.0.0.0/api",
        "https:///elsewhere",
        "https://host:port/api",
        "https://[::1/api",
        "https://focus.example.com/api?key=1",
        "https://focus.example.com/api#part",
        "https://@focus.example.com/api",
        "https://me:secret@focus.example.com",
    ],
)
def test_any_other_url_is_rejected_without_showing_it(url: str) -> None:
    (line,) = errors(api_url=url)

    assert line.startswith("api_url: must ")
    assert url not in line
    assert "secret" not in line


def test_api_url_takes_precedence_over_region() -> None:
    url = "https://x.example/api"

    assert settings_checks.base_url({"region": "uk"}) == "https://uk.focus.subphonic.ai/api"
    assert settings_checks.base_url({"region": "uk", "api_url": url}) == url


@pytest.mark.parametrize("region", settings.REGIONS)
def test_each_region_has_a_valid_url(region: str) -> None:
    assert errors(region=region, api_url=settings_checks.base_url({"region": region})) == []


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2025-06-06", "2025-06-06T00:00:00Z"),
        ("2025-06-06T14:00:00", "2025-06-06T14:00:00Z"),
        ("2025-06-06T14:00:00Z", "2025-06-06T14:00:00Z"),
        ("2025-06-06T14:00:00.999+02:00", "2025-06-06T12:00:00Z"),
        ("2025-06-06 23:30:00-05:00", "2025-06-07T04:30:00Z"),
        ("0001-01-01", "0001-01-01T00:00:00Z"),
    ],
)
def test_a_start_date_is_sent_in_utc_and_whole_seconds(text: str, date: str) -> None:
    assert errors(start_date=text) == []
    assert settings_checks.to_utc(text) == date


@pytest.mark.parametrize(
    "text", ["", "soon", "2025-13-01", "0001-01-01T00:00:00+05:00", "1735689600"]
)
def test_a_text_that_is_no_date_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="must be a date"):
        settings_checks.to_utc(text)


@pytest.mark.parametrize("shard", ["1/1", "2/3", "64/64"])
def test_a_shard_is_a_part_and_the_number_of_parts(shard: str) -> None:
    assert errors(media_shard=shard) == []


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "1/", "/3", "a/b", "-1/3", "1/3/5", " 1/3"])
def test_any_other_shard_is_rejected(shard: str) -> None:
    (line,) = errors(media_shard=shard)

    assert line.startswith("media_shard: must be k/n")


@pytest.mark.parametrize("name", ["record*", "__else__", "recordings", "recording_media"])
def test_a_stream_map_may_name_streams_in_each_way_of_the_sdk(name: str) -> None:
    assert errors(stream_maps={name: None}) == []


def test_a_stream_map_may_make_a_stream_of_another() -> None:
    assert errors(stream_maps={"x": {"__source__": "recordings"}}) == []


@pytest.mark.parametrize(
    "maps", [{"recording": {"type": None}}, {"calls": {"__source__": "record"}}, {"x*": None}]
)
def test_a_stream_map_of_an_unknown_stream_is_rejected(maps: dict[str, Any]) -> None:
    """A typo would disable a masking rule."""
    (line,) = errors(stream_maps=maps)

    assert line.startswith("stream_maps: ")
    assert "recordings or recording_media" in line


def value_of(name: str, value: Any) -> Any:
    return normalized(**{name: value})[name]


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (8.0, 8),
        ("8", 8),
        (" 8 ", 8),
        ("+8", 8),
        ("8.0", 8),
        ("1e1", 10),
        (8, 8),
        (4.5, 4.5),
        ("4.5", 4.5),
        ("eight", "eight"),
        ("", ""),
        ("1e400", "1e400"),
        ("nan", "nan"),
        (True, True),
        ([8], [8]),
    ],
)
def test_an_integer_may_be_written_in_other_forms_without_loss(value: Any, result: Any) -> None:
    found = value_of("max_retries", value)

    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(
    ("value", "result"), [("2.5", 2.5), ("60", 60.0), (60, 60), ("1e1", 10.0), ("soon", "soon")]
)
def test_a_number_may_be_written_as_text(value: Any, result: Any) -> None:
    assert value_of("request_timeout", value) == result


@pytest.mark.parametrize(
    ("value", "result"),
    [
        *((text, True) for text in ("true", "TRUE", "yes", "on", "1")),
        *((text, False) for text in ("false", "False", "no", "off", "0")),
        (True, True),
        ("perhaps", "perhaps"),
        (1, 1),
    ],
)
def test_a_boolean_may_be_written_as_text(value: Any, result: Any) -> None:
    assert value_of("flattening_enabled", value) is result


@pytest.mark.parametrize("name", ["api_key", "username", "user_agent"])
def test_a_text_setting_that_looks_like_a_number_stays_text(name: str) -> None:
    assert value_of(name, "1e1") == "1e1"


def test_a_null_is_a_setting_that_is_not_set() -> None:
    assert "start_date" not in normalized(start_date=None)
    assert errors(start_date=None, media_path=None) == []


def test_normalizing_changes_no_other_object() -> None:
    batch = {"encoding": {"format": "jsonl"}, "storage": {"root": "x"}}
    config = {**ACCOUNT, "max_retries": "8", "batch_config": batch}
    before = json.dumps(config)
    result = settings_checks.normalize(config, SCHEMA)

    assert json.dumps(config) == before
    assert result["batch_config"]["encoding"] == {"format": "jsonl", "compression": "gzip"}


@pytest.mark.parametrize("value", [5, "x", [], {}, {"encoding": 5}, {"encoding": {}}])
def test_an_invalid_batch_config_is_left_to_the_validation(value: Any) -> None:
    assert value_of("batch_config", value) == value


@pytest.mark.parametrize(
    ("name", "similar"),
    [("page_sise", "page_size"), ("start-date", "start_date"), ("apikey", "api_key")],
)
def test_an_unknown_setting_is_named_with_the_most_similar_one(name: str, similar: str) -> None:
    (line,) = settings_checks.unknown_settings([name, *ACCOUNT], SCHEMA)

    assert line.startswith(f"{name}: ")
    assert f" {similar}?" in line


def test_an_unknown_setting_that_resembles_no_other_is_named_alone() -> None:
    (line,) = settings_checks.unknown_settings(["zzzzzz"], SCHEMA)

    assert line.startswith("zzzzzz: ")
    assert "?" not in line


def test_known_settings_are_not_reported() -> None:
    assert settings_checks.unknown_settings(SCHEMA["properties"], SCHEMA) == []


def test_settings_are_read_from_variables_with_the_prefix() -> None:
    environment = {
        "TAP_FOCUS_PAGE_SIZE": "10",
        "TAP_FOCUS_API_KEY": "k",
        "TAP_FOCUS_STREAM_MAPS": '{"recordings": {"type": null}}',
        "TAP_FOCUS_NEW": "kept, so that it is reported as unknown",
        "OTHER_TAP_FOCUS_REGION": "uk",
        "TAP_FOCUS_LOGLEVEL": "DEBUG",
        "TAP_FOCUS__INTERNAL": "x",
    }
    config, found = settings_checks.from_environment(environment, "TAP_FOCUS_", SCHEMA)

    assert found == []
    assert {**config, "new": None} == {
        "page_size": "10",
        "api_key": "k",
        "stream_maps": {"recordings": {"type": None}},
        "new": None,
    }


@pytest.mark.parametrize("text", ["canary", "{", "", "[" * 100_000], ids=lambda text: text[:9])
def test_a_variable_that_must_be_json_is_named_without_its_value(text: str) -> None:
    environment = {"TAP_FOCUS_STREAM_MAPS": text}
    _, (line,) = settings_checks.from_environment(environment, "TAP_FOCUS_", SCHEMA)

    assert line.startswith("TAP_FOCUS_STREAM_MAPS: ")
    assert "canary" not in line


@pytest.mark.parametrize("name", OWN_SETTINGS)
def test_each_setting_has_a_title_and_a_description(name: str) -> None:
    assert OWN_SETTINGS[name]["title"]
    assert OWN_SETTINGS[name]["description"].endswith(".")


def test_only_the_api_key_is_secret() -> None:
    assert [name for name, setting in OWN_SETTINGS.items() if setting.get("secret")] == ["api_key"]


@pytest.mark.parametrize(
    ("place", "account"),
    [
        ({"region": "uk"}, "uk/7"),
        ({"api_url": "https://UK.focus.subphonic.ai/api"}, "uk/7"),
        ({"api_url": "https://proxy.example.com:8443/focus"}, "proxy.example.com/7"),
        ({"region": "uk", "api_url": "http://127.0.0.1:9/api"}, "127.0.0.1/7"),
    ],
)
def test_an_account_is_a_number_in_a_region_or_at_a_host(
    place: dict[str, str], account: str
) -> None:
    """A state and an archive belong to one account. The sandbox has another host."""
    assert settings_checks.account({"client_id": 7, **place}) == account
