"""The sandbox, through real sockets as any client meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from collections import Counter

import jwt
import pytest
import requests
from aiohttp import web

from tap_focus.sandbox import Sandbox
from tap_focus.sandbox.audio import mp3
from tap_focus.sandbox.cli import focus_sandbox, tap_focus_sandbox
from tap_focus.sandbox.company import Company, has_audio
from tap_focus.sandbox.cursor import Cursor, CursorSeal

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp.typedefs import Handler
    from typing_extensions import Self

CURSOR = "/client/recording/cursor"
PLAY = "/client/recording.playBackByThirdPartyId"
FIELDS = [
    "interactionId",
    "startDatetimeUTC",
    "endDatetimeUTC",
    "durationInSeconds",
    "type",
    "commentsCount",
    "transcriptSnippet",
    "thirdPartyId",
    "endpoints",
    "analysis",
    "retentionGroupId",
    "retainUntil",
    "legalHolds",
    "tags",
    "isPrivate",
    "isPrivateReason",
    "mediaAccessStatus",
    "dataGroups",
    "optional",
]


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_760_000_000.25

    def __call__(self) -> float:
        return self.now


class Caller:
    """A client that logs in once and keeps its connection."""

    def __init__(self, box: Sandbox) -> None:
        self._url = box.url
        self._session = requests.Session()
        self._session.trust_env = False
        self.login = {
            "apiKey": box.settings["api_key"],
            "username": box.settings["username"],
            "clientId": box.settings["client_id"],
        }

    def __enter__(self) -> Self:
        token = self.post("/authWithAPIKey", self.login).json()["token"]
        self._session.headers["Authorization"] = f"Bearer {token}"
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def get(self, path: str = CURSOR, **params: t.Any) -> requests.Response:
        return self._session.get(self._url + path, params=params, timeout=10)

    def post(self, path: str, body: t.Any) -> requests.Response:
        return self._session.post(self._url + path, json=body, timeout=10)

    def send(self, path: str, **kwargs: t.Any) -> requests.Response:
        return self._session.post(self._url + path, timeout=10, **kwargs)

    def play(self, third_party_id: str) -> requests.Response:
        return self.post(PLAY, {"thirdPartyId": third_party_id})

    def page(self, **params: t.Any) -> tuple[list[dict[str, t.Any]], str]:
        response = self.get(**params)
        assert response.status_code == 200, response.text
        page = response.json()
        return page["recordings"], page["nextCursorId"]

    def walk(self, **params: t.Any) -> tuple[list[dict[str, t.Any]], str]:
        events, cursor = self.page(**params)
        size = {name: params[name] for name in params if name == "numberOfResults"}
        page = events
        while page:
            page, cursor = self.page(cursorId=cursor, **size)
            events += page
        return events, cursor


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(records=600, live_every=0) as box:
        yield box


@pytest.fixture
def caller(box: Sandbox) -> Iterator[Caller]:
    with Caller(box) as caller:
        yield caller


# The company


def test_a_seed_means_the_same_recordings_in_any_process() -> None:
    program = (
        "import json; from tap_focus.sandbox.company import Company;"
        "print(json.dumps([Company(7).event(i) for i in (0, 77, 4567, 1_000_000)]))"
    )
    printed = subprocess.check_output(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": "5"}
    )
    company = Company(7)
    assert json.loads(printed) == [company.event(i) for i in (0, 77, 4567, 1_000_000)]
    assert company.event(77) != Company(8).event(77)


def test_recordings_have_all_fields_of_the_sample_and_vary_as_life_does() -> None:
    company = Company(1)
    events = [company.event(position) for position in range(2000)]
    assert all(list(event) == FIELDS for event in events)
    for field in ("transcriptSnippet", "analysis", "retainUntil", "legalHolds", "dataGroups"):
        kinds = {type(event[field]) for event in events}
        assert type(None) in kinds
        assert len(kinds) == 2
    assert {event["type"] for event in events} == {
        "teams",
        "phone",
        "mobile",
        "sms",
        "whatsapp",
        "slack",
        "email",
    }
    durations = [event["durationInSeconds"] for event in events]
    assert {type(duration) for duration in durations} == {float, int, type(None)}
    assert {event["mediaAccessStatus"] for event in events} == {"Permitted", "NotPermitted"}
    assert all(event["isPrivate"] == (event["isPrivateReason"] is not None) for event in events)
    shapes = Counter(
        (str(type(endpoint.get(key, "absent"))), key)
        for event in events
        for endpoint in event["endpoints"]
        for key in ("person", "user")
    )
    assert len(shapes) == 6  # an object, null or absent, for either
    assert all(
        [endpoint["isOriginator"] for endpoint in event["endpoints"]].count(True) == 1
        for event in events
    )
    dates = [event["startDatetimeUTC"] for event in events]
    assert dates[0].startswith("2025-01-06")
    assert max(dates).startswith(("2025-02-28", "2025-03-01", "2025-03-02"))
    assert dates != sorted(dates)


def test_an_update_tells_an_earlier_recording_anew_and_no_version_is_like_another() -> None:
    company = Company(3)
    versions: dict[int, list[dict[str, t.Any]]] = {}
    for position in range(5000):
        event = company.event(position)
        versions.setdefault(event["interactionId"], []).append(event)
        if len(versions[event["interactionId"]]) > 1:
            assert position >= 20
    updated = [told for told in versions.values() if len(told) > 1]
    assert 150 < len(updated) < 350
    assert max(map(len, updated)) > 2
    for told in updated:
        assert len({json.dumps(event) for event in told}) == len(told)
        assert len({event["startDatetimeUTC"] + event["thirdPartyId"] for event in told}) == 1
    assert len({told[0]["thirdPartyId"] for told in versions.values()}) == len(versions)


def test_a_recording_is_found_by_its_third_party_id_alone() -> None:
    company = Company(1)
    for position in (0, 5, 333, 99_999):
        event = company.event(company.origin(position))
        assert company.find(event["thirdPartyId"]) == event
        assert company.find(event["thirdPartyId"].replace("-a", "-b", 1)) is None
    assert company.find("|") is None
    assert company.find("1|2|1700000000999") is None
    assert Company(2).find(company.event(0)["thirdPartyId"]) is None


# Cursors


def test_cursors_are_opaque_do_not_sort_and_need_encoding() -> None:
    seal = CursorSeal(1)
    texts = [seal.seal(Cursor(position, 10**15, 10**15)) for position in range(200)]
    assert len({text[:3] for text in texts}) > 150
    assert texts != sorted(texts)
    assert all("+" in text and text.endswith("=") for text in texts)
    assert [seal.open(text).position for text in texts] == list(range(200))


def test_a_cursor_that_is_damaged_or_foreign_is_refused(caller: Caller) -> None:
    _, cursor = caller.page()
    changed = ("A" if cursor[9] != "A" else "B").join((cursor[:9], cursor[10:]))
    foreign = CursorSeal(99).seal(Cursor(1, 1, 1))
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


# Logging in


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


# Audio


def test_audio_is_played_refused_or_not_there_as_the_recording_says(
    box: Sandbox, caller: Caller
) -> None:
    statuses: Counter[int] = Counter()
    for event in list(box.latest().values())[:150]:
        response = caller.play(event["thirdPartyId"])
        permitted = event["mediaAccessStatus"] == "Permitted"
        expected = (200 if permitted else 403) if has_audio(event) else 404
        assert response.status_code == expected
        statuses[expected] += 1
        if expected == 200:
            assert response.headers["Content-Type"] == "audio/mpeg"
            assert int(response.headers["Content-Length"]) == len(response.content)
            assert str(event["interactionId"]).encode() in response.content[:60]
            seconds = min(30, event["durationInSeconds"])
            assert _seconds(response.content) == pytest.approx(seconds, abs=0.04)
    assert all(statuses[status] for status in (200, 403, 404))
    assert caller.play("unknown").status_code == 404
    assert caller.post(PLAY, {"id": 1}).status_code == 400


def test_the_audio_of_a_recording_is_always_the_same_and_of_no_other(
    box: Sandbox, caller: Caller
) -> None:
    played = [
        event["thirdPartyId"]
        for event in box.latest().values()
        if has_audio(event) and event["mediaAccessStatus"] == "Permitted"
    ][:20]
    first = [caller.play(name).content for name in played]
    assert first == [caller.play(name).content for name in played]
    assert len(set(first)) == 20


def test_a_title_of_any_length_and_script_leaves_the_frames_in_place() -> None:
    for title in ("", "x" * 117, "李娜" * 5000):
        assert _seconds(mp3(title, 1.0)) == pytest.approx(1.0, abs=0.04)
    assert _seconds(mp3("short", 0.001)) == 0.036


def _seconds(file: bytes) -> float:
    """Go through an MP3 file frame by frame; return how long it plays."""
    assert file[:5] == b"ID3\4\0"
    size = 0
    for byte in file[6:10]:
        assert byte < 0x80
        size = size << 7 | byte
    frames = file[10 + size :]
    assert frames
    assert len(frames) % 36 == 0
    for place in range(0, len(frames), 36):
        header = int.from_bytes(frames[place : place + 4], "big")
        assert header >> 21 == 0x7FF  # sync
        assert header >> 17 & 0b1111 == 0b1001  # MPEG-2, Layer III
        assert header >> 12 & 0b1111 == 1  # 8 kbit/s
        assert header >> 10 & 0b11 == 2  # 16 kHz
        assert header >> 9 & 1 == 0  # no padding: 72 * 8000 / 16000 = 36 bytes
    return len(frames) / 36 * 576 / 16000


# The server


def test_answers_are_compressed_for_those_who_accept_it_and_connections_kept(
    box: Sandbox, caller: Caller
) -> None:
    response = caller.get()
    assert response.headers["Content-Encoding"] == "gzip"
    assert "close" not in response.headers.get("Connection", "")
    token = response.request.headers["Authorization"]
    headers = {"Authorization": token, "Accept-Encoding": "identity"}
    plain = requests.get(box.url + CURSOR, headers=headers, timeout=10)
    assert "Content-Encoding" not in plain.headers
    assert plain.json()["recordings"] == response.json()["recordings"]


def test_an_unknown_path_is_404_in_json(caller: Caller) -> None:
    response = caller.get("/nowhere")
    assert response.status_code == 404
    assert response.json()["message"]


def test_requests_are_remembered_in_order_with_their_answers() -> None:
    with Sandbox(records=5, live_every=0) as box, Caller(box) as caller:
        caller.page(numberOfResults=2)
        caller.get(cursorId="+/=")
        caller.play("x")
        seen = [(seen.method, seen.path, seen.params, seen.status) for seen in box.requests]
    assert seen == [
        ("POST", "/api/authWithAPIKey", {}, 200),
        ("GET", "/api/client/recording/cursor", {"numberOfResults": "2"}, 200),
        ("GET", "/api/client/recording/cursor", {"cursorId": "+/="}, 400),
        ("POST", "/api/client/recording.playBackByThirdPartyId", {}, 404),
    ]


def test_a_middleware_can_answer_in_the_place_of_the_api() -> None:
    @web.middleware
    async def teapot(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.endswith("cursor"):
            raise web.HTTPTooManyRequests(headers={"Retry-After": "2"})
        return await handler(request)

    with Sandbox(records=5, middlewares=[teapot]) as box, Caller(box) as caller:
        assert caller.get().headers["Retry-After"] == "2"
        assert box.requests[-1].status == 429


def test_failures_come_in_all_their_kinds_and_repeat_with_the_seed() -> None:
    def outcomes(seed: int) -> list[str]:
        kinds = []
        with Sandbox(records=200, seed=seed, live_every=0, fail=0.5) as box:
            body = {**Caller(box).login}
            for _ in range(120):
                with requests.Session() as session:
                    try:
                        answer = session.post(f"{box.url}/authWithAPIKey", json=body, timeout=10)
                    except requests.ConnectionError as error:
                        kinds.append(type(error).__name__)
                    except requests.exceptions.ChunkedEncodingError:
                        kinds.append("cut")
                    else:
                        wait = answer.headers.get("Retry-After", "")
                        kinds.append(f"{answer.status_code} {wait}")
            dropped = [seen for seen in box.requests if seen.status is None]
        assert len(dropped) == kinds.count("ConnectionError")
        return kinds

    kinds = outcomes(1)
    counts = Counter(kinds)
    assert set(counts) == {"200 ", "500 ", "503 0", "503 1", "ConnectionError", "cut"}
    assert 45 <= counts["200 "] <= 75
    assert outcomes(1) == kinds
    assert outcomes(2) != kinds


def test_a_page_and_audio_can_be_cut_short_too() -> None:
    with Sandbox(records=50, live_every=0) as box, Caller(box) as caller:
        headers = {"Authorization": caller.get().request.headers["Authorization"]}
    with Sandbox(records=50, live_every=0, fail=1) as box:
        name = next(
            event["thirdPartyId"]
            for event in box.feed()
            if has_audio(event) and event["mediaAccessStatus"] == "Permitted"
        )
        for call in (("GET", CURSOR, None), ("POST", PLAY, {"thirdPartyId": name})):
            assert any(_is_cut(box.url, headers, *call) for _ in range(40))


def _is_cut(url: str, headers: t.Any, method: str, path: str, body: t.Any) -> bool:
    try:
        requests.request(method, url + path, headers=headers, json=body, timeout=10)
    except requests.exceptions.ChunkedEncodingError:
        return True
    except requests.ConnectionError:
        return False
    return False


def test_latency_delays_each_answer_and_stopping_does_not_wait_for_it() -> None:
    with Sandbox(records=5, latency=0.1) as box:
        began = time.perf_counter()
        with Caller(box):
            assert time.perf_counter() - began >= 0.1
    with Sandbox(records=5, latency=60) as box:
        with pytest.raises(requests.Timeout):
            requests.get(box.url, timeout=0.05)
        began = time.perf_counter()
    assert time.perf_counter() - began < 0.5


def test_a_port_that_is_taken_is_an_error_where_the_sandbox_is_made(box: Sandbox) -> None:
    with pytest.raises(OSError, match="in use"), Sandbox(port=box.port):
        pytest.fail("it started")


# The commands


def _command(name: str) -> list[str]:
    return [sys.executable, "-c", f"from tap_focus.sandbox.cli import {name} as run; run()"]


def test_focus_sandbox_prints_what_the_tap_needs_and_ends_quietly() -> None:
    environment = {**os.environ, "FOCUS_SANDBOX_RECORDS": "12"}
    with subprocess.Popen(
        [*_command("focus_sandbox"), "--port", "0", "--live-every", "0", "--verbose"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        lines = [process.stdout.readline().split("=", 1) for _ in range(4)]
        exports = {name: value.strip() for name, value in lines}
        url = exports["export TAP_FOCUS_API_URL"]
        body = {
            "apiKey": exports["export TAP_FOCUS_API_KEY"],
            "username": exports["export TAP_FOCUS_USERNAME"],
            "clientId": int(exports["export TAP_FOCUS_CLIENT_ID"]),
        }
        token = requests.post(f"{url}/authWithAPIKey", json=body, timeout=10).json()["token"]
        headers = {"Authorization": f"Bearer {token}"}
        page = requests.get(url + CURSOR, headers=headers, timeout=10).json()
        assert len(page["recordings"]) == 12
        process.send_signal(signal.SIGTERM)
        out, err = process.stdout.read(), process.stderr.read()
    assert "tap-focus --config ENV" in out
    assert process.returncode == 0
    assert [line.rsplit(" ", 2)[0] for line in err.splitlines()] == [
        "200 POST /api/authWithAPIKey",
        "200 GET /api/client/recording/cursor",
    ]


def test_a_taken_port_is_one_line_of_the_command(
    box: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(SystemExit) as stopped:
            focus_sandbox.main(["--port", str(box.port)])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert capsys.readouterr().out == ""
    expected = f"The sandbox cannot listen on port {box.port}: Address already in use"
    assert str(stopped.value) == expected


@pytest.mark.parametrize("command", ["focus_sandbox", "tap_focus_sandbox"])
@pytest.mark.parametrize("package", ["aiohttp", "jwt"])
def test_without_the_extra_the_commands_say_what_to_install(command: str, package: str) -> None:
    program = (
        f"import sys; sys.modules[{package!r}] = None;"
        f"from tap_focus.sandbox.cli import {command} as run; run()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr == ("The sandbox needs more packages: pip install 'tap-focus[sandbox]'\n")


def test_a_wrong_option_in_the_environment_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOCUS_SANDBOX_FAIL", "2")
    with pytest.raises(SystemExit, match=r"^FOCUS_SANDBOX_FAIL: 2.* not in the range"):
        tap_focus_sandbox()


def test_tap_focus_sandbox_runs_the_tap_whatever_its_settings_say(tmp_path: t.Any) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"region": "uk", "api_key": "x", "page_size": 7}))
    environment = {
        **os.environ,
        "FOCUS_SANDBOX_RECORDS": "25",
        "FOCUS_SANDBOX_LIVE_EVERY": "0",
        "TAP_FOCUS_API_URL": "http://127.0.0.1:9/api",
        "TAP_FOCUS_PAGE_SIZE": "7",
    }
    for source in (str(config), "ENV"):
        ended = subprocess.run(
            [*_command("tap_focus_sandbox"), "--config", source],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        messages = [json.loads(line) for line in ended.stdout.splitlines()]
        records = [message["record"] for message in messages if message["type"] == "RECORD"]
        company = Company(1)
        assert [record["interactionId"] for record in records] == [
            company.event(position)["interactionId"] for position in range(25)
        ]
