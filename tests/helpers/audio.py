"""Recordings whose audio can be played, the answers to whoever asks for it, and what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.helpers.fake_focus import CURSOR, page
from tests.helpers.fake_focus import recording as any_recording

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Run
    from tests.helpers.fake_focus import Fault, Handler

    Tap = Callable[..., Run]
    Archive = Callable[..., Run]

SOUND = b"ID3" + bytes(range(256)) * 40
DAY = "2025/05/01"


def recording(key: int, **more: Any) -> dict[str, Any]:
    permitted = {"mediaAccessStatus": "Permitted", "thirdPartyId": f"call|{key}"}
    return any_recording(key, type="teams", **{**permitted, **more})


def feed(*keys: int, **more: Any) -> dict[str | None, bytes]:
    """A feed of one page."""
    recordings = [recording(key, **more) for key in keys]
    return {None: page(recordings, CURSOR), CURSOR: page([], CURSOR)}


def audio(body: bytes = SOUND, kind: str = "audio/mpeg", **headers: str) -> Fault:
    """Answer with audio; it is the server's default in these tests."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _: handler.send(200, body, {"Content-Type": kind, **named})


def sounding(fault: Fault) -> Fault:
    """Let a fault of the connection happen to an answer with audio."""

    def with_sound(handler: Handler, _: bytes) -> None:
        handler.content_type = "audio/mpeg"
        fault(handler, SOUND)

    return with_sound


def longer(handler: Handler, _: bytes) -> None:
    """Send more than was announced."""
    handler.send(200, SOUND + b"more", {"Content-Type": "audio/mpeg"}, length=len(SOUND))
    handler.close_connection = True


def without_length(handler: Handler, _: bytes) -> None:
    """Announce no length; nobody can tell whether all came."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n" + SOUND)
    handler.close_connection = True


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder, the hidden ones too, by their path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def by_id(run: Run) -> dict[int, dict[str, Any]]:
    return {record["interactionId"]: record for record in run.records}


def bookmark(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = run.state["bookmarks"]["recording_media"]
    return found
