"""A USB device of a host."""

from __future__ import annotations

from xenapi_core.datamodel import NULL, POOL_ADMIN, RO, RW, STATIC, Call, XenApiError, XenClass, field, message
from xenapi_core.datamodel.refs import HostRef, PUSBRef, USBGroupRef


class PUSB(XenClass, role=POOL_ADMIN):
    """A USB device of a host."""

    uuid: str = field(RO, doc="unique identifier of the object")
    USB_group: USBGroupRef = field(STATIC, default=NULL, doc="the group that it is in")
    host: HostRef = field(STATIC, default=NULL, doc="the host that it is plugged into")
    path: str = field(STATIC, default="", doc="where it is plugged in: bus and ports")
    vendor_id: str = field(STATIC, default="", doc="number of the vendor")
    vendor_desc: str = field(STATIC, default="", doc="name of the vendor")
    product_id: str = field(STATIC, default="", doc="number of the product")
    product_desc: str = field(STATIC, default="", doc="name of the product")
    serial: str = field(STATIC, default="", doc="serial number")
    version: str = field(STATIC, default="", doc="version of USB")
    speed: float = field(STATIC, default=-1.0, doc="speed (Mbit/s); -1 if unknown")
    description: str = field(STATIC, default="", doc="all that in one line")
    passthrough_enabled: bool = field(RO, default=False, doc="whether it may be given to a VM")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    @message(role=POOL_ADMIN, asynchronous=True, errors=("USB_GROUP_CONTAINS_VUSB",))
    def set_passthrough_enabled(call: Call, self: PUSBRef, value: bool) -> None:
        """Set whether a device may be given to a VM; it must not be in use."""
        with call.store.write() as change:
            group = change.get(change.record(self, "PUSB")["USB_group"])
            if group is not None and group["VUSBs"] and not value:
                raise XenApiError("USB_GROUP_CONTAINS_VUSB", ", ".join(group["VUSBs"]))
            change.update(self, passthrough_enabled=value)

    @message(role=POOL_ADMIN, asynchronous=True)
    def scan(call: Call, host: HostRef) -> None:
        """Look for USB devices of a host; a simulated host's are never changed."""
        call.record(host, "host")
