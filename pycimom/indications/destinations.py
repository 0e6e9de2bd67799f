"""Where indications may be sent: by default to nobody but the subscriber."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

from cim_provider import CimError, Status

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_MAX_URL = 2048
_RESOLVE_TIMEOUT = 5.0


@dataclass(frozen=True)
class DestinationPolicy:
    """Who may be a destination besides the subscriber.

    ``allowed`` holds names of hosts, networks such as ``192.0.2.0/24``, or ``*`` for any.
    """

    allowed: tuple[str, ...] = ()

    async def permit(self, url: str, subscriber: str | None) -> str | None:
        """Return the address to send to, or None if the host may be looked up anew for each connection.

        ``subscriber`` is the IP address that the subscription came from; None is a process on this host. The address
        of a destination that is only permitted for being the subscriber's is settled here once, so that a change in
        the DNS cannot turn indications elsewhere. INVALID_PARAMETER for a wrong URL, ACCESS_DENIED if not permitted.
        """
        parts = parse_url(url)
        host = (parts.hostname or "").lower()
        if "*" in self.allowed or host in (each.lower() for each in self.allowed):
            return None
        addresses = await _resolve(host, parts.port or default_port(parts))
        networks = [network for each in self.allowed if (network := _network(each)) is not None]
        for address in addresses:
            if any(address in network for network in networks):
                return str(address)
        own = _address(subscriber) if subscriber is not None else None
        for address in addresses:
            if address == own or (address.is_loopback and (subscriber is None or (own and own.is_loopback))):
                return str(address)
        raise CimError(
            Status.ACCESS_DENIED,
            f"Indications go only to the address that the subscription comes from, and {host} is another one. "
            "The server's settings can allow further destinations.",
        )


def parse_url(url: str) -> SplitResult:
    """Return the parts of a listener's URL; CimError INVALID_PARAMETER if it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise CimError(Status.INVALID_PARAMETER, f"Destination is no URL: {error}.") from error
    is_clean = len(url) <= _MAX_URL and url.isprintable() and " " not in url
    if not is_clean or parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise CimError(Status.INVALID_PARAMETER, "Destination must be a URL such as http://192.0.2.1:5000.")
    if parts.username is not None or parts.password is not None:
        raise CimError(Status.INVALID_PARAMETER, "Destination must not hold a user or password.")
    return parts


def default_port(parts: SplitResult) -> int:
    """Return the port that a URL without one means (DSP0200 has no listener port of its own, so HTTP's)."""
    return 443 if parts.scheme == "https" else 80


async def _resolve(host: str, port: int) -> Sequence[Address]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_RESOLVE_TIMEOUT):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError) as error:
        raise CimError(Status.INVALID_PARAMETER, f"The host {host} of Destination is unknown.") from error
    addresses = (_address(str(entry[4][0])) for entry in found)
    return list(dict.fromkeys(each for each in addresses if each is not None))


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
