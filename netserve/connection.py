"""One HTTP connection: bytes to requests, one at a time, and responses back.

h11 reads and writes the heads and the framing and keeps the order of things; this file adds what a server owes to
strangers: limits, time-outs, flow control, and an end to work that nobody waits for.
"""

from __future__ import annotations

import asyncio
import enum
import math
import re
import socket
import struct
import time
from collections.abc import AsyncIterable, Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import cast

import h11
import structlog

from netserve.doors import Door
from netserve.guests import Guest, Guests
from netserve.messages import Handler, Headers, Peer, Request, Response

log = structlog.get_logger(__name__)

WRITE_SIZE = 256 * 1024
"""Response bodies are handed to the transport in pieces of about this size, each when the last has mostly gone."""
PIPELINED_SIZE = 64 * 1024
"""How much a client may send ahead while its request is being answered, before it is no longer read."""
SMALL_CHUNK = 32
FREE_CHUNKS = 250
"""A body may come in chunks of SMALL_CHUNK bytes on average, its first FREE_CHUNKS not counted: each costs as much time
as kilobytes do."""
LINGER = 2.0
"""Seconds for which a refused client may go on sending, so that it gets to read why it was refused."""
HALF_CLOSE_GRACE = 0.5
"""Seconds that a handler still has once the client has shut its sending side, which may mean either that it waits for
its answer or that it is gone."""

_END_OF_HEAD = re.compile(rb"\n\r?\n")
_CONTENT_LENGTH = re.compile(rb"\ncontent-length[ \t]*:([^\n]*)", re.IGNORECASE)
_PEER_CREDENTIALS = struct.Struct("3i")


class _State(enum.Enum):
    IDLE = enum.auto()
    RECEIVING = enum.auto()
    ANSWERING = enum.auto()
    LEAVING = enum.auto()


class _RefusalError(Exception):
    """A request that is answered here and not by the handler; the connection ends with it."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass
class OpenDoor:
    """A door while it is open, and everybody inside."""

    door: Door
    handler: Handler
    connections: set[Connection] = field(default_factory=set)
    entering: set[asyncio.Task[bool]] = field(default_factory=set)
    """Those who are on their way in, most of them in a TLS handshake."""
    empty: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the last connection has ended while the door was closing."""
    closing: bool = False
    """The server is about to stop: answers end their connections."""

    def __post_init__(self) -> None:
        self.guests = Guests(self.door.limits)


