"""Scenarios: files that declare the pool that is simulated.

A scenario is a TOML file; its tables are the classes below, its keys their fields. Anything else in it is an error that
names the file and the key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from importlib import resources
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

MOST_HOSTS = 64
MOST_VMS = 100_000
MOST_DISKS, MOST_NICS = 16, 7
"""Per VM."""

KINDS = ("pv", "pvh", "hvm")
FIRMWARES = ("bios", "uefi")
STATES = ("Running", "Halted", "Paused", "Suspended")


class ScenarioError(Exception):
    """A scenario that cannot be read. The text is a sentence that names the file and the key."""


@dataclass(frozen=True)
class Pool:
    """The table [pool]."""

    name: str
    description: str = ""


@dataclass(frozen=True)
class Cpu:
    """The table [hosts.cpu]: every CPU of every host."""

    sockets: int
    cores_per_socket: int
    vendor: str
    modelname: str
    family: int
    model: int
    stepping: str
    speed_mhz: int
    flags: str
    features: str

    @property
    def count(self) -> int:
        """CPUs per host."""
        return self.sockets * self.cores_per_socket


@dataclass(frozen=True)
class ScsiDisk:
    """A table [[hosts.scsi]]: a disk of every host."""

    vendor: str
    model: str
    revision: str


@dataclass(frozen=True)
class Hosts:
    """The table [hosts]: all hosts are alike."""

    count: int
    name: str
    domain: str
    memory_gib: int
    xen_memory_mib: int
    control_domain_memory_mib: int
    control_domain_vcpus: int
    cpu: Cpu
    scsi: tuple[ScsiDisk, ...] = ()


@dataclass(frozen=True)
class Network:
    """A table [[networks]]."""

    name: str
    bridge: str
    description: str = ""
    device: str = ""
    """The NIC of every host that is on the network; empty for a network inside each host."""
    management: bool = False
    subnet: str = ""
    """IPv4 network of the hosts' addresses; the number of the host is the last part."""
    vlan: int = -1
    """Tag of the VLAN on the device that is on the network; -1 for the device itself."""
    bond: tuple[str, ...] = ()
    """NICs of every host that are bonded to be on the network."""
    tunnel: str = ""
    """The NIC, or bond, of every host that the tunnel goes through which is on the network."""


@dataclass(frozen=True)
class Image:
    """A table [[storage.images]]: a CD image."""

    name: str
    size_mib: int
    tools: bool = False
    """It holds the guest tools."""


@dataclass(frozen=True)
class Storage:
    """A table [[storage]]: a repository, or one per host."""

    name: str
    type: str
    size_gib: int
    description: str = ""
    shared: bool = False
    default: bool = False
    device: dict[str, str] = field(default_factory=dict)
    images: tuple[Image, ...] = ()


@dataclass(frozen=True)
class Template:
    """A table [[templates]]."""

    name: str
    kind: str
    memory_mib: int
    vcpus: int
    system: str = ""
    firmware: str = "bios"
    scheduling: dict[str, str] = field(default_factory=dict)
    """VM.VCPUs_params."""
    guest_data: dict[str, str] = field(default_factory=dict)
    """What the guest finds under vm-data in xenstore."""


@dataclass(frozen=True)
class Vms:
    """The table [vms]."""

    count: int
    name: str
    states: tuple[str, ...]
    disks_gib: tuple[int, ...]
    networks: tuple[str, ...]


@dataclass(frozen=True)
class Scenario:
    """A whole file."""

    seed: int
    pool: Pool
    hosts: Hosts
    networks: tuple[Network, ...]
    storage: tuple[Storage, ...]
    templates: tuple[Template, ...]
    vms: Vms


