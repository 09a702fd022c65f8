"""A line for each answer, for a person who watches the sandbox."""

from __future__ import annotations

import time
import typing as t

from aiohttp import web

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler, Middleware


def access_log(write: Callable[[str], object]) -> Middleware:
    """Return a middleware that writes, for instance, "200 GET /api/… 12 ms" for each answer."""

    @web.middleware
    async def log(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.perf_counter()
        response = await handler(request)
        milliseconds = (time.perf_counter() - began) * 1000
        write(f"{response.status} {request.method} {request.path} {milliseconds:.0f} ms")
        return response

    return log
