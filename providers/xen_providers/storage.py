"""Storage: disks and CD drives of virtual machines, the images in them, and the pools that keep these (DSP1047)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cim_provider import InstanceName
from xen_providers.allocation import BOTH, DEDICATED, EXISTING, SHARED, allocation_capabilities
from xen_providers.conversions import in_table, name_uri, natural, pairs, part_id
from xen_providers.devices import ATTACHED, device
from xen_providers.hosts import HOST_COMPUTER_SYSTEM
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
from xen_providers.mapping.expressions import PART, Expression, computed, constant, joined, value
from xen_providers.virtual_systems import COMPUTER_SYSTEM, SETTINGS, element_setting_data

ENABLED, NOT_APPLICABLE = 2, 12
OK, DEGRADED, ERROR, STOPPED = 2, 3, 6, 10
HEALTHY, WARNING, MAJOR_FAILURE = 5, 10, 20
STATUS = {OK: "OK", DEGRADED: "Degraded", ERROR: "Error", STOPPED: "Stopped"}
OTHER, FIXED_BLOCK = 1, 2
OS_DEVICE_NAME, OS_DEVICE_NAMESPACE = 12, 8
RANDOM_ACCESS, WRITES, REMOVABLE = 3, 4, 7
READABLE, BOTH_WAYS = 1, 3
ACCESS = {"RO": READABLE, "RW": BOTH_WAYS}

DVD_DRIVE, STORAGE_EXTENT = 16, 19
RESOURCE_TYPE = {"CD": DVD_DRIVE, "Disk": STORAGE_EXTENT}
VIRTUALIZED, DEDICATED_TO_HOST, HARD_AFFINITY = 3, 3, 5

MIB = 1 << 20
STEP = 512 * MIB
"""Least size of a disk in bytes, and by how much it grows, as the pools have always told their clients."""


def _content(content_type: str) -> int:
    return DVD_DRIVE if content_type == "iso" else STORAGE_EXTENT


def _unused(size: Any, used: Any) -> int | None:
    """Return how much of an image is not taken from its pool yet; what images keep of their own counts as used."""
    return None if size is None or used is None else max(0, int(size) - int(used))


# Pools


def _own_host(shared: bool | None, hosts: Sequence[str] | None) -> str | None:
    """Return the host that a pool belongs to; None for one that is shared, or that no host has."""
    return hosts[0] if hosts and len(hosts) == 1 and not shared else None


def _pool_id(uuid: str | None, shared: bool | None, hosts: Sequence[str] | None) -> str | None:
    return part_id(_own_host(shared, hosts) or "Shared", uuid)


def _pool_status(attached: Sequence[bool] | None) -> int:
    """Return how it is with a pool, by whether it is attached to each of its hosts."""
    return OK if attached and all(attached) else DEGRADED if any(attached or ()) else STOPPED


STORAGE_POOL = MappedClass(
    "Xen_StoragePool",
    "CIM_ResourcePool",
    source="SR",
    properties={
        "InstanceID": key(string(computed(_pool_id, "uuid", "shared", "PBDs.host.uuid"))),
        "PoolID": string("uuid"),
        "Name": string("name_label"),
        "Caption": string(constant("Xen storage pool")),
        "ElementName": string("name_label"),
        "Description": string("name_description"),
        "Primordial": boolean(constant(False)),  # clients create and delete them
        "ResourceType": uint16("content_type", _content),
        "OtherResourceType": string("content_type"),
        "ResourceSubType": string("type"),
        "AllocationUnits": string(constant("byte")),
        "Capacity": uint64("physical_size", natural),
        "Reserved": uint64("physical_utilisation", natural),
        "OperationalStatus": uint16s("PBDs.currently_attached", lambda attached: [_pool_status(attached)]),
        "Status": string("PBDs.currently_attached", lambda attached: STATUS[_pool_status(attached)]),
        "HealthState": uint16(
            "PBDs.currently_attached", lambda attached: WARNING if _pool_status(attached) == DEGRADED else HEALTHY
        ),
        "Shared": boolean("shared"),
        "OtherConfig": strings("other_config", pairs),
        "SMConfig": strings("sm_config", pairs),
    },
)

DISK_IMAGE = device(
    "Xen_DiskImage",
    "CIM_StorageExtent",
    source="VDI",
    system=STORAGE_POOL,
    owner="SR",
    properties={
        "Name": string("uuid"),
        "NameFormat": uint16(constant(OTHER)),
        "OtherNameFormat": string(constant("UUID")),
        "NameNamespace": uint16(constant(OTHER)),
        "OtherNameNamespace": string(constant("Xen-API VDI")),
        "Caption": string(constant("Xen disk image")),
        "ElementName": string("name_label"),
        "Description": string("name_description"),
        "Access": uint16("read_only", lambda read_only: READABLE if read_only else BOTH_WAYS),
        "DataOrganization": uint16(constant(FIXED_BLOCK)),
        "Primordial": boolean(constant(False)),
        "BlockSize": uint64(constant(1)),
        "NumberOfBlocks": uint64("virtual_size", natural),
        "ConsumableBlocks": uint64(computed(_unused, "virtual_size", "physical_utilisation")),
        "EnabledState": uint16(constant(ENABLED)),
        "RequestedState": uint16(constant(NOT_APPLICABLE)),
        "OperationalStatus": uint16s(computed(lambda missing: [ERROR if missing else OK], "missing")),
        "Status": string(computed(lambda missing: "Error" if missing else "OK", "missing")),
        "HealthState": uint16(computed(lambda missing: MAJOR_FAILURE if missing else HEALTHY, "missing")),
        "OtherConfig": strings("other_config", pairs),
    },
)

# Devices of virtual machines


def _is(kind: str) -> Expression:
    return value("type", lambda found: found == kind)


def _device_name(device: str | None, userdevice: str | None) -> str | None:
    """Return how a guest knows a device; one that was never attached is known by its number."""
    return device or userdevice


def _label(label: str | None, device: str | None, userdevice: str | None) -> str | None:
    return label or _device_name(device, userdevice)


DEVICE_NAME = string(computed(_device_name, "device", "userdevice"))
LABEL = string(computed(_label, "VDI.name_label", "device", "userdevice"))

DISK = device(
    "Xen_Disk",
    "CIM_LogicalDisk",
    source="VBD",
    system=COMPUTER_SYSTEM,
    owner="VM",
    where=_is("Disk"),
    properties={
        "Name": DEVICE_NAME,
        "NameFormat": uint16(constant(OS_DEVICE_NAME)),
        "NameNamespace": uint16(constant(OS_DEVICE_NAMESPACE)),
        "Caption": string(constant("Xen virtual disk")),
        "ElementName": LABEL,
        "Description": string("VDI.name_description"),
        "Access": uint16("mode", in_table(ACCESS)),
        "DataOrganization": uint16(constant(FIXED_BLOCK)),
        "SequentialAccess": boolean(constant(False)),
        "Primordial": boolean(constant(False)),
        "BlockSize": uint64(constant(1)),
        "NumberOfBlocks": uint64("VDI.virtual_size", natural),
        "ConsumableBlocks": uint64(computed(_unused, "VDI.virtual_size", "VDI.physical_utilisation")),
        **ATTACHED,
    },
)

DISK_DRIVE = device(
    "Xen_DiskDrive",
    "CIM_DiskDrive",
    source="VBD",
    system=COMPUTER_SYSTEM,
    owner="VM",
    where=_is("CD"),
    properties={
        "Name": DEVICE_NAME,
        "Caption": string(constant("Xen virtual CD drive")),
        "ElementName": LABEL,
        "Description": string("VDI.name_description"),
        "Capabilities": uint16s("mode", lambda mode: [RANDOM_ACCESS, *([WRITES] if mode == "RW" else []), REMOVABLE]),
        **ATTACHED,
    },
)


def _quantity(kind: str | None, size: Any) -> int | None:
    """Return the size of a disk in bytes; a CD drive is one drive, whatever is in it."""
    return 1 if kind == "CD" else None if size is None else natural(size)


def _units(kind: str) -> str:
    return "count" if kind == "CD" else "byte"


def _mapping(sharable: bool) -> int:
    return HARD_AFFINITY if sharable else DEDICATED_TO_HOST


DISK_SETTING_DATA = MappedClass(
    "Xen_DiskSettingData",
    "CIM_StorageAllocationSettingData",
    source="VBD",
    where=value("type", lambda kind: kind in RESOURCE_TYPE),
    properties={
        "InstanceID": key(string(computed(part_id, "VM.uuid", "uuid"))),
        "Caption": string(constant("Settings of a Xen virtual disk or CD drive")),
        "ElementName": LABEL,
        "Description": string("VDI.name_description"),
        "ResourceType": uint16("type", in_table(RESOURCE_TYPE)),
        "ResourceSubType": string(constant("DMTF:xen:vbd")),
        "PoolID": string("VDI.SR.uuid"),
        "HostResource": strings(
            joined(lambda image: None if image is None else [name_uri(image)], [DISK_IMAGE.path.under(("VDI",))])
        ),
        "HostExtentName": string("VDI.uuid"),
        "HostExtentNameFormat": uint16("VDI.uuid", lambda uuid: OTHER),
        "OtherHostExtentNameFormat": string("VDI.uuid", lambda uuid: "UUID"),
        "HostExtentNameNamespace": uint16("VDI.uuid", lambda uuid: OTHER),
        "OtherHostExtentNameNamespace": string("VDI.uuid", lambda uuid: "Xen-API VDI"),
        "MappingBehavior": uint16("VDI.sharable", _mapping),
        "ConsumerVisibility": uint16(constant(VIRTUALIZED)),
        "AddressOnParent": string("userdevice"),
        "Access": uint16("mode", in_table(ACCESS)),
        "AllocationUnits": string("type", _units),
        "VirtualQuantityUnits": string("type", _units),
        "VirtualQuantity": uint64(computed(_quantity, "type", "VDI.virtual_size")),
        "VirtualResourceBlockSize": uint64(constant(1)),
        "HostResourceBlockSize": uint64(constant(1)),
        "Limit": uint64(computed(_quantity, "type", "VDI.virtual_size")),
        "AutomaticAllocation": boolean(constant(True)),
        "AutomaticDeallocation": boolean(constant(True)),
        "Bootable": boolean("bootable"),
    },
)


# What can be allocated


def _bound(role: str, content_type: str | None, size: Any) -> int | None:
    """Return the size of a disk in bytes; of a pool of CD images one drive at a time is filled."""
    if content_type == "iso":
        return 1
    return STEP if role in ("Minimum", "Increment") else None if size is None else natural(size)


STORAGE_ALLOCATION_CAPABILITIES, STORAGE_CAPABILITIES_SETTING_DATA, STORAGE_SETTINGS_DEFINE_CAPABILITIES = (
    allocation_capabilities(
        "Storage",
        source="SR",
        caption="a storage pool",
        resource_type=uint16("content_type", _content),
        sharing=uint16("content_type", lambda content_type: SHARED if content_type == "iso" else DEDICATED),
        requests=BOTH,
        bounds={
            "PoolID": string("uuid"),
            "AllocationUnits": string("content_type", lambda kind: "count" if kind == "iso" else "byte"),
            "VirtualQuantityUnits": string("content_type", lambda kind: "count" if kind == "iso" else "byte"),
            "VirtualQuantity": uint64(computed(_bound, PART, "content_type", "physical_size")),
            "ConsumerVisibility": uint16(constant(VIRTUALIZED)),
        },
    )
)

# Associations


def _of_device(device: MappedClass) -> tuple[MappedClass, ...]:
    """Declare what disks and CD drives have alike: their machine, their image, its pool, and their settings."""
    word = device.name.removeprefix("Xen_")
    return (
        association(
            f"Xen_ComputerSystem{word}",
            "Xen_SystemDevice",
            source="VBD",
            ends={"GroupComponent": (COMPUTER_SYSTEM, "VM"), "PartComponent": (device, "")},
        ),
        association(
            f"Xen_Hosted{word}",
            "Xen_HostedDependency",
            source="VBD",
            ends={"Antecedent": (DISK_IMAGE, "VDI"), "Dependent": (device, "")},
        ),
        association(
            f"Xen_{word}AllocatedFromPool",
            "Xen_ElementAllocatedFromPool",
            source="VBD",
            ends={"Antecedent": (STORAGE_POOL, "VDI.SR"), "Dependent": (device, "")},
        ),
        association(
            f"Xen_{word}SettingsDefineState",
            "Xen_SettingsDefineState",
            source="VBD",
            ends={"ManagedElement": (device, ""), "SettingData": (DISK_SETTING_DATA, "")},
        ),
    )


DISK_ELEMENT_SETTING_DATA = element_setting_data("Disk", DISK_SETTING_DATA, source="VBD", to_machine="VM")

DISK_SETTING_DATA_COMPONENT = association(
    "Xen_DiskSettingDataComponent",
    "Xen_VirtualSystemSettingDataComponent",
    source="VBD",
    ends={"GroupComponent": (SETTINGS, "VM"), "PartComponent": (DISK_SETTING_DATA, "")},
)

DISK_SETTING_ALLOCATION_FROM_POOL = association(
    "Xen_DiskSettingAllocationFromPool",
    "Xen_ResourceAllocationFromPool",
    source="VBD",
    ends={"Antecedent": (STORAGE_POOL, "VDI.SR"), "Dependent": (DISK_SETTING_DATA, "")},
)

STORAGE_POOL_COMPONENT = association(
    "Xen_StoragePoolComponent",
    "Xen_ConcreteComponent",
    source="VDI",
    ends={"GroupComponent": (STORAGE_POOL, "SR"), "PartComponent": (DISK_IMAGE, "")},
)

HOSTED_STORAGE_POOL = association(
    "Xen_HostedStoragePool",
    "Xen_HostedResourcePool",
    source="PBD",
    ends={"GroupComponent": (HOST_COMPUTER_SYSTEM, "host"), "PartComponent": (STORAGE_POOL, "SR")},
)

STORAGE_POOL_ALLOCATION_CAPABILITIES = association(
    "Xen_StoragePoolAllocationCapabilities",
    "Xen_ElementCapabilities",
    source="SR",
    ends={"ManagedElement": (STORAGE_POOL, ""), "Capabilities": (STORAGE_ALLOCATION_CAPABILITIES, "")},
    properties=EXISTING,
)

HOST_STORAGE_ALLOCATION_CAPABILITIES = association(
    "Xen_HostStorageAllocationCapabilities",
    "Xen_ElementCapabilities",
    source="PBD",
    ends={"ManagedElement": (HOST_COMPUTER_SYSTEM, "host"), "Capabilities": (STORAGE_ALLOCATION_CAPABILITIES, "SR")},
    properties=EXISTING,
)


def _own_host_name(shared: bool | None, hosts: Sequence[str] | None) -> InstanceName | None:
    host = _own_host(shared, hosts)
    name = HOST_COMPUTER_SYSTEM.name
    return None if host is None else InstanceName(name, (("CreationClassName", name), ("Name", host)))


# Those on shared storage are no more one host's than another's.
HOST_COMPUTER_SYSTEM_DISK_IMAGE = association(
    "Xen_HostComputerSystemDiskImage",
    "Xen_SystemDevice",
    source="VDI",
    ends={
        "GroupComponent": (
            HOST_COMPUTER_SYSTEM,
            "SR.PBDs.host",
            computed(_own_host_name, "SR.shared", "SR.PBDs.host.uuid"),
        ),
        "PartComponent": (DISK_IMAGE, ""),
    },
)

CLASSES = (
    STORAGE_POOL,
    DISK_IMAGE,
    DISK,
    DISK_DRIVE,
    DISK_SETTING_DATA,
    STORAGE_ALLOCATION_CAPABILITIES,
    STORAGE_CAPABILITIES_SETTING_DATA,
    STORAGE_SETTINGS_DEFINE_CAPABILITIES,
    *_of_device(DISK),
    *_of_device(DISK_DRIVE),
    DISK_ELEMENT_SETTING_DATA,
    DISK_SETTING_DATA_COMPONENT,
    DISK_SETTING_ALLOCATION_FROM_POOL,
    STORAGE_POOL_COMPONENT,
    HOSTED_STORAGE_POOL,
    STORAGE_POOL_ALLOCATION_CAPABILITIES,
    HOST_STORAGE_ALLOCATION_CAPABILITIES,
    HOST_COMPUTER_SYSTEM_DISK_IMAGE,
)
