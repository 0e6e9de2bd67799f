"""Doors in settings: where one listens, whom it lets in, and what may not go together."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from netserve.doors import Door, Limits, Tls, is_loopback
from xen_tools.configuration.declaration import Conflicts, setting
from xen_tools.configuration.kinds import EXPRESSIONS, FLAG, PATH, Kind

LOCALHOST = "127.0.0.1"
_ADDRESS = re.compile(r"(?:(?P<host>\*|[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):)?(?P<port>\d{1,5})")


@dataclass(frozen=True)
class Listen:
    """An address to listen at."""

    text: str
    """As it is written."""
    host: str = ""
    port: int = 0
    path: Path | None = None
    """Of a unix socket."""
    usual: bool = False
    """The unix socket whose path is a setting of its own."""

    @property
    def is_unix(self) -> bool:
        """Whether it is a unix socket."""
        return self.usual or self.path is not None


def _listen(value: Any) -> Listen:
    text = str(value) if type(value) is int else value
    if not isinstance(text, str):
        raise ValueError
    if text.startswith("/") and "\0" not in text:
        return Listen(text, path=Path(text))
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise ValueError
    host = (found["host"] or LOCALHOST).strip("[]")
    if "[" in text:
        ipaddress.IPv6Address(host)
    return Listen(text, host, int(found["port"]))


def _listen_or_unix(value: Any) -> Listen:
    return Listen("unix", usual=True) if value == "unix" else _listen(value)


_WORDS = f"a path of a unix socket, PORT (at {LOCALHOST}), HOST:PORT, or *:PORT (at all addresses)"


@dataclass(frozen=True, kw_only=True)
class DoorSettings:
    """An address at which the server listens, and what is asked of those who come."""

    in_clear: ClassVar[str] = "passwords"
    """What others could read of it without TLS."""

    listen: Listen = setting(Kind(_WORDS, _listen), "where it listens; 0 is any free port")
    tls: bool = setting(
        FLAG, "whether it speaks TLS; without key and certificate, with the self-signed one that is made", False
    )
    key: Path | None = setting(PATH, "private key of a TLS door (PEM), together with `certificate`", None, shown="")
    certificate: Path | None = setting(
        PATH, "its certificate, and those that lead to an authority (PEM)", None, shown=""
    )
    client_authorities: Path | None = setting(
        PATH,
        "authorities (PEM): whoever has no certificate that one of them signed is refused at this TLS door",
        None,
        shown="",
    )
    allowed_hosts: tuple[str, ...] = setting(
        EXPRESSIONS,
        "one of these has to be found in the client's address, or in a name of it that resolves back to the address; "
        "without any, everybody may come",
        (),
    )
    plaintext: bool = setting(FLAG, "whether it may be open without TLS to other machines", False)

    @property
    def speaks_tls(self) -> bool:
        """Whether it is a TLS door."""
        return self.tls or self.key is not None

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.listen.is_unix or is_loopback(self.listen.host)

    def conflicts(self) -> Conflicts:
        """Yield what cannot be."""
        if (self.key is None) != (self.certificate is None):
            missing = "key" if self.key is None else "certificate"
            yield missing, "is missing: key and certificate go together."
        if self.listen.is_unix and (self.speaks_tls or self.certificate or self.client_authorities):
            yield "listen", "is a unix socket, which has no TLS."
        elif self.client_authorities is not None and not self.speaks_tls:
            yield "client_authorities", "needs a TLS door."
        if not (self.is_local or self.speaks_tls or self.plaintext):
            yield (
                "listen",
                f"would send {self.in_clear} in clear to other machines: give it a key and a certificate, or "
                "tls = true, or say plaintext = true.",
            )

    def warnings(self) -> Iterator[str]:
        """Yield sentences about what may be, but is seldom wanted."""
        if not (self.is_local or self.speaks_tls):
            yield f"The door {self.listen.text} sends {self.in_clear} in clear to other machines."
        if self.listen.is_unix and self.allowed_hosts:
            yield f"The door {self.listen.text} is a unix socket: its allowed hosts mean nothing."

    def door(self, authentication: str, limits: Limits, usual: Path | None, made: Tls) -> Door:
        """Return the door. ``usual`` is the path of the usual unix socket, ``made`` the certificate that is made."""
        tls = None
        if self.speaks_tls:
            key, certificate = (self.key, self.certificate) if self.key else (made.key, made.certificate)
            tls = Tls(certificate or made.certificate, key or made.key, self.client_authorities)
        return Door(
            self.listen.text,
            self.listen.host,
            self.listen.port,
            usual if self.listen.usual else self.listen.path,
            tls,
            limits,
            self.allowed_hosts,
            authentication,
        )


UNIX_OR_ADDRESS = Kind(f"unix, {_WORDS}", _listen_or_unix)


def duplicates(doors: Sequence[DoorSettings | None]) -> Conflicts:
    """Yield what is wrong with doors beside one another."""
    places = Counter(each.listen for each in doors if each is not None and (each.listen.is_unix or each.listen.port))
    for listen, count in places.items():
        if count > 1:
            yield "doors", f"has {count} doors that listen at {listen.text}."
