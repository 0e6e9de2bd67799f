"""What the last run of the server left unfinished, when the next one starts: each operation is finished or undone.

The mark in ``current_operations`` is durable before the first effect of an operation, and goes in the step that writes
its effects. So the marks that are found at a start say what may have happened, and the hypervisors say what has. What
can be written at once is; what needs a hypervisor keeps its mark, so that nobody interferes, until that is done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from uuid import uuid4

import structlog

from xenapi_core.classes import host_power, placement, power
from xenapi_core.classes.lifecycle import State
from xenapi_core.datamodel import NULL, Change, Objects, Record
from xenapi_core.hypervisors.description import describe, disk, nic
from xenapi_core.hypervisors.interface import Disk, Domain, Hypervisor, HypervisorError, Nic
from xenapi_core.store.store import Store

_log = structlog.get_logger(__name__)

WITH_DOMAIN = frozenset({State.Running, State.Paused, State.Crashed})

REBUILDING = frozenset({"clean_reboot", "hard_reboot"})
"""Operations that end a domain in order to build another: where there is none, the second half is missing."""

Work = Coroutine[None, None, None]
Domains = Mapping[str, Domain]
"""The domains of a VM by the host that runs them."""

Tell = Callable[[Store, Record, Hypervisor], Awaitable[Domain | None]]


def _fit_memory(store: Store, vm: Record, hypervisor: Hypervisor) -> Awaitable[Domain | None]:
    memory = max(vm["memory_dynamic_min"], min(vm["memory_dynamic_max"], vm["memory_target"]))
    return hypervisor.set_memory(vm["uuid"], memory)


async def _schedule(store: Store, vm: Record, hypervisor: Hypervisor) -> None:
    await hypervisor.set_scheduling(vm["uuid"], vm["VCPUs_params"])


async def _shadow(store: Store, vm: Record, hypervisor: Hypervisor) -> None:
    await hypervisor.set_shadow_memory(vm["uuid"], vm["memory_overhead"])


TOLD_AGAIN: Mapping[str, Tell] = {
    "changing_dynamic_range": _fit_memory,
    "changing_memory_live": _fit_memory,
    "changing_VCPUs_live": _schedule,
    "changing_shadow_memory_live": _shadow,
}
"""Operations on a VM with a domain after which the hypervisor is told once more what the record says."""

DEVICES: Mapping[str, Callable[[Objects, Record], Disk | Nic]] = {"VBD": disk, "VIF": nic}
"""Classes of devices that a hypervisor is told once more about, and what it is told."""

HOST_STEPS: Mapping[str, tuple[Callable[[Store, Hypervisor, str], Awaitable[None]], ...]] = {
    "shutdown": (host_power.go_down,),
    "reboot": (host_power.go_down, host_power.come_up),
    "power_on": (host_power.come_up,),
}
"""Operations on a host, which are done once more: each of their steps may be repeated."""


class Recovery:
    """Finishes and undoes."""

    def __init__(self, store: Store, hypervisors: Mapping[str, Hypervisor]) -> None:
        self._store = store
        self._hypervisors = hypervisors

    def begin(self) -> list[Work]:
        """Write what can be told at once, and return what is left to be done."""
        domains: dict[str, dict[str, Domain]] = {}
        for host, hypervisor in self._hypervisors.items():
            for uuid, domain in hypervisor.domains().items():
                domains.setdefault(uuid, {})[host] = domain
        work: list[Work] = []
        for vm in list(self._store.records("VM")):
            if not vm["is_control_domain"]:
                work += self._settle(vm, domains.get(vm["uuid"], {}))
        for cls in self._store.model.classes.values():
            if cls.name != "VM" and "current_operations" in cls.fields:
                busy = [record for record in self._store.records(cls.name) if record["current_operations"]]
                work += [each for record in busy for each in self._follow(record)]
        return work

    # VMs

    def _settle(self, vm: Record, domains: Domains) -> Iterator[Work]:
        operations = set(vm["current_operations"].values())
        host = _where(vm, domains)
        domain = domains.get(host)
        if domain is None and vm["power_state"] in WITH_DOMAIN and operations & REBUILDING:
            yield self._rebuild(vm)
            return
        strays = [other for other in domains if other != host and (operations or other == vm["abandoned_on"])]
        again = [name for name in TOLD_AGAIN if name in operations and domain is not None]
        if not strays and not operations and _agree(self._store, vm, domain):
            return
        mark = next((task for task, name in vm["current_operations"].items() if name in again), f"DummyRef:|{uuid4()}|")
        with self._store.write() as change:
            self._write(change, vm, host, domain)
            if strays or again:
                change.update(vm.ref, current_operations={mark: "hard_shutdown" if strays else again[0]})
        _log.info("vm_settled", vm=vm["uuid"], power_state=str(self._store.record(vm.ref)["power_state"]))
        if strays or again:
            yield self._on_hypervisors(self._store.record(vm.ref), strays, again)

    def _write(self, change: Change, vm: Record, host: str, domain: Domain | None) -> None:
        """Write what has become of a VM."""
        change.update(vm.ref, current_operations={})
        if domain is None:
            self._write_gone(change, vm)
            return
        if vm["power_state"] not in WITH_DOMAIN:
            if host != vm["scheduled_to_be_resident_on"]:  # it was not the server that started it
                _claim(change, vm, host, domain)
            power.built(change, vm.ref, host, domain)
        else:
            power.remove_memory_image(change, vm)
            if host != vm["resident_on"]:  # it has moved
                placement.take(change, vm["resident_on"], -(vm["memory_target"] + vm["memory_overhead"]))
                if host != vm["scheduled_to_be_resident_on"]:
                    _claim(change, vm, host, domain)
                power.up(change, vm.ref, host, domain, built=False)
            elif domain.domid != vm["domid"]:  # it has been rebooted
                power.unclaim(change, vm)
                power.built(change, vm.ref, host, domain)
            else:
                power.unclaim(change, vm)
                if not domain.crashed:
                    power.up(change, vm.ref, host, domain, built=False)
        if domain.crashed:
            power.crashed(change, vm.ref)
        placement.move_target(change, change.record(vm.ref), domain.memory)

    def _write_gone(self, change: Change, vm: Record) -> None:
        """Write that a VM has no domain (any more)."""
        hypervisor = self._hypervisors.get(vm["resident_on"])
        image = change.get(vm["suspend_VDI"])
        suspending = "suspend" in vm["current_operations"].values()
        if suspending and hypervisor is not None and image is not None and hypervisor.holds_memory(image["uuid"]):
            power.down(change, vm.ref, State.Suspended)
            return
        power.unclaim(change, vm)
        if vm["power_state"] in WITH_DOMAIN:
            power.down(change, vm.ref, State.Halted)

    async def _rebuild(self, vm: Record) -> None:
        """Build the domain of a VM that was about to be rebooted when its domain had ended."""
        host, marks = vm["resident_on"], vm["current_operations"].keys()
        hypervisor = self._hypervisors[host]
        domain = None
        try:
            domain = await hypervisor.start(describe(self._store, vm))
        except HypervisorError as error:
            _log.warning("vm_not_rebooted", vm=vm["uuid"], error=str(error))
        newest = self._store.get(vm.ref)
        if newest is None or not marks & newest["current_operations"].keys():  # a hard shutdown came in between
            if domain is not None:
                await hypervisor.hard_shutdown(vm["uuid"])
            return
        with self._store.write() as change:
            if domain is None:
                power.down(change, vm.ref, State.Halted)
            else:
                power.built(change, vm.ref, host, domain)
                _unmark(change, newest)

    async def _on_hypervisors(self, vm: Record, strays: list[str], again: list[str]) -> None:
        """End domains of a VM that are halves of operations, and tell the whole one what it is to be like."""
        await self._store.flush()
        for host in strays:
            _log.warning("stray_domain", vm=vm["uuid"], host=host)
            await self._hypervisors[host].hard_shutdown(vm["uuid"])
        domain = None
        for name in again:
            try:
                domain = await TOLD_AGAIN[name](self._store, vm, self._hypervisors[vm["resident_on"]])
            except HypervisorError as error:
                _log.warning("not_told_again", vm=vm["uuid"], operation=name, error=str(error))
        with self._store.write() as change:
            newest = change.get(vm.ref)
            if newest is None:
                return
            if domain is not None and newest["domid"] == vm["domid"]:
                placement.move_target(change, newest, domain.memory)
            _unmark(change, vm)

    # What is no VM

    def _follow(self, record: Record) -> Iterator[Work]:
        """Unmark an object at once, unless a hypervisor has to hear of it first."""
        operation = next(iter(record["current_operations"].values()))
        if record.cls in DEVICES and self._store.record(record["VM"])["domid"] > 0:
            yield self._replug(record)
        elif record.cls == "host" and operation in HOST_STEPS:
            yield self._switch(record, operation)
        else:
            with self._store.write() as change:
                _unmark(change, record)

    async def _replug(self, device: Record) -> None:
        """Let a domain have a device, or not, as the device's record says."""
        vm = self._store.record(device["VM"])
        hypervisor = self._hypervisors[vm["resident_on"]]
        put = hypervisor.attach if device["currently_attached"] else hypervisor.detach
        try:
            await put(vm["uuid"], DEVICES[device.cls](self._store, device))
        except HypervisorError as error:
            _log.warning("not_told_again", vm=vm["uuid"], device=device["uuid"], error=str(error))
        with self._store.write() as change:
            _unmark(change, device)

    async def _switch(self, host: Record, operation: str) -> None:
        """Do once more what was to be done with a host."""
        try:
            for step in HOST_STEPS[operation]:
                await step(self._store, self._hypervisors[host.ref], host.ref)
        finally:
            with self._store.write() as change:
                _unmark(change, host)


