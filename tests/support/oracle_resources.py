"""Which instances there have to be of storage, networks and what can be allocated of them; as oracle_instances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oracle_instances import (
    ALLOCATED,
    HEALTHY,
    MEBI,
    ONE,
    Instances,
    Properties,
    attached,
    device,
    of_host,
    of_machine,
    present,
    units,
)
from oracle_records import Record, Records, connection_pool, pairs, part, storage_pool, whole

# Storage

IMAGE = {
    "DataOrganization": 2,
    "Primordial": False,
    "BlockSize": 1,
    "NameFormat": 1,
    "OtherNameFormat": "UUID",
    "NameNamespace": 1,
    "OtherNameNamespace": "Xen-API VDI",
    "Access": 3,
}


def _is_iso(sr: Record) -> bool:
    return bool(sr["content_type"] == "iso")


def _pools(records: Records) -> Iterator[Properties]:
    for sr in records.all("SR"):
        on = [each["currently_attached"] for each in records.each("PBD", "SR", sr)]
        status = 2 if on and all(on) else 3 if any(on) else 10
        yield {
            "InstanceID": storage_pool(records, sr),
            "PoolID": sr["uuid"],
            "Name": sr["name_label"],
            "Caption": "Xen storage pool",
            "ElementName": sr["name_label"],
            "Description": sr["name_description"],
            "Primordial": False,
            "ResourceType": 16 if _is_iso(sr) else 19,
            "OtherResourceType": sr["content_type"],
            "ResourceSubType": sr["type"],
            "AllocationUnits": "byte",
            "Capacity": int(sr["physical_size"]) if int(sr["physical_size"]) >= 0 else None,
            "Reserved": int(sr["physical_utilisation"]) if int(sr["physical_utilisation"]) >= 0 else None,
            "OperationalStatus": [status],
            "Status": {2: "OK", 3: "Degraded", 10: "Stopped"}[status],
            "HealthState": 10 if status == 3 else 5,
            "Shared": sr["shared"],
            "OtherConfig": pairs(sr["other_config"]),
            "SMConfig": pairs(sr["sm_config"]),
        }


def _unused(vdi: Record) -> int:
    return max(int(vdi["virtual_size"]) - int(vdi["physical_utilisation"]), 0)


def _of_image(vdi: Record) -> Properties:
    return {
        **IMAGE,
        **HEALTHY,
        "EnabledState": 2,
        "RequestedState": 12,
        "Name": vdi["uuid"],
        "ElementName": vdi["name_label"],
        "Description": vdi["name_description"],
        "Access": 1 if vdi["read_only"] else 3,
        "NumberOfBlocks": int(vdi["virtual_size"]),
        "ConsumableBlocks": _unused(vdi),
        "OtherConfig": pairs(vdi["other_config"]),
    }


def _images(records: Records) -> Iterator[Properties]:
    for vdi in records.all("VDI"):
        keys = device("Xen_DiskImage", "Xen_StoragePool", records.at("SR", vdi["SR"]), vdi["uuid"])
        yield {**_of_image(vdi), **keys, "Caption": "Xen disk image"}


def _memory_states(records: Records) -> Iterator[Properties]:
    for vm in records.all("VM"):
        vdi = records.at("VDI", vm["suspend_VDI"])
        if vdi:
            snapshot = vm["is_a_snapshot"]
            yield {
                **_of_image(vdi),
                "SystemCreationClassName": "Xen_ComputerSystemSnapshot" if snapshot else "Xen_ComputerSystem",
                "SystemName": whole(vm) if snapshot else vm["uuid"],
                "CreationClassName": "Xen_MemoryState",
                "DeviceID": part(vm, vdi),
                "Caption": "Memory of a Xen virtual machine",
            }


def _of_vbd(records: Records, vbd: Record) -> Properties:
    vdi = records.at("VDI", vbd["VDI"])
    label = vdi.get("name_label") or vbd["device"] or vbd["userdevice"]
    return {"ElementName": label, "Description": vdi.get("name_description")}


def _disks(records: Records) -> Iterator[Properties]:
    for vm, vbd in records.of_machines("VBD"):
        vdi = records.at("VDI", vbd["VDI"])
        if vbd["type"] == "Disk":
            yield {
                **of_machine("Xen_Disk", vm, vbd["uuid"]),
                **attached(vbd),
                **_of_vbd(records, vbd),
                "Name": vbd["device"] or vbd["userdevice"],
                "NameFormat": 12,
                "NameNamespace": 8,
                "Caption": "Xen virtual disk",
                "Access": {"RO": 1, "RW": 3}[vbd["mode"]],
                "DataOrganization": 2,
                "SequentialAccess": False,
                "Primordial": False,
                "BlockSize": 1,
                "NumberOfBlocks": int(vdi["virtual_size"]),
                "ConsumableBlocks": _unused(vdi),
            }


def _drives(records: Records) -> Iterator[Properties]:
    for vm, vbd in records.of_machines("VBD"):
        if vbd["type"] == "CD":
            yield {
                **of_machine("Xen_DiskDrive", vm, vbd["uuid"]),
                **attached(vbd),
                **_of_vbd(records, vbd),
                "Name": vbd["device"] or vbd["userdevice"],
                "Caption": "Xen virtual CD drive",
                "Capabilities": [3, 7] if vbd["mode"] == "RO" else [3, 4, 7],
            }


def _image_uri(records: Records, vdi: Record) -> str:
    keys = device("Xen_DiskImage", "Xen_StoragePool", records.at("SR", vdi["SR"]), vdi["uuid"])
    return "root/cimv2:Xen_DiskImage." + ",".join(f'{name}="{text}"' for name, text in keys.items())


def _extent(records: Records, vdi: Record) -> Properties:
    if not vdi:
        return {}
    return {
        "PoolID": records.at("SR", vdi["SR"])["uuid"],
        "HostResource": [_image_uri(records, vdi)],
        "HostExtentName": vdi["uuid"],
        "HostExtentNameFormat": 1,
        "OtherHostExtentNameFormat": "UUID",
        "HostExtentNameNamespace": 1,
        "OtherHostExtentNameNamespace": "Xen-API VDI",
        "MappingBehavior": 5 if vdi["sharable"] else 3,
    }


def _disk_settings(records: Records) -> Iterator[Properties]:
    for vm, vbd in records.of_all("VBD"):
        vdi, is_cd = records.at("VDI", vbd["VDI"]), vbd["type"] == "CD"
        size = 1 if is_cd else int(vdi["virtual_size"])
        yield {
            **ALLOCATED,
            **units("count" if is_cd else "byte"),
            **_of_vbd(records, vbd),
            **_extent(records, vdi),
            "InstanceID": part(vm, vbd),
            "Caption": "Settings of a Xen virtual disk or CD drive",
            "ResourceType": 16 if is_cd else 19,
            "ResourceSubType": "DMTF:xen:vbd",
            "ConsumerVisibility": 3,
            "AddressOnParent": vbd["userdevice"],
            "Access": {"RO": 1, "RW": 3}[vbd["mode"]],
            "VirtualQuantity": size,
            "Limit": size,
            "VirtualResourceBlockSize": 1,
            "HostResourceBlockSize": 1,
            "Bootable": vbd["bootable"],
        }


# Networks


def _pifs(records: Records, network: Record) -> list[Record]:
    """Return the interfaces on a network in the network's order."""
    return [records.at("PIF", each) for each in network["PIFs"]]


