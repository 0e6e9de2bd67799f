"""A hypervisor that only pretends: domains are entries of a table, and operations take their time.

Everything it makes up follows from its arguments, so the same calls give the same domains again.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType

import structlog

from xenapi_core.hypervisors.interface import (
    BootFailedError,
    Disk,
    Domain,
    DomainConfig,
    DomainGoneError,
    Guest,
    GuestRefusedError,
    Hypervisor,
    HypervisorError,
    Nic,
    Progress,
    Samples,
    Stop,
    Stopped,
    untold,
)
from xenapi_core.hypervisors.simulation.faults import Faults, NoFaults
from xenapi_core.hypervisors.simulation.load import Load
from xenapi_core.hypervisors.simulation.meter import Meter

_log = structlog.get_logger(__name__)

STEPS = 20
"""How often long work tells its progress."""

TRIGGERS = MappingProxyType({"power": Stop.poweroff, "reset": Stop.reboot})
"""How a guest stops that is triggered in a way; other triggers it only notes."""

LOG_LINES = 1000
"""Lines that the hypervisor's log keeps."""


@dataclass(frozen=True)
class Timings:
    """How long operations take, in seconds."""

    start: float = 0.050
    resume: float = 0.050
    suspend: float = 0.100
    pause: float = 0.005
    shutdown: float = 0.050
    """Of a guest that is asked to."""
    destroy: float = 0.010
    adjust: float = 0.005
    """Of memory, virtual CPUs or devices."""
    boot: float = 0.200
    """Of the host itself."""
    acknowledgement: float = 10.0
    """Given to a guest that is asked to shut down; then it counts as hung."""
    migrate: float = 0.200
    copy: float = 0.002
    """Of each GiB of a disk image."""
    second: float = 1.0
    """Of each second that a VM's start or shutdown is delayed."""

    def scaled(self, factor: float) -> Timings:
        """Return timings that are so many times as long; 0 for none at all."""
        return Timings(*(value * factor for value in vars(self).values()))


@dataclass(frozen=True)
class System:
    """A guest operating system: what its agent tells."""

    distro: str
    name: str
    major: str
    minor: str
    uname: str


SYSTEMS: Mapping[str, System] = MappingProxyType(
    {
        "debian-12": System("debian", "Debian GNU/Linux 12 (bookworm)", "12", "5", "6.1.0-18-amd64"),
        "ubuntu-24.04": System("ubuntu", "Ubuntu 24.04 LTS", "24", "04", "6.8.0-31-generic"),
        "almalinux-9": System("almalinux", "AlmaLinux 9.4 (Seafoam Ocelot)", "9", "4", "5.14.0-427.el9.x86_64"),
        "windows-server-2022": System("windows", "Microsoft Windows Server 2022 Standard", "10", "0", ""),
    }
)
"""Operating systems whose agents are known, by the names that ``DomainConfig.system`` gives them."""


def address(mac: str) -> tuple[str, str]:
    """Return the IPv4 and the link-local IPv6 address that the guest behind a MAC address has."""
    octets = [int(part, 16) for part in mac.split(":")]
    low = ".".join(str(octet) for octet in octets[3:5])
    interface = [octets[0] ^ 2, octets[1], octets[2], 0xFF, 0xFE, *octets[3:]]
    words = [f"{high << 8 | low:x}" for high, low in zip(interface[::2], interface[1::2], strict=True)]
    return f"10.{low}.{max(1, min(254, octets[5]))}", "fe80::" + ":".join(words)


def guest_of(config: DomainConfig) -> Guest | None:
    """Return what the agent in a guest tells once it has booted; None if its system has no agent."""
    system = SYSTEMS.get(config.system)
    if system is None:
        return None
    networks: dict[str, str] = {}
    for nic in config.nics:
        ipv4, ipv6 = address(nic.mac)
        networks |= {f"{nic.device}/ip": ipv4, f"{nic.device}/ipv4/0": ipv4, f"{nic.device}/ipv6/0": ipv6}
    return Guest(
        os_version={
            "distro": system.distro,
            "name": system.name,
            "major": system.major,
            "minor": system.minor,
            "uname": system.uname,
        },
        drivers={"major": "9", "minor": "3", "micro": "3", "build": "1"},
        networks=networks,
        other={"feature-shutdown": "1", "feature-reboot": "1", "feature-suspend": "1"},
    )


