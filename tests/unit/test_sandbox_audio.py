"""The sandbox's audio."""

from __future__ import annotations

import typing as t

import pytest

from tap_focus.sandbox.audio import create_mp3
from tap_focus.sandbox.recording import has_audio
from tests.helpers.sandbox_client import AUDIO_PATH, SandboxClient

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_focus.sandbox import Sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[SandboxClient]:
    with SandboxClient(sandbox) as client:
        yield client


def playable_recordings(sandbox: Sandbox) -> list[dict[str, t.Any]]:
    return [
        recording
        for recording in sandbox.latest().values()
        if has_audio(recording) and recording["mediaAccessStatus"] == "Permitted"
    ]


def test_a_call_is_an_mp3_file_of_its_duration_up_to_30_seconds(
    sandbox: Sandbox, client: SandboxClient
) -> None:
    for recording in playable_recordings(sandbox)[:20]:
        response = client.post_audio(recording["thirdPartyId"])

        assert response.status_code == 200
        assert response.headers["Content-Type"] == "audio/mpeg"
        assert int(response.headers["Content-Length"]) == len(response.content)
        expected = min(30, recording["durationInSeconds"])
        assert mp3_seconds(response.content) == pytest.approx(expected, abs=0.04)


def test_each_recording_has_its_own_audio_that_never_changes(
    sandbox: Sandbox, client: SandboxClient
) -> None:
    third_party_ids = [recording["thirdPartyId"] for recording in playable_recordings(sandbox)[:20]]

    first = [client.post_audio(third_party_id).content for third_party_id in third_party_ids]
    second = [client.post_audio(third_party_id).content for third_party_id in third_party_ids]

    assert first == second
    assert len(set(first)) == 20


def test_audio_without_permission_is_403(sandbox: Sandbox, client: SandboxClient) -> None:
    forbidden = [
        recording
        for recording in sandbox.latest().values()
        if has_audio(recording) and recording["mediaAccessStatus"] == "NotPermitted"
    ]

    statuses = [client.post_audio(recording["thirdPartyId"]).status_code for recording in forbidden]

    assert set(statuses) == {403}


def test_a_message_has_no_audio_and_is_404(sandbox: Sandbox, client: SandboxClient) -> None:
    messages = [recording for recording in sandbox.latest().values() if not has_audio(recording)]

    statuses = [client.post_audio(message["thirdPartyId"]).status_code for message in messages]

    assert set(statuses) == {404}


def test_an_unknown_recording_is_404(client: SandboxClient) -> None:
    assert client.post_audio("unknown").status_code == 404


def test_a_request_without_a_third_party_id_is_400(client: SandboxClient) -> None:
    assert client.post(AUDIO_PATH, json={"id": 1}).status_code == 400


@pytest.mark.parametrize("title", ["", "x" * 117, "李娜" * 5000])
def test_a_title_of_any_length_and_script_gives_a_valid_file(title: str) -> None:
    assert mp3_seconds(create_mp3(title, 1.0)) == pytest.approx(1.0, abs=0.04)


def test_the_shortest_file_has_one_frame() -> None:
    assert mp3_seconds(create_mp3("short", 0.001)) == 0.036


def mp3_seconds(file: bytes) -> float:
    """Check each frame of an MP3 file and return its duration."""
    assert file[:5] == b"ID3\4\0"
    tag_size = 0
    for byte in file[6:10]:
        assert byte < 0x80
        tag_size = tag_size << 7 | byte
    frames = file[10 + tag_size :]
    assert frames
    assert len(frames) % 36 == 0
    for offset in range(0, len(frames), 36):
        header = int.from_bytes(frames[offset : offset + 4], "big")
        assert header >> 21 == 0x7FF  # frame sync
        assert header >> 17 & 0b1111 == 0b1001  # MPEG-2, Layer III
        assert header >> 12 & 0b1111 == 1  # 8 kbit/s
        assert header >> 10 & 0b11 == 2  # 16 kHz
        assert header >> 9 & 1 == 0  # no padding, so 72 * 8000 / 16000 = 36 bytes
    return len(frames) / 36 * 576 / 16000