def _tags(records: Records, network: Record) -> list[str] | None:
    return list(dict.fromkeys(each["VLAN"] for each in _pifs(records, network) if each["VLAN"] != "-1")) or None


def _switches(records: Records) -> Iterator[Properties]:
    for network in records.all("network"):
        yield {
            **present(2),
            "CreationClassName": "Xen_VirtualSwitch",
            "Name": network["uuid"],
            "NameFormat": "Other",
            "Caption": "Xen virtual switch",
            "ElementName": network["name_label"],
            "Description": network["name_description"],
            "Dedicated": [5],
        }


def _network_pools(records: Records) -> Iterator[Properties]:
    for network in records.all("network"):
        yield {
            **HEALTHY,
            "InstanceID": connection_pool(records, network),
            "PoolID": network["uuid"],
            "Name": network["name_label"],
            "Caption": "Xen network connection pool",
            "ElementName": network["name_label"],
            "Description": network["name_description"],
            "Primordial": False,
            "ResourceType": 33,
            "AllocationUnits": "count",
            "Capacity": 0xFFFFFFFF,
            "Reserved": 0,
        }


def _switch_settings(records: Records) -> Iterator[Properties]:
    for network in records.all("network"):
        pifs = _pifs(records, network)
        pool = connection_pool(records, network)
        yield {
            "InstanceID": whole(network),
            "Caption": "Settings of a Xen virtual switch",
            "ElementName": network["name_label"],
            "Description": network["name_description"],
            "VirtualSystemIdentifier": network["uuid"],
            "VirtualSystemType": "DMTF:Virtual Ethernet Switch",
            "AssociatedResourcePool": [f'root/cimv2:Xen_NetworkConnectionPool.InstanceID="{pool}"'],
            "VLANConnection": _tags(records, network),
            "HostInterface": ",".join(dict.fromkeys(each["device"] for each in pifs)) or None,
            "Shared": {each["host"] for each in pifs} == set(records.tables["host"]),
            "Bridge": network["bridge"],
            "OtherConfig": pairs(network["other_config"]),
        }