class SimulatedHypervisor:
    """Runs the VMs of one simulated host."""

    def __init__(
        self,
        host: str,
        *,
        timings: Timings | None = None,
        faults: Faults | None = None,
        cpus: int = 1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``faults``: what users want to fail. ``cpus``: how many the host has. ``clock``: seconds since the epoch."""
        self.host = host
        self.timings = timings or Timings()
        self._faults = faults or NoFaults()
        self._clock = clock
        self._meter = Meter(cpus)
        self._domains: dict[str, Domain] = {}
        self._configs: dict[str, DomainConfig] = {}
        self._memories: set[str] = set()
        """Disk images to which this run has suspended domains."""
        self._next_domid = 1
        self._on = True
        self._stopped: Stopped | None = None
        self._lines: deque[str] = deque(maxlen=LOG_LINES)
        self._write(f"Xen 4.19.1 on {host}: simulated")

    def adopt(self, domains: Iterable[tuple[DomainConfig, Domain]]) -> None:
        """Take over domains that ran before the server was last stopped."""
        for config, domain in domains:
            self._domains[config.uuid] = domain
            self._configs[config.uuid] = config
            self._next_domid = max(self._next_domid, domain.domid + 1)
            load = self._load(config.uuid, domain.started.timestamp())
            idle = domain.paused or domain.crashed
            self._meter.put(config, load.stopped(self._clock()) if idle else load)

    def adopt_control_domain(self, config: DomainConfig, domain: Domain) -> None:
        """Take over the domain that runs the host. It is only measured."""
        self._meter.put(config, self._load(config.uuid, domain.started.timestamp()))

    # What the API asks (see interface.Hypervisor)

    def domains(self) -> Mapping[str, Domain]:
        """Return all domains but the control domain, by the uuid of their VM."""
        return MappingProxyType(self._domains)

    def holds_memory(self, image: str) -> bool:
        """Return whether ``suspend`` has written the whole memory of a domain to a disk image (its uuid)."""
        return image in self._memories

    def watch(self, stopped: Stopped) -> None:
        """Name the one who hears when a guest stops by itself."""
        self._stopped = stopped

    def log(self) -> str:
        """Return the hypervisor's own log, oldest line first."""
        return "".join(f"(XEN) {line}\n" for line in self._lines)

    def clear_log(self) -> str:
        """Empty the hypervisor's own log and return what was in it."""
        text = self.log()
        self._lines.clear()
        return text

    def samples(self) -> tuple[Samples, Samples]:
        """Return all counters as they were at the last full second but one, and at the last."""
        now = float(int(self._clock()))
        return self._meter.read(now - 1.0), self._meter.read(now)

    async def start(self, config: DomainConfig, *, paused: bool = False, progress: Progress = untold) -> Domain:
        """Build a domain and let it run, or leave it paused before its first instruction."""
        await self._take_time(self.timings.start * self._slowness(config.uuid), progress)
        if self._faults.of(config.uuid, "sim:fail_boot"):
            self._faults.spend(config.uuid, "sim:fail_boot")
            raise BootFailedError(f"The guest of VM {config.name} does not boot.")
        return self._build(config, paused=paused, guest=None if paused else guest_of(config))

    async def resume(
        self, config: DomainConfig, image: str, *, paused: bool = False, progress: Progress = untold
    ) -> Domain:
        """Build a domain from the memory in a disk image, as ``suspend`` left it."""
        await self._take_time(self.timings.resume * self._slowness(config.uuid), progress)
        domain = self._build(config, paused=paused, guest=guest_of(config))
        self._memories.discard(image)
        return domain

    async def suspend(self, uuid: str, image: str, *, progress: Progress = untold) -> None:
        """Write the domain's memory to a disk image and end the domain."""
        before = self._domain(uuid)
        await self._take_time(self.timings.suspend * self._slowness(uuid), progress)
        self._still(before)
        self._memories.add(image)
        self._end(uuid, "suspended")

    async def pause(self, uuid: str) -> Domain:
        """Stop giving the domain CPU time."""
        await asyncio.sleep(self.timings.pause)
        self._domain(uuid)
        self._meter.change(uuid, lambda load: load.stopped(self._clock()))
        return self._change(uuid, paused=True)

    async def unpause(self, uuid: str) -> Domain:
        """Give the domain CPU time again; one that never ran boots now."""
        await asyncio.sleep(self.timings.pause)
        self._domain(uuid)
        self._meter.change(uuid, lambda load: load.going_on(self._clock()))
        return self._change(uuid, paused=False, guest=guest_of(self._configs[uuid]))

    async def clean_shutdown(self, uuid: str, *, progress: Progress = untold) -> None:
        """Ask the guest to power itself off, and wait until it has."""
        before = self._domain(uuid)
        await self._ask(uuid, progress)
        if uuid in self._domains:
            self._still(before)
            self._end(uuid, "shut down")

    async def clean_reboot(self, config: DomainConfig, *, progress: Progress = untold) -> Domain:
        """Ask the guest to shut down, and build its domain anew."""
        before = self._domain(config.uuid)
        await self._ask(config.uuid, progress)
        return self._rebuild(config, before, "shut down to reboot")

    async def hard_shutdown(self, uuid: str) -> None:
        """End the domain at once. Ending one that is gone already succeeds."""
        await asyncio.sleep(self.timings.destroy)
        self._end(uuid, "destroyed")

    async def hard_reboot(self, config: DomainConfig) -> Domain:
        """End the domain at once and build it anew."""
        before = self._domain(config.uuid)
        await asyncio.sleep(self.timings.destroy + self.timings.start)
        return self._rebuild(config, before, "destroyed to reboot")

    async def set_memory(self, uuid: str, memory: int) -> Domain:
        """Give the domain another amount of memory, within what it was built for."""
        await asyncio.sleep(self.timings.adjust)
        self._domain(uuid)
        if not 0 < memory <= self._configs[uuid].memory_max:
            raise HypervisorError(f"A domain built for {self._configs[uuid].memory_max} bytes cannot have {memory}.")
        return self._change(uuid, memory=memory)

    async def set_vcpus(self, uuid: str, vcpus: int) -> Domain:
        """Give the domain another number of virtual CPUs, within what it was built for."""
        await asyncio.sleep(self.timings.adjust)
        self._domain(uuid)
        if not 0 < vcpus <= self._configs[uuid].vcpus_max:
            raise HypervisorError(
                f"A domain built for {self._configs[uuid].vcpus_max} virtual CPUs cannot have {vcpus}."
            )
        return self._change(uuid, vcpus=vcpus)

    async def set_scheduling(self, uuid: str, parameters: Mapping[str, str]) -> None:
        """Set the domain's scheduling parameters."""
        await asyncio.sleep(self.timings.adjust)
        told = ", ".join(f"{name} {value}" for name, value in sorted(parameters.items()))
        self._write(f"d{self._domain(uuid).domid} scheduled with {told or 'defaults'}")

    async def set_shadow_memory(self, uuid: str, memory: int) -> None:
        """Set aside another amount of memory (bytes) for the domain's shadow page tables."""
        await asyncio.sleep(self.timings.adjust)
        self._write(f"d{self._domain(uuid).domid} has {memory >> 10} KiB of shadow memory")

    async def send_sysrq(self, uuid: str, key: str) -> None:
        """Send a magic system request to the guest."""
        self._write(f"d{self._domain(uuid).domid} system request {key!r}")

    async def send_trigger(self, uuid: str, trigger: str) -> None:
        """Raise an event of the domain's virtual hardware: the power button asks the guest to power itself off."""
        self._write(f"d{self._domain(uuid).domid} trigger {trigger!r}")
        stop = TRIGGERS.get(trigger)
        if stop is not None:
            self.guest_stops(uuid, stop)

    async def migrate(self, uuid: str, destination: Hypervisor, progress: Progress) -> Domain:
        """Move the domain to another simulated host while it runs."""
        if not isinstance(destination, SimulatedHypervisor):
            raise HypervisorError(f"Host {self.host} is simulated: its domains cannot move to one that is not.")
        await self._take_time(self.timings.migrate, progress)
        domain, config = self._domain(uuid), self._configs[uuid]
        moved = destination.receive(config, domain, self._meter.load(uuid))
        self._end(uuid, f"moved to {destination.host}")
        return moved

    async def save(self, uuid: str, image: str) -> None:
        """Write the domain's memory to a disk image, and let the domain go on."""
        await asyncio.sleep(self.timings.suspend)
        self._write(f"d{self._domain(uuid).domid} saved to {image}")

    async def dump_core(self, uuid: str, image: str) -> None:
        """Write the domain's memory to a disk image, for debuggers."""
        await asyncio.sleep(self.timings.suspend)
        self._write(f"d{self._domain(uuid).domid} dumped to {image}")

    async def copy_image(self, source: str, image: str, size: int, progress: Progress) -> None:
        """Copy the content of a disk image to another one."""
        await self._take_time(self.timings.copy * size / (1 << 30), progress)

    async def wait(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds * self.timings.second)

    async def attach(self, uuid: str, device: Disk | Nic) -> Domain:
        """Plug a device into the domain; one in the same position is replaced."""
        return await self._replug(uuid, device, (device,))

    async def detach(self, uuid: str, device: Disk | Nic) -> Domain:
        """Unplug the device in this one's position from the domain, if there is one."""
        return await self._replug(uuid, device, ())

    def debug_keys(self, keys: str) -> None:
        """Press keys on the hypervisor's console: each lists the domains."""
        for key in keys:
            self._write(f"'{key}' pressed -> {len(self._domains)} domains")
            for domain in self._domains.values():
                self._write(f"General information for domain {domain.domid}: {domain.memory >> 12} pages")

    async def power_off(self) -> None:
        """Switch the host itself off: all its domains end at once, and none can be built until ``power_on``."""
        await asyncio.sleep(self.timings.shutdown)
        self._on = False
        for uuid in list(self._domains):
            self._end(uuid, "lost with its host")

    async def power_on(self) -> None:
        """Switch the host itself on, and wait until it has booted."""
        await asyncio.sleep(self.timings.boot)
        self._on = True
        self._lines.clear()
        self._write(f"Xen 4.19.1 on {self.host}: simulated")

    # What guests do by themselves

    def guest_stops(self, uuid: str, stop: Stop) -> None:
        """Let a guest power itself off, reboot itself or crash; KeyError if the VM has no domain."""
        domain = self._domains[uuid]
        self._write(f"d{domain.domid} stopped by itself: {stop}")
        if stop is Stop.crash:
            self._domains[uuid] = replace(domain, crashed=True)
            self._meter.change(uuid, lambda load: load.stopped(self._clock()))
        else:
            self._end(uuid, "ended")
        if self._stopped is not None:
            self._stopped(uuid, stop)

    # The table of domains

    def _domain(self, uuid: str) -> Domain:
        try:
            return self._domains[uuid]
        except KeyError:
            raise DomainGoneError(f"Host {self.host} has no domain of VM {uuid}.") from None

    def _still(self, before: Domain) -> None:
        """Check that the domain that an operation began with is still there, not another one in its place."""
        if self._domain(before.uuid).domid != before.domid:
            raise DomainGoneError(f"The domain of VM {before.uuid} ended meanwhile; the VM has a new one.")

    async def _replug(self, uuid: str, device: Disk | Nic, instead: tuple[Disk | Nic, ...]) -> Domain:
        """Put other devices, or none, in the place of a domain's device."""
        self._domain(uuid)
        await asyncio.sleep(self.timings.adjust)
        domain = self._domain(uuid)
        config = self._configs[uuid]
        if isinstance(device, Disk):
            disks = tuple(disk for disk in config.disks if disk.device != device.device)
            config = replace(config, disks=disks + tuple(disk for disk in instead if isinstance(disk, Disk)))
        else:
            nics = tuple(nic for nic in config.nics if nic.device != device.device)
            config = replace(config, nics=nics + tuple(nic for nic in instead if isinstance(nic, Nic)))
        self._configs[uuid] = config
        kind = "disk" if isinstance(device, Disk) else "NIC"
        self._meter.replug(config, f"{kind.lower()} {device.device}", self._clock())
        self._write(f"d{domain.domid} {kind} {device.device} {'attached' if instead else 'detached'}")
        return self._change(uuid, guest=guest_of(config)) if domain.guest else domain

    def _build(self, config: DomainConfig, *, paused: bool, guest: Guest | None) -> Domain:
        if not self._on:
            raise HypervisorError(f"Host {self.host} is switched off.")
        if config.uuid in self._domains:
            raise HypervisorError(f"Host {self.host} already has a domain of VM {config.uuid}.")
        domain = Domain(
            uuid=config.uuid,
            domid=self._next_domid,
            paused=paused,
            memory=config.memory,
            vcpus=config.vcpus,
            started=datetime.now(UTC).replace(microsecond=0),
            kind=config.kind,
            guest=guest,
        )
        self._next_domid += 1
        self._domains[config.uuid] = domain
        self._configs[config.uuid] = config
        load = self._load(config.uuid, self._clock())
        self._meter.put(config, load.stopped(load.since) if paused else load)
        self._crash_later(domain)
        self._write(f"d{domain.domid} built for {config.name}: {config.vcpus} VCPUs, {config.memory >> 10} KiB")
        _log.debug("domain_built", host=self.host, vm=config.uuid, domid=domain.domid, paused=paused)
        return domain

    def _rebuild(self, config: DomainConfig, before: Domain, how: str) -> Domain:
        self._still(before)
        self._end(config.uuid, how)
        return self._build(config, paused=False, guest=guest_of(config))

    def receive(self, config: DomainConfig, domain: Domain, load: Load) -> Domain:
        """Take over a domain that runs on another host."""
        if config.uuid in self._domains:
            raise HypervisorError(f"Host {self.host} already has a domain of VM {config.uuid}.")
        moved = replace(domain, domid=self._next_domid)
        self._next_domid += 1
        self._domains[config.uuid], self._configs[config.uuid] = moved, config
        self._meter.put(config, load.moved(self._clock()))
        self._write(f"d{moved.domid} received: {config.name}")
        return moved

    async def _take_time(self, seconds: float, progress: Progress = untold) -> None:
        steps = STEPS if seconds else 1
        for step in range(steps):
            await asyncio.sleep(seconds / steps)
            progress((step + 1) / steps)

    async def _ask(self, uuid: str, progress: Progress) -> None:
        """Ask a guest to shut down, and wait until it has; GuestRefusedError if it does not answer."""
        if self._faults.of(uuid, "sim:hang_on_shutdown"):
            await asyncio.sleep(self.timings.acknowledgement)
            raise GuestRefusedError(f"The guest of VM {uuid} does not answer.")
        await self._take_time(self.timings.shutdown, progress)

    def _slowness(self, uuid: str) -> float:
        return max(1.0, self._faults.of(uuid, "sim:slow_disk"))

    def _load(self, uuid: str, since: float) -> Load:
        return Load(uuid, since, slowness=self._slowness(uuid))

    def _crash_later(self, domain: Domain) -> None:
        """Let a guest crash after a time, if that is asked for and its domain is still there."""

        def crash() -> None:
            current = self._domains.get(domain.uuid)
            if current is not None and current.domid == domain.domid and not current.crashed:
                self.guest_stops(domain.uuid, Stop.crash)

        seconds = self._faults.of(domain.uuid, "sim:crash_after")
        if seconds:
            asyncio.get_running_loop().call_later(seconds * self.timings.second, crash)

    def _change(self, uuid: str, **changes: object) -> Domain:
        domain = replace(self._domain(uuid), **changes)  # type: ignore[arg-type]  # the callers name fields of Domain
        self._domains[uuid] = domain
        return domain

    def _end(self, uuid: str, how: str) -> None:
        domain = self._domains.pop(uuid, None)
        self._configs.pop(uuid, None)
        self._meter.remove(uuid, self._clock())
        if domain is not None:
            self._write(f"d{domain.domid} {how}")
            _log.debug("domain_ended", host=self.host, vm=uuid, domid=domain.domid, how=how)

    def _write(self, line: str) -> None:
        self._lines.append(line)
