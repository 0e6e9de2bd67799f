"""A physical NIC of a host, or a VLAN or bond on one."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeAlias

from xenapi_core.classes import wiring
from xenapi_core.classes.addresses import check_cidr, check_ip, is_netmask, mac_address
from xenapi_core.classes.bond import remove_bond
from xenapi_core.classes.tunnel import remove_tunnel
from xenapi_core.classes.vlan import REFUSED, TAGS, make_vlan, remove_vlan
from xenapi_core.datamodel import (
    NULL,
    POOL_OPERATOR,
    RO,
    RW,
    STATIC,
    Call,
    Change,
    Objects,
    Record,
    XenApiError,
    XenClass,
    field,
    message,
    reverse,
)
from xenapi_core.datamodel.refs import (
    BondRef,
    HostRef,
    NetworkRef,
    NetworkSriovRef,
    PCIRef,
    PIFMetricsRef,
    PIFRef,
    TunnelRef,
    VLANRef,
)


class ip_configuration_mode(StrEnum):
    """How an IPv4 address is set."""

    None_ = "None"
    DHCP = "DHCP"
    Static = "Static"


IPConfigurationMode: TypeAlias = ip_configuration_mode


class ipv6_configuration_mode(StrEnum):
    """How an IPv6 address is set."""

    None_ = "None"
    DHCP = "DHCP"
    Static = "Static"
    Autoconf = "Autoconf"


IPv6ConfigurationMode: TypeAlias = ipv6_configuration_mode


class pif_igmp_status(StrEnum):
    """Whether IGMP snooping works."""

    enabled = "enabled"
    disabled = "disabled"
    unknown = "unknown"


class primary_address_type(StrEnum):
    """A family of IP addresses."""

    IPv4 = "IPv4"
    IPv6 = "IPv6"


PrimaryAddressType: TypeAlias = primary_address_type


STILL_NEEDED = (
    "PIF_IS_MANAGEMENT_INTERFACE",
    "PIF_ALREADY_BONDED",
    "PIF_VLAN_STILL_EXISTS",
    "PIF_TUNNEL_STILL_EXISTS",
    "VIF_IN_USE",
)
"""What forgetting a NIC may be refused with."""

PROPERTIES = {"gro": ("on", "off")}
"""The settings that a NIC can have, and the values of each."""


class PIF(XenClass, role=POOL_OPERATOR):
    """A physical NIC of a host, or a VLAN or bond on one."""

    uuid: str = field(RO, doc="unique identifier of the object")
    device: str = field(STATIC, doc="name of the NIC on its host: eth0")
    host: HostRef = field(STATIC, doc="the host that has the NIC")
    network: NetworkRef = field(STATIC, doc="the network that it is on")
    metrics: PIFMetricsRef = field(RO, doc="what is measured of it")

    # Link
    MAC: str = field(STATIC, default="", doc="Ethernet address")
    MTU: int = field(STATIC, default=0, doc="largest frame (bytes)")
    VLAN: int = field(STATIC, default=-1, doc="VLAN tag; -1 for untagged traffic")
    physical: bool = field(RO, doc="whether it is a card, not a VLAN or a bond")
    currently_attached: bool = field(RO, default=True, doc="whether it is up")
    managed: bool = field(STATIC, default=True, doc="whether the server configures it")
    properties: dict[str, str] = field(RO, doc="further settings of the NIC, such as gro")
    capabilities: list[str] = field(RO, doc="further abilities of the NIC")
    igmp_snooping_status: pif_igmp_status = field(
        RO, default=pif_igmp_status.unknown, doc="whether IGMP snooping works on its bridge"
    )
    PCI: PCIRef = field(RO, doc="the PCI device that it is")

    # Host's addresses
    management: bool = field(RO, doc="whether the API is served over it")
    ip_configuration_mode: IPConfigurationMode = field(
        RO, default=ip_configuration_mode.None_, doc="how its IPv4 address is set"
    )
    IP: str = field(RO, doc="IPv4 address")
    netmask: str = field(RO, doc="IPv4 netmask")
    gateway: str = field(RO, doc="IPv4 router")
    DNS: str = field(RO, doc="name servers, separated by commas")
    ipv6_configuration_mode: IPv6ConfigurationMode = field(
        RO, default=ipv6_configuration_mode.None_, doc="how its IPv6 address is set"
    )
    IPv6: list[str] = field(RO, doc="IPv6 addresses, each with the length of its prefix")
    ipv6_gateway: str = field(RO, doc="IPv6 router")
    primary_address_type: PrimaryAddressType = field(
        RO, default=primary_address_type.IPv4, doc="which of the two families the API is served over"
    )
    disallow_unplug: bool = field(RO, doc="whether it must stay up")

    # Bonds, VLANs, tunnels
    bond_slave_of: BondRef = field(RO, doc="the bond that it is a member of")
    bond_master_of: list[BondRef] = reverse("Bond", "master", doc="the bond that it stands for")
    VLAN_master_of: VLANRef = field(RO, doc="the VLAN that it stands for")
    VLAN_slave_of: list[VLANRef] = reverse("VLAN", "tagged_PIF", doc="the VLANs on it")
    tunnel_access_PIF_of: list[TunnelRef] = reverse("tunnel", "access_PIF", doc="the tunnel that it stands for")
    tunnel_transport_PIF_of: list[TunnelRef] = reverse("tunnel", "transport_PIF", doc="the tunnels on it")
    sriov_physical_PIF_of: list[NetworkSriovRef] = reverse(
        "network_sriov", "physical_PIF", doc="the SR-IOV network that it is the card of"
    )
    sriov_logical_PIF_of: list[NetworkSriovRef] = reverse(
        "network_sriov", "logical_PIF", doc="the SR-IOV network that it stands for"
    )
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    # To find and to forget cards

    @message(role=POOL_OPERATOR, asynchronous=True)
    def scan(call: Call, host: HostRef) -> None:
        """Make a PIF, on a network of its own, for each card of a host that has none."""
        with call.store.write() as change:
            for card in _cards(change, host):
                if not any(pif["MAC"] == card["MAC"] and pif["physical"] for pif in _pifs(change, host)):
                    _introduce(change, card, _free_device(change, host, card["nic"]), managed=True)

    @message(
        role=POOL_OPERATOR, asynchronous=True, errors=("MAC_INVALID", "MAC_DOES_NOT_EXIST", "DUPLICATE_PIF_DEVICE_NAME")
    )
    def introduce(call: Call, host: HostRef, MAC: str, device: str, managed: bool = True) -> PIFRef:
        """Make a PIF for the card of a host that has an Ethernet address, and return its reference."""
        mac = mac_address(MAC)
        with call.store.write() as change:
            card = next((card for card in _cards(change, host) if card["MAC"] == mac), None)
            if card is None:
                raise XenApiError("MAC_DOES_NOT_EXIST", MAC)
            name = device or _free_device(change, host, card["nic"])
            known = any(pif["MAC"] == mac and pif["physical"] for pif in _pifs(change, host))
            if known or name in {pif["device"] for pif in _pifs(change, host)}:
                raise XenApiError("DUPLICATE_PIF_DEVICE_NAME", name)
            return _introduce(change, card, name, managed=managed)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("PIF_IS_NOT_PHYSICAL", *STILL_NEEDED))
    def forget(call: Call, self: PIFRef) -> None:
        """Remove the PIF of a card; ``scan`` finds the card again. Its network stays."""
        with call.store.write() as change:
            pif = change.record(self, "PIF")
            if not pif["physical"]:
                raise XenApiError("PIF_IS_NOT_PHYSICAL", self)
            _check_unneeded(change, pif)
            wiring.remove_pif(change, self)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("PIF_IS_PHYSICAL", *wiring.IN_USE))
    def destroy(call: Call, self: PIFRef) -> None:
        """Remove a PIF with the VLAN, bond or tunnel that it stands for."""
        with call.store.write() as change:
            pif = change.record(self, "PIF")
            if pif["VLAN_master_of"] != NULL:
                remove_vlan(change, pif["VLAN_master_of"])
            elif pif["tunnel_access_PIF_of"]:
                remove_tunnel(change, pif["tunnel_access_PIF_of"][0])
            elif pif["bond_master_of"]:
                remove_bond(change, pif["bond_master_of"][0])
            elif pif["physical"]:
                raise XenApiError("PIF_IS_PHYSICAL", self)
            else:
                _check_unneeded(change, pif)
                wiring.remove_pif(change, self)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=(*REFUSED, "PIF_DEVICE_NOT_FOUND"))
    def create_VLAN(call: Call, device: str, network: NetworkRef, host: HostRef, VLAN: int) -> PIFRef:
        """Make a VLAN on the NIC of a host with a name, and return the reference to the PIF that stands for it."""
        with call.store.write() as change:
            return str(change.record(make_vlan(change, named(change, host, device), VLAN, network))["untagged_PIF"])

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("DUPLICATE_PIF_DEVICE_NAME",))
    def db_introduce(
        call: Call,
        device: str,
        network: NetworkRef,
        host: HostRef,
        MAC: str,
        MTU: int,
        VLAN: int,
        physical: bool,
        ip_configuration_mode: IPConfigurationMode,
        IP: str,
        netmask: str,
        gateway: str,
        DNS: str,
        bond_slave_of: BondRef,
        VLAN_master_of: VLANRef,
        management: bool,
        other_config: dict[str, str],
        disallow_unplug: bool,
        ipv6_configuration_mode: IPv6ConfigurationMode,
        IPv6: list[str],
        ipv6_gateway: str,
        primary_address_type: PrimaryAddressType,
        managed: bool,
        properties: dict[str, str],
    ) -> PIFRef:
        """Write the record of a PIF that is set up already, and return its reference."""
        values = {name: value for name, value in locals().items() if name != "call"}
        with call.store.write() as change:
            if any(pif["device"] == device and pif["VLAN"] == VLAN for pif in _pifs(change, host)):
                raise XenApiError("DUPLICATE_PIF_DEVICE_NAME", device)
            return change.create("PIF", {**values, "metrics": change.create("PIF_metrics", {})})

    @message(role=POOL_OPERATOR, asynchronous=True)
    def db_forget(call: Call, self: PIFRef) -> None:
        """Remove the record of a PIF, whatever it is set up for."""
        with call.store.write() as change:
            wiring.remove_pif(change, self)

    # Up and down

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("CANNOT_PLUG_BOND_SLAVE", "TRANSPORT_PIF_NOT_CONFIGURED"))
    def plug(call: Call, self: PIFRef) -> None:
        """Bring a NIC up, with those that it needs."""
        with call.store.write() as change:
            pif = change.record(self, "PIF")
            if pif["bond_slave_of"] != NULL:
                raise XenApiError("CANNOT_PLUG_BOND_SLAVE", self)
            wiring.set_attached(change, (pif, *wiring.below(change, pif)), attached=True)

    @message(
        role=POOL_OPERATOR,
        asynchronous=True,
        errors=("PIF_DOES_NOT_ALLOW_UNPLUG", "PIF_IS_MANAGEMENT_INTERFACE", "PIF_ALREADY_BONDED", "VIF_IN_USE"),
    )
    def unplug(call: Call, self: PIFRef) -> None:
        """Take a NIC down, with its VLANs and tunnels."""
        with call.store.write() as change:
            pif = change.record(self, "PIF")
            if pif["bond_slave_of"] != NULL:
                raise XenApiError("PIF_ALREADY_BONDED", self)
            down = [pif, *wiring.above(change, pif)]
            for other in down:
                if other["disallow_unplug"]:
                    raise XenApiError("PIF_DOES_NOT_ALLOW_UNPLUG", other.ref)
                wiring.check_removable(change, other)
            wiring.set_attached(change, down, attached=False)

    @message(role=POOL_OPERATOR, asynchronous=True)
    def set_disallow_unplug(call: Call, self: PIFRef, value: bool) -> None:
        """Set whether a NIC must stay up."""
        with call.store.write() as change:
            change.update(self, disallow_unplug=value)

    # Host's addresses

    @message(
        role=POOL_OPERATOR,
        asynchronous=True,
        errors=("PIF_ALREADY_BONDED", "PIF_IS_MANAGEMENT_INTERFACE", "INVALID_IP_ADDRESS_SPECIFIED"),
    )
    def reconfigure_ip(
        call: Call, self: PIFRef, mode: IPConfigurationMode, IP: str, netmask: str, gateway: str, DNS: str
    ) -> None:
        """Set a NIC's IPv4 address. With DHCP it keeps the one that it has, or else takes a link-local one."""
        if mode == ip_configuration_mode.Static:
            check_ip("IP", IP, 4)
            if not is_netmask(netmask):
                raise XenApiError("INVALID_IP_ADDRESS_SPECIFIED", "netmask")
            if gateway:
                check_ip("gateway", gateway, 4)
            _check_dns(DNS)
        with call.store.write() as change:
            pif = _configurable(change, self, mode)
            fields = {"IP": IP, "netmask": netmask, "gateway": gateway, "DNS": DNS}
            if mode == ip_configuration_mode.None_:
                fields = dict.fromkeys(fields, "")
            elif mode == ip_configuration_mode.DHCP:
                kept = {name: pif[name] for name in fields}
                fields = kept if pif["IP"] else {**kept, "IP": _link_local(pif), "netmask": "255.255.0.0"}
            change.update(self, ip_configuration_mode=mode, **fields)
            announce(change, self)

    @message(
        role=POOL_OPERATOR,
        asynchronous=True,
        errors=(
            "PIF_ALREADY_BONDED",
            "PIF_IS_MANAGEMENT_INTERFACE",
            "INVALID_IP_ADDRESS_SPECIFIED",
            "INVALID_CIDR_ADDRESS_SPECIFIED",
        ),
    )
    def reconfigure_ipv6(
        call: Call, self: PIFRef, mode: IPv6ConfigurationMode, IPv6: str, gateway: str, DNS: str
    ) -> None:
        """Set a NIC's IPv6 address, with the length of its prefix; with DHCP and Autoconf it takes a link-local one."""
        if mode == ipv6_configuration_mode.Static:
            check_cidr("IPv6", IPv6, 6)
            if gateway:
                check_ip("gateway", gateway, 6)
            _check_dns(DNS)
        with call.store.write() as change:
            pif = _configurable(change, self, mode)
            if mode == ipv6_configuration_mode.None_:
                fields: dict[str, Any] = {"IPv6": [], "ipv6_gateway": ""}
            elif mode == ipv6_configuration_mode.Static:
                fields = {"IPv6": [IPv6], "ipv6_gateway": gateway, "DNS": DNS}
            else:
                fields = {"IPv6": [_link_local_v6(pif)], "ipv6_gateway": ""}
            change.update(self, ipv6_configuration_mode=mode, **fields)
            announce(change, self)

    @message(
        role=POOL_OPERATOR,
        asynchronous=True,
        errors=("PIF_HAS_NO_NETWORK_CONFIGURATION", "PIF_HAS_NO_V6_NETWORK_CONFIGURATION"),
    )
    def set_primary_address_type(call: Call, self: PIFRef, primary_address_type: PrimaryAddressType) -> None:
        """Set which of the two families of addresses the API is served over."""
        with call.store.write() as change:
            check_serving(change.record(self, "PIF"), primary_address_type)
            change.update(self, primary_address_type=primary_address_type)
            announce(change, self)

    # Settings of the card

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("CANNOT_CHANGE_PIF_PROPERTIES", "INVALID_VALUE"))
    def set_property(call: Call, self: PIFRef, name: str, value: str) -> None:
        """Set one of the further settings of a NIC: gro to on or off. Members of bonds follow their bond."""
        if value not in PROPERTIES.get(name, ()):
            raise XenApiError("INVALID_VALUE", "properties", f"{name} = {value}")
        with call.store.write() as change:
            pif = change.record(self, "PIF")
            if pif["bond_slave_of"] != NULL or pif["VLAN_master_of"] != NULL:
                raise XenApiError("CANNOT_CHANGE_PIF_PROPERTIES", self)
            members = [slave for bond in pif["bond_master_of"] for slave in change.record(bond)["slaves"]]
            for ref in (self, *members):
                change.update(ref, properties={**change.record(ref)["properties"], name: value})

    @message(role=POOL_OPERATOR, errors=("DUPLICATE_PIF_DEVICE_NAME", "INVALID_VALUE"))
    def set_device(call: Call, self: PIFRef, value: str) -> None:
        """Set the name of a NIC on its host, and of the VLANs on it (Xen-API 1.0)."""
        if not value:
            raise XenApiError("INVALID_VALUE", "device", value)
        with call.store.write() as change:
            pif = change.record(self, "PIF")
            on_it = [change.record(vlan)["untagged_PIF"] for vlan in pif["VLAN_slave_of"]]
            for other in _pifs(change, pif["host"]):
                same = other["device"] == value and other["VLAN"] == pif["VLAN"]
                if same and other.ref not in (self, *on_it):
                    raise XenApiError("DUPLICATE_PIF_DEVICE_NAME", value)
            for ref in (self, *on_it):
                change.update(ref, device=value)

    @message(role=POOL_OPERATOR, errors=("MAC_INVALID",))
    def set_MAC(call: Call, self: PIFRef, value: str) -> None:
        """Set the Ethernet address that a NIC uses (Xen-API 1.0)."""
        with call.store.write() as change:
            change.update(self, MAC=mac_address(value))

    @message(role=POOL_OPERATOR, errors=("INVALID_VALUE",))
    def set_MTU(call: Call, self: PIFRef, value: int) -> None:
        """Set the largest frame of a NIC (bytes; Xen-API 1.0)."""
        if not 0 <= value <= 65535:
            raise XenApiError("INVALID_VALUE", "MTU", value)
        with call.store.write() as change:
            change.update(self, MTU=value)

    @message(role=POOL_OPERATOR, errors=("VLAN_TAG_INVALID", "PIF_VLAN_EXISTS", "PIF_IS_PHYSICAL"))
    def set_VLAN(call: Call, self: PIFRef, value: int) -> None:
        """Set the tag of a VLAN; what is no VLAN has -1, and keeps it (Xen-API 1.0)."""
        with call.store.write() as change:
            pif = change.record(self, "PIF")
            if pif["VLAN_master_of"] == NULL:
                if value != -1:
                    raise XenApiError("PIF_IS_PHYSICAL", self)
                return
            if value not in TAGS:
                raise XenApiError("VLAN_TAG_INVALID", value)
            tagged = change.record(change.record(pif["VLAN_master_of"])["tagged_PIF"])
            for vlan in tagged["VLAN_slave_of"]:
                if change.record(vlan)["tag"] == value and vlan != pif["VLAN_master_of"]:
                    raise XenApiError("PIF_VLAN_EXISTS", tagged.ref)
            change.update(pif["VLAN_master_of"], tag=value)
            change.update(self, VLAN=value)


