"""The SDK's own tests of a tap, against the sandbox."""

from __future__ import annotations

import json
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from singer_sdk.singerlib.json import serialize_json
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from tap_focus.sandbox import Sandbox
from tap_focus.tap import TapFocus

if TYPE_CHECKING:
    from collections.abc import Iterator

# The SDK's tests break off a sync, with downloads under way.
FOLDER = TemporaryDirectory(prefix="tap-focus-", ignore_cleanup_errors=True)
box = Sandbox(records=60, seed=7, live_every=0)


@pytest.fixture(scope="module", autouse=True)
def _focus() -> Iterator[None]:
    """Run a sandbox while the module's tests run; the SDK wants the settings before that."""
    with box, FOLDER:
        yield


class TapAtSandbox(TapFocus):
    """The tap, whose settings are known only when it is made."""

    def __init__(self, *, config: dict[str, Any] | None = None, **kwargs: Any) -> None:
        own = {**box.settings, "media_path": str(FOLDER.name)}
        super().__init__(config={**(config or {}), **own}, **kwargs)


def everything_selected() -> dict[str, Any]:
    """The catalog of a user who wants the audio too."""
    catalog = TapAtSandbox(config={}).catalog_dict
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = True
    return catalog


# Without the tests of attributes: in SDK 0.54 they keep the first attribute's values for all the
# others, and take a field of any type for a boolean. Each value is held against the schema below.
TestTapFocus = get_tap_test_class(
    TapAtSandbox,
    config={},
    catalog=everything_selected(),
    suite_config=SuiteConfig(max_records_limit=20),
    include_stream_attribute_tests=False,
)


def test_every_value_fits_the_schema() -> None:
    for stream in TapAtSandbox(config={}).streams.values():
        stream.__dict__["_may_pass"] = False
        validator = Draft202012Validator(stream.schema)
        rows = list(stream.get_records(None))
        assert len(rows) == 60
        for row in rows:
            assert isinstance(row, dict)
            validator.validate(json.loads(serialize_json(row)))
            assert row.keys() == stream.schema["properties"].keys()
