"""The client of the API, where it is hard to reach from the command line."""

from __future__ import annotations

import codecs
import json
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import requests
import requests_mock
from hypothesis import given
from hypothesis import strategies as st

from tap_focus.api import response
from tap_focus.api.audio import MIN_BYTES_PER_SECOND, AudioResponse
from tap_focus.api.client import (
    ALWAYS_ACCEPTED_RECORDINGS,
    Client,
    Credentials,
)
from tap_focus.api.retry import RetryableError
from tap_focus.errors import (
    APIError,
    CertificateError,
    CursorRejectedError,
    HTTPStatusError,
    InvalidAudioError,
    InvalidResponseError,
    LoginFailedError,
    PageSizeIgnoredError,
    ProtocolMismatchError,
    ProxyError,
    RedirectError,
    ResponseTooLargeError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_focus.api.page import Page

URL = "https://focus.example.com/api"
LOGIN = f"{URL}/authWithAPIKey"
CURSOR = f"{URL}/client/recording/cursor"
AUDIO = f"{URL}/client/recording.playBackByThirdPartyId"
SECRET = "canary-key"
EMPTY_PAGE = {"recordings": [], "nextCursorId": "next"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr("time.sleep", lambda _: None)
    return make_client()


def make_client(max_retries: int = 2) -> Client:
    return Client(
        URL,
        Credentials(api_key=SECRET, username="u", client_id=7),
        request_timeout=5,
        max_retries=max_retries,
        user_agent="test",
    )


def get_page(client: Client, **options: Any) -> Page:
    return client.get_page(**{"page_size": 100, **options})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>canary-key</html>",
        b"{}",
        b"[]",
        b'{"token": 5}',
        b'{"token": ""}',
        b'{"token": "canary\\nheader"}',
        b'{"token": "canary\\n"}',
        b'{"token": "can\xc3\xa9ry"}',
        b'{"token": "a b"}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_a_login_without_a_token_is_retried_and_then_ends(client: Client, body: bytes) -> None:
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, content=body)
        with pytest.raises(LoginFailedError) as caught:
            get_page(client)

    assert isinstance(caught.value.cause, InvalidResponseError)
    assert focus.call_count == 3
    assert "canary" not in str(caught.value)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_every_response_to_the_login_is_a_token_or_an_api_error(body: bytes) -> None:
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, content=body)
        focus.get(CURSOR, json=EMPTY_PAGE)
        with suppress(APIError):
            assert get_page(make_client(max_retries=0)).cursor == "next"


def test_the_login_sends_the_credentials_and_the_number_as_a_number(client: Client) -> None:
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, json={"token": "t"})
        focus.get(CURSOR, json=EMPTY_PAGE)
        get_page(client)
        login, cursor = focus.request_history

    assert login.json() == {"apiKey": SECRET, "username": "u", "clientId": 7}
    assert login.headers["Content-Type"] == "application/json"
    assert "Authorization" not in login.headers
    assert cursor.headers["Authorization"] == "Bearer t"
    assert cursor.headers["User-Agent"] == "test"


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({"page_size": 5}, {"numberofresults": ["5"]}),
        (
            {"from_date": "2025-01-01T00:00:00Z"},
            {"numberofresults": ["100"], "fromdate": ["2025-01-01t00:00:00z"]},
        ),
        (
            {"cursor": "c+/=", "from_date": "2025-01-01T00:00:00Z"},
            {"numberofresults": ["100"], "cursorid": ["c+/="]},
        ),
    ],
)
def test_a_page_is_requested_by_cursor_or_by_date(
    client: Client, options: dict[str, Any], query: dict[str, list[str]]
) -> None:
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, json={"token": "t"})
        focus.get(CURSOR, json=EMPTY_PAGE)
        get_page(client, **options)

    assert focus.request_history[-1].qs == query


