"""What is secret is in no log and in no file: passwords, and the references of sessions."""

from __future__ import annotations

import base64
import contextlib
import http.client
import itertools
import json
import socket
import ssl
import xmlrpc.client
from collections.abc import Callable
from typing import Any

import pytest

from xenapid_process import PASSWORD, USER, Xenapid

WRONG, NEW = "a <wrong> guess & more", "a <new> password & more"


@pytest.fixture(scope="module", params=["lines", "json"])
def daemon(request):
    """The daemon, which logs all that there is to log, in either of its two forms."""
    form = ("--log-json",) if request.param == "json" else ()
    served = Xenapid(options=("--vms", "2", "--hosts", "1", "--log-level", "debug", *form))
    served.start()
    yield served
    served.close()


class OnUnix(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.host)


def connect(daemon: Xenapid, name: str) -> http.client.HTTPConnection:
    scheme, _, place = daemon.doors[name].partition("://")
    if scheme == "http+unix":
        connection = OnUnix("localhost", timeout=60)
        connection.host = place
        return connection
    port = int(place.rpartition(":")[2])
    if scheme == "http":
        return http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    context = ssl.create_default_context(cafile=daemon.folder / "tls" / "certificate.pem")
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)


def xml(method: str, *parameters: Any) -> bytes:
    return xmlrpc.client.dumps(parameters, method, allow_none=True).encode()


def json_1(method: str, *parameters: Any) -> bytes:
    return json.dumps({"id": 1, "method": method, "params": parameters}).encode()


def json_2(method: str, *parameters: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()


def post(connection: http.client.HTTPConnection, path: str, body: bytes, **headers: str) -> bytes:
    connection.request("POST", path, body, headers)
    return connection.getresponse().read()


def value(answer: bytes) -> Any:
    """Return the value of an answer in any of the protocols, its error if it failed."""
    if answer.startswith(b"<"):
        (told,), _ = xmlrpc.client.loads(answer)
        return told["Value"] if told["Status"] == "Success" else told["ErrorDescription"]
    told = json.loads(answer)
    error = told.get("error")
    return [error["message"], *error["data"]] if isinstance(error, dict) else error or told["result"]


def all_kinds_of_mistakes(ref: str, password: str, write: Callable[..., bytes]) -> list[bytes]:
    """Return bodies with a session's reference and a password, of which most are wrong in some way."""
    calls = [
        ("session.login_with_password", USER, WRONG),
        ("session.login_with_password", password),
        ("session.login_with_password", USER, password, "1.0", {"a": password}),
        ("session.change_password", ref, WRONG, NEW),
        ("session.get_record", ref, ref),
        ("session.get_uuid", ref, password),
        ("session.get_by_uuid", ref, ref),
        ("VM.get_record", ref, ref),
        ("VM.get_record", ref, ref, password, ref),
        ("VM.start", ref, ref, password),
        ("VM.none", ref, password),
        (password, ref),
        ("Async.VM.start", ref, ref, False, False),
        ("Async.session.change_password", ref, password, NEW),
        ("task.create", ref, "label", {ref: password}),  # parameters that are no texts
        ("event.from", ref, [ref, password], ref, 0.0),
        ("event.inject", ref, "session", ref),
        ("event.next", ref),
        ("session.logout_subject_identifier", ref, ref),
        ("session.add_to_other_config", ref, ref, ref, password),
        ("VM.get_all", {ref: password}),
    ]
    written = [write(*each) for each in calls]
    return [
        *written,
        written[0][:-9],
        written[4].replace(b"methodName", b"methodName>" + password.encode() + b"<"),
        written[4].replace(ref.encode(), f"<{ref}&{password}".encode()),
        f"{ref}{password}".encode(),
        f'{{"id": {ref}, {password}}}'.encode(),
        f'{{"jsonrpc": "{password}", "id": 1, "method": "{ref}"}}'.encode(),
        f"<methodCall><methodName>VM.get_all</methodName><params><param><{password.split()[0]}/>".encode(),
        f"<methodCall><{ref.replace(':', '')}/></methodCall>".encode(),
    ]


WAYS = list(itertools.product(["xenapi-http", "xenapi-https", "xenapi-unix"], [xml, json_1, json_2]))


@pytest.mark.parametrize(("door", "write"), WAYS, ids=lambda each: getattr(each, "__name__", each))
def test_neither_references_of_sessions_nor_passwords_are_written_anywhere(daemon, door, write):
    path = "/" if write is xml else "/jsonrpc"
    inside = connect(daemon, door)
    ref = value(post(inside, path, write("session.login_with_password", USER, PASSWORD)))
    assert ref.startswith("OpaqueRef:")
    assert value(post(inside, path, write("VM.get_all", ref)))
    if door != "xenapi-unix":
        assert value(post(inside, path, write("session.change_password", ref, PASSWORD, NEW))) in ("", None)
        assert value(post(inside, path, write("session.change_password", ref, NEW, PASSWORD))) in ("", None)
    for body in all_kinds_of_mistakes(ref, PASSWORD, write):
        assert post(inside, path, body)
    basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    post(inside, f"/rrd_updates?session_id={ref}&password={PASSWORD.replace(' ', '+')}", b"x", Cookie=f"session={ref}")
    post(inside, path, b"x", Authorization=f"Basic {basic}", Origin="http://127.0.0.1")
    inside.close()
    for line in (
        f"POST /{ref} {PASSWORD} HTTP/1.1",
        f"{ref}: {PASSWORD}",
        f"POST / HTTP/1.1\r\n{ref} : {PASSWORD}\r\n",
    ):
        outside = connect(daemon, door)
        outside.connect()
        with contextlib.suppress(OSError):
            outside.sock.sendall(f"{line}\r\n\r\n".encode())
            outside.sock.recv(1000)
        outside.close()
    again = connect(daemon, door)
    assert value(post(again, path, write("session.logout", ref))) in ("", None)
    assert value(post(again, path, write("VM.get_all", ref)))[0] == "SESSION_INVALID"
    again.close()

    log = (daemon.folder / "log").read_bytes()
    assert b"session_began" in log
    assert b"login_failed" in log or door == "xenapi-unix"
    assert b"request_malformed" in log
    places = {"log": log, **{str(file): file.read_bytes() for file in daemon.state.rglob("*") if file.is_file()}}
    secrets = [ref.removeprefix("OpaqueRef:"), PASSWORD, WRONG, NEW, basic]
    kept = [(place, secret) for place, text in places.items() for secret in secrets if secret.encode() in text]
    assert kept == [], [line for line in log.splitlines() if any(each.encode() in line for each in secrets)]


def test_a_restart_ends_sessions(daemon):
    connection = connect(daemon, "xenapi-http")
    ref = value(post(connection, "/", xml("session.login_with_password", USER, PASSWORD)))
    connection.close()
    assert daemon.end() == 0
    daemon.start()
    connection = connect(daemon, "xenapi-http")
    assert value(post(connection, "/", xml("VM.get_all", ref))) == ["SESSION_INVALID", ref]
    connection.close()
    assert ref.removeprefix("OpaqueRef:").encode() not in (daemon.folder / "log").read_bytes()
