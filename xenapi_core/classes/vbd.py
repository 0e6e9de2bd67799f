"""A virtual block device: how a disk image appears in a VM."""

from __future__ import annotations

from enum import StrEnum

from xenapi_core.datamodel import RO, RW, STATIC, VM_ADMIN, XenClass, field
from xenapi_core.datamodel.refs import VBDMetricsRef, VDIRef, VMRef


class vbd_mode(StrEnum):
    """Whether a virtual block device may be written to."""

    RO = "RO"
    RW = "RW"


class vbd_operations(StrEnum):
    """What may be done with a virtual block device."""

    attach = "attach"
    eject = "eject"
    insert = "insert"
    plug = "plug"
    unplug = "unplug"
    unplug_force = "unplug_force"
    pause = "pause"
    unpause = "unpause"


class vbd_type(StrEnum):
    """What a virtual block device looks like."""

    CD = "CD"
    Disk = "Disk"
    Floppy = "Floppy"


class VBD(XenClass, role=VM_ADMIN):
    """A virtual block device: how a disk image appears in a VM."""

    uuid: str = field(RO, doc="unique identifier of the object")
    allowed_operations: list[vbd_operations] = field(RO, doc="operations that would be accepted now")
    current_operations: dict[str, vbd_operations] = field(RO, doc="operations under way: task to operation")

    # What is joined
    VM: VMRef = field(STATIC, doc="the VM that has the device")
    VDI: VDIRef = field(STATIC, doc="the image in it; null for an empty CD drive")

    # How the guest sees it
    device: str = field(STATIC, default="", doc="name of the device while it is attached: xvda, hdc")
    userdevice: str = field(RW, doc="position that the user gave: 0, 1, 2, or a name such as xvda")
    bootable: bool = field(RW, default=False, doc="whether the VM may boot from it")
    mode: vbd_mode = field(STATIC, default=vbd_mode.RW, doc="whether the guest may write")
    type: vbd_type = field(RW, default=vbd_type.Disk, doc="disk or CD drive")
    unpluggable: bool = field(RW, default=True, doc="whether it can be taken away while the VM runs")
    empty: bool = field(STATIC, default=False, doc="whether there is no medium in the drive")

    # State
    currently_attached: bool = field(STATIC, default=False, doc="whether the device is in use by a domain now")
    storage_lock: bool = field(RO, doc="whether the image is locked at the storage level")
    status_code: int = field(RO, doc="error of the last attach; 0 for none")
    status_detail: str = field(RO, doc="text about the last attach")
    runtime_properties: dict[str, str] = field(RO, doc="what the back end tells about the attached device")
    metrics: VBDMetricsRef = field(RO, doc="what is measured of it")

    # Quality of service
    qos_algorithm_type: str = field(RW, default="", doc="algorithm in use")
    qos_algorithm_params: dict[str, str] = field(RW, default={}, doc="its parameters")
    qos_supported_algorithms: list[str] = field(RO, doc="algorithms that could be used")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")
