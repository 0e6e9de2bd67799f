"""A bond: several NICs of a host that act as one."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from itertools import count
from typing import Any, TypeAlias

from xenapi_core.classes.addresses import mac_address
from xenapi_core.classes.tunnel import configured
from xenapi_core.classes.wiring import check_free, make_pif, rejoin, remove_pif, resident_vifs
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
    reverse,
)
from xenapi_core.datamodel.refs import BondRef, NetworkRef, PIFRef


class bond_mode(StrEnum):
    """How the members of a bond share its traffic."""

    balance_slb = "balance-slb"
    active_backup = "active-backup"
    lacp = "lacp"


Mode: TypeAlias = bond_mode

MOVED = (
    "management",
    "disallow_unplug",
    "ip_configuration_mode",
    "IP",
    "netmask",
    "gateway",
    "DNS",
    "ipv6_configuration_mode",
    "IPv6",
    "ipv6_gateway",
    "primary_address_type",
)
"""What a bond takes over from its primary member, and gives back in the end."""


def _one_of(*words: str) -> Callable[[str], bool]:
    return lambda value: value in words


PROPERTIES: dict[str, Callable[[str], bool]] = {
    "hashing_algorithm": _one_of("src_mac", "tcpudp_ports"),
    "lacp-time": _one_of("fast", "slow"),
    "lacp-fallback-ab": _one_of("true", "false"),
    "lacp-aggregation-key": str.isdecimal,
    "updelay": str.isdecimal,
    "downdelay": str.isdecimal,
    "miimon": str.isdecimal,
    "use_carrier": _one_of("0", "1"),
}
"""The settings that a bond can have, and which values each may have."""

MEMBERS = (
    "PIF_BOND_NEEDS_MORE_MEMBERS",
    "PIF_IS_VLAN",
    "IS_TUNNEL_ACCESS_PIF",
    "PIF_ALREADY_BONDED",
    "PIF_IS_NOT_PHYSICAL",
    "PIF_UNMANAGED",
    "PIF_CANNOT_BOND_CROSS_HOST",
    "PIF_BOND_MORE_THAN_ONE_IP",
)
"""What the members of a bond may be refused with."""


class Bond(XenClass, role=POOL_OPERATOR):
    """A bond: several NICs of a host that act as one."""

    uuid: str = field(RO, doc="unique identifier of the object")
    master: PIFRef = field(STATIC, default=NULL, doc="the NIC that stands for the bond")
    slaves: list[PIFRef] = reverse("PIF", "bond_slave_of", doc="the NICs that are its members")
    primary_slave: PIFRef = field(RO, doc="the member whose addresses it has taken over")
    mode: Mode = field(RO, default=bond_mode.balance_slb, doc="how its members share the traffic")
    properties: dict[str, str] = field(RO, doc="further settings of it")
    links_up: int = field(RO, doc="number of members with a link")
    auto_update_mac: bool = field(RO, default=True, doc="whether its Ethernet address is that of the primary member")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    @message(
        role=POOL_OPERATOR,
        asynchronous=True,
        errors=(*MEMBERS, "NETWORK_ALREADY_CONNECTED", "MAC_INVALID", "INVALID_VALUE"),
    )
    async def create(
        call: Call,
        network: NetworkRef,
        members: list[PIFRef],
        MAC: str,
        mode: Mode = bond_mode.balance_slb,
        properties: dict[str, str] = {},  # noqa: B006 - stored maps never change
    ) -> BondRef:
        """Bond NICs of a host, joined to a network; addresses, VLANs, tunnels and virtual NICs move to the bond."""
        for name, value in properties.items():
            _check_property(name, value)
        with call.store.write() as change:
            bond, moved = make_bond(change, network, list(dict.fromkeys(members)), MAC, mode, properties)
        await rejoin(call, moved)
        return bond

    @message(role=POOL_OPERATOR, asynchronous=True)
    async def destroy(call: Call, self: BondRef) -> None:
        """Undo a bond; addresses, VLANs, tunnels and virtual NICs move to its primary member."""
        with call.store.write() as change:
            moved = remove_bond(change, self)
        await rejoin(call, moved)

    @message(role=POOL_OPERATOR, asynchronous=True)
    def set_mode(call: Call, self: BondRef, value: Mode) -> None:
        """Set how the members of a bond share its traffic."""
        with call.store.write() as change:
            change.update(self, mode=value)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("INVALID_VALUE",))
    def set_property(call: Call, self: BondRef, name: str, value: str) -> None:
        """Set one of the further settings of a bond."""
        _check_property(name, value)
        with call.store.write() as change:
            change.update(self, properties={**change.record(self, "Bond")["properties"], name: value})


def make_bond(
    change: Change,
    network: str,
    members: list[str],
    mac: str = "",
    mode: str = bond_mode.balance_slb,
    properties: dict[str, str] | None = None,
) -> tuple[str, list[str]]:
    """Bond NICs; return the reference to the bond and those to the virtual NICs that moved to its network."""
    pifs = [change.record(member, "PIF") for member in members]
    _check_members(pifs)
    host = pifs[0]["host"]
    check_free(change, network, host)
    primary = next((pif for pif in pifs if pif["management"] or configured(pif)), pifs[0])
    devices = {other["device"] for other in change.records("PIF") if other["host"] == host}
    device = next(name for name in (f"bond{number}" for number in count()) if name not in devices)
    links = [change.record(pif["metrics"]) for pif in pifs]
    master = make_pif(
        change,
        primary,
        network,
        device=device,
        MAC=mac_address(mac) if mac else primary["MAC"],
        **{name: primary[name] for name in MOVED},
    )
    change.update(change.record(master)["metrics"], speed=sum(link["speed"] for link in links if link["carrier"]))
    bond = change.create(
        "Bond",
        {
            "master": master,
            "primary_slave": primary.ref,
            "mode": mode,
            "properties": properties or {},
            "links_up": sum(link["carrier"] for link in links),
            "auto_update_mac": not mac,
        },
    )
    moved: list[str] = []
    for pif in pifs:
        _unconfigure(change, pif.ref, bond_slave_of=bond)
        moved += _restack(change, change.record(pif.ref), change.record(master))
        moved += _move_vifs(change, pif, network)
    return bond, moved


def remove_bond(change: Change, ref: str) -> list[str]:
    """Undo a bond; return the references to the virtual NICs that moved to the network of its primary member."""
    bond = change.record(ref, "Bond")
    master = change.record(bond["master"])
    primary = change.record(bond["primary_slave"] if bond["primary_slave"] != NULL else bond["slaves"][0])
    change.update(primary.ref, **{name: master[name] for name in MOVED})
    for slave in bond["slaves"]:
        change.update(slave, bond_slave_of=NULL)
    moved = _restack(change, master, change.record(primary.ref))
    moved += _move_vifs(change, master, primary["network"], leaving=True)
    change.destroy(ref)
    remove_pif(change, master.ref)
    return moved


def _check_members(pifs: list[Record]) -> None:
    for pif in pifs:
        if pif["VLAN_master_of"] != NULL:
            raise XenApiError("PIF_IS_VLAN", pif.ref)
        if pif["tunnel_access_PIF_of"]:
            raise XenApiError("IS_TUNNEL_ACCESS_PIF", pif.ref)
        if pif["bond_slave_of"] != NULL:
            raise XenApiError("PIF_ALREADY_BONDED", pif.ref)
        if not pif["physical"]:
            raise XenApiError("PIF_IS_NOT_PHYSICAL", pif.ref)
        if not pif["managed"]:
            raise XenApiError("PIF_UNMANAGED", pif.ref)
    if len(pifs) < 2:
        raise XenApiError("PIF_BOND_NEEDS_MORE_MEMBERS")
    if len({pif["host"] for pif in pifs}) > 1:
        raise XenApiError("PIF_CANNOT_BOND_CROSS_HOST")
    if sum(configured(pif) for pif in pifs) > 1:
        raise XenApiError("PIF_BOND_MORE_THAN_ONE_IP")


def _check_property(name: str, value: str) -> None:
    valid = PROPERTIES.get(name)
    if valid is None or not valid(value):
        raise XenApiError("INVALID_VALUE", "properties", f"{name} = {value}")


def _unconfigure(change: Change, pif: str, **fields: Any) -> None:
    """Take all addresses from a NIC."""
    definition = change.record(pif).shape
    change.update(pif, **{name: definition.fields[name].default for name in MOVED}, **fields)


def _restack(change: Change, old: Record, new: Record) -> list[str]:
    """Move VLANs and tunnels from one NIC to another; return the virtual NICs of those VLANs that were there already.

    Of two VLANs with one tag the one that moves goes, and what was on its network moves to that of the other.
    """
    moved: list[str] = []
    there = {change.record(vlan)["tag"]: change.record(vlan)["untagged_PIF"] for vlan in new["VLAN_slave_of"]}
    for ref in old["VLAN_slave_of"]:
        vlan = change.record(ref)
        untagged = change.record(vlan["untagged_PIF"])
        if vlan["tag"] in there:
            moved += _move_vifs(change, untagged, change.record(there[vlan["tag"]])["network"], leaving=True)
            remove_pif(change, untagged.ref)
            change.destroy(ref)
        else:
            change.update(ref, tagged_PIF=new.ref)
            change.update(untagged.ref, device=new["device"])
    for ref in old["tunnel_transport_PIF_of"]:
        change.update(ref, transport_PIF=new.ref)
    return moved


def _move_vifs(change: Change, pif: Record, network: str, *, leaving: bool = False) -> list[str]:
    """Move virtual NICs from the network of a NIC: those of the host's VMs, and of all that rest if no NIC is left."""
    if NULL in (pif["network"], network):
        return []
    vifs = {vif.ref for vif in resident_vifs(change, pif["network"], pif["host"])}
    others = (change.record(other) for other in change.record(pif["network"])["PIFs"])
    if not any(other["bond_slave_of"] == NULL and not (leaving and other.ref == pif.ref) for other in others):
        vifs |= {vif for vif in change.record(pif["network"])["VIFs"] if not _runs(change, vif)}
    moved = [vif for vif in change.record(pif["network"])["VIFs"] if vif in vifs]
    for vif in moved:
        change.update(vif, network=network)
    return moved


def _runs(change: Change, vif: str) -> bool:
    vm = change.record(vif)["VM"]
    return bool(vm != NULL and change.record(vm)["resident_on"] != NULL)
