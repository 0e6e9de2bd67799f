"""Which instances there have to be of the pool, its services, metrics and profiles; as oracle_instances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oracle_associations import METRICS, PROFILES, SERVICES
from oracle_instances import (
    Instances,
    Properties,
    present,
)
from oracle_records import Records, whole

# The pool, its services and what these can do

DESCRIBED = {
    "VirtualSystemManagementService": "Defines, changes and destroys virtual machines",
    "VirtualSystemMigrationService": "Moves virtual machines from host to host",
    "VirtualSystemSnapshotService": (
        "Makes and destroys snapshots of virtual machines, and takes virtual machines back to them"
    ),
    "VirtualSwitchManagementService": "Defines, changes and destroys virtual switches",
    "StoragePoolManagementService": "Creates and removes storage pools and the disk images in them",
    "MetricService": "Tells how hosts and virtual machines perform",
}


def _service(word: str) -> Instances:
    def service(records: Records) -> list[Properties]:
        version = records.master["software_version"]["xen"] if word == "VirtualSystemManagementService" else None
        return [
            {
                **present(2),
                "SystemCreationClassName": "Xen_HostComputerSystem",
                "SystemName": records.master["uuid"],
                "CreationClassName": f"Xen_{word}",
                "Name": SERVICES[word],
                "Caption": SERVICES[word],
                "ElementName": SERVICES[word],
                "Description": DESCRIBED[word],
                "CommunicationStatus": 2,
                "Started": True,
                "Version": version,
            }
        ]

    return service


def _once(caption: str, **more: Any) -> Instances:
    return lambda records: [
        {
            "InstanceID": records.master["uuid"],
            "Caption": caption,
            "ElementName": records.master["name_label"],
            **more,
        }
    ]


FULL, DISK, CHECKPOINT = 2, 3, 32768
VIRTUALIZED = {
    "Processor": (True, False),
    "Memory": (False, True),
    "Disk": (True, False),
    "NetworkPort": (False, False),
}
"""By kind: whether what is virtual is shared, and whether it can be changed while it is in use."""


def _virtualization(_: Records) -> Iterator[Properties]:
    for word, (shared, mutable) in VIRTUALIZED.items():
        yield {
            "InstanceID": f"Xen_{word}VirtualizationCapability",
            "Caption": "What can be virtualized",
            "ElementName": f"{word} virtualization",
            "ResourceType": word,
            "Shared": shared,
            "Mutable": mutable,
        }


def _host_pool(records: Records) -> list[Properties]:
    pool = records.pool
    return [
        {
            "InstanceID": whole(pool),
            "Caption": "Xen host pool",
            "ElementName": pool["name_label"],
            "Description": pool["name_description"],
            "HighAvailabilityEnabled": pool["ha_enabled"],
            "DefaultStoragePoolID": records.at("SR", pool["default_SR"]).get("uuid"),
            "Master": records.master["uuid"],
        }
    ]


# Metrics

TITLES = {
    "Xen_ProcessorUtilization": "DMTF:DSP1044:CPUVSUtilized",
    "Xen_HostProcessorUtilization": "DMTF:DSP1044:CPUUtilized",
    "Xen_ComputerSystemMemoryUsage": "DMTF:DSP1045:MemoryVSUsed",
    "Xen_HostMemoryUsage": "DMTF:DSP1045:MemoryUsed",
    "Xen_DiskReadThroughput": "DMTF:DSP1047:ReadThroughput",
    "Xen_DiskWriteThroughput": "DMTF:DSP1047:WriteThroughput",
    "Xen_DiskReadLatency": "DMTF:DSP1047:ReadLatency",
    "Xen_DiskWriteLatency": "DMTF:DSP1047:WriteLatency",
    **{
        f"Xen_{of}NetworkPort{way}Throughput": f"DMTF:DSP1050:{way}Throughput"
        for of in ("", "Host")
        for way in ("Receive", "Transmit")
    },
}


UNITS = {
    "Utilization": "percent",
    "Memory": "byte",
    "Latency": "second * 10^-6",
    "Throughput": "byte / second",
}
"""By what is in the name of a metric."""


def _definition(name: str) -> Instances:
    unit = next(unit for word, unit in UNITS.items() if word in name)
    return lambda records: [
        {
            "Id": f"{name}Def",
            "Name": TITLES[name],
            "ElementName": TITLES[name],
            "DataType": 5 if unit == "percent" else 13,
            "Calculable": 2 if unit.startswith("byte") else 3,
            "ProgrammaticUnits": unit,
            "IsContinuous": True,
            "ChangeType": 4,
            "TimeScope": 2,
            "GatheringType": 3,
        }
    ]


def _values(word: str, name: str) -> Instances:
    def values(records: Records) -> Iterator[Properties]:
        labels = {each["uuid"]: each["name_label"] for cls in ("VM", "host") for each in records.all(cls)}
        for _, id_, now in METRICS[word][0](records):
            if now:
                yield {
                    "InstanceID": id_,
                    "MetricDefinitionId": f"{name}Def",
                    "MeasuredElementName": labels[id_.removeprefix("Xen:").partition("/")[0]],
                    "ElementName": TITLES[name],
                    "MetricValue": "known",
                    "TimeStamp": "known",
                    "Volatile": True,
                }

    return values


# Profiles

REGISTERED = {
    "SystemVirtualization": ("DSP1042", "System Virtualization", "1.0.0"),
    "VirtualSystem": ("DSP1057", "Virtual System Profile", "1.0.0"),
    "ResourceAllocation": ("DSP1041", "Resource Allocation", "1.1.0"),
    "AllocationCapabilities": ("DSP1043", "Allocation Capabilities", "1.0.0"),
    "ProcessorAllocation": ("DSP1044", "Processor Allocation Profile", "1.0.0"),
    "MemoryAllocation": ("DSP1045", "Memory Allocation Profile", "1.0.0"),
    "StorageVirtualization": ("DSP1047", "Storage Resource Virtualization Profile", "1.0.0"),
    "EthernetPortVirtualization": ("DSP1050", "Ethernet Port Resource Virtualization Profile", "1.0.0"),
    "BaseMetrics": ("DSP1053", "Base Metrics", "1.0.0"),
    "GenericDeviceAllocation": ("DSP1059", "Generic Device Allocation Profile", "1.0.0"),
    "VirtualSystemMigration": ("DSP1081", "Virtual System Migration", "1.0.0"),
    "VirtualEthernetSwitch": ("DSP1097", "Virtual Ethernet Switch", "1.0.0"),
    "JobControl": ("DSP1103", "Job Control", "1.0.0"),
}


def _profile(word: str) -> Instances:
    document, name, version = REGISTERED[word]
    return lambda records: [
        {
            "InstanceID": f"Xen:{PROFILES[word] or word}Profile",
            "Caption": document,
            "ElementName": name,
            "RegisteredOrganization": 2,
            "RegisteredName": name,
            "RegisteredVersion": version,
            "AdvertiseTypes": [3],
            "SpecificationType": 2,
        }
    ]


OF_POOL: dict[str, Instances] = {
    "Xen_HostPool": _host_pool,
    **{f"Xen_{word}": _service(word) for word in SERVICES},
    "Xen_VirtualSystemManagementCapabilities": _once(
        "How virtual machines can be managed",
        VirtualSystemTypesSupported=["DMTF:Xen:PV", "DMTF:Xen:HVM"],
        SynchronousMethodsSupported=[3, 5, 6, 7],
        AsynchronousMethodsSupported=[2, 10],
        IndicationsSupported=[2, 3, 4],
        RequestedStatesSupported=[2],
        ElementNameEditSupported=True,
        MaxElementNameLen=256,
    ),
    "Xen_VirtualSwitchManagementCapabilities": _once(
        "How virtual switches can be managed",
        VirtualSystemTypesSupported=["DMTF:Virtual Ethernet Switch"],
        SynchronousMethodsSupported=[2, 3, 5, 6, 7, 10],
        ElementNameEditSupported=True,
        MaxElementNameLen=256,
    ),
    "Xen_VirtualSystemMigrationCapabilities": _once(
        "How virtual machines can be moved",
        SynchronousMethodsSupported=[4, 5],
        AsynchronousMethodsSupported=[2, 3],
        DestinationHostFormatsSupported=[2, 3],
    ),
    "Xen_VirtualSystemSnapshotCapabilities": _once(
        "Which snapshots virtual machines can have",
        SnapshotTypesEnabled=[FULL, DISK, CHECKPOINT],
        GuestOSNotificationEnabled=False,
    ),
    "Xen_VirtualSystemSnapshotServiceCapabilities": _once(
        "How snapshots can be managed",
        SynchronousMethodsSupported=[2, 3, 4],
        SnapshotTypesSupported=[FULL, DISK, CHECKPOINT],
    ),
    "Xen_StoragePoolManagementCapabilities": _once("How storage pools can be managed", SynchronousMethodsSupported=[4]),
    "Xen_MetricsServiceCapabilities": _once(
        "How metrics can be read", ElementNameEditSupported=False, SupportedMethods=[]
    ),
    "Xen_VirtualizationCapabilities": _virtualization,
    "Xen_VirtualSystemMigrationSettingData": lambda records: [
        {
            "InstanceID": "Xen:MigrationSettingData",
            "Caption": "Settings of a migration",
            "ElementName": "Default settings of a migration",
            "MigrationType": 2,
            "Priority": 0,
            "Bandwidth": 0,
            "TransportType": 0,
        }
    ],
    **{f"{name}Def": _definition(name) for name in TITLES},
    **{name: _values(word, name) for word, (_, names) in METRICS.items() for name in names},
    **{f"Xen_Registered{word}Profile": _profile(word) for word in PROFILES},
}
