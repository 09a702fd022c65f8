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

# The SDK's tests stop a sync while downloads still write to the folder.
FOLDER = TemporaryDirectory(prefix="tap-focus-", ignore_cleanup_errors=True)
SANDBOX = Sandbox(records=60, seed=7, live_every=0)


@pytest.fixture(scope="module", autouse=True)
def _sandbox() -> Iterator[None]:
    """Run the sandbox. Its settings are known now, but the SDK wants them at import."""
    with SANDBOX, FOLDER:
        yield


class TapAtSandbox(TapFocus):
    """The tap with the settings that lead to the running sandbox."""

    def __init__(self, *, config: dict[str, Any] | None = None, **kwargs: Any) -> None:
        own = {**SANDBOX.settings, "media_path": str(FOLDER.name)}
        super().__init__(config={**(config or {}), **own}, **kwargs)


def everything_selected() -> dict[str, Any]:
    catalog = TapAtSandbox(config={}).catalog_dict
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = True
    return catalog


# In SDK 0.54 the tests of attributes keep the values of the first attribute for all others, and
# take a field of any type for a boolean. The test below validates each value instead.
TestTapFocus = get_tap_test_class(
    TapAtSandbox,
    config={},
    catalog=everything_selected(),
    suite_config=SuiteConfig(max_records_limit=20),
    include_stream_attribute_tests=False,
)


@pytest.mark.parametrize("name", ["recordings", "recording_media"])
def test_every_record_matches_the_schema(name: str) -> None:
    stream: Any = TapAtSandbox(config={}).streams[name]
    stream.__dict__["_can_write_raw"] = False
    records = list(stream.get_records(None))

    assert len(records) == 60
    validator = Draft202012Validator(stream.schema)
    for record in records:
        validator.validate(json.loads(serialize_json(record)))
        assert record.keys() == stream.schema["properties"].keys()
