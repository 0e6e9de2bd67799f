"""A group of alike USB devices, of which a VM may be given one."""

from __future__ import annotations

from xenapi_core.datamodel import POOL_ADMIN, RO, RW, Call, XenApiError, XenClass, field, message, reverse
from xenapi_core.datamodel.refs import PUSBRef, USBGroupRef, VUSBRef


class USB_group(XenClass, role=POOL_ADMIN):
    """A group of alike USB devices, of which a VM may be given one."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(RW, default="", doc="name for people")
    name_description: str = field(RW, default="", doc="notes for people")
    PUSBs: list[PUSBRef] = reverse("PUSB", "USB_group", doc="the devices in it")
    VUSBs: list[VUSBRef] = reverse("VUSB", "USB_group", doc="the VMs' devices taken of it")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    @message(role=POOL_ADMIN, asynchronous=True)
    def create(
        call: Call,
        name_label: str = "",
        name_description: str = "",
        other_config: dict[str, str] = {},  # noqa: B006  # a declaration: never changed
    ) -> USBGroupRef:
        """Make an empty group and return its reference."""
        values = {"name_label": name_label, "name_description": name_description, "other_config": other_config}
        with call.store.write() as change:
            return change.create("USB_group", values)

    @message(role=POOL_ADMIN, asynchronous=True, errors=("USB_GROUP_CONTAINS_PUSB", "USB_GROUP_CONTAINS_VUSB"))
    def destroy(call: Call, self: USBGroupRef) -> None:
        """Destroy an empty group."""
        with call.store.write() as change:
            record = change.record(self, "USB_group")
            for name, code in (("VUSBs", "USB_GROUP_CONTAINS_VUSB"), ("PUSBs", "USB_GROUP_CONTAINS_PUSB")):
                if record[name]:
                    raise XenApiError(code, ", ".join(record[name]))
            change.destroy(self)
