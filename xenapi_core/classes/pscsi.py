"""A SCSI device of a host (Xen-API 1.0)."""

from __future__ import annotations

from xenapi_core.datamodel import POOL_OPERATOR, RO, XenClass, field
from xenapi_core.datamodel.refs import HostRef, PSCSIHBARef


class PSCSI(XenClass, role=POOL_OPERATOR):
    """A SCSI device of a host (Xen-API 1.0)."""

    uuid: str = field(RO, doc="unique identifier of the object")
    host: HostRef = field(RO, doc="the host that has it")
    HBA: PSCSIHBARef = field(RO, doc="the host bus adapter that it is behind")
    physical_host: int = field(RO, doc="number of the adapter")
    physical_channel: int = field(RO, doc="number of the channel")
    physical_target: int = field(RO, doc="number of the target")
    physical_lun: int = field(RO, doc="number of the logical unit")
    physical_HCTL: str = field(RO, doc="the four numbers, joined by colons")
    vendor_name: str = field(RO, doc="who made it")
    model: str = field(RO, doc="what its maker calls it")
    type_id: int = field(RO, doc="kind of device as a number: 0 for disks, 5 for CD drives")
    type: str = field(RO, doc="kind of device in a word")
    dev_name: str = field(RO, doc="name of its block device on the host")
    sg_name: str = field(RO, doc="name of its generic SCSI device on the host")
    revision: str = field(RO, doc="revision of the device")
    scsi_id: str = field(RO, doc="identifier that is the same on all hosts")
    scsi_level: int = field(RO, doc="level of the SCSI standard that it keeps to")
