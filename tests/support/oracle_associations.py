"""Which pairs each association has to have, by the rules of the model, from records of the Xen-API alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from oracle_device_associations import (
    NETWORKING,
    STORAGE,
    capabilities_rule,
    devices_of_host,
    host_port_end,
    network_capabilities_end,
    pinned_processors,
    port_end,
    resource_rules,
    running_machines,
    storage_capabilities_end,
)
from oracle_records import Record, Records, part, vcpu, vcpus, whole
from oracle_rules import (
    End,
    Pairs,
    Rule,
    disk_end,
    host,
    machine,
    network_pool_end,
    rule_of,
    settings,
    storage_pool_end,
    switch,
)

# Virtual machines


def _suspended(records: Records, vms: Iterable[Record]) -> Iterator[tuple[Record, End]]:
    for vm in vms:
        vdi = records.at("VDI", vm["suspend_VDI"])
        if vdi:
            yield vm, ("Xen_MemoryState", part(vm, vdi))


def _parents(records: Records, vms: Iterable[Record]) -> Iterator[tuple[Record, Record]]:
    """Yield what goes on from a snapshot, each with that."""
    for vm in vms:
        parent = records.at("VM", vm["parent"])
        if parent and parent["is_a_snapshot"]:
            yield vm, parent


def _current_branches(records: Records) -> Iterator[tuple[Record, Record]]:
    for vm, parent in _parents(records, records.machines):
        if parent["snapshot_of"] == vm["ref"]:
            yield vm, parent


def _applied(records: Records) -> Pairs:
    """Yield the snapshots that machines were taken back to: they are followed by a snapshot, or older than the last."""
    for vm, parent in _current_branches(records):
        followed = any(records.at("VM", each)["is_a_snapshot"] for each in parent["children"])
        older = any(str(each["snapshot_time"]) > str(parent["snapshot_time"]) for each in _snapshots_of(records, vm))
        if followed or older:
            yield settings(parent), machine(vm)


def _snapshots_of(records: Records, vm: Record) -> list[Record]:
    return [each for each in records.snapshots if each["snapshot_of"] == vm["ref"]]


def _kvps(records: Records, vms: Iterable[Record]) -> Iterator[tuple[Record, str]]:
    for vm in vms:
        yield from ((vm, key) for key in records.kvps(vm))


def _consoles(records: Records) -> Iterator[tuple[Record, str]]:
    yield from ((vm, part(vm, console)) for vm, console in records.of_machines("console"))


MACHINES = {
    "Xen_HostedComputerSystem": rule_of(
        "Xen_HostedDependency", lambda r: [(host(at), machine(vm)) for at, vm in running_machines(r)]
    ),
    "Xen_ComputerSystemSettingsDefineState": rule_of(
        "Xen_SettingsDefineState", lambda r: [(machine(vm), settings(vm)) for vm in r.machines]
    ),
    "Xen_ComputerSystemElementSettingData": rule_of(
        "Xen_ElementSettingData", lambda r: [(machine(vm), settings(vm)) for vm in r.machines]
    ),
    "Xen_ComputerSystemElementCapabilities": rule_of(
        "Xen_ElementCapabilities",
        lambda r: [(machine(vm), ("Xen_ComputerSystemCapabilities", whole(vm))) for vm in r.machines],
    ),
    "Xen_HostComputerSystemElementCapabilities": rule_of(
        "Xen_ElementCapabilities",
        lambda r: [(host(each), ("Xen_HostComputerSystemCapabilities", whole(each))) for each in r.all("host")],
    ),
    "Xen_ComputerSystemConsole": rule_of(
        "Xen_SystemDevice", lambda r: [(machine(vm), ("Xen_Console", each)) for vm, each in _consoles(r)]
    ),
    "Xen_ConsoleSettingsDefineState": rule_of(
        "Xen_SettingsDefineState",
        lambda r: [(("Xen_Console", each), ("Xen_ConsoleSettingData", each)) for vm, each in _consoles(r)],
    ),
    "Xen_ConsoleSettingDataComponent": rule_of(
        "Xen_VirtualSystemSettingDataComponent",
        lambda r: [(settings(vm), ("Xen_ConsoleSettingData", part(vm, each))) for vm, each in r.of_all("console")],
    ),
    "Xen_ComputerSystemKVP": rule_of(
        "Xen_SystemDevice", lambda r: [(machine(vm), ("Xen_KVP", part(vm, key))) for vm, key in _kvps(r, r.machines)]
    ),
    "Xen_KVPSettingsDefineState": rule_of(
        "Xen_SettingsDefineState",
        lambda r: [
            (("Xen_KVP", part(vm, key)), ("Xen_KVPSettingData", part(vm, key))) for vm, key in _kvps(r, r.machines)
        ],
    ),
    "Xen_KVPSettingDataComponent": rule_of(
        "Xen_VirtualSystemSettingDataComponent",
        lambda r: [(settings(vm), ("Xen_KVPSettingData", part(vm, key))) for vm, key in _kvps(r, r.all("VM"))],
    ),
    "Xen_ComputerSystemMemoryState": rule_of(
        "Xen_SystemDevice", lambda r: [(machine(vm), image) for vm, image in _suspended(r, r.machines)]
    ),
    "Xen_SnapshotMemoryState": rule_of(
        "CIM_Dependency", lambda r: [(image, settings(vm)) for vm, image in _suspended(r, r.snapshots)]
    ),
    "Xen_SnapshotOfVirtualSystem": rule_of(
        "CIM_SnapshotOfVirtualSystem",
        lambda r: [
            (machine(r.at("VM", each["snapshot_of"])), settings(each))
            for each in r.snapshots
            if r.is_machine(each["snapshot_of"])
        ],
    ),
    "Xen_SnapshotDependency": rule_of(
        "CIM_Dependency", lambda r: [(settings(parent), settings(vm)) for vm, parent in _parents(r, r.snapshots)]
    ),
    "Xen_MostCurrentSnapshotInBranch": rule_of(
        "CIM_MostCurrentSnapshotInBranch",
        lambda r: [(machine(vm), settings(parent)) for vm, parent in _current_branches(r)],
    ),
    "Xen_LastAppliedSnapshot": rule_of("CIM_LastAppliedSnapshot", _applied),
    "Xen_MemberOfHostPool": rule_of(
        "Xen_MemberOfCollection",
        lambda r: [(("Xen_HostPool", whole(r.pool)), host(each)) for each in r.all("host")],
    ),
    "Xen_HostedHostPool": rule_of(
        "Xen_HostedCollection", lambda r: [(host(r.master), ("Xen_HostPool", whole(r.pool)))]
    ),
    "Xen_ProcessorElementSettingData": rule_of(
        "Xen_ElementSettingData",
        lambda r: [(machine(vm), ("Xen_ProcessorSettingData", part(vm, "Processor"))) for vm in r.machines],
    ),
    "Xen_MemoryElementSettingData": rule_of(
        "Xen_ElementSettingData",
        lambda r: [(machine(vm), ("Xen_MemorySettingData", part(vm, "Memory"))) for vm in r.machines],
    ),
    "Xen_HostedProcessor": rule_of("Xen_HostedDependency", pinned_processors),
    "Xen_HostedMemory": rule_of(
        "Xen_HostedDependency",
        lambda r: [
            (("Xen_HostMemory", part(at, "Memory")), ("Xen_Memory", part(vm, "Memory")))
            for at, vm in running_machines(r)
        ],
    ),
}


# Services: each once in a pool, on its master


def _service(word: str) -> End:
    return f"Xen_{word}", SERVICES[word]


SERVICES = {
    "VirtualSystemManagementService": "Xen Hypervisor",
    "VirtualSystemMigrationService": "Xen Migration Service",
    "VirtualSystemSnapshotService": "Xen Virtual System Snapshot Service",
    "VirtualSwitchManagementService": "Xen Virtual Switch Management Service",
    "StoragePoolManagementService": "XenServer SR Management Service",
    "MetricService": "Xen Metrics Service",
}


def _affects(word: str, elements: Callable[[Records], Iterable[End]]) -> Rule:
    return rule_of("Xen_ServiceAffectsElement", lambda r: [(_service(word), each) for each in elements(r)])


def _capable(element: Callable[[Records], Iterable[End]], capabilities: str) -> Rule:
    return rule_of(
        "Xen_ElementCapabilities",
        lambda r: [(each, (f"Xen_{capabilities}", r.master["uuid"])) for each in element(r)],
    )


def _hosts(records: Records) -> list[End]:
    return [host(each) for each in records.all("host")]


def _guests(records: Records) -> list[End]:
    return [machine(vm) for vm in records.machines if not vm["is_control_domain"]]


def _machines(records: Records) -> list[End]:
    return [machine(vm) for vm in records.machines]


VSMS, VSMIG, VSSS = "VirtualSystemManagementService", "VirtualSystemMigrationService", "VirtualSystemSnapshotService"
SWITCHES, POOLS = "VirtualSwitchManagementService", "StoragePoolManagementService"
VIRTUALIZATION = tuple(f"Xen_{word}VirtualizationCapability" for word in ("Processor", "Memory", "Disk", "NetworkPort"))

OF_SERVICES = {
    **{
        f"Xen_Hosted{word}": rule_of("Xen_HostedService", lambda r, word=word: [(host(r.master), _service(word))])
        for word in SERVICES
    },
    f"Xen_{VSMS}AffectsComputerSystem": _affects(VSMS, _machines),
    f"Xen_{VSMS}AffectsHostComputerSystem": _affects(VSMS, _hosts),
    f"Xen_{VSMS}AffectsComputerSystemTemplate": _affects(VSMS, lambda r: map(settings, r.templates)),
    f"Xen_{VSMIG}AffectsComputerSystem": _affects(VSMIG, _machines),
    f"Xen_{VSSS}AffectsComputerSystem": _affects(VSSS, _machines),
    f"Xen_{VSSS}AffectsComputerSystemSnapshot": _affects(VSSS, lambda r: map(settings, r.snapshots)),
    f"Xen_{POOLS}AffectsStoragePool": _affects(POOLS, lambda r: [storage_pool_end(r, each) for each in r.all("SR")]),
    f"Xen_{SWITCHES}AffectsVirtualSwitch": _affects(SWITCHES, lambda r: map(switch, r.all("network"))),
    f"Xen_{VSMS}Capabilities": _capable(lambda r: [_service(VSMS)], "VirtualSystemManagementCapabilities"),
    f"Xen_{VSMIG}Capabilities": _capable(lambda r: [_service(VSMIG)], "VirtualSystemMigrationCapabilities"),
    f"Xen_{VSSS}ElementCapabilities": _capable(lambda r: [_service(VSSS)], "VirtualSystemSnapshotServiceCapabilities"),
    f"Xen_{SWITCHES}Capabilities": _capable(lambda r: [_service(SWITCHES)], "VirtualSwitchManagementCapabilities"),
    f"Xen_{POOLS}Capabilities": _capable(lambda r: [_service(POOLS)], "StoragePoolManagementCapabilities"),
    "Xen_MetricServiceElementCapabilities": _capable(
        lambda r: [_service("MetricService")], "MetricsServiceCapabilities"
    ),
    "Xen_HostVSMSElementCapabilities": _capable(_hosts, "VirtualSystemManagementCapabilities"),
    "Xen_ComputerSystemSnapshotElementCapabilities": _capable(_guests, "VirtualSystemSnapshotCapabilities"),
    "Xen_HasVirtualizationCapabilities": rule_of(
        "Xen_ElementCapabilities",
        lambda r: [(each, ("Xen_VirtualizationCapabilities", name)) for each in _hosts(r) for name in VIRTUALIZATION],
    ),
    "Xen_VirtualSystemMigrationSettingsDefineCapabilities": rule_of(
        "Xen_SettingsDefineCapabilities",
        lambda r: [(("Xen_VirtualSystemMigrationCapabilities", r.master["uuid"]), MIGRATION_SETTINGS)],
    ),
    "Xen_VirtualSystemMigrationServiceElementSettingData": rule_of(
        "Xen_ElementSettingData", lambda r: [(_service(VSMIG), MIGRATION_SETTINGS)]
    ),
}
MIGRATION_SETTINGS = ("Xen_VirtualSystemMigrationSettingData", "Xen:MigrationSettingData")


# Metrics


ALIVE = ("Running", "Paused")
Measured: TypeAlias = Iterator[tuple[End, str, bool]]
"""What can be measured: its name, its id, and whether it can be measured now."""


def _measured_processors(records: Records) -> Measured:
    for vm in records.machines:
        online = int(records.at("VM_metrics", vm["metrics"]).get("VCPUs_number", 0))
        for number in vcpus(vm):
            yield ("Xen_Processor", vcpu(vm, number)), vcpu(vm, number), vm["power_state"] in ALIVE and number < online


def _measured_memory(records: Records) -> Measured:
    for vm in records.machines:
        yield ("Xen_Memory", part(vm, "Memory")), part(vm, "Memory"), vm["power_state"] in ALIVE


def _measured_disks(records: Records) -> Measured:
    for vm, vbd in records.of_machines("VBD"):
        if vbd["type"] == "Disk":
            yield disk_end(vm, vbd), part(vm, vbd), vm["power_state"] in ALIVE and vbd["currently_attached"]


def _measured_ports(records: Records) -> Measured:
    for vm, vif in records.of_machines("VIF"):
        yield port_end(vm, vif), part(vm, vif), vm["power_state"] in ALIVE and vif["currently_attached"]


def _measured_host_devices(word: str) -> Callable[[Records], Measured]:
    def measured(records: Records) -> Measured:
        for own in records.all("host"):
            yield from ((end, end[1], True) for end in devices_of_host(records, own, word))

    return measured


def _measured_host_ports(records: Records) -> Measured:
    for pif in records.all("PIF"):
        own = records.at("host", pif["host"])
        yield host_port_end(records, pif), part(own, pif), pif["metrics"] in records.tables["PIF_metrics"]


METRICS: dict[str, tuple[Callable[[Records], Measured], tuple[str, ...]]] = {
    "VirtualProcessor": (_measured_processors, ("Xen_ProcessorUtilization",)),
    "HostProcessor": (_measured_host_devices("Processor"), ("Xen_HostProcessorUtilization",)),
    "Memory": (_measured_memory, ("Xen_ComputerSystemMemoryUsage",)),
    "HostMemory": (_measured_host_devices("Memory"), ("Xen_HostMemoryUsage",)),
    "Disk": (
        _measured_disks,
        ("Xen_DiskReadThroughput", "Xen_DiskWriteThroughput", "Xen_DiskReadLatency", "Xen_DiskWriteLatency"),
    ),
    "NetworkPort": (_measured_ports, ("Xen_NetworkPortReceiveThroughput", "Xen_NetworkPortTransmitThroughput")),
    "HostNetworkPort": (
        _measured_host_ports,
        ("Xen_HostNetworkPortReceiveThroughput", "Xen_HostNetworkPortTransmitThroughput"),
    ),
}
"""By the word in the names of associations: what is measured, and the classes of its values."""


def _metric_rules(
    word: str, measured: Callable[[Records], Measured], names: tuple[str, ...]
) -> Iterator[tuple[str, Rule]]:
    def definition(name: str) -> End:
        return f"{name}Def", f"{name}Def"

    def now(records: Records) -> Iterator[tuple[End, End, str]]:
        yield from ((end, (name, key), name) for end, key, is_now in measured(records) if is_now for name in names)

    yield (
        f"Xen_MetricDefFor{word}",
        rule_of(
            "Xen_MetricDefForME", lambda r: [(end, definition(name)) for end, _, _ in measured(r) for name in names]
        ),
    )
    yield (
        f"Xen_MetricFor{word}",
        rule_of("Xen_MetricForME", lambda r: [(end, found) for end, found, _ in now(r)]),
    )
    yield (
        f"Xen_MetricInstance{word if word.endswith('Processor') else f'For{word}'}",
        rule_of("Xen_MetricInstance", lambda r: [(definition(name), found) for _, found, name in now(r)]),
    )


DEFINITIONS = [(f"{name}Def", f"{name}Def") for _, names in METRICS.values() for name in names]
OF_METRICS = {
    **{name: rule for word, of in METRICS.items() for name, rule in _metric_rules(word, *of)},
    "Xen_MetricServiceAffectsMetricDefinition": _affects("MetricService", lambda r: DEFINITIONS),
}


# Profiles

PROFILES = {  # the word in the names of classes: the word in the InstanceID, where that is another
    **dict.fromkeys(
        (
            *("SystemVirtualization", "VirtualSystem", "ResourceAllocation", "AllocationCapabilities"),
            *("ProcessorAllocation", "MemoryAllocation", "BaseMetrics", "GenericDeviceAllocation"),
            *("VirtualSystemMigration", "VirtualEthernetSwitch", "JobControl"),
        )
    ),
    "StorageVirtualization": "StorageResourceVirtualization",
    "EthernetPortVirtualization": "EthernetPortResourceVirtualization",
}


def _profile(word: str) -> End:
    return f"Xen_Registered{word}Profile", f"Xen:{PROFILES[word] or word}Profile"


def _conforms(word: str, elements: Callable[[Records], Iterable[End]]) -> Rule:
    return rule_of("Xen_ElementConformsToProfile", lambda r: [(_profile(word), each) for each in elements(r)])


def _of_hosts(word: str) -> Callable[[Records], Iterable[End]]:
    return lambda r: [(f"Xen_{word}", part(each, word)) for each in r.all("host")]


def _srs(records: Records) -> list[End]:
    return [storage_pool_end(records, each) for each in records.all("SR")]


def _network_pools(records: Records) -> list[End]:
    return [network_pool_end(records, each) for each in records.all("network")]


def _switches(records: Records) -> list[End]:
    return [switch(each) for each in records.all("network")]


OF_PROFILES = {
    **{
        f"Xen_Referenced{word}Profile": rule_of(
            "Xen_ReferencedProfile", lambda r, word=word: [(_profile(word), _profile("SystemVirtualization"))]
        )
        for word in PROFILES
        if word != "SystemVirtualization"
    },
    "Xen_ElementConformsToSystemVirtualizationProfile": _conforms("SystemVirtualization", _hosts),
    "Xen_ElementConformsToVirtualSystemProfile": _conforms("VirtualSystem", _machines),
    "Xen_ElementConformsToStorageVirtualizationProfile": _conforms("StorageVirtualization", _hosts),
    "Xen_ResourcePoolConformsToProcessorAllocationProfile": _conforms(
        "ProcessorAllocation", _of_hosts("ProcessorPool")
    ),
    "Xen_ResourcePoolConformsToMemoryAllocationProfile": _conforms("MemoryAllocation", _of_hosts("MemoryPool")),
    "Xen_ResourcePoolConformsToStorageVirtualizationProfile": _conforms("StorageVirtualization", _srs),
    "Xen_ElementConformsToEthernetPortVirtualizationProfile": _conforms("EthernetPortVirtualization", _switches),
    "Xen_ResourcePoolConformsToEthernetPortVirtualizationProfile": _conforms(
        "EthernetPortVirtualization", _network_pools
    ),
    "Xen_ResourcePoolConformsToGenericDeviceAllocationProfile": _conforms(
        "GenericDeviceAllocation",
        lambda r: [storage_pool_end(r, each) for each in r.all("SR") if each["content_type"] == "iso"],
    ),
    "Xen_ElementConformsToVirtualEthernetSwitchProfile": _conforms("VirtualEthernetSwitch", _switches),
    "Xen_ProcessorPoolConformsToResourceAllocationProfile": _conforms("ResourceAllocation", _of_hosts("ProcessorPool")),
    "Xen_MemoryPoolConformsToResourceAllocationProfile": _conforms("ResourceAllocation", _of_hosts("MemoryPool")),
    "Xen_StoragePoolConformsToResourceAllocationProfile": _conforms("ResourceAllocation", _srs),
    "Xen_NetworkConnectionPoolConformsToResourceAllocationProfile": _conforms("ResourceAllocation", _network_pools),
    "Xen_ProcessorAllocationCapabilitiesConformToProfile": _conforms(
        "AllocationCapabilities", _of_hosts("ProcessorAllocationCapabilities")
    ),
    "Xen_MemoryAllocationCapabilitiesConformToProfile": _conforms(
        "AllocationCapabilities", _of_hosts("MemoryAllocationCapabilities")
    ),
    "Xen_StorageAllocationCapabilitiesConformToProfile": _conforms(
        "AllocationCapabilities", lambda r: map(storage_capabilities_end, r.all("SR"))
    ),
    "Xen_NetworkConnectionAllocationCapabilitiesConformToProfile": _conforms(
        "AllocationCapabilities", lambda r: map(network_capabilities_end, r.all("network"))
    ),
    "Xen_ElementConformsToBaseMetricsProfile": _conforms("BaseMetrics", lambda r: [_service("MetricService")]),
    "Xen_ElementConformsToVirtualSystemMigrationProfile": _conforms(
        "VirtualSystemMigration", lambda r: [_service(VSMIG)]
    ),
    "Xen_ElementConformsToJobControlProfile": _conforms("JobControl", lambda r: [_service(VSMS)]),
}

ASSOCIATIONS: dict[str, Rule] = {
    **MACHINES,
    **dict(resource_rules("Processor")),
    **dict(resource_rules("Memory")),
    **STORAGE,
    **NETWORKING,
    **dict(
        capabilities_rule(*each)
        for each in (("Processor", "host"), ("Memory", "host"), ("Storage", "SR"), ("NetworkConnection", "network"))
    ),
    **OF_SERVICES,
    **OF_METRICS,
    **OF_PROFILES,
}
