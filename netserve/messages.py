"""An HTTP request and its answer, as the servers built on netserve see them."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from netserve.doors import Door


@dataclass(frozen=True)
class Headers:
    """Header fields in the order they came; names in lower case. Their text, often secret, is not in the repr."""

    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def get(self, name: str) -> str | None:
        """Return the first value of a header field, None if it is absent."""
        return next(self.all(name), None)

    def all(self, name: str) -> Iterator[str]:
        """Yield every value of a header field."""
        wanted = name.lower()
        return (value for key, value in self.fields if key == wanted)


@dataclass(frozen=True)
class Peer:
    """Who sits at the other end of a connection."""

    address: str | None = None
    """IP address; None on a unix socket."""
    uid: int | None = None
    """User id of the process at the other end of a unix socket (SO_PEERCRED); None elsewhere."""
    certificate: dict[str, Any] | None = None
    """The verified client certificate, as ssl.SSLSocket.getpeercert() gives it."""


@dataclass(frozen=True)
class Request:
    """One request, complete: the body has been read within the door's limits."""

    method: str
    target: str
    headers: Headers
    body: bytes = field(repr=False)
    peer: Peer
    door: Door


@dataclass(frozen=True)
class Response:
    """The answer to a request.

    A body of bytes, or of a sequence of bytes that is written without joining, gets a Content-Length; an asynchronous
    one is sent chunked as it comes.
    """

    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | Sequence[bytes] | AsyncIterable[bytes] = field(default=b"", repr=False)


Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
"""Answers requests. It is cancelled when the client hangs up, so a blocking call costs nothing once nobody waits."""
