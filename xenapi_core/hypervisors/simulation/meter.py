"""The meters of a simulated host: what its domains have used, and what went over its bridges."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

from xenapi_core.hypervisors.interface import Disk, DomainConfig, DomainSample, Nic, Samples, Transfers
from xenapi_core.hypervisors.simulation.load import Load, share


class Meter:
    """Reads the loads of a host's domains. What is not read is not worked out."""

    def __init__(self, cpus: int) -> None:
        self._cpus = cpus
        self._loads: dict[str, tuple[DomainConfig, Load]] = {}
        self._past: dict[str, Transfers] = {}
        """What NICs that are gone have sent over each bridge, so that the totals of a bridge never fall."""

    def put(self, config: DomainConfig, load: Load) -> None:
        """Begin to read a domain."""
        self._loads[config.uuid] = config, load

    def load(self, uuid: str) -> Load:
        """Return the load of a domain."""
        return self._loads[uuid][1]

    def change(self, uuid: str, to: Callable[[Load], Load]) -> None:
        """Replace the load of a domain."""
        config, load = self._loads[uuid]
        self._loads[uuid] = config, to(load)

    def replug(self, config: DomainConfig, device: str, now: float) -> None:
        """Note that a device ("disk 0", "nic 1") was plugged into a domain, or unplugged."""
        before, load = self._loads[config.uuid]
        self._keep(before, load, now, device)
        self._loads[config.uuid] = config, load.plugged(device, now)

    def remove(self, uuid: str, now: float) -> None:
        """Stop reading a domain, if it is read."""
        if uuid in self._loads:
            config, load = self._loads.pop(uuid)
            self._keep(config, load, now)

    def read(self, moment: float) -> Samples:
        """Return all counters of a moment, worked out when they are looked at."""
        return Samples(moment, _Domains(self._loads, self._cpus, moment), _Bridges(self._loads, self._past, moment))

    def _keep(self, config: DomainConfig, load: Load, now: float, device: str = "") -> None:
        for nic in config.nics:
            if device in ("", f"nic {nic.device}"):
                self._past[nic.bridge] = self._past.get(nic.bridge, Transfers()) + load.nic_here(nic.device, now)


class _Domains(Mapping[str, DomainSample]):
    """The domains of a host at one moment."""

    def __init__(self, loads: dict[str, tuple[DomainConfig, Load]], cpus: int, moment: float) -> None:
        self._loads = loads
        self._cpus = cpus
        self._moment = moment

    def __getitem__(self, uuid: str) -> DomainSample:
        config, load = self._loads[uuid]
        first = int(share(uuid, "cpu") * self._cpus)
        numbers = range(config.vcpus_max)
        return DomainSample(
            vcpu_time=[load.vcpu_time(number, self._moment) for number in numbers],
            cpus=[(first + number) % self._cpus for number in numbers],
            disks=_Devices(config.disks, load.disk, self._moment),
            nics=_Devices(config.nics, load.nic, self._moment),
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._loads)

    def __len__(self) -> int:
        return len(self._loads)


class _Devices(Mapping[str, Transfers]):
    """The disks or the NICs of a domain at one moment."""

    def __init__(self, devices: Sequence[Disk | Nic], read: Callable[[str, float], Transfers], moment: float) -> None:
        self._devices = devices
        self._read = read
        self._moment = moment

    def __getitem__(self, device: str) -> Transfers:
        if all(each.device != device for each in self._devices):
            raise KeyError(device)
        return self._read(device, self._moment)

    def __iter__(self) -> Iterator[str]:
        return (each.device for each in self._devices)

    def __len__(self) -> int:
        return len(self._devices)


class _Bridges(Mapping[str, Transfers]):
    """What has gone over each bridge of a host up to a moment."""

    def __init__(self, loads: dict[str, tuple[DomainConfig, Load]], past: dict[str, Transfers], moment: float) -> None:
        self._loads = loads
        self._past = past
        self._moment = moment

    @cached_property
    def _totals(self) -> dict[str, Transfers]:
        totals = dict(self._past)
        for config, load in self._loads.values():
            for nic in config.nics:
                totals[nic.bridge] = totals.get(nic.bridge, Transfers()) + load.nic_here(nic.device, self._moment)
        return totals

    def __getitem__(self, bridge: str) -> Transfers:
        return self._totals[bridge]

    def __iter__(self) -> Iterator[str]:
        return iter(self._totals)

    def __len__(self) -> int:
        return len(self._totals)
