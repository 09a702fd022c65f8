"""Three questions about the simulated company, answered from the models of `transform/`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

BAR_WIDTH = 40

EXTERNAL = """
    SELECT display_name, sum(external_count), round(sum(external_duration_seconds) / 3600, 1)
    FROM focus_dev_models.focus__daily_activity
    WHERE is_internal
    GROUP BY person_key, display_name
    ORDER BY 2 DESC, 1 LIMIT 5"""
HOURS = """
    SELECT hour_of_day, count(*) FROM focus_dev_models.focus__recordings
    WHERE hour_of_day IS NOT NULL GROUP BY 1 ORDER BY 1"""
DUE = """
    SELECT count(*) FILTER (WHERE retention_status = 'due'),
           min(retain_until) FILTER (WHERE retention_status IN ('due', 'retained'))::date,
           count(*) FILTER (WHERE retention_status = 'held')
    FROM focus_dev_models.focus__retention"""


def are_built(connection: Connection) -> bool:
    """Return whether the models exist."""
    query = "SELECT to_regclass('focus_dev_models.focus__retention') IS NOT NULL"
    ((built,),) = connection.execute(query).fetchall()
    return bool(built)


def answers(connection: Connection) -> str:
    """Return the three questions with their answers."""
    return "\n".join([_external(connection), _hours(connection), _due(connection)])


def _external(connection: Connection) -> str:
    lines = [
        "\nWho speaks most outside the company?",
        f"  {'recordings':>10}  {'hours':>6}  person",
    ]
    for name, count, hours in connection.execute(EXTERNAL).fetchall():
        lines.append(f"  {count:10,}  {hours:6,}  {name}")
    return "\n".join(lines)


def _hours(connection: Connection) -> str:
    rows = connection.execute(HOURS).fetchall()
    per_character = max(1, -(-max((count for _, count in rows), default=0) // BAR_WIDTH))
    lines = ["\nWhich hours are the busiest? (UTC, unless you set a time zone)"]
    for hour, count in rows:
        lines.append(f"  {hour:02}:00  {'█' * round(count / per_character)} {count:,}")
    return "\n".join(lines)


def _due(connection: Connection) -> str:
    ((due, first, held),) = connection.execute(DUE).fetchall()
    following = f"The next deletion is on {first}. " if first else ""
    return (
        f"\nWhat will be deleted within 30 days?\n  {due:,} recordings. {following}"
        f"Legal holds keep {held:,} others."
    )
