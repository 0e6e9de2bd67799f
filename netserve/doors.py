"""Doors: the addresses at which a server listens, and what each asks of those who enter."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Tls:
    """Key and certificate of a TLS door (PEM files)."""

    certificate: Path
    key: Path
    client_authorities: Path | None = None
    """If given, only clients with a certificate that one of these authorities signed are let in."""


@dataclass(frozen=True)
class Limits:
    """What a stranger may send and hold. Sizes in bytes, times in seconds."""

    header_size: int = 32 * 1024
    body_size: int = 16 * 1024 * 1024
    received_size: int = 256 * 1024 * 1024
    """Of all requests that come in or are being answered; if it is more, who sent most of it has to go."""
    connections: int = 1024
    """One more takes the place of who was not answered for the longest time, unless all are."""
    connections_per_address: int = 512
    """Likewise, so that no address takes all. Not for unix sockets."""
    idle_timeout: float = 300.0
    """From the end of an answer to the next request."""
    receive_timeout: float = 60.0
    """From the first byte of a request to its last; also from the connection to its first request."""


ANYWHERE = "*"
"""The host of a door that listens at all addresses of the machine, IPv4 and IPv6."""


@dataclass(frozen=True)
class Door:
    """One listening address: a TCP host and port (0: any free one), or a unix socket's path."""

    name: str
    host: str = "127.0.0.1"
    port: int = 0
    path: Path | None = None
    tls: Tls | None = None
    limits: Limits = field(default_factory=Limits)
    allowed_hosts: tuple[str, ...] = ()
    """Expressions of which one has to be found in the address or a name of who comes (``netserve.hosts``); without any,
    everybody is let in. Not for unix sockets."""
    authentication: str = "none"
    """How the application recognises users at this door; netserve itself does not look at it."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of web pages that may call, such as "https://ops.example.com", or "*" (``netserve.origins``)."""

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it: a unix socket, or TCP on loopback."""
        return self.path is not None or is_loopback(self.host)

    @property
    def url(self) -> str:
        """The address as a URL: http://, https:// or http+unix://."""
        if self.path is not None:
            return f"http+unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether a host that a door listens at is this machine's loopback: ``localhost``, or an address of it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
