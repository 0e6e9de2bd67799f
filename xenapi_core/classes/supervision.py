"""Who watches over the domains: what happens when a guest stops by itself, and when the server starts again."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any
from uuid import uuid4

import structlog

from xenapi_core.classes import placement, power
from xenapi_core.classes.lifecycle import VM_OPERATIONS, State
from xenapi_core.classes.recovery import Recovery
from xenapi_core.classes.vdi import allocate
from xenapi_core.datamodel import Change, Objects, Record, XenApiError
from xenapi_core.hypervisors.description import describe
from xenapi_core.hypervisors.interface import Hypervisor, HypervisorError, Stop
from xenapi_core.store.store import Store

_log = structlog.get_logger(__name__)

ACTIONS = {
    Stop.poweroff: "actions_after_shutdown",
    Stop.reboot: "actions_after_reboot",
    Stop.crash: "actions_after_crash",
}
"""The field of a VM that says what happens after its guest stopped in a way."""

DUMPING = frozenset({"coredump_and_destroy", "coredump_and_restart"})

RESTARTING = frozenset({"restart", "coredump_and_restart", "rename_restart"})

AUTO = "auto_poweron"
"""The key of other_config, of the pool and of a VM, that lets the VM start by itself."""


class Supervisor:
    """Keeps the records of VMs true to what the hypervisors run."""

    def __init__(self, store: Store, hypervisors: Mapping[str, Hypervisor]) -> None:
        self._store = store
        self._hypervisors = hypervisors
        self._at_work: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Finish or undo what the last run of the server left unfinished, and begin to watch."""
        for work in Recovery(self._store, self._hypervisors).begin():
            self._work(work)
        for host, hypervisor in self._hypervisors.items():
            hypervisor.watch(partial(self._stopped, host))
        for vm in list(self._store.records("VM")):
            if _starts_by_itself(self._store, vm):
                self._work(self._power_on(vm.ref))

    async def stop(self) -> None:
        """Wait until all that guests have caused is done."""
        while self._at_work:
            await asyncio.wait(self._at_work)

    # When the server starts

    async def _power_on(self, ref: str) -> None:
        task = f"DummyRef:|{uuid4()}|VM.start"
        try:
            with self._store.write() as change:
                vm = change.record(ref)
                VM_OPERATIONS.check(change, vm, "start")
                placement.claim(change, vm)
                change.update(ref, current_operations={task: "start"})
        except XenApiError as error:
            _log.warning("vm_not_powered_on", vm=self._store.record(ref)["uuid"], error=str(error))
            return
        await self._store.flush()
        vm = self._store.record(ref)
        host = vm["scheduled_to_be_resident_on"]
        try:
            domain = await self._hypervisors[host].start(describe(self._store, vm))
        except HypervisorError as error:
            _log.warning("vm_not_powered_on", vm=vm["uuid"], error=str(error))
            with self._store.write() as change:
                power.unclaim(change, change.record(ref))
                change.update(ref, current_operations={})
            return
        with self._store.write() as change:
            change.update(ref, current_operations={})
            power.up(change, ref, host, domain)
        _log.info("vm_powered_on", vm=vm["uuid"])

    # When a guest stops by itself

    def _stopped(self, host: str, uuid: str, stop: Stop) -> None:
        self._work(self._after(host, uuid, stop))

    def _work(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
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
        if action in DUMPING:
            await self._dump(hypervisor, vm)
        if stop is Stop.crash:
            await hypervisor.hard_shutdown(uuid)
        if action in RESTARTING:
            await self._restart(host, hypervisor, vm)
        else:
            self._halt(vm)

    async def _dump(self, hypervisor: Hypervisor, vm: Record) -> None:
        """Keep the memory of a crashed guest as a crash dump; without room for it, do without."""
        image = str(uuid4())
        try:
            await hypervisor.dump_core(vm["uuid"], image)
            with self._store.write() as change:
                _keep_dump(change, vm, image)
        except (XenApiError, HypervisorError) as error:
            _log.warning("crash_not_dumped", vm=vm["uuid"], error=str(error))

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

    def _halt(self, vm: Record) -> None:
        if self._unchanged(vm):
            with self._store.write() as change:
                power.down(change, vm.ref, State.Halted)

    def _unchanged(self, vm: Record) -> bool:
        """Tell whether a VM still has the domain that it had."""
        newest = self._store.get(vm.ref)
        return newest is not None and newest["domid"] == vm["domid"]


def _starts_by_itself(objects: Objects, vm: Record) -> bool:
    """Tell whether a VM starts with the server: by the flag of Xen-API 1.0, or by the settings of today."""
    if vm["power_state"] != State.Halted or vm["is_a_template"]:
        return False
    pool = next(iter(objects.records("pool")))
    return bool(vm["auto_power_on"]) or all(thing["other_config"].get(AUTO) == "true" for thing in (pool, vm))


def _keep_dump(change: Change, vm: Record, image: str) -> None:
    """Write that a disk image (its uuid) holds the memory of a VM's crashed guest."""
    pool, host = next(iter(change.records("pool"))), change.record(vm["resident_on"])
    choices = (pool["crash_dump_SR"], host["crash_dump_sr"], pool["default_SR"])
    repository = next((sr for sr in choices if change.get(sr) is not None), None)
    if repository is None:
        raise XenApiError("DEFAULT_SR_NOT_FOUND", pool["default_SR"])
    values: dict[str, Any] = {
        "uuid": image,
        "location": image,
        "type": "crashdump",
        "name_label": f"Crash of {vm['name_label']}",
    }
    made = allocate(change, repository, vm["memory_target"], **values)
    change.create("crashdump", {"VM": vm.ref, "VDI": made})
