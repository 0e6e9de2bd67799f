"""A network that virtual and physical NICs are joined to: a virtual switch."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import count
from typing import Annotated, Any, TypeAlias

from xenapi_core.classes import blob
from xenapi_core.datamodel import (
    POOL_ADMIN,
    POOL_OPERATOR,
    RO,
    RW,
    STATIC,
    VM_ADMIN,
    VM_OPERATOR,
    Call,
    Change,
    Objects,
    Operations,
    Record,
    RecordOf,
    XenApiError,
    XenClass,
    field,
    message,
    reverse,
)
from xenapi_core.datamodel.refs import BlobRef, NetworkRef, PIFRef, VIFRef


class network_default_locking_mode(StrEnum):
    """What a VIF with locking mode network_default does."""

    unlocked = "unlocked"
    disabled = "disabled"


DefaultLockingMode: TypeAlias = network_default_locking_mode


class network_operations(StrEnum):
    """What may be done with a network."""

    attaching = "attaching"


class network_purpose(StrEnum):
    """A service that uses a network."""

    nbd = "nbd"
    insecure_nbd = "insecure_nbd"


NetworkPurpose: TypeAlias = network_purpose

NetworkRecord = Annotated[dict[str, Any], RecordOf("network")]

SYSTEM = "is_host_internal_management_network"
"""The key in ``other_config`` that marks a network which the system needs itself."""


class NetworkOperations(Operations):
    """Virtual NICs can be joined to any network."""

    def check(self, objects: Objects, record: Record, operation: str) -> None:
        """Raise nothing: several VIFs may be joined at the same time."""

    def allowed(self, objects: Objects, record: Record) -> Sequence[str]:
        """Return the operations that can begin now."""
        return tuple(network_operations)


class network(XenClass, role=POOL_OPERATOR, operations=NetworkOperations()):
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

    # To make and to remove

    @message(role=VM_ADMIN, asynchronous=True, errors=("BRIDGE_NAME_EXISTS", "INVALID_VALUE"))
    def create(call: Call, args: NetworkRecord) -> NetworkRef:
        """Make a network inside each host, and return its reference; without a bridge's name it gets a new one."""
        with call.store.write() as change:
            return make(change, args)

    @message(
        role=VM_ADMIN,
        asynchronous=True,
        errors=("NETWORK_CONTAINS_VIF", "NETWORK_CONTAINS_PIF", "CANNOT_DESTROY_SYSTEM_NETWORK"),
    )
    def destroy(call: Call, self: NetworkRef) -> None:
        """Remove a network that nothing is joined to."""
        with call.store.write() as change:
            record = change.record(self, "network")
            if record["VIFs"]:
                raise XenApiError("NETWORK_CONTAINS_VIF", ", ".join(record["VIFs"]))
            if record["PIFs"]:
                raise XenApiError("NETWORK_CONTAINS_PIF", ", ".join(record["PIFs"]))
            if record["other_config"].get(SYSTEM) == "true":
                raise XenApiError("CANNOT_DESTROY_SYSTEM_NETWORK", self)
            change.destroy(self)

    # How it works

    @message(role=VM_ADMIN, errors=("INVALID_VALUE",))
    def set_MTU(call: Call, self: NetworkRef, value: int) -> None:
        """Set the largest frame of a network (bytes); NICs take it when they are next plugged in."""
        _check_mtu(value)
        with call.store.write() as change:
            change.update(self, MTU=value)

    @message(role=POOL_OPERATOR, asynchronous=True)
    def set_default_locking_mode(call: Call, network: NetworkRef, value: DefaultLockingMode) -> None:
        """Set what a VIF with locking mode network_default does."""
        with call.store.write() as change:
            change.update(network, default_locking_mode=value)

    @message(role=POOL_ADMIN, asynchronous=True, errors=("NETWORK_INCOMPATIBLE_PURPOSES",))
    def add_purpose(call: Call, self: NetworkRef, value: NetworkPurpose) -> None:
        """Let a service use a network; nbd and insecure_nbd exclude each other in the whole pool."""
        with call.store.write() as change:
            taken = {purpose for other in change.records("network") for purpose in other["purpose"]}
            for other in sorted(taken - {value}):
                raise XenApiError("NETWORK_INCOMPATIBLE_PURPOSES", value, other)
            present = change.record(self, "network")["purpose"]
            if value not in present:
                change.update(self, purpose=(*present, value))

    @message(role=POOL_ADMIN, asynchronous=True)
    def remove_purpose(call: Call, self: NetworkRef, value: NetworkPurpose) -> None:
        """Let a service no longer use a network."""
        with call.store.write() as change:
            present = change.record(self, "network")["purpose"]
            change.update(self, purpose=tuple(purpose for purpose in present if purpose != value))

    @message(role=POOL_OPERATOR, asynchronous=True)
    def create_new_blob(call: Call, network: NetworkRef, name: str, mime_type: str, public: bool = False) -> BlobRef:
        """Keep a new, empty blob with a network under a name, and return its reference."""
        with call.store.write() as change:
            change.record(network, "network")
            return blob.attach(change, network, name, mime_type, public=public)


def make(change: Change, args: dict[str, Any]) -> str:
    """Make a network as a client's record says, and return its reference."""
    bridges = {other["bridge"] for other in change.records("network")}
    bridge = args.get("bridge", "")
    if bridge in bridges - {""}:
        raise XenApiError("BRIDGE_NAME_EXISTS", bridge)
    if not bridge:
        bridge = next(name for name in (f"xapi{number}" for number in count()) if name not in bridges)
    mtu = args.get("MTU") or 1500
    _check_mtu(mtu)
    return change.create("network", {**args, "bridge": bridge, "MTU": mtu})


def _check_mtu(value: int) -> None:
    if not 68 <= value <= 65535:
        raise XenApiError("INVALID_VALUE", "MTU", value)
