"""What the API asks of a hypervisor, and what it hears back.

A hypervisor runs the domains of one host. It knows VMs by their uuid and nothing of the API: what a domain is to be
like arrives as a ``DomainConfig``, what it is like is answered as a ``Domain``. An operation that fails raises a
``HypervisorError`` and has had no effect; so has one that is cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk or CD drive of a domain."""

    device: str
    """Position as the user gave it: "0", "1" ... or "xvda"."""
    image: str
    """uuid of the disk image; "" for an empty CD drive."""
    writable: bool
    cd: bool
    bootable: bool


@dataclass(frozen=True, slots=True)
class Nic:
    """A NIC of a domain."""

    device: str
    mac: str
    bridge: str
    mtu: int


@dataclass(frozen=True, slots=True)
class DomainConfig:
    """What a domain is to be like. Sizes in bytes."""

    uuid: str
    name: str
    memory: int
    """Memory at the start."""
    memory_max: int
    vcpus: int
    vcpus_max: int
    kind: str
    """"hvm", "pv", "pvh" or "pv_in_pvh"."""
    boot: Mapping[str, str] = field(default_factory=dict)
    """order and firmware of an HVM guest; bootloader, kernel, ramdisk and args of a paravirtualized one."""
    system: str = ""
    """Name of the guest's operating system, if it is known: "debian-12"."""
    disks: tuple[Disk, ...] = ()
    nics: tuple[Nic, ...] = ()


@dataclass(frozen=True, slots=True)
class Guest:
    """What the agent inside a guest tells."""

    os_version: Mapping[str, str]
    drivers: Mapping[str, str]
    """major, minor, micro and build of the paravirtual drivers."""
    networks: Mapping[str, str]
    """Addresses by NIC: "0/ip", "0/ipv4/0", "0/ipv6/0"."""
    other: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain as its hypervisor knows it. Sizes in bytes."""

    uuid: str
    domid: int
    paused: bool
    memory: int
    vcpus: int
    started: datetime
    kind: str
    guest: Guest | None = None
    """None until an agent inside the guest has told something."""
    crashed: bool = False


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


@dataclass(frozen=True, slots=True)
class Transfers:
    """What a device has transferred since it was plugged in; never falls. Packets are the operations of a NIC."""

    read_bytes: int = 0
    """Read from a disk; received by a NIC."""
    read_operations: int = 0
    written_bytes: int = 0
    """Written to a disk; sent by a NIC."""
    write_operations: int = 0
    read_seconds: float | None = None
    """What all reads of a disk took together; None if that is not measured, as it is not of NICs."""
    write_seconds: float | None = None

    def __add__(self, other: Transfers) -> Transfers:
        return Transfers(
            self.read_bytes + other.read_bytes,
            self.read_operations + other.read_operations,
            self.written_bytes + other.written_bytes,
            self.write_operations + other.write_operations,
            _sum(self.read_seconds, other.read_seconds),
            _sum(self.write_seconds, other.write_seconds),
        )


@dataclass(frozen=True, slots=True)
class DomainSample:
    """What a domain has used since it was built; never falls."""

    vcpu_time: Sequence[float]
    """Seconds for which each virtual CPU has run."""
    cpus: Sequence[int]
    """The physical CPU that each virtual CPU was last seen on."""
    disks: Mapping[str, Transfers]
    """By position."""
    nics: Mapping[str, Transfers]
    """By position."""


@dataclass(frozen=True, slots=True)
class Samples:
    """The counters of a host at one moment."""

    moment: float
    """Seconds since the epoch."""
    domains: Mapping[str, DomainSample]
    """By the uuid of their VM; the control domain is one of them. The mapping may work a sample out when it is read."""
    nics: Mapping[str, Transfers]
    """What went over each bridge, by its name."""


class Stop(StrEnum):
    """How a guest stopped by itself."""

    poweroff = "poweroff"
    reboot = "reboot"
    crash = "crash"


Stopped = Callable[[str, Stop], None]
"""Called on the event loop with the uuid of a VM whose guest stopped by itself.

