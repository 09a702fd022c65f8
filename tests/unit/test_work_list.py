from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from tap_focus.archive import work_list
from tap_focus.archive.downloader import AudioDownloader
from tap_focus.archive.naming import Shard
from tap_focus.archive.work_list import read_work_list
from tap_focus.fetch import _FetchTap
from tap_focus.streams.writer import MessageWriter
from tests.helpers.fake_focus import FakeFocus, feed, recording

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

COLUMNS = ("durationInSeconds", "retainUntil", "legalHolds")


def lines(number: int, **fields: Any) -> io.BytesIO:
    """Return a work list of rows with the IDs from 1."""
    rows = [{**recording(key), **dict.fromkeys(COLUMNS), **fields} for key in range(1, number + 1)]
    return io.BytesIO("\n".join(map(json.dumps, rows)).encode())


def ids(file: io.BytesIO, chunk_size: int = 100) -> list[list[int]]:
    chunks = read_work_list(file, shard=Shard(1, 1), chunk_size=chunk_size)
    return [[one["interactionId"] for one in chunk] for chunk in chunks]


def test_rows_are_written_after_their_files_are_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[object] = []

    def write_message(_: MessageWriter, message: Any) -> None:
        events.append(getattr(message, "record", {}).get("interactionId"))

    monkeypatch.setattr(AudioDownloader, "flush", lambda _: events.append("flush"))
    monkeypatch.setattr(MessageWriter, "write_message", write_message)
    with FakeFocus(feed(1)) as focus:
        config = {**focus.settings, "media_path": str(tmp_path / "audio"), "page_size": 2}
        _FetchTap(config=config, work_list=lines(3), can_create=True).sync_all()

    assert events == [None, "flush", 1, 2, "flush", 3]


def test_long_lines_are_read_in_smaller_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_list, "MAX_CHUNK_BYTES", 2500)

    assert ids(lines(5, pad="x" * 1000)) == [[1, 2], [3, 4], [5]]


def test_a_byte_order_mark_is_skipped() -> None:
    assert ids(io.BytesIO(b"\xef\xbb\xbf" + lines(2).getvalue())) == [[1, 2]]


def test_a_shard_fills_its_chunks_with_its_own_recordings() -> None:
    shard = Shard(2, 3)
    chunks = [*read_work_list(lines(60), shard=shard, chunk_size=5)]

    assert [len(chunk) for chunk in chunks[:-1]] == [5] * (len(chunks) - 1)
    found = [one["interactionId"] for chunk in chunks for one in chunk]
    assert found == [key for key in range(1, 61) if shard.contains(key)]
