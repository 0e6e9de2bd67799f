"""A physical NIC of a host, or a VLAN or bond on one."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from xenapi_core.datamodel import POOL_OPERATOR, RO, RW, STATIC, XenClass, field
from xenapi_core.datamodel.refs import (
    BondRef,
    HostRef,
    NetworkRef,
    NetworkSriovRef,
    PCIRef,
    PIFMetricsRef,
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
    bond_master_of: list[BondRef] = field(RO, doc="the bond that it stands for")
    VLAN_master_of: VLANRef = field(RO, doc="the VLAN that it stands for")
    VLAN_slave_of: list[VLANRef] = field(RO, doc="the VLANs on it")
    tunnel_access_PIF_of: list[TunnelRef] = field(RO, doc="the tunnel that it stands for")
    tunnel_transport_PIF_of: list[TunnelRef] = field(RO, doc="the tunnels on it")
    sriov_physical_PIF_of: list[NetworkSriovRef] = field(RO, doc="the SR-IOV network that it is the card of")
    sriov_logical_PIF_of: list[NetworkSriovRef] = field(RO, doc="the SR-IOV network that it stands for")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")
