"""What goes wrong on a network and in a server, on request: slow, failing and broken answers."""

from __future__ import annotations

import asyncio
import itertools
import typing as t

from aiohttp import web

from tap_focus.sandbox.seeded_random import SeededRandom

if t.TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.typedefs import Handler, Middleware

_FINE = 1_000_000


class Dropped(web.Response):
    """An answer that never comes: the connection is cut where it should begin."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Cut the connection."""
        if request.transport:
            request.transport.abort()
        return await super().prepare(request)


def slow(seconds: float) -> Middleware:
    """Return a middleware that waits before each answer."""

    @web.middleware
    async def wait(request: web.Request, handler: Handler) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await handler(request)

    return wait


def failing(rate: float, seed: int) -> Middleware:
    """Return a middleware that lets a share of the requests fail, in one of six ways.

    Which ones fail, and how, follows from the seed and the count of the requests alone.

    Args:
        rate: From 0, none, to 1, all.
        seed: The sandbox's seed.
    """
    count = itertools.count()

    @web.middleware
    async def fail(request: web.Request, handler: Handler) -> web.StreamResponse:
        random = SeededRandom(f"{seed}/failure/{next(count)}")
        if random.randrange(_FINE) >= rate * _FINE:
            return await handler(request)
        failure = ("500", "503", "503, wait", "dropped", "dropped after", "cut")[
            random.randrange(6)
        ]
        if failure == "500":
            raise web.HTTPInternalServerError(text="Something went wrong")
        if failure.startswith("503"):
            wait = "1" if "wait" in failure else "0"
            raise web.HTTPServiceUnavailable(text="Try again", headers={"Retry-After": wait})
        if failure == "dropped":
            return Dropped()
        response = await handler(request)
        return Dropped() if failure == "dropped after" else cut_short(response)

    return fail


def cut_short(response: web.StreamResponse) -> web.StreamResponse:
    """Return an answer whose connection closes halfway through its body.

    Args:
        response: The whole answer, with its body in memory.
    """
    body = response.body if isinstance(response, web.Response) else None
    if not isinstance(body, bytes):
        return Dropped()
    headers = response.headers.copy()
    headers["Content-Length"] = str(len(body))
    half = web.Response(status=response.status, headers=headers, body=body[: len(body) // 2])
    half.force_close()
    return half
