"""Write `focus__daily_activity` as a page that a browser shows without a server or a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

TEMPLATE = Path(__file__).with_suffix(".html")

QUERY = """
    SELECT activity_date::text, channel, person_key, display_name, is_internal,
           recordings_count, recorded_count, external_count, round(duration_seconds)::bigint
    FROM focus_dev_models.focus__daily_activity
    ORDER BY activity_date, channel, person_key"""
"""The columns that the script of the page reads by position."""


def write_dashboard(connection: psycopg.Connection[tuple[Any, ...]], path: Path) -> None:
    """Write the page with all rows of the model."""
    write_page(connection.execute(QUERY).fetchall(), path)


def write_page(rows: Iterable[tuple[Any, ...]], path: Path) -> None:
    """Write the page with rows of `QUERY`."""
    # Names come from outside. In a script, only `</script>` and `<!--` have a meaning.
    data = json.dumps([*rows], ensure_ascii=False).replace("<", "\\u003c")
    path.write_text(TEMPLATE.read_text("utf-8").replace("/* rows */ []", data), "utf-8")
