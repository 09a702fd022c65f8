"""The API of Focus as far as its documentation tells it: login, cursor and audio."""

from __future__ import annotations

import gzip
import math
import secrets
import typing as t
from datetime import datetime, timezone
from hashlib import sha256

import jwt
import msgspec
from aiohttp import web

from tap_focus.sandbox.audio import mp3
from tap_focus.sandbox.cursor import CursorCodec
from tap_focus.sandbox.recording import has_audio

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler

    from tap_focus.sandbox.company import Company
    from tap_focus.sandbox.cursor import Cursor
    from tap_focus.sandbox.timeline import Timeline

# Made up, and no secret: whoever runs a sandbox is shown them.
API_KEY = "SANDBOX-KEY-OPENS-NOTHING"
USERNAME = "sandbox@harbour-finch.example"
CLIENT_ID = 9999

_DEFAULT_PAGE = 100


class _Login(msgspec.Struct, rename="camel"):
    api_key: str
    username: str
    client_id: int


class _Playback(msgspec.Struct, rename="camel"):
    third_party_id: str


_Body = t.TypeVar("_Body", bound=msgspec.Struct)


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error as `{"message": …}`."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        headers = {name: error.headers[name] for name in ("Retry-After",) if name in error.headers}
        body = {"message": error.text or error.reason}
        return web.json_response(body, status=error.status, headers=headers)


class Api:
    """Answers requests. It keeps no state: all is in the seed, the timeline and the request."""

    def __init__(
        self,
        seed: int,
        company: Company,
        timeline: Timeline,
        token_ttl: float,
        clock: Callable[[], float],
    ) -> None:
        """Open the API.

        Args:
            seed: The keys of cursors and tokens derive from it.
            company: Whose recordings there are.
            timeline: How many can be seen.
            token_ttl: Seconds that a token is good for.
            clock: Tells the time, in seconds since 1970.
        """
        self._company = company
        self._timeline = timeline
        self._token_ttl = token_ttl
        self._clock = clock
        self._cursors = CursorCodec(seed)
        self._token_key = sha256(f"{seed}/token".encode()).digest()

    def routes(self) -> list[web.RouteDef]:
        """Return what is served, and where."""
        return [
            # The vendor's pages spell the first path in both ways.
            web.post("/api/authWithAPIKey", self._login),
            web.post("/api/authWithApiKey", self._login),
            web.get("/api/client/recording/cursor", self._page),
            web.post("/api/client/recording.playBackByThirdPartyId", self._audio),
        ]

    async def _login(self, request: web.Request) -> web.Response:
        login = await _body(request, _Login)
        if (login.api_key, login.username, login.client_id) != (API_KEY, USERNAME, CLIENT_ID):
            raise web.HTTPUnauthorized(text="The API key, username or clientId is wrong")
        now = self._clock()
        claims = {"sub": USERNAME, "iat": int(now), "exp": math.ceil(now + self._token_ttl)}
        token = jwt.encode(claims, self._token_key, algorithm="HS256")
        return web.json_response({"token": token, "refreshToken": secrets.token_urlsafe(32)})

    async def _page(self, request: web.Request) -> web.Response:
        self._authorize(request)
        size = _page_size(request.query.get("numberOfResults"))
        cursor = self._cursor(request.query.get("cursorId"))
        since = _from_date(request.query.get("fromDate"))
        if cursor and since:
            raise web.HTTPBadRequest(text="fromDate goes with the initial request, not a cursor")
        view = self._timeline.view(cursor)
        start = cursor.position if cursor else 0
        if since:
            start = self._company.first_position_since(since, view.total)
        recordings = [
            self._company.feed_entry(position)
            for position in range(start, min(start + size, view.total))
        ]
        following = self._cursors.encode(view.cursor(start + len(recordings)))
        page = msgspec.json.encode({"recordings": recordings, "nextCursorId": following})
        response = web.Response(body=page, content_type="application/json")
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            response.headers["Content-Encoding"] = "gzip"
            response.body = gzip.compress(page, compresslevel=1)
        return response

    async def _audio(self, request: web.Request) -> web.Response:
        self._authorize(request)
        playback = await _body(request, _Playback)
        recording = self._company.find(playback.third_party_id)
        if not recording or not has_audio(recording):
            raise web.HTTPNotFound(text="There is no audio with this thirdPartyId")
        if recording["mediaAccessStatus"] != "Permitted":
            raise web.HTTPForbidden(text="The audio of this recording may not be played")
        title = f"Recording {recording['interactionId']}: {playback.third_party_id}"
        body = mp3(title, recording["durationInSeconds"])
        return web.Response(body=body, content_type="audio/mpeg")

    def _authorize(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            # The expiry is compared below, with the sandbox's own clock.
            claims = jwt.decode(
                token,
                self._token_key,
                algorithms=["HS256"],
                options={"verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            claims = {}
        if scheme.lower() != "bearer" or not claims:
            raise web.HTTPUnauthorized(text="A bearer token is needed")
        if claims["exp"] <= self._clock():
            raise web.HTTPUnauthorized(text="The token has expired")

    def _cursor(self, text: str | None) -> Cursor | None:
        if text is None:
            return None
        try:
            return self._cursors.decode(text)
        except ValueError as error:
            raise web.HTTPBadRequest(text="The cursorId is not valid") from error


async def _body(request: web.Request, kind: type[_Body]) -> _Body:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.DecodeError as error:
        raise web.HTTPBadRequest(text=f"The body is not as expected: {error}") from error


def _page_size(text: str | None) -> int:
    if text is None:
        return _DEFAULT_PAGE
    try:
        size = int(text)
    except ValueError:
        size = 0
    if size < 1:
        raise web.HTTPBadRequest(text="numberOfResults must be an integer of 1 or more")
    return size


def _from_date(text: str | None) -> datetime | None:
    if text is None:
        return None
    fraction = ".%f" if "." in text else ""
    try:
        return datetime.strptime(text, f"%Y-%m-%dT%H:%M:%S{fraction}Z").replace(tzinfo=timezone.utc)
    except ValueError as error:
        example = "2025-06-06T14:00:00Z"
        raise web.HTTPBadRequest(text=f"fromDate must be UTC, such as {example}") from error
