"""Records that pass through and records that take the SDK's path make the same messages."""

from __future__ import annotations

import io
import json
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tap_focus.api.page import Plain, decode, examine
from tap_focus.streams import schemas
from tap_focus.streams.raw_records import may_pass
from tap_focus.tap import TapFocus
from tests.helpers.fake_focus import page

if TYPE_CHECKING:
    from collections.abc import Callable

ACCOUNT = {"region": "uk", "api_key": "k", "username": "u", "client_id": 1}

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
RECORDING = st.builds(
    lambda key, known, other: {**other, **known, "interactionId": key},
    st.integers(),
    st.dictionaries(st.sampled_from(sorted(schemas.TYPES.keys() - {"interactionId"})), JSON),
    st.just({}) | st.dictionaries(st.text(), JSON, max_size=2),
)


def make_stream(config: dict[str, Any] | None = None, catalog: Any = None) -> Any:
    tap = TapFocus(config={**ACCOUNT, **(config or {})}, catalog=catalog)
    return tap.streams["recordings"]


def messages(stream: Any, body: bytes) -> list[dict[str, Any]]:
    """What the stream writes for one page, by the SDK's own loop."""
    out = io.TextIOWrapper(io.BytesIO())
    answers = decode(body, 1), decode(page([], "end"), 2)
    pages = [examine(answer, Plain(schemas.TYPES)) for answer in answers]
    stream._pages = lambda: iter(pages)
    kept, sys.stdout = sys.stdout, out
    try:
        stream.sync()
        sys.stdout.flush()
    finally:
        sys.stdout = kept
    lines = out.buffer.getvalue().split(b"\n")
    assert lines.pop() == b""
    found = [json.loads(line, parse_float=Decimal) for line in lines]
    for message in found:
        if message["type"] == "RECORD":
            assert message.pop("time_extracted").endswith("Z")
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    recordings=st.lists(RECORDING, max_size=6),
    cursor=st.text(min_size=1).filter(lambda text: text.isprintable()),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
)
def test_both_paths_write_the_same_messages(
    *, recordings: list[dict[str, Any]], cursor: str, indent: int | None, ascii_only: bool
) -> None:
    page_of = {"recordings": recordings, "nextCursorId": cursor}
    body = json.dumps(page_of, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "ignore")
    fast, slow = make_stream(), make_stream()
    slow.__dict__["_may_pass"] = False
    assert fast._may_pass
    assert messages(fast, body) == messages(slow, body)


def test_most_of_a_page_passes_and_what_is_new_keeps_its_place() -> None:
    recordings: list[dict[str, Any]] = [{"interactionId": n, "type": "teams"} for n in range(9)]
    recordings[4]["new"] = 1
    stream = make_stream()
    passed: list[int] = []
    write = stream._pass

    def counted(raws: list[Any], cursor: str) -> None:
        passed.append(len(raws))
        write(raws, cursor)

    stream._pass = counted
    found = messages(stream, page(recordings, "a"))
    ids = [m["record"]["interactionId"] for m in found if m["type"] == "RECORD"]
    assert ids == list(range(9))
    assert [number for number in passed if number] == [4, 4]


def deselected() -> Any:
    catalog = TapFocus(config=ACCOUNT).catalog_dict
    for entry in catalog["streams"][1]["metadata"]:
        if entry["breadcrumb"] == ["properties", "transcriptSnippet"]:
            entry["metadata"]["selected"] = False
    return catalog


BATCH = {"encoding": {"format": "jsonl"}, "storage": {"root": "file:///nowhere"}}


@pytest.mark.parametrize(
    ("config", "catalog"),
    [
        ({"stream_maps": {"recordings": {}}}, None),
        ({"stream_maps": {"recordings": {"__alias__": "calls"}}}, None),
        ({"stream_maps": {"recordings": None}}, None),
        ({"stream_maps": {"copies": {"__source__": "recordings"}}}, None),
        ({"flattening_enabled": True, "flattening_max_depth": 1}, None),
        ({"batch_config": BATCH}, None),
        ({}, deselected),
    ],
)
def test_whatever_the_sdk_would_do_to_a_record_takes_the_sdks_path(
    config: dict[str, Any], catalog: Callable[[], Any] | None
) -> None:
    assert may_pass(make_stream())
    assert not may_pass(make_stream(config, catalog() if catalog else None))


def test_a_test_of_the_connection_takes_the_sdks_path() -> None:
    stream = make_stream()
    stream.ABORT_AT_RECORD_COUNT = 1
    assert not may_pass(stream)
