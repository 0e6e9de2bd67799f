"""A bridge as a user starts it: `xen-cim run` in a process of its own. For tests and measurements."""

from __future__ import annotations

import json
import os
import selectors
import signal
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pywbem
import XenAPI

from valid_answers import ValidatingRecorder

STARTUP_LIMIT = 300.0
"""Seconds for a first start: it may have to fetch and compile the schema."""


def short_folder() -> Path:
    """Make a folder whose path is short and free of underscores, as PyPI XenAPI and unix sockets want it."""
    for number in range(10_000):
        folder = Path("/tmp") / f"xencim-{os.getpid()}-{number}"
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return folder
    raise RuntimeError("no free folder under /tmp")


@dataclass
class Bridge:
    """A running `xen-cim run`: its process, what it printed, and its endpoints."""

    process: subprocess.Popen[str]
    state: Path
    printed: list[str]

    @property
    def endpoints(self) -> dict[str, Any]:
        return json.loads((self.state / "endpoints.json").read_text())

    @property
    def user(self) -> str:
        return self.endpoints["user"]

    @property
    def password(self) -> str:
        return Path(self.endpoints["password_file"]).read_text().strip()

    def url(self, name: str) -> str:
        """The URL of a door: cim-http, cim-https, xenapi-http, xenapi-https."""
        return self.endpoints["urls"][name]

    @property
    def socket(self) -> Path:
        return Path(urlsplit(self.url("xenapi-unix")).path)

    @property
    def certificate(self) -> str:
        return self.endpoints["certificate"]

    def wbem(self, door: str = "cim-http", user: str | None = None, password: str | None = None, **options: Any):
        """Connect as pywbem does; every answer is held against the DTD."""
        if door == "cim-https":
            options.setdefault("ca_certs", self.certificate)
        credentials = (user or self.user, self.password if password is None else password)
        connection = pywbem.WBEMConnection(self.url(door), credentials, default_namespace="root/cimv2", **options)
        connection.add_operation_recorder(ValidatingRecorder())
        return connection

    def xenapi(self, door: str = "xenapi-http") -> XenAPI.Session:
        """Connect as PyPI XenAPI does, logged in."""
        if door == "xenapi-unix":
            # XenAPI writes the path of a socket with underscores for slashes.
            session = XenAPI.Session(f"http://{str(self.socket).replace('/', '_')}", transport=XenAPI.UDSTransport())
        elif door == "xenapi-https":
            context = ssl.create_default_context(cafile=self.certificate)
            session = XenAPI.Session(self.url(door), transport=XenAPI.xmlrpclib.SafeTransport(context=context))
        else:
            session = XenAPI.Session(self.url(door))
        session.login_with_password(self.user, self.password, "1.0", "tests")
        return session

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(30)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()


def read_until(process: subprocess.Popen[str], last: str, limit: float) -> list[str]:
    """Return the lines that a process prints, up to the line ``last`` or its end."""
    lines: list[str] = []
    deadline = time.monotonic() + limit
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        pending = b""
        while time.monotonic() < deadline:
            if not selector.select(1.0):
                continue
            data = os.read(process.stdout.fileno(), 65536)
            pending += data
            *whole, pending = pending.split(b"\n")
            lines += [line.decode().rstrip("\r") for line in whole]
            if not data or last in lines:
                return lines
    raise TimeoutError(f"no line {last!r} within {limit} s; printed so far:\n" + "\n".join(lines))


def environment(state: Path, **settings: str) -> dict[str, str]:
    """The environment for a bridge on free ports with its state in ``state``."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("XEN_CIM_")}
    if "XEN_CIM_SCHEMA" in os.environ:
        inherited["XEN_CIM_SCHEMA"] = os.environ["XEN_CIM_SCHEMA"]
    return inherited | {"XEN_CIM_STATE": str(state), "XEN_CIM_PORTS": "auto"} | settings


def run_bridge(state: Path, **settings: str) -> Bridge:
    """Start a bridge and wait until it says ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "xen_tools.xen_cim", "run"],
        env=environment(state, **settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        printed = read_until(process, "ready", STARTUP_LIMIT)
        assert printed[-1:] == ["ready"], "\n".join(printed)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return Bridge(process, state, printed)