After a power-off or a reboot the domain is gone. After a crash it is there, crashed, until ``hard_shutdown``."""


Progress = Callable[[float], None]
"""Called with how much is done, from 0.0 to 1.0."""


def untold(fraction: float) -> None:
    """Tell nobody how much is done."""


class HypervisorError(Exception):
    """An operation failed and had no effect. The text is a sentence for people."""


class DomainGoneError(HypervisorError):
    """The domain ended while, or before, the operation ran."""


class GuestRefusedError(HypervisorError):
    """The guest was asked to do something and did not do it in time."""


class BootFailedError(HypervisorError):
    """The guest did not boot. Its domain is gone."""


class Hypervisor(Protocol):
    """What runs the VMs of one host. All methods are called on the event loop."""

    def domains(self) -> Mapping[str, Domain]:
        """Return all domains but the control domain, by the uuid of their VM."""

    def holds_memory(self, image: str) -> bool:
        """Return whether ``suspend`` has written the whole memory of a domain to a disk image (its uuid)."""

    def watch(self, stopped: Stopped) -> None:
        """Name the one who hears when a guest stops by itself."""

    def log(self) -> str:
        """Return the hypervisor's own log, oldest line first."""

    def clear_log(self) -> str:
        """Empty the hypervisor's own log and return what was in it."""

    def samples(self) -> tuple[Samples, Samples]:
        """Return all counters as they were about a second before, and as they are now. Does not block.

        Called at most once a second, and only while somebody wants to know.
        """

    async def start(self, config: DomainConfig, *, paused: bool = False, progress: Progress = untold) -> Domain:
        """Build a domain and let it run, or leave it paused before its first instruction."""

    async def resume(
        self, config: DomainConfig, image: str, *, paused: bool = False, progress: Progress = untold
    ) -> Domain:
        """Build a domain from the memory in a disk image (its uuid), as ``suspend`` left it."""

    async def suspend(self, uuid: str, image: str, *, progress: Progress = untold) -> None:
        """Write the domain's memory to a disk image (its uuid) and end the domain."""

    async def pause(self, uuid: str) -> Domain:
        """Stop giving the domain CPU time."""

    async def unpause(self, uuid: str) -> Domain:
        """Give the domain CPU time again."""

    async def clean_shutdown(self, uuid: str, *, progress: Progress = untold) -> None:
        """Ask the guest to power itself off, and wait until it has."""

    async def clean_reboot(self, config: DomainConfig, *, progress: Progress = untold) -> Domain:
        """Ask the guest to shut down, and build its domain anew."""

    async def hard_shutdown(self, uuid: str) -> None:
        """End the domain at once. Ending one that is gone already succeeds."""

    async def hard_reboot(self, config: DomainConfig) -> Domain:
        """End the domain at once and build it anew."""

    async def set_memory(self, uuid: str, memory: int) -> Domain:
        """Give the domain another amount of memory, within what it was built for."""

    async def set_vcpus(self, uuid: str, vcpus: int) -> Domain:
        """Give the domain another number of virtual CPUs, within what it was built for."""

    async def set_scheduling(self, uuid: str, parameters: Mapping[str, str]) -> None:
        """Set the domain's scheduling parameters: weight, cap, mask."""

    async def set_shadow_memory(self, uuid: str, memory: int) -> None:
        """Set aside another amount of memory (bytes) for the domain's shadow page tables."""

    async def send_sysrq(self, uuid: str, key: str) -> None:
        """Send a magic system request to a paravirtualized guest."""

    async def send_trigger(self, uuid: str, trigger: str) -> None:
        """Raise an event of the domain's virtual hardware: nmi, init, reset, power, sleep."""

    async def migrate(self, uuid: str, destination: Hypervisor, progress: Progress) -> Domain:
        """Move the domain to another host while it runs; return it as it is there."""

    async def save(self, uuid: str, image: str) -> None:
        """Write the domain's memory to a disk image (its uuid), and let the domain go on."""

    async def dump_core(self, uuid: str, image: str) -> None:
        """Write the memory of a domain, crashed or not, to a disk image (its uuid), for debuggers."""

    async def copy_image(self, source: str, image: str, size: int, progress: Progress) -> None:
        """Copy the content of a disk image (its uuid, its size in bytes) to another one."""

    async def wait(self, seconds: float) -> None:
        """Let time pass, as the hypervisor counts it."""

    async def attach(self, uuid: str, device: Disk | Nic) -> Domain:
        """Plug a device into the domain; one in the same position is replaced."""

    async def detach(self, uuid: str, device: Disk | Nic) -> Domain:
        """Unplug the device in this one's position from the domain, if there is one."""

    def debug_keys(self, keys: str) -> None:
        """Press keys on the hypervisor's console, each of which makes it tell something in its log."""

    async def power_off(self) -> None:
        """Switch the host itself off: all its domains end at once, and none can be built until ``power_on``."""

    async def power_on(self) -> None:
        """Switch the host itself on, and wait until it has booted."""
