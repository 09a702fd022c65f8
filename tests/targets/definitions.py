"""The targets of the matrix: their packages, settings and stores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from tests.helpers.runner import ROOT
from tests.targets import stores

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.targets.comparison import Table
    from tests.targets.stores import Place

NATIVE, JSON_TEXT = "native", "json_text"


@dataclass(frozen=True)
class Target:
    """A target with settings.

    Attributes:
        name: in the table of the docs.
        package: on PyPI. `requirements/` pins its version.
        executable: the command.
        connect: returns the settings that say where to write.
        read: returns what the target wrote.
        settings: all other settings, which the table shows.
        forms: of the columns with JSON. `JSON_TEXT` is there if the native form is not right.
        plugin: the name in meltano.yml of a loader with the same version and settings.
    """

    name: str
    package: str
    executable: str
    connect: Callable[[Place], dict[str, Any]]
    read: Callable[[Place], Table]
    settings: dict[str, Any] = field(default_factory=dict)
    forms: tuple[str, ...] = (NATIVE,)
    plugin: str | None = None


def loader(name: str) -> dict[str, Any]:
    """Return the definition of a loader in meltano.yml."""
    project = YAML(typ="safe").load(ROOT / "meltano.yml")
    (plugin,) = [plugin for plugin in project["plugins"]["loaders"] if plugin["name"] == name]
    return dict(plugin)


def _postgres(place: Place) -> dict[str, Any]:
    return {
        "sqlalchemy_url": place.postgres.replace("postgresql://", "postgresql+psycopg://", 1),
        "default_target_schema": place.name,
    }


TARGETS = [
    Target(
        name="target-postgres (MeltanoLabs)",
        package="meltanolabs-target-postgres",
        executable="target-postgres",
        connect=_postgres,
        read=stores.read_postgres,
        settings={"use_copy": True, "validate_records": False},
        plugin="target-postgres",
    ),
    Target(
        name="target-jsonl",
        package="target-jsonl",
        executable="target-jsonl",
        connect=lambda place: {"destination_path": str(place.folder)},
        read=stores.read_json_lines,
        plugin="target-jsonl",
    ),
]
