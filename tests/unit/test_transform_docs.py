"""The list of personal data in docs/privacy.md against the models and the streams."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from tap_focus.streams.columns import RECORDING_MEDIA, RECORDINGS
from tests.helpers.dbt import PROJECT
from tests.helpers.privacy import documented

if TYPE_CHECKING:
    from collections.abc import Iterator


def models() -> list[dict[str, Any]]:
    paths = (PROJECT / "models").rglob("*.yml")
    return [model for path in paths for model in YAML(typ="safe").load(path).get("models", [])]


def columns_by_rule() -> dict[str, set[str]]:
    """Return the columns of the models that have a rule in `meta`."""
    result: dict[str, set[str]] = {}
    for model in models():
        for column in model.get("columns", []):
            for rule in rules_of(column):
                result.setdefault(rule, set()).add(column["name"])
    return result


def rules_of(column: dict[str, Any]) -> list[str]:
    rules: list[str] = column.get("config", {}).get("meta", {}).get("personal_data", [])
    return rules


def test_the_list_contains_every_personal_column_of_the_models() -> None:
    assert {rule: columns for _, columns, rule in documented()} == columns_by_rule()


def test_every_rule_of_the_list_exists_and_no_other() -> None:
    macro = (PROJECT / "macros" / "personal.sql").read_text("utf-8")
    body = macro.partition("macro personal_columns()")[2].partition("endmacro")[0]

    assert {"default", *(rule for _, _, rule in documented())} == set(re.findall("'(.+?)'", body))


def test_a_column_has_the_same_rules_in_every_model() -> None:
    rules: dict[str, list[str]] = {}
    for model in models():
        for column in model.get("columns", []):
            assert rules.setdefault(column["name"], rules_of(column)) == rules_of(column), column


NOT_PERSONAL = {
    # What happened, and what Focus does with it.
    *("interactionId", "startDatetimeUTC", "endDatetimeUTC", "durationInSeconds", "type"),
    *("commentsCount", "retentionGroupId", "retainUntil", "isPrivate", "mediaAccessStatus"),
    *("dataGroups", "nextCursorId"),
    # Pseudonyms, which the text after the list names, and what belongs to them.
    *("endpoints", "endpoints[].person", "endpoints[].person.id", "endpoints[].endpoint"),
    *("endpoints[].endpoint.id", "endpoints[].endpoint.type"),
    *("endpoints[].isOriginator", "endpoints[].isRecordingSubject"),
    # The files, which are named by interactionId.
    *("status", "uri", "contentType", "sizeInBytes", "sha256", "fetchedAt", "error"),
    *("lockedUntil", "lockError", "previousFiles", "previousFiles[].uri"),
    *("previousFiles[].sizeInBytes", "previousFiles[].sha256"),
}


def test_every_property_of_the_streams_is_in_the_list_or_known_not_to_be_personal() -> None:
    """A new property needs a line in the list, or a decision here."""
    listed = set().union(*(names for names, _, _ in documented()))
    properties = {*property_names(RECORDINGS), *property_names(RECORDING_MEDIA)}

    assert listed.isdisjoint(NOT_PERSONAL)
    assert properties == listed | NOT_PERSONAL


def property_names(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the names of all properties, also of those inside objects and arrays."""
    for name, inner in schema.get("properties", {}).items():
        yield prefix + name
        yield from property_names(inner, f"{prefix}{name}.")
        yield from property_names(inner.get("items", {}), f"{prefix}{name}[].")


def test_the_package_has_the_version_of_the_project() -> None:
    """A release builds the incremental models again, so the macro has to know its version."""
    project = YAML(typ="safe").load(PROJECT / "dbt_project.yml")
    macro = (PROJECT / "macros" / "incremental.sql").read_text("utf-8")
    found = re.search(r"macro package_version\(\) %}{{ return\('(.+?)'\) }}", macro)

    assert found
    assert found[1] == project["version"] == version("tap-focus")
