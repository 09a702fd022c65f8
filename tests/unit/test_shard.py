from __future__ import annotations

import pytest

from tap_focus.archive.shard import Shard, parse_shard


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