def test_a_page_with_far_more_recordings_than_requested_is_rejected(client: Client) -> None:
    recordings = [{"interactionId": number} for number in range(ALWAYS_ACCEPTED_RECORDINGS + 1)]
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, json={"token": "t"})
        focus.get(CURSOR, json={**EMPTY_PAGE, "recordings": recordings})
        with pytest.raises(PageSizeIgnoredError):
            get_page(client)
        focus.get(CURSOR, json={**EMPTY_PAGE, "recordings": recordings[1:]})

        assert get_page(client).size == ALWAYS_ACCEPTED_RECORDINGS


def test_a_page_may_have_twice_the_recordings_that_were_requested(client: Client) -> None:
    recordings = [{"interactionId": number} for number in range(2 * ALWAYS_ACCEPTED_RECORDINGS)]
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, json={"token": "t"})
        focus.get(CURSOR, json={**EMPTY_PAGE, "recordings": recordings})

        page = get_page(client, page_size=ALWAYS_ACCEPTED_RECORDINGS)

        assert page.size == 2 * ALWAYS_ACCEPTED_RECORDINGS
        with pytest.raises(PageSizeIgnoredError):
            get_page(client, page_size=ALWAYS_ACCEPTED_RECORDINGS - 1)


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_rejected_request_with_a_cursor_is_a_rejected_cursor(client: Client, status: int) -> None:
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, json={"token": "t"})
        focus.get(CURSOR, status_code=status)
        with pytest.raises(CursorRejectedError) as caught:
            get_page(client, cursor="canary")
        with pytest.raises(HTTPStatusError):
            get_page(client, from_date="2025-01-01T00:00:00Z")

    assert caught.value.status == status
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("status", [401, 403, 418])
def test_other_statuses_do_not_blame_the_cursor(client: Client, status: int) -> None:
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, json={"token": "t"})
        focus.get(CURSOR, status_code=status)
        with pytest.raises(HTTPStatusError) as caught:
            get_page(client, cursor="c")

    assert caught.value.status == status


def test_a_failed_login_does_not_blame_the_cursor(client: Client) -> None:
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, status_code=400)
        with pytest.raises(LoginFailedError):
            get_page(client, cursor="c")


@pytest.mark.parametrize("body", [b"<html></html>", b'{"recordings": []}', b""])
def test_an_invalid_page_is_requested_again(client: Client, body: bytes) -> None:
    page = {"json": EMPTY_PAGE}
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, json={"token": "t"})
        focus.get(CURSOR, [{"content": body}, {"content": body}, page])

        assert get_page(client).cursor == "next"


def test_a_certificate_that_cannot_be_verified_is_not_retried(client: Client) -> None:
    error = requests.exceptions.SSLError(f"secret {SECRET}")
    error.__cause__ = ssl.SSLCertVerificationError()
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, exc=error)
        with pytest.raises(LoginFailedError) as caught:
            get_page(client)

    assert isinstance(caught.value.cause, CertificateError)
    assert focus.call_count == 1
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (requests.exceptions.ProxyError("Tunnel connection failed: 407 secret"), ProxyError),
        (requests.exceptions.ProxyError("Tunnel connection failed: 403 secret"), ProxyError),
        (requests.exceptions.ProxyError("[SSL: WRONG_VERSION_NUMBER]"), ProxyError),
        (requests.exceptions.SSLError("[SSL: WRONG_VERSION_NUMBER]"), ProtocolMismatchError),
        (requests.ConnectionError(r"BadStatusLine('\x15\x03\x03')"), ProtocolMismatchError),
        (requests.exceptions.InvalidSchema("Missing dependencies for SOCKS"), ProxyError),
    ],
    ids=str,
)
def test_a_permanent_failure_of_the_connection_is_not_retried(
    client: Client, error: Exception, kind: type[Exception]
) -> None:
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, exc=error)
        with pytest.raises(LoginFailedError) as caught:
            get_page(client)

    assert isinstance(caught.value.cause, kind)
    assert focus.call_count == 1
    assert "secret" not in str(caught.value)


