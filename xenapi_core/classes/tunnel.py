"""A tunnel between hosts, over which they share a network."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from xenapi_core.classes.addresses import new_mac_address
from xenapi_core.classes.wiring import IN_USE, check_free, check_removable, make_pif, remove_pif
from xenapi_core.datamodel import (
    NULL,
    POOL_OPERATOR,
    RO,
    RW,
    STATIC,
    Call,
    Change,
    Record,
    XenApiError,
    XenClass,
    field,
    message,
)
from xenapi_core.datamodel.refs import NetworkRef, PIFRef, TunnelRef


class tunnel_protocol(StrEnum):
    """How frames travel through a tunnel."""

    gre = "gre"
    vxlan = "vxlan"


Protocol: TypeAlias = tunnel_protocol


class tunnel(XenClass, role=POOL_OPERATOR):
    """A tunnel between hosts, over which they share a network."""

    uuid: str = field(RO, doc="unique identifier of the object")
    access_PIF: PIFRef = field(STATIC, default=NULL, doc="the NIC that stands for the tunnel")
    transport_PIF: PIFRef = field(STATIC, default=NULL, doc="the NIC that the tunnel goes through")
    status: dict[str, str] = field(RW, default={"active": "false"}, doc="whether it is active")
    protocol: Protocol = field(RW, default=tunnel_protocol.gre, doc="how frames travel through it")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    @message(
        role=POOL_OPERATOR,
        asynchronous=True,
        errors=(
            "TRANSPORT_PIF_NOT_CONFIGURED",
            "IS_TUNNEL_ACCESS_PIF",
            "CANNOT_ADD_TUNNEL_TO_BOND_SLAVE",
            "NETWORK_ALREADY_CONNECTED",
            "NETWORK_INCOMPATIBLE_WITH_TUNNEL",
        ),
    )
    def create(
        call: Call, transport_PIF: PIFRef, network: NetworkRef, protocol: Protocol = tunnel_protocol.gre
    ) -> TunnelRef:
        """Make a tunnel through a NIC that has an address, joined to a network, and return its reference."""
        with call.store.write() as change:
            return make_tunnel(change, transport_PIF, network, protocol)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=IN_USE)
    def destroy(call: Call, self: TunnelRef) -> None:
        """Remove a tunnel and the NIC that stands for it."""
        with call.store.write() as change:
            remove_tunnel(change, self)


def make_tunnel(change: Change, transport: str, network: str, protocol: str, mac: str = "") -> str:
    """Make a tunnel through a NIC, and return its reference."""
    pif = change.record(transport, "PIF")
    if pif["tunnel_access_PIF_of"]:
        raise XenApiError("IS_TUNNEL_ACCESS_PIF", transport)
    if pif["bond_slave_of"] != NULL:
        raise XenApiError("CANNOT_ADD_TUNNEL_TO_BOND_SLAVE", transport)
    if not configured(pif):
        raise XenApiError("TRANSPORT_PIF_NOT_CONFIGURED", transport)
    check_free(change, network, pif["host"])
    if any(not change.record(other)["tunnel_access_PIF_of"] for other in change.record(network)["PIFs"]):
        raise XenApiError("NETWORK_INCOMPATIBLE_WITH_TUNNEL", network)
    devices = {other["device"] for other in change.records("PIF") if other["host"] == pif["host"]}
    device = next(name for name in (f"tunnel{number}" for number in range(len(devices) + 1)) if name not in devices)
    access = make_pif(change, pif, network, device=device, MAC=mac or new_mac_address())
    active = {"active": "true" if pif["currently_attached"] else "false"}
    return change.create(
        "tunnel", {"access_PIF": access, "transport_PIF": transport, "status": active, "protocol": protocol}
    )


def remove_tunnel(change: Change, ref: str) -> None:
    """Remove a tunnel and the NIC that stands for it."""
    access = change.record(change.record(ref, "tunnel")["access_PIF"])
    check_removable(change, access)
    remove_pif(change, access.ref)
    change.destroy(ref)


def configured(pif: Record) -> bool:
    """Tell whether a NIC is to have an IP address."""
    return bool(pif["ip_configuration_mode"] != "None" or pif["ipv6_configuration_mode"] != "None")
