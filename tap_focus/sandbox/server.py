"""The simulated Focus server. It runs in a thread and listens on localhost."""

from __future__ import annotations

import asyncio
import threading
import time
import typing as t
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass

from aiohttp import web

from tap_focus.sandbox.api import API_KEY, CLIENT_ID, USERNAME, FocusAPI, errors_as_json
from tap_focus.sandbox.company import Company
from tap_focus.sandbox.faults import Disconnected, add_latency, inject_faults
from tap_focus.sandbox.timeline import Timeline

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler
    from typing_extensions import Self

_MAX_STORED_REQUESTS = 100_000
_SHUTDOWN_GRACE_SECONDS = 0.1  # for requests in progress


@dataclass
class Request:
    """A request that the server received.

    Attributes:
        method: "GET" or "POST".
        path: The path without the query.
        params: The decoded query.
        status: The status of the response. None: there is no response yet, or the connection was
            closed instead.
    """

    method: str
    path: str
    params: dict[str, str]
    status: int | None = None


@dataclass(kw_only=True, eq=False)
class Sandbox:
    """A simulated Focus server that runs while its `with` block runs.

    Attributes:
        records: The number of feed entries at the start.
        seed: Determines the company's data. Cursors and tokens of another seed are invalid.
        live_every: Seconds between new feed entries; 0 for none.
        latency: Seconds to wait before each response.
        fail: The share of requests that fail, from 0 to 1.
        token_ttl: The lifetime of a token in seconds.
        port: The port to listen on; 0 for any free port.
        clock: Returns seconds since 1970.
        access_log: Receives a line per request, such as "200 GET /api/client/… 12 ms".

    Raises:
        OSError: On entering, if the server cannot listen on the port.
    """

    records: int = 2000
    seed: int = 1
    live_every: float = 10.0
    latency: float = 0.0
    fail: float = 0.0
    token_ttl: float = 3600
    port: int = 0
    clock: Callable[[], float] = time.time
    access_log: Callable[[str], object] | None = None

    def __post_init__(self) -> None:
        """Create the company and its feed."""
        self._company = Company(self.seed)
        self._timeline = Timeline(self.records, self.live_every, self.clock)
        self._requests: deque[Request] = deque(maxlen=_MAX_STORED_REQUESTS)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Start the server and wait until it listens."""
        port: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, args=(port,), daemon=True)
        self._thread.start()
        self.port = port.result()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server and wait for its thread."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def url(self) -> str:
        """The base URL, a value for the tap's `api_url`."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def settings(self) -> dict[str, t.Any]:
        """The tap's settings for this server."""
        return {
            "api_url": self.url,
            "api_key": API_KEY,
            "username": USERNAME,
            "client_id": CLIENT_ID,
        }

    @property
    def requests(self) -> list[Request]:
        """The last 100,000 requests, oldest first."""
        with self._lock:
            return list(self._requests)

    def grow(self, count: int) -> None:
        """Add entries to the feed at once."""
        self._timeline.grow(count)

    def feed(self) -> list[dict[str, t.Any]]:
        """Return all entries that a client without a cursor sees."""
        return [
            self._company.feed_entry(position) for position in range(self._timeline.view().total)
        ]

    def latest(self) -> dict[int, dict[str, t.Any]]:
        """Return the latest version of each recording by `interactionId`."""
        return {entry["interactionId"]: entry for entry in self.feed()}

    def _run(self, port: Future[int]) -> None:
        try:
            asyncio.run(self._serve(port))
        except Exception as error:
            if port.done():
                raise
            port.set_exception(error)  # raised by the thread that waits in __enter__

    async def _serve(self, port: Future[int]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        runner = web.AppRunner(
            self._create_app(), access_log=None, shutdown_timeout=_SHUTDOWN_GRACE_SECONDS
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self.port).start()
            port.set_result(runner.addresses[0][1])
            await self._stop.wait()
        finally:
            await runner.cleanup()

    def _create_app(self) -> web.Application:
        api = FocusAPI(self.seed, self._company, self._timeline, self.token_ttl, self.clock)
        app = web.Application(
            middlewares=[
                self._record_request,
                add_latency(self.latency),
                errors_as_json,
                inject_faults(self.fail, self.seed),
            ]
        )
        app.add_routes(api.routes())
        return app

    @web.middleware
    async def _record_request(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        recorded = Request(request.method, request.path, dict(request.query))
        with self._lock:
            self._requests.append(recorded)
        response = await handler(request)
        if not isinstance(response, Disconnected):
            recorded.status = response.status
        if self.access_log:
            milliseconds = (time.perf_counter() - started) * 1000
            status = recorded.status or "closed"
            self.access_log(f"{status} {request.method} {request.path} {milliseconds:.0f} ms")
        return response
