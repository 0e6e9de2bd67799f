"""What is measured of a virtual block device."""

from __future__ import annotations

from datetime import datetime

from xenapi_core.datamodel import RO, RW, VM_ADMIN, XenClass, field


class VBD_metrics(XenClass, role=VM_ADMIN):
    """What is measured of a virtual block device."""

    uuid: str = field(RO, doc="unique identifier of the object")
    io_read_kbs: float = field(RO, sampled=True, doc="rate of reading over the last second (KiB/s)")
    io_write_kbs: float = field(RO, sampled=True, doc="rate of writing over the last second (KiB/s)")
    io_read_bytes_total: int = field(RO, sampled=True, doc="read since the device was attached (bytes)")
    io_write_bytes_total: int = field(RO, sampled=True, doc="written since the device was attached (bytes)")
    io_read_operations_total: int = field(RO, sampled=True, doc="reads since the device was attached")
    io_write_operations_total: int = field(RO, sampled=True, doc="writes since the device was attached")
    last_updated: datetime = field(RO, sampled=True, doc="when these figures were last brought up to date")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")
