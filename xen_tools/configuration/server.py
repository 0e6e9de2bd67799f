"""What the settings of both servers have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from netserve import certificates
from netserve.doors import Door, Limits, Tls
from xen_tools.configuration.declaration import Conflicts, setting, table, tables
from xen_tools.configuration.doors import DoorSettings, duplicates
from xen_tools.configuration.kinds import NAMES, PATH
from xen_tools.configuration.limits import DoorLimits, chosen


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """A server that listens at doors."""

    state: Path = setting(PATH, "folder of what must outlive the daemon")
    tls: Path = setting(PATH, "folder of the self-signed certificate that is made", Path("/var/lib/xen-cim/tls"))
    certificate_names: tuple[str, ...] = setting(
        NAMES,
        "host names and IP addresses that it is made for; the first is its subject",
        certificates.LOOPBACK,
    )
    limits: DoorLimits = table(DoorLimits)
    doors: Sequence[DoorSettings] = tables(DoorSettings, (), "none")

    def conflicts(self) -> Conflicts:
        """Yield what cannot be."""
        if not self.certificate_names:
            yield "certificate_names", "has to have at least one name."
        yield from duplicates(self.all_doors)

    def warnings(self) -> list[str]:
        """Return sentences about what may be, but is seldom wanted."""
        return [warning for each in self.all_doors for warning in each.warnings()]

    @property
    def all_doors(self) -> Sequence[DoorSettings]:
        """Whatever listens."""
        return self.doors

    @property
    def socket_path(self) -> Path | None:
        """Where a door listens that says ``unix``."""
        return None

    @abstractmethod
    def authentication(self, door: DoorSettings) -> str:
        """Return the name of the authentication at a door, as the server knows it."""

    def open_doors(self) -> list[Door]:
        """Return the doors as they are to be opened."""
        limits, made = chosen(Limits, self.limits), Tls(self.tls / "certificate.pem", self.tls / "key.pem")
        return [each.door(self.authentication(each), limits, self.socket_path, made) for each in self.all_doors]

    @property
    def makes_certificate(self) -> bool:
        """Whether a door needs the self-signed certificate."""
        return any(each.tls and each.key is None for each in self.all_doors)

    def prepare(self) -> None:
        """Make the certificate, and the folders of unix sockets, as far as they are not there; OSError if it fails."""
        if self.makes_certificate:
            certificates.ensure(self.tls, self.certificate_names)
        for door in self.open_doors():
            if door.path is not None:
                door.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
