"""A scripted Xen-API: each test says what it answers. Its XML-RPC is Python's own, which nobody here wrote."""

from __future__ import annotations

import asyncio
import inspect
import xmlrpc.client
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from xenapi_client import Connection


class RefusedError(Exception):
    """What an answer raises to be a Failure."""


class ScriptedPool:
    """Answers calls with the functions in ``answers``, which get the parameters after the session."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[..., Any]] = {"session.logout": lambda: ""}
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.sessions: set[str] = set()
        self.url = ""
        self.raw: bytes | None = None
        """If set, the body of every answer."""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self, port: int = 0, host: str = "127.0.0.1") -> None:
        self._server = await asyncio.start_server(self._serve, host, port)
        self.url = f"http://{host}:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    async def restart(self) -> None:
        """Come back at the same address, having forgotten all sessions."""
        port = int(self.url.rpartition(":")[2])
        await self.close()
        self.sessions.clear()
        await self.open(port)

    def named(self, method: str) -> list[tuple[Any, ...]]:
        """Return the parameters of all calls of a method."""
        return [parameters for name, parameters in self.calls if name == method]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(
                    next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")).split(
                        b":"
                    )[1]
                )
                body = self.raw or await self._answer(await reader.readexactly(length))
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n" % len(body) + body
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, body: bytes) -> bytes:
        parameters, method = xmlrpc.client.loads(body)
        self.calls.append((method, parameters))
        try:
            if method == "session.login_with_password" and method not in self.answers:
                session = f"OpaqueRef:session-{len(self.calls)}"
                self.sessions.add(session)
                value: Any = session
            elif method == "session.login_with_password":
                value = self.answers[method](*parameters)
                self.sessions.add(value)
            else:
                if parameters[0] not in self.sessions:
                    raise RefusedError("SESSION_INVALID", parameters[0])
                value = self.answers[method](*parameters[1:])
                if inspect.isawaitable(value):
                    value = await value
            answer = {"Status": "Success", "Value": value}
        except RefusedError as error:
            answer = {"Status": "Failure", "ErrorDescription": list(error.args)}
        return xmlrpc.client.dumps((answer,), methodresponse=True).encode()


@pytest.fixture
def refused() -> type[Exception]:
    return RefusedError


@pytest.fixture
async def pool() -> AsyncIterator[ScriptedPool]:
    pool = ScriptedPool()
    await pool.open()
    yield pool
    await pool.close()


@pytest.fixture
async def master(pool) -> AsyncIterator[ScriptedPool]:
    """Another server at the same port of 127.0.0.2."""
    master = ScriptedPool()
    await master.open(int(pool.url.rpartition(":")[2]), "127.0.0.2")
    yield master
    await master.close()


@pytest.fixture
async def connection(pool) -> AsyncIterator[Connection]:
    connection = Connection(pool.url, "alice", "open sesame")
    yield connection
    await connection.close()
