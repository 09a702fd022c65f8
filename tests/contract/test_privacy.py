"""Every column in the list of docs/privacy.md can be left out or hashed before the warehouse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from tap_focus.streams.columns import RECORDINGS
from tests.helpers.privacy import documented, personal_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_focus.sandbox import Sandbox
    from tests.helpers.runner import Run, TapRunner

LISTED = set().union(*(names for names, _, _ in documented()))


def found(run: Run, sandbox: Sandbox) -> set[str]:
    """Return the personal values of the sandbox that occur in the output of a run."""
    assert run.exit_code == 0, run.log
    text = "".join(json.dumps(record, ensure_ascii=False) for record in run.records)
    values = personal_values([*sandbox.latest().values()])
    return {value for value in values if json.dumps(value, ensure_ascii=False)[1:-1] in text}


def deselect(catalog: dict[str, Any], is_deselected: Callable[[str], bool]) -> dict[str, Any]:
    """Deselect properties of `recordings` by their names in the documentation."""
    (stream,) = (s for s in catalog["streams"] if s["tap_stream_id"] == "recordings")
    for entry in stream["metadata"]:
        path = [name for name in entry["breadcrumb"] if name not in {"properties", "items"}]
        if path and is_deselected(".".join(path).replace("endpoints.", "endpoints[].")):
            entry["metadata"]["selected"] = False
    return catalog


def test_without_the_listed_columns_no_personal_value_is_written(
    tap: TapRunner, sandbox: Sandbox, catalog: dict[str, Any]
) -> None:
    everything = tap(config=sandbox.settings)
    rest = tap(config=sandbox.settings, catalog=deselect(catalog, LISTED.__contains__))

    assert len(found(everything, sandbox)) > 100
    assert found(rest, sandbox) == set()
    assert rest.ids == everything.ids


def test_a_stream_map_can_hash_listed_texts_and_remove_all_other_listed_columns(
    tap: TapRunner, sandbox: Sandbox
) -> None:
    columns = {name.partition("[]")[0] for name in LISTED}
    texts = {name for name in columns if "string" in RECORDINGS["properties"][name]["type"]}
    hashed = {name: f"sha256(config['salt'] + str({name})) if {name} else None" for name in texts}
    masked = {"transcriptSnippet": "transcriptSnippet[:1] + '***' if transcriptSnippet else None"}
    removed = dict.fromkeys(columns - texts, "__NULL__")
    maps = {"recordings": {**hashed, **masked, **removed}}
    config = {**sandbox.settings, "stream_maps": maps, "stream_map_config": {"salt": "salt"}}
    run = tap(config=config)

    assert found(run, sandbox) == set()
    assert {"thirdPartyId", "isPrivateReason", "legalHolds"} < texts
    snippets = {record["transcriptSnippet"] for record in run.records} - {None}
    assert {snippet[1:] for snippet in snippets} == {"***"}
    (schema,) = (message["schema"] for message in run.of_type("SCHEMA"))
    for record in run.records:
        Draft202012Validator(schema).validate(record)
