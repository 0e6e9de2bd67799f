"""A PCI device of a host that is handed to a VM (Xen-API 1.0)."""

from __future__ import annotations

from typing import Annotated, Any

from xenapi_core.classes.lifecycle import State, bad_power_state
from xenapi_core.datamodel import (
    NULL,
    POOL_OPERATOR,
    RO,
    STATIC,
    Call,
    RecordOf,
    XenApiError,
    XenClass,
    field,
    message,
)
from xenapi_core.datamodel.refs import DPCIRef, PPCIRef, VMRef

DPCIRecord = Annotated[dict[str, Any], RecordOf("DPCI")]

ANY_SLOT, SLOTS = -1, range(32)


class DPCI(XenClass, role=POOL_OPERATOR):
    """A PCI device of a host that is handed to a VM (Xen-API 1.0)."""

    uuid: str = field(RO, doc="unique identifier of the object")
    VM: VMRef = field(STATIC, doc="the VM that has the device")
    PPCI: PPCIRef = field(STATIC, doc="the device")
    hotplug_slot: int = field(STATIC, default=ANY_SLOT, doc="slot that the guest finds it in; -1 for any")

    # How the guest sees it
    virtual_domain: int = field(RO, default=-1, doc="number of the PCI domain; -1 while it is not plugged in")
    virtual_bus: int = field(RO, default=-1, doc="number of the bus")
    virtual_slot: int = field(RO, default=-1, doc="number of the slot")
    virtual_func: int = field(RO, default=-1, doc="number of the function")
    virtual_name: str = field(RO, doc="the address as text")

    @message(
        role=POOL_OPERATOR,
        asynchronous=True,
        errors=("INVALID_VALUE", "DEVICE_ALREADY_ATTACHED", "VM_BAD_POWER_STATE"),
    )
    def create(call: Call, args: DPCIRecord) -> DPCIRef:
        """Hand a device that nobody has to a halted VM, and return the reference."""
        slot = args.get("hotplug_slot", ANY_SLOT)
        if slot != ANY_SLOT and slot not in SLOTS:
            raise XenApiError("INVALID_VALUE", "hotplug_slot", slot)
        with call.store.write() as change:
            vm = change.record(args.get("VM", NULL), "VM")
            device = change.record(args.get("PPCI", NULL), "PPCI")
            if vm["power_state"] != State.Halted:
                raise bad_power_state(vm, State.Halted)
            if any(other["PPCI"] == device.ref for other in change.records("DPCI")):
                raise XenApiError("DEVICE_ALREADY_ATTACHED", device.ref)
            taken = {change.record(other)["virtual_slot"] for other in vm["DPCIs"]}
            if slot in taken:
                raise XenApiError("INVALID_VALUE", "hotplug_slot", slot)
            place = slot if slot != ANY_SLOT else next((free for free in SLOTS[4:] if free not in taken), None)
            if place is None:
                raise XenApiError("INVALID_VALUE", "hotplug_slot", slot)
            address = {"virtual_domain": 0, "virtual_bus": 0, "virtual_slot": place, "virtual_func": device["func"]}
            name = f"0000:00:{place:02x}.{device['func']:x}"
            values = {"VM": vm.ref, "PPCI": device.ref, "hotplug_slot": slot}
            return change.create("DPCI", {**values, **address, "virtual_name": name})

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("VM_BAD_POWER_STATE",))
    def destroy(call: Call, self: DPCIRef) -> None:
        """Take a device back from a halted VM."""
        with call.store.write() as change:
            vm = change.get(change.record(self, "DPCI")["VM"])
            if vm is not None and vm["power_state"] != State.Halted:
                raise bad_power_state(vm, State.Halted)
            change.destroy(self)