def named(objects: Objects, host: str, device: str) -> str:
    """Return the NIC of a host with a name that is no VLAN; PIF_DEVICE_NOT_FOUND if there is none."""
    objects.record(host, "host")
    for pif in _pifs(objects, host):
        if pif["device"] == device and pif["VLAN"] == -1:
            return pif.ref
    raise XenApiError("PIF_DEVICE_NOT_FOUND")


def check_serving(pif: Record, family: str) -> None:
    """Raise the error that tells that a NIC has no address of a family over which the API could be served."""
    if family == primary_address_type.IPv4 and pif["ip_configuration_mode"] == ip_configuration_mode.None_:
        raise XenApiError("PIF_HAS_NO_NETWORK_CONFIGURATION", pif.ref)
    if family == primary_address_type.IPv6 and pif["ipv6_configuration_mode"] == ipv6_configuration_mode.None_:
        raise XenApiError("PIF_HAS_NO_V6_NETWORK_CONFIGURATION", pif.ref)


def announce(change: Change, ref: str) -> None:
    """Write the address of the NIC that a host is managed over into the host's record."""
    pif = change.record(ref)
    if pif["management"]:
        six = pif["primary_address_type"] == primary_address_type.IPv6 and pif["IPv6"]
        change.update(pif["host"], address=pif["IPv6"][0].partition("/")[0] if six else pif["IP"])


