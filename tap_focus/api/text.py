"""Characters that JSON permits and some databases cannot store."""

from __future__ import annotations

import re
import typing as t

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