def test_a_proxy_is_named_without_its_credentials(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{SECRET}@proxy.example.com:3128/x")
    client = make_client()
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, exc=requests.exceptions.ProxyError("Tunnel connection failed: 407"))
        with pytest.raises(LoginFailedError) as caught:
            get_page(client)

    assert "http://proxy.example.com:3128" in str(caught.value)
    assert "407" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        requests.exceptions.ProxyError(SECRET),
        requests.exceptions.ProxyError("Tunnel connection failed: 503"),
        requests.exceptions.SSLError(SECRET),
        requests.ConnectTimeout(SECRET),
        requests.ReadTimeout(SECRET),
        requests.ConnectionError(SECRET),
        requests.exceptions.ContentDecodingError(SECRET),
    ],
    ids=repr,
)
def test_a_transient_failure_is_retried_and_described_without_the_librarys_text(
    client: Client, error: Exception
) -> None:
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, exc=error)
        with pytest.raises(LoginFailedError) as caught:
            get_page(client)

    assert isinstance(caught.value.cause, UnavailableError)
    assert focus.call_count == 3
    assert SECRET not in str(caught.value)


def test_a_response_larger_than_the_limit_is_rejected(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response, "MAX_BODY_BYTES", 1 << 20)
    body = json.dumps(EMPTY_PAGE).encode().ljust(1 << 20)
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, json={"token": "t"})
        focus.get(CURSOR, content=body + b" ")
        with pytest.raises(ResponseTooLargeError):
            get_page(client)
        focus.get(CURSOR, content=body)

        assert get_page(client).cursor == "next"


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "gzip, identity", "deflate"])
def test_a_response_with_another_compression_than_gzip_is_not_read(
    client: Client, encoding: str
) -> None:
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, json={"token": "t"})
        focus.get(CURSOR, json=EMPTY_PAGE, headers={"Content-Encoding": encoding})
        with pytest.raises(InvalidResponseError):
            get_page(client)


@pytest.mark.parametrize(
    "location", ["", "/path", "https://[", "https://host:port/", "https://me:canary-key@evil/x"]
)
def test_a_redirect_is_described_by_its_host_at_most(client: Client, location: str) -> None:
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, status_code=307, headers={"Location": location})
        with pytest.raises(LoginFailedError) as caught:
            get_page(client)

    assert isinstance(caught.value.cause, RedirectError)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "abc"},
        {"Content-Length": "-5"},
        {"Content-Length": ""},
        {"Content-Length": "5.0"},
        {"Content-Length": "0x5"},
        {"Content-Length": "0"},
        {"Transfer-Encoding": "notchunked"},
        {"Transfer-Encoding": "gzip, chunked"},
        {},
    ],
    ids=str,
)
def test_audio_whose_end_is_unknown_is_rejected(client: Client, headers: dict[str, str]) -> None:
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, json={"token": "t"})
        focus.post(AUDIO, content=b"audio", headers={"Content-Type": "audio/mpeg", **headers})
        with pytest.raises(InvalidAudioError), client.open_audio("id"):
            pass


def test_audio_is_requested_uncompressed(client: Client) -> None:
    headers = {"Content-Type": "Audio/MPEG; x=y", "Content-Length": "5"}
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, json={"token": "t"})
        focus.post(AUDIO, content=b"audio", headers=headers)
        with client.open_audio("id|1") as audio:
            content = b"".join(audio.iter_chunks())

    assert content == b"audio"
    assert audio.content_type == "audio/mpeg"
    assert audio.content_length == 5
    assert focus.request_history[-1].json() == {"thirdPartyId": "id|1"}
    assert focus.request_history[-1].headers["Accept-Encoding"] == "identity"


class FakeResponse:
    """A response of `Session.open` that is its own deadline, and keeps by how much it grows."""

    status = 200

    def __init__(self, headers: dict[str, str], chunks: list[bytes] | None = None) -> None:
        self.headers = {"Content-Type": "audio/mpeg", **headers}
        self.deadline = self
        self.extensions: list[float] = []
        self._chunks = chunks or []

    def extend(self, seconds: float) -> None:
        self.extensions.append(seconds)

    def iter_chunks(self) -> Iterator[bytes]:
        yield from self._chunks


def audio_of(response: Any) -> AudioResponse:
    return AudioResponse(response)


