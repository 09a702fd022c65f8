"""The documented part of the Focus API: login, cursor and audio."""

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

from tap_focus.sandbox.audio import create_mp3
from tap_focus.sandbox.cursor import CursorCodec
from tap_focus.sandbox.recording import has_audio

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler

    from tap_focus.sandbox.company import Company
    from tap_focus.sandbox.cursor import Cursor
    from tap_focus.sandbox.timeline import Timeline

# Not secret: `focus-sandbox` prints them.
API_KEY = "SANDBOX-KEY-OPENS-NOTHING"
USERNAME = "sandbox@harbour-finch.example"
CLIENT_ID = 9999

_DEFAULT_PAGE_SIZE = 100


class _LoginRequest(msgspec.Struct, rename="camel"):
    api_key: str
    username: str
    client_id: int


class _AudioRequest(msgspec.Struct, rename="camel"):
    third_party_id: str


_RequestBody = t.TypeVar("_RequestBody", bound=msgspec.Struct)


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Return every error as `{"message": …}`."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        headers = {name: error.headers[name] for name in ("Retry-After",) if name in error.headers}
        body = {"message": error.text or error.reason}
        return web.json_response(body, status=error.status, headers=headers)


class FocusAPI:
    """The request handlers. They have no state besides the timeline.

    Args:
        seed: The keys for cursors and tokens depend on it.
        company: The source of the recordings.
        timeline: The visible part of the feed.
        token_ttl: The lifetime of a token in seconds.
        clock: Returns seconds since 1970.
    """

    def __init__(
        self,
        seed: int,
        company: Company,
        timeline: Timeline,
        token_ttl: float,
        clock: Callable[[], float],
    ) -> None:
        self._company = company
        self._timeline = timeline
        self._token_ttl = token_ttl
        self._clock = clock
        self._cursors = CursorCodec(seed)
        self._token_key = sha256(f"{seed}/token".encode()).digest()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of all handlers."""
        return [
            # The vendor's pages have both spellings.
            web.post("/api/authWithAPIKey", self._login),
            web.post("/api/authWithApiKey", self._login),
            web.get("/api/client/recording/cursor", self._get_page),
            web.post("/api/client/recording.playBackByThirdPartyId", self._get_audio),
        ]

    async def _login(self, request: web.Request) -> web.Response:
        login = await _decode_body(request, _LoginRequest)
        if (login.api_key, login.username, login.client_id) != (API_KEY, USERNAME, CLIENT_ID):
            raise web.HTTPUnauthorized(text="Invalid apiKey, username or clientId")
        now = self._clock()
        claims = {"sub": USERNAME, "iat": int(now), "exp": math.ceil(now + self._token_ttl)}
        token = jwt.encode(claims, self._token_key, algorithm="HS256")
        return web.json_response({"token": token, "refreshToken": secrets.token_urlsafe(32)})

    async def _get_page(self, request: web.Request) -> web.Response:
        self._check_token(request)
        page_size = _parse_page_size(request.query.get("numberOfResults"))
        cursor = self._parse_cursor(request.query.get("cursorId"))
        from_date = _parse_from_date(request.query.get("fromDate"))
        if cursor and from_date:
            raise web.HTTPBadRequest(text="fromDate cannot be combined with cursorId")
        view = self._timeline.view(cursor)
        start = cursor.position if cursor else 0
        if from_date:
            start = self._company.first_position_since(from_date, view.total)
        end = max(start, min(start + page_size, view.total))
        page = msgspec.json.encode(
            {
                "recordings": [
                    self._company.feed_entry(position) for position in range(start, end)
                ],
                "nextCursorId": self._cursors.encode(view.cursor(end)),
            }
        )
        response = web.Response(body=page, content_type="application/json")
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            response.headers["Content-Encoding"] = "gzip"
            response.body = gzip.compress(page, compresslevel=1)
        return response

    async def _get_audio(self, request: web.Request) -> web.Response:
        self._check_token(request)
        body = await _decode_body(request, _AudioRequest)
        recording = self._company.find(body.third_party_id)
        if not recording or not has_audio(recording):
            raise web.HTTPNotFound(text="No audio with this thirdPartyId")
        if recording["mediaAccessStatus"] != "Permitted":
            raise web.HTTPForbidden(text="Access to the audio is not permitted")
        title = f"Recording {recording['interactionId']}: {body.third_party_id}"
        audio = create_mp3(title, recording["durationInSeconds"])
        return web.Response(body=audio, content_type="audio/mpeg")

    def _check_token(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise web.HTTPUnauthorized(text="Missing bearer token")
        try:
            # PyJWT checks times with the system clock, but the sandbox can have another clock.
            claims = jwt.decode(
                token,
                self._token_key,
                algorithms=["HS256"],
                options={"verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError as error:
            raise web.HTTPUnauthorized(text="Invalid token") from error
        if claims["exp"] <= self._clock():
            raise web.HTTPUnauthorized(text="Expired token")

    def _parse_cursor(self, text: str | None) -> Cursor | None:
        if text is None:
            return None
        try:
            return self._cursors.decode(text)
        except ValueError as error:
            raise web.HTTPBadRequest(text="Invalid cursorId") from error


async def _decode_body(request: web.Request, body_type: type[_RequestBody]) -> _RequestBody:
    try:
        return msgspec.json.decode(await request.read(), type=body_type)
    except msgspec.DecodeError as error:
        raise web.HTTPBadRequest(text=f"Invalid body: {error}") from error


def _parse_page_size(text: str | None) -> int:
    if text is None:
        return _DEFAULT_PAGE_SIZE
    try:
        page_size = int(text)
    except ValueError:
        page_size = 0
    if page_size < 1:
        raise web.HTTPBadRequest(text="numberOfResults must be a positive integer")
    return page_size


def _parse_from_date(text: str | None) -> datetime | None:
    if text is None:
        return None
    fraction = ".%f" if "." in text else ""
    try:
        return datetime.strptime(text, f"%Y-%m-%dT%H:%M:%S{fraction}Z").replace(tzinfo=timezone.utc)
    except ValueError as error:
        example = "2025-06-06T14:00:00Z"
        raise web.HTTPBadRequest(text=f"fromDate must be a UTC time such as {example}") from error
