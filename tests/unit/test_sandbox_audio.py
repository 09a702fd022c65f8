"""The sandbox's audio: a real MP3, played, refused or not there."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tap_focus.sandbox.audio import mp3
from tap_focus.sandbox.recording import has_audio
from tests.helpers.sandbox_client import PLAY, Caller

if TYPE_CHECKING:
    from tap_focus.sandbox import Sandbox


def test_audio_is_played_refused_or_not_there_as_the_recording_says(
    box: Sandbox, caller: Caller
) -> None:
    statuses: Counter[int] = Counter()
    for event in list(box.latest().values())[:150]:
        response = caller.play(event["thirdPartyId"])
        permitted = event["mediaAccessStatus"] == "Permitted"
        expected = (200 if permitted else 403) if has_audio(event) else 404
        assert response.status_code == expected
        statuses[expected] += 1
        if expected == 200:
            assert response.headers["Content-Type"] == "audio/mpeg"
            assert int(response.headers["Content-Length"]) == len(response.content)
            assert str(event["interactionId"]).encode() in response.content[:60]
            seconds = min(30, event["durationInSeconds"])
            assert _seconds(response.content) == pytest.approx(seconds, abs=0.04)
    assert all(statuses[status] for status in (200, 403, 404))
    assert caller.play("unknown").status_code == 404
    assert caller.post(PLAY, {"id": 1}).status_code == 400


def test_the_audio_of_a_recording_is_always_the_same_and_of_no_other(
    box: Sandbox, caller: Caller
) -> None:
    played = [
        event["thirdPartyId"]
        for event in box.latest().values()
        if has_audio(event) and event["mediaAccessStatus"] == "Permitted"
    ][:20]
    first = [caller.play(name).content for name in played]
    assert first == [caller.play(name).content for name in played]
    assert len(set(first)) == 20


def test_a_title_of_any_length_and_script_leaves_the_frames_in_place() -> None:
    for title in ("", "x" * 117, "李娜" * 5000):
        assert _seconds(mp3(title, 1.0)) == pytest.approx(1.0, abs=0.04)
    assert _seconds(mp3("short", 0.001)) == 0.036


def _seconds(file: bytes) -> float:
    """Go through an MP3 file frame by frame; return how long it plays."""
    assert file[:5] == b"ID3\4\0"
    size = 0
    for byte in file[6:10]:
        assert byte < 0x80
        size = size << 7 | byte
    frames = file[10 + size :]
    assert frames
    assert len(frames) % 36 == 0
    for place in range(0, len(frames), 36):
        header = int.from_bytes(frames[place : place + 4], "big")
        assert header >> 21 == 0x7FF  # sync
        assert header >> 17 & 0b1111 == 0b1001  # MPEG-2, Layer III
        assert header >> 12 & 0b1111 == 1  # 8 kbit/s
        assert header >> 10 & 0b11 == 2  # 16 kHz
        assert header >> 9 & 1 == 0  # no padding: 72 * 8000 / 16000 = 36 bytes
    return len(frames) / 36 * 576 / 16000