def _mtu(vif: Record) -> Properties:
    return {"SupportedMaximumTransmissionUnit": int(vif["MTU"]), "ActiveMaximumTransmissionUnit": int(vif["MTU"])}


def _switch_ports(records: Records) -> Iterator[Properties]:
    for vm, vif in records.of_machines("VIF"):
        network = records.at("network", vif["network"])
        yield {
            **device("Xen_VirtualSwitchPort", "Xen_VirtualSwitch", network, vif["uuid"]),
            **attached(vif),
            **_mtu(vif),
            "Name": vif["uuid"],
            "Caption": "Port of a Xen virtual switch",
            "ElementName": f"{vm['name_label']}: {vif['device']}",
            "Description": network["name_description"],
            "LinkTechnology": 2,
            "SupportedMaximumTransmissionUnit": int(network["MTU"]),
        }


def _ports(records: Records) -> Iterator[Properties]:
    for vm, vif in records.of_machines("VIF"):
        network = records.at("network", vif["network"])
        told = records.at("VM_guest_metrics", vm["guest_metrics"]).get("networks", {})
        address = told.get(f"{vif['device']}/ip")
        yield {
            **of_machine("Xen_NetworkPort", vm, vif["uuid"]),
            **attached(vif),
            **_mtu(vif),
            "Name": vif["uuid"],
            "Caption": network["name_label"],
            "ElementName": vif["device"],
            "Description": network["name_description"],
            "LinkTechnology": 2,
            "PermanentAddress": vif["MAC"],
            "NetworkAddresses": [address] if address else None,
            "LastErrorCode": int(vif["status_code"]),
            "ErrorDescription": vif["status_detail"] or None,
        }


def _endpoints(name: str, system: str, owner: str, cls: str, caption: str) -> Instances:
    def endpoints(records: Records) -> Iterator[Properties]:
        for _, vif in records.of_machines("VIF"):
            yield {
                **attached(vif),
                "SystemCreationClassName": system,
                "SystemName": records.at(cls, vif[owner])["uuid"],
                "CreationClassName": name,
                "Name": vif["uuid"],
                "Caption": caption,
                "ElementName": vif["MAC"],
                "MACAddress": vif["MAC"].replace(":", ""),
                "LANID": records.at("network", vif["network"])["uuid"] if vif["currently_attached"] else None,
                "ProtocolIFType": 6,
                "MaxDataSize": 8 * int(vif["MTU"]),
            }

    return endpoints


