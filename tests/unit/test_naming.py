from __future__ import annotations

import pytest

from tap_focus.archive.naming import (
    Shard,
    content_type_of,
    extension_for,
    file_stem,
    parse_date_time,
    parse_shard,
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


@pytest.mark.parametrize(
    ("interaction_id", "indexes"),
    [
        (1, {2: 2, 3: 2, 7: 3, 16: 2}),
        (2, {2: 1, 3: 2, 7: 4, 16: 15}),
        (3, {2: 2, 3: 2, 7: 2, 16: 12}),
        (-1, {2: 1, 3: 1, 7: 5, 16: 13}),
        (7001, {2: 2, 3: 1, 7: 4, 16: 8}),
        (10**30, {2: 1, 3: 3, 7: 1, 16: 11}),
    ],
)
def test_a_recording_never_moves_to_another_shard(
    interaction_id: int, indexes: dict[int, int]
) -> None:
    """A release with another hash would skip recordings without an error."""
    found = {
        count: [
            index for index in range(1, count + 1) if Shard(index, count).contains(interaction_id)
        ]
        for count in indexes
    }

    assert found == {count: [index] for count, index in indexes.items()}


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_each_recording_is_in_exactly_one_shard(count: int) -> None:
    shards = [Shard(index, count) for index in range(1, count + 1)]

    for interaction_id in [*range(500), -1, 10**30]:
        assert sum(shard.contains(interaction_id) for shard in shards) == 1


def test_shards_have_about_the_same_size() -> None:
    sizes = [sum(map(Shard(index, 3).contains, range(6000))) for index in (1, 2, 3)]

    assert sizes == pytest.approx([2000] * 3, rel=0.1)


@pytest.mark.parametrize(
    ("text", "shard"),
    [("1/1", Shard(1, 1)), ("2/3", Shard(2, 3)), ("16/16", Shard(16, 16)), ("01/03", Shard(1, 3))],
)
def test_parse_shard_returns_index_and_count(text: str, shard: Shard) -> None:
    assert parse_shard(text) == shard


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "/",
        "1/",
        "0/2",
        "3/2",
        "1/0",
        "-1/2",
        "1/2/3",
        "a/b",
        " 1/2",
        "1/2\n",
        "1/²",
        "٢/٣",
    ],
)
def test_parse_shard_rejects_other_text(text: str) -> None:
    with pytest.raises(ValueError, match="k/n"):
        parse_shard(text)


def test_a_shard_is_written_as_in_the_setting() -> None:
    assert str(Shard(2, 3)) == "2/3"