def _pifs(objects: Objects, host: str) -> list[Record]:
    return [objects.record(pif) for pif in objects.record(host, "host")["PIFs"]]


def _cards(objects: Objects, host: str) -> list[Record]:
    """Return the network cards among a host's PCI devices."""
    devices = [objects.record(pci) for pci in objects.record(host, "host")["PCIs"]]
    return [device for device in devices if device["nic"]]


def _free_device(objects: Objects, host: str, wanted: str) -> str:
    taken = {pif["device"] for pif in _pifs(objects, host)}
    names = (wanted, *(f"eth{number}" for number in range(len(taken) + 1)))
    return next(name for name in names if name not in taken)


def _introduce(change: Change, card: Record, device: str, *, managed: bool) -> str:
    """Make the PIF of a card, on the network that the other hosts' NICs of the same name are on or on a new one."""
    networks = [pif["network"] for pif in change.records("PIF") if pif["device"] == device and pif["physical"]]
    label = f"Pool-wide network associated with {device}"
    network = networks[0] if networks else ""
    if not network:
        found = next((net for net in change.records("network") if net["name_label"] == label), None)
        bridge = f"xenbr{device.removeprefix('eth')}"
        network = found.ref if found else change.create("network", {"name_label": label, "bridge": bridge})
    values = {
        "device": device,
        "host": card["host"],
        "network": network,
        "MAC": card["MAC"],
        "MTU": 1500,
        "physical": True,
        "currently_attached": False,
        "managed": managed,
        "PCI": card.ref,
        "metrics": change.create(
            "PIF_metrics",
            {
                "carrier": True,
                "speed": 10_000,
                "duplex": True,
                "vendor_name": card["vendor_name"],
                "device_name": card["device_name"],
                "pci_bus_path": card["pci_id"],
            },
        ),
    }
    return change.create("PIF", values)


