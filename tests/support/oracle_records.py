"""A pool as the Xen-API shows it, and what the rules of the CIM model call its parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

Record: TypeAlias = dict[str, Any]
CLASSES = (
    *("pool", "host", "host_metrics", "host_cpu", "VM", "VM_metrics", "VM_guest_metrics", "console", "VIF", "VBD"),
    *("network", "PIF", "PIF_metrics", "VLAN", "SR", "PBD", "VDI"),
)


class Records:
    """All records of a pool by class and reference, read at one time."""

    def __init__(self, xenapi: Any) -> None:
        """``xenapi`` is the proxy of a logged-in PyPI XenAPI session."""
        self.tables: dict[str, dict[str, Record]] = {cls: getattr(xenapi, cls).get_all_records() for cls in CLASSES}
        for table in self.tables.values():
            for ref, record in table.items():
                record["ref"] = ref

    def all(self, cls: str) -> list[Record]:
        """Return the records of a class."""
        return list(self.tables[cls].values())

    def at(self, cls: str, ref: str) -> Record:
        """Return the record at the end of a reference; an empty one if it leads nowhere."""
        return self.tables[cls].get(ref, {})

    def each(self, cls: str, field: str, record: Record) -> list[Record]:
        """Return the records that have a record at the end of a reference."""
        return [each for each in self.all(cls) if each[field] == record["ref"]]

    @property
    def pool(self) -> Record:
        """The pool."""
        (pool,) = self.all("pool")
        return pool

    @property
    def master(self) -> Record:
        """The host that speaks for the pool."""
        return self.at("host", self.pool["master"])

    @property
    def machines(self) -> list[Record]:
        """The virtual machines, control domains included; no templates, no snapshots."""
        return [each for each in self.all("VM") if not each["is_a_template"] and not each["is_a_snapshot"]]

    @property
    def snapshots(self) -> list[Record]:
        """The snapshots of virtual machines."""
        return [each for each in self.all("VM") if each["is_a_snapshot"]]

    @property
    def templates(self) -> list[Record]:
        """The templates, less the snapshots, which are templates too."""
        return [each for each in self.all("VM") if each["is_a_template"] and not each["is_a_snapshot"]]

    def of_machines(self, cls: str) -> Iterator[tuple[Record, Record]]:
        """Yield the devices of virtual machines, each with its machine."""
        yield from ((self.at("VM", each["VM"]), each) for each in self.all(cls) if self.is_machine(each["VM"]))

    def of_all(self, cls: str) -> Iterator[tuple[Record, Record]]:
        """Yield the devices of machines, templates and snapshots, each with what it belongs to."""
        yield from ((self.at("VM", each["VM"]), each) for each in self.all(cls) if each["VM"] in self.tables["VM"])

    def is_machine(self, ref: str) -> bool:
        """Whether there is a virtual machine at the end of a reference."""
        record = self.at("VM", ref)
        return bool(record) and not record["is_a_template"] and not record["is_a_snapshot"]

    def host_of(self, vm: Record) -> Record:
        """Return the host that a virtual machine runs on, an empty record if it does not run."""
        return self.at("host", vm["resident_on"])

    def processors_of(self, host: Record) -> dict[int, Record]:
        """Return the processors of a host by number."""
        return {int(each["number"]): each for each in self.each("host_cpu", "host", host)} if host else {}

    def hosts_of_pool(self, sr: Record) -> list[Record]:
        """Return the hosts that storage is attached to."""
        return [self.at("host", each["host"]) for each in self.each("PBD", "SR", sr)]

    def kvps(self, vm: Record) -> dict[str, str]:
        """Return the key-value pairs of a guest."""
        if vm["other_config"].get("kvp_enabled") != "true":
            return {}
        found = {
            name.removeprefix("vm-data/"): text for name, text in vm["xenstore_data"].items() if "vm-data/" in name
        }
        return {name: text for name, text in found.items() if name not in ("Processor", "Memory")}


def whole(vm: Record) -> str:
    """Return the InstanceID of something that is an object of its own."""
    return f"Xen:{vm['uuid']}"


def part(owner: Record, device: Record | str) -> str:
    """Return the id of a part of an object."""
    return f"Xen:{owner['uuid']}/{device if isinstance(device, str) else device['uuid']}"


def storage_pool(records: Records, sr: Record) -> str:
    """Return the InstanceID of a storage pool."""
    hosts = records.hosts_of_pool(sr)
    return f"Xen:{hosts[0]['uuid'] if len(hosts) == 1 and not sr['shared'] else 'Shared'}/{sr['uuid']}"


def connection_pool(records: Records, network: Record) -> str:
    """Return the InstanceID of a network connection pool."""
    hosts = {each["host"] for each in records.each("PIF", "network", network)}
    return f"Xen:{records.at('host', hosts.pop())['uuid'] if len(hosts) == 1 else 'NoHost'}/{network['uuid']}"


def vcpu(vm: Record, number: int) -> str:
    """Return the DeviceID of a virtual processor."""
    return part(vm, f"VCPU{number}")


def vcpus(vm: Record) -> range:
    """Return the numbers of a virtual machine's processors."""
    return range(int(vm["VCPUs_max"]))


def pairs(entries: Mapping[str, str]) -> list[str]:
    """Return a map as CIM shows it, without what the bridge notes for itself."""
    return [f"{name}={text}" for name, text in entries.items() if not name.startswith("xen-cim:")]


def when(moment: Any) -> str | None:
    """Return a moment as CIM writes it; None if it has not been."""
    text = str(moment)
    return None if text.startswith("1970") or not text else f"{text[:8]}{text[9:].replace(':', '')[:6]}.000000+000"
