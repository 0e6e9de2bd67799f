"""The hypervisors of a pool, one per host."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from xenapi_core.datamodel import Objects, Record
from xenapi_core.hypervisors.description import describe
from xenapi_core.hypervisors.interface import Domain, DomainConfig, Hypervisor
from xenapi_core.hypervisors.simulated import SimulatedHypervisor, Timings, guest_of


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


def simulated_fleet(objects: Objects, timings: Timings | None = None) -> Fleet:
    """Return simulated hypervisors for all hosts, with the domains that the records say they run."""
    running: dict[str, list[tuple[DomainConfig, Domain]]] = {}
    for vm in objects.records("VM"):
        if vm["domid"] > 0:
            running.setdefault(vm["resident_on"], []).append(_domain(objects, vm))

    def make(host: Record) -> Hypervisor:
        hypervisor = SimulatedHypervisor(host["name_label"], timings=timings)
        hypervisor.adopt(running.get(host.ref, ()))
        return hypervisor

    return Fleet(objects, make)


def _domain(objects: Objects, vm: Record) -> tuple[DomainConfig, Domain]:
    config = describe(objects, vm)
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
