"""The load that a simulated guest puts on its host.

A guest has one busyness that wanders around 1; what its virtual CPUs run and what its devices transfer follows it. All
are totals since the guest began, in closed form: they follow from the VM's uuid, the names of its devices and the time
alone, never fall, and cost nothing until somebody asks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b

from xenapi_core.hypervisors.interface import Transfers

WAVES = ((41.0, 0.35), (613.0, 0.35), (86_400.0, 0.2))
"""Period (seconds) and depth of each wave of busyness. The depths add up to less than 1, so that it stays positive."""

SWING, DEPTH = 10_000, 0.4
"""After how many operations the latency of a disk swings back, and by how much of its average it swings."""

BUSIEST_VCPU = 0.5
"""The largest average utilisation of a virtual CPU; at its busiest moment it is not quite twice that."""


@dataclass(frozen=True)
class Kind:
    """What devices of a kind transfer at most, on average."""

    read: float
    """Bytes per second."""
    written: float
    """Bytes per second."""
    operation: int
    """Bytes of one operation, or of one packet."""
    read_latency: float | None = None
    """Seconds that a read takes on average; None if that is not measured."""
    write_latency: float | None = None


DISK = Kind(read=4e6, written=2e6, operation=16 * 1024, read_latency=900e-6, write_latency=350e-6)
NIC = Kind(read=1.5e6, written=1e6, operation=900)


@lru_cache(maxsize=1 << 17)
def share(vm: str, name: str) -> float:
    """Return a number from 0 to 1 that follows from a VM and a name."""
    return int.from_bytes(blake2b(f"{vm}/{name}".encode(), digest_size=4).digest(), "big") / 0xFFFFFFFF


@lru_cache(maxsize=1 << 15)
def _phases(vm: str) -> tuple[tuple[float, float, float], ...]:
    """Return angular frequency, phase and amplitude of the integral of each wave of a VM's busyness."""
    return tuple(
        (2 * math.pi / period, 2 * math.pi * share(vm, f"wave {period}"), depth * period / (2 * math.pi))
        for period, depth in WAVES
    )


@lru_cache(maxsize=1 << 16)
def busy_seconds(vm: str, seconds: float) -> float:
    """Return a VM's busyness summed up over the seconds that it has run."""
    total = seconds
    for frequency, phase, amplitude in _phases(vm):
        total += amplitude * (math.cos(phase) - math.cos(frequency * seconds + phase))
    return total


@dataclass(frozen=True)
class Load:
    """What a guest has done since its domain was built. Moments are seconds on any one clock."""

    vm: str
    since: float
    """When it last began to run."""
    before: float = 0.0
    """Seconds that it had run before that."""
    until: float = math.inf
    """When it was paused, or crashed."""
    arrived: float = 0.0
    """Seconds that it had run when it came to this host."""
    attached: dict[str, float] = field(default_factory=dict)
    """Seconds that it had run when a device was plugged in; devices that are not here were there from the start."""
    slowness: float = 1.0
    """How many times as long its disks take."""

    def seconds(self, moment: float) -> float:
        """Return how long it has run."""
        return self.before + max(0.0, min(moment, self.until) - self.since)

    def stopped(self, now: float) -> Load:
        """Return the load of the guest that gets no more CPU time."""
        return replace(self, until=min(self.until, now))

    def going_on(self, now: float) -> Load:
        """Return the load of the guest that gets CPU time again."""
        return self if self.until == math.inf else replace(self, before=self.seconds(now), since=now, until=math.inf)

    def moved(self, now: float) -> Load:
        """Return the load of the guest that has come to another host."""
        return replace(self, arrived=self.seconds(now))

    def plugged(self, device: str, now: float) -> Load:
        """Return the load of the guest that has a new device."""
        return replace(self, attached={**self.attached, device: self.seconds(now)})

    def vcpu_time(self, number: int, moment: float) -> float:
        """Return the seconds for which a virtual CPU has run."""
        return BUSIEST_VCPU * share(self.vm, f"vcpu {number}") ** 2 * busy_seconds(self.vm, self.seconds(moment))

    def disk(self, device: str, moment: float) -> Transfers:
        """Return what a disk has transferred."""
        begun = self.attached.get(f"disk {device}", 0.0)
        return self._transfers(DISK, f"disk {device}", begun, moment, 1.0 / self.slowness)

    def nic(self, device: str, moment: float) -> Transfers:
        """Return what a NIC has transferred."""
        return self._transfers(NIC, f"nic {device}", self.attached.get(f"nic {device}", 0.0), moment)

    def nic_here(self, device: str, moment: float) -> Transfers:
        """Return what a NIC has transferred since the guest came to this host."""
        begun = max(self.arrived, self.attached.get(f"nic {device}", 0.0))
        return self._transfers(NIC, f"nic {device}", begun, moment)

    def _transfers(self, kind: Kind, device: str, begun: float, moment: float, speed: float = 1.0) -> Transfers:
        seconds = self.seconds(moment)
        busy = speed * (busy_seconds(self.vm, max(seconds, begun)) - busy_seconds(self.vm, begun))
        read = int(kind.read * busy * share(self.vm, f"{device} read") ** 2)
        written = int(kind.written * busy * share(self.vm, f"{device} written") ** 2)
        reads, writes = read // kind.operation, written // kind.operation
        return Transfers(
            read,
            reads,
            written,
            writes,
            self._duration(reads, kind.read_latency, f"{device} read"),
            self._duration(writes, kind.write_latency, f"{device} written"),
        )

    def _duration(self, operations: int, latency: float | None, what: str) -> float | None:
        """Return what so many operations took together (seconds): each device has its latency, which swings."""
        if latency is None:
            return None
        average = latency * self.slowness * (0.5 + share(self.vm, f"{what} latency"))
        frequency, phase = 2 * math.pi / SWING, 2 * math.pi * share(self.vm, f"{what} swing")
        return average * (operations + DEPTH / frequency * (math.cos(phase) - math.cos(frequency * operations + phase)))
