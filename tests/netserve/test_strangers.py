"""What hostile, broken or slow clients get, and that the server goes on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl

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
    "too many tiny chunks": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 5_000, 400,
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


GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def begun(size: int, of: int = 50_000) -> bytes:
    """Return the beginning of a request."""
    return b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % of + b"x" * size


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n", begun(1)])
async def test_a_thousand_who_only_hold_connections_are_capped_and_keep_nobody_out(serve, dial, sent):
    server = await serve(connections=300)
    strangers = [await dial(server) for _ in range(1000)]
    for each in strangers:
        each.send(sent)
    raw = await dial(server)
    raw.send(GET)
    assert (await raw.response())[0] == 200
    for first in strangers[:700]:  # who came first was first to make room
        with contextlib.suppress(ConnectionError):
            assert await first.rest() == b""
    assert server.connections <= 300


async def test_those_inside_need_not_wait_until_a_crowd_has_come_in(serve):
    server = await serve()
    door = server.doors[0]
    with contextlib.ExitStack() as crowd:
        for _ in range(200):  # meanwhile nothing else happens
            crowd.enter_context(socket.create_connection((door.host, door.port)))
        turns = 0
        while server.connections < 200:
            await asyncio.sleep(0)
            turns += 1
    assert turns >= 100


async def test_who_is_being_answered_or_was_lately_does_not_make_room(serve, dial):
    go_on = asyncio.Event()

    async def handler(request: Request) -> Response:
        if request.target == "/slow":
            await go_on.wait()
        return Response(body=b"x")

    server = await serve(handler, connections=3)
    slow, lately, idle = await dial(server), await dial(server), await dial(server)
    slow.send(GET.replace(b"/ ", b"/slow ", 1))
    lately.send(GET)
    await lately.response()
    new = await dial(server)
    new.send(GET)
    assert (await new.response())[0] == 200
    with contextlib.suppress(ConnectionError):
        assert await idle.rest() == b""
    lately.send(GET)
    assert (await lately.response())[0] == 200
    go_on.set()
    assert (await slow.response())[0] == 200


async def test_who_never_says_goodbye_keeps_nobody_out(serve, dial, tls):
    done = asyncio.Semaphore(0)

    async def handler(_: Request) -> Response:
        done.release()
        return Response(body=b"x")

    server = await serve(handler, [Door("https", tls=tls, limits=Limits(connections=3))])
    context = ssl.create_default_context(cafile=tls.certificate)
    for _ in range(3):
        silent = await dial(server, context)
        silent.writer.transport.pause_reading()
        silent.send(b"GET / HTTP/1.0\r\n\r\n")
        await done.acquire()
    new = await dial(server, context)
    new.send(GET)
    assert (await new.response())[0] == 200


async def test_one_too_many_is_refused_if_all_are_being_answered(serve, dial):
    answering, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def handler(_: Request) -> Response:
        answering.release()
        await go_on.wait()
        return Response(body=b"x")

    server = await serve(handler, connections=2)
    busy = [await dial(server) for _ in range(2)]
    for each in busy:
        each.send(GET)
        await answering.acquire()
    refused = await dial(server)
    assert (await refused.response())[0] == 503
    go_on.set()
    for each in busy:
        assert (await each.response())[0] == 200
    again = await dial(server)
    again.send(GET)
    assert (await again.response())[0] == 200


async def test_one_address_makes_room_for_itself_alone(serve, dial):
    server = await serve(doors=[Door("http", host="*", limits=Limits(connections=100, connections_per_address=2))])
    other = await dial(server, come_from="127.0.0.2")
    first, second, third = [await dial(server) for _ in range(3)]
    for each in (other, second, third):
        each.send(GET)
        assert (await each.response())[0] == 200
    with contextlib.suppress(ConnectionError):
        assert await first.rest() == b""
    assert server.connections == 3


async def test_a_stalled_handshake_counts_and_is_cut(serve, dial, tls):
    server = await serve(doors=[Door("https", tls=tls, limits=Limits(connections=2, receive_timeout=0.3))])
    for each in [await dial(server) for _ in range(3)]:
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(each.rest(), 5) == b""


async def test_stalled_handshakes_keep_nobody_out(serve, dial, tls):
    server = await serve(doors=[Door("https", tls=tls, limits=Limits(connections=5))])
    for _ in range(50):
        await dial(server)
    client = await dial(server, ssl.create_default_context(cafile=tls.certificate))
    client.send(GET)
    assert (await client.response())[0] == 200


async def test_who_sends_most_has_to_go_if_it_is_too_much_of_all(serve, dial):
    server = await serve(received_size=100_000)
    small, big = await dial(server), await dial(server)
    small.send(begun(1_000))
    big.send(begun(49_000))
    greedy = [await dial(server) for _ in range(20)]
    for each in greedy:
        each.send(begun(49_999))
        with contextlib.suppress(ConnectionError):
            assert await each.rest() == b""
    for each, size in ((big, 49_000), (small, 1_000)):
        each.send(b"x" * (50_000 - size))
        assert (await each.response())[0] == 200


async def test_a_body_of_small_chunks_is_taken(serve, dial):
    body = os.urandom(200_000)
    chunks = b"".join(b"28\r\n" + body[at : at + 40] + b"\r\n" for at in range(0, len(body), 40))
    raw = await dial(await serve())
    raw.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    assert (await raw.response())[2] == body


async def test_what_is_answered_no_longer_counts_and_what_is_being_answered_does(serve, dial):
    answering, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def handler(request: Request) -> Response:
        if request.target == "/slow":
            answering.release()
            await go_on.wait()
        return Response(body=b"x")

    server = await serve(handler, received_size=100_000)
    again = await dial(server)
    for _ in range(5):
        again.send(begun(50_000))
        assert (await again.response())[0] == 200
    slow = [await dial(server) for _ in range(3)]
    for each in slow:
        each.send(begun(40_000, 40_000).replace(b"/ ", b"/slow ", 1))
        await answering.acquire()
    gone = 0
    go_on.set()
    for each in slow:
        try:
            gone += (await each.response())[0] != 200
        except (asyncio.IncompleteReadError, ConnectionError):
            gone += 1
    assert gone == 1


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
