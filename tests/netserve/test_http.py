"""What HTTP clients get: requests reach the handler whole, and answers come back in order and in full."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netserve.messages import Request, Response


async def test_any_method_reaches_the_handler(serve, dial):
    raw = await dial(await serve())
    for method in ("GET", "POST", "M-POST", "OPTIONS", "DELETE", "UNHEARD-OF"):
        raw.send(f"{method} /cimom?a=b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi".encode())
        status, headers, body = await raw.response()
        assert (status, headers["x-method"], headers["x-target"], body) == (200, method, "/cimom?a=b", b"hi")


async def test_headers_come_in_order_in_lower_case(serve, dial):
    seen: list[Request] = []

    async def handler(request: Request) -> Response:
        seen.append(request)
        return Response()

    server = await serve(handler)
    raw = await dial(server)
    raw.send(b"POST / HTTP/1.1\r\nHost: h\r\nCIMObject: root/cimv2\r\nX-A: 1\r\nx-a:  2 \r\nX-L: \xe9\r\n\r\n")
    await raw.response()
    (request,) = seen
    assert request.headers.fields == (
        ("host", "h"), ("cimobject", "root/cimv2"), ("x-a", "1"), ("x-a", "2"), ("x-l", "é"),
    )  # fmt: skip
    assert request.headers.get("X-A") == "1"
    assert list(request.headers.all("X-a")) == ["1", "2"]
    assert request.peer.address == "127.0.0.1"
    assert request.door is server.doors[0]


async def test_pipelined_requests_are_answered_in_turn(serve, dial):
    async def handler(request: Request) -> Response:
        await asyncio.sleep(0.02 if request.target == "/0" else 0)
        return Response(body=request.target.encode())

    raw = await dial(await serve(handler))
    raw.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % n for n in range(50)))
    assert [(await raw.response())[2] for _ in range(50)] == [b"/%d" % n for n in range(50)]


async def test_far_more_pipelined_than_is_read_ahead(serve, dial):
    raw = await dial(await serve())
    body = b"x" * 30_000
    raw.send((b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 30000\r\n\r\n" + body) * 20)
    for _ in range(20):
        assert (await raw.response())[2] == body


async def test_chunked_request(serve, dial):
    raw = await dial(await serve())
    raw.send(
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: t\r\n\r\n"
    )
    assert (await raw.response())[2] == b"abcde"


async def test_expect_continue(serve, dial):
    raw = await dial(await serve())
    raw.send(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert (await raw.response())[0] == 100
    raw.send(b"abc")
    assert (await raw.response())[::2] == (200, b"abc")


async def test_expect_continue_is_not_answered_for_a_body_that_is_refused(serve, dial):
    raw = await dial(await serve(body_size=2))
    raw.send(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert (await raw.response())[0] == 413


async def test_http_1_0_without_host_is_closed_after_the_answer(serve, dial):
    raw = await dial(await serve())
    raw.send(b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc")
    status, _, body = await raw.response()
    assert (status, body, await raw.rest()) == (200, b"abc", b"")


async def test_connection_close_is_honoured(serve, dial):
    raw = await dial(await serve())
    raw.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    _, headers, _ = await raw.response()
    assert headers["connection"] == "close"
    assert await raw.rest() == b""


async def test_empty_lines_before_a_request_are_ignored(serve, dial):
    raw = await dial(await serve())
    raw.send(b"\r\n")
    raw.send(b"\r\nPOST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na\r\n")
    assert (await raw.response())[2] == b"a"
    raw.send(b"GET /again HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (await raw.response())[1]["x-target"] == "/again"


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_body_keep_the_connection(serve, dial, status):
    async def handler(_: Request) -> Response:
        return Response(status, body=b"" if status == 204 else b"entity")

    raw = await dial(await serve(handler))
    for _ in range(2):
        raw.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await raw.response(head_only=True))[0] == status


async def test_head_gets_the_length_and_no_body(serve, dial):
    async def handler(request: Request) -> Response:
        return Response(body=[b"abc", b"de"])

    raw = await dial(await serve(handler))
    for _ in range(2):
        raw.send(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await raw.response(head_only=True))[1]["content-length"] == "5"


async def test_every_answer_has_a_date(serve, dial):
    raw = await dial(await serve())
    raw.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (await raw.response())[1]["date"].endswith("GMT")


async def test_a_sequence_is_sent_in_order_with_its_length(serve):
    parts = [b"a" * 700_000, b"", b"b", *[b"%06d" % n for n in range(100_000)], b"z" * 300_000]

    async def handler(_: Request) -> Response:
        return Response(body=parts)

    server = await serve(handler)
    async with httpx.AsyncClient() as client:
        answer = await client.get(server.doors[0].url)
    assert answer.headers["content-length"] == str(sum(map(len, parts)))
    assert answer.content == b"".join(parts)


async def stream() -> AsyncIterator[bytes]:
    for piece in (b"one ", b"", b"two"):
        yield piece
        await asyncio.sleep(0)


async def test_an_asynchronous_body_is_chunked(serve, dial):
    async def handler(_: Request) -> Response:
        return Response(body=stream())

    raw = await dial(await serve(handler))
    for _ in range(2):
        raw.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        _, headers, _ = await raw.response()
        assert headers["transfer-encoding"] == "chunked"
        assert await raw.reader.readuntil(b"0\r\n\r\n") == b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"


async def test_an_asynchronous_body_ends_with_the_connection_in_http_1_0(serve, dial):
    async def handler(_: Request) -> Response:
        return Response(body=stream())

    raw = await dial(await serve(handler))
    raw.send(b"GET / HTTP/1.0\r\n\r\n")
    _, headers, _ = await raw.response()
    assert "transfer-encoding" not in headers
    assert await raw.rest() == b"one two"


async def test_http_client_of_the_standard_library(serve):
    server = await serve()
    door = server.doors[0]

    def talk() -> list[bytes]:
        client = http.client.HTTPConnection(door.host, door.port, timeout=10)
        answers = []
        for body in (b"first", iter([b"chunk", b"ed"]), b"last"):
            client.request("POST", "/RPC2", body=body)
            answers.append(client.getresponse().read())
        client.close()
        return answers

    assert await asyncio.to_thread(talk) == [b"first", b"chunked", b"last"]


async def test_a_client_that_shuts_its_sending_side_still_gets_a_quick_answer(serve, dial):
    async def handler(_: Request) -> Response:
        await asyncio.sleep(0.01)
        return Response(body=b"here")

    raw = await dial(await serve(handler))
    raw.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    raw.writer.write_eof()
    assert (await raw.response())[2] == b"here"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bodies=st.lists(st.binary(max_size=300), min_size=1, max_size=5),
    chunked=st.booleans(),
    cuts=st.lists(st.integers(1, 60), min_size=1, max_size=12),
)
def test_it_does_not_matter_how_the_bytes_arrive(bodies, chunked, cuts):
    """Requests cut anywhere, one after another on one connection, come back whole and in order."""
    from netserve.doors import Door
    from netserve.server import HttpServer

    async def handler(request: Request) -> Response:
        return Response(body=request.body)

    def wire(body: bytes) -> bytes:
        if not chunked:
            return b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        halves = [half for half in (body[: len(body) // 2], body[len(body) // 2 :]) if half]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(half), half) for half in halves)
        return b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"

    async def run() -> list[bytes]:
        server = HttpServer(handler, [Door("http")])
        await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.doors[0].port)
        data = b"".join(map(wire, bodies))
        at = 0
        for number in range(len(data)):
            if at >= len(data):
                break
            size = cuts[number % len(cuts)]
            writer.write(data[at : at + size])
            await writer.drain()
            await asyncio.sleep(0)
            at += size
        answers = []
        for _ in bodies:
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            answers.append(await reader.readexactly(size))
        writer.close()
        await server.close(grace=0)
        return answers

    assert asyncio.run(run()) == bodies
