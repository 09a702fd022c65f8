"""What holds when things go wrong: the installed `tap-focus` against a Focus that misbehaves.

`case` numbers are those of tests/RELIABILITY.md.
"""

from __future__ import annotations

import gzip
import json
import ssl
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from conftest import NULL
from faulty import (
    CURSOR,
    KEY,
    NAME,
    Focus,
    answering,
    bad_gzip,
    chunked,
    compressed,
    cut,
    cut_chunked,
    drip,
    drip_headers,
    feed,
    hang_up,
    page,
    recording,
    redirect,
    reset,
    slow,
    status,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Run
    from faulty import Fault

    Tap = Callable[..., Run]

case = pytest.mark.case

WAITS_LITTLE = {"request_timeout": 1, "max_retries": 3}


def settings(focus: Focus, **more: Any) -> dict[str, Any]:
    return {**focus.settings, **WAITS_LITTLE, **more}


def ids(run: Run) -> list[int]:
    return [record["interactionId"] for record in run.records]


def bookmark(cursor: str) -> dict[str, Any]:
    return {
        "bookmarks": {
            "recordings": {"replication_key": "nextCursorId", "replication_key_value": cursor}
        }
    }


def assert_ends(run: Run, code: int, *words: str) -> None:
    """A failed run ends with one clear line, whole JSON, and no traceback."""
    assert run.code == code, run.log
    assert len(run.errors) == 1, run.log
    for word in words:
        assert word in run.errors[0]
    assert "Traceback" not in run.log
    assert run.messages is not None
    assert not run.out or run.out.endswith("\n")


# Cursor and state


@case(1, 2)
def test_the_empty_pages_cursor_is_kept_and_asked_with_next(tap: Tap) -> None:
    with Focus(feed(2, 2)) as focus:
        run = tap(config=settings(focus))
        assert (run.code, ids(run)) == (0, [1, 2, 3, 4])
        assert run.state == bookmark(f"{CURSOR}-3")
        focus.queries.clear()
        again = tap(config=settings(focus), state=run.state)
        assert (again.code, ids(again), again.state) == (0, [], run.state)
        assert focus.queries == [{"numberOfResults": "100", "cursorId": f"{CURSOR}-3"}]


@case(2)
def test_an_empty_feed_gives_a_schema_and_a_state(tap: Tap) -> None:
    with Focus(feed()) as focus:
        run = tap(config=settings(focus))
    assert (run.code, run.kinds) == (0, {"SCHEMA": 1, "STATE": 1})
    assert run.state == bookmark(f"{CURSOR}-1")


@case(3)
@pytest.mark.parametrize("circle", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_a_cursor_that_goes_round_in_a_circle_ends_after_its_recordings(
    tap: Tap, circle: list[str]
) -> None:
    pages: dict[str | None, bytes] = {None: page([recording(1)], "a")}
    for number, cursor in enumerate(circle, start=2):
        following = circle[(circle.index(cursor) + 1) % len(circle)]
        pages[cursor] = page([recording(number)], following)
    with Focus(pages) as focus:
        run = tap(config=settings(focus))
    assert_ends(run, 76, "does not advance")
    assert ids(run) == list(range(1, len(circle) + 2))
    assert run.state == bookmark(circle[0])


@case(4)
@pytest.mark.parametrize(
    "body",
    # tests/unit/test_feed.py has many more.
    [page([], None), b'{"recordings": null, "nextCursorId": "a"}', b"<html>busy</html>"],
)
def test_what_is_no_page_is_tried_again_and_never_taken_for_up_to_date(
    tap: Tap, body: bytes
) -> None:
    with Focus(feed(2, 2), cursor=[answering(body)]) as focus:
        assert ids(tap(config=settings(focus))) == [1, 2, 3, 4]
    with Focus(feed(2, 2)) as focus:
        focus.pages[f"{CURSOR}-1"] = body
        run = tap(config=settings(focus))
        assert_ends(run, 76, "page 2 of this run", "other than a page of recordings")
        assert "Up to date" not in run.log
        assert (ids(run), run.state) == ([1, 2], bookmark(f"{CURSOR}-1"))
        assert len(focus.queries) == 1 + 3


@case(5)
@pytest.mark.parametrize(
    "cursor",
    [
        "c" * 10_240,
        "a+b/c==",
        "\"'%2B% &#?;",
        " lead and trail ",
        "é李😀\u202e",
        "\\u0041\n\t\u0000",
    ],
)
def test_a_cursor_comes_back_exactly_as_it_was_given(tap: Tap, cursor: str) -> None:
    pages = {None: page([recording(1)], cursor), cursor: page([], cursor)}
    with Focus(pages) as focus:
        run = tap(config=settings(focus))
        assert (run.code, run.state) == (0, bookmark(cursor))
        assert focus.queries[1]["cursorId"] == cursor
        tap(config=settings(focus), state=run.state)
        assert focus.queries[2]["cursorId"] == cursor


@case(9)
@pytest.mark.parametrize("fault", [status(500), status(400), hang_up, answering(b"<html>")])
def test_pages_before_a_page_that_fails_for_good_are_out(tap: Tap, fault: Fault) -> None:
    pages = feed(2, 2, 2, 2, 2)
    with Focus(pages, cursor=[_well, _well], always={"cursor": fault}) as focus:
        run = tap(config=settings(focus))
    assert run.code != 0
    assert len(run.errors) == 1
    assert (ids(run), run.state) == ([1, 2, 3, 4], bookmark(f"{CURSOR}-2"))


@case(10)
@pytest.mark.parametrize("code", [400, 404, 410])
def test_a_refused_cursor_says_the_two_ways_on_and_starts_nothing_over(tap: Tap, code: int) -> None:
    with Focus(feed(2), always={"cursor": status(code)}) as focus:
        run = tap(config=settings(focus, start_date="2025-01-01"), state=bookmark("old"))
        assert_ends(run, 65, "--full-refresh", "start_date", "fresh state")
        assert focus.queries == [{"numberOfResults": "100", "cursorId": "old"}]
    assert [message["value"] for message in run.of("STATE")] == [bookmark("old")]


@case(11)
@pytest.mark.parametrize(
    "state",
    [
        {},
        NULL,
        {"bookmarks": None},
        {"bookmarks": {}},
        {"bookmarks": {"recordings": None}},
        {"bookmarks": {"recordings": {}}},
        {"bookmarks": {"recordings": {"replication_key_value": "a"}}},
        {"bookmarks": {"recordings": {"replication_key": "id", "replication_key_value": 7}}},
        {"bookmarks": {"recordings": {"replication_key": "nextCursorId"}}},
        {"bookmarks": {"recordings": {"partitions": [{"context": {"a": 1}}]}}},
        {"bookmarks": {"recordings": {"progress_markers": "x", "starting_replication_value": 1}}},
        {"bookmarks": {"recordings": {"progress_markers": {"replication_key_value": "zzz"}}}},
    ],
)
def test_a_state_without_this_taps_bookmark_is_a_fresh_start(tap: Tap, state: Any) -> None:
    with Focus(feed(2)) as focus:
        run = tap(config=settings(focus), state=state)
        assert (run.code, ids(run)) == (0, [1, 2])
        assert run.state == bookmark(f"{CURSOR}-2")
        assert focus.queries[0] == {"numberOfResults": "100"}


@case(11)
@pytest.mark.parametrize(
    "state",
    [
        5,
        [],
        "text",
        {"bookmarks": []},
        {"singer_state": bookmark("a")},
        {"type": "STATE", "value": bookmark("a")},
        {"bookmarks": {"recordings": []}},
        {"bookmarks": {"recordings": "cursor"}},
        bookmark(5),  # type: ignore[arg-type]
        bookmark(["a"]),  # type: ignore[arg-type]
    ],
)
def test_a_state_that_this_tap_never_wrote_ends_before_any_request(tap: Tap, state: Any) -> None:
    with Focus(feed(2)) as focus:
        run = tap(config=settings(focus), state=state)
        assert run.code == 2
        assert "state" in run.log
        assert "Traceback" not in run.log
        assert not focus.logins


@case(11, 14)
def test_a_leftover_of_the_sdk_beside_a_bookmark_is_left_behind(tap: Tap) -> None:
    state = bookmark(f"{CURSOR}-1")
    state["bookmarks"]["recordings"] |= {"progress_markers": {"a": 1}, "partitions": [1]}
    state["bookmarks"]["another"] = {"replication_key": "x", "replication_key_value": 9}
    with Focus(feed(2, 2)) as focus:
        run = tap(config=settings(focus), state=state)
    assert (run.code, ids(run)) == (0, [3, 4])
    assert run.state["bookmarks"].pop("another") == state["bookmarks"]["another"]
    assert run.state["bookmarks"]["recordings"].keys() == {
        "replication_key",
        "replication_key_value",
    }


@case(13)
def test_a_bookmark_wins_over_a_start_date_and_the_log_says_so_once(tap: Tap) -> None:
    with Focus(feed(2, 2)) as focus:
        config = settings(focus, start_date="2030-01-01")
        run = tap(config=config, state=bookmark(f"{CURSOR}-1"))
        assert ids(run) == [3, 4]
        assert all("fromDate" not in query for query in focus.queries)
    assert run.log.count("start_date counts for a first run only") == 1


@case(15)
def test_every_version_of_a_recording_arrives_in_the_feeds_order(tap: Tap) -> None:
    first, second, third = (recording(1, commentsCount=n) for n in range(3))
    pages = {
        None: page([first, recording(2), second], "a"),
        "a": page([third], "b"),
        "b": page([], "b"),
    }
    with Focus(pages) as focus:
        run = tap(config=settings(focus))
    versions = [record["commentsCount"] for record in run.records if record["interactionId"] == 1]
    assert versions == [0, 1, 2]


# Network and login


def waited(run: Run) -> list[float]:
    """The seconds that the log says it waits, for each wait."""
    return [
        float(line.split("Trying again in ")[1].split(" s")[0])
        for line in run.log.splitlines()
        if "Trying again in" in line
    ]


@case(16)
@pytest.mark.parametrize("code", [429, 503])
def test_a_retry_after_in_seconds_is_waited_for(tap: Tap, code: int) -> None:
    with Focus(feed(2), cursor=[status(code, Retry_After="2")]) as focus:
        began = time.monotonic()
        run = tap(config=settings(focus))
        assert time.monotonic() - began >= 2
    assert (run.code, ids(run)) == (0, [1, 2])
    (wait,) = waited(run)
    assert 2 <= wait <= 2.5


@case(16)
def test_a_retry_after_as_a_date_is_waited_for(tap: Tap) -> None:
    def fault(handler: Any, body: bytes) -> None:
        status(429, Retry_After=formatdate(time.time() + 3, usegmt=True))(handler, body)

    with Focus(feed(2), cursor=[fault]) as focus:
        run = tap(config=settings(focus))
    (wait,) = waited(run)
    assert 1.5 <= wait <= 3.5


@case(16)
@pytest.mark.parametrize(
    "value", ["-5", "soon", "", "1.5", "٣", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 99 Foo 2015"]
)
def test_a_retry_after_that_makes_no_sense_gives_the_usual_wait(tap: Tap, value: str) -> None:
    with Focus(feed(2), cursor=[status(503, Retry_After=value)]) as focus:
        run = tap(config=settings(focus))
    assert (run.code, ids(run)) == (0, [1, 2])
    (wait,) = waited(run)
    assert 0 <= wait <= 0.5


@case(17)
@pytest.mark.parametrize(
    "fault",
    [
        status(500),
        status(502),
        status(504),
        status(408),
        hang_up,
        reset,
        cut,
        cut_chunked,
        bad_gzip,
        slow(1.6),
        answering(gzip.compress(page([], "a"))[:-10], Content_Encoding="gzip"),
    ],
)
def test_what_can_pass_is_tried_again_on_the_cursor_and_on_the_login(
    tap: Tap, fault: Fault
) -> None:
    with Focus(feed(2, 2), login=[fault], cursor=[_well, fault]) as focus:
        run = tap(config=settings(focus))
    assert (run.code, ids(run)) == (0, [1, 2, 3, 4])
    assert len(waited(run)) == 2


@case(17)
@pytest.mark.parametrize("kind", ["login", "cursor"])
@pytest.mark.parametrize("fault", [status(500), hang_up, slow(1.6)])
def test_what_does_not_pass_ends_after_max_retries(tap: Tap, kind: str, fault: Fault) -> None:
    with Focus(feed(2), always={kind: fault}) as focus:
        run = tap(config=settings(focus))
        tries = len(focus.logins) if kind == "login" else len(focus.queries)
    assert tries == 3
    assert_ends(run, 75, "failed 3 times", "bookmark", "run again later")


@case(17)
@pytest.mark.parametrize("url", ["http://127.0.0.1:1/api", "https://nowhere.invalid/api"])
def test_a_server_that_cannot_be_reached_ends_after_max_retries(tap: Tap, url: str) -> None:
    config = {"api_url": url, "api_key": KEY, "username": "u", "client_id": 7, **WAITS_LITTLE}
    run = tap(config=config)
    assert_ends(run, 75, "POST /authWithAPIKey failed 3 times", url.split("/")[2])


@case(17)
@pytest.mark.parametrize(("code", "exit_code"), [(400, 78), (403, 78), (404, 78), (418, 78)])
def test_a_refusal_is_not_tried_again(tap: Tap, code: int, exit_code: int) -> None:
    with Focus(feed(2), always={"cursor": status(code)}) as focus:
        assert_ends(tap(config=settings(focus)), exit_code, f"status {code}")
        assert len(focus.queries) == 1
    with Focus(feed(2), always={"login": status(code)}) as focus:
        assert_ends(tap(config=settings(focus)), exit_code, f"status {code}")
        paths = [path for path, _ in focus.logins]
    assert paths == ["/api/authWithAPIKey", "/api/authWithApiKey"][: 2 if code == 404 else 1]


@case(17)
def test_the_newer_spelling_of_the_login_is_tried_once(tap: Tap) -> None:
    with Focus(feed(2), login=[status(404)]) as focus:
        assert tap(config=settings(focus)).code == 0
        assert [path for path, _ in focus.logins] == ["/api/authWithAPIKey", "/api/authWithApiKey"]


@case(18)
@pytest.mark.parametrize("fault", [drip, drip_headers])
def test_a_server_that_drips_meets_a_deadline(tap: Tap, fault: Fault) -> None:
    with Focus(feed(200), cursor=[fault]) as focus:
        began = time.monotonic()
        run = tap(config={**focus.settings, "request_timeout": 0.4})
        assert time.monotonic() - began < 10
    assert (run.code, len(ids(run))) == (0, 200)
    assert "no answer in time" in run.log


@case(19)
def test_a_refused_token_costs_one_login_and_the_same_request_again(tap: Tap) -> None:
    with Focus(feed(2, 2, 2), cursor=[_well, status(401)]) as focus:
        run = tap(config=settings(focus))
        assert (run.code, ids(run)) == (0, [1, 2, 3, 4, 5, 6])
        assert len(focus.logins) == 2
        asked = [query.get("cursorId") for query in focus.queries]
    assert asked == [None, f"{CURSOR}-1", f"{CURSOR}-1", f"{CURSOR}-2", f"{CURSOR}-3"]


@case(19)
def test_tokens_that_are_refused_between_other_faults_do_not_cost_a_login_each(tap: Tap) -> None:
    faults = [status(401), status(503), status(401), status(503)]
    with Focus(feed(2, 2), cursor=faults) as focus:
        assert_ends(tap(config=settings(focus, max_retries=8)), 78, "401")
        assert len(focus.logins) == 2


@case(19)
def test_a_server_that_sets_cookies_gets_none_back(tap: Tap) -> None:
    seen = []

    def fault(handler: Any, body: bytes) -> None:
        seen.append(handler.headers.get("Cookie"))
        handler.send(200, body, {"Set-Cookie": "tracker=1; Path=/"})

    with Focus(feed(2, 2), always={"cursor": fault, "login": fault}) as focus:
        assert tap(config=settings(focus)).code == 0
    assert set(seen) == {None}


@case(17)
@pytest.mark.parametrize("code", [204, 206, 101])
def test_a_status_that_is_neither_good_nor_bad_ends(tap: Tap, code: int) -> None:
    with Focus(feed(2), always={"login": lambda handler, _: handler.send(code, b"")}) as focus:
        run = tap(config=settings(focus))
    assert run.code in {75, 76}
    assert "Traceback" not in run.log


@case(19)
def test_a_token_refused_again_at_once_ends(tap: Tap) -> None:
    with Focus(feed(2, 2), always={"cursor": status(401)}) as focus:
        assert_ends(tap(config=settings(focus)), 78, "401", "Check api_key")
        assert len(focus.logins) == 2


@case(19, 21)
@pytest.mark.parametrize("code", [401, 403])
def test_refused_credentials_end_after_one_login(tap: Tap, code: int) -> None:
    with Focus(feed(2), always={"login": status(code)}) as focus:
        assert_ends(tap(config=settings(focus)), 78, f"status {code}")
        assert len(focus.logins) == 1


@case(20)
def test_a_token_is_renewed_before_it_expires_also_after_a_long_wait(tap: Tap) -> None:
    claims = {"iat": 0.0, "exp": 2.5}
    cursor = [_well, status(503, Retry_After="2"), _well]
    with Focus(feed(2, 2), cursor=cursor, claims=claims) as focus:
        run = tap(config=settings(focus))
        assert (run.code, ids(run)) == (0, [1, 2, 3, 4])
        assert len(focus.logins) == 2
    assert "401" not in run.log


@case(20)
@pytest.mark.parametrize("claims", [{}, {"exp": 1.0}, {"exp": 4e9}, {"iat": 4e9, "exp": 4e9 + 900}])
def test_no_clock_makes_the_tap_log_in_for_each_request(tap: Tap, claims: dict[str, float]) -> None:
    with Focus(feed(1, 1, 1, 1), claims=claims) as focus:
        assert ids(tap(config=settings(focus))) == [1, 2, 3, 4]
        assert len(focus.logins) == 1


@case(21)
@pytest.mark.parametrize(
    "body",
    # tests/unit/test_client.py has more.
    [b"<html>canary</html>", b'{"token": null, "refreshToken": "canary-refresh-9b02"}'],
)
def test_a_login_that_answers_no_token_is_tried_again_then_ends(tap: Tap, body: bytes) -> None:
    with Focus(feed(2), login=[answering(body), status(500)]) as focus:
        assert ids(tap(config=settings(focus))) == [1, 2]
    with Focus(feed(2), always={"login": answering(body)}) as focus:
        run = tap(config=settings(focus))
        assert len(focus.logins) == 3
    assert_ends(run, 76, "something other than a token")
    assert "canary" not in run.log


@case(22)
@pytest.mark.parametrize("kind", ["login", "cursor"])
def test_a_redirect_is_not_followed_and_its_host_is_named(tap: Tap, kind: str) -> None:
    with Focus(feed(2)) as other:
        target = f"{other.url}/client/recording/cursor?secret=1"
        with Focus(feed(2), always={kind: redirect(target)}) as focus:
            run = tap(config=settings(focus))
        assert not other.logins
        assert not other.queries
    assert_ends(run, 78, "redirected", f"127.0.0.1:{other.server_port}")
    assert "secret" not in run.log


@case(22)
def test_a_redirect_to_the_same_host_is_not_followed_either(tap: Tap) -> None:
    with Focus(feed(2), always={"login": redirect("/elsewhere")}) as focus:
        assert_ends(tap(config=settings(focus)), 78, "redirected")
        assert len(focus.logins) == 1


@case(23)
def test_a_netrc_supplies_no_credentials(tap: Tap, tmp_path: Any) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password canary-netrc\n")
    seen = []

    def fault(handler: Any, body: bytes) -> None:
        seen.append(handler.headers.get("Authorization"))
        _well(handler, body)

    environment = {"HOME": str(tmp_path), "NETRC": str(tmp_path / ".netrc")}
    with Focus(feed(2), login=[fault], cursor=[fault]) as focus:
        run = tap(config=settings(focus), environment=environment)
        assert (run.code, seen) == (0, [None, f"Bearer {focus.token}"])


@case(23)
def test_a_proxy_from_the_environment_is_used_for_https_and_never_for_loopback(tap: Tap) -> None:
    asked = []

    class Proxy(Focus):
        def finish_request(self, request: Any, _: Any) -> None:
            asked.append(request.recv(1000).split()[:2])

    with Proxy({}) as proxy, Focus(feed(2)) as focus:
        url = f"http://127.0.0.1:{proxy.server_port}"
        environment = {"HTTP_PROXY": url, "HTTPS_PROXY": url, "ALL_PROXY": url, "NO_PROXY": ""}
        assert ids(tap(config=settings(focus), environment=environment)) == [1, 2]
        assert asked == []
        config = settings(focus, api_url="https://focus.example.com/api", max_retries=1)
        assert_ends(tap(config=config, environment=environment), 75, "the connection failed")
    assert asked == [[b"CONNECT", b"focus.example.com:443"]]


@case(18, 23)
def test_a_proxy_that_drips_meets_a_deadline(tap: Tap) -> None:
    class Proxy(Focus):
        def finish_request(self, request: Any, _: Any) -> None:
            request.recv(1000)
            request.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while True:
                request.sendall(b"x")
                time.sleep(0.1)

    with Proxy({}) as proxy:
        environment = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.server_port}", "NO_PROXY": ""}
        account = {"api_key": KEY, "username": "u", "client_id": 7}
        config = {**account, "region": "uk", "request_timeout": 0.4, "max_retries": 1}
        began = time.monotonic()
        run = tap(config=config, environment=environment)
        assert time.monotonic() - began < 8
    assert_ends(run, 75, "failed 1 times")


@case(17, 23)
def test_a_tls_connection_that_breaks_is_tried_again(tap: Tap) -> None:
    class Balancer(Focus):
        def finish_request(self, request: Any, _: Any) -> None:
            request.recv(1000)

    with Balancer({}) as server:
        url = f"https://127.0.0.1:{server.server_port}/api"
        config = {"api_url": url, "api_key": KEY, "username": "u", "client_id": 7, **WAITS_LITTLE}
        assert_ends(tap(config=config), 75, "failed 3 times")


@case(23)
def test_a_certificate_of_nobodys_is_refused(tap: Tap, tmp_path: Any) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with Focus(feed(2)) as focus:
        focus.socket = context.wrap_socket(focus.socket, server_side=True)
        config = settings(focus, api_url=focus.url.replace("http:", "https:"))
        assert_ends(tap(config=config), 78, "certificate cannot be verified", "REQUESTS_CA_BUNDLE")
        trusting = {"REQUESTS_CA_BUNDLE": str(tmp_path / "ca.pem")}
        assert ids(tap(config=config, environment=trusting)) == [1, 2]
        nowhere = {"REQUESTS_CA_BUNDLE": str(tmp_path / "nowhere.pem")}
        assert_ends(tap(config=config, environment=nowhere), 78, "REQUESTS_CA_BUNDLE")


@case(23)
@pytest.mark.parametrize(
    "change",
    [
        {"api_url": "http://focus.example.com/api"},
        {"api_url": "https://me:canary@focus.example.com/api"},
        {"api_url": None, "region": "mars"},
    ],
)
def test_an_address_that_would_leak_is_refused(tap: Tap, change: dict[str, Any]) -> None:
    run = tap(config={"api_key": KEY, "username": "u", "client_id": 7, **change})
    assert run.code == 1
    assert "canary" not in run.log


# Data


@case(24)
def test_a_page_of_nothing_but_nesting_does_not_fill_the_memory(tap: Tap) -> None:
    body = b'{"recordings": [%b], "nextCursorId": "a"}' % b",".join(
        b'{"interactionId": %d, "new": [%b]}' % (n, b",".join([b"[]"] * 300_000)) for n in range(40)
    )
    with Focus({None: body, "a": page([], "a")}, cursor=[compressed]) as focus:
        limited = {"config": {**focus.settings, "request_timeout": 60}, "memory": 600 << 20}
        run = tap(**limited)
    assert (run.code, len(run.records)) == (0, 40)


@case(24)
def test_a_page_of_50_mb_works(tap: Tap) -> None:
    text = "x" * 1_000_000
    pages = {None: page([recording(n, text=text) for n in range(50)], "a"), "a": page([], "a")}
    with Focus(pages, cursor=[compressed]) as focus:
        run = tap(config={**focus.settings, "request_timeout": 60})
    assert (run.code, len(run.records)) == (0, 50)
    assert run.records[-1]["additionalFields"] == {"text": text}


@case(25)
def test_a_new_field_is_kept_and_named_once(tap: Tap) -> None:
    new = {"sentiment": {"score": 0.25}, "additionalFields": 1, "nextCursorId": "own", "a\nb": None}
    pages = {
        None: page([recording(1, **new), recording(2, **new)], "a"),
        "a": page([recording(3, sentiment=None), recording(4)], "b"),
        "b": page([], "b"),
    }
    with Focus(pages) as focus:
        run = tap(config=settings(focus))
    assert [record["additionalFields"] for record in run.records] == [
        new,
        new,
        {"sentiment": None},
        None,
    ]
    assert [record["nextCursorId"] for record in run.records] == ["a", "a", "b", "b"]
    assert run.log.count("sentiment") == 1
    assert "'a\\nb'" in run.log


@case(25)
def test_a_flood_of_new_fields_does_not_flood_the_log(tap: Tap) -> None:
    fields = {f"field {n}": n for n in range(5000)}
    pages = {None: page([recording(1, **fields)], "a"), "a": page([], "a")}
    with Focus(pages) as focus:
        run = tap(config=settings(focus))
    assert run.records[0]["additionalFields"] == fields
    assert len(run.log.splitlines()) < 120


@case(25)
@pytest.mark.parametrize("key", [None, "7", 7.5, True])
def test_a_recording_without_an_id_ends_naming_its_place(tap: Tap, key: Any) -> None:
    pages = feed(2, 2)
    pages[f"{CURSOR}-1"] = page([recording(3), recording(key)], "x")
    with Focus(pages) as focus:
        run = tap(config=settings(focus))
        assert len(focus.queries) == 2
    assert_ends(run, 76, "Recording 2 of page 2")
    assert (ids(run), run.state) == ([1, 2], bookmark(f"{CURSOR}-1"))


@case(26)
def test_values_arrive_unchanged_one_line_a_record(tap: Tap) -> None:
    odd = (
        '{"interactionId": 9007199254740993, "durationInSeconds": 0.1234567890123456789,\n'
        ' "commentsCount": 123456789012345678901234567890, "type": "\\"\\\\\\/\\b\\f\\n\\r\\t"'
        ', "thirdPartyId": "\\u0000", "transcriptSnippet": "\\ud83d\\ude00 \\u2028 \\u00e9 \u00e9",'
        ' "retentionGroupId": -0.0,'
        '\n "legalHolds": [1e2, 1E400, 2.50], "optional": {"deep": [[{}, null, true]]}}'
    )
    body = f'{{\n  "recordings": [\n    {odd}\n  ],\n  "nextCursorId": "a"\n}}'
    with Focus({None: body.encode(), "a": page([], "a")}, cursor=[chunked]) as focus:
        run = tap(config=settings(focus))
    lines = [line for line in run.lines if '"RECORD"' in line]
    assert len(lines) == 1
    for digits in ("9007199254740993", "0.1234567890123456789", "123456789012345678901234567890"):
        assert digits in lines[0]
    sent = json.loads(odd, parse_float=str)
    got = json.loads(lines[0], parse_float=str)["record"]
    assert got.pop("legalHolds") == ["1E+2", "1E+400", "2.50"]
    sent.pop("legalHolds")
    assert {name: got[name] for name in sent} == sent


@case(26)
def test_half_a_surrogate_pair_arrives(tap: Tap) -> None:
    body = b'{"recordings": [{"interactionId": 1, "type": "x\\ud83dy"}], "nextCursorId": "a"}'
    with Focus({None: body, "a": page([], "a")}) as focus:
        run = tap(config=settings(focus))
    assert run.records[0]["type"] == "x\ud83dy"


@case(28)
def test_a_header_that_is_none_does_not_bring_the_url_into_the_log(tap: Tap, tmp_path: Any) -> None:
    def fault(handler: Any, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nno header %b\r\n\r\n"
        handler.wfile.write(head % (len(body), KEY.encode()) + body)

    path = tmp_path / "logging.yml"
    path.write_text(
        "{version: 1, handlers: {err: {class: logging.StreamHandler}},"
        " loggers: {urllib3.connectionpool: {level: DEBUG}}, root: {handlers: [err], level: DEBUG}}"
    )
    with Focus(feed(2, 2), always={"cursor": fault}) as focus:
        for environment in ({}, {"SINGER_SDK_LOG_CONFIG": str(path)}):
            run = tap(config=settings(focus), environment=environment)
            assert ids(run) == [1, 2, 3, 4]
            assert all(canary not in run.log for canary in focus.canaries)
            assert "Traceback" not in run.log


@case(28)
def test_no_log_holds_a_secret_or_what_was_said(tap: Tap) -> None:
    """Every fault in one run each, at DEBUG: counts, times, statuses and ids are all there is."""
    passing: list[Fault] = [
        status(500),
        status(503, Retry_After="0"),
        hang_up,
        reset,
        cut,
        cut_chunked,
        bad_gzip,
        answering(NAME.encode()),
        answering(json.dumps({"error": NAME, "recordings": NAME}).encode()),
        answering(page([NAME], CURSOR)),  # type: ignore[list-item]
        status(401),
        status(401, WWW_Authenticate=KEY),
    ]
    ending: list[Fault] = [
        status(400),
        status(403),
        status(404),
        status(500),
        redirect(f"https://{KEY}@evil.example/{CURSOR}"),
        answering(page([recording("x" + NAME)], CURSOR)),  # type: ignore[arg-type]
    ]
    pages = feed(*[1] * len(passing))
    pages[None] = page([recording(1, **{"odd field": NAME})], f"{CURSOR}-1")
    cursor = [fault for one in passing for fault in (one, _well)]
    with Focus(pages, login=[status(500), cut], cursor=cursor) as focus:
        environment = {"TAP_FOCUS_LOGLEVEL": "DEBUG"}
        runs = [tap(config=settings(focus), environment=environment)]
        assert runs[0].code == 0
        assert not focus.faults["cursor"]
        for fault in ending:
            focus.always = {"cursor": fault}
            config = {**focus.settings, "max_retries": 2}
            state = bookmark(f"{CURSOR}-1")
            runs.append(tap(config=config, state=state, environment=environment))
            assert runs[-1].code > 0
        maps = {"recordings": {"type": "int(transcriptSnippet)"}}
        focus.always = {}
        runs.append(tap(config={**focus.settings, "stream_maps": maps}, environment=environment))
        assert runs[-1].code == 1
        assert "an expression for recordings failed on a record with ValueError" in runs[-1].log
        for run in runs:
            assert run.log
            for canary in focus.canaries:
                assert canary not in run.log
            for secret in (KEY, *focus.tokens):
                assert secret not in run.out
        for arguments in (("--about",), ("--about", "--format=json"), ("--discover",)):
            assert KEY not in tap(*arguments, config=focus.settings).out


def _well(handler: Any, body: bytes) -> None:
    handler.send(200, body)
