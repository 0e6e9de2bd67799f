"""A PCI device of a host."""

from __future__ import annotations

from xenapi_core.datamodel import NULL, POOL_OPERATOR, RO, RW, STATIC, XenClass, field
from xenapi_core.datamodel.refs import HostRef, PCIRef


class PCI(XenClass, role=POOL_OPERATOR):
    """A PCI device of a host."""

    uuid: str = field(RO, doc="unique identifier of the object")
    host: HostRef = field(STATIC, default=NULL, doc="the host that has it")
    pci_id: str = field(STATIC, default="", doc="address on the PCI bus")
    dependencies: list[PCIRef] = field(RO, doc="devices that can only be handed to a VM together with it")

    # What it is
    class_name: str = field(STATIC, default="", doc="kind of device")
    vendor_name: str = field(STATIC, default="", doc="name of the maker")
    device_name: str = field(STATIC, default="", doc="name of the device")
    subsystem_vendor_name: str = field(STATIC, default="", doc="name of the maker of the card")
    subsystem_device_name: str = field(STATIC, default="", doc="name of the card")
    driver_name: str = field(STATIC, default="", doc="driver in use")
    nic: str = field(RO, internal=True, doc="of a network card: what the host calls it")
    MAC: str = field(RO, internal=True, doc="of a network card: its Ethernet address")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")
