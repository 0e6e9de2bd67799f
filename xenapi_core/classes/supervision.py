"""Who watches over the domains: what happens when a guest stops by itself, and when the server starts again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

import structlog

from xenapi_core.classes import placement, power
from xenapi_core.classes.lifecycle import State
from xenapi_core.datamodel import NULL, Change, Record, Store
from xenapi_core.hypervisors.description import describe
from xenapi_core.hypervisors.interface import Domain, Hypervisor, HypervisorError, Stop

_log = structlog.get_logger(__name__)

ACTIONS = {
    Stop.poweroff: "actions_after_shutdown",
    Stop.reboot: "actions_after_reboot",
    Stop.crash: "actions_after_crash",
}
"""The field of a VM that says what happens after its guest stopped in a way."""

RESTARTING = frozenset({"restart", "coredump_and_restart", "rename_restart"})

WITH_DOMAIN = frozenset({State.Running, State.Paused, State.Crashed})


class Supervisor:
    """Keeps the records of VMs true to what the hypervisors run."""

    def __init__(self, store: Store, hypervisors: Mapping[str, Hypervisor]) -> None:
        self._store = store
        self._hypervisors = hypervisors
        self._at_work: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Settle what the last run of the server left unfinished, and begin to watch."""
        for vm in list(self._store.records("VM")):
            if not vm["is_control_domain"]:
                self._settle(vm)
        for host, hypervisor in self._hypervisors.items():
            hypervisor.watch(partial(self._stopped, host))

    async def stop(self) -> None:
        """Wait until all that guests have caused is done."""
        while self._at_work:
            await asyncio.wait(self._at_work)

    # When the server starts

    def _settle(self, vm: Record) -> None:
        host, domain = self._find(vm)
        if vm["current_operations"] or (domain is not None) != (vm["power_state"] in WITH_DOMAIN):
            with self._store.write() as change:
                _settle(change, vm, host, domain)
            _log.info("vm_settled", vm=vm["uuid"], power_state=str(self._store.record(vm.ref)["power_state"]))
        if domain is not None:
            power.sample(self._store, vm.ref, domain)

    def _find(self, vm: Record) -> tuple[str, Domain | None]:
        for host in (vm["resident_on"], vm["scheduled_to_be_resident_on"]):
            hypervisor = self._hypervisors.get(host)
            domain = hypervisor.domains().get(vm["uuid"]) if hypervisor is not None else None
            if domain is not None:
                return host, domain
        return NULL, None

    # When a guest stops by itself

    def _stopped(self, host: str, uuid: str, stop: Stop) -> None:
        task = asyncio.get_running_loop().create_task(self._after(host, uuid, stop))
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)

    async def _after(self, host: str, uuid: str, stop: Stop) -> None:
        vm = self._store.by_uuid("VM", uuid)
        if vm is None:
            return
        action = str(vm[ACTIONS[stop]])
        _log.info("guest_stopped", vm=uuid, stop=str(stop), action=action)
        hypervisor = self._hypervisors[host]
        if action == "preserve":
            with self._store.write() as change:
                power.crashed(change, vm.ref)
            return
        if stop is Stop.crash:
            await hypervisor.hard_shutdown(uuid)
        if action in RESTARTING:
            await self._restart(host, hypervisor, vm)
        else:
            self._halt(vm)

    async def _restart(self, host: str, hypervisor: Hypervisor, vm: Record) -> None:
        try:
            domain = await hypervisor.start(describe(self._store, vm))
        except HypervisorError as error:
            _log.warning("restart_failed", vm=vm["uuid"], error=str(error))
            self._halt(vm)
            return
        if not self._unchanged(vm):
            await hypervisor.hard_shutdown(vm["uuid"])
            return
        with self._store.write() as change:
            power.up(change, vm.ref, host, domain)
        power.sample(self._store, vm.ref, domain)

    def _halt(self, vm: Record) -> None:
        if self._unchanged(vm):
            with self._store.write() as change:
                power.down(change, vm.ref, State.Halted)
            power.idle(self._store, vm.ref)

    def _unchanged(self, vm: Record) -> bool:
        """Tell whether a VM still has the domain that it had."""
        newest = self._store.get(vm.ref)
        return newest is not None and newest["domid"] == vm["domid"]


def _settle(change: Change, vm: Record, host: str, domain: Domain | None) -> None:
    """Undo an operation that had no effect yet, finish one that had."""
    change.update(vm.ref, current_operations={})
    if domain is None:
        power.unclaim(change, vm)
        if vm["power_state"] in WITH_DOMAIN:
            power.down(change, vm.ref, State.Halted)
        return
    power.remove_memory_image(change, vm)
    if vm["power_state"] not in WITH_DOMAIN:
        power.up(change, vm.ref, host, domain)
    elif vm["memory_target"] != domain.memory:
        placement.move_target(change, vm, domain.memory)
