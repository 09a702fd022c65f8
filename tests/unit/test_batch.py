from __future__ import annotations

from typing import Any

import pytest
from singer_sdk.exceptions import ConfigValidationError

from tap_focus.streams.batch import validate_batch_config
from tap_focus.tap import TapFocus

VALID = {"encoding": {"format": "jsonl", "compression": "gzip"}, "storage": {"root": "batches"}}


@pytest.mark.parametrize(
    "changes", [{}, {"batch_size": 1}, {"storage": {"root": "file:///a", "prefix": "b"}}]
)
def test_a_complete_configuration_is_accepted(changes: dict[str, Any]) -> None:
    assert validate_batch_config({**VALID, **changes}) is None


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"storage": {"root": "nope://batches"}}, ["storage.root", "Python package"]),
        ({"storage": {"root": "gs://batches"}}, ["storage.root", "Python package"]),
        ({"encoding": {"format": "jsonl", "compression": "none"}}, ["encoding.compression"]),
        ({"storage": {}}, ["storage.root"]),
        ({"storage": {"root": None}}, ["storage.root"]),
        ({"encoding": {}}, ["encoding.format"]),
        ({"encoding": None}, ["encoding.format"]),
        ({"batch_size": 0}, ["batch_size", "1 or more"]),
        ({"batch_size": "0"}, ["batch_size", "1 or more"]),
        ({"batch_size": 1.5}, ["batch_size", "1 or more"]),
        ({"batch_size": True}, ["batch_size", "1 or more"]),
    ],
    ids=repr,
)
def test_a_batch_that_could_not_be_written_is_rejected(
    changes: dict[str, Any], facts: list[str]
) -> None:
    error = validate_batch_config({**VALID, **changes})

    assert error is not None
    for fact in facts:
        assert fact in error


def test_the_tap_names_the_setting() -> None:
    account = {"region": "uk", "api_key": "k", "username": "u", "client_id": 1}
    batch = {**VALID, "batch_size": 0}
    with pytest.raises(ConfigValidationError) as caught:
        TapFocus(config={**account, "batch_config": batch})

    (line,) = caught.value.errors
    assert line.startswith("batch_config: batch_size ")
