from __future__ import annotations

import gzip

import pytest

from tap_focus.archive.audio_check import HEAD_BYTES, check_content, check_size
from tap_focus.errors import InvalidAudioError
from tap_focus.sandbox.audio import create_mp3

NOT_AUDIO = {
    "html": b"<!DOCTYPE html><html><body>Sign in</body></html>",
    "html after space": b"\n\n  <html>",
    "html with byte order mark": b"\xef\xbb\xbf<html>",
    "html in utf-16": "<html><body>Sign in</body></html>".encode("utf-16"),
    "long html in utf-16": ("\ufeff" + "<p>Sign in</p>\n" * 500).encode("utf-16-le"),
    "utf-16 without byte order mark": ("<p>Sign in</p>\n" * 500).encode("utf-16-be"),
    "html in iso-8859-1": ("<html><body>" + "nicht möglich: äöüß " * 500).encode("iso-8859-1"),
    "long text": b"Exception in handler of line 22\n" * 500,
    "blank lines": b"\r\n" * 1000 + b"<html>",
    "office": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    "long html": b"<p>" + "Grüße ".encode() * 500,
    "xml": b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>',
    "json": b'{"error": "not found"}',
    "compact json": b'{"error":"x"}',
    "json array": b"[1,2]",
    "text": b"Service unavailable",
    "text in utf-8": "Nicht verfügbar, später".encode(),
    "pdf": b"%PDF-1.7\n\x00",
    "zip": b"PK\x03\x04\x00\x00",
    "gzip": gzip.compress(b"x"),
    "png": b"\x89PNG\r\n\x1a\n",
}
AUDIO = {
    "mp3": create_mp3("A title with words", 1),
    "mp3 frames": b"\xff\xfb\x90\x00" + bytes(100),
    "wav": b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00",
    "ogg": b"OggS\x00\x02" + bytes(20),
    "flac": b"fLaC\x00\x00\x00\x22",
    "amr": b"#!AMR\n\x3c\x91\x17\x16\xbe\x66\x79\xe1\xe0\x01\xe7\xaf\xf0",
    "m4a": b"\x00\x00\x00\x20ftypM4A \x00\x00\x00\x00",
    "webm": b"\x1a\x45\xdf\xa3",
    "a-law": b"\xd5" * 50,
    "quiet 8-bit pcm": b"{\x80 \x85\x7e\x82" * 200,
    "linear pcm that begins as markup": b"<\x00\x01\xff\x80\x90" * 20,
}


@pytest.mark.parametrize("content", NOT_AUDIO.values(), ids=NOT_AUDIO)
def test_error_pages_and_other_files_are_rejected(content: bytes) -> None:
    with pytest.raises(InvalidAudioError, match="not audio"):
        check_content(content[:HEAD_BYTES])


@pytest.mark.parametrize("content", AUDIO.values(), ids=AUDIO)
def test_audio_is_accepted(content: bytes) -> None:
    check_content(content[:HEAD_BYTES])


@pytest.mark.parametrize(("size", "duration"), [(100, None), (10_000, 600.0), (50, 10.0)])
def test_a_plausible_size_is_accepted(size: int, duration: float | None) -> None:
    check_size(size, duration)


@pytest.mark.parametrize(("size", "duration"), [(400, 482.946), (1, 1.0)])
def test_a_file_that_is_too_small_for_its_duration_is_rejected(size: int, duration: float) -> None:
    with pytest.raises(InvalidAudioError, match="too few"):
        check_size(size, duration)
