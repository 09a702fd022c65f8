"""Proxies from the environment: the installed `tap-focus` through a tunnel to a Focus over TLS."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from tests.helpers.assertions import assert_ends, ids, settings
from tests.helpers.fake_focus import KEY, Focus, drip, feed

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import Callable
    from pathlib import Path

    from typing_extensions import Self

    from tests.conftest import Run

    Tap = Callable[..., Run]

case = pytest.mark.case


class Tunnel:
    """A proxy that connects where it is asked to, by HTTP or by SOCKS 5.

    Attributes:
        asked: the hosts and ports.
    """

    def __init__(self, scheme: str, tls: ssl.SSLContext | None) -> None:
        self._scheme = scheme
        self._tls = tls if scheme == "https" else None
        self._loop = asyncio.new_event_loop()
        self.asked: list[str] = []

    def __enter__(self) -> Self:
        begun = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self._server = self._loop.run_until_complete(begun)
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
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    @property
    def environment(self) -> dict[str, str]:
        port = self._server.sockets[0].getsockname()[1]
        return {"HTTPS_PROXY": f"{self._scheme}://127.0.0.1:{port}", "NO_PROXY": "", "no_proxy": ""}

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        greet = self._socks if self._scheme.startswith("socks") else self._connect
        with suppress(OSError, asyncio.IncompleteReadError):
            host, port = await greet(reader, writer)
            self.asked.append(f"{host}:{port}")
            there = await asyncio.open_connection(host, port)
            await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

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
        *_, kind = await reader.readexactly(4)
        size = 4 if kind == 1 else (await reader.readexactly(1))[0]
        address = await reader.readexactly(size)
        host = ".".join(map(str, address)) if kind == 1 else address.decode()
        port = int.from_bytes(await reader.readexactly(2), "big")
        writer.write(b"\5\0\0\1" + bytes(6))
        return host, port


async def pump(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(OSError):
        while part := await reader.read(1 << 16):
            writer.write(part)
            await writer.drain()
    writer.close()


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """Of a server on this machine, whose authority is in the file ca.pem."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@case(18, 23)
@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
def test_a_tunnel_carries_the_feed_and_a_drip_through_it_meets_its_deadline(
    tap: Tap, tmp_path: Path, tls: ssl.SSLContext, scheme: str
) -> None:
    with Focus(feed(300), cursor=[drip]) as focus, Tunnel(scheme, tls) as tunnel:
        focus.socket = tls.wrap_socket(focus.socket, server_side=True)
        config = {
            **focus.settings,
            "api_url": focus.url.replace("http:", "HTTPS:"),
            "request_timeout": 0.5,
        }
        environment = {**tunnel.environment, "REQUESTS_CA_BUNDLE": str(tmp_path / "ca.pem")}
        began = time.monotonic()
        run = tap(config=config, environment=environment)
        assert time.monotonic() - began < 15
    assert (run.code, len(ids(run))) == (0, 300), run.log
    assert run.log.count("no answer in time") == 1
    assert set(tunnel.asked) == {f"127.0.0.1:{focus.server_port}"}


@case(23)
def test_a_proxy_that_is_none_ends_at_once(tap: Tap) -> None:
    account = {"region": "uk", "api_key": KEY, "username": "u", "client_id": 7}
    environment = {"HTTPS_PROXY": "http://", "NO_PROXY": "", "no_proxy": ""}
    run = tap(config=account, environment=environment)
    assert_ends(run, 78, "HTTPS_PROXY")


@case(23)
def test_a_proxy_from_the_environment_is_used_for_https_and_never_for_loopback(tap: Tap) -> None:
    asked = []

    class Proxy(Focus):
        def finish_request(self, request: Any, _: Any) -> None:
            asked.append(request.recv(1000).split()[:2])

    with Proxy({}) as proxy, Focus(feed(2)) as focus:
        url = f"http://127.0.0.1:{proxy.server_port}"
        environment = {"HTTP_PROXY": url, "HTTPS_PROXY": url, "ALL_PROXY": url, "NO_PROXY": ""}
        assert ids(tap(config=settings(focus), environment=environment)) == [1, 2]
        assert asked == []
        config = settings(focus, api_url="https://focus.example.com/api", max_retries=1)
        assert_ends(tap(config=config, environment=environment), 75, "the connection failed")
    assert asked == [[b"CONNECT", b"focus.example.com:443"]]


@case(18, 23)
def test_a_proxy_that_drips_meets_a_deadline(tap: Tap) -> None:
    class Proxy(Focus):
        def finish_request(self, request: Any, _: Any) -> None:
            request.recv(1000)
            request.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while True:
                request.sendall(b"x")
                time.sleep(0.1)

    with Proxy({}) as proxy:
        environment = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.server_port}", "NO_PROXY": ""}
        account = {"api_key": KEY, "username": "u", "client_id": 7}
        config = {**account, "region": "uk", "request_timeout": 0.4, "max_retries": 1}
        began = time.monotonic()
        run = tap(config=config, environment=environment)
        assert time.monotonic() - began < 8
    assert_ends(run, 75, "failed 1 times")
