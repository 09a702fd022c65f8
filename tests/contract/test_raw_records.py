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
from tap_focus.streams import columns
from tap_focus.streams.raw_records import can_write_raw
from tap_focus.streams.record_parser import RecordParser
from tap_focus.tap import TapFocus
from tests.helpers.fake_focus import ACCOUNT, page, recording

if TYPE_CHECKING:
    from tap_focus.sandbox import Sandbox

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
    columns.RECORDINGS["properties"].keys() - {"interactionId", "additionalFields", "nextCursorId"}
)
RECORDING = st.builds(
    lambda key, known, other: {**other, **known, "interactionId": key},
    st.integers(-(2**63), 2**63 - 1),
    st.dictionaries(st.sampled_from(FIELDS), JSON),
    st.just({}) | st.dictionaries(st.text(), JSON, max_size=2),
)


def catalog_without(*path: str) -> Any:
    """Return the catalog with a deselected property, of a column or within one."""
    catalog = TapFocus(config={**ACCOUNT, "region": "uk"}).catalog_dict
    breadcrumb = [crumb for name in path for crumb in ("properties", name)]
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if entry["breadcrumb"] == breadcrumb:
                entry["metadata"]["selected"] = False
    return catalog


CATALOGS = [
    None,
    catalog_without("transcriptSnippet"),
    catalog_without("additionalFields"),
    catalog_without("endpoints", "person", "fullName"),
]


def make_stream(config: dict[str, Any] | None = None, catalog: Any = None) -> Any:
    tap = TapFocus(config={**ACCOUNT, "region": "uk", **(config or {})}, catalog=catalog)
    return tap.streams["recordings"]


def written_messages(stream: Any, *bodies: bytes) -> list[dict[str, Any]]:
    """Return the messages that the stream writes for pages, without the time."""
    # One after the other: the fields of a page change what the next one is compared with.
    stream._pages = lambda: (
        decode_page(body, number, stream.record_model)
        for number, body in enumerate([*bodies, page([], "end")], start=1)
    )
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
    catalog=st.sampled_from(CATALOGS),
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

    # The second time, the raw path knows the fields that have no column.
    assert written_messages(raw, body, body) == written_messages(sdk, body, body)


@pytest.mark.parametrize("catalog", CATALOGS)
@pytest.mark.parametrize("new", [{}, {"new": {"a": [1, None]}}])
def test_the_usual_recordings_are_written_without_decoding_them(
    monkeypatch: pytest.MonkeyPatch, new: dict[str, Any], catalog: Any
) -> None:
    stream = make_stream(catalog=catalog)
    usual = page([recording(number, **new) for number in range(3)], "a")
    expected = written_messages(stream, usual)
    # From now on the stream knows the fields, and must not need the parser of single recordings.
    monkeypatch.setattr(RecordParser, "parse", None)

    assert written_messages(stream, usual) == expected


@pytest.mark.parametrize("catalog", CATALOGS)
def test_records_are_written_raw_with_or_without_a_selection(catalog: Any) -> None:
    assert can_write_raw(make_stream(catalog=catalog))


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


def test_pages_of_the_sandbox_take_the_fastest_path(sandbox: Sandbox) -> None:
    """Its fields are those of the schema, in the schema's order, as a serializer sends them."""
    properties = columns.RECORDINGS["properties"]
    parser = RecordParser(columns.RECORDINGS, selected=list(properties))
    body = json.dumps({"recordings": sandbox.feed(), "nextCursorId": "a"}).encode()

    assert parser.keeps_text(decode_page(body, 1, parser.model))