def test_a_download_gets_more_time_for_each_chunk() -> None:
    chunks = [b"x" * MIN_BYTES_PER_SECOND * 2, b"x" * (MIN_BYTES_PER_SECOND // 2)]
    response = FakeResponse({"Transfer-Encoding": "chunked"}, chunks)

    assert [*audio_of(response).iter_chunks()] == chunks
    assert response.extensions == [2, 0.5]


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ({"Content-Length": "5"}, 5),
        ({"Content-Length": "05"}, 5),
        ({"Transfer-Encoding": "chunked"}, None),
        ({"Transfer-Encoding": " Chunked ", "Content-Length": "7"}, None),
        ({"Content-Length": "5", "Content-Encoding": "Identity"}, 5),
    ],
)
def test_the_length_of_audio_is_announced_or_marked_by_chunks(
    headers: dict[str, str], length: int | None
) -> None:
    assert audio_of(FakeResponse(headers)).content_length == length


@pytest.mark.parametrize(
    ("header", "content_type"),
    [
        ("audio/mpeg", "audio/mpeg"),
        ("Audio/X-WAV; rate=8000", "audio/x-wav"),
        ("video/mp4", "video/mp4"),
        ("application/ogg", "application/ogg"),
        ("application/octet-stream", "application/octet-stream"),
        ("binary/octet-stream", "binary/octet-stream"),
    ],
)
def test_audio_and_its_containers_are_accepted(header: str, content_type: str) -> None:
    response = FakeResponse({"Content-Length": "5", "Content-Type": header})

    assert audio_of(response).content_type == content_type


@pytest.mark.parametrize(
    "header",
    ["", "text/html", "application/json", "audio", "x-audio/mpeg", "video/x", "canary\xe9"],
)
def test_other_types_are_not_audio(header: str) -> None:
    with pytest.raises(InvalidAudioError) as caught:
        audio_of(FakeResponse({"Content-Length": "5", "Content-Type": header}))

    assert str(caught.value).isascii()


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, gzip"])
def test_compressed_audio_is_invalid(encoding: str) -> None:
    with pytest.raises(InvalidResponseError):
        audio_of(FakeResponse({"Content-Length": "5", "Content-Encoding": encoding}))


@pytest.mark.parametrize("chunks", [[b"four"], [b"si", b"xsix"], [b"five5", b"+"]])
def test_audio_of_another_length_than_announced_is_downloaded_again(chunks: list[bytes]) -> None:
    audio = audio_of(FakeResponse({"Content-Length": "5"}, chunks))

    with pytest.raises(RetryableError):
        list(audio.iter_chunks())


@pytest.mark.parametrize("headers", [{"Transfer-Encoding": "chunked"}, {"Content-Length": "5"}])
def test_audio_without_content_is_invalid(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidAudioError):
        list(audio_of(FakeResponse(headers)).iter_chunks())


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_a_download_is_retried_by_the_policy_of_the_client(client: Client, status: int) -> None:
    def download() -> None:
        with client.open_audio("id"):
            pass

    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, json={"token": "t"})
        audio = focus.post(AUDIO, status_code=status)
        with pytest.raises(UnavailableError):
            client.retry_audio(download)

    assert audio.call_count == 3


def test_a_rejected_token_is_replaced_once(client: Client) -> None:
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, [{"json": {"token": "a"}}, {"json": {"token": "b"}}])
        focus.get(CURSOR, status_code=401)
        with pytest.raises(HTTPStatusError) as caught:
            get_page(client)

    assert caught.value.status == 401
    assert [request.method for request in focus.request_history] == ["POST", "GET", "POST", "GET"]


def test_a_byte_order_mark_is_not_part_of_a_response(client: Client) -> None:
    with requests_mock.Mocker() as focus:
        focus.post(LOGIN, content=codecs.BOM_UTF8 + b'{"token": "t"}')
        focus.get(CURSOR, content=codecs.BOM_UTF8 + json.dumps(EMPTY_PAGE).encode())

        assert get_page(client).cursor == "next"


def test_no_repr_shows_the_key() -> None:
    credentials = Credentials(api_key=SECRET, username="u", client_id=7)

    assert SECRET not in f"{credentials!r} {credentials}"