def _where(vm: Record, domains: Domains) -> str:
    """Return the host whose domain is the VM's; null if there is none.

    That is the host that the record names. Elsewhere the domain was started by somebody else, or has gone on while the
    record was restored from a backup; unless it is what a shutdown overtook: the last that anybody was told is that it
    is not there.
    """
    for host in (vm["resident_on"], vm["scheduled_to_be_resident_on"]):
        if host in domains:
            return str(host)
    return next((host for host in domains if host != vm["abandoned_on"]), NULL)


def _claim(change: Change, vm: Record, host: str, domain: Domain) -> None:
    """Count what a domain holds that nobody claimed memory for."""
    power.unclaim(change, vm)
    overhead = placement.overhead(vm)
    change.update(vm.ref, memory_target=domain.memory, memory_overhead=overhead)
    placement.take(change, host, domain.memory + overhead)


def _agree(objects: Objects, vm: Record, domain: Domain | None) -> bool:
    """Tell whether a VM's record says of its domain what the hypervisor says."""
    if domain is None or vm["power_state"] not in WITH_DOMAIN:
        return domain is None and vm["power_state"] not in WITH_DOMAIN
    state = State.Crashed if domain.crashed else State.Paused if domain.paused else State.Running
    vcpus = objects.record(vm["metrics"])["VCPUs_number"]
    known = (vm["power_state"], vm["domid"], vm["memory_target"], vcpus)
    return known == (state, domain.domid, domain.memory, domain.vcpus)


def _unmark(change: Change, marked: Record) -> None:
    """Take the marks from an object that it had, if it is there."""
    newest = change.get(marked.ref)
    if newest is not None:
        marks = marked["current_operations"]
        left = {task: operation for task, operation in newest["current_operations"].items() if task not in marks}
        change.update(marked.ref, current_operations=left)