def _port_settings(records: Records) -> Iterator[Properties]:
    for vm, vif in records.of_all("VIF"):
        network = records.at("network", vif["network"])
        tags = _tags(records, network)
        yield {
            **ONE,
            "InstanceID": part(vm, vif),
            "Caption": "Settings of a Xen virtual network port",
            "ElementName": network["bridge"],
            "Description": network["name_label"],
            "ResourceType": 33,
            "PoolID": network["uuid"],
            "Address": vif["MAC"],
            "AutoGeneratedMAC": vif["MAC_autogenerated"],
            "AddressOnParent": vif["device"],
            "HostResource": list(dict.fromkeys(each["device"] for each in _pifs(records, network))) or None,
            "Connection": tags,
            "VlanTag": int(tags[0]) if tags and len(tags) == 1 else None,
        }


def _host_ports(records: Records) -> Iterator[Properties]:
    for pif in records.all("PIF"):
        metrics = records.at("PIF_metrics", pif["metrics"])
        speed = int(metrics.get("speed", 0)) * 1_000_000 or None
        carrier = metrics.get("carrier")
        yield {
            **of_host("Xen_HostNetworkPort", records.at("host", pif["host"]), pif["uuid"]),
            **attached(pif),
            "Name": pif["device"],
            "Caption": "Network port of a Xen host",
            "ElementName": metrics.get("device_id") or pif["device"],
            "Description": metrics.get("device_name"),
            "LinkTechnology": 2,
            "PermanentAddress": pif["MAC"],
            "NetworkAddresses": [pif["IP"]] if pif["IP"] else None,
            "SupportedMaximumTransmissionUnit": int(pif["MTU"]),
            "Speed": speed,
            "MaxSpeed": speed,
            "FullDuplex": metrics.get("duplex"),
            "CommunicationStatus": None if carrier is None else 2 if carrier else 4,
        }


def _host_port_settings(records: Records) -> Iterator[Properties]:
    for pif in records.all("PIF"):
        host = records.at("host", pif["host"])
        carrier = records.at("PIF", records.at("VLAN", pif["VLAN_master_of"]).get("tagged_PIF", ""))
        yield {
            **units("count"),
            "InstanceID": part(host, pif),
            "Caption": "Settings of a network port of a Xen host",
            "ElementName": pif["device"],
            "ResourceType": 10,
            "PoolID": host["uuid"],
            "Address": pif["MAC"],
            "Connection": [pif["device"]],
            "Parent": part(host, carrier) if carrier else None,
            "VlanTag": int(pif["VLAN"]) if pif["VLAN"] != "-1" else None,
            "VirtualSwitch": records.at("network", pif["network"])["uuid"],
            "IPConfigurationMode": {"None": 0, "DHCP": 1, "Static": 2}[pif["ip_configuration_mode"]],
            "IPAddress": pif["IP"] or None,
            "IPSubnetMask": pif["netmask"] or None,
            "IPGateway": pif["gateway"] or None,
            "DNS": pif["DNS"] or None,
            "Management": pif["management"],
            "ManagementPurpose": pif["other_config"].get("management_purpose"),
            "ConsumerVisibility": 2,
            "VirtualQuantity": 1,
        }


# What can be allocated

BOTH_STATES, HALTED = [2, 3], [3]
ALLOCATION: dict[str, tuple[str, str, int, int, list[int]]] = {
    "Processor": ("host", "processors", 3, 3, BOTH_STATES),
    "Memory": ("host", "memory", 3, 2, HALTED),
    "Storage": ("SR", "a storage pool", 4, 2, BOTH_STATES),
    "NetworkConnection": ("network", "a virtual switch", 3, 3, BOTH_STATES),
}
"""By kind: the class of records, what it is called, RequestTypesSupported, SharingMode, the states of a machine."""
CD = 16
VISIBLE = {"Storage": "byte", "NetworkConnection": "count"}


