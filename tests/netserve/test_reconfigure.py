"""Doors that open, close and stay while the server runs."""

from __future__ import annotations

import asyncio
import shutil
import ssl

import pytest

from netserve.certificates import ensure
from netserve.doors import Door, Limits, Tls
from netserve.messages import Response
from netserve.server import DoorError, HttpServer

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


async def asked(raw) -> int:
    raw.send(GET)
    return (await raw.response())[0]


async def test_what_stays_keeps_its_connections_and_the_rest_opens_and_closes(serve, dial, tmp_path):
    stays, goes = Door("stays"), Door("goes")
    server = await serve(doors=[stays, goes])
    kept_port = server.doors[0].port
    inside, outgoing = await dial(server.doors[0]), await dial(server.doors[1])
    assert (await asked(inside), await asked(outgoing)) == (200, 200)
    left = server.doors[1]
    comes = Door("comes", path=tmp_path / "s.sock")
    await server.reconfigure([comes, stays])
    assert [each.name for each in server.doors] == ["comes", "stays"]
    assert server.doors[1].port == kept_port
    assert await asked(inside) == 200
    assert await outgoing.rest() == b""
    assert await asked(await dial(server.doors[0])) == 200
    with pytest.raises(ConnectionRefusedError):
        await dial(left)


@pytest.mark.parametrize("change", ["limits", "tls", "hosts", "name", "anywhere"])
async def test_a_door_that_changes_takes_the_place_of_the_old_one(serve, dial, tls, change):
    server = await serve()
    port = server.doors[0].port
    await server.reconfigure([Door("http", port=port)])
    old = await dial(server)
    assert await asked(old) == 200
    changed = {
        "limits": Door("http", port=port, limits=Limits(connections=1)),
        "tls": Door("http", port=port, tls=tls),
        "hosts": Door("http", port=port, allowed_hosts=("x",)),
        "name": Door("other", port=port),
        "anywhere": Door("http", host="*", port=port),
    }[change]
    await server.reconfigure([changed])
    assert await old.rest() == b""
    assert [each.port for each in server.doors] == [port]
    new = await dial(Door("", port=port))
    if change in ("limits", "name", "anywhere"):
        assert await asked(new) == 200
    elif change == "hosts":
        assert await new.rest() == b""


async def test_a_door_that_cannot_open_changes_nothing(serve, dial, tmp_path, tls):
    server = await serve(doors=[Door("a"), Door("b", path=tmp_path / "b.sock"), Door("c")])
    before = server.doors
    taken = (await serve()).doors[0].port
    inside = [await dial(each) for each in before]
    bad = [
        [Door("a"), Door("new", port=taken)],
        [Door("new"), Door("folder", path=tmp_path / "none" / "s.sock")],
        [Door("new", tls=Tls(tmp_path / "no.pem", tmp_path / "no.key"))],
        [Door("new", allowed_hosts=("[",))],
        [Door("new", host="192.0.2.1")],
    ]
    for doors in bad:
        with pytest.raises(DoorError):
            await server.reconfigure(doors)
        assert server.doors == before
        assert [await asked(each) for each in inside] == [200] * 3
        assert [await asked(await dial(each)) for each in before] == [200] * 3


async def test_a_replaced_certificate_is_served_to_those_who_come_later(serve, tmp_path, tls):
    own = Tls(tmp_path / "certificate.pem", tmp_path / "key.pem")
    shutil.copy(tls.certificate, own.certificate)
    shutil.copy(tls.key, own.key)
    door = Door("https", tls=own)
    server = await serve(doors=[door])

    async def come(authority: Tls):
        context = ssl.create_default_context(cafile=authority.certificate)
        return await asyncio.open_connection("127.0.0.1", server.doors[0].port, ssl=context)

    async def ask(reader, writer) -> bytes:
        writer.write(GET)
        return (await reader.readuntil(b"\r\n\r\n")).split()[1]

    earlier = await come(tls)
    assert await ask(*earlier) == b"200"
    other = ensure(tmp_path / "other")
    shutil.copy(other.certificate, own.certificate)
    with pytest.raises(DoorError, match="certificate or key"):  # the key does not belong to it yet
        await server.reconfigure([door])
    (await come(tls))[1].close()
    shutil.copy(other.key, own.key)
    await server.reconfigure([door])
    assert await ask(*earlier) == b"200"
    later = await come(other)
    assert await ask(*later) == b"200"
    for _, writer in (earlier, later):
        writer.close()


async def test_an_answer_under_way_behind_a_closing_door_is_given(dial):
    began, go_on = asyncio.Event(), asyncio.Event()

    async def handler(_):
        began.set()
        await go_on.wait()
        return Response(body=b"done")

    server = HttpServer(handler, [Door("http")])
    await server.start()
    raw = await dial(server)
    raw.send(GET)
    await began.wait()
    closing = asyncio.create_task(server.reconfigure([], grace=10))
    while server.doors:
        await asyncio.sleep(0)
    go_on.set()
    _, headers, body = await raw.response()
    assert (headers["connection"], body) == ("close", b"done")
    await asyncio.wait_for(closing, 5)
    assert server.connections == 0
    await server.close(grace=0)


async def test_whoever_waits_behind_a_closing_door_is_let_go_after_the_grace(dial):
    began, ended = asyncio.Event(), asyncio.Event()

    async def handler(_):
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    server = HttpServer(handler, [Door("http")])
    await server.start()
    raw = await dial(server)
    raw.send(GET)
    await began.wait()
    await asyncio.wait_for(server.reconfigure([], grace=0.05), 5)
    assert await raw.rest() == b""
    assert ended.is_set()
    await server.close(grace=0)
