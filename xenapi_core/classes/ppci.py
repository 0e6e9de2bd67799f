"""A PCI device of a host, as Xen-API 1.0 knows it."""

from __future__ import annotations

from xenapi_core.datamodel import POOL_OPERATOR, RO, XenClass, field
from xenapi_core.datamodel.refs import HostRef


class PPCI(XenClass, role=POOL_OPERATOR):
    """A PCI device of a host, as Xen-API 1.0 knows it."""

    uuid: str = field(RO, doc="unique identifier of the object")
    host: HostRef = field(RO, doc="the host that has it")

    # Address
    domain: int = field(RO, doc="number of the PCI domain")
    bus: int = field(RO, doc="number of the bus")
    slot: int = field(RO, doc="number of the slot")
    func: int = field(RO, doc="number of the function")
    name: str = field(RO, doc="the address as text")

    # What it is
    vendor_id: int = field(RO, doc="PCI identifier of the maker")
    vendor_name: str = field(RO, doc="name of the maker")
    device_id: int = field(RO, doc="PCI identifier of the device")
    device_name: str = field(RO, doc="name of the device")
    revision_id: int = field(RO, doc="revision of the device")
    class_code: int = field(RO, doc="PCI identifier of the kind of device")
    class_name: str = field(RO, doc="kind of device")
    subsystem_vendor_id: int = field(RO, doc="PCI identifier of the maker of the card")
    subsystem_vendor_name: str = field(RO, doc="name of the maker of the card")
    subsystem_id: int = field(RO, doc="PCI identifier of the card")
    subsystem_name: str = field(RO, doc="name of the card")
    driver: str = field(RO, doc="driver in use")
