"""A daemon with a settings file that a test may change, and clients that come to its doors."""

from __future__ import annotations

import http.client
import json
import queue
import signal
import socket
import ssl
import subprocess
import sys
import threading
import xmlrpc.client
from collections.abc import Sequence
from pathlib import Path

from netserve.doors import Tls

USER, PASSWORD = "root", "right"
WRONG = ["SESSION_AUTHENTICATION_FAILED"]
REFUSED = (ConnectionError, http.client.RemoteDisconnected, ssl.SSLError)
"""What a client gets who is cut off without an answer."""
LIMIT = 60


XENAPID = ("-m", "xen_tools.xenapid")
PYCIMOM = ("-m", "xen_tools.pycimom")


class Daemon:
    """A daemon, and the settings file that a test may change."""

    def __init__(self, config: Path, text: str, program: Sequence[str] = XENAPID) -> None:
        """``program`` is what Python is to run."""
        self.config = config
        self.config.write_text(text)
        self.process = subprocess.Popen(
            [sys.executable, *program, "--config", str(config), "--log-json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.logged: queue.Queue[dict[str, str]] = queue.Queue()
        self.errors: list[str] = []
        threading.Thread(target=self._read_log, daemon=True).start()
        line = self.process.stdout.readline()
        self.doors: dict[str, str] = json.loads(line)["doors"] if line else {}

    def _read_log(self) -> None:
        for line in self.process.stderr:
            if line.startswith("{"):
                self.logged.put(json.loads(line))
            else:
                self.errors.append(line.rstrip())

    def log(self, event: str) -> dict[str, str]:
        """Wait for an event in the log."""
        while True:
            entry = self.logged.get(timeout=LIMIT)
            if entry["event"] == event:
                return entry

    def reload(self, text: str, event: str) -> dict[str, str]:
        """Change the settings file, send SIGHUP, and wait for what the log says of it."""
        self.config.write_text(text)
        return self.read_again(event)

    def read_again(self, event: str) -> dict[str, str]:
        """Send SIGHUP, and wait for what the log says of it."""
        self.process.send_signal(signal.SIGHUP)
        return self.log(event)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(LIMIT)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.process.stdout.close()


def head(folder: Path, state: str) -> str:
    """Return the beginning of xenapid's settings."""
    return (
        f'[xenapid]\nstate = "{folder}/{state}"\nusers = "{folder}/users"\ntls = "{folder}/tls"\n'
        f'socket = "{folder}/{state}.sock"\nhosts = 1\nvms = 1\n'
    )


def door(listen: int | str, *more: str) -> str:
    """Return a door of xenapid's settings."""
    return "\n".join(["[[xenapid.doors]]", f"listen = {json.dumps(listen)}", *more, ""])


LOCAL, TLS, TRUSTING = 'authentication = "local"', "tls = true", 'authentication = "none"'


class OnUnix(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.host)


def connect(
    url: str, context: ssl.SSLContext | None = None, come_from: str = "127.0.0.1"
) -> http.client.HTTPConnection:
    """Return a connection to a door; ``come_from`` is the client's address at a door without TLS."""
    scheme, _, place = url.partition("://")
    if scheme == "http+unix":
        connection = OnUnix("localhost", timeout=LIMIT)
        connection.host = place
        return connection
    port = int(place.rpartition(":")[2])
    if scheme == "https":
        return http.client.HTTPSConnection("localhost", port, timeout=LIMIT, context=context)
    return http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT, source_address=(come_from, 0))


def trusting(folder: Path, own: Tls | None = None) -> ssl.SSLContext:
    """Return what a client needs at a TLS door of a folder's certificate, perhaps with one of its own."""
    context = ssl.create_default_context(cafile=folder / "tls" / "certificate.pem")
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    return context


def login(connection: http.client.HTTPConnection, password: str = PASSWORD) -> list[str]:
    """Log in; return an error's code, [] if it succeeds."""
    body = xmlrpc.client.dumps((USER, password), "session.login_with_password").encode()
    connection.request("POST", "/", body, {"Content-Type": "text/xml"})
    (answer,), _ = xmlrpc.client.loads(connection.getresponse().read())
    return answer.get("ErrorDescription", [])[:1]
