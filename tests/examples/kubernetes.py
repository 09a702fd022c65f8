"""The manifests of examples/kubernetes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from tests.helpers.runner import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "examples" / "kubernetes"


def documents(file: Path) -> list[dict[str, Any]]:
    return list(YAML(typ="safe").load_all(file.read_text("utf-8")))


def job(name: str) -> dict[str, Any]:
    """Return the specification of the job in a file."""
    (document,) = documents(FOLDER / name)
    specification: dict[str, Any] = document["spec"]["jobTemplate"]["spec"]
    return specification


def secret_names() -> set[str]:
    """Return the names of the environment variables in the secret."""
    secret = documents(FOLDER / "base.yaml")[0]
    return set(secret["stringData"])
