"""A server for each test, and a client that speaks raw bytes to it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from netserve.certificates import ensure
from netserve.doors import Door, Limits, Tls
from netserve.messages import Handler, Request, Response
from netserve.server import HttpServer

Serve = Callable[..., Awaitable[HttpServer]]


async def echo(request: Request) -> Response:
    """Answer with what was asked."""
    return Response(
        headers=[("Content-Type", "text/plain"), ("X-Method", request.method), ("X-Target", request.target)],
        body=request.body,
    )


class Raw:
    """One connection on which a test writes what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def response(self, head_only: bool = False) -> tuple[int, dict[str, str], bytes]:
        """Read one response with a Content-Length: status, headers, body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *rest = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        size = 0 if head_only else int(headers.get("content-length", "0"))
        return int(first.split()[1]), headers, await self.reader.readexactly(size)

    async def rest(self) -> bytes:
        """Read until the server closes."""
        return await self.reader.read()


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return ensure(tmp_path_factory.mktemp("certificates"))


@pytest_asyncio.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Start a server; it is closed when the test ends."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(handler: Handler = echo, doors: Sequence[Door] | None = None, **limits: Any) -> HttpServer:
            server = HttpServer(handler, doors or [Door("http", limits=Limits(**limits))])
            await server.start()
            stack.push_async_callback(server.close, grace=0)
            return server

        yield start


@pytest_asyncio.fixture
async def dial() -> AsyncIterator[Callable[..., Awaitable[Raw]]]:
    """Open a raw connection to a door, if wanted with TLS, or from an address of its own (Linux has all of 127/8)."""
    open_ones: list[Raw] = []

    async def connect(to: HttpServer | Door, tls: ssl.SSLContext | None = None, come_from: str | None = None) -> Raw:
        door = to.doors[0] if isinstance(to, HttpServer) else to
        if door.path is not None:
            raw = Raw(*await asyncio.open_unix_connection(str(door.path)))
        else:
            host, own = ("127.0.0.1", (come_from, 0)) if come_from else (door.host, None)
            raw = Raw(*await asyncio.open_connection(host, door.port, ssl=tls, local_addr=own))
        open_ones.append(raw)
        return raw

    yield connect
    for raw in open_ones:
        raw.writer.close()
