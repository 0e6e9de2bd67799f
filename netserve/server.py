"""The HTTP server: it opens doors, lets clients in, and closes again without cutting anybody short."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from netserve.connection import Connection, OpenDoor
from netserve.doors import Door
from netserve.messages import Handler
from netserve.tls import server_context

log = structlog.get_logger(__name__)

BACKLOG = 512
ACCEPT_PAUSE = 1.0
"""Seconds without accepting after a failure, such as too many open files."""
UNIX_PATH_SIZE = 107
"""The longest path a unix socket can have on Linux, in bytes (sun_path without its closing zero)."""


class DoorError(OSError):
    """A door cannot be opened; the text is one sentence that names the door and says why."""

    def __init__(self, door: Door, why: str, number: int | None = None) -> None:
        super().__init__(f"The door {door.name!r} cannot be opened at {door.url}: {why}.")
        self.door = door
        self.errno = number


class HttpServer:
    """Serves one handler at several doors."""

    def __init__(self, handler: Handler, doors: Sequence[Door]) -> None:
        self._handler = handler
        self._wanted = tuple(doors)
        self._open: list[_Entrance] = []
        self._watch: asyncio.Task[None] | None = None

    @property
    def doors(self) -> tuple[Door, ...]:
        """The doors as they are open: with the port that was found where 0 was asked for."""
        return tuple(each.at.door for each in self._open)

    @property
    def connections(self) -> int:
        """How many clients are connected at this moment."""
        return sum(len(each.at.connections) for each in self._open)

    async def start(self) -> None:
        """Open all doors, or raise DoorError with all of them closed."""
        try:
            for door in self._wanted:
                self._open.append(await self._open_door(door))
        except DoorError:
            await self.close(grace=0)
            raise
        self._watch = asyncio.create_task(self._check_deadlines())

    async def close(self, grace: float = 5.0) -> None:
        """Close the doors, wait up to ``grace`` seconds for answers under way, then drop whoever is left."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        for entrance in self._open:
            entrance.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                for entrance in self._open:
                    await entrance.at.empty.wait()
        everybody = [each for entrance in self._open for each in entrance.at.connections]
        left = [task for each in everybody if (task := each.abort()) is not None]
        if left:
            await asyncio.wait(left, timeout=1.0)
        self._open.clear()

    async def _open_door(self, door: Door) -> _Entrance:
        try:
            context = server_context(door.tls) if door.tls else None
        except (OSError, ssl.SSLError) as error:
            raise DoorError(door, f"its certificate or key cannot be used ({error})") from error
        if door.path is not None:
            return _Entrance(OpenDoor(door, self._handler), _unix_socket(door, door.path), context)
        listening = await _tcp_socket(door)
        door = replace(door, port=listening.getsockname()[1])
        return _Entrance(OpenDoor(door, self._handler), listening, context)

    async def _check_deadlines(self) -> None:
        limits = [each.limits for each in self._wanted]
        shortest = min((min(each.idle_timeout, each.receive_timeout) for each in limits), default=1.0)
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(1.0, shortest / 4))
            now = loop.time()
            for entrance in self._open:
                for connection in list(entrance.at.connections):
                    connection.check_deadline(now)


class _Entrance:
    """Accepts the clients of one door.

    Accepting is done here, and not by asyncio's own server, so that a client counts from its first moment: one that
    stalls in the TLS handshake is not free.
    """

    def __init__(self, at: OpenDoor, listening: socket.socket, context: ssl.SSLContext | None) -> None:
        self.at = at
        self._listening = listening
        self._context = context
        self._accepting = asyncio.create_task(self._accept())

    def close(self) -> None:
        """Let nobody in any more, and let those go who wait for nothing."""
        self.at.closing = True
        self._accepting.cancel()
        self._listening.close()
        if self.at.door.path is not None:
            self.at.door.path.unlink(missing_ok=True)
        for entering in self.at.entering:
            entering.cancel()
        for connection in list(self.at.connections):
            connection.finish()
        if not self.at.connections:
            self.at.empty.set()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(self._listening)
            except OSError as error:
                log.warning("door.accept_failed", door=self.at.door.name, reason=str(error))
                await asyncio.sleep(ACCEPT_PAUSE)
                continue
            if self._context is not None and self.at.full:
                client.close()
                continue
            entering = asyncio.create_task(self._enter(client))
            self.at.entering.add(entering)
            entering.add_done_callback(self.at.entering.discard)

    async def _enter(self, client: socket.socket) -> None:
        try:
            if client.family != socket.AF_UNIX:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().connect_accepted_socket(
                self._connection,
                client,
                ssl=self._context,
                ssl_handshake_timeout=self.at.door.limits.receive_timeout if self._context else None,
            )
        except OSError as error:
            log.debug("tls.handshake_failed", door=self.at.door.name, reason=str(error))
            client.close()
        except asyncio.CancelledError:
            client.close()
            raise

    def _connection(self) -> Connection:
        return Connection(self.at)


async def _tcp_socket(door: Door) -> socket.socket:
    try:
        addresses = await asyncio.get_running_loop().getaddrinfo(door.host, door.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DoorError(door, f"{door.host!r} is not an address of this machine") from error
    family, kind, protocol, _, address = addresses[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise DoorError(door, _why(error), error.errno) from error
    return listening


def _unix_socket(door: Door, path: Path) -> socket.socket:
    if len(os.fsencode(path)) > UNIX_PATH_SIZE:
        raise DoorError(door, f"the path of a unix socket may have {UNIX_PATH_SIZE} bytes at most", errno.ENAMETOOLONG)
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.setblocking(False)
        _remove_stale(door, path)
        os.fchmod(listening.fileno(), 0o600)  # on Linux the file that bind makes takes its mode from the socket
        listening.bind(str(path))
        listening.listen(BACKLOG)
    except DoorError:
        listening.close()
        raise
    except OSError as error:
        listening.close()
        raise DoorError(door, _why(error), error.errno) from error
    return listening


def is_stale_socket(path: Path) -> bool:
    """Whether there is a unix socket at the path that nobody listens at any more."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:  # somebody is there, though busy or not for us
            return False
    return False


def _remove_stale(door: Door, path: Path) -> None:
    """Remove the socket that an earlier server left behind; anything else stays."""
    if is_stale_socket(path):
        path.unlink(missing_ok=True)
        log.info("door.stale_socket_removed", path=str(path))
    elif path.is_socket():
        raise DoorError(door, "the socket is already in use", errno.EADDRINUSE)
    elif os.path.lexists(path):
        raise DoorError(door, "a file that is no socket is in the way", errno.EEXIST)


def _why(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "the port is already in use"
        case errno.EACCES | errno.EPERM:
            return "permission is denied"
        case errno.ENOENT:
            return "the folder does not exist"
        case errno.EADDRNOTAVAIL:
            return "the address is not one of this machine"
        case _:
            return os.strerror(error.errno or 0).lower()
