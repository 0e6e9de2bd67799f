"""What a stranger may do to a server, and how long others wait meanwhile. Servers are processes; bytes are sent raw."""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import itertools
import select
import socket
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from configured_daemon import PASSWORD, USER, Daemon

LIMIT = 60.0
"""Seconds that a stranger waits for an answer, which each of these servers has to give or refuse sooner."""


@dataclass(frozen=True)
class Server:
    """A server, and how to talk to it."""

    daemon: Daemon
    door: str
    around: tuple[str, str]
    """What stands before and after a parameter's value in a call."""
    fields: tuple[str, ...] = ()
    """Header fields of a call, besides those that all have."""
    ordinary: bytes = b""
    """What an ordinary client asks."""
    right: bytes = b""
    """What is in every answer to it."""

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", urlsplit(self.daemon.doors[self.door]).port)

    def call(self, value: str | bytes, before: str = "") -> bytes:
        """A call with a parameter's value, well-formed or not, and perhaps something between prolog and call."""
        prolog, text = '<?xml version="1.0" encoding="utf-8"?>', value.encode() if isinstance(value, str) else value
        return (prolog + before + self.around[0]).encode() + text + self.around[1].encode()

    def head(self, *more: str, target: str = "/", own: Iterable[str] | None = None) -> bytes:
        """The header of a request, all but its length."""
        fields = ["Host: localhost", *(self.fields if own is None else own), *more]
        return f"POST {target} HTTP/1.1\r\n".encode() + "".join(f"{line}\r\n" for line in fields).encode()

    def post(self, body: bytes, *more: str, target: str = "/") -> list[bytes]:
        """A whole request."""
        return [self.head(f"Content-Length: {len(body)}", "Connection: close", *more, target=target) + b"\r\n", body]

    def message(self, call: str, fields: Iterable[str]) -> list[bytes]:
        """A whole request to pycimom, with another call and fields of its own."""
        begin, end = self.around[0].partition("<IMETHODCALL")[0], self.around[1].partition("</IMETHODCALL>")[2]
        body = (begin + call + end).encode()
        return [self.head(f"Content-Length: {len(body)}", "Connection: close", own=fields) + b"\r\n", body]

    @property
    def memory(self) -> int:
        """The most bytes of memory that it held since ``forget_memory``."""
        lines = Path(f"/proc/{self.daemon.process.pid}/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))

    def forget_memory(self) -> None:
        """Measure the most that it holds from now on."""
        Path(f"/proc/{self.daemon.process.pid}/clear_refs").write_text("5")

    def errors(self) -> list[dict[str, str]]:
        """What it has logged as an error since this was asked last."""
        found = []
        while not self.daemon.logged.empty():
            entry = self.daemon.logged.get()
            found += [entry] if entry["level"] in ("error", "critical") else []
        return found


def xenapid(daemon: Daemon, door: str) -> Server:
    """xenapid, and somebody who reads all VMs."""
    login = xmlrpc.client.dumps((USER, PASSWORD), "session.login_with_password").encode()
    around = ("<methodCall><methodName>VM.get_by_name_label</methodName><params><param><value>x</value></param>"
              "<param><value>", "</value></param></params></methodCall>")  # fmt: skip
    server = Server(daemon, door, around, ("Content-Type: text/xml",))
    answer = exchange(server.address, server.post(login))
    (told,), _ = xmlrpc.client.loads(answer.partition(b"\r\n\r\n")[2])
    ordinary = xmlrpc.client.dumps((told["Value"],), "VM.get_all_records").encode()
    return Server(daemon, door, around, server.fields, ordinary, b"<name>Status</name><value>Success")


def pycimom(daemon: Daemon, door: str) -> Server:
    """pycimom, and somebody who enumerates computer systems."""
    path = '<LOCALNAMESPACEPATH><NAMESPACE NAME="root"/><NAMESPACE NAME="cimv2"/></LOCALNAMESPACEPATH>'
    around = ('<CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="1" PROTOCOLVERSION="1.0"><SIMPLEREQ>'
              f'<IMETHODCALL NAME="EnumerateInstances">{path}<IPARAMVALUE NAME="ClassName">',
              "</IPARAMVALUE></IMETHODCALL></SIMPLEREQ></MESSAGE></CIM>")  # fmt: skip
    user = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    fields = ('Content-Type: application/xml; charset="utf-8"', f"Authorization: Basic {user}",
              "CIMOperation: MethodCall", "CIMMethod: EnumerateInstances", "CIMObject: root/cimv2")  # fmt: skip
    ordinary = Server(daemon, door, around).call('<CLASSNAME NAME="Xen_ComputerSystem"/>')
    return Server(daemon, door, around, fields, ordinary, b"<IRETURNVALUE>")


def exchange(address: tuple[str, int], pieces: Iterable[bytes]) -> bytes:
    """Send pieces, endless or not, until there is an answer, and return it; empty if the connection was cut."""
    with socket.create_connection(address, LIMIT) as connection:
        connection.setblocking(False)
        with contextlib.suppress(ConnectionError):  # whoever cuts a connection may have told why
            for piece in pieces:
                if not _sent(connection, piece):
                    break
        connection.settimeout(LIMIT)
        received = bytearray()
        with contextlib.suppress(ConnectionError):
            while data := connection.recv(1 << 16):
                received += data
        return bytes(received)


def _sent(connection: socket.socket, piece: bytes) -> bool:
    """Send a piece; return whether all of it could be sent before an answer came."""
    rest = memoryview(piece)
    while rest:
        readable, writable, _ = select.select([connection], [connection], [], LIMIT)
        if readable:
            return False
        if not writable:
            raise TimeoutError("the server neither reads nor answers")
        rest = rest[connection.send(rest) :]
    return True


def refused(answer: bytes) -> bool:
    """Whether an answer is a refusal: an error in HTTP, or in the protocol that is spoken."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1]) if head else 0
    return 400 <= status < 600 or b"<fault>" in body or b"<ERROR CODE=" in body


def times(server: Server, count: int, anew: bool = False) -> list[float]:
    """The seconds that an ordinary client waits for each of some answers; perhaps on a connection for each."""
    waited = []
    fields = dict(line.split(": ", 1) for line in server.fields)
    connection = http.client.HTTPConnection(*server.address, timeout=LIMIT)
    for _ in range(count):
        began = time.perf_counter()
        connection.request("POST", "/", server.ordinary, fields)
        answer = connection.getresponse().read()
        waited.append(time.perf_counter() - began)
        assert server.right in answer
        if anew:
            connection.close()
    connection.close()
    return waited


@contextlib.contextmanager
def again_and_again(act: Callable[[], object]) -> Iterator[None]:
    """Somebody who does one thing without a pause."""
    stopped = threading.Event()

    def work() -> None:
        while not stopped.is_set():
            act()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stopped.set()
    thread.join()


# --- what strangers send

LINK = 125_000_000
"""Bytes a second: a gigabit."""


def endless(piece: bytes, first: bytes) -> Iterator[bytes]:
    """Go on for ever, as fast as a link carries it."""
    yield first
    while True:
        yield piece
        time.sleep(len(piece) / LINK)


def document_type(server: Server, inside: str, value: str = "&x;") -> list[bytes]:
    return server.post(server.call(value, f"<!DOCTYPE x {inside}>"))


def bomb(levels: int = 12) -> str:
    """Entities that are ten of the next each: a few hundred bytes that mean 10 ** levels."""
    names = ["x", *(f"x{level}" for level in range(levels))]
    entities = [f'<!ENTITY {outer} "{f"&{inner};" * 10}">' for outer, inner in itertools.pairwise(names)]
    return f'[{"".join(entities)}<!ENTITY {names[-1]} "x">]'


def attributes(number: int) -> str:
    return "".join(["<a", *(f" a{each}=''" for each in range(number)), "/>"])


CHUNKED = "Transfer-Encoding: chunked"
MIB = 1 << 20
INPUTS: dict[str, Callable[[Server], Iterable[bytes]]] = {
    # HTTP
    "Content-Length and chunked": lambda it: it.post(it.call("x"), CHUNKED),
    "two Content-Lengths": lambda it: it.post(it.call("x"), "Content-Length: 7"),
    "two Hosts": lambda it: it.post(it.call("x"), "Host: elsewhere"),
    "a body too big": lambda it: [it.head(f"Content-Length: {1 << 40}") + b"\r\n"],
    "an endless body": lambda it: endless(b"10000\r\n" + b"<a>x</a>" * 8192 + b"\r\n", it.head(CHUNKED) + b"\r\n"),
    "endless tiny chunks": lambda it: endless(b"1\r\nx\r\n" * 10_000, it.head(CHUNKED) + b"\r\n"),
    "an endless chunk extension": lambda it: endless(b"x" * 65536, it.head(CHUNKED) + b"\r\n1;"),
    "endless trailers": lambda it: endless(b"X: x\r\n" * 10_000, it.head(CHUNKED) + b"\r\n0\r\n"),
    "an endless header": lambda it: endless(b"X: x\r\n" * 10_000, it.head()),
    "an endless header field": lambda it: endless(b"x" * 65536, it.head() + b"X: "),
    "an endless first line": lambda it: endless(b"x" * 65536, b"POST /"),
    "a compressed body": lambda it: it.post(gzip.compress(it.call("x" * 8 * MIB)), "Content-Encoding: gzip"),
    # XML
    "an entity bomb": lambda it: document_type(it, bomb()),
    "a big entity, often": lambda it: document_type(it, f'[<!ENTITY x "{"x" * 100_000}">]', "&x;" * 100_000),
    "an entity of parameters": lambda it: document_type(it, '[<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]', "x"),
    "a file as entity": lambda it: document_type(it, '[<!ENTITY x SYSTEM "file:///etc/passwd">]'),
    "a declaration elsewhere": lambda it: document_type(it, 'SYSTEM "http://127.0.0.1:9/x.dtd"', "x"),
    "deep nesting": lambda it: it.post(it.call("<value>" * 100_000)),
    "many elements": lambda it: it.post(it.call("<a/>" * 400_000)),
    "many values": lambda it: it.post(it.call("<array><data>" + "<value/>" * 200_000 + "</data></array>")),
    "many attributes": lambda it: it.post(it.call(attributes(150_000))),
    "a long name": lambda it: it.post(it.call(f"<{'a' * MIB}/>")),
    "bytes that are no UTF-8": lambda it: it.post(it.call(b"\xff\xfe")),
    "overlong UTF-8": lambda it: it.post(it.call(b"\xc0\xbc")),
    "half a character": lambda it: it.post(it.call(b"\xed\xa0\x80")),
    "zeros": lambda it: it.post(bytes(MIB)),
    "a zero in a text": lambda it: it.post(it.call(b"a\0b")),
    "a character that XML has not": lambda it: it.post(it.call("&#0;")),
    "an end too early": lambda it: it.post(it.call("x")[:-20]),
}
"""What both servers have to refuse, by what it is."""


def as_json(parameter: bytes) -> Callable[[Server], Iterable[bytes]]:
    body = b'{"jsonrpc": "2.0", "method": "VM.get_by_name_label", "id": 1, "params": ["x", %s]}' % parameter
    return lambda it: it.post(body, target="/jsonrpc")


JSON: dict[str, Callable[[Server], Iterable[bytes]]] = {
    "JSON, nested deeply": as_json(b"[" * 100_000 + b"]" * 100_000),
    "JSON, objects nested deeply": as_json(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "JSON, many values": as_json(b"[" + b"[]," * 600_000 + b"[]]"),
    "JSON, a number of a million digits": as_json(b"9" * 1_000_000),
    "JSON, a number too large": as_json(b"1e999"),
    "JSON, no number": as_json(b"NaN"),
    "JSON, half a character": as_json(rb'"\ud800"'),
    "JSON, bytes that are no UTF-8": as_json(b'"\xff"'),
    "JSON, many calls": lambda it: it.post(b"[" + b"{}," * 600_000 + b"{}]", target="/jsonrpc"),
}
"""What xenapid alone has to refuse."""