def _check_unneeded(objects: Objects, pif: Record) -> None:
    wiring.check_removable(objects, pif)
    if pif["bond_slave_of"] != NULL:
        raise XenApiError("PIF_ALREADY_BONDED", pif.ref)
    if pif["VLAN_slave_of"]:
        raise XenApiError("PIF_VLAN_STILL_EXISTS", pif.ref)
    if pif["tunnel_transport_PIF_of"]:
        raise XenApiError("PIF_TUNNEL_STILL_EXISTS", pif.ref)


def _configurable(objects: Objects, ref: str, mode: str) -> Record:
    pif = objects.record(ref, "PIF")
    if pif["bond_slave_of"] != NULL:
        raise XenApiError("PIF_ALREADY_BONDED", ref)
    if pif["management"] and mode == "None":
        raise XenApiError("PIF_IS_MANAGEMENT_INTERFACE", ref)
    return pif


def _check_dns(servers: str) -> None:
    for server in filter(None, servers.split(",")):
        check_ip("DNS", server.strip(), 6 if ":" in server else 4)


def _link_local(pif: Record) -> str:
    """Return the address that a host takes by itself where nobody leases it one (RFC 3927)."""
    octets = [int(octet, 16) for octet in pif["MAC"].split(":")]
    return f"169.254.{max(1, min(254, octets[4]))}.{octets[5]}"


def _link_local_v6(pif: Record) -> str:
    octets = [int(octet, 16) for octet in pif["MAC"].split(":")]
    interface = [octets[0] ^ 2, octets[1], octets[2], 0xFF, 0xFE, *octets[3:]]
    return "fe80::" + ":".join(f"{high << 8 | low:x}" for high, low in zip(*[iter(interface)] * 2, strict=True)) + "/64"
