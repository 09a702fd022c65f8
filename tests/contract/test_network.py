"""Retries, deadlines, redirects and TLS."""

from __future__ import annotations

import ssl
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from tests.helpers import SLOWNESS, guarantee, timing
from tests.helpers.assertions import assert_fails
from tests.helpers.fake_focus import (
    ACCOUNT,
    FakeFocus,
    close,
    drip,
    drip_headers,
    drip_without_keep_alive,
    drip_without_length,
    feed,
    invalid_gzip,
    negative_chunk_size,
    ok,
    page_cursor,
    redirect,
    reset,
    respond,
    slow,
    status,
    truncated,
    truncated_chunked,
    truncated_gzip,
)
from tests.helpers.runner import max_retries, settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.fake_focus import Fault, Handler
    from tests.helpers.runner import TapRunner

LOGIN = "/api/authWithAPIKey"
LOGIN_PATHS = [LOGIN, "/api/authWithApiKey"]


@timing
@guarantee("honor-retry-after")
@pytest.mark.parametrize("code", [429, 503])
def test_a_retry_after_in_seconds_is_honored(tap: TapRunner, code: int) -> None:
    with FakeFocus(feed(2), cursor=[status(code, Retry_After="2")]) as focus:
        run = tap(config=settings(focus))

    assert (run.exit_code, run.ids) == (0, [1, 2])
    assert 2 <= focus.waits("cursor")[0] < 2.5 + 3 * SLOWNESS


@timing
@guarantee("honor-retry-after")
def test_a_retry_after_as_a_date_is_honored(tap: TapRunner) -> None:
    def in_three_seconds(handler: Handler, body: bytes) -> None:
        date = formatdate(time.time() + 3, usegmt=True)  # whole seconds
        status(429, Retry_After=date)(handler, body)

    with FakeFocus(feed(2), cursor=[in_three_seconds]) as focus:
        run = tap(config=settings(focus))

    assert run.exit_code == 0
    assert 1.5 <= focus.waits("cursor")[0] < 3.5 + 3 * SLOWNESS


