"""Text from a store or a manifest, made safe for terminals and spreadsheets."""

from __future__ import annotations

MAX_PRINTED_LENGTH = 300


def printable(text: str) -> str:
    r"""Return printable ASCII, with escapes such as `\n` for other characters, and shortened.

    Names and messages from a store or a manifest may contain terminal control sequences.
    """
    escaped = text.encode("unicode_escape").decode("ascii")
    if len(escaped) <= MAX_PRINTED_LENGTH:
        return escaped
    return f"{escaped[:MAX_PRINTED_LENGTH]}... ({len(text):,} characters)"


def csv_cell(text: str) -> str:
    """Return the text of a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "|", "%", "\t", "\r")) else text