class _Passthrough:
    """Tells h11 how many bytes of body pass, without showing it the bytes."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size


class Connection(asyncio.Protocol):
    """The protocol of one client's connection."""

    def __init__(self, at: OpenDoor, guest: Guest) -> None:
        self._guest = guest
        self._at = at
        self._limits = self._at.door.limits
        self._loop = asyncio.get_running_loop()
        self._http = self._new_cycle()
        self._state = _State.IDLE
        self._deadline = math.inf
        self._head = b""
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._chunks = 0
        self._ahead = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._half_closed = False
        self._writable: asyncio.Future[None] | None = None

    def _new_cycle(self) -> h11.Connection:
        return h11.Connection(h11.SERVER, max_incomplete_event_size=self._limits.header_size)

    # The life of the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with a client, or turn away the one that is too many."""
        self._transport = cast(asyncio.Transport, transport)
        self._at.connections.add(self)
        self._guest.dismiss = self._dismissed
        if not self._guest.welcome:
            self._refuse(503, "Too many connections are open.")
            return
        self._transport.set_write_buffer_limits(high=WRITE_SIZE)
        self._peer = _peer(self._transport, self._guest.address)
        self._rest()
        self._deadline = min(self._deadline, self._loop.time() + self._limits.receive_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """End what still runs for this client."""
        self._guest.leave()
        self._at.connections.discard(self)
        if self._at.closing and not self._at.connections:
            self._at.empty.set()
        self._state = _State.LEAVING
        if self._task is not None:
            self._task.cancel()
        if self._writable is not None and not self._writable.done():
            self._writable.cancel()

    def eof_received(self) -> bool:
        """Let a running handler finish if it is quick; anything else ends here."""
        self._half_closed = True
        if self._state is not _State.ANSWERING:
            return False
        self._loop.call_later(HALF_CLOSE_GRACE, self._transport.abort)
        return True

    def check_deadline(self, now: float) -> None:
        """End the connection if it has overrun a limit of time. Called about once a second."""
        if now < self._deadline:
            return
        if self._state is _State.RECEIVING:
            self._refuse(408, "The request took too long to arrive.")
        else:
            self._transport.abort()

    def finish(self) -> None:
        """Close now if nothing is being answered; otherwise the answer will be the last."""
        if self._state is _State.ANSWERING:
            return
        if self._transport.get_write_buffer_size():
            self._transport.close()
        else:
            # Nothing is lost, and an idle TLS client that never says goodbye does not hold us up.
            self._transport.abort()

    def abort(self) -> asyncio.Task[None] | None:
        """Drop the connection, cancel the handler, and return its task for those who want to see it end."""
        if self._task is not None:
            self._task.cancel()
        self._transport.abort()
        return self._task

    def _dismissed(self) -> None:
        """End for the sake of others, at once: whoever lingers would still take a place."""
        log.debug("http.dismissed", door=self._at.door.name, state=self._state.name)
        self._state = _State.LEAVING
        self.abort()

    # Receiving

    def data_received(self, data: bytes) -> None:
        """Take what came: part of a request, or of the next one."""
        if self._state is _State.LEAVING:
            return
        if self._state is _State.ANSWERING:
            self._guest.holds(len(data))
            self._ahead += data
            if len(self._ahead) > PIPELINED_SIZE:
                self._transport.pause_reading()
            return
        if self._state is _State.IDLE:
            data = data.lstrip(b"\r\n")  # RFC 9112 2.2: empty lines before a request are ignored
            if not data:
                return
            self._state = _State.RECEIVING
            self._deadline = self._loop.time() + self._limits.receive_timeout
        self._guest.holds(len(data))
        if self._transport.is_closing():
            return
        if self._request is None:
            self._head = self._head + data if self._head else data
        self._http.receive_data(data)
        try:
            self._receive()
        except h11.RemoteProtocolError as error:
            sentence = str(error).partition(":")[0]  # what follows is the client's own words, perhaps secret ones
            self._refuse(error.error_status_hint, f"{sentence}.")
        except _RefusalError as refusal:
            self._refuse(refusal.status, str(refusal))
        except ValueError:  # h11 takes a Content-Length of any number of digits to int()
            self._refuse(400, "A header field is not valid.")

    def _receive(self) -> None:
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Data):
                self._chunks += event.chunk_start
                self._take_body(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self._dispatch()
                return
            elif isinstance(event, h11.Request):
                self._take_head(event)
            else:
                if self._http.they_are_waiting_for_100_continue:
                    self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
                return

    def _take_head(self, request: h11.Request) -> None:
        end = _END_OF_HEAD.search(self._head)
        head = self._head[: end.start()] if end else self._head
        self._head = b""
        if len(head) > self._limits.header_size:
            raise _RefusalError(431, "The header of the request is too big.")
        lengths = _CONTENT_LENGTH.findall(head)
        if lengths:
            if len(lengths) > 1 or b"," in lengths[0]:
                raise _RefusalError(400, "The request has more than one Content-Length.")
            if int(lengths[0]) > self._limits.body_size:
                raise _RefusalError(413, f"The body may have {self._limits.body_size} bytes at most.")
        if b"\ntransfer-encoding" in head.lower():
            if lengths:
                raise _RefusalError(400, "The request has both Content-Length and Transfer-Encoding.")
            if request.http_version < b"1.1":
                raise _RefusalError(400, "Transfer-Encoding is not part of HTTP/1.0.")
        self._request = request

    def _take_body(self, data: bytes) -> None:
        self._body += data
        if self._chunks > FREE_CHUNKS + len(self._body) // SMALL_CHUNK:
            raise _RefusalError(400, "The body comes in too many tiny chunks.")
        if len(self._body) > self._limits.body_size:
            raise _RefusalError(413, f"The body may have {self._limits.body_size} bytes at most.")

    def _dispatch(self) -> None:
        if self._request is None:
            raise _RefusalError(400, "The request has no head.")
        request = Request(
            self._request.method.decode("latin-1"),
            self._request.target.decode("latin-1"),
            Headers(tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in self._request.headers)),
            bytes(self._body),
            self._peer,
            self._at.door,
        )
        self._body = bytearray()
        self._chunks = 0
        self._state = _State.ANSWERING
        self._guest.busy = True
        self._deadline = math.inf
        self._task = self._loop.create_task(self._answer(request))

    # Answering

    async def _answer(self, request: Request) -> None:
        try:
            response = await self._at.handler(request)
            await self._send(request.method, response)
        except asyncio.CancelledError:
            self._transport.abort()
            raise
        except Exception:
            path = request.target.partition("?")[0]  # a query may hold a secret
            log.exception("http.handler_failed", door=self._at.door.name, method=request.method, path=path)
            self._task = None
            if self._http.our_state is h11.SEND_RESPONSE:
                self._refuse(500, "The server failed to answer; its log says why.")
            else:
                self._transport.abort()  # so that the client sees that the answer is cut short
            return
        self._task = None
        self._next()

    async def _send(self, method: str, response: Response) -> None:
        body = response.body
        headers = [*response.headers, ("Date", _date())]
        if self._at.closing or self._half_closed:
            headers.append(("Connection", "close"))
        if isinstance(body, AsyncIterable):
            self._write(self._http.send(h11.Response(status_code=response.status, headers=headers)))
            if _has_body(method, response.status):
                async for piece in body:
                    if piece:
                        self._write(self._http.send(h11.Data(data=piece)))
                        await self._drain()
            self._write(self._http.send(h11.EndOfMessage()))
            return
        parts: Sequence[bytes] = (body,) if isinstance(body, bytes) else body
        size = sum(map(len, parts))
        if response.status not in (204, 304):
            headers.append(("Content-Length", str(size)))
        head = self._http.send(h11.Response(status_code=response.status, headers=headers))
        if size and _has_body(method, response.status):
            self._http.send_with_data_passthrough(h11.Data(data=_Passthrough(size)))  # type: ignore[arg-type]
            self._http.send(h11.EndOfMessage())
            pieces = _pieces(parts)
            self._transport.writelines([head or b"", next(pieces)])
            for rest in pieces:
                await self._drain()
                self._transport.write(rest)
        else:
            self._write(head)
            self._http.send(h11.EndOfMessage())
        if self._writable is not None:
            await self._drain()

    def _write(self, data: bytes | None) -> None:
        if data:
            self._transport.write(data)

    async def _drain(self) -> None:
        if self._writable is not None:
            self._deadline = self._loop.time() + self._limits.receive_timeout
            await self._writable
            self._deadline = math.inf

    def pause_writing(self) -> None:
        """Hold the answer: the client reads more slowly than it is written."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Go on with the answer."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def _next(self) -> None:
        self._guest.answered()
        if self._transport.is_closing():
            return
        if self._http.our_state is not h11.DONE or self._half_closed:
            self._state = _State.LEAVING
            self._deadline = self._loop.time() + self._limits.receive_timeout
            self._transport.close()
            return
        ahead = self._http.trailing_data[0] + self._ahead
        if ahead:
            self._http = self._new_cycle()
            if len(self._ahead) > PIPELINED_SIZE:
                self._transport.resume_reading()
            self._ahead.clear()
        else:
            self._http.start_next_cycle()
        self._rest()
        if ahead:
            self.data_received(bytes(ahead))

    def _rest(self) -> None:
        self._request = None
        self._state = _State.IDLE
        self._deadline = self._loop.time() + self._limits.idle_timeout

    def _refuse(self, status: int, sentence: str) -> None:
        """Answer with a sentence and end the connection, giving the client time to read it."""
        log.debug("http.refused", door=self._at.door.name, status=status, reason=sentence)
        body = f"{HTTPStatus(status).phrase}: {sentence}\n".encode("latin-1", "replace")
        headers = [
            ("Content-Type", "text/plain; charset=iso-8859-1"),
            ("Content-Length", str(len(body))),
            ("Date", _date()),
            ("Connection", "close"),
        ]
        self._guest.answered()
        self._state = _State.LEAVING
        self._deadline = self._loop.time() + LINGER
        self._body = bytearray()
        self._write(self._http.send(h11.Response(status_code=status, headers=headers)))
        if self._request is None or self._request.method != b"HEAD":
            self._write(self._http.send(h11.Data(data=body)))
        if self._transport.can_write_eof() and not self._half_closed:
            self._transport.write_eof()
        else:
            self._transport.close()


def _peer(transport: asyncio.Transport, address: str | None) -> Peer:
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family == socket.AF_UNIX:
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
        return Peer(uid=_PEER_CREDENTIALS.unpack(credentials)[1])
    return Peer(address=address, certificate=transport.get_extra_info("peercert") or None)


_dated = (0, "")


def _date() -> str:
    """Return the time as HTTP writes it, made once a second."""
    global _dated
    now = int(time.time())
    if _dated[0] != now:
        _dated = (now, formatdate(now, usegmt=True))
    return _dated[1]


def _has_body(method: str, status: int) -> bool:
    return method != "HEAD" and status not in (204, 304)


def _pieces(parts: Sequence[bytes]) -> Iterator[bytes | memoryview]:
    """Yield the parts in pieces of about WRITE_SIZE: small parts joined, big parts cut without copying."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        if len(part) > WRITE_SIZE:
            if waiting:
                yield b"".join(waiting)
                waiting, size = [], 0
            view = memoryview(part)
            for start in range(0, len(part), WRITE_SIZE):
                yield view[start : start + WRITE_SIZE]
            continue
        waiting.append(part)
        size += len(part)
        if size >= WRITE_SIZE:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
