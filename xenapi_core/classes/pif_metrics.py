"""What is measured of a physical NIC, and what it is."""

from __future__ import annotations

from datetime import datetime

from xenapi_core.datamodel import POOL_OPERATOR, RO, RW, XenClass, field


class PIF_metrics(XenClass, role=POOL_OPERATOR):
    """What is measured of a physical NIC, and what it is."""

    uuid: str = field(RO, doc="unique identifier of the object")

    # Traffic
    io_read_kbs: float = field(RO, sampled=True, doc="rate of receiving over the last second (KiB/s)")
    io_write_kbs: float = field(RO, sampled=True, doc="rate of sending over the last second (KiB/s)")
    io_read_bytes_total: int = field(RO, sampled=True, doc="received since the host was booted (bytes)")
    io_write_bytes_total: int = field(RO, sampled=True, doc="sent since the host was booted (bytes)")
    io_read_operations_total: int = field(RO, sampled=True, doc="packets received since the host was booted")
    io_write_operations_total: int = field(RO, sampled=True, doc="packets sent since the host was booted")

    # Link
    carrier: bool = field(RO, doc="whether a cable with something at the other end is plugged in")
    speed: int = field(RO, doc="speed of the link (Mbit/s)")
    duplex: bool = field(RO, doc="whether the link is full duplex")

    # Card
    vendor_id: str = field(RO, doc="PCI identifier of the maker")
    vendor_name: str = field(RO, doc="name of the maker")
    device_id: str = field(RO, doc="PCI identifier of the card")
    device_name: str = field(RO, doc="name of the card")
    pci_bus_path: str = field(RO, doc="address of the card on the PCI bus")
    last_updated: datetime = field(RO, sampled=True, doc="when these figures were last brought up to date")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")
