"""The loaders in meltano.yml against the matrix of tests/targets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.targets.definitions import TARGETS, Target, loader
from tests.targets.environments import REQUIREMENTS, version_of


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return settings by the names that Meltano uses, such as `format.format_type`."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= (
            flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
        )
    return found


@pytest.mark.parametrize("target", [t for t in TARGETS if t.plugin], ids=lambda t: t.name)
def test_a_loader_has_the_version_and_settings_of_the_matrix(target: Target) -> None:
    plugin = loader(target.plugin or "")
    package, *others = plugin["pip_url"].split()
    pinned = (REQUIREMENTS / f"{target.package}.txt").read_text("utf-8").splitlines()

    assert package == f"{target.package}=={version_of(target.package)}"
    assert {*others} <= {*pinned}
    assert plugin["executable"] == target.executable
    assert plugin["config"].items() >= flat(target.settings).items()
