"""The hypervisors of a pool, one per host."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from xenapi_core.datamodel import Objects, Record, Store
from xenapi_core.hypervisors.description import describe
from xenapi_core.hypervisors.interface import Domain, DomainConfig, Hypervisor
from xenapi_core.hypervisors.simulated import SimulatedHypervisor, Timings, guest_of
from xenapi_core.hypervisors.simulation.faults import asked


class Fleet(Mapping[str, Hypervisor]):
    """The hypervisors by the reference of their host."""

    def __init__(self, objects: Objects, make: Callable[[Record], Hypervisor]) -> None:
        self._hypervisors = {host.ref: make(host) for host in objects.records("host")}

    def __getitem__(self, host: str) -> Hypervisor:
        return self._hypervisors[host]

    def __iter__(self) -> Iterator[str]:
        return iter(self._hypervisors)

    def __len__(self) -> int:
        return len(self._hypervisors)


@dataclass(frozen=True)
class RecordedFaults:
    """The faults that users ask for in ``VM.other_config`` (``simulation.faults.Faults``)."""

    store: Store

    def of(self, uuid: str, key: str) -> float:
        """Return the value of a VM's fault, 0 for none."""
        vm = self.store.by_uuid("VM", uuid)
        return asked("VM", vm["other_config"], key) if vm is not None else 0.0

    def spend(self, uuid: str, key: str) -> None:
        """Count a VM's fault down by one; at 0 it goes."""
        vm = self.store.by_uuid("VM", uuid)
        if vm is None:
            return
        left = int(self.of(uuid, key)) - 1
        others = {name: value for name, value in vm["other_config"].items() if name != key}
        with self.store.write() as change:
            change.update(vm.ref, other_config={**others, key: str(left)} if left > 0 else others)


def simulated_fleet(store: Store, timings: Timings | None = None, clock: Callable[[], float] = time.time) -> Fleet:
    """Return simulated hypervisors for all hosts, with the domains that the records say they run.

    ``clock`` gives the seconds since the epoch, from which the load of the guests follows.
    """
    running: dict[str, list[tuple[DomainConfig, Domain]]] = {}
    for vm in store.records("VM"):
        if vm["domid"] > 0:
            running.setdefault(vm["resident_on"], []).append(_domain(store, vm))

    def make(host: Record) -> Hypervisor:
        hypervisor = SimulatedHypervisor(
            host["name_label"],
            timings=timings,
            faults=RecordedFaults(store),
            cpus=max(1, len(host["host_CPUs"])),
            clock=clock,
        )
        hypervisor.adopt(running.get(host.ref, ()))
        control = store.get(host["control_domain"])
        if control is not None:
            hypervisor.adopt_control_domain(*_domain(store, control))
        return hypervisor

    return Fleet(store, make)


def _domain(objects: Objects, vm: Record) -> tuple[DomainConfig, Domain]:
    config = describe(objects, vm, attached=True)
    metrics = objects.record(vm["metrics"])
    domain = Domain(
        uuid=config.uuid,
        domid=vm["domid"],
        paused=vm["power_state"] == "Paused",
        memory=config.memory,
        vcpus=metrics["VCPUs_number"],
        started=metrics["start_time"],
        kind=config.kind,
        guest=guest_of(config) if objects.get(vm["guest_metrics"]) else None,
        crashed=vm["power_state"] == "Crashed",
    )
    return config, domain
