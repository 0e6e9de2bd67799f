"""Limits in settings: what a stranger may send and hold at the doors of either server."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeVar

from netserve.doors import Limits
from xen_tools.configuration.declaration import Conflicts, setting
from xen_tools.configuration.kinds import number, seconds

T = TypeVar("T")

_DEFAULTS = Limits()


def received_size(default: int) -> Any:
    """Declare the bound of what is kept of all requests."""
    words = "all requests that come in or are being answered; if it is more, who sent most of it is cut off"
    return setting(number(4096, 1 << 36, "bytes"), words, default)


@dataclass(frozen=True, kw_only=True)
class DoorLimits:
    """What a stranger may send and hold. The numbers hold for each door."""

    header_size: int = setting(
        number(1024, 1 << 20, "bytes"), "longest header of a request; more gets 431", _DEFAULTS.header_size
    )
    body_size: int = setting(
        number(4096, 1 << 30, "bytes"), "longest body of a request; more gets 413", _DEFAULTS.body_size
    )
    received_size: int = received_size(_DEFAULTS.received_size)
    connections: int = setting(
        number(1, 100_000),
        "connections open at a time; one more takes the place of the one that was not answered for the longest time, "
        "or gets 503 if all are being answered",
        _DEFAULTS.connections,
    )
    connections_per_address: int = setting(
        number(1, 100_000), "likewise of one IP address", _DEFAULTS.connections_per_address
    )
    idle_timeout: float = setting(
        seconds(0.1, 86400), "a connection without a request for so long is closed", _DEFAULTS.idle_timeout
    )
    receive_timeout: float = setting(
        seconds(0.1, 3600),
        "a request has to arrive within it, from its first byte to its last (else 408), as have the TLS handshake and "
        "the first request of a connection; an answer that is not read for so long is cut",
        _DEFAULTS.receive_timeout,
    )

    def conflicts(self) -> Conflicts:
        """Yield what cannot be."""
        if self.received_size < self.body_size:
            yield "received_size", f"has to be at least body_size, {self.body_size}."


def chosen(cls: type[T], table: Any) -> T:
    """Return a dataclass whose fields a table has among its own."""
    return cls(**{each.name: getattr(table, each.name) for each in fields(cls)})  # type: ignore[arg-type]
