from __future__ import annotations

import pytest

from tap_focus.archive.naming import (
    content_type_of,
    extension_for,
    file_stem,
    parse_date_time,
    path_from_uri,
)


@pytest.mark.parametrize(
    ("start", "day"),
    [
        ("2025-05-01T09:01:10.956Z", "2025/05/01"),
        ("2025-05-01t09:01:10z", "2025/05/01"),
        ("2025-05-01T09:01:10", "2025/05/01"),
        ("2025-05-01T23:30:00-05:00", "2025/05/02"),
        ("2025-05-01T00:30:00+02:00", "2025/04/30"),
        ("2025-05-01T23:59:59.9999999Z", "2025/05/01"),
        ("0001-01-01T00:00:00Z", "0001/01/01"),
        ("9999-12-31T23:59:59.9999999Z", "9999/12/31"),
    ],
)
def test_a_file_is_in_the_folder_of_its_utc_day(start: str, day: str) -> None:
    assert file_stem(7, start) == f"{day}/7"


@pytest.mark.parametrize(
    "start",
    [
        None,
        20250501,
        {"date": "2025-05-01"},
        "",
        "../../../x",
        "2025-05-01",
        "2025-13-01T00:00:00Z",
        "2025-05-01T24:00:00Z",
        "2025-05-01T23:59:60Z",
        "2025-05-01T09:01:10Z\n",
        "٢٠٢٥-05-01T09:01:10Z",
        "2025-05-01T09:01:10+99:99",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-23:59",
    ],
)
def test_a_recording_without_a_valid_start_is_in_the_folder_for_unknown_days(start: object) -> None:
    assert file_stem(7, start) == "0000/00/00/7"


def test_a_long_id_is_hashed_to_a_name_that_file_systems_accept() -> None:
    first, second = (file_stem(int("7" * 300) + offset, None) for offset in (0, 1))

    assert first != second
    assert len(first.rpartition("/")[2]) == 64
    assert file_stem(int("7" * 64), None) == f"0000/00/00/{'7' * 64}"


@pytest.mark.parametrize(
    ("content_type", "extension"),
    [
        ("audio/mpeg", "mp3"),
        ("audio/x-wav", "wav"),
        ("video/mp4", "mp4"),
        ("application/octet-stream", "bin"),
        ("audio/unknown", "audio"),
        ("audio/../../x", "audio"),
    ],
)
def test_the_extension_comes_from_a_fixed_list(content_type: str, extension: str) -> None:
    assert extension_for(content_type) == extension


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("2025/05/01/1.mp3", "audio/mpeg"),
        ("2025/05/01/1.wav", "audio/wav"),
        ("2025/05/01/1.bin", "application/octet-stream"),
        ("2025/05/01/1.audio", "application/octet-stream"),
    ],
)
def test_a_stored_file_has_the_content_type_of_its_extension(path: str, content_type: str) -> None:
    assert content_type_of(path) == content_type


@pytest.mark.parametrize(
    "uri", ["file:///data/2025/05/01/1.mp3", "s3://bucket/a/b/2025/05/01/1.mp3", "2025/05/01/1.mp3"]
)
def test_a_path_does_not_depend_on_the_place_of_the_archive(uri: str) -> None:
    assert path_from_uri(uri) == "2025/05/01/1.mp3"


def test_a_date_time_keeps_its_offset() -> None:
    with_offset = parse_date_time("2025-05-01T09:01:10.5+02:00")
    without_offset = parse_date_time("2025-05-01T09:01:10.5")

    assert with_offset is not None
    assert with_offset.isoformat() == "2025-05-01T09:01:10+02:00"
    assert without_offset is not None
    assert without_offset.tzinfo is None
