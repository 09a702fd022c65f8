from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_focus.api.text import replace_surrogates, sanitize, sanitize_json

TEXTS = st.text(st.sampled_from(["\ud83d", "\ude00", "\x00", "\\", '"', "u", "d", "8", "3", "a"]))


@given(TEXTS)
def test_sanitized_json_is_the_json_of_the_sanitized_text(text: str) -> None:
    # Python writes a high surrogate before a low one as two escapes, which JSON reads as one
    # character.
    value = json.loads(json.dumps(text))

    assert json.loads(sanitize_json(json.dumps(text).encode())) == sanitize(value)


@given(TEXTS)
def test_sanitized_text_can_be_stored_and_keeps_its_length(text: str) -> None:
    sanitized = sanitize(text)

    assert len(sanitized) == len(text)
    assert "\x00" not in sanitized
    assert sanitized.encode().decode() == sanitized


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_text_that_can_be_stored_is_not_changed(text: str) -> None:
    body = json.dumps(text).encode()

    assert sanitize(text) == text
    assert sanitize_json(body) == replace_surrogates(body) == body


@given(TEXTS)
def test_replacing_surrogates_keeps_all_other_characters_in_their_places(text: str) -> None:
    body = json.dumps(text).encode()
    replaced = replace_surrogates(body)
    pairs = zip(json.loads(body), json.loads(replaced), strict=True)

    assert len(replaced) == len(body)
    assert replaced.decode() == json.dumps(json.loads(replaced)).encode().decode()
    for before, after in pairs:
        assert (after >= "\uf800") if "\ud800" <= before <= "\udfff" else after == before


@pytest.mark.parametrize(
    ("body", "sanitized"),
    [
        (b'"\\u0000"', b'"\\ufffd"'),
        (b'"\\ud83d"', b'"\\ufffd"'),
        (b'"\\uDE00\\uD83D"', b'"\\ufffd\\ufffd"'),
        (b'"\\ud83d\\ude00"', b'"\\ud83d\\ude00"'),
        (b'"\\ud83d\\ud83d\\ude00"', b'"\\ufffd\\ud83d\\ude00"'),
        (b'"\\\\ud83d \\\\u0000"', b'"\\\\ud83d \\\\u0000"'),
        (b'"\\\\\\ud83d"', b'"\\\\\\ufffd"'),
        (b'{"\\u0000": 1}', b'{"\\ufffd": 1}'),
        ('"\u00e9\U0001f600"'.encode(), '"\u00e9\U0001f600"'.encode()),
    ],
)
def test_only_escapes_of_unstorable_characters_are_replaced(body: bytes, sanitized: bytes) -> None:
    assert sanitize_json(body) == sanitized
