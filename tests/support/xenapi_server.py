"""A Xen-API server on an event loop in a thread of its own, and its wire. For tests that call it as clients do."""

from __future__ import annotations

import asyncio
import http.client
import shutil
import socket
import tempfile
import threading
import xmlrpc.client
from pathlib import Path
from typing import Any

from netserve.doors import Door
from xenapi_core.datamodel import Datamodel
from xenapi_core.server import Settings, XenApiServer

NULL = "OpaqueRef:NULL"

MEASURED = {
    (cls.name, field.name)
    for cls in Datamodel.load().classes.values()
    for field in cls.fields.values()
    if field.sampled
}
"""Fields that move without events, by class."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class WireError(Exception):
    """A Failure as the wire told it: code, then parameters."""

    def __init__(self, method: str, details: list[str]) -> None:
        super().__init__(f"{method}: {details}")
        self.details = details

    @property
    def code(self) -> str:
        return self.details[0]


class Wire:
    """One connection to a server, logged in. Values are what Python's xmlrpc.client reads."""

    def __init__(self, path: Path) -> None:
        self._connection = _UnixConnection(path)
        self.session = ""
        self.session = self.value("session.login_with_password", "root", "")

    def post(self, body: bytes) -> bytes:
        self._connection.request("POST", "/", body, {"Content-Type": "text/xml"})
        return self._connection.getresponse().read()

    def literal(self, method: str, *parameters: Any) -> bytes:
        """Send a call as Python's xmlrpc.client writes it, and return the answer's bytes."""
        return self.post(xmlrpc.client.dumps(parameters, method, allow_none=True).encode())

    def value(self, method: str, *parameters: Any) -> Any:
        """Send a call with exactly these parameters and return its value; WireError if it fails."""
        (answer,), _ = xmlrpc.client.loads(self.literal(method, *parameters))
        if isinstance(answer, list):  # system.listMethods has no status around its answer
            return answer
        if answer["Status"] == "Failure":
            assert list(answer) == ["Status", "ErrorDescription"]
            raise WireError(method, answer["ErrorDescription"])
        assert list(answer) == ["Status", "Value"]
        return answer["Value"]

    def do(self, method: str, *parameters: Any) -> Any:
        """Send a call of the session and return its value; WireError if it fails."""
        return self.value(method, self.session, *parameters)

    def error(self, method: str, *parameters: Any) -> list[str]:
        """Send a call with exactly these parameters and return its error's code and parameters; [] if it succeeds."""
        try:
            self.value(method, *parameters)
        except WireError as failure:
            return failure.details
        return []

    def attempt(self, method: str, *parameters: Any) -> list[str]:
        """Send a call of the session and return its error's code and parameters; [] if it succeeds."""
        return self.error(method, self.session, *parameters)

    def close(self) -> None:
        self._connection.close()


class ServedPool:
    """A running server with the simulated pool of the built-in scenario."""

    def __init__(self, *more: Door, **overrides: int) -> None:
        """``more`` are doors beside the unix socket."""
        self.folder = Path(tempfile.mkdtemp(prefix="xenapi-", dir="/tmp"))
        self.path = self.folder / "api.sock"
        door = Door("socket", path=self.path, authentication="peer")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = XenApiServer(Settings(self.folder / "state", (door, *more), self.folder / "users", **overrides))
        self._wires: list[Wire] = []
        try:
            self._run(self._server.start())
        except BaseException:
            self._end()
            raise

    def connect(self) -> Wire:
        """Begin a session on a connection of its own; closed with the pool."""
        self._wires.append(Wire(self.path))
        return self._wires[-1]

    def url(self, name: str) -> str:
        """Return the address of a door."""
        return next(door.url for door in self._server.doors if door.name == name)

    def reopen(self, *doors: Door) -> None:
        """Have these doors beside the unix socket."""
        self._run(self._server.reopen((self._server.settings.doors[0], *doors)))

    def close(self) -> None:
        for wire in self._wires:
            wire.close()
        self._run(self._server.stop())
        self._end()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        shutil.rmtree(self.folder, ignore_errors=True)
