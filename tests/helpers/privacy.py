"""The list of personal data in docs/privacy.md, and personal values in recordings."""

from __future__ import annotations

import re
from typing import Any

from tests.helpers.runner import ROOT

TEXTS = ("transcriptSnippet", "thirdPartyId", "isPrivateReason")


def documented() -> list[tuple[set[str], set[str], str]]:
    """Return the loaded columns, the columns of the models and the rule of each line."""
    text = (ROOT / "docs" / "privacy.md").read_text("utf-8")
    table = text.partition("<!-- personal columns -->")[2].partition("<!-- end -->")[0]
    lines = [line.split("|")[1:-1] for line in table.strip().splitlines()[2:]]
    return [
        (set(re.findall("`(.+?)`", a)), set(re.findall("`(.+?)`", b)), rule.strip(" `"))
        for a, _, b, rule in lines
    ]


def personal_values(recordings: list[dict[str, Any]]) -> set[str]:
    """Return texts that are personal and long enough not to occur by chance."""
    values = {recording[name] for recording in recordings for name in TEXTS}
    for recording in recordings:
        for endpoint in recording["endpoints"]:
            values.add(endpoint["endpoint"]["endpoint"])
            for holder in (endpoint.get("person"), endpoint.get("user")):
                values.add(holder and holder["fullName"])
        values |= {hold["name"] for hold in recording["legalHolds"] or []}
        values |= {*recording["tags"], *(recording["analysis"] or [])}
        review = recording["optional"].get("review")
        values.add(review and review["by"])
    return {value for value in values if value and len(value) > 3}
