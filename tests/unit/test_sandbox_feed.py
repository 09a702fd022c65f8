"""The sandbox's feed: pages, cursors, growth and parameters."""

from __future__ import annotations

import typing as t

import pytest

from tap_focus.sandbox import Sandbox
from tests.helpers.sandbox_client import SandboxClient

if t.TYPE_CHECKING:
    from collections.abc import Iterator


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1_760_000_000.25

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[SandboxClient]:
    with SandboxClient(sandbox) as client:
        yield client


@pytest.mark.parametrize("page_size", [7, 100, 1000])
def test_pages_contain_every_entry_once_and_in_order(
    sandbox: Sandbox, client: SandboxClient, page_size: int
) -> None:
    entries, _ = client.get_all_pages(page_size)

    assert len(entries) == 250
    assert entries == sandbox.feed()


def test_a_page_has_100_entries_by_default(client: SandboxClient) -> None:
    page, _ = client.get_page()

    assert len(page) == 100


def test_the_page_after_the_last_one_is_empty(client: SandboxClient) -> None:
    _, cursor = client.get_all_pages()

    page, _ = client.get_page(cursorId=cursor)

    assert page == []


def test_latest_has_the_last_version_of_each_recording(sandbox: Sandbox) -> None:
    feed = sandbox.feed()

    assert sandbox.latest() == {entry["interactionId"]: entry for entry in feed}
    assert len(sandbox.latest()) < len(feed)


def test_a_cursor_continues_with_the_entries_added_since(
    sandbox: Sandbox, client: SandboxClient
) -> None:
    _, cursor = client.get_all_pages()
    sandbox.grow(3)

    entries, _ = client.get_all_pages(cursorId=cursor)

    assert entries == sandbox.feed()[-3:]


def test_a_cursor_can_be_used_again(sandbox: Sandbox, client: SandboxClient) -> None:
    _, cursor = client.get_page()

    first, _ = client.get_all_pages(cursorId=cursor)
    second, _ = client.get_all_pages(cursorId=cursor)

    assert first == second == sandbox.feed()[100:]


def test_a_changed_cursor_is_400(client: SandboxClient) -> None:
    _, cursor = client.get_page()

    for changed in (cursor.lower(), cursor[:-1], cursor.replace("+", " "), "", "ü"):
        response = client.get_cursor(cursorId=changed)

        assert response.status_code == 400
        assert "cursorId" in response.json()["message"]


def test_the_feed_grows_with_time_at_an_even_rate(clock: Clock) -> None:
    counts = []
    with (
        Sandbox(records=30, live_every=10, clock=clock) as sandbox,
        SandboxClient(sandbox) as client,
    ):
        _, cursor = client.get_all_pages()
        for _ in range(35):
            clock.now += 1
            page, cursor = client.get_page(cursorId=cursor)
            counts.append(len(page))

    assert counts == [*[0] * 9, 1, *[0] * 9, 1, *[0] * 9, 1, *[0] * 5]


def test_an_empty_page_has_a_new_cursor(clock: Clock) -> None:
    with (
        Sandbox(records=30, live_every=10, clock=clock) as sandbox,
        SandboxClient(sandbox) as client,
    ):
        _, cursor = client.get_all_pages()
        clock.now += 1

        page, next_cursor = client.get_page(cursorId=cursor)

    assert page == []
    assert next_cursor != cursor


def test_the_feed_continues_to_grow_across_a_restart_for_the_owner_of_a_cursor(
    clock: Clock,
) -> None:
    with (
        Sandbox(records=30, live_every=10, clock=clock) as sandbox,
        SandboxClient(sandbox) as client,
    ):
        clock.now += 46  # four entries, and six seconds of the fifth
        before, cursor = client.get_all_pages()
    clock.now += 4

    with (
        Sandbox(records=30, live_every=10, clock=clock) as sandbox,
        SandboxClient(sandbox) as client,
    ):
        after, _ = client.get_all_pages(cursorId=cursor)
        without_cursor = sandbox.feed()

    assert len(before) == 34
    assert len(after) == 1
    assert len(without_cursor) == 30


def test_a_cursor_gives_the_same_entries_after_a_restart(
    sandbox: Sandbox, client: SandboxClient
) -> None:
    _, cursor = client.get_page()
    expected, _ = client.get_page(cursorId=cursor)

    with (
        Sandbox(records=sandbox.records, seed=sandbox.seed, live_every=0) as restarted,
        SandboxClient(restarted) as new_client,
    ):
        page, _ = new_client.get_page(cursorId=cursor)

    assert page == expected


def test_a_feed_that_does_not_grow_has_no_entries_after_a_later_cursor(clock: Clock) -> None:
    with (
        Sandbox(records=30, live_every=10, clock=clock) as sandbox,
        SandboxClient(sandbox) as client,
    ):
        clock.now += 100
        _, cursor = client.get_all_pages()

    with (
        Sandbox(records=30, live_every=0, clock=clock) as sandbox,
        SandboxClient(sandbox) as client,
    ):
        entries, _ = client.get_all_pages(cursorId=cursor)

    assert entries == []


def test_the_feed_loses_no_entries_when_the_clock_is_set_back(clock: Clock) -> None:
    with (
        Sandbox(records=30, live_every=10, clock=clock) as sandbox,
        SandboxClient(sandbox) as client,
    ):
        clock.now += 100
        _, cursor = client.get_all_pages()
        clock.now -= 60
        set_back, _ = client.get_all_pages(cursorId=cursor)
        clock.now += 70
        caught_up, _ = client.get_all_pages(cursorId=cursor)

    assert set_back == []
    assert len(caught_up) == 1


@pytest.mark.parametrize(
    "from_date", ["2024-12-31T23:00:00Z", "2025-01-08T10:30:00Z", "2025-01-09T12:00:00.001Z"]
)
def test_from_date_skips_only_entries_that_started_earlier(
    sandbox: Sandbox, client: SandboxClient, from_date: str
) -> None:
    feed = sandbox.feed()
    skipped = next(
        position for position, entry in enumerate(feed) if entry["startDatetimeUTC"] >= from_date
    )

    entries, _ = client.get_all_pages(fromDate=from_date)

    assert entries == feed[skipped:]


def test_from_date_includes_an_entry_that_started_at_that_time(
    sandbox: Sandbox, client: SandboxClient
) -> None:
    entry = sandbox.feed()[133]

    entries, _ = client.get_all_pages(fromDate=entry["startDatetimeUTC"])

    assert entry in entries


def test_a_from_date_after_the_last_entry_gives_an_empty_page(client: SandboxClient) -> None:
    page, _ = client.get_page(fromDate="2026-01-01T00:00:00Z")

    assert page == []


@pytest.mark.parametrize(
    "params",
    [
        {"numberOfResults": "0"},
        {"numberOfResults": "-1"},
        {"numberOfResults": "ten"},
        {"numberOfResults": "1.5"},
        {"fromDate": "2025-01-08"},
        {"fromDate": "2025-01-08T10:30:00"},
        {"fromDate": "2025-01-08T10:30:00+01:00"},
    ],
)
def test_an_invalid_parameter_is_400_and_named(
    client: SandboxClient, params: dict[str, str]
) -> None:
    response = client.get_cursor(**params)

    assert response.status_code == 400
    assert next(iter(params)) in response.json()["message"]


def test_from_date_with_a_cursor_is_400(client: SandboxClient) -> None:
    _, cursor = client.get_page()

    response = client.get_cursor(cursorId=cursor, fromDate="2025-01-08T10:30:00Z")

    assert response.status_code == 400
