"""Virtual switches: the networks of a pool, their ports and settings, and what they can connect (DSP1097, DSP1050)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from xen_providers.allocation import EXISTING, GENERAL, SHARED, allocation_capabilities
from xen_providers.conversions import name_uri, natural, pairs, part_id, xen_id
from xen_providers.devices import ATTACHED, device
from xen_providers.endpoints import OF_MACHINE, lan_endpoint
from xen_providers.mapping.declaration import (
    MappedClass,
    association,
    boolean,
    key,
    string,
    strings,
    uint16,
    uint16s,
    uint64,
)
from xen_providers.mapping.expressions import computed, constant, joined
from xen_providers.virtual_systems import IN_FORCE

ENABLED, NOT_APPLICABLE, OK, HEALTHY = 2, 12, 2, 5
SWITCH = 5
ETHERNET = 2
ETHERNET_CONNECTION = 33
VIRTUALIZED = 3
UNLIMITED = 0xFFFFFFFF


def distinct(found: Iterable[Any] | None) -> list[Any]:
    """Return what is found, each once, in the order in which it came."""
    return list(dict.fromkeys(found or ()))


def vlans(tags: Sequence[Any] | None) -> list[int]:
    """Return the tags of the VLANs among the interfaces on a network; those of others are -1."""
    return [tag for tag in distinct(map(int, tags or ())) if tag >= 0]


def _pool_id(uuid: str | None, hosts: Sequence[str] | None) -> str | None:
    """Return the InstanceID of a pool, which tells the host of a network that leaves only one."""
    found = distinct(hosts)
    return part_id(found[0] if len(found) == 1 else "NoHost", uuid)


def _is_on_all(hosts: Sequence[str] | None, all_hosts: Sequence[str] | None) -> bool:
    return bool(hosts) and set(hosts or ()) == set(all_hosts or ())


VIRTUAL_SWITCH = MappedClass(
    "Xen_VirtualSwitch",
    "CIM_ComputerSystem",
    source="network",
    properties={
        "CreationClassName": key(string(constant("Xen_VirtualSwitch"))),
        "Name": key(string("uuid")),
        "NameFormat": string(constant("Other")),
        "Caption": string(constant("Xen virtual switch")),
        "ElementName": string("name_label"),
        "Description": string("name_description"),
        "Dedicated": uint16s(constant([SWITCH])),
        "EnabledState": uint16(constant(ENABLED)),
        "EnabledDefault": uint16(constant(ENABLED)),
        "RequestedState": uint16(constant(NOT_APPLICABLE)),
        "OperationalStatus": uint16s(constant([OK])),
        "Status": string(constant("OK")),
        "HealthState": uint16(constant(HEALTHY)),
    },
)

NETWORK_CONNECTION_POOL = MappedClass(
    "Xen_NetworkConnectionPool",
    "CIM_ResourcePool",
    source="network",
    properties={
        "InstanceID": key(string(computed(_pool_id, "uuid", "PIFs.host.uuid"))),
        "PoolID": string("uuid"),
        "Name": string("name_label"),
        "Caption": string(constant("Xen network connection pool")),
        "ElementName": string("name_label"),
        "Description": string("name_description"),
        "Primordial": boolean(constant(False)),  # clients define and destroy them
        "ResourceType": uint16(constant(ETHERNET_CONNECTION)),
        "AllocationUnits": string(constant("count")),
        "Capacity": uint64(constant(UNLIMITED)),
        "Reserved": uint64(constant(0)),
        "OperationalStatus": uint16s(constant([OK])),
        "Status": string(constant("OK")),
        "HealthState": uint16(constant(HEALTHY)),
    },
)

VIRTUAL_SWITCH_SETTING_DATA = MappedClass(
    "Xen_VirtualSwitchSettingData",
    "CIM_VirtualEthernetSwitchSettingData",
    source="network",
    properties={
        "InstanceID": key(string("uuid", xen_id)),
        "Caption": string(constant("Settings of a Xen virtual switch")),
        "ElementName": string("name_label"),
        "Description": string("name_description"),
        "VirtualSystemIdentifier": string("uuid"),
        "VirtualSystemType": string(constant("DMTF:Virtual Ethernet Switch")),
        "AssociatedResourcePool": strings(
            joined(lambda pool: None if pool is None else [name_uri(pool)], [NETWORK_CONNECTION_POOL.path])
        ),
        "VLANConnection": strings("PIFs.VLAN", lambda tags: list(map(str, vlans(tags))) or None),
        "HostInterface": string("PIFs.device", lambda names: ",".join(distinct(names)) or None),
        "Shared": boolean(computed(_is_on_all, "PIFs.host.uuid", "@hosts.uuid")),
        "Bridge": string("bridge"),
        "OtherConfig": strings("other_config", pairs),
    },
)

VIRTUAL_SWITCH_PORT = device(
    "Xen_VirtualSwitchPort",
    "CIM_NetworkPort",
    source="VIF",
    system=VIRTUAL_SWITCH,
    owner="network",
    where=OF_MACHINE,
    properties={
        "Name": string("uuid"),
        "Caption": string(constant("Port of a Xen virtual switch")),
        "ElementName": string(computed(lambda label, number: f"{label}: {number}", "VM.name_label", "device")),
        "Description": string("network.name_description"),
        "LinkTechnology": uint16(constant(ETHERNET)),
        "SupportedMaximumTransmissionUnit": uint64("network.MTU", natural),
        "ActiveMaximumTransmissionUnit": uint64("MTU", natural),
        **ATTACHED,
    },
)

VIRTUAL_SWITCH_LAN_ENDPOINT = lan_endpoint(
    "Xen_VirtualSwitchLANEndpoint", VIRTUAL_SWITCH.name, "network", "LAN endpoint of a Xen virtual switch"
)

(
    NETWORK_CONNECTION_ALLOCATION_CAPABILITIES,
    NETWORK_CONNECTION_CAPABILITIES_SETTING_DATA,
    NETWORK_CONNECTION_SETTINGS_DEFINE_CAPABILITIES,
) = allocation_capabilities(
    "NetworkConnection",
    source="network",
    caption="a virtual switch",
    resource_type=uint16(constant(ETHERNET_CONNECTION)),
    sharing=uint16(constant(SHARED)),
    requests=GENERAL,
    bounds={
        "PoolID": string("uuid"),
        "AllocationUnits": string(constant("count")),
        "VirtualQuantityUnits": string(constant("count")),
        "VirtualQuantity": uint64(constant(1)),
        "ConsumerVisibility": uint16(constant(VIRTUALIZED)),
    },
)

# Associations

VIRTUAL_SWITCH_VIRTUAL_SWITCH_PORT = association(
    "Xen_VirtualSwitchVirtualSwitchPort",
    "Xen_SystemDevice",
    source="VIF",
    ends={"GroupComponent": (VIRTUAL_SWITCH, "network"), "PartComponent": (VIRTUAL_SWITCH_PORT, "")},
)

VIRTUAL_SWITCH_PORT_SAP_IMPLEMENTATION = association(
    "Xen_VirtualSwitchPortSAPImplementation",
    "Xen_DeviceSAPImplementation",
    source="VIF",
    ends={"Antecedent": (VIRTUAL_SWITCH_PORT, ""), "Dependent": (VIRTUAL_SWITCH_LAN_ENDPOINT, "")},
)

HOSTED_VIRTUAL_SWITCH_LAN_ENDPOINT = association(
    "Xen_HostedVirtualSwitchLANEndpoint",
    "Xen_HostedAccessPoint",
    source="VIF",
    ends={"Antecedent": (VIRTUAL_SWITCH, "network"), "Dependent": (VIRTUAL_SWITCH_LAN_ENDPOINT, "")},
)

HOSTED_NETWORK_CONNECTION_POOL = association(
    "Xen_HostedNetworkConnectionPool",
    "Xen_HostedResourcePool",
    source="network",
    ends={"GroupComponent": (VIRTUAL_SWITCH, ""), "PartComponent": (NETWORK_CONNECTION_POOL, "")},
)

VIRTUAL_SWITCH_SETTINGS_DEFINE_STATE = association(
    "Xen_VirtualSwitchSettingsDefineState",
    "Xen_SettingsDefineState",
    source="network",
    ends={"ManagedElement": (VIRTUAL_SWITCH, ""), "SettingData": (VIRTUAL_SWITCH_SETTING_DATA, "")},
)

VIRTUAL_SWITCH_ELEMENT_SETTING_DATA = association(
    "Xen_VirtualSwitchElementSettingData",
    "Xen_ElementSettingData",
    source="network",
    ends={"ManagedElement": (VIRTUAL_SWITCH, ""), "SettingData": (VIRTUAL_SWITCH_SETTING_DATA, "")},
    properties=IN_FORCE,
)

NETWORK_CONNECTION_POOL_ALLOCATION_CAPABILITIES, VIRTUAL_SWITCH_PORT_ALLOCATION_CAPABILITIES = (
    association(
        name,
        "Xen_ElementCapabilities",
        source="network",
        ends={"ManagedElement": (element, ""), "Capabilities": (NETWORK_CONNECTION_ALLOCATION_CAPABILITIES, "")},
        properties=EXISTING,
    )
    for name, element in (
        ("Xen_NetworkConnectionPoolAllocationCapabilities", NETWORK_CONNECTION_POOL),
        ("Xen_VirtualSwitchPortAllocationCapabilities", VIRTUAL_SWITCH),
    )
)

CLASSES = (
    VIRTUAL_SWITCH,
    NETWORK_CONNECTION_POOL,
    VIRTUAL_SWITCH_SETTING_DATA,
    VIRTUAL_SWITCH_PORT,
    VIRTUAL_SWITCH_LAN_ENDPOINT,
    NETWORK_CONNECTION_ALLOCATION_CAPABILITIES,
    NETWORK_CONNECTION_CAPABILITIES_SETTING_DATA,
    NETWORK_CONNECTION_SETTINGS_DEFINE_CAPABILITIES,
    VIRTUAL_SWITCH_VIRTUAL_SWITCH_PORT,
    VIRTUAL_SWITCH_PORT_SAP_IMPLEMENTATION,
    HOSTED_VIRTUAL_SWITCH_LAN_ENDPOINT,
    HOSTED_NETWORK_CONNECTION_POOL,
    VIRTUAL_SWITCH_SETTINGS_DEFINE_STATE,
    VIRTUAL_SWITCH_ELEMENT_SETTING_DATA,
    NETWORK_CONNECTION_POOL_ALLOCATION_CAPABILITIES,
    VIRTUAL_SWITCH_PORT_ALLOCATION_CAPABILITIES,
)
