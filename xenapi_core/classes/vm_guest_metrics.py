"""What the agent inside a guest tells about it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from xenapi_core.datamodel import RO, RW, VM_ADMIN, XenClass, field


class tristate_type(StrEnum):
    """Yes, no or not known."""

    yes = "yes"
    no = "no"
    unspecified = "unspecified"


class VM_guest_metrics(XenClass, role=VM_ADMIN):
    """What the agent inside a guest tells about it."""

    uuid: str = field(RO, doc="unique identifier of the object")

    # Operating system and drivers
    os_version: dict[str, str] = field(RO, doc="name, distro, major, minor and uname of the guest's system")
    PV_drivers_version: dict[str, str] = field(
        RO, doc="major, minor, micro and build of the guest's paravirtual drivers"
    )
    PV_drivers_up_to_date: bool = field(
        RO, doc="whether the guest has paravirtual drivers; the distinction of versions has gone"
    )
    PV_drivers_detected: bool = field(RO, doc="whether the guest has paravirtual drivers")
    can_use_hotplug_vbd: tristate_type = field(
        RO, default=tristate_type.unspecified, doc="whether disks can be plugged while the guest runs"
    )
    can_use_hotplug_vif: tristate_type = field(
        RO, default=tristate_type.unspecified, doc="whether NICs can be plugged while the guest runs"
    )

    # What it reports
    networks: dict[str, str] = field(RO, doc="addresses by NIC: 0/ip, 0/ipv4/0, 0/ipv6/0 and so on")
    memory: dict[str, str] = field(RO, doc="free and used memory; no longer reported")
    disks: dict[str, str] = field(RO, doc="free space of file systems; no longer reported")
    other: dict[str, str] = field(RO, doc="anything else that the agent reports")
    last_updated: datetime = field(RO, doc="when the agent last reported")
    live: bool = field(RO, doc="whether the agent is running")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")
