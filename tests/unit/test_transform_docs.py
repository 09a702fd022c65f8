"""The list of personal data in docs/privacy.md against the models and the streams."""

from __future__ import annotations

import re

from ruamel.yaml import YAML

from tap_focus.streams.columns import RECORDINGS
from tests.helpers.dbt import PROJECT
from tests.helpers.runner import ROOT


def documented() -> list[tuple[set[str], set[str], str]]:
    """Return the loaded columns, the columns of the models and the rule of each line."""
    text = (ROOT / "docs" / "privacy.md").read_text("utf-8")
    table = text.partition("<!-- personal columns -->")[2].partition("<!-- end -->")[0]
    lines = [line.split("|")[1:-1] for line in table.strip().splitlines()[2:]]
    return [
        (set(re.findall("`(.+?)`", a)), set(re.findall("`(.+?)`", b)), rule.strip(" `"))
        for a, _, b, rule in lines
    ]


def columns_by_rule() -> dict[str, set[str]]:
    """Return the columns of the models that have a rule in `meta`."""
    result: dict[str, set[str]] = {}
    for path in (PROJECT / "models").rglob("*.yml"):
        for model in YAML(typ="safe").load(path).get("models", []):
            for column in model.get("columns", []):
                for rule in column.get("config", {}).get("meta", {}).get("personal_data", []):
                    result.setdefault(rule, set()).add(column["name"])
    return result


def test_the_list_contains_every_personal_column_of_the_models() -> None:
    assert {rule: columns for _, columns, rule in documented()} == columns_by_rule()


def test_every_rule_of_the_list_exists_and_no_other() -> None:
    macro = (PROJECT / "macros" / "personal.sql").read_text("utf-8")
    body = macro.partition("macro personal_columns()")[2].partition("endmacro")[0]

    assert {"default", *(rule for _, _, rule in documented())} == set(re.findall("'(.+?)'", body))


def test_the_list_names_the_columns_of_the_stream() -> None:
    loaded = {name.partition("[]")[0] for names, _, _ in documented() for name in names}

    assert loaded <= RECORDINGS["properties"].keys()
    assert {
        name
        for name, schema in RECORDINGS["properties"].items()
        if "Personal data" in schema["description"]
    } <= loaded
