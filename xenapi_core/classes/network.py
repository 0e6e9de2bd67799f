"""A network that virtual and physical NICs are joined to: a virtual switch."""

from __future__ import annotations

from enum import StrEnum

from xenapi_core.datamodel import POOL_OPERATOR, RO, RW, STATIC, VM_ADMIN, VM_OPERATOR, XenClass, field, reverse
from xenapi_core.datamodel.refs import BlobRef, PIFRef, VIFRef


class network_default_locking_mode(StrEnum):
    """What a VIF with locking mode network_default does."""

    unlocked = "unlocked"
    disabled = "disabled"


class network_operations(StrEnum):
    """What may be done with a network."""

    attaching = "attaching"


class network_purpose(StrEnum):
    """A service that uses a network."""

    nbd = "nbd"
    insecure_nbd = "insecure_nbd"


class network(XenClass, role=POOL_OPERATOR):
    """A network that virtual and physical NICs are joined to: a virtual switch."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(RW, default="", doc="name for people")
    name_description: str = field(RW, default="", doc="notes for people")
    allowed_operations: list[network_operations] = field(RO, doc="operations that would be accepted now")
    current_operations: dict[str, network_operations] = field(RO, doc="operations under way: task to operation")

    # What is joined
    VIFs: list[VIFRef] = reverse("VIF", "network", doc="virtual NICs on the network")
    PIFs: list[PIFRef] = reverse("PIF", "network", doc="physical NICs on the network")

    # How it works
    MTU: int = field(RW, default=1500, role=VM_ADMIN, doc="largest frame (bytes)")
    bridge: str = field(STATIC, default="", doc="name of the bridge that stands for the network on each host")
    managed: bool = field(STATIC, default=True, doc="whether the bridge is made and removed by the server")
    default_locking_mode: network_default_locking_mode = field(
        RO, default=network_default_locking_mode.unlocked, doc="what a VIF with locking mode network_default does"
    )
    assigned_ips: dict[VIFRef, str] = field(RO, doc="addresses that the server has given to VIFs")
    purpose: list[network_purpose] = field(RO, doc="services that may use the network")
    default_gateway: str = field(RW, default="", doc="the network's router (Xen-API 1.0)")
    default_netmask: str = field(RW, default="", doc="the network's netmask (Xen-API 1.0)")

    # For people and clients
    tags: list[str] = field(RW, default=(), role=VM_OPERATOR, doc="words that users have tagged the object with")
    blobs: dict[str, BlobRef] = field(RO, doc="binary data kept with the object, by name")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")
