"""The sandbox's login and cursor, through real sockets as any client meets them."""

from __future__ import annotations

import time
import typing as t

import jwt
import pytest
import requests

from tap_focus.sandbox import Sandbox
from tap_focus.sandbox.cursor import Cursor, CursorCodec
from tests.helpers.sandbox_client import CURSOR, Caller


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_760_000_000.25

    def __call__(self) -> float:
        return self.now


def test_a_cursor_that_is_damaged_or_foreign_is_refused(caller: Caller) -> None:
    _, cursor = caller.page()
    changed = ("A" if cursor[9] != "A" else "B").join((cursor[:9], cursor[10:]))
    foreign = CursorCodec(99).encode(Cursor(1, 1, 1))
    unpadded, twisted = cursor.rstrip("="), cursor.replace("+", " ")
    for text in (changed, foreign, unpadded, twisted, cursor.lower(), "", "ü", "AAAA", "1"):
        response = caller.get(cursorId=text)
        assert response.status_code == 400
        assert response.json() == {"message": "The cursorId is not valid"}


def test_the_walk_brings_every_event_once_in_order_and_ends_with_an_empty_page(
    box: Sandbox, caller: Caller
) -> None:
    events, cursor = caller.walk()
    assert events == box.feed()
    assert len(events) == 600
    assert {event["interactionId"]: event for event in events} == box.latest()
    assert len(box.latest()) < 600
    assert caller.page(cursorId=cursor)[0] == []
    assert caller.walk(numberOfResults=7)[0] == events
    assert len(caller.page()[0]) == 100


def test_new_events_appear_behind_a_cursor_and_an_old_cursor_stays_good() -> None:
    with Sandbox(records=150, live_every=0) as box, Caller(box) as caller:
        events, end = caller.walk()
        box.grow(3)
        new, _ = caller.walk(cursorId=end)
        assert events + new == box.feed()
        assert len(new) == 3
        assert caller.walk(cursorId=end)[0] == new


def test_time_brings_one_event_after_another_and_polling_loses_no_remainder() -> None:
    clock = Clock()
    with Sandbox(records=30, live_every=10, clock=clock) as box, Caller(box) as caller:
        _, cursor = caller.walk()
        counts = []
        for _ in range(35):
            clock.now += 1
            page, following = caller.page(cursorId=cursor)
            assert following != cursor
            cursor = following
            counts.append(len(page))
        assert counts == [0] * 9 + [1] + [0] * 9 + [1] + [0] * 9 + [1] + [0] * 5
        assert len(box.feed()) == 33


def test_time_goes_on_over_a_restart_for_the_holder_of_a_cursor() -> None:
    clock = Clock()
    with Sandbox(records=30, live_every=10, clock=clock) as box, Caller(box) as caller:
        _, middle = caller.page(numberOfResults=10)
        box.grow(5)
        clock.now += 46  # four more, and six seconds of the fifth
        seen, end = caller.walk()
        assert len(seen) == 39
    clock.now += 4
    with Sandbox(records=30, live_every=10, clock=clock) as box, Caller(box) as caller:
        assert len(box.feed()) == 30
        assert len(caller.walk(cursorId=end)[0]) == 1
        # Its holder was not told of the five that appeared at once.
        assert len(caller.walk(cursorId=middle)[0]) == 25
        assert seen[10:30] == caller.walk(cursorId=middle)[0][:20]
    with Sandbox(records=30, live_every=0, clock=clock) as box, Caller(box) as caller:
        assert caller.walk(cursorId=end)[0] == []
        assert len(caller.walk(cursorId=middle)[0]) == 20


def test_a_clock_that_is_set_back_takes_nothing_away() -> None:
    clock = Clock()
    with Sandbox(records=30, live_every=10, clock=clock) as box, Caller(box) as caller:
        clock.now += 100
        _, cursor = caller.walk()
        clock.now -= 60
        assert caller.walk(cursorId=cursor)[0] == []
        clock.now += 70
        assert len(caller.walk(cursorId=cursor)[0]) == 1


def test_from_date_loses_nothing_that_started_at_that_time_or_later(
    box: Sandbox, caller: Caller
) -> None:
    feed = box.feed()
    for moment in ("2025-01-08T10:30:00Z", feed[333]["startDatetimeUTC"], "2024-12-31T23:00:00Z"):
        events, _ = caller.walk(fromDate=moment)
        first = next(
            position for position, event in enumerate(feed) if event["startDatetimeUTC"] >= moment
        )
        assert events == feed[first:]
    assert caller.walk(fromDate="2026-01-01T00:00:00Z")[0] == []


def test_wrong_parameters_are_refused(caller: Caller) -> None:
    _, cursor = caller.page()
    date = "2025-01-08T10:30:00Z"
    for params in (
        {"numberOfResults": "0"},
        {"numberOfResults": "-1"},
        {"numberOfResults": "ten"},
        {"numberOfResults": "1.5"},
        {"fromDate": "2025-01-08"},
        {"fromDate": "2025-01-08T10:30:00"},
        {"fromDate": "2025-01-08T10:30:00+01:00"},
        {"fromDate": date, "cursorId": cursor},
    ):
        response = caller.get(**params)
        assert response.status_code == 400
        assert set(response.json()) == {"message"}


def test_both_spellings_of_the_login_give_a_token_that_tells_its_expiry(caller: Caller) -> None:
    for path in ("/authWithAPIKey", "/authWithApiKey"):
        answer = caller.post(path, caller.login).json()
        claims = jwt.decode(answer["token"], options={"verify_signature": False})
        assert claims["exp"] - time.time() == pytest.approx(3600, abs=5)
        assert answer["refreshToken"]


def test_a_login_that_is_wrong_is_401_and_one_that_is_malformed_400(caller: Caller) -> None:
    for wrong in ({"apiKey": "x"}, {"username": "x"}, {"clientId": 1}):
        response = caller.post("/authWithAPIKey", {**caller.login, **wrong})
        assert response.status_code == 401
        assert caller.login["apiKey"] not in response.text
    text_for_a_number = {**caller.login, "clientId": "9999"}
    malformed: t.Any
    for malformed in (text_for_a_number, {"apiKey": "x"}, [], "x"):
        assert caller.post("/authWithAPIKey", malformed).status_code == 400
    assert caller.send("/authWithAPIKey", data=b"{").status_code == 400


def test_without_a_good_token_nothing_is_served() -> None:
    clock = Clock()
    with (
        Sandbox(records=5, live_every=0, token_ttl=60, clock=clock) as box,
        Sandbox(records=5, seed=2, clock=clock) as other,
        Caller(box) as caller,
    ):
        token = caller.post("/authWithAPIKey", caller.login).json()["token"]
        with Caller(other) as stranger:
            foreign = stranger.post("/authWithAPIKey", stranger.login).json()["token"]
        for header in ({}, {"Authorization": token}, {"Authorization": "Bearer x.y.z"},
                       {"Authorization": f"Bearer {foreign}"}):  # fmt: skip
            url = box.url + CURSOR
            assert requests.get(url, headers=header, timeout=10).status_code == 401
        assert caller.get().status_code == 200
        clock.now += 61
        assert caller.get().status_code == 401
        assert caller.play("x").status_code == 401
