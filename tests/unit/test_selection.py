from __future__ import annotations

import json
from typing import Any

import pytest
from singer_sdk.singerlib.catalog import Metadata, MetadataMapping

from tap_focus.streams.selection import (
    Exclusion,
    nested_exclusions,
    property_paths,
    to_breadcrumb,
    to_path,
    unmatched_patterns,
    unmatched_rules,
)

SCHEMA: dict[str, Any] = {
    "properties": {
        "id": {"type": "integer"},
        "place": {
            "type": "object",
            "properties": {"city": {}, "street": {"properties": {"n": {}}}},
        },
        "people": {"type": "array", "items": {"properties": {"name": {}}}},
        "tags": {"type": "array", "items": {"type": "string"}},
    }
}
PATHS = {
    ("id",),
    ("place",),
    ("place", "city"),
    ("place", "street"),
    ("place", "street", "n"),
    ("people",),
    ("people", "name"),
    ("tags",),
}


def metadata(selection: dict[str, bool | None], *, items: bool = False) -> MetadataMapping:
    """Return metadata with the selection of properties, named as `place.city`.

    Args:
        selection: None is an entry without a selection.
        items: whether the breadcrumbs name the items of arrays.
    """
    entries = MetadataMapping()
    for name, is_selected in selection.items():
        breadcrumb = to_breadcrumb(tuple(filter(None, name.split("."))))
        if items and len(breadcrumb) > 2:
            breadcrumb = (*breadcrumb[:2], "items", *breadcrumb[2:])
        entries[breadcrumb] = Metadata(selected=is_selected)
    return entries


def test_the_properties_within_objects_and_arrays_have_paths() -> None:
    assert {*property_paths(SCHEMA)} == PATHS


@pytest.mark.parametrize("path", sorted(PATHS))
def test_a_breadcrumb_leads_back_to_its_path(path: tuple[str, ...]) -> None:
    assert to_path(to_breadcrumb(path)) == path


@pytest.mark.parametrize(
    ("breadcrumb", "path"),
    [
        ((), ()),
        (("properties", "people", "items", "properties", "name"), ("people", "name")),
        (("properties", "properties"), ("properties",)),
        (("properties", "items"), ("items",)),
    ],
)
def test_a_breadcrumb_may_name_the_items_of_an_array(
    breadcrumb: tuple[str, ...], path: tuple[str, ...]
) -> None:
    assert to_path(breadcrumb) == path


@pytest.mark.parametrize("items", [False, True])
@pytest.mark.parametrize(
    ("selection", "exclusions"),
    [
        ({}, {}),
        ({"": False, "id": False, "place": False}, {}),
        ({"place.city": True, "place.street": None}, {}),
        ({"place.city": False}, {"place": {"city": None}}),
        ({"place.street.n": False}, {"place": {"street": {"n": None}}}),
        ({"place.street.n": False, "place.street": False}, {"place": {"street": None}}),
        ({"place.street": False, "place.street.n": False}, {"place": {"street": None}}),
        (
            {"people.name": False, "place.city": False, "place.street.n": False},
            {"people": {"name": None}, "place": {"city": None, "street": {"n": None}}},
        ),
    ],
)
def test_exclusions_are_the_deselected_properties_within_columns(
    *, selection: dict[str, bool | None], exclusions: dict[str, Any], items: bool
) -> None:
    found = nested_exclusions(metadata(selection, items=items))

    assert found == exclusions
    assert all(isinstance(exclusion, Exclusion) for exclusion in found.values())


@pytest.mark.parametrize("is_selected", [False, True])
@pytest.mark.parametrize("name", ["ids", "place.town", "city", "tags.items", "people.name.first"])
def test_a_rule_for_a_property_that_does_not_exist_is_reported(
    name: str, *, is_selected: bool
) -> None:
    """A typo would leave a field selected."""
    rules = metadata({"id": True, name: is_selected})

    assert unmatched_rules("recordings", SCHEMA, rules) == [f"recordings.{name}"]


def test_rules_for_existing_properties_and_entries_without_a_rule_are_not_reported() -> None:
    rules = metadata({"": True, "id": False, "people.name": False, "unknown": None})

    assert unmatched_rules("recordings", SCHEMA, rules) == []


@pytest.mark.parametrize(
    "pattern",
    ["recordings", "recordings.*", "!recordings.id", "*.*", "r*.people.*", "recordings.place.city"],
)
def test_a_pattern_that_matches_a_stream_or_a_property_is_not_reported(
    monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.setenv("MELTANO_EXTRACT__SELECT", json.dumps([pattern]))

    assert unmatched_patterns({"recordings": SCHEMA}) == []


@pytest.mark.parametrize(
    "pattern", ["recording.*", "!recordings.ids", "recordings.place.town", "other"]
)
def test_a_pattern_that_matches_nothing_is_reported(
    monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.setenv("MELTANO_EXTRACT__SELECT", json.dumps(["*.*", pattern]))

    assert unmatched_patterns({"recordings": SCHEMA}) == [pattern]


@pytest.mark.parametrize("value", [None, "", "[]", "nonsense", "5", '{"a": 1}', "[5, null]", "["])
def test_a_variable_without_patterns_is_ignored(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is None:
        monkeypatch.delenv("MELTANO_EXTRACT__SELECT", raising=False)
    else:
        monkeypatch.setenv("MELTANO_EXTRACT__SELECT", value)

    assert unmatched_patterns({"recordings": SCHEMA}) == []
