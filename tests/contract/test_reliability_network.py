"""What holds when things go wrong on the network and at the login, by the installed `tap-focus`.

`case` numbers are those of tests/RELIABILITY.md.
"""

from __future__ import annotations

import gzip
import ssl
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from tests.helpers.assertions import WAITS_LITTLE, assert_ends, bookmark, ids, settings
from tests.helpers.fake_focus import (
    CURSOR,
    KEY,
    Focus,
    answering,
    bad_gzip,
    cut,
    cut_chunked,
    drip,
    drip_and_close,
    drip_headers,
    drip_without_length,
    feed,
    hang_up,
    page,
    redirect,
    reset,
    sized_below_zero,
    slow,
    status,
    well,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Run
    from tests.helpers.fake_focus import Fault

    Tap = Callable[..., Run]

case = pytest.mark.case


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
        sized_below_zero,
        slow(1.6),
        answering(gzip.compress(page([], "a"))[:-10], Content_Encoding="gzip"),
    ],
)
def test_what_can_pass_is_tried_again_on_the_cursor_and_on_the_login(
    tap: Tap, fault: Fault
) -> None:
    with Focus(feed(2, 2), login=[fault], cursor=[well, fault]) as focus:
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


@case(10, 19)
@pytest.mark.parametrize("code", [400, 404, 410])
def test_a_refused_login_is_not_taken_for_a_refused_cursor(tap: Tap, code: int) -> None:
    with Focus(feed(2), always={"login": status(code)}) as focus:
        run = tap(config=settings(focus), state=bookmark(CURSOR))
        assert not focus.queries
    assert_ends(run, 78, f"was refused with status {code}", "POST /auth")


@case(9, 19)
@pytest.mark.parametrize("code", [400, 404])
def test_a_login_that_is_refused_in_mid_feed_says_so(tap: Tap, code: int) -> None:
    with Focus(feed(2, 2), cursor=[well, status(401)], login=[well]) as focus:
        focus.always["login"] = status(code)
        run = tap(config=settings(focus))
    assert_ends(run, 78, f"was refused with status {code}", "POST /auth")
    assert ids(run) == [1, 2]


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
@pytest.mark.parametrize("fault", [drip, drip_headers, drip_and_close, drip_without_length])
def test_a_server_that_drips_meets_a_deadline(tap: Tap, fault: Fault) -> None:
    with Focus(feed(200), cursor=[fault]) as focus:
        began = time.monotonic()
        run = tap(config={**focus.settings, "request_timeout": 0.4})
        assert time.monotonic() - began < 10
    assert (run.code, len(ids(run))) == (0, 200)
    assert "no answer in time" in run.log


@case(19)
def test_a_refused_token_costs_one_login_and_the_same_request_again(tap: Tap) -> None:
    with Focus(feed(2, 2, 2), cursor=[well, status(401)]) as focus:
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
    cursor = [well, status(503, Retry_After="2"), well]
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
        well(handler, body)

    environment = {"HOME": str(tmp_path), "NETRC": str(tmp_path / ".netrc")}
    with Focus(feed(2), login=[fault], cursor=[fault]) as focus:
        run = tap(config=settings(focus), environment=environment)
        assert (run.code, seen) == (0, [None, f"Bearer {focus.token}"])


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
