"""The CPU pool of Xen-API 1.0 on which a VM runs."""

from __future__ import annotations

from xenapi_core.classes.lifecycle import PAUSED_OR_RUNNING, bad_power_state
from xenapi_core.datamodel import POOL_OPERATOR, READ_ONLY, VM_ADMIN, Call, Change, XenApiError, message
from xenapi_core.datamodel.refs import CpuPoolRef, VMRef


class CpuPooling:
    """The messages of VM about its CPU pool."""

    @message(role=READ_ONLY)
    def get_cpu_pool(call: Call, self: VMRef) -> list[CpuPoolRef]:
        """Return the CPU pool on which a VM runs, if it was put on one."""
        return [pool.ref for pool in call.records("cpu_pool") if self in pool["started_VMs"]]

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("POOL_BAD_STATE", "VM_BAD_POWER_STATE"))
    def cpu_pool_migrate(call: Call, self: VMRef, pool: CpuPoolRef) -> None:
        """Move a running VM to another, activated, CPU pool of its host."""
        with call.store.write() as change:
            vm, wanted = change.record(self, "VM"), change.record(pool, "cpu_pool")
            if vm["power_state"] not in PAUSED_OR_RUNNING:
                raise bad_power_state(vm, *PAUSED_OR_RUNNING)
            if not wanted["activated"]:
                raise XenApiError("POOL_BAD_STATE", "not activated")
            if wanted["resident_on"] != vm["resident_on"]:
                raise XenApiError("POOL_BAD_STATE", "in another host")
            leave(change, self)
            change.update(pool, started_VMs=(*change.record(pool)["started_VMs"], self))

    @message(role=READ_ONLY)
    def get_pool_name(call: Call, self: VMRef) -> str:
        """Get the name of the CPU pool that a VM is meant for; empty for none."""
        name: str = call.record(self, "VM")["pool_name"]
        return name

    @message(role=VM_ADMIN, errors=("INVALID_VALUE",))
    def set_pool_name(call: Call, self: VMRef, pool_name: str) -> None:
        """Name the CPU pool that a VM is meant for; empty for none."""
        known = {pool["name_label"] for pool in call.records("cpu_pool")}
        if pool_name and pool_name not in known:
            raise XenApiError("INVALID_VALUE", "pool_name", pool_name)
        with call.store.write() as change:
            change.update(self, pool_name=pool_name)


def leave(change: Change, vm: str) -> None:
    """Write that a VM runs on no CPU pool any more."""
    for pool in [pool for pool in change.records("cpu_pool") if vm in pool["started_VMs"]]:
        change.update(pool.ref, started_VMs=tuple(other for other in pool["started_VMs"] if other != vm))


def join(change: Change, vm: str) -> None:
    """Write that a VM that starts runs on the CPU pool that it is meant for, if its host has that."""
    record = change.record(vm)
    for pool in list(change.records("cpu_pool")) if record["pool_name"] else ():
        fits = pool["name_label"] == record["pool_name"] and pool["resident_on"] == record["resident_on"]
        if fits and pool["activated"] and vm not in pool["started_VMs"]:
            change.update(pool.ref, started_VMs=(*pool["started_VMs"], vm))
