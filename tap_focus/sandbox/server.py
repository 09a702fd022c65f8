"""The sandbox itself: the API on a port of loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
import typing as t
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from aiohttp import web

from tap_focus.sandbox.api import API_KEY, CLIENT_ID, USERNAME, Api, errors_as_json
from tap_focus.sandbox.company import Company
from tap_focus.sandbox.faults import Dropped, failing, slow
from tap_focus.sandbox.timeline import Timeline

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiohttp.typedefs import Handler, Middleware
    from typing_extensions import Self

_REQUESTS_KEPT = 100_000
_SECONDS_TO_FINISH = 0.1  # for answers under way when the sandbox stops


@dataclass(frozen=True)
class Request:
    """One request that came in.

    Attributes:
        method: "GET" or "POST".
        path: From the root on, without the query.
        params: The query string, decoded.
        status: What was answered; None as long as nothing is, or if the connection was dropped.
    """

    method: str
    path: str
    params: dict[str, str]
    status: int | None = None


@dataclass(kw_only=True, eq=False)
class Sandbox:
    """A stand-in for Focus that answers on 127.0.0.1 as long as its `with` block lasts.

    Attributes:
        records: Events in the feed from the start.
        seed: Another number makes another company, and refuses this one's cursors and tokens.
        live_every: Seconds from one further event to the next; 0 for none.
        latency: Seconds to wait before each answer.
        fail: The share of requests that fail, from 0 to 1.
        token_ttl: Seconds that a token is good for.
        port: Where to listen; 0 for any free port.
        clock: Tells the time, in seconds since 1970.
        middlewares: Further aiohttp middlewares, outermost: they can answer in the API's place.

    Raises:
        OSError: On entering, if the port is taken.
    """

    records: int = 2000
    seed: int = 1
    live_every: float = 10.0
    latency: float = 0.0
    fail: float = 0.0
    token_ttl: float = 3600
    port: int = 0
    clock: Callable[[], float] = time.time
    middlewares: Sequence[Middleware] = ()
    _requests: dict[int, Request] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        """Work out what does not need the network."""
        self._company = Company(self.seed)
        self._timeline = Timeline(self.records, self.live_every, self.clock)
        self._arrived = 0

    def __enter__(self) -> Self:
        """Listen; return once requests are answered."""
        ready: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        self.port = ready.result()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening and wait until the thread has ended."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def url(self) -> str:
        """The base URL, as the tap's `api_url` wants it."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def settings(self) -> dict[str, t.Any]:
        """The tap's settings that lead here."""
        return {
            "api_url": self.url,
            "api_key": API_KEY,
            "username": USERNAME,
            "client_id": CLIENT_ID,
        }

    @property
    def requests(self) -> list[Request]:
        """The last 100,000 requests, in the order in which they came in."""
        with self._lock:
            return list(self._requests.values())

    def grow(self, events: int) -> None:
        """Let this many more events appear at once."""
        self._timeline.grow(events)

    def feed(self) -> list[dict[str, t.Any]]:
        """Return all events that someone who starts now is shown, in the order of the feed."""
        return [
            self._company.feed_entry(position) for position in range(self._timeline.view().total)
        ]

    def latest(self) -> dict[int, dict[str, t.Any]]:
        """Return the last version of each recording by its interactionId."""
        return {event["interactionId"]: event for event in self.feed()}

    def _run(self, ready: Future[int]) -> None:
        try:
            asyncio.run(self._serve(ready))
        except Exception as error:
            if ready.done():
                raise
            ready.set_exception(error)  # for the thread that waits

    async def _serve(self, ready: Future[int]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=_SECONDS_TO_FINISH)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self.port).start()
            ready.set_result(runner.addresses[0][1])
            await self._stop.wait()
        finally:
            await runner.cleanup()

    def _app(self) -> web.Application:
        api = Api(self.seed, self._company, self._timeline, self.token_ttl, self.clock)
        middlewares = [self._recorder(), *self.middlewares]
        if self.latency:
            middlewares.append(slow(self.latency))
        middlewares.append(errors_as_json)
        if self.fail:
            middlewares.append(failing(self.fail, self.seed))
        app = web.Application(middlewares=middlewares)
        app.add_routes(api.routes())
        return app

    def _recorder(self) -> Middleware:
        @web.middleware
        async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
            seen = Request(request.method, request.path, dict(request.query))
            number = self._note(seen)
            try:
                response = await handler(request)
            except web.HTTPException as error:
                self._note(replace(seen, status=error.status), number)
                raise
            if not isinstance(response, Dropped):
                self._note(replace(seen, status=response.status), number)
            return response

        return record

    def _note(self, request: Request, number: int | None = None) -> int:
        with self._lock:
            if number is None:
                number = self._arrived
                self._arrived += 1
                self._requests.pop(number - _REQUESTS_KEPT, None)
            self._requests[number] = request
            return number
