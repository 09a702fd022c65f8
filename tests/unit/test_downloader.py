from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tap_focus.archive.downloader import AudioDownloader, DownloadResult
from tap_focus.archive.rows import MAX_COPIED_LENGTH
from tap_focus.archive.transfer import DownloadLimits
from tap_focus.errors import (
    HTTPStatusError,
    InvalidAudioError,
    StorageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

CONTENT = b"ID3" + bytes(range(256))
START = "2025-05-01T09:01:10.956Z"


class BrokenConnectionError(Exception):
    """A transient failure, which the client retries."""


class FakeAudio:
    content_type = "audio/mpeg"
    content_length = len(CONTENT)
    offset = 0

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks

    def iter_chunks(self) -> Iterator[bytes]:
        yield from self._chunks

    def resume_point(self, _: int) -> None:
        return None


class FakeClient:
    """A fake API client.

    `responses` has a function for each `thirdPartyId`, which returns the chunks or raises.
    """

    def __init__(self, **responses: Callable[[], Iterable[bytes]]) -> None:
        self.responses = responses
        self.requests: Counter[str] = Counter()
        self.active = 0
        self.most_active = 0
        self._lock = threading.Lock()

    @contextmanager
    def open_audio(self, third_party_id: str, *, resume_from: Any) -> Iterator[FakeAudio]:
        assert resume_from is None
        with self._lock:
            self.requests[third_party_id] += 1
            self.active += 1
            self.most_active = max(self.most_active, self.active)
        try:
            yield FakeAudio(self.responses.get(third_party_id, lambda: [CONTENT])())
        finally:
            with self._lock:
                self.active -= 1

    def retry_audio(self, call: Callable[[], Any], *, max_retries: int) -> Any:
        assert max_retries == sys.maxsize
        try:
            return call()
        except BrokenConnectionError:
            return call()


def recording(interaction_id: int, **fields: Any) -> dict[str, Any]:
    return {
        "interactionId": interaction_id,
        "thirdPartyId": f"call{interaction_id}",
        "startDatetimeUTC": START,
        "type": "teams",
        "mediaAccessStatus": "Permitted",
        **fields,
    }


def raising(error: Exception) -> Callable[[], Iterable[bytes]]:
    def response() -> Iterable[bytes]:
        raise error

    return response


LIMITS = DownloadLimits(max_bytes=10_000, max_seconds=60)


def closed(client: Any, media_path: str | None, concurrency: int = 4) -> AudioDownloader:
    return AudioDownloader(
        client, media_path, lock_mode=None, concurrency=concurrency, limits=LIMITS
    )


def opened(client: Any, folder: Path, concurrency: int = 4) -> AudioDownloader:
    downloader = closed(client, str(folder), concurrency)
    downloader.open("uk/7", has_bookmark=False)
    return downloader


def download(
    downloader: AudioDownloader,
    *recordings: dict[str, Any],
    on_wait: Callable[[], None] = lambda: None,
) -> list[DownloadResult]:
    return list(downloader.download_all(recordings, on_wait=on_wait))


def test_creating_a_downloader_has_no_side_effects(tmp_path: Path) -> None:
    threads = threading.active_count()

    closed(FakeClient(), str(tmp_path / "audio"))

    assert threading.active_count() == threads
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("media_path", [None, "memory://audio"])
def test_open_rejects_a_media_path_that_cannot_be_used(media_path: str | None) -> None:
    downloader = closed(FakeClient(), media_path)

    with pytest.raises(StorageError, match=r"^Cannot open media_path: "):
        downloader.open("uk/7", has_bookmark=False)


def test_a_file_is_stored_under_its_name_and_described_in_its_row(tmp_path: Path) -> None:
    (result,) = download(opened(FakeClient(), tmp_path), recording(1))

    path = tmp_path / "2025/05/01/1.mp3"
    row = dict(result.row)
    assert path.read_bytes() == CONTENT
    assert row.pop("fetchedAt")
    assert len(row.pop("sha256")) == 64
    assert row == {
        "interactionId": 1,
        "thirdPartyId": "call1",
        "startDatetimeUTC": START,
        "type": "teams",
        "status": "stored",
        "uri": path.as_uri(),
        "contentType": "audio/mpeg",
        "sizeInBytes": len(CONTENT),
        **dict.fromkeys(
            ("error", "retainUntil", "legalHolds", "lockedUntil", "lockError", "previousFiles")
        ),
    }
    assert result.is_new


def test_results_are_in_the_order_of_the_recordings(tmp_path: Path) -> None:
    def slow(seconds: float) -> Callable[[], Iterable[bytes]]:
        def response() -> Iterable[bytes]:
            time.sleep(seconds)
            return [CONTENT]

        return response

    client = FakeClient(call5=slow(0.2), call4=slow(0.1))

    results = download(opened(client, tmp_path), *map(recording, (5, 4, 3, 2, 1)))

    assert [result.row["interactionId"] for result in results] == [5, 4, 3, 2, 1]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_as_many_files_as_allowed_are_downloaded_at_once(tmp_path: Path, concurrency: int) -> None:
    barrier = threading.Barrier(concurrency)

    def response() -> Iterable[bytes]:
        barrier.wait(timeout=10)
        return [CONTENT]

    client = FakeClient(**{f"call{number}": response for number in range(6)})

    results = download(opened(client, tmp_path, concurrency), *map(recording, range(6)))

    assert client.most_active == concurrency
    assert all(result.is_new for result in results)


def test_a_recording_that_occurs_twice_is_downloaded_once(tmp_path: Path) -> None:
    client = FakeClient()

    results = download(
        opened(client, tmp_path), recording(1, type="old"), recording(2), recording(1, type="new")
    )

    assert client.requests == {"call1": 1, "call2": 1}
    assert [result.is_new for result in results] == [False, True, True]
    assert [result.row["type"] for result in results] == ["new", "teams", "new"]
    assert results[0].row == results[2].row


def test_a_stored_file_is_not_requested_again(tmp_path: Path) -> None:
    client = FakeClient()
    (first,) = download(opened(client, tmp_path), recording(1))

    (second,) = download(opened(client, tmp_path), recording(1, mediaAccessStatus="Denied"))

    assert client.requests == {"call1": 1}
    assert not second.is_new
    assert {**second.row, "fetchedAt": None} == {**first.row, "fetchedAt": None}


def test_a_transient_failure_is_retried_with_a_new_file(tmp_path: Path) -> None:
    attempts: list[int] = []

    def cut_once() -> Iterable[bytes]:
        attempts.append(1)
        yield CONTENT[:10]
        if len(attempts) == 1:
            raise BrokenConnectionError
        yield CONTENT[10:]

    client = FakeClient(call1=cut_once)

    (result,) = download(opened(client, tmp_path), recording(1))

    assert result.row["sizeInBytes"] == len(CONTENT)
    assert (tmp_path / "2025/05/01/1.mp3").read_bytes() == CONTENT
    assert len(attempts) == 2


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (InvalidAudioError("the content type is text/html"), "failed", "text/html"),
        (HTTPStatusError(418, "POST /audio"), "failed", "418"),
        (HTTPStatusError(403, "POST /audio"), "not_permitted", "403"),
        (HTTPStatusError(404, "POST /audio"), "not_found", "404"),
        (HTTPStatusError(410, "POST /audio"), "not_found", "410"),
    ],
)
def test_a_failure_of_one_recording_becomes_its_row(
    tmp_path: Path, error: Exception, status: str, reason: str
) -> None:
    client = FakeClient(call1=raising(error))

    failed, stored = download(opened(client, tmp_path), recording(1), recording(2))

    assert (failed.row["status"], stored.row["status"]) == (status, "stored")
    assert reason in failed.row["error"]
    assert failed.error is error
    assert not failed.is_new
    assert failed.row["uri"] is failed.row["sha256"] is failed.row["sizeInBytes"] is None


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"mediaAccessStatus": "NotPermitted"}, "not_permitted"),
        ({"mediaAccessStatus": None}, "not_permitted"),
        ({"mediaAccessStatus": 5}, "not_permitted"),
        ({"thirdPartyId": None}, "not_found"),
        ({"thirdPartyId": ""}, "not_found"),
        ({"thirdPartyId": 12}, "not_found"),
        ({"thirdPartyId": "x" * (MAX_COPIED_LENGTH + 1)}, "not_found"),
    ],
)
def test_audio_that_cannot_exist_is_not_requested(
    tmp_path: Path, fields: dict[str, Any], status: str
) -> None:
    client = FakeClient()

    (result,) = download(opened(client, tmp_path), recording(1, **fields))

    assert result.row["status"] == status
    assert result.error is None
    assert client.requests == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"startDatetimeUTC": 20250501},
        {"startDatetimeUTC": "Indefinite"},
        {"startDatetimeUTC": "2025-05-01T23:59:60Z"},
        {"startDatetimeUTC": "2025-02-30T09:01:10Z"},
        {"startDatetimeUTC": ["2025-05-01T09:01:10Z"]},
        {"startDatetimeUTC": f"2025-05-01T09:01:10.{'0' * MAX_COPIED_LENGTH}Z"},
        {"type": 7},
        {"type": {"name": "teams"}},
        {"type": "x" * (MAX_COPIED_LENGTH + 1)},
    ],
)
def test_a_value_that_does_not_fit_its_column_becomes_null(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    drifted = recording(1, **fields)

    (result,) = download(opened(FakeClient(), tmp_path), drifted)

    assert result.row["status"] == "stored"
    assert {name: result.row[name] for name in fields} == dict.fromkeys(fields)
    assert drifted == recording(1, **fields)


def test_a_third_party_id_that_is_not_text_becomes_null(tmp_path: Path) -> None:
    (result,) = download(opened(FakeClient(), tmp_path), recording(1, thirdPartyId=12))

    assert result.row["thirdPartyId"] is None


def test_a_third_party_id_that_is_too_long_is_not_copied(tmp_path: Path) -> None:
    longest = "x" * MAX_COPIED_LENGTH
    client = FakeClient()

    copied, dropped = download(
        opened(client, tmp_path),
        recording(1, thirdPartyId=longest),
        recording(2, thirdPartyId=longest + "x"),
    )

    assert client.requests == {longest: 1}
    assert copied.row["thirdPartyId"] == longest
    assert dropped.row["thirdPartyId"] is None
    assert str(MAX_COPIED_LENGTH) in dropped.row["error"]


def test_a_failed_download_with_drifted_fields_keeps_its_error(tmp_path: Path) -> None:
    client = FakeClient(call1=raising(HTTPStatusError(418, "POST /audio")))

    (result,) = download(
        opened(client, tmp_path), recording(1, type=7, startDatetimeUTC="Indefinite")
    )

    assert result.row["status"] == "failed"
    assert result.row["thirdPartyId"] == "call1"
    assert result.row["type"] is result.row["startDatetimeUTC"] is None


def test_on_wait_can_stop_the_downloads(tmp_path: Path) -> None:
    released = threading.Event()

    def blocked() -> Iterable[bytes]:
        released.wait(timeout=10)
        return [CONTENT]

    calls: list[int] = []

    def stop() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise SystemExit(143)

    client = FakeClient(call1=blocked)
    try:
        with pytest.raises(SystemExit):
            download(opened(client, tmp_path), recording(1), on_wait=stop)
    finally:
        released.set()

    assert len(calls) == 3
