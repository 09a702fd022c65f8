"""Configurations of the tap whose CPU time speed.py compares."""

from __future__ import annotations

import json
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from feed_server import EXTRA_FIELDS
from processes import discover_catalog

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from competitors import Competitor

COLUMN = "thirdPartyId"


class Scenario(NamedTuple):
    """One configuration of the tap.

    Attributes:
        slug: Key in the results.
        title: Name in reports.
        target: Target for the CPU time without start-up, divided by that of the hand-written loop
            on the same feed. None without a target.
        unknown_fields: Whether every recording has fields that the schema lacks.
        deselect: Whether the catalog deselects `COLUMN`.
        settings: Further settings of the tap.
    """

    slug: str
    title: str
    target: str | None
    unknown_fields: bool = False
    deselect: bool = False
    settings: Mapping[str, Any] = MappingProxyType({})

    @property
    def baseline(self) -> Scenario:
        """Scenario in which the hand-written loop reads the same feed."""
        return UNKNOWN_FIELDS if self.unknown_fields else SAMPLE_FIELDS

    def options(self, tap: Competitor, folder: Path) -> list[str]:
        """Return the tap's command-line options. Write a catalog to `folder` if one is needed."""
        if not self.deselect:
            return []
        catalog = discover_catalog(tap.bin / "tap-focus")
        for stream in catalog["streams"]:
            for entry in stream["metadata"]:
                if entry["breadcrumb"] == ["properties", COLUMN]:
                    entry["metadata"]["selected"] = False
        path = folder / "catalog.json"
        path.write_text(json.dumps(catalog), encoding="utf-8")
        return ["--catalog", str(path)]

    def accepts(self, record: dict[str, Any]) -> bool:
        """Return whether a record of the tap matches the configuration."""
        additional = record["additionalFields"]
        if self.unknown_fields and (not additional or set(additional) != set(EXTRA_FIELDS)):
            return False
        if not self.unknown_fields and additional is not None:
            return False
        if self.deselect:
            return COLUMN not in record
        if not isinstance(record["endpoints"], str if "json_text" in self.settings else list):
            return False
        hashed = re.fullmatch("[0-9a-f]{32}", record[COLUMN]) is not None
        return hashed == ("stream_maps" in self.settings)


SAMPLE_FIELDS = Scenario("sample-fields", "the sample's fields only", "at most 0.40")
UNKNOWN_FIELDS = Scenario(
    "unknown-fields", "three unknown fields in every recording", "at most 0.80", unknown_fields=True
)
DESELECTED = Scenario("deselected-column", "one column deselected", "at most 0.80", deselect=True)
HASHED = Scenario(
    "hashed-column",
    "one column hashed by a stream map",
    None,
    settings={"stream_maps": {"recordings": {COLUMN: f"md5({COLUMN})"}}},
)
JSON_TEXT = Scenario(
    "json-text", "columns as JSON text (`json_text`)", None, settings={"json_text": True}
)
SCENARIOS = (SAMPLE_FIELDS, UNKNOWN_FIELDS, DESELECTED, JSON_TEXT, HASHED)
