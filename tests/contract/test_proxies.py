"""Proxies from the environment."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from tests.helpers import SLOWNESS, guarantee, timing
from tests.helpers.assertions import assert_fails
from tests.helpers.fake_focus import ACCOUNT, FakeFocus, drip, feed
from tests.helpers.runner import max_retries, settings

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from pathlib import Path

    from typing_extensions import Self

    from tests.helpers.runner import TapRunner


class Tunnel:
    """A proxy that connects to the requested address, by HTTP or by SOCKS 5.

    Attributes:
        targets: the requested addresses, as `host:port`.
    """

    def __init__(self, scheme: str, tls: ssl.SSLContext) -> None:
        self._scheme = scheme
        self._tls = tls if scheme == "https" else None
        self._loop = asyncio.new_event_loop()
        self.targets: list[str] = []
        self._writers: list[StreamWriter] = []

    def __enter__(self) -> Self:
        start = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self._server = self._loop.run_until_complete(start)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
            with suppress(asyncio.CancelledError):
                self._loop.run_until_complete(task)
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        # The transports close their sockets in later iterations of the loop.
        for _turn in range(10):
            self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._writers.append(writer)
        handshake = self._socks if self._scheme.startswith("socks") else self._connect
        with suppress(OSError, asyncio.IncompleteReadError):
            host, port = await handshake(reader, writer)
            self.targets.append(f"{host}:{port}")
            target = await asyncio.open_connection(host, port)
            self._writers.append(target[1])
            await asyncio.gather(copy(reader, target[1]), copy(target[0], writer))

    @staticmethod
    async def _connect(reader: StreamReader, writer: StreamWriter) -> tuple[str, int]:
        head = await reader.readuntil(b"\r\n\r\n")
        host, _, port = head.split()[1].decode().rpartition(":")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        return host, int(port)

    @staticmethod
    async def _socks(reader: StreamReader, writer: StreamWriter) -> tuple[str, int]:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\5\0")
        *_, address_type = await reader.readexactly(4)
        size = 4 if address_type == 1 else (await reader.readexactly(1))[0]
        address = await reader.readexactly(size)
        host = ".".join(map(str, address)) if address_type == 1 else address.decode()
        port = int.from_bytes(await reader.readexactly(2), "big")
        writer.write(b"\5\0\0\1" + bytes(6))
        return host, port


async def copy(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(OSError):
        while part := await reader.read(1 << 16):
            writer.write(part)
            await writer.drain()
    writer.close()


class BrokenProxy(FakeFocus):
    """A proxy that records the first line of each request, and sends a fixed response or drips."""

    def __init__(self, response: bytes = b"", *, drips: bool = False) -> None:
        super().__init__({})
        self._response = response
        self.request_lines: list[list[bytes]] = []
        self._drips = drips

    def finish_request(self, request: Any, _: Any) -> None:
        self.request_lines.append(request.recv(1000).split()[:2])
        request.sendall(self._response)
        if self._drips:
            request.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while True:
                request.sendall(b"x")
                time.sleep(0.1)

    @property
    def proxy_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """TLS for servers on this machine. The certificate authority is in the file ca.pem."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@timing
@guarantee("enforce-deadlines", "restrict-connections")
@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
def test_a_response_that_drips_through_a_tunnel_meets_a_deadline(
    tap: TapRunner, tmp_path: Path, tls: ssl.SSLContext, scheme: str
) -> None:
    with FakeFocus(feed(300), cursor=[drip]) as focus, Tunnel(scheme, tls) as tunnel:
        focus.socket = tls.wrap_socket(focus.socket, server_side=True)
        url = focus.url.replace("http:", "HTTPS:")
        run = tap(
            config={**focus.settings, "api_url": url, "request_timeout": 1},
            environment={
                "HTTPS_PROXY": tunnel.url,
                "REQUESTS_CA_BUNDLE": str(tmp_path / "ca.pem"),
            },
        )

    assert (run.exit_code, len(run.ids)) == (0, 300), run.log
    assert focus.cursors.count(None) >= 2
    assert focus.waits("cursor")[0] < 20 * SLOWNESS
    assert set(tunnel.targets) == {f"127.0.0.1:{focus.server_port}"}


@guarantee("restrict-connections")
def test_a_proxy_without_a_host_ends_the_run(tap: TapRunner) -> None:
    run = tap(config={**ACCOUNT, "region": "uk"}, environment={"HTTPS_PROXY": "http://"})

    assert_fails(run, 78, "HTTPS_PROXY")


@guarantee("restrict-connections")
def test_a_proxy_is_never_used_for_localhost(tap: TapRunner) -> None:
    with BrokenProxy() as proxy, FakeFocus(feed(2)) as focus:
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        run = tap(config=settings(focus), environment=dict.fromkeys(names, proxy.proxy_url))

    assert (run.exit_code, run.ids) == (0, [1, 2])
    assert proxy.request_lines == []


@guarantee("restrict-connections")
def test_a_proxy_is_used_for_https(tap: TapRunner) -> None:
    with BrokenProxy() as proxy:
        url = "https://focus.example.com/api"
        config = {**ACCOUNT, "api_url": url, "max_retries": max_retries(requests=1)}
        run = tap(config=config, environment={"HTTPS_PROXY": proxy.proxy_url})

    assert_fails(run, 75, "focus.example.com")
    assert proxy.request_lines == [[b"CONNECT", b"focus.example.com:443"]]


@guarantee("restrict-connections")
def test_a_proxy_that_requires_a_login_ends_the_run_at_once(tap: TapRunner) -> None:
    rejection = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with BrokenProxy(rejection) as proxy:
        url = proxy.proxy_url.replace("//", "//me:canary-password@")
        run = tap(config={**ACCOUNT, "region": "uk"}, environment={"HTTPS_PROXY": url})

    assert_fails(run, 78, proxy.proxy_url, "407")
    assert len(proxy.request_lines) == 1
    assert "canary-password" not in run.log


@guarantee("restrict-connections")
def test_a_server_without_tls_on_an_https_port_ends_the_run_at_once(tap: TapRunner) -> None:
    with BrokenProxy(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") as server:
        url = server.proxy_url.replace("http:", "https:")
        run = tap(config={**ACCOUNT, "api_url": url})

    assert_fails(run, 78, "TLS")
    assert len(server.request_lines) == 1


@guarantee("restrict-connections")
@pytest.mark.parametrize("scheme", ["socks", "gopher"])
def test_a_proxy_of_an_unknown_scheme_ends_the_run_at_once(tap: TapRunner, scheme: str) -> None:
    variables = {"ALL_PROXY": f"{scheme}://127.0.0.1:9"}
    run = tap(config={**ACCOUNT, "region": "uk"}, environment=variables)

    assert_fails(run, 78, "ALL_PROXY")


@timing
@guarantee("enforce-deadlines", "restrict-connections")
def test_a_proxy_that_drips_meets_a_deadline(tap: TapRunner) -> None:
    with BrokenProxy(drips=True) as proxy:
        config = {
            **ACCOUNT,
            "region": "uk",
            "request_timeout": 0.4,
            "max_retries": max_retries(requests=1),
        }
        started = time.monotonic()
        run = tap(config=config, environment={"HTTPS_PROXY": proxy.proxy_url})
        seconds = time.monotonic() - started

    assert_fails(run, 75, "uk.focus.subphonic.ai")
    assert seconds < 8 * SLOWNESS