@timing
@guarantee("honor-retry-after")
@pytest.mark.parametrize(
    "value", ["-5", "soon", "", "1.5", "٣", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 99 Foo 2015"]
)
def test_an_invalid_or_past_retry_after_does_not_change_the_wait(
    tap: TapRunner, value: str
) -> None:
    with FakeFocus(feed(2), cursor=[status(503, Retry_After=value)]) as focus:
        run = tap(config=settings(focus))

    assert (run.exit_code, run.ids) == (0, [1, 2])
    assert focus.waits("cursor")[0] < 0.5 + 3 * SLOWNESS


TRANSIENT_STATUSES = [408, 425, 429, 500, 502, 503, 504, 599]


@guarantee("retry-transient-errors")
def test_transient_statuses_of_a_page_are_retried(tap: TapRunner) -> None:
    steps = [step for code in TRANSIENT_STATUSES for step in (status(code), ok)]
    with FakeFocus(feed(*[1] * len(TRANSIENT_STATUSES)), cursor=steps) as focus:
        run = tap(config=settings(focus))

    assert (run.exit_code, len(run.ids)) == (0, len(TRANSIENT_STATUSES))
    assert [code for code in focus.statuses if code != 200] == TRANSIENT_STATUSES


@guarantee("retry-transient-errors")
def test_transient_statuses_of_a_login_are_retried(tap: TapRunner) -> None:
    faults = [status(code, Retry_After="0") for code in TRANSIENT_STATUSES]
    with FakeFocus(feed(2), login=faults) as focus:
        run = tap(config=settings(focus, requests=len(faults) + 1))

    assert (run.exit_code, run.ids) == (0, [1, 2])
    assert [login.status for login in focus.logins] == [*TRANSIENT_STATUSES, 200]


@guarantee("retry-transient-errors")
@pytest.mark.parametrize(
    "fault",
    [
        close,
        reset,
        truncated,
        truncated_chunked,
        invalid_gzip,
        negative_chunk_size,
        truncated_gzip,
    ],
)
def test_a_broken_response_is_requested_again(tap: TapRunner, fault: Fault) -> None:
    with FakeFocus(feed(2, 2), login=[fault], cursor=[ok, fault]) as focus:
        run = tap(config=settings(focus))

    assert (run.exit_code, run.ids) == (0, [1, 2, 3, 4])
    assert len(focus.logins) == 2
    assert focus.cursors == [None, page_cursor(1), page_cursor(1), page_cursor(2)]


@timing
@guarantee("retry-transient-errors")
def test_a_response_that_is_late_is_requested_again(tap: TapRunner) -> None:
    with FakeFocus(feed(2, 2), login=[slow(1.6)], cursor=[ok, slow(1.6)]) as focus:
        run = tap(config=settings(focus, requests=8, request_timeout=1))

    assert (run.exit_code, run.ids) == (0, [1, 2, 3, 4])
    assert len(focus.logins) >= 2
    assert focus.cursors.count(page_cursor(1)) >= 2


@guarantee("retry-transient-errors")
@pytest.mark.parametrize("kind", ["login", "cursor"])
@pytest.mark.parametrize("fault", [status(500), close])
def test_an_error_that_lasts_ends_the_run_after_max_retries(
    tap: TapRunner, kind: str, fault: Fault
) -> None:
    with FakeFocus(feed(2), always={kind: fault}) as focus:
        run = tap(config=settings(focus, requests=3))

    assert_fails(run, 75, "127.0.0.1")
    assert len(focus.of_kind(kind)) == 3


@timing
@guarantee("retry-transient-errors")
@pytest.mark.parametrize("kind", ["login", "cursor"])
def test_a_server_that_never_responds_in_time_ends_the_run_after_max_retries(
    tap: TapRunner, kind: str
) -> None:
    with FakeFocus(feed(2), always={kind: slow(2)}) as focus:
        run = tap(config=settings(focus, requests=2, request_timeout=1))

    assert_fails(run, 75, "127.0.0.1")
    assert len(focus.of_kind(kind)) == 2


@guarantee("retry-transient-errors")
@pytest.mark.parametrize("url", ["http://127.0.0.1:1/api", "https://nowhere.invalid/api"])
def test_a_server_that_cannot_be_reached_ends_the_run(tap: TapRunner, url: str) -> None:
    config = {**ACCOUNT, "api_url": url, "max_retries": max_retries(requests=2)}
    run = tap(config=config)

    assert_fails(run, 75, url.split("/")[2])


@guarantee("retry-transient-errors")
@pytest.mark.parametrize("code", [400, 403, 404, 418])
def test_a_rejected_page_is_not_requested_again(tap: TapRunner, code: int) -> None:
    with FakeFocus(feed(2), always={"cursor": status(code)}) as focus:
        run = tap(config=settings(focus))

    assert_fails(run, 78, f"{code}")
    assert focus.cursors == [None]


@guarantee("retry-transient-errors")
@pytest.mark.parametrize("code", [400, 403, 418])
def test_a_rejected_login_is_not_retried(tap: TapRunner, code: int) -> None:
    with FakeFocus(feed(2), always={"login": status(code)}) as focus:
        run = tap(config=settings(focus))

    assert_fails(run, 78, f"{code}")
    assert [login.path for login in focus.logins] == [LOGIN]


@guarantee("retry-transient-errors")
def test_the_other_spelling_of_the_login_is_tried_after_a_404(tap: TapRunner) -> None:
    with FakeFocus(feed(2), login=[status(404)]) as focus:
        run = tap(config=settings(focus))

    assert (run.exit_code, run.ids) == (0, [1, 2])
    assert [login.path for login in focus.logins] == LOGIN_PATHS


@guarantee("retry-transient-errors")
def test_a_404_for_both_spellings_of_the_login_ends_the_run(tap: TapRunner) -> None:
    with FakeFocus(feed(2), always={"login": status(404)}) as focus:
        run = tap(config=settings(focus))

    assert_fails(run, 78, "404")
    assert [login.path for login in focus.logins] == LOGIN_PATHS


@guarantee("retry-transient-errors")
@pytest.mark.parametrize("code", [101, 204, 206])
def test_an_unexpected_status_ends_the_run(tap: TapRunner, code: int) -> None:
    with FakeFocus(feed(2), always={"login": respond(b"", status=code)}) as focus:
        run = tap(config=settings(focus))

    assert run.exit_code in {75, 76}
    assert_fails(run, run.exit_code)


@timing
@guarantee("enforce-deadlines")
@pytest.mark.parametrize(
    "fault", [drip, drip_headers, drip_without_keep_alive, drip_without_length]
)
def test_a_response_that_drips_meets_a_deadline(tap: TapRunner, fault: Fault) -> None:
    with FakeFocus(feed(200), cursor=[fault]) as focus:
        run = tap(config={**focus.settings, "request_timeout": 0.4})

    assert (run.exit_code, len(run.ids)) == (0, 200)
    assert focus.cursors.count(None) >= 2
    assert focus.waits("cursor")[0] < 10 * SLOWNESS


@guarantee("refuse-redirects")
@pytest.mark.parametrize("kind", ["login", "cursor"])
def test_a_redirect_is_not_followed_and_its_host_is_named(tap: TapRunner, kind: str) -> None:
    with FakeFocus(feed(2)) as other:
        target = f"{other.url}/client/recording/cursor?secret=1"
        with FakeFocus(feed(2), always={kind: redirect(target)}) as focus:
            run = tap(config=settings(focus))

    assert_fails(run, 78, f"127.0.0.1:{other.server_port}")
    assert "secret=1" not in run.log
    assert other.requests == []


@guarantee("refuse-redirects")
def test_a_redirect_to_the_same_host_is_not_followed(tap: TapRunner) -> None:
    with FakeFocus(feed(2), always={"login": redirect("/elsewhere")}) as focus:
        run = tap(config=settings(focus))

    assert_fails(run, 78, "redirect")
    assert [login.path for login in focus.logins] == [LOGIN]


@guarantee("restrict-connections")
def test_cookies_are_not_sent_back(tap: TapRunner) -> None:
    def set_cookie(handler: Handler, body: bytes) -> None:
        handler.send(200, body, {"Set-Cookie": "tracker=1; Path=/"})

    with FakeFocus(feed(2, 2), always={"cursor": set_cookie, "login": set_cookie}) as focus:
        run = tap(config=settings(focus))

    assert run.exit_code == 0
    assert not any("Cookie" in request.headers for request in focus.requests)


@guarantee("restrict-connections")
def test_a_netrc_file_supplies_no_credentials(tap: TapRunner, tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password canary-netrc\n")
    with FakeFocus(feed(2)) as focus:
        run = tap(config=settings(focus), environment={"HOME": str(tmp_path), "NETRC": str(netrc)})

    assert run.exit_code == 0
    assert "Authorization" not in focus.logins[0].headers
    for request in focus.of_kind("cursor"):
        assert request.headers["Authorization"] == f"Bearer {focus.token}"


@guarantee("retry-transient-errors", "restrict-connections")
def test_a_tls_connection_that_breaks_is_retried(tap: TapRunner) -> None:
    connections = []

    class Balancer(FakeFocus):
        def finish_request(self, request: Any, _: Any) -> None:
            connections.append(request.recv(1000))

    with Balancer({}) as focus:
        url = f"https://127.0.0.1:{focus.server_port}/api"
        run = tap(config=settings(focus, requests=3, api_url=url))

    assert_fails(run, 75, "127.0.0.1")
    assert len(connections) == 3


@pytest.fixture
def tls_focus(tmp_path: Path) -> FakeFocus:
    """A server with TLS. Its certificate authority is in the file ca.pem."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    focus = FakeFocus(feed(2))
    focus.socket = context.wrap_socket(focus.socket, server_side=True)
    return focus


@guarantee("restrict-connections")
def test_an_untrusted_certificate_ends_the_run(tap: TapRunner, tls_focus: FakeFocus) -> None:
    with tls_focus as focus:
        url = focus.url.replace("http:", "https:")
        run = tap(config=settings(focus, api_url=url))

    assert_fails(run, 78, "certificate", "REQUESTS_CA_BUNDLE")
    assert focus.requests == []


@guarantee("restrict-connections")
def test_a_ca_bundle_comes_from_the_environment(
    tap: TapRunner, tls_focus: FakeFocus, tmp_path: Path
) -> None:
    with tls_focus as focus:
        url = focus.url.replace("http:", "https:")
        bundle = {"REQUESTS_CA_BUNDLE": str(tmp_path / "ca.pem")}
        run = tap(config=settings(focus, api_url=url), environment=bundle)

    assert (run.exit_code, run.ids) == (0, [1, 2])


@guarantee("restrict-connections")
def test_a_ca_bundle_that_cannot_be_read_ends_the_run(tap: TapRunner, tls_focus: FakeFocus) -> None:
    with tls_focus as focus:
        url = focus.url.replace("http:", "https:")
        bundle = {"REQUESTS_CA_BUNDLE": "nowhere.pem"}
        run = tap(config=settings(focus, api_url=url), environment=bundle)

    assert_fails(run, 78, "REQUESTS_CA_BUNDLE")


@guarantee("restrict-connections")
@pytest.mark.parametrize(
    "change",
    [
        {"api_url": "http://focus.example.com/api"},
        {"api_url": "https://me:canary@focus.example.com/api"},
        {"region": "mars"},
    ],
)
def test_an_address_that_would_leak_credentials_is_rejected(
    tap: TapRunner, change: dict[str, Any]
) -> None:
    run = tap(config={**ACCOUNT, **change})

    (name,) = change
    assert_fails(run, 1, name)
    assert "canary" not in run.log
