"""The HTTP server: it opens doors, lets clients in, and closes again without cutting anybody short."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import stat
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from netserve.connection import Connection, OpenDoor
from netserve.doors import ANYWHERE, Door
from netserve.guests import Guest
from netserve.hosts import AllowedHosts
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
        self._leaving: list[_Entrance] = []
        """Closed, with connections that are being ended."""
        self._watch: asyncio.Task[None] | None = None

    @property
    def doors(self) -> tuple[Door, ...]:
        """The doors as they are open: with the port that was found where 0 was asked for."""
        return tuple(each.at.door for each in self._open)

    @property
    def connections(self) -> int:
        """How many clients are connected at this moment."""
        return sum(len(each.at.connections) for each in [*self._open, *self._leaving])

    def connections_by_door(self) -> dict[str, int]:
        """Return how many clients are connected at each door, by its name."""
        return {each.at.door.name: len(each.at.connections) for each in self._open}

    async def start(self) -> None:
        """Open all doors, or raise DoorError with all of them closed."""
        self._open = await self._opened(self._wanted, {each: _context(each) for each in self._wanted})
        self._watch = asyncio.create_task(self._check_deadlines())

    async def reconfigure(self, doors: Sequence[Door], grace: float = 5.0) -> None:
        """Open and close doors until there are just these; a door that stays the same keeps its connections.

        Keys and certificates are read again, for those who come from now on. At a door that closes, answers under way
        get ``grace`` seconds. DoorError if one of the new doors cannot be opened: then all is as it was before.
        """
        contexts = {each: _context(each) for each in doors}
        staying = {each.wanted: each for each in self._open if each.wanted in contexts}
        leaving = [each for each in self._open if each.wanted not in contexts]
        for entrance in leaving:
            entrance.shut()  # a new door may stand in the same place
        try:
            opened = await self._opened([each for each in doors if each not in staying], contexts)
        except BaseException:
            for entrance in leaving:
                await entrance.listen_again()
            raise
        for door, entrance in staying.items():
            entrance.context = contexts[door]
        fresh = {each.wanted: each for each in opened}
        self._wanted = tuple(doors)
        self._open = [staying.get(each) or fresh[each] for each in doors]
        self._leaving += leaving
        await _end(leaving, grace)
        self._leaving = [each for each in self._leaving if each not in leaving]

    async def close(self, grace: float = 5.0) -> None:
        """Close the doors, wait up to ``grace`` seconds for answers under way, then drop whoever is left."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        for entrance in self._open:
            entrance.shut()
        await _end([*self._open, *self._leaving], grace)
        self._open.clear()
        self._leaving.clear()

    async def _opened(self, doors: Sequence[Door], contexts: Mapping[Door, ssl.SSLContext | None]) -> list[_Entrance]:
        """Open some doors, or none of them and raise DoorError."""
        opened: list[_Entrance] = []
        try:
            for door in doors:
                hosts = _allowed_hosts(door)
                opened.append(_Entrance(door, self._handler, await _listening(door), contexts[door], hosts))
        except BaseException:
            for entrance in opened:
                entrance.shut()
            await _end(opened, grace=0)
            raise
        return opened

    async def _check_deadlines(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            limits = [each.at.door.limits for each in self._open]
            shortest = min((min(each.idle_timeout, each.receive_timeout) for each in limits), default=1.0)
            await asyncio.sleep(min(1.0, shortest / 4))
            now = loop.time()
            for entrance in [*self._open, *self._leaving]:
                for connection in list(entrance.at.connections):
                    connection.check_deadline(now)


class _Entrance:
    """Accepts the clients of one door.

    Accepting is done here, and not by asyncio's own server, so that a client counts from its first moment: one that
    stalls in the TLS handshake is not free.
    """

    def __init__(
        self,
        wanted: Door,
        handler: Handler,
        listening: socket.socket,
        context: ssl.SSLContext | None,
        hosts: AllowedHosts | None,
    ) -> None:
        self.wanted = wanted
        self.at = OpenDoor(_as_open(wanted, listening), handler)
        self.context = context
        self._hosts = hosts
        self._listen(listening)

    def _listen(self, listening: socket.socket) -> None:
        self._listening = listening
        self._accepting = asyncio.create_task(self._accept())

    def shut(self) -> None:
        """Let nobody in any more."""
        self._accepting.cancel()
        self._listening.close()
        if self.at.door.path is not None:
            self.at.door.path.unlink(missing_ok=True)

    async def listen_again(self) -> None:
        """Undo ``shut``."""
        try:
            self._listen(await _listening(self.at.door))
        except DoorError as error:
            log.error("door.lost", reason=str(error))

    def empty_out(self) -> None:
        """Let those go who wait for nothing; of the others, the next answer is the last."""
        self.at.closing = True
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
                client, address = await loop.sock_accept(self._listening)
            except OSError as error:
                log.warning("door.accept_failed", door=self.at.door.name, reason=str(error))
                await asyncio.sleep(ACCEPT_PAUSE)
                continue
            guest = Guest(self.at.guests, _ip_address(client, address))
            if not guest.welcome and (self.context is not None or self._hosts is not None):
                guest.leave()  # not worth a handshake, or a look at who it is
                client.close()
                continue
            entering = asyncio.create_task(self._enter(client, guest))
            guest.dismiss = entering.cancel
            self.at.entering.add(entering)
            entering.add_done_callback(partial(self._entered, client, guest))
            await asyncio.sleep(0)  # as long as others wait outside, accepting does not

    async def _enter(self, client: socket.socket, guest: Guest) -> bool:
        try:
            if self._hosts is not None and not await self._hosts.admit(guest.address or ""):
                log.warning("door.host_refused", door=self.at.door.name, address=guest.address)
                return False
            if client.family != socket.AF_UNIX:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Connection(self.at, guest),
                client,
                ssl=self.context,
                ssl_handshake_timeout=self.at.door.limits.receive_timeout if self.context else None,
            )
        except OSError as error:
            log.debug("tls.handshake_failed", door=self.at.door.name, reason=str(error))
            return False
        except Exception:
            log.exception("door.entering_failed", door=self.at.door.name)
            return False
        return True

    def _entered(self, client: socket.socket, guest: Guest, entering: asyncio.Task[bool]) -> None:
        """Turn away who did not get in, among them those who were dismissed before their turn came."""
        self.at.entering.discard(entering)
        if entering.cancelled() or not entering.result():
            client.close()
            guest.leave()


