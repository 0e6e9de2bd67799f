"""A VLAN: tagged traffic on one NIC that another NIC stands for."""

from __future__ import annotations

from xenapi_core.classes.wiring import IN_USE, check_free, check_removable, make_pif, remove_pif
from xenapi_core.datamodel import (
    NULL,
    POOL_OPERATOR,
    RO,
    RW,
    STATIC,
    Call,
    Change,
    XenApiError,
    XenClass,
    field,
    message,
)
from xenapi_core.datamodel.refs import NetworkRef, PIFRef, VLANRef

TAGS = range(4095)

REFUSED = (
    "VLAN_TAG_INVALID",
    "PIF_IS_VLAN",
    "IS_TUNNEL_ACCESS_PIF",
    "CANNOT_ADD_VLAN_TO_BOND_SLAVE",
    "PIF_VLAN_EXISTS",
    "NETWORK_ALREADY_CONNECTED",
)
"""What making a VLAN may be refused with."""


class VLAN(XenClass, role=POOL_OPERATOR):
    """A VLAN: tagged traffic on one NIC that another NIC stands for."""

    uuid: str = field(RO, doc="unique identifier of the object")
    tagged_PIF: PIFRef = field(STATIC, default=NULL, doc="the NIC that carries the tagged traffic")
    untagged_PIF: PIFRef = field(RO, doc="the NIC that stands for the VLAN")
    tag: int = field(STATIC, default=-1, doc="VLAN tag")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    @message(role=POOL_OPERATOR, asynchronous=True, errors=REFUSED)
    def create(call: Call, tagged_PIF: PIFRef, tag: int, network: NetworkRef) -> VLANRef:
        """Make a VLAN on a NIC, joined to a network, and return its reference."""
        with call.store.write() as change:
            return make_vlan(change, tagged_PIF, tag, network)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=(*IN_USE, "PIF_TUNNEL_STILL_EXISTS"))
    def destroy(call: Call, self: VLANRef) -> None:
        """Remove a VLAN and the NIC that stands for it."""
        with call.store.write() as change:
            remove_vlan(change, self)


def make_vlan(change: Change, tagged: str, tag: int, network: str) -> str:
    """Make a VLAN on a NIC, and return its reference."""
    if tag not in TAGS:
        raise XenApiError("VLAN_TAG_INVALID", tag)
    pif = change.record(tagged, "PIF")
    if pif["VLAN_master_of"] != NULL:
        raise XenApiError("PIF_IS_VLAN", tagged)
    if pif["tunnel_access_PIF_of"]:
        raise XenApiError("IS_TUNNEL_ACCESS_PIF", tagged)
    if pif["bond_slave_of"] != NULL:
        raise XenApiError("CANNOT_ADD_VLAN_TO_BOND_SLAVE", tagged)
    for vlan in pif["VLAN_slave_of"]:
        if change.record(vlan)["tag"] == tag:
            raise XenApiError("PIF_VLAN_EXISTS", tagged)
    check_free(change, network, pif["host"])
    untagged = make_pif(change, pif, network, VLAN=tag)
    vlan = change.create("VLAN", {"tagged_PIF": tagged, "untagged_PIF": untagged, "tag": tag})
    change.update(untagged, VLAN_master_of=vlan)
    return vlan


def remove_vlan(change: Change, vlan: str) -> None:
    """Remove a VLAN and the NIC that stands for it."""
    pif = change.record(change.record(vlan, "VLAN")["untagged_PIF"])
    check_removable(change, pif)
    if pif["tunnel_transport_PIF_of"]:
        raise XenApiError("PIF_TUNNEL_STILL_EXISTS", pif.ref)
    remove_pif(change, pif.ref)
    change.destroy(vlan)
