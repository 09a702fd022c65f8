"""The word list of `scripts/lint`."""

from __future__ import annotations

import pytest

from scripts.check_words import BETTER_WORDS, check


def phrases(text: str, *, python: bool = False) -> list[tuple[int, str]]:
    return [(finding.line, finding.phrase) for finding in check(text, python=python)]


@pytest.mark.parametrize(
    "text",
    [
        "Mended by nobody.",
        "The file lies in the folder, torn.",
        "It tells whoever asks.",
        "a bookmark of its own",
        "an address that is none",
        "records are passed over",
        "What cannot pass ends the run.",
        "Done. Who must keep the audio selects it.",
        "- What is new is loaded.",
    ],
)
def test_translated_english_is_found(text: str) -> None:
    assert phrases(text)


@pytest.mark.parametrize(
    "text",
    [
        "Permanent errors end the run. A stand-alone server underlies it.",
        "What is a cursor? Who can read it?",
        "## What you get",
        "The account is `nobody`.",
        "The user nobody runs it. <!-- allow-word: a name -->",
    ],
)
def test_technical_english_passes(text: str) -> None:
    assert phrases(text) == []


def test_a_phrase_is_found_across_lines() -> None:
    assert phrases("one\na state of its\nown") == [(2, "of its own")]


def test_python_code_is_not_prose() -> None:
    source = "position = file.tell()\nholds = lies + 1\n"

    assert phrases(source, python=True) == []


def test_comments_strings_and_names_of_python_code_are_prose() -> None:
    source = '''
# fixed
x = 1
# it lies
# there
message = f"it holds {x}"
def test_nobody_waits() -> None:
    """Say it."""
'''

    found = phrases(source, python=True)

    assert sorted(found) == [(4, "lies"), (6, "holds"), (7, "nobody"), (8, "Say")]


@pytest.mark.parametrize("pattern", BETTER_WORDS)
def test_each_suggestion_follows_the_list(pattern: str) -> None:
    assert phrases(BETTER_WORDS[pattern]) == []
