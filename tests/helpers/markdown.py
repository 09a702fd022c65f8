"""The pages of the documentation and their fenced code blocks."""

from __future__ import annotations

import re
from textwrap import dedent
from typing import TYPE_CHECKING, NamedTuple

from tests.helpers.runner import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
"""The pages whose commands are run by `tests/end_to_end/test_docs.py`."""

_FENCED = re.compile(r"^( *)```(.*)\n((?:.*\n)*?)\1```$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced code block.

    Attributes:
        language: the first word after the fence, such as `sh`.
        marks: the other words, such as `needs-account` or `file=NAME`.
        content: the text between the fences, without indentation.
        line: the line number of the opening fence.
    """

    language: str
    marks: list[str]
    content: str
    line: int

    @property
    def is_command(self) -> bool:
        """Whether the block can be run without an account."""
        return self.language in {"sh", "sql"} and not self.marks

    @property
    def file(self) -> str | None:
        """The name of the file that the reader saves the block to."""
        return next((mark[5:] for mark in self.marks if mark.startswith("file=")), None)


def read_blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    text = page.read_text("utf-8")
    blocks = []
    for match in _FENCED.finditer(text):
        language, *marks = match[2].split() or [""]
        line = text.count("\n", 0, match.start()) + 1
        blocks.append(Block(language, marks, dedent(match[3]), line))
    return blocks
