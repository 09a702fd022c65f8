"""What JSON text permits and some readers cannot store or parse."""

from __future__ import annotations

import codecs
import re
import typing as t

MAX_DEPTH = 64
"""Deepest nesting of a value that is written. Recursive parsers of targets stop near 1,000."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""U+FFFD, the character that Unicode provides for this purpose."""

_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair of surrogates
    rb"|\\u[dD](?P<surrogate>[89a-fA-F][0-9a-fA-F]{2})"
    rb"|(?P<nul>\\u0000)"
    rb"|\\.",  # any other escape, so that the next one is recognized
    re.DOTALL,
)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def sanitize_json(text: bytes) -> bytes:
    """Replace NUL and unpaired surrogates in the strings and names of a JSON text.

    JSON can contain both as escapes only. The length of the text does not change.
    """
    return _ESCAPE.sub(
        lambda match: b"\\ufffd" if match["surrogate"] or match["nul"] else match[0], text
    )


def replace_surrogates(text: bytes) -> bytes:
    """Replace unpaired surrogates, which msgspec rejects, by different characters from U+F800 on.

    The length of the text does not change, so that the original can be read at the same places.
    """
    return _ESCAPE.sub(
        lambda match: b"\\uf" + match["surrogate"] if match["surrogate"] else match[0], text
    )


def sanitize(text: str) -> str:
    """Replace NUL and unpaired surrogates in a string."""
    return _UNSTORABLE.sub(REPLACEMENT, text)


def sanitize_value(value: t.Any) -> t.Any:
    """Replace NUL and unpaired surrogates in the strings and names of a JSON value."""
    if isinstance(value, str):
        return sanitize(value)
    if isinstance(value, list):
        return [sanitize_value(item) for item in value]
    if isinstance(value, dict):
        return {sanitize(name): sanitize_value(item) for name, item in value.items()}
    return value


def is_utf8(text: bytes) -> bool:
    """Return whether bytes are valid UTF-8.

    Decodes in pieces: a whole page as a Python text could need four bytes for each character.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, 0 if text.isascii() else len(text), _PIECE):
            decoder.decode(text[start : start + _PIECE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


_PIECE = 64 * 1024


def has_long_integer(text: bytes) -> bool:
    """Return whether a JSON text contains more digits in a row than Python's json module accepts.

    Looks at every 256th byte: of 4,300 digits or more, 16 samples in a row are digits.
    """
    return _DIGIT_SAMPLES.search(text[::256]) is not None


_DIGIT_SAMPLES = re.compile(rb"[0-9]{16}")


def is_too_deep(text: bytes) -> bool:
    """Return whether a JSON text may be nested more than `MAX_DEPTH` levels deep.

    Removes all but the brackets, then innermost pairs, once for each level. A text whose strings
    contain unpaired brackets is reported as well.
    """
    brackets = text.translate(_ROUND, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return False
        brackets = brackets.replace(b"()", b"")
    return bool(brackets)


_ROUND = bytes.maketrans(b"[]{}", b"()()")
_NO_BRACKETS = bytes(code for code in range(256) if code not in b"[]{}")


def depth(value: t.Any) -> int:
    """Return how deep a decoded JSON value is nested; 0 for a scalar."""
    level, deepest = [value], 0
    while level := [item for item in level if isinstance(item, (dict, list))]:
        deepest += 1
        level = [
            inner for item in level for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return deepest