def load(
    path: Path | None = None, *, hosts: int | None = None, vms: int | None = None, seed: int | None = None
) -> Scenario:
    """Read a scenario, the built-in one without a path; the numbers of hosts and VMs and the seed may be overridden.

    ScenarioError if the file cannot be read or says something that cannot be.
    """
    name = str(path) if path else "scenario.toml"
    try:
        text = path.read_text("utf-8") if path else resources.files(__package__).joinpath(name).read_text("utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise ScenarioError(f"{name} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScenarioError(f"{name} is not TOML: {error}.") from error
    scenario: Scenario = _table(Scenario, document, name, "")
    if hosts is not None:
        scenario = replace(scenario, hosts=replace(scenario.hosts, count=hosts))
    if vms is not None:
        scenario = replace(scenario, vms=replace(scenario.vms, count=vms))
    if seed is not None:
        scenario = replace(scenario, seed=seed)
    for key, problem in _problems(scenario):
        raise ScenarioError(f"{name}: {key} {problem}.")
    return scenario


def _table(cls: type, table: Any, file: str, where: str) -> Any:
    """Return a dataclass from a TOML table."""
    if not isinstance(table, dict):
        raise ScenarioError(f"{file}: {where} has to be a table.")
    hints = get_type_hints(cls)
    known = {item.name: item for item in fields(cls)}
    for key in table:
        if key not in known:
            raise ScenarioError(f"{file}: {_join(where, key)} is not known here; known are {', '.join(known)}.")
    for key, item in known.items():
        if key not in table and item.default is MISSING and item.default_factory is MISSING:
            raise ScenarioError(f"{file}: {_join(where, key)} is missing.")
    return cls(**{key: _value(hints[key], value, file, _join(where, key)) for key, value in table.items()})


_WORDS = {str: "a text", int: "a whole number", bool: "true or false"}


def _value(hint: Any, value: Any, file: str, where: str) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        return _table(hint, value, file, where)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ScenarioError(f"{file}: {where} has to be a list.")
        item = get_args(hint)[0]
        return tuple(_value(item, part, file, f"{where}[{number}]") for number, part in enumerate(value))
    if get_origin(hint) is dict:
        if not isinstance(value, Mapping):
            raise ScenarioError(f"{file}: {where} has to be a table.")
        return {key: _value(str, part, file, f"{where}.{key}") for key, part in value.items()}
    if type(value) is not hint:
        raise ScenarioError(f"{file}: {where} has to be {_WORDS[hint]}.")
    return value


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _problems(scenario: Scenario) -> list[tuple[str, str]]:
    """Return what cannot be in a scenario: keys and what is wrong with them."""
    problems: list[tuple[str, str]] = []

    def expect(holds: bool, key: str, problem: str) -> None:
        if not holds:
            problems.append((key, problem))

    hosts, vms = scenario.hosts, scenario.vms
    expect(1 <= hosts.count <= MOST_HOSTS, "hosts.count", f"has to be between 1 and {MOST_HOSTS}")
    expect(1 <= vms.count <= MOST_VMS, "vms.count", f"has to be between 1 and {MOST_VMS}")
    for key, pattern in (("hosts.name", hosts.name), ("vms.name", vms.name)):
        expect(_numbered(pattern), key, "has to contain {number}, for example {number:02}")
    for key in ("memory_gib", "xen_memory_mib", "control_domain_memory_mib", "control_domain_vcpus"):
        expect(getattr(hosts, key) > 0, f"hosts.{key}", "has to be more than 0")
    for key in ("sockets", "cores_per_socket"):
        expect(getattr(hosts.cpu, key) > 0, f"hosts.cpu.{key}", "has to be more than 0")
    for number, network in enumerate(scenario.networks):
        expect(
            _is_subnet(network.subnet),
            f"networks[{number}].subnet",
            "has to be an IPv4 network with room for the hosts",
        )
    expect(
        [
            bool(network.device and network.vlan < 0 and network.subnet)
            for network in scenario.networks
            if network.management
        ]
        == [True],
        "networks",
        "has to have exactly one network with a device, a subnet and management = true",
    )
    problems.extend(_stacking_problems(scenario.networks))
    expect(
        [store.shared for store in scenario.storage if store.default] == [True],
        "storage",
        "has to have exactly one with default = true, and that one shared",
    )
    for number, store in enumerate(scenario.storage):
        expect(store.size_gib > 0, f"storage[{number}].size_gib", "has to be more than 0")
    expect(bool(scenario.templates), "templates", "has to have at least one")
    for number, template in enumerate(scenario.templates):
        where = f"templates[{number}]"
        expect(template.kind in KINDS, f"{where}.kind", f"has to be one of {', '.join(KINDS)}")
        expect(template.firmware in FIRMWARES, f"{where}.firmware", f"has to be one of {', '.join(FIRMWARES)}")
        expect(template.memory_mib > 0, f"{where}.memory_mib", "has to be more than 0")
        expect(template.vcpus > 0, f"{where}.vcpus", "has to be more than 0")
    names = {network.name for network in scenario.networks}
    for number, state in enumerate(vms.states):
        expect(state in STATES, f"vms.states[{number}]", f"has to be one of {', '.join(STATES)}")
    expect(bool(vms.states), "vms.states", "has to have at least one")
    expect(len(vms.disks_gib) <= MOST_DISKS, "vms.disks_gib", f"has to have at most {MOST_DISKS} disks")
    expect(len(vms.networks) <= MOST_NICS, "vms.networks", f"has to have at most {MOST_NICS} networks")
    for number, size in enumerate(vms.disks_gib):
        expect(size > 0, f"vms.disks_gib[{number}]", "has to be more than 0")
    for number, name in enumerate(vms.networks):
        expect(name in names, f"vms.networks[{number}]", "has to be the name of one of the networks")
    return problems


def _stacking_problems(networks: tuple[Network, ...]) -> Iterator[tuple[str, str]]:
    """Yield what cannot be among VLANs, bonds and tunnels: each stands on NICs that are declared before it."""
    free: set[str] = set()
    bonds = 0
    for number, network in enumerate(networks):
        where = f"networks[{number}]"
        if network.vlan >= 0 and (network.device not in free or network.vlan > 4094):
            yield f"{where}.vlan", "has to be a tag below 4095 on a device of a network before it"
        if network.bond:
            if len(set(network.bond) & free) < 2 or len(network.bond) != len(set(network.bond) & free):
                yield f"{where}.bond", "has to name at least two devices of networks before it"
            free = (free - set(network.bond)) | {f"bond{bonds}"}
            bonds += 1
        if network.tunnel and network.tunnel not in free:
            yield f"{where}.tunnel", "has to be a device of a network before it, or a bond"
        if network.device and network.vlan < 0:
            free.add(network.device)


def _numbered(pattern: str) -> bool:
    try:
        return pattern.format(number=1) != pattern.format(number=2)
    except (ValueError, KeyError, IndexError, AttributeError):
        return False


def _is_subnet(text: str) -> bool:
    try:
        return not text or IPv4Network(text).num_addresses > MOST_HOSTS + 10
    except ValueError:
        return False
