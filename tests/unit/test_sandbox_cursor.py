"""The sandbox's cursors as text."""

from __future__ import annotations

import typing as t

import pytest

from tap_focus.sandbox.cursor import Cursor, CursorCodec

if t.TYPE_CHECKING:
    from collections.abc import Callable


def encoded_cursors() -> list[str]:
    codec = CursorCodec(1)
    return [codec.encode(Cursor(position, 10**15, 10**15)) for position in range(200)]


def test_a_decoded_cursor_equals_the_encoded_one() -> None:
    cursor = Cursor(position=12, newest=10**15, issued=10**15 + 1)

    assert CursorCodec(1).decode(CursorCodec(1).encode(cursor)) == cursor


def test_cursors_do_not_sort_by_position() -> None:
    texts = encoded_cursors()

    assert texts != sorted(texts)


def test_every_cursor_has_the_characters_that_a_query_must_encode() -> None:
    assert all(set("+/=") <= set(text) for text in encoded_cursors())


def test_a_change_of_any_character_is_rejected() -> None:
    text = encoded_cursors()[7]
    assert is_accepted(text)

    for index, char in enumerate(text):
        changed = text[:index] + ("A" if char != "A" else "B") + text[index + 1 :]

        assert not is_accepted(changed)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(str.lower, id="lower-case"),
        pytest.param(lambda text: text.rstrip("="), id="no-padding"),
        pytest.param(lambda text: text + "\n", id="newline"),
        pytest.param(lambda text: text.replace("+", " "), id="not-encoded-in-a-query"),
        pytest.param(lambda text: text.removeprefix("+/="), id="no-prefix"),
    ],
)
def test_another_spelling_of_a_cursor_is_rejected(change: Callable[[str], str]) -> None:
    text = encoded_cursors()[7]

    assert not is_accepted(change(text))


@pytest.mark.parametrize("text", ["", "+/=", "+/=AAAA", "AAAA", "1", "ü", "+/=ü", "+/=" + "A" * 80])
def test_a_text_that_is_not_a_cursor_is_rejected(text: str) -> None:
    assert not is_accepted(text)


def test_a_cursor_of_another_seed_is_rejected() -> None:
    foreign = CursorCodec(99).encode(Cursor(1, 1, 1))

    assert not is_accepted(foreign)


def is_accepted(text: str) -> bool:
    try:
        CursorCodec(1).decode(text)
    except ValueError:
        return False
    return True
