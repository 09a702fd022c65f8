"""Selection within columns, and selection rules that match nothing."""

from __future__ import annotations

import fnmatch
import json
import os
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from singer_sdk.singerlib import MetadataMapping

Path = tuple[str, ...]


class Exclusion(dict[str, t.Optional["Exclusion"]]):
    """Deselected properties of a column, nested: None is a property that is deselected whole."""

    def apply(self, value: t.Any) -> t.Any:
        """Return a decoded value without the deselected properties.

        A scalar in place of the expected object becomes null, since it may contain the deselected
        data.
        """
        if isinstance(value, list):
            return [self.apply(item) for item in value]
        if not isinstance(value, dict):
            return None
        return {
            name: inner.apply(item) if (inner := self.get(name)) is not None else item
            for name, item in value.items()
            if name not in self or self[name] is not None
        }


def property_paths(schema: Mapping[str, t.Any], parent: Path = ()) -> Iterator[Path]:
    """Yield the path of each property of a JSON schema, through objects and arrays."""
    for name, definition in schema.get("properties", {}).items():
        yield (*parent, name)
        yield from property_paths(definition, (*parent, name))
    if isinstance(items := schema.get("items"), dict):
        yield from property_paths(items, parent)


def to_breadcrumb(path: Path) -> Path:
    """Return the breadcrumb of a property as Meltano writes it: without `items` for arrays."""
    return tuple(crumb for name in path for crumb in ("properties", name))


def to_path(breadcrumb: Iterable[str]) -> Path:
    """Return the path of a property from its breadcrumb, with or without `items`."""
    crumbs = iter(breadcrumb)
    return tuple(next(crumbs, "") for crumb in crumbs if crumb == "properties")


def nested_exclusions(metadata: MetadataMapping) -> dict[str, Exclusion]:
    """Return the deselected properties within each column."""
    exclusions: dict[str, Exclusion] = {}
    for breadcrumb, entry in metadata.items():
        column, *inner = to_path(breadcrumb) or ("",)
        if inner and entry.selected is False:
            level = exclusions.setdefault(column, Exclusion())
            for name in inner[:-1]:
                # A parent that is deselected whole stays so.
                if (below := level.setdefault(name, Exclusion())) is None:
                    break
                level = below
            else:
                level[inner[-1]] = None
    return exclusions


def unmatched_rules(
    stream: str, schema: Mapping[str, t.Any], metadata: MetadataMapping
) -> list[str]:
    """Return the breadcrumbs with a selection that match no property of the schema."""
    paths = {*property_paths(schema)}
    return [
        f"{stream}.{'.'.join(to_path(breadcrumb))}"
        for breadcrumb, entry in metadata.items()
        if breadcrumb and entry.selected is not None and to_path(breadcrumb) not in paths
    ]


def unmatched_patterns(schemas: Mapping[str, Mapping[str, t.Any]]) -> list[str]:
    """Return the patterns of Meltano's `select` that match no stream or no property."""
    try:
        patterns = json.loads(os.environ.get("MELTANO_EXTRACT__SELECT") or "[]")
    except (ValueError, RecursionError):
        return []
    names = [*schemas]
    for stream, schema in schemas.items():
        names += [f"{stream}.{'.'.join(path)}" for path in (("",), *property_paths(schema))]
    return [
        pattern
        for pattern in (patterns if isinstance(patterns, list) else ())
        if isinstance(pattern, str) and not fnmatch.filter(names, pattern.removeprefix("!"))
    ]
