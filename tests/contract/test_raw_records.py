"""Records that are written raw are the same as those that the SDK writes."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tap_focus.api.page import decode_page
from tap_focus.streams import schemas
from tap_focus.streams.raw_records import can_write_raw
from tap_focus.tap import TapFocus
from tests.helpers.fake_focus import ACCOUNT, page

if TYPE_CHECKING:
    from collections.abc import Callable

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = sorted(
    schemas.RECORDINGS["properties"].keys() - {"interactionId", "additionalFields", "nextCursorId"}
)
RECORDING = st.builds(
    lambda key, known, other: {**other, **known, "interactionId": key},
    st.integers(-(2**63), 2**63 - 1),
    st.dictionaries(st.sampled_from(FIELDS), JSON),
    st.just({}) | st.dictionaries(st.text(), JSON, max_size=2),
)


def catalog_without_snippets() -> Any:
    catalog = TapFocus(config={**ACCOUNT, "region": "uk"}).catalog_dict
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if entry["breadcrumb"] == ["properties", "transcriptSnippet"]:
                entry["metadata"]["selected"] = False
    return catalog


def make_stream(config: dict[str, Any] | None = None, catalog: Any = None) -> Any:
    tap = TapFocus(config={**ACCOUNT, "region": "uk", **(config or {})}, catalog=catalog)
    return tap.streams["recordings"]


def written_messages(stream: Any, body: bytes) -> list[dict[str, Any]]:
    """Return the messages that the stream writes for one page, without the time."""
    pages = [decode_page(body, 1), decode_page(page([], "end"), 2)]
    stream._pages = lambda: iter(pages)
    output = io.BytesIO()
    with redirect_stdout(io.TextIOWrapper(output)) as out:
        stream.sync()
        out.flush()
    lines = output.getvalue().split(b"\n")
    assert lines.pop() == b""
    messages = [json.loads(line, parse_float=Decimal) for line in lines]
    for message in messages:
        if message["type"] == "RECORD":
            assert message.pop("time_extracted").endswith("Z")
    return messages


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    recordings=st.lists(RECORDING, max_size=6),
    cursor=st.text(min_size=1).filter(lambda text: text.isprintable()),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
    catalog=st.sampled_from([None, catalog_without_snippets()]),
)
def test_raw_records_and_those_of_the_sdk_are_the_same(
    *,
    recordings: list[dict[str, Any]],
    cursor: str,
    indent: int | None,
    ascii_only: bool,
    catalog: Any,
) -> None:
    content = {"recordings": recordings, "nextCursorId": cursor}
    body = json.dumps(content, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "ignore")
    raw, sdk = make_stream(catalog=catalog), make_stream(catalog=catalog)
    assert raw._can_write_raw
    sdk.__dict__["_can_write_raw"] = False

    assert written_messages(raw, body) == written_messages(sdk, body)


@pytest.mark.parametrize("catalog", [lambda: None, catalog_without_snippets])
def test_records_are_written_raw_with_or_without_a_selection(catalog: Callable[[], Any]) -> None:
    assert can_write_raw(make_stream(catalog=catalog()))


BATCH = {"encoding": {"format": "jsonl"}, "storage": {"root": "file:///nowhere"}}


@pytest.mark.parametrize(
    "config",
    [
        {"stream_maps": {"recordings": {}}},
        {"stream_maps": {"recordings": {"__alias__": "calls"}}},
        {"stream_maps": {"recordings": None}},
        {"stream_maps": {"copies": {"__source__": "recordings"}}},
        {"flattening_enabled": True, "flattening_max_depth": 1},
        {"batch_config": BATCH},
    ],
)
def test_records_that_the_sdk_processes_are_not_written_raw(config: dict[str, Any]) -> None:
    assert not can_write_raw(make_stream(config))


def test_the_records_of_a_connection_test_are_not_written_raw() -> None:
    stream = make_stream()
    stream.ABORT_AT_RECORD_COUNT = 1

    assert not can_write_raw(stream)
