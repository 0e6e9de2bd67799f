"""A SCSI device of a host that is given to a VM (Xen-API 1.0)."""

from __future__ import annotations

from typing import Annotated, Any

from xenapi_core.classes import scsi
from xenapi_core.datamodel import NULL, RO, STATIC, VM_ADMIN, Call, RecordOf, XenClass, field, message
from xenapi_core.datamodel.refs import DSCSIHBARef, DSCSIRef, PSCSIRef, VMRef

DSCSIRecord = Annotated[dict[str, Any], RecordOf("DSCSI")]


class DSCSI(XenClass, role=VM_ADMIN):
    """A SCSI device of a host that is given to a VM (Xen-API 1.0)."""

    uuid: str = field(RO, doc="unique identifier of the object")
    VM: VMRef = field(STATIC, doc="the VM that has it")
    PSCSI: PSCSIRef = field(STATIC, doc="the device of the host")
    HBA: DSCSIHBARef = field(RO, doc="the virtual host bus adapter that it is behind")
    virtual_host: int = field(RO, doc="number of the virtual adapter")
    virtual_channel: int = field(RO, doc="number of the channel")
    virtual_target: int = field(RO, doc="number of the target")
    virtual_lun: int = field(RO, doc="number of the logical unit")
    virtual_HCTL: str = field(STATIC, doc="the four numbers, joined by colons")
    runtime_properties: dict[str, str] = field(RO, doc="what the back end tells about the device")

    @message(role=VM_ADMIN, asynchronous=True, errors=("HANDLE_INVALID", "INVALID_VALUE", "DEVICE_ALREADY_EXISTS"))
    def create(call: Call, args: DSCSIRecord) -> DSCSIRef:
        """Give a SCSI device of a host to a VM, and return its reference; VM, PSCSI and virtual_HCTL are needed."""
        with call.store.write() as change:
            where = args.get("virtual_HCTL", "")
            return scsi.give_device(change, args.get("VM", NULL), args.get("PSCSI", NULL), where)

    @message(role=VM_ADMIN, asynchronous=True, errors=("HANDLE_INVALID",))
    def destroy(call: Call, self: DSCSIRef) -> None:
        """Take a SCSI device from its VM."""
        with call.store.write() as change:
            scsi.take_device(change, self)
