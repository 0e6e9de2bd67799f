"""What hostile, broken or slow clients get, and that the server goes on."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netserve.doors import Door, Limits
from netserve.messages import Request, Response
from netserve.server import HttpServer

REFUSED = {
    "garbage": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "no version": (b"GET /\r\n\r\n", 400),
    "missing Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "bad header line": (b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400),
    "space before the colon": (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc", 400),
    "different Content-Lengths": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400),
    "the same Content-Length twice": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\ncontent-length: 3\r\n\r\nabc", 400,
    ),
    "a list of Content-Lengths": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", 400),
    "negative Content-Length": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\n", 400),
    "Content-Length of 5,000 digits": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 400,
    ),
    "Content-Length and chunked": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
    ),
    "unknown Transfer-Encoding": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    "two Transfer-Encodings": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "chunked in HTTP/1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "bad chunk": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "a body too big": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n", 413),
    "chunks too big": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n11170\r\n" + b"x" * 70000, 413,
    ),
    "a line without end": (b"GET /" + b"a" * 20_000, 431),
    "a header too big, all at once": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431),
    "too many headers": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 5_000 + b"\r\n", 431),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_refused_with_a_sentence_and_closed(serve, dial, name):
    data, expected = REFUSED[name]
    server = await serve(header_size=16 * 1024, body_size=64 * 1024)
    raw = await dial(server)
    raw.send(data)
    status, headers, body = await raw.response()
    assert status == expected
    assert headers["connection"] == "close"
    assert headers["content-type"].startswith("text/plain")
    assert body.endswith(b".\n")
    assert len(body) < 200
    assert await raw.rest() == b""
    good = await dial(server)
    good.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na")
    assert (await good.response())[::2] == (200, b"a")


async def test_one_who_goes_on_sending_can_still_read_the_refusal(serve, dial):
    raw = await dial(await serve(body_size=10))
    raw.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n")
    for _ in range(50):
        raw.send(b"x" * 100_000)
    await raw.writer.drain()
    assert (await raw.response())[0] == 413


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=200), st.binary(max_size=200))
def test_no_bytes_hurt(head, body):
    """Whatever is sent, the connection ends and the next client is served; nothing unexpected is raised in the loop."""

    async def run() -> int:
        problems = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))

        async def handler(_: Request) -> Response:
            return Response()

        server = HttpServer(handler, [Door("http", limits=Limits(receive_timeout=0.2, idle_timeout=0.2))])
        await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.doors[0].port)
        writer.write(head + b"\r\n\r\n" + body)
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.doors[0].port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await server.close(grace=0)
        assert not problems
        return int(answer.split()[1])

    assert asyncio.run(run()) == 200


async def test_a_slow_request_is_cut(serve, dial):
    raw = await dial(await serve(receive_timeout=0.1))
    raw.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
    assert (await raw.response())[0] == 408
    assert await raw.rest() == b""


async def test_dripping_bytes_does_not_help(serve, dial):
    raw = await dial(await serve(receive_timeout=0.1))

    async def drip() -> None:
        while True:
            raw.send(b"G")
            await asyncio.sleep(0.01)

    dripping = asyncio.create_task(drip())
    assert (await raw.response())[0] == 408
    dripping.cancel()


async def test_an_idle_connection_is_closed(serve, dial):
    raw = await dial(await serve(idle_timeout=0.1))
    assert await raw.rest() == b""
    used = await dial(await serve(idle_timeout=0.1))
    used.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await used.response()
    assert await used.rest() == b""


async def test_a_handler_may_take_longer_than_the_timeouts(serve, dial):
    async def handler(_: Request) -> Response:
        await asyncio.sleep(0.3)
        return Response(body=b"late")

    raw = await dial(await serve(handler, idle_timeout=0.05, receive_timeout=0.05))
    raw.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (await raw.response())[2] == b"late"


async def test_one_who_does_not_read_is_dropped(serve, dial):
    server = await serve(lambda _: answer(), receive_timeout=0.2)

    async def answer() -> Response:
        return Response(body=b"x" * 50_000_000)

    raw = await dial(server)
    raw.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.writer.transport.pause_reading()
    raw.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    async with asyncio.timeout(10):
        while not server.connections:
            await asyncio.sleep(0.01)
        while server.connections:
            await asyncio.sleep(0.01)


async def test_a_thousand_idle_connections_are_capped(serve, dial):
    server = await serve(connections=300)
    door = server.doors[0]
    clients: list[socket.socket] = []
    try:
        for _ in range(1000):
            client = socket.socket()
            client.setblocking(False)
            clients.append(client)
            await asyncio.get_running_loop().sock_connect(client, (door.host, door.port))
        async with asyncio.timeout(10):
            while server.connections > 300:
                await asyncio.sleep(0.01)
        refused = 0
        for client in clients[300:]:
            head = await asyncio.get_running_loop().sock_recv(client, 1000)
            refused += head.startswith(b"HTTP/1.1 503 ")
        assert refused == 700
        assert server.connections <= 300
        for client in clients[:10]:
            client.close()
        async with asyncio.timeout(10):
            while server.connections > 290:
                await asyncio.sleep(0.01)
        raw = await dial(server)
        raw.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await raw.response())[0] == 200
    finally:
        for client in clients:
            client.close()


async def test_a_stalled_handshake_counts_and_is_cut(serve, tls):
    server = await serve(doors=[Door("https", tls=tls, limits=Limits(connections=2, receive_timeout=0.3))])
    door = server.doors[0]
    stalled = [await asyncio.open_connection(door.host, door.port) for _ in range(2)]
    reader, writer = await asyncio.open_connection(door.host, door.port)
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    for reader, writer in stalled:
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


@pytest.mark.parametrize("how", ["half", "reset"])
async def test_the_handler_is_cancelled_when_the_client_hangs_up(serve, dial, how):
    began, ended = asyncio.Event(), asyncio.Event()

    async def handler(_: Request) -> Response:
        began.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        return Response()

    raw = await dial(await serve(handler))
    raw.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await began.wait()
    if how == "half":
        raw.writer.close()
    else:
        raw.writer.transport.abort()
    await asyncio.wait_for(ended.wait(), 5)


async def test_an_exception_is_a_500_that_says_nothing_and_a_log_that_says_all(serve, dial, capsys):
    async def handler(_: Request) -> Response:
        raise RuntimeError("the reason")

    raw = await dial(await serve(handler))
    raw.send(b"GET /x HTTP/1.1\r\nHost: h\r\nAuthorization: Basic c2VjcmV0\r\n\r\n")
    status, headers, body = await raw.response()
    assert (status, headers["connection"]) == (500, "close")
    assert b"the reason" not in body
    assert await raw.rest() == b""
    written = capsys.readouterr()
    logged = written.out + written.err
    assert "http.handler_failed" in logged
    assert "the reason" in logged
    assert "c2VjcmV0" not in logged


async def test_bad_headers_of_a_response_are_a_500(serve, dial):
    async def handler(_: Request) -> Response:
        return Response(headers=[("X", "a\r\nInjected: b")])

    raw = await dial(await serve(handler))
    raw.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (await raw.response())[0] == 500


async def test_a_body_that_fails_half_way_is_seen_to_be_cut_short(serve, dial):
    async def body():
        yield b"half"
        raise RuntimeError("no more")

    async def handler(_: Request) -> Response:
        return Response(body=body())

    raw = await dial(await serve(handler))
    raw.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await raw.response()
    assert not (await raw.rest()).endswith(b"0\r\n\r\n")