async def _end(entrances: Sequence[_Entrance], grace: float) -> None:
    """Wait up to ``grace`` seconds for answers under way behind doors that are shut, then drop whoever is left."""
    for entrance in entrances:
        entrance.empty_out()
    try:
        async with asyncio.timeout(grace):
            for entrance in entrances:
                await entrance.at.empty.wait()
    except TimeoutError:
        pass
    finally:
        left = [task for each in entrances for who in list(each.at.connections) if (task := who.abort()) is not None]
    if left:
        await asyncio.wait(left, timeout=1.0)


def _ip_address(client: socket.socket, address: Any) -> str | None:
    """Return the IP address of who was accepted, None on a unix socket."""
    if client.family == socket.AF_UNIX:
        return None
    return str(address[0]).removeprefix("::ffff:")  # IPv4 as a door at all addresses sees it


def _allowed_hosts(door: Door) -> AllowedHosts | None:
    try:
        return AllowedHosts(door.allowed_hosts) if door.allowed_hosts and door.path is None else None
    except ValueError as error:
        raise DoorError(door, f"an expression of its allowed hosts cannot be used ({error})") from error


def check(door: Door) -> None:
    """Raise DoorError for what can be seen before a door is opened: its certificate, expressions, socket's path."""
    _context(door)
    _allowed_hosts(door)
    if door.path is not None:
        _check_path(door, door.path)


def _context(door: Door) -> ssl.SSLContext | None:
    try:
        return server_context(door.tls) if door.tls else None
    except (OSError, ssl.SSLError) as error:
        raise DoorError(door, f"its certificate or key cannot be used ({error})") from error


def _as_open(door: Door, listening: socket.socket) -> Door:
    if door.path is not None:
        return door
    host, port, *_ = listening.getsockname()
    return replace(door, host=host if door.host == ANYWHERE else door.host, port=port)


async def _listening(door: Door) -> socket.socket:
    return await _tcp_socket(door) if door.path is None else _unix_socket(door, door.path)


async def _tcp_socket(door: Door) -> socket.socket:
    host = door.host
    if host == ANYWHERE:
        host = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 - it was asked for
    try:
        addresses = await asyncio.get_running_loop().getaddrinfo(host, door.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DoorError(door, f"{door.host!r} is not an address of this machine") from error
    # "localhost" and the like may have several: clients that name an address most often mean the one of IPv4.
    family, kind, protocol, _, address = min(addresses, key=lambda each: each[0] is not socket.AF_INET)
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, door.host != ANYWHERE)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise DoorError(door, _why(error), error.errno) from error
    return listening


def _check_path(door: Door, path: Path) -> None:
    if len(os.fsencode(path)) > UNIX_PATH_SIZE:
        raise DoorError(door, f"the path of a unix socket may have {UNIX_PATH_SIZE} bytes at most", errno.ENAMETOOLONG)


def _unix_socket(door: Door, path: Path) -> socket.socket:
    _check_path(door, path)
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
