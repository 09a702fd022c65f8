"""Simulated faults: latency, error responses and broken connections."""

from __future__ import annotations

import asyncio
import itertools
import typing as t

from aiohttp import web
from typing_extensions import override

from tap_focus.sandbox.seeded_random import SeededRandom

if t.TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.typedefs import Handler, Middleware

_RATE_PRECISION = 1_000_000
_FAULTS = (
    "500",
    "503, retry at once",
    "503, retry after a second",
    "disconnect before the request",
    "disconnect after the request",
    "truncate",
)


class Disconnected(web.Response):
    """A response that is never sent: the server closes the connection instead."""

    @override
    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Close the connection."""
        if request.transport:
            request.transport.abort()
        return await super().prepare(request)


def add_latency(seconds: float) -> Middleware:
    """Return a middleware that waits before each response."""

    @web.middleware
    async def wait(request: web.Request, handler: Handler) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await handler(request)

    return wait


def inject_faults(rate: float, seed: int) -> Middleware:
    """Return a middleware that makes some requests fail.

    The seed and the number of the request determine the fault.

    Args:
        rate: The share of requests that fail, from 0 to 1.
        seed: The sandbox's seed.
    """
    request_numbers = itertools.count()

    @web.middleware
    async def fail(request: web.Request, handler: Handler) -> web.StreamResponse:
        random = SeededRandom(f"{seed}/failure/{next(request_numbers)}")
        if random.randrange(_RATE_PRECISION) >= rate * _RATE_PRECISION:
            return await handler(request)
        fault = random.choice(_FAULTS)
        if fault == "500":
            raise web.HTTPInternalServerError(text="Internal error")
        if fault.startswith("503"):
            seconds = "0" if fault == "503, retry at once" else "1"
            raise web.HTTPServiceUnavailable(text="Try again", headers={"Retry-After": seconds})
        if fault == "disconnect before the request":
            return Disconnected()
        response = await handler(request)
        if fault == "disconnect after the request":
            return Disconnected()
        _truncate(response)
        return response

    return fail


def _truncate(response: web.StreamResponse) -> None:
    """Cut the body in half and close the connection after it."""
    response = t.cast("web.Response", response)
    body = t.cast("bytes", response.body)  # the API has no other bodies
    response.body = body[: len(body) // 2]
    response.headers["Content-Length"] = str(len(body))
    response.force_close()
