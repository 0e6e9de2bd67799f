"""What the parts of a pool in the making need of each other."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Network
from itertools import cycle, islice
from typing import Any

from xenapi_core.datamodel import Change
from xenapi_core.population.identity import identity
from xenapi_core.scenario import Network, Scenario

MIB, GIB = 1 << 20, 1 << 30

GROWTH = 64 * GIB
"""Hosts and storage that are too small for the VMs grow by multiples of this."""


def grown(size: int) -> int:
    """Return a size (bytes) rounded up to what hosts and storage grow by."""
    return -(-size // GROWTH) * GROWTH


class Making:
    """A pool in the making."""

    def __init__(self, change: Change, scenario: Scenario) -> None:
        self.change = change
        self.scenario = scenario
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.hosts: list[str] = []
        self.metrics: list[str] = []
        """Of each host."""
        self.free: list[int] = []
        """Memory of each host that nobody holds (bytes)."""
        self.networks: dict[str, str] = {}
        """References by the name in the scenario."""
        self.default_sr = ""
        self.discs: list[str] = []
        """The CD images that are in no drive yet."""
        self.allocated = [0, 0]
        """Virtual and physical size of the images in the default repository (bytes)."""

    def create(self, cls: str, path: str, /, **values: Any) -> str:
        """Make the object with a path and return its reference."""
        uuid, ref = identity(self.scenario.seed, path)
        return self.change.create(cls, {"uuid": uuid, **values}, ref)

    def address(self, host: int, network: Network | None = None) -> str:
        """Return a host's address on a network, on that for management if none is named."""
        network = network or next(net for net in self.scenario.networks if net.management and net.device)
        return str(IPv4Network(network.subnet)[host + 1 + 10]) if network.subnet else ""

    def memory_of_vms(self) -> int:
        """Return the memory that all VMs take while they run (bytes)."""
        templates = islice(cycle(self.scenario.templates), self.scenario.vms.count)
        return sum((template.memory_mib * 257 // 256 + template.vcpus + 4) * MIB for template in templates)
