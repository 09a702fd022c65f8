"""Find words and phrases that make English read as translated.

Checks all text files. In Python files it checks the comments, the strings, and the names of
functions and classes. It ignores code in `backticks`, and lines with a comment that contains
`allow-word` and a reason.

usage: python -m scripts.check_words [FILE ...]
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
ALLOW = "allow-word"
SUFFIXES = {".md", ".py", ".sh", ".sql", ".toml", ".txt", ".yaml", ".yml", ".example", ""}
EXCLUDED = {
    "LICENSE",
    "scripts/check_words.py",
    "tap_focus/sandbox/phrases.py",  # what people say in simulated recordings
    "tests/unit/test_check_words.py",
}

BETTER_WORDS = {
    r"afresh|anew": "again",
    r"amongst": "among",
    r"bring(s|ing)?|brought": "load, add, return, cause",
    r"comes? along": "is included",
    r"(comes?|came|arrives?|arrived) whole": "complete",
    r"fares": "has the status",
    r"fore(saw|seen?|sees)": "expected",
    r"for ever": "forever",
    r"hand(s|ed|ing)? (on|out)": "pass, write, share, return",
    r"(?<!legal.)holds|held (against|up)|hold(ing)? against": "contains, keeps, checks against",
    r"(is|are|was|were) none": "there is no ..., is not a ..., is missing",
    r"lies?|lying|lain": "is, is stored",
    r"mend(s|ed|ing)?": "fix, repair",
    r"nobody('s)?|no one": "no user, no process, nothing",
    r"of (its|their|his|her|one's) own": "its own ..., separate, a specific",
    r"pass(es|ed|ing)? over": "skip, ignore",
    r"stands?(?![- ]?alone)|stood": "is, remains",
    r"takes no more": "rejects, is full",
    r"tells?|told": "report, say, show, distinguish",
    r"torn": "incomplete, size mismatch",
    r"what (came|comes|lies|stands|cannot|can(?! go wrong)|passes|passed|stays|fits)": (
        "name the thing: the response, the record, permanent errors"
    ),
    r"whilst": "while",
    r"whoever|whosoever|whomever": "the user, the process",
}
"""Regular expressions for whole words, and suggestions."""

RULES = [
    *(
        (re.compile(rf"\b({pattern})\b".replace(" ", r"\s+"), re.IGNORECASE), better)
        for pattern, better in BETTER_WORDS.items()
    ),
    # A docstring that starts with a vague verb.
    (
        re.compile(r'\A[rbuf]*"""(Begin|Bring|Let|Make|Say|See|Tell)\b', re.IGNORECASE),
        "Return, Validate, Write, Retry, Yield, Build, Create",
    ),
    # A relative clause as the subject of a sentence. Questions are fine.
    (
        re.compile(
            r"(?:^[\s*>-]*|[.:;]\s)(Who|What\s(?:is|was|were|has|had))\b(?![^.]*\?)", re.MULTILINE
        ),
        "a noun: users who ..., permanent errors ...",
    ),
]
"""Patterns whose first group is the phrase, and suggestions."""


class Finding(NamedTuple):
    """A phrase in a line of a file."""

    line: int
    phrase: str
    better: str


def main(arguments: list[str]) -> int:
    """Print the findings of all files, and return 1 if there are any."""
    paths = [Path(argument).resolve() for argument in arguments] or project_files()
    failed = False
    for path in paths:
        name = path.relative_to(ROOT).as_posix()
        if name in EXCLUDED or path.suffix not in SUFFIXES or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        for finding in check(text, python=path.suffix == ".py"):
            failed = True
            print(f"{name}:{finding.line}: {finding.phrase!r}: write {finding.better}")
    if failed:
        print(f"Where such a word is right, add a comment with {ALLOW} and the reason to its line.")
    return int(failed)


def project_files() -> list[Path]:
    """Return the files that git tracks or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    return [ROOT / name for name in listing.split("\0") if name]


def check(text: str, *, python: bool) -> Iterator[Finding]:
    """Yield the findings of a file, rule by rule."""
    lines = text.splitlines()
    for first, part in python_prose(text) if python else [(1, text)]:
        # Inline code keeps its length, so that line numbers stay right.
        prose = re.sub(r"`[^`\n]*`", lambda code: "`" * len(code[0]), part)
        for pattern, better in RULES:
            for match in pattern.finditer(prose):
                number = first + prose.count("\n", 0, match.start(1))
                if ALLOW not in lines[number - 1]:
                    yield Finding(number, " ".join(match[1].split()), better)


def python_prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield comments, strings and defined names with the numbers of their first lines.

    Comments on consecutive lines are one comment.
    """
    comment: list[str] = []
    comment_end = 0
    previous = ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        line = token.start[0]
        if token.type == tokenize.COMMENT:
            if comment and line != comment_end + 1:
                yield comment_end - len(comment) + 1, "\n".join(comment)
                comment = []
            comment.append(token.string.lstrip("# "))
            comment_end = line
        elif "STRING" in tokenize.tok_name[token.type]:  # FSTRING_MIDDLE since Python 3.12
            yield line, token.string
        elif token.type == tokenize.NAME:
            if previous in {"class", "def"}:
                yield line, token.string.replace("_", " ")
            previous = token.string
    if comment:
        yield comment_end - len(comment) + 1, "\n".join(comment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
