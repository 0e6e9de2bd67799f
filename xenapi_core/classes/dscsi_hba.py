"""A virtual SCSI host bus adapter of a VM (Xen-API 1.0)."""

from __future__ import annotations

from typing import Annotated, Any

from xenapi_core.classes import scsi
from xenapi_core.datamodel import NULL, RO, STATIC, VM_ADMIN, Call, RecordOf, XenClass, field, message, reverse
from xenapi_core.datamodel.refs import DSCSIHBARef, DSCSIRef, PSCSIHBARef, VMRef

DSCSIHBARecord = Annotated[dict[str, Any], RecordOf("DSCSI_HBA")]


class DSCSI_HBA(XenClass, role=VM_ADMIN):
    """A virtual SCSI host bus adapter of a VM (Xen-API 1.0)."""

    uuid: str = field(RO, doc="unique identifier of the object")
    VM: VMRef = field(STATIC, doc="the VM that has it")
    PSCSI_HBAs: list[PSCSIHBARef] = field(RO, doc="the hosts' adapters that its devices are behind")
    DSCSIs: list[DSCSIRef] = reverse("DSCSI", "HBA", doc="the devices behind it")
    virtual_host: int = field(STATIC, doc="its number in the VM")
    assignment_mode: str = field(STATIC, doc="LUN: devices are given one at a time; HOST: all behind an adapter")

    @message(role=VM_ADMIN, asynchronous=True, errors=("HANDLE_INVALID", "INVALID_VALUE", "DEVICE_ALREADY_EXISTS"))
    def create(call: Call, args: DSCSIHBARecord) -> DSCSIHBARef:
        """Give a VM an adapter and return its reference.

        In the mode HOST all devices behind the host's adapter with the same number come with it.
        """
        with call.store.write() as change:
            mode = args.get("assignment_mode", scsi.LUN)
            return scsi.give_adapter(change, args.get("VM", NULL), args.get("virtual_host", 0), mode)

    @message(role=VM_ADMIN, asynchronous=True, errors=("HANDLE_INVALID",))
    def destroy(call: Call, self: DSCSIHBARef) -> None:
        """Take an adapter with all its devices from its VM."""
        with call.store.write() as change:
            scsi.take_adapter(change, self)
