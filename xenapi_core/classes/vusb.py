"""A USB device that is given to a VM."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from xenapi_core.classes.lifecycle import State, bad_power_state
from xenapi_core.datamodel import (
    POOL_ADMIN,
    RO,
    RW,
    Call,
    Objects,
    Operations,
    Record,
    XenApiError,
    XenClass,
    field,
    message,
)
from xenapi_core.datamodel.refs import USBGroupRef, VMRef, VUSBRef

MOST = 6
"""How many USB devices a VM can be given."""


class vusb_operations(StrEnum):
    """What may be done with a VM's USB device."""

    attach = "attach"
    plug = "plug"
    unplug = "unplug"


class VUSBOperations(Operations):
    """One that is attached can be unplugged."""

    def check(self, objects: Objects, record: Record, operation: str) -> None:
        """Raise DEVICE_ALREADY_DETACHED unless the device is attached."""
        if not record["currently_attached"]:
            raise XenApiError("DEVICE_ALREADY_DETACHED", record.ref)

    def allowed(self, objects: Objects, record: Record) -> Sequence[str]:
        """Return what can be done now."""
        return (vusb_operations.unplug,) if record["currently_attached"] else ()


VUSB_OPERATIONS = VUSBOperations()


class VUSB(XenClass, role=POOL_ADMIN, operations=VUSB_OPERATIONS):
    """A USB device that is given to a VM."""

    uuid: str = field(RO, doc="unique identifier of the object")
    allowed_operations: list[vusb_operations] = field(RO, doc="operations that would be accepted now")
    current_operations: dict[str, vusb_operations] = field(RO, doc="operations under way: task to operation")
    VM: VMRef = field(RO, doc="the VM that has it")
    USB_group: USBGroupRef = field(RO, doc="the group of devices that it is taken of")
    currently_attached: bool = field(RO, default=False, doc="whether a domain uses it now")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    @message(
        role=POOL_ADMIN,
        asynchronous=True,
        errors=("VM_BAD_POWER_STATE", "USB_GROUP_CONTAINS_NO_PUSBS", "USB_GROUP_CONFLICT", "TOO_MANY_VUSBS"),
    )
    def create(
        call: Call,
        VM: VMRef,
        USB_group: USBGroupRef,
        other_config: dict[str, str] = {},  # noqa: B006  # a declaration: never changed
    ) -> VUSBRef:
        """Give a halted VM the USB device of a group, and return the reference of what the VM then has."""
        with call.store.write() as change:
            vm, group = change.record(VM, "VM"), change.record(USB_group, "USB_group")
            if vm["power_state"] != State.Halted:
                raise bad_power_state(vm, State.Halted)
            if not any(change.record(device)["passthrough_enabled"] for device in group["PUSBs"]):
                raise XenApiError("USB_GROUP_CONTAINS_NO_PUSBS", USB_group)
            if group["VUSBs"]:
                raise XenApiError("USB_GROUP_CONFLICT", USB_group)
            if len(vm["VUSBs"]) >= MOST:
                raise XenApiError("TOO_MANY_VUSBS", MOST)
            return change.create("VUSB", {"VM": VM, "USB_group": USB_group, "other_config": other_config})

    @message(role=POOL_ADMIN, asynchronous=True, errors=("DEVICE_ALREADY_DETACHED",))
    def unplug(call: Call, self: VUSBRef) -> None:
        """Take a USB device away from a running VM; it can be given again when the VM starts."""
        with call.store.write() as change:
            VUSB_OPERATIONS.check(change, change.record(self, "VUSB"), "unplug")
            change.update(self, currently_attached=False)

    @message(role=POOL_ADMIN, asynchronous=True, errors=("VM_BAD_POWER_STATE",))
    def destroy(call: Call, self: VUSBRef) -> None:
        """Destroy a VM's USB device, which must not be attached."""
        with call.store.write() as change:
            record = change.record(self, "VUSB")
            vm = change.get(record["VM"])
            if vm is not None and record["currently_attached"]:
                raise bad_power_state(vm, State.Halted)
            change.destroy(self)
