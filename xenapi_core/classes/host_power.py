"""Enabling, switching off and on, and removing hosts."""

from __future__ import annotations

from datetime import UTC, datetime

from xenapi_core.classes import power, wiring
from xenapi_core.classes.evacuation import residents
from xenapi_core.classes.hosting import BUSY, HOST_OPERATIONS
from xenapi_core.classes.lifecycle import State
from xenapi_core.datamodel import NULL, POOL_OPERATOR, Call, Change, Store, XenApiError, message
from xenapi_core.datamodel.refs import HostRef
from xenapi_core.hypervisors.interface import Hypervisor

DISPLAY_AFTER_BOOT = {"disable_on_reboot": "disabled", "enable_on_reboot": "enabled"}


class HostPower:
    """The messages of host that say whether it runs, and whether VMs may start on it."""

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("HOST_NOT_LIVE", "OTHER_OPERATION_IN_PROGRESS"))
    def enable(call: Call, host: HostRef) -> None:
        """Let VMs start on a host."""
        with call.store.write() as change:
            record = change.record(host, "host")
            if not record["enabled"]:
                HOST_OPERATIONS.check(change, record, "enable")
                change.update(host, enabled=True, stays_disabled=False)

    @message(role=POOL_OPERATOR, asynchronous=True)
    def disable(call: Call, host: HostRef, auto_enable: bool = True) -> None:
        """Let no further VM start on a host; those that run there go on.

        It is enabled again when it next boots, unless ``auto_enable`` is false.
        """
        with call.store.write() as change:
            change.update(host, enabled=False, stays_disabled=not auto_enable)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=BUSY)
    async def shutdown(call: Call, host: HostRef) -> None:
        """Switch a disabled host off; VMs that still run there are halted with it."""
        async with call.operation(host, "shutdown"):
            await go_down(call.store, call.hypervisor(host), host)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=BUSY)
    async def reboot(call: Call, host: HostRef) -> None:
        """Switch a disabled host off and on again; VMs that still run there are halted."""
        async with call.operation(host, "reboot"):
            await go_down(call.store, call.hypervisor(host), host)
            call.task.progress(0.3)
            await come_up(call.store, call.hypervisor(host), host)

    @message(
        role=POOL_OPERATOR,
        asynchronous=True,
        errors=("HOST_IS_LIVE", "HOST_POWER_ON_MODE_DISABLED", "OTHER_OPERATION_IN_PROGRESS"),
    )
    async def power_on(call: Call, host: HostRef) -> None:
        """Switch a host on that is off."""
        async with call.operation(host, "power_on"):
            await come_up(call.store, call.hypervisor(host), host)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("HOST_IS_LIVE",))
    def declare_dead(call: Call, host: HostRef) -> None:
        """Tell that a host that does not answer is off for certain: what ran there is halted."""
        with call.store.write() as change:
            if change.record(change.record(host, "host")["metrics"])["live"]:
                raise XenApiError("HOST_IS_LIVE", host)
            _write_down(change, host)

    @message(
        role=POOL_OPERATOR,
        asynchronous=True,
        errors=("HOST_CANNOT_DESTROY_SELF", "HOST_IS_LIVE", "HOST_HAS_RESIDENT_VMS"),
    )
    def destroy(call: Call, self: HostRef) -> None:
        """Forget a host that is off, with its NICs, CPUs, devices and attachments to storage."""
        with call.store.write() as change:
            check_leaving(change, self)
            if change.record(change.record(self)["metrics"])["live"]:
                raise XenApiError("HOST_IS_LIVE", self)
            forget(change, self)


async def go_down(store: Store, hypervisor: Hypervisor, host: str) -> None:
    """Switch a host off; what still runs there is halted with it."""
    await hypervisor.power_off()
    with store.write() as change:
        _write_down(change, host)


def _write_down(change: Change, host: str) -> None:
    """Write that a host is off and that nothing runs on it."""
    for vm in residents(change, host):
        power.down(change, vm.ref, State.Halted)
    record = change.record(host)
    change.update(record["metrics"], live=False)
    change.update(host, enabled=False)
    if change.get(record["control_domain"]) is not None:
        change.update(record["control_domain"], power_state=State.Halted)


async def come_up(store: Store, hypervisor: Hypervisor, host: str) -> None:
    """Switch a host on, and let VMs start there again unless it is to stay disabled."""
    await hypervisor.power_on()
    booted = datetime.now(UTC).timestamp()
    with store.write() as change:
        record = change.record(host, "host")
        change.update(record["metrics"], live=True)
        change.update(
            host,
            enabled=not record["stays_disabled"],
            display=DISPLAY_AFTER_BOOT.get(record["display"], record["display"]),
            other_config={
                **record["other_config"],
                "boot_time": f"{booted:.0f}.",
                "agent_start_time": f"{booted:.0f}.",
            },
        )
        if change.get(record["control_domain"]) is not None:
            change.update(record["control_domain"], power_state=State.Running)


def check_leaving(change: Change, host: str) -> None:
    """Raise the error that tells why a host cannot leave the pool, if it cannot."""
    if next(iter(change.records("pool")))["master"] == host:
        raise XenApiError("HOST_CANNOT_DESTROY_SELF", host)
    if residents(change, host):
        raise XenApiError("HOST_HAS_RESIDENT_VMS", host)


def forget(change: Change, host: str) -> None:
    """Remove a host with all that is part of it."""
    record = change.record(host, "host")
    for ref in record["PIFs"]:
        pif = change.record(ref)
        on_it = (*pif["bond_master_of"], *pif["tunnel_access_PIF_of"], pif["VLAN_master_of"])
        for stacked in on_it:
            if stacked != NULL and change.get(stacked) is not None:
                change.destroy(stacked)
        wiring.remove_pif(change, ref)
    parts = ("PBDs", "host_CPUs", "PCIs", "PPCIs", "PSCSIs", "PSCSI_HBAs", "resident_cpu_pools", "crashdumps")
    single = (record["control_domain"], record["metrics"])
    for ref in (*(ref for part in parts for ref in record[part]), *single):
        if change.get(ref) is not None:
            change.destroy(ref)
    change.destroy(host)
