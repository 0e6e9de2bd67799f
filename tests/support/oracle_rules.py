"""What a rule for an association is, and how its ends are told.

An end is told by its class and the part of its name that differs: DeviceID, InstanceID, Id or Name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from oracle_records import Record, Records, connection_pool, part, storage_pool, whole

End: TypeAlias = tuple[str, str]
Pairs: TypeAlias = Iterable[tuple[End, End]]


@dataclass(frozen=True)
class Rule:
    """An association: the classes above it, its two roles, and its pairs."""

    generic: str
    schema: str
    roles: tuple[str, str]
    pairs: Callable[[Records], Pairs]


GENERIC = {  # by generic class: the DMTF's class above it, and the roles
    "Xen_SystemDevice": ("CIM_SystemDevice", ("GroupComponent", "PartComponent")),
    "Xen_HostedDependency": ("CIM_HostedDependency", ("Antecedent", "Dependent")),
    "Xen_HostedService": ("CIM_HostedService", ("Antecedent", "Dependent")),
    "Xen_HostedResourcePool": ("CIM_HostedResourcePool", ("GroupComponent", "PartComponent")),
    "Xen_HostedAccessPoint": ("CIM_HostedAccessPoint", ("Antecedent", "Dependent")),
    "Xen_HostedCollection": ("CIM_HostedCollection", ("Antecedent", "Dependent")),
    "Xen_MemberOfCollection": ("CIM_MemberOfCollection", ("Collection", "Member")),
    "Xen_ElementCapabilities": ("CIM_ElementCapabilities", ("ManagedElement", "Capabilities")),
    "Xen_SettingsDefineState": ("CIM_SettingsDefineState", ("ManagedElement", "SettingData")),
    "Xen_SettingsDefineCapabilities": ("CIM_SettingsDefineCapabilities", ("GroupComponent", "PartComponent")),
    "Xen_ElementSettingData": ("CIM_ElementSettingData", ("ManagedElement", "SettingData")),
    "Xen_VirtualSystemSettingDataComponent": (
        "CIM_VirtualSystemSettingDataComponent",
        ("GroupComponent", "PartComponent"),
    ),
    "Xen_ElementAllocatedFromPool": ("CIM_ElementAllocatedFromPool", ("Antecedent", "Dependent")),
    "Xen_ResourceAllocationFromPool": ("CIM_ResourceAllocationFromPool", ("Antecedent", "Dependent")),
    "Xen_ServiceAffectsElement": ("CIM_ServiceAffectsElement", ("AffectingElement", "AffectedElement")),
    "Xen_ConcreteComponent": ("CIM_ConcreteComponent", ("GroupComponent", "PartComponent")),
    "Xen_DeviceSAPImplementation": ("CIM_DeviceSAPImplementation", ("Antecedent", "Dependent")),
    "Xen_ReferencedProfile": ("CIM_ReferencedProfile", ("Antecedent", "Dependent")),
    "Xen_ElementConformsToProfile": ("CIM_ElementConformsToProfile", ("ConformantStandard", "ManagedElement")),
    "Xen_MetricDefForME": ("CIM_MetricDefForME", ("Antecedent", "Dependent")),
    "Xen_MetricForME": ("CIM_MetricForME", ("Antecedent", "Dependent")),
    "Xen_MetricInstance": ("CIM_MetricInstance", ("Antecedent", "Dependent")),
    "CIM_Dependency": ("CIM_Dependency", ("Antecedent", "Dependent")),
    "CIM_SnapshotOfVirtualSystem": ("CIM_SnapshotOfVirtualSystem", ("Antecedent", "Dependent")),
    "CIM_MostCurrentSnapshotInBranch": ("CIM_MostCurrentSnapshotInBranch", ("Antecedent", "Dependent")),
    "CIM_LastAppliedSnapshot": ("CIM_LastAppliedSnapshot", ("Antecedent", "Dependent")),
    "CIM_ActiveConnection": ("CIM_ActiveConnection", ("Antecedent", "Dependent")),
}


def rule_of(generic: str, pairs: Callable[[Records], Pairs]) -> Rule:
    schema, roles = GENERIC[generic]
    return Rule(generic, schema, roles, pairs)


# Ends


def machine(vm: Record) -> End:
    return "Xen_ComputerSystem", vm["uuid"]


def host(record: Record) -> End:
    return "Xen_HostComputerSystem", record["uuid"]


def settings(vm: Record) -> End:
    kind = "Snapshot" if vm["is_a_snapshot"] else "Template" if vm["is_a_template"] else "SettingData"
    return f"Xen_ComputerSystem{kind}", whole(vm)


def switch(network: Record) -> End:
    return "Xen_VirtualSwitch", network["uuid"]


def disk_end(vm: Record, vbd: Record) -> End:
    return ("Xen_DiskDrive" if vbd["type"] == "CD" else "Xen_Disk"), part(vm, vbd)


def image_end(records: Records, vdi: Record) -> End:
    return "Xen_DiskImage", part(records.at("SR", vdi["SR"]), vdi)


def storage_pool_end(records: Records, sr: Record) -> End:
    return "Xen_StoragePool", storage_pool(records, sr)


def network_pool_end(records: Records, network: Record) -> End:
    return "Xen_NetworkConnectionPool", connection_pool(records, network)
