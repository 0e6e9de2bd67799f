"""Opening doors, entering through them, and closing them."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import stat
import warnings

import httpx
import pytest

from client_certificate import client_certificate
from netserve.doors import Door, Limits, Tls
from netserve.messages import Request, Response
from netserve.server import DoorError, HttpServer


async def who(request: Request) -> Response:
    """Answer with what is known of the client."""
    certificate = request.peer.certificate
    subject = dict(pair[0] for pair in certificate["subject"])["commonName"] if certificate else None
    return Response(body=f"{request.door.name} {request.peer.address} {request.peer.uid} {subject}".encode())


async def test_several_doors_of_one_server(serve, tmp_path, tls):
    doors = [Door("http"), Door("https", tls=tls), Door("socket", path=tmp_path / "s.sock")]
    server = await serve(who, doors)
    http, https, local = server.doors
    assert http.port > 0
    assert https.url == f"https://127.0.0.1:{https.port}"
    assert local.url == f"http+unix://{tmp_path}/s.sock"
    context = ssl.create_default_context(cafile=tls.certificate)
    async with httpx.AsyncClient(verify=context) as client:
        assert (await client.post(http.url)).text == "http 127.0.0.1 None None"
        assert (await client.post(https.url)).text == "https 127.0.0.1 None None"
        assert (await client.post(f"https://localhost:{https.port}")).status_code == 200
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(local.path))) as client:
        assert (await client.post("http://localhost/")).text == f"socket None {os.getuid()} None"


def test_the_url_of_an_ipv6_door():
    assert Door("http", host="::1", port=80).url == "http://[::1]:80"


async def test_big_bodies_over_tls(serve, tls):
    body = os.urandom(3_000_000)

    async def handler(request: Request) -> Response:
        return Response(body=request.body)

    server = await serve(handler, [Door("https", tls=tls)])
    async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=tls.certificate)) as client:
        assert (await client.post(server.doors[0].url, content=body)).content == body


async def test_old_tls_is_refused(serve, tls):
    server = await serve(who, [Door("https", tls=tls)])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(tls.certificate)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ConnectionError, ssl.SSLError)):
        await asyncio.open_connection("127.0.0.1", server.doors[0].port, ssl=context)


async def test_client_certificates(serve, tls, tmp_path):
    known, unknown = client_certificate(tmp_path, "operator"), client_certificate(tmp_path, "stranger")
    server = await serve(who, [Door("https", tls=Tls(tls.certificate, tls.key, known.certificate))])

    async def ask(certificate: Tls | None) -> str:
        context = ssl.create_default_context(cafile=tls.certificate)
        if certificate is not None:
            context.load_cert_chain(certificate.certificate, certificate.key)
        async with httpx.AsyncClient(verify=context) as client:
            return (await client.post(server.doors[0].url)).text.split()[-1]

    assert await ask(known) == "operator"
    for refused in (None, unknown):
        with pytest.raises(httpx.HTTPError):
            await ask(refused)


async def test_a_port_in_use_is_one_sentence_and_opens_nothing(serve, tmp_path):
    taken = (await serve()).doors[0].port
    path = tmp_path / "s.sock"
    server = HttpServer(who, [Door("socket", path=path), Door("wbem", port=taken)])
    with pytest.raises(DoorError) as raised:
        await server.start()
    assert str(raised.value) == (
        f"The door 'wbem' cannot be opened at http://127.0.0.1:{taken}: the port is already in use."
    )
    assert isinstance(raised.value, OSError)
    assert server.doors == ()
    assert not path.exists()


@pytest.mark.parametrize("order", [1, -1])
async def test_a_name_with_several_addresses_means_that_of_ipv4(serve, dial, monkeypatch, order):
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
    ]

    async def getaddrinfo(*_, **__):
        return found[::order]

    with monkeypatch.context() as patched:
        patched.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        server = await serve(who, [Door("http", host="localhost")])
    raw = await dial(Door("", "127.0.0.1", server.doors[0].port))
    raw.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (await raw.response())[0] == 200


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
async def test_an_address_of_another_machine(host):
    with pytest.raises(DoorError, match=r"address (is not one )?of this machine|is not an address of this machine"):
        await HttpServer(who, [Door("http", host=host)]).start()


async def test_a_missing_certificate(tmp_path):
    tls = Tls(tmp_path / "no.pem", tmp_path / "no.key")
    with pytest.raises(DoorError, match="certificate or key cannot be used"):
        await HttpServer(who, [Door("https", tls=tls)]).start()


async def test_a_stale_socket_is_replaced(serve, tmp_path):
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
        left.listen()
    await serve(who, [Door("socket", path=path)])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_live_socket_is_in_use(serve, tmp_path):
    path = tmp_path / "s.sock"
    await serve(who, [Door("socket", path=path)])
    with pytest.raises(DoorError, match="already in use"):
        await HttpServer(who, [Door("socket", path=path)]).start()
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(path))) as client:
        assert (await client.get("http://localhost/")).status_code == 200


async def test_a_file_that_is_no_socket_stays(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(DoorError, match="no socket"):
        await HttpServer(who, [Door("socket", path=path)]).start()
    assert path.read_text() == "data"


async def test_the_path_of_a_socket_has_a_limit(serve, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    await serve(who, [Door("socket", path=tmp_path.relative_to(tmp_path) / ("s" * 107))])
    with pytest.raises(DoorError, match="107 bytes"):
        await HttpServer(who, [Door("socket", path=tmp_path.relative_to(tmp_path) / ("s" * 108))]).start()


async def test_a_missing_folder_is_said(tmp_path):
    with pytest.raises(DoorError, match="the folder does not exist"):
        await HttpServer(who, [Door("socket", path=tmp_path / "none" / "s")]).start()


async def test_closing_waits_for_answers_under_way(tmp_path):
    began, go_on = asyncio.Event(), asyncio.Event()

    async def handler(_: Request) -> Response:
        began.set()
        await go_on.wait()
        return Response(body=b"done")

    path = tmp_path / "s.sock"
    server = HttpServer(handler, [Door("socket", path=path)])
    await server.start()
    idle, idle_writer = await asyncio.open_unix_connection(str(path))
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await began.wait()
    closing = asyncio.create_task(server.close(grace=10))
    assert await idle.read() == b""
    assert not path.exists()
    go_on.set()
    answer = await reader.read()
    assert b"connection: close" in answer.lower()
    assert answer.endswith(b"done")
    await asyncio.wait_for(closing, 5)
    writer.close()
    idle_writer.close()


async def test_closing_cancels_what_outlasts_the_grace(dial):
    began, ended = asyncio.Event(), asyncio.Event()

    async def handler(_: Request) -> Response:
        began.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        return Response()

    server = HttpServer(handler, [Door("http", limits=Limits(idle_timeout=3600))])
    await server.start()
    raw = await dial(server)
    raw.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await began.wait()
    await server.close(grace=0.05)
    assert ended.is_set()
    assert await raw.rest() == b""


async def test_a_server_can_be_opened_again_at_the_same_address(dial):
    first = HttpServer(who, [Door("http")])
    await first.start()
    raw = await dial(first)
    raw.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await raw.response()
    (door,) = first.doors
    await first.close(grace=0)
    second = HttpServer(who, [door])
    await second.start()
    assert second.doors == (door,)
    await second.close(grace=0)