def _type(word: str, each: Record) -> int:
    kinds = {"Processor": 3, "Memory": 4, "NetworkConnection": 33}
    return kinds[word] if word in kinds else 16 if _is_iso(each) else 19


def _bounds(records: Records, word: str, each: Record) -> dict[str, Any]:
    """Return the least, the most, the step and what is usual."""
    if word == "Processor":
        values = 1, len(records.processors_of(each)), 1, 1
    elif word == "Memory":
        values = 64 * MEBI, int(records.at("host_metrics", each["metrics"])["memory_total"]), 64 * MEBI, 256 * MEBI
    elif word == "Storage" and not _is_iso(each):
        size = int(each["physical_size"])
        values = 512 * MEBI, size, 512 * MEBI, size
    else:
        values = 1, 1, 1, 1
    return dict(zip(("Minimum", "Maximum", "Increment", "Default"), values, strict=True))


def _allocation(word: str) -> tuple[Instances, Instances]:
    source, called, requests, sharing, states = ALLOCATION[word]

    def capabilities(records: Records) -> Iterator[Properties]:
        for each in records.all(source):
            shared = sharing if word != "Storage" else 3 if _is_iso(each) else 2
            yield {
                "InstanceID": part(each, f"{word}AllocationCapabilities"),
                "Caption": f"What can be allocated of {called}",
                "ElementName": each["name_label"],
                "ResourceType": _type(word, each),
                "RequestTypesSupported": requests,
                "SharingMode": shared,
                "SupportedAddStates": states,
                "SupportedRemoveStates": states,
            }

    def settings(records: Records) -> Iterator[Properties]:
        for each in records.all(source):
            for role, quantity in _bounds(records, word, each).items():
                unit = "count" if _type(word, each) == CD else VISIBLE.get(word)
                yield {
                    "InstanceID": part(each, f"{word}{role}"),
                    "Caption": f"{role} of what can be allocated of {called}",
                    "ElementName": f"{each['name_label']}: {role}",
                    "ResourceType": _type(word, each),
                    "PoolID": each["uuid"],
                    "AllocationUnits": unit or {"Processor": "count", "Memory": "byte"}[word],
                    "VirtualQuantity": quantity,
                    "VirtualQuantityUnits": unit,
                    "ConsumerVisibility": 3 if unit else None,
                }

    return capabilities, settings


RESOURCES: dict[str, Instances] = {
    "Xen_StoragePool": _pools,
    "Xen_DiskImage": _images,
    "Xen_MemoryState": _memory_states,
    "Xen_Disk": _disks,
    "Xen_DiskDrive": _drives,
    "Xen_DiskSettingData": _disk_settings,
    "Xen_VirtualSwitch": _switches,
    "Xen_NetworkConnectionPool": _network_pools,
    "Xen_VirtualSwitchSettingData": _switch_settings,
    "Xen_VirtualSwitchPort": _switch_ports,
    "Xen_NetworkPort": _ports,
    "Xen_NetworkPortSettingData": _port_settings,
    "Xen_ComputerSystemLANEndpoint": _endpoints(
        "Xen_ComputerSystemLANEndpoint", "Xen_ComputerSystem", "VM", "VM", "LAN endpoint of a Xen virtual machine"
    ),
    "Xen_VirtualSwitchLANEndpoint": _endpoints(
        *("Xen_VirtualSwitchLANEndpoint", "Xen_VirtualSwitch", "network", "network"),
        "LAN endpoint of a Xen virtual switch",
    ),
    "Xen_HostNetworkPort": _host_ports,
    "Xen_HostNetworkPortSettingData": _host_port_settings,
    **{f"Xen_{word}AllocationCapabilities": _allocation(word)[0] for word in ALLOCATION},
    **{f"Xen_{word}CapabilitiesSettingData": _allocation(word)[1] for word in ALLOCATION},
}
