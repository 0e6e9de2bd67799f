"""The settings of pycimom: the tables [pycimom], [[pycimom.doors]], [pycimom.limits] and [pycimom.indications]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pycimom.indications.delivery import DeliverySettings
from pycimom.indications.destinations import DestinationPolicy
from pycimom.server import Settings
from xen_tools.configuration.declaration import Conflicts, setting, table, tables
from xen_tools.configuration.doors import DoorSettings, Listen
from xen_tools.configuration.kinds import FLAG, PATH, URL, many, number, seconds, text
from xen_tools.configuration.limits import DoorLimits, chosen
from xen_tools.configuration.server import ServerSettings

XEN_API = "xen-api"
"""How its doors recognise users: by asking the Xen-API."""


def _default(of: type, name: str) -> Any:
    return next(each.default for each in fields(of) if each.name == name)


@dataclass(frozen=True, kw_only=True)
class CimLimits(DoorLimits):
    """What a stranger may send and hold. Those of connections and sizes hold for each door."""

    nesting: int = setting(
        number(16, 200), "how deep the elements of a message may be nested", _default(Settings, "nesting")
    )
    elements: int = setting(number(1000, 10_000_000), "elements in one message, about", _default(Settings, "elements"))
    enumerations: int = setting(
        number(1, 100_000), "pulled enumerations that are open at a time", _default(Settings, "enumerations")
    )
    enumerations_of_user: int = setting(
        number(1, 100_000), "how many of them may be one user's", _default(Settings, "enumerations_of_user")
    )
    enumeration_batch: int = setting(
        number(1, 1_000_000),
        "objects that one operation of them gives at most, whatever MaxObjectCount says",
        _default(Settings, "enumeration_batch"),
    )
    enumeration_timeout: int = setting(
        number(1, 86400, "seconds"),
        "how long one survives between two pulls, if the client does not say",
        _default(Settings, "enumeration_timeout"),
    )
    longest_enumeration_timeout: int = setting(
        number(1, 86400, "seconds"), "the most that a client may say", _default(Settings, "longest_enumeration_timeout")
    )
    indication_filters: int = setting(
        number(1, 100_000),
        "filters of indications; half of them may be one user's, who is no administrator",
        _default(Settings, "indication_filters"),
    )
    indication_destinations: int = setting(
        number(1, 100_000), "destinations of indications; likewise", _default(Settings, "indication_destinations")
    )
    subscriptions: int = setting(
        number(1, 100_000), "subscriptions to indications; likewise", _default(Settings, "subscriptions")
    )
    provider_limit: float = setting(
        seconds(1, 3600), "how long a provider may take for one call", _default(Settings, "provider_limit")
    )
    fragment_budget: int = setting(
        number(0, 1 << 36, "bytes"), "how much encoded XML is kept", _default(Settings, "fragment_budget")
    )

    def conflicts(self) -> Conflicts:
        """Yield what cannot be."""
        yield from super().conflicts()
        if self.longest_enumeration_timeout < self.enumeration_timeout:
            least = f"enumeration_timeout, {self.enumeration_timeout}"
            yield "longest_enumeration_timeout", f"has to be at least {least}."


@dataclass(frozen=True, kw_only=True)
class Indications:
    """How indications are delivered, and where to."""

    destinations: tuple[str, ...] = setting(
        many(
            text("a host name, a network or *", r"\*|[A-Za-z0-9.:/-]{1,253}"),
            "a list of host names, of networks such as 192.0.2.0/24, or of *",
        ),
        "who may be a destination besides the subscriber; * is any",
        _default(DestinationPolicy, "allowed"),
    )
    retry_attempts: int = setting(
        number(0, 1000),
        "how often a failed one is tried again, after two attempts at once, unless an administrator set "
        "DeliveryRetryAttempts of the indication service",
        _default(DeliverySettings, "retry_attempts"),
    )
    retry_interval: float = setting(
        seconds(0.1, 86400),
        "time between them, unless one set DeliveryRetryInterval",
        _default(DeliverySettings, "retry_interval"),
    )
    timeout: float = setting(
        seconds(0.1, 3600), "for connecting, and for each step of an exchange", _default(DeliverySettings, "timeout")
    )
    queue_length: int = setting(
        number(1, 1_000_000),
        "how many may wait for a destination beside the one being sent; the oldest are dropped",
        _default(DeliverySettings, "queue_length"),
    )
    verify: bool = setting(
        FLAG, "whether the certificates of https destinations are verified", _default(DeliverySettings, "verify")
    )
    authorities: Path | None = setting(PATH, "the authorities of those certificates (PEM)", None, shown="the system's")


DEFAULT_DOORS = (
    DoorSettings(listen=Listen("5988", "127.0.0.1", 5988)),
    DoorSettings(listen=Listen("5989", "127.0.0.1", 5989), tls=True),
)


@dataclass(frozen=True, kw_only=True)
class Pycimom(ServerSettings):
    """The CIM server."""

    state: Path = setting(
        PATH,
        "folder of what must outlive the daemon: subscriptions, instances and classes of clients",
        Path("/var/lib/xen-cim/pycimom"),
    )
    cache: Path = setting(PATH, "folder of the DMTF schema, as fetched and as compiled", Path("/var/cache/xen-cim"))
    schema: Path | None = setting(
        PATH, "zip file of the DMTF schema 2.49.0", None, shown="the one in the cache, else fetched"
    )
    xen_api: str = setting(URL, "where the pool is read from", "http+unix:///var/run/xend/xen-api.sock")
    passwords: str = setting(URL, "the Xen-API door that checks passwords", "http://127.0.0.1:9363")
    ca: Path | None = setting(
        PATH, "certificates (PEM) to verify the Xen-API with, if it speaks TLS", None, shown="the system's"
    )
    gzip: bool = setting(FLAG, "whether answers are compressed for clients that accept it", _default(Settings, "gzip"))
    limits: CimLimits = table(CimLimits)
    indications: Indications = table(Indications)
    doors: Sequence[DoorSettings] = tables(DoorSettings, DEFAULT_DOORS, "5988; 5989 with TLS")

    def authentication(self, door: DoorSettings) -> str:
        """Return the name of the authentication at a door."""
        return XEN_API

    @property
    def server_limits(self) -> dict[str, Any]:
        """The limits that are not of doors, by their names in the server's settings."""
        of_doors = {each.name for each in fields(DoorLimits)}
        return {each.name: getattr(self.limits, each.name) for each in fields(CimLimits) if each.name not in of_doors}

    @property
    def delivery(self) -> DeliverySettings:
        """How indications are delivered."""
        return chosen(DeliverySettings, self.indications)
