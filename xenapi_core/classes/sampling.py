"""Sampled fields: what they are worked out from, and when.

Samples belong to full seconds. Nothing is worked out until somebody reads a sampled field; then each object is sampled
at most once a second. A read costs what it reads: a sample of one VM does not look at the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from xenapi_core.datamodel import EPOCH, NULL, Record
from xenapi_core.hypervisors.interface import Domain, Hypervisor, Samples, Transfers
from xenapi_core.store import Store

KIB = 1024

Row = tuple[Any, ...]
"""The values of an object's sampled fields, in the order in which its class declares them."""

NOTHING = Transfers()
MICROSECONDS = 1e6
"""In a second."""


def _average(before: float | None, now: float | None, count: int) -> float | None:
    """Return what each of some operations took (microseconds); seconds are those of all operations up to a moment."""
    if before is None or now is None:
        return None
    return MICROSECONDS * (now - before) / count if count > 0 else 0.0


class Sampler:
    """Samples the objects of a pool. Give ``samples`` to the store as its ``measure``."""

    def __init__(
        self, store: Store, hypervisors: Mapping[str, Hypervisor], clock: Callable[[], float] = time.time
    ) -> None:
        """``clock``: seconds since the epoch."""
        self._store = store
        self._hypervisors = hypervisors
        self._clock = clock
        self._second = -1
        self._moment = EPOCH
        self._rows: dict[str, tuple[Domain | None, Row]] = {}
        """The rows of this second, and the domain that each was made from."""
        self._samples: dict[str, tuple[Samples, Samples]] = {}
        """The counters of each host, a second ago and now."""
        self._cpus: dict[str, dict[int, float]] = {}
        """The utilisation of each host's CPUs."""
        self._owners: dict[str, str] = {}
        """The object that metrics belong to."""
        self._owners_at = -1
        """The store's sequence number when owners were last looked up."""
        self._control: dict[str, tuple[Record, Domain]] = {}
        self._kinds: dict[str, tuple[str, Callable[[Record], Row]]] = {
            "VM_metrics": ("VM", self._vm),
            "VBD_metrics": ("VBD", self._device),
            "VIF_metrics": ("VIF", self._device),
            "PIF_metrics": ("PIF", self._device),
            "host_metrics": ("host", self._host),
            "host_cpu": ("host_cpu", self._host_cpu),
        }
        """By class: the class of the objects that it measures, and how one of those is sampled."""

    def samples(self, record: Record) -> Sequence[Any] | None:
        """Return the values of an object's sampled fields; None if it is of no class that is sampled here."""
        kind = self._kinds.get(record.cls)
        owner = self._owner(kind[0], record) if kind is not None else None
        if kind is None or owner is None:
            return None
        self._begin_second()
        domain = self._domain(owner)
        kept = self._rows.get(record.ref)
        if kept is None or kept[0] is not domain:
            kept = self._rows[record.ref] = domain, kind[1](owner)
        return kept[1]

    def now(self) -> float:
        """Return the time (seconds since the epoch)."""
        return self._clock()

    def utilisation(self, vm: Record) -> Mapping[int, float]:
        """Return the share of the last second for which each virtual CPU of a VM ran."""
        self._begin_second()
        domain = self._domain(vm)
        return self._run(vm, domain)[0] if domain is not None else {}

    def cpu_utilisation(self, host: str) -> Mapping[int, float]:
        """Return the share of the last second for which each CPU of a host was busy; idle ones may be missing."""
        self._begin_second()
        busy = self._cpus.get(host)
        if busy is None:
            busy = self._cpus[host] = {}
            for vm in map(self._store.record, self._store.record(host)["resident_VMs"]):
                domain = self._domain(vm)
                if domain is not None:
                    shares, cpus = self._run(vm, domain)
                    for number, share in shares.items():
                        busy[cpus[number]] = min(1.0, busy.get(cpus[number], 0.0) + share)
        return busy

    def transfers(self, device: Record) -> tuple[Transfers, Transfers]:
        """Return what a VBD, VIF or PIF had transferred a second ago, and has transferred now."""
        self._begin_second()
        if device.cls == "PIF":
            network = self._store.get(device["network"])
            bridge = network["bridge"] if network is not None else ""
            before, now = (samples.nics.get(bridge, NOTHING) for samples in self._of(device["host"]))
            return before, now
        vm = self._store.get(device["VM"])
        if vm is None or self._domain(vm) is None or not device["currently_attached"]:
            return NOTHING, NOTHING
        found = [samples.domains.get(vm["uuid"]) for samples in self._of(vm["resident_on"])]
        position = device["userdevice" if device.cls == "VBD" else "device"]
        before, now = (
            (domain.disks if device.cls == "VBD" else domain.nics).get(position, NOTHING) if domain else NOTHING
            for domain in found
        )
        return before, now

    def latencies(self, disk: Record) -> tuple[float | None, float | None]:
        """Return how long a read and a write of a VBD took on average during the last second, in microseconds.

        0 if there was none; None if its hypervisor does not measure it, or does not run it.
        """
        before, now = self.transfers(disk)
        return (
            _average(before.read_seconds, now.read_seconds, now.read_operations - before.read_operations),
            _average(before.write_seconds, now.write_seconds, now.write_operations - before.write_operations),
        )

    # Once a second

    def _begin_second(self) -> None:
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._moment = datetime.fromtimestamp(second, UTC)
            self._rows.clear()
            self._samples.clear()
            self._cpus.clear()

    def _of(self, host: str) -> tuple[Samples, Samples]:
        samples = self._samples.get(host)
        if samples is None:
            samples = self._samples[host] = self._hypervisors[host].samples()
        return samples

    # Which object is measured, and what runs it

    def _owner(self, cls: str, record: Record) -> Record | None:
        """Return the newest record of what an object measures, None if there is none."""
        if cls == record.cls:
            return record
        owner = self._store.get(self._owners.get(record.ref, NULL))
        if (owner is None or owner["metrics"] != record.ref) and self._owners_at != self._store.sequence:
            self._owners_at = self._store.sequence
            for measured in {kind[0] for kind in self._kinds.values()} - {"host_cpu"}:
                self._owners.update({each["metrics"]: each.ref for each in self._store.records(measured)})
            owner = self._store.get(self._owners.get(record.ref, NULL))
        return owner

    def _domain(self, owner: Record) -> Domain | None:
        """Return the domain of a VM, or of the VM that a device belongs to; None if it has none."""
        vm = self._store.get(owner["VM"]) if "VM" in owner else owner
        if vm is None or vm.cls != "VM" or vm["resident_on"] not in self._hypervisors:
            return None
        if vm["is_control_domain"]:
            return self._control_domain(vm)
        return self._hypervisors[vm["resident_on"]].domains().get(vm["uuid"])

    def _control_domain(self, vm: Record) -> Domain:
        """Return the domain that runs a host, which its hypervisor does not tell of."""
        known = self._control.get(vm.ref)
        if known is None or known[0] is not vm:
            metrics = self._store.record(vm["metrics"])
            domain = Domain(
                uuid=vm["uuid"],
                domid=vm["domid"],
                paused=False,
                memory=vm["memory_target"],
                vcpus=metrics["VCPUs_number"],
                started=metrics["start_time"],
                kind=metrics["current_domain_type"],
            )
            known = self._control[vm.ref] = vm, domain
        return known[1]

    def _run(self, vm: Record, domain: Domain) -> tuple[dict[int, float], dict[int, int]]:
        """Return, per virtual CPU, the share of the last second for which it ran, and on which physical CPU."""
        before, now = (samples.domains.get(vm["uuid"]) for samples in self._of(vm["resident_on"]))
        numbers = range(domain.vcpus)
        if before is None or now is None:
            return dict.fromkeys(numbers, 0.0), {number: number for number in numbers}
        shares = {number: now.vcpu_time[number] - before.vcpu_time[number] for number in numbers}
        return shares, {number: now.cpus[number] for number in numbers}

    # Rows, each in the order in which the class declares its sampled fields

    def _vm(self, vm: Record) -> Row:
        """VM_metrics: memory_actual, VCPUs_utilisation, VCPUs_CPU, VCPUs_flags, last_updated."""
        domain = self._domain(vm)
        if domain is None:
            return 0, {}, {}, {}, self._moment
        shares, cpus = self._run(vm, domain)
        flags = ("online", "blocked") if domain.paused or domain.crashed else ("online", "running")
        return (
            domain.memory,
            shares,
            cpus,
            dict.fromkeys(shares, flags),
            self._moment,
        )

    def _device(self, device: Record) -> Row:
        """VBD_metrics, VIF_metrics, PIF_metrics: io_read_kbs, io_write_kbs, the four totals, last_updated."""
        before, now = self.transfers(device)
        return (
            (now.read_bytes - before.read_bytes) / KIB,
            (now.written_bytes - before.written_bytes) / KIB,
            now.read_bytes,
            now.written_bytes,
            now.read_operations,
            now.write_operations,
            self._moment,
        )

    def _host(self, host: Record) -> Row:
        """host_metrics: last_updated."""
        return (self._moment,)

    def _host_cpu(self, cpu: Record) -> Row:
        """host_cpu: utilisation."""
        return (self.cpu_utilisation(cpu["host"]).get(cpu["number"], 0.0),)
