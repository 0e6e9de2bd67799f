"""Which pairs each association has to have, by the rules of the model, from records of the Xen-API alone.

An end is told by its class and the part of its name that differs: DeviceID, InstanceID, Id or Name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from oracle_records import Record, Records, connection_pool, part, storage_pool, vcpu, vcpus, whole

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


def _rule(generic: str, pairs: Callable[[Records], Pairs]) -> Rule:
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


def _disk(vm: Record, vbd: Record) -> End:
    return ("Xen_DiskDrive" if vbd["type"] == "CD" else "Xen_Disk"), part(vm, vbd)


def _image(records: Records, vdi: Record) -> End:
    return "Xen_DiskImage", part(records.at("SR", vdi["SR"]), vdi)


def _sr(records: Records, sr: Record) -> End:
    return "Xen_StoragePool", storage_pool(records, sr)


def _network_pool(records: Records, network: Record) -> End:
    return "Xen_NetworkConnectionPool", connection_pool(records, network)


# Pairs of one kind of device


def _vbds(kind: str, pair: Callable[[Records, Record, Record], tuple[End, End] | None]) -> Callable[[Records], Pairs]:
    def pairs(records: Records) -> Pairs:
        found = (pair(records, vm, vbd) for vm, vbd in records.of_machines("VBD") if vbd["type"] == kind)
        return [each for each in found if each is not None]

    return pairs


def _disk_rules() -> Iterator[tuple[str, Rule]]:
    def image_of(records: Records, vm: Record, vbd: Record) -> tuple[End, End] | None:
        vdi = records.at("VDI", vbd["VDI"])
        return (_image(records, vdi), _disk(vm, vbd)) if vdi else None

    def pool_of(records: Records, vm: Record, vbd: Record) -> tuple[End, End] | None:
        vdi = records.at("VDI", vbd["VDI"])
        return (_sr(records, records.at("SR", vdi["SR"])), _disk(vm, vbd)) if vdi else None

    for kind, word in (("Disk", "Disk"), ("CD", "DiskDrive")):
        yield (
            f"Xen_ComputerSystem{word}",
            _rule("Xen_SystemDevice", _vbds(kind, lambda records, vm, vbd: (machine(vm), _disk(vm, vbd)))),
        )
        yield f"Xen_Hosted{word}", _rule("Xen_HostedDependency", _vbds(kind, image_of))
        yield f"Xen_{word}AllocatedFromPool", _rule("Xen_ElementAllocatedFromPool", _vbds(kind, pool_of))
        yield (
            f"Xen_{word}SettingsDefineState",
            _rule(
                "Xen_SettingsDefineState",
                _vbds(kind, lambda records, vm, vbd: (_disk(vm, vbd), ("Xen_DiskSettingData", part(vm, vbd)))),
            ),
        )


# Processors and memory: the machine has them, the host that it runs on gives them


def _running(records: Records) -> Iterator[tuple[Record, Record]]:
    yield from ((records.host_of(vm), vm) for vm in records.machines if records.host_of(vm))


def _devices(vm: Record, word: str) -> list[End]:
    if word == "Memory":
        return [("Xen_Memory", part(vm, "Memory"))]
    return [("Xen_Processor", vcpu(vm, number)) for number in vcpus(vm)]


def _host_devices(records: Records, record: Record, word: str) -> list[End]:
    if word == "Memory":
        return [("Xen_HostMemory", part(record, "Memory"))]
    return [("Xen_HostProcessor", part(record, each)) for each in records.each("host_cpu", "host", record)]


def _resource_rules(word: str) -> Iterator[tuple[str, Rule]]:
    setting, pool, allocation = f"Xen_{word}SettingData", f"{word}Pool", f"{word}AllocationCapabilities"

    def of_machine(vm: Record) -> End:
        return setting, part(vm, word)

    def pool_of(record: Record) -> End:
        return f"Xen_{pool}", part(record, pool)

    def capabilities_of(record: Record) -> End:
        return f"Xen_{allocation}", part(record, allocation)

    yield (
        f"Xen_ComputerSystem{word}",
        _rule("Xen_SystemDevice", lambda r: [(machine(vm), each) for vm in r.machines for each in _devices(vm, word)]),
    )
    yield (
        f"Xen_{word}SettingsDefineState",
        _rule(
            "Xen_SettingsDefineState",
            lambda r: [(each, of_machine(vm)) for vm in r.machines for each in _devices(vm, word)],
        ),
    )
    yield (
        f"Xen_{word}SettingDataComponent",
        _rule(
            "Xen_VirtualSystemSettingDataComponent",
            lambda r: [(settings(vm), of_machine(vm)) for vm in r.all("VM")],
        ),
    )
    yield (
        f"Xen_{word}AllocatedFromPool",
        _rule(
            "Xen_ElementAllocatedFromPool",
            lambda r: [(pool_of(at), each) for at, vm in _running(r) for each in _devices(vm, word)],
        ),
    )
    yield (
        f"Xen_{word}SettingAllocationFromPool",
        _rule("Xen_ResourceAllocationFromPool", lambda r: [(pool_of(at), of_machine(vm)) for at, vm in _running(r)]),
    )
    yield (
        f"Xen_HostComputerSystem{word}",
        _rule(
            "Xen_SystemDevice",
            lambda r: [(host(each), device) for each in r.all("host") for device in _host_devices(r, each, word)],
        ),
    )
    yield (
        f"Xen_{word}PoolComponent",
        _rule(
            "Xen_ConcreteComponent",
            lambda r: [(pool_of(each), device) for each in r.all("host") for device in _host_devices(r, each, word)],
        ),
    )
    yield (
        f"Xen_Hosted{word}Pool",
        _rule("Xen_HostedResourcePool", lambda r: [(host(each), pool_of(each)) for each in r.all("host")]),
    )
    yield (
        f"Xen_Host{word}AllocationCapabilities",
        _rule("Xen_ElementCapabilities", lambda r: [(host(each), capabilities_of(each)) for each in r.all("host")]),
    )
    yield (
        f"Xen_{word}PoolAllocationCapabilities",
        _rule("Xen_ElementCapabilities", lambda r: [(pool_of(each), capabilities_of(each)) for each in r.all("host")]),
    )


def _capabilities_rule(word: str, source: str) -> tuple[str, Rule]:
    def pairs(records: Records) -> Pairs:
        for each in records.all(source):
            for role in ("Minimum", "Maximum", "Increment", "Default"):
                group = f"Xen_{word}AllocationCapabilities", part(each, f"{word}AllocationCapabilities")
                yield group, (f"Xen_{word}CapabilitiesSettingData", part(each, f"{word}{role}"))

    return f"Xen_{word}SettingsDefineCapabilities", _rule("Xen_SettingsDefineCapabilities", pairs)


def _pinned(records: Records) -> Pairs:
    """Yield the processors that virtual ones are pinned to: one group of the mask for each, the first for the rest."""
    for at, vm in _running(records):
        mask = vm["VCPUs_params"].get("mask")
        if mask is None:
            continue
        groups = [{int(number) for number in group.split(",") if number} for group in mask.split(";")]
        for number in vcpus(vm):
            group = groups[number] if number < len(groups) else groups[0]
            for physical, cpu in records.processors_of(at).items():
                if physical in group:
                    yield ("Xen_HostProcessor", part(at, cpu)), ("Xen_Processor", vcpu(vm, number))


# Network ports


def _port(vm: Record, vif: Record) -> End:
    return "Xen_NetworkPort", part(vm, vif)


def _port_settings(vm: Record, vif: Record) -> End:
    return "Xen_NetworkPortSettingData", part(vm, vif)


def _switch_port(records: Records, vif: Record) -> End:
    return "Xen_VirtualSwitchPort", part(records.at("network", vif["network"]), vif)


def _endpoint(vif: Record) -> End:
    return "Xen_ComputerSystemLANEndpoint", vif["uuid"]


def _switch_endpoint(vif: Record) -> End:
    return "Xen_VirtualSwitchLANEndpoint", vif["uuid"]


def _vifs(pair: Callable[[Records, Record, Record], tuple[End, End]]) -> Callable[[Records], Pairs]:
    return lambda records: [pair(records, vm, vif) for vm, vif in records.of_machines("VIF")]


def _network(records: Records, each: Record) -> Record:
    return records.at("network", each["network"])


def _pif(records: Records, pif: Record) -> End:
    return "Xen_HostNetworkPort", part(records.at("host", pif["host"]), pif)


def _pif_settings(records: Records, pif: Record) -> End:
    return "Xen_HostNetworkPortSettingData", part(records.at("host", pif["host"]), pif)


NETWORKING = {
    "Xen_ComputerSystemNetworkPort": _rule("Xen_SystemDevice", _vifs(lambda r, vm, vif: (machine(vm), _port(vm, vif)))),
    "Xen_HostedNetworkPort": _rule(
        "Xen_HostedDependency", _vifs(lambda r, vm, vif: (_switch_port(r, vif), _port(vm, vif)))
    ),
    "Xen_NetworkPortAllocatedFromPool": _rule(
        "Xen_ElementAllocatedFromPool", _vifs(lambda r, vm, vif: (_network_pool(r, _network(r, vif)), _port(vm, vif)))
    ),
    "Xen_NetworkPortSettingAllocationFromPool": _rule(
        "Xen_ResourceAllocationFromPool",
        lambda r: [(_network_pool(r, _network(r, vif)), _port_settings(vm, vif)) for vm, vif in r.of_all("VIF")],
    ),
    "Xen_NetworkPortSettingDataComponent": _rule(
        "Xen_VirtualSystemSettingDataComponent",
        lambda r: [(settings(vm), _port_settings(vm, vif)) for vm, vif in r.of_all("VIF")],
    ),
    "Xen_NetworkPortSettingsDefineState": _rule(
        "Xen_SettingsDefineState", _vifs(lambda r, vm, vif: (_port(vm, vif), _port_settings(vm, vif)))
    ),
    "Xen_NetworkPortElementSettingData": _rule(
        "Xen_ElementSettingData", _vifs(lambda r, vm, vif: (machine(vm), _port_settings(vm, vif)))
    ),
    "Xen_NetworkPortSAPImplementation": _rule(
        "Xen_DeviceSAPImplementation", _vifs(lambda r, vm, vif: (_port(vm, vif), _endpoint(vif)))
    ),
    "Xen_HostedComputerSystemLANEndpoint": _rule(
        "Xen_HostedAccessPoint", _vifs(lambda r, vm, vif: (machine(vm), _endpoint(vif)))
    ),
    "Xen_ActiveConnection": _rule(
        "CIM_ActiveConnection",
        lambda r: [
            (_endpoint(vif), _switch_endpoint(vif)) for vm, vif in r.of_machines("VIF") if vif["currently_attached"]
        ],
    ),
    "Xen_VirtualSwitchVirtualSwitchPort": _rule(
        "Xen_SystemDevice", _vifs(lambda r, vm, vif: (switch(_network(r, vif)), _switch_port(r, vif)))
    ),
    "Xen_VirtualSwitchPortSAPImplementation": _rule(
        "Xen_DeviceSAPImplementation", _vifs(lambda r, vm, vif: (_switch_port(r, vif), _switch_endpoint(vif)))
    ),
    "Xen_HostedVirtualSwitchLANEndpoint": _rule(
        "Xen_HostedAccessPoint", _vifs(lambda r, vm, vif: (switch(_network(r, vif)), _switch_endpoint(vif)))
    ),
    "Xen_HostComputerSystemNetworkPort": _rule(
        "Xen_SystemDevice", lambda r: [(host(r.at("host", pif["host"])), _pif(r, pif)) for pif in r.all("PIF")]
    ),
    "Xen_HostNetworkPortSettingsDefineState": _rule(
        "Xen_SettingsDefineState", lambda r: [(_pif(r, pif), _pif_settings(r, pif)) for pif in r.all("PIF")]
    ),
    "Xen_VirtualSwitchSettingDataComponent": _rule(
        "Xen_VirtualSystemSettingDataComponent",
        lambda r: [
            (("Xen_VirtualSwitchSettingData", whole(_network(r, pif))), _pif_settings(r, pif)) for pif in r.all("PIF")
        ],
    ),
    "Xen_HostedNetworkConnectionPool": _rule(
        "Xen_HostedResourcePool", lambda r: [(switch(each), _network_pool(r, each)) for each in r.all("network")]
    ),
    "Xen_VirtualSwitchSettingsDefineState": _rule(
        "Xen_SettingsDefineState",
        lambda r: [(switch(each), ("Xen_VirtualSwitchSettingData", whole(each))) for each in r.all("network")],
    ),
    "Xen_VirtualSwitchElementSettingData": _rule(
        "Xen_ElementSettingData",
        lambda r: [(switch(each), ("Xen_VirtualSwitchSettingData", whole(each))) for each in r.all("network")],
    ),
    "Xen_NetworkConnectionPoolAllocationCapabilities": _rule(
        "Xen_ElementCapabilities",
        lambda r: [(_network_pool(r, each), _network_capabilities(each)) for each in r.all("network")],
    ),
    "Xen_VirtualSwitchPortAllocationCapabilities": _rule(
        "Xen_ElementCapabilities",
        lambda r: [(switch(each), _network_capabilities(each)) for each in r.all("network")],
    ),
}


def _network_capabilities(network: Record) -> End:
    word = "NetworkConnectionAllocationCapabilities"
    return f"Xen_{word}", part(network, word)


# Storage


def _storage_capabilities(sr: Record) -> End:
    return "Xen_StorageAllocationCapabilities", part(sr, "StorageAllocationCapabilities")


def _own_host(records: Records, sr: Record) -> Record | None:
    hosts = records.hosts_of_pool(sr)
    return hosts[0] if len(hosts) == 1 and not sr["shared"] else None


def _attached(records: Records) -> Iterator[tuple[Record, Record]]:
    for pbd in records.all("PBD"):
        yield records.at("host", pbd["host"]), records.at("SR", pbd["SR"])


def _images_of_hosts(records: Records) -> Pairs:
    for vdi in records.all("VDI"):
        own = _own_host(records, records.at("SR", vdi["SR"]))
        if own is not None:
            yield host(own), _image(records, vdi)


def _setting_pools(records: Records) -> Pairs:
    for vm, vbd in records.of_all("VBD"):
        vdi = records.at("VDI", vbd["VDI"])
        if vdi:
            yield _sr(records, records.at("SR", vdi["SR"])), ("Xen_DiskSettingData", part(vm, vbd))


STORAGE = {
    **dict(_disk_rules()),
    "Xen_DiskSettingDataComponent": _rule(
        "Xen_VirtualSystemSettingDataComponent",
        lambda r: [(settings(vm), ("Xen_DiskSettingData", part(vm, vbd))) for vm, vbd in r.of_all("VBD")],
    ),
    "Xen_DiskElementSettingData": _rule(
        "Xen_ElementSettingData",
        lambda r: [(machine(vm), ("Xen_DiskSettingData", part(vm, vbd))) for vm, vbd in r.of_machines("VBD")],
    ),
    "Xen_DiskSettingAllocationFromPool": _rule("Xen_ResourceAllocationFromPool", _setting_pools),
    "Xen_StoragePoolComponent": _rule(
        "Xen_ConcreteComponent",
        lambda r: [(_sr(r, r.at("SR", vdi["SR"])), _image(r, vdi)) for vdi in r.all("VDI")],
    ),
    "Xen_HostedStoragePool": _rule(
        "Xen_HostedResourcePool", lambda r: [(host(at), _sr(r, sr)) for at, sr in _attached(r)]
    ),
    "Xen_StoragePoolAllocationCapabilities": _rule(
        "Xen_ElementCapabilities", lambda r: [(_sr(r, sr), _storage_capabilities(sr)) for sr in r.all("SR")]
    ),
    "Xen_HostStorageAllocationCapabilities": _rule(
        "Xen_ElementCapabilities", lambda r: [(host(at), _storage_capabilities(sr)) for at, sr in _attached(r)]
    ),
    "Xen_HostComputerSystemDiskImage": _rule("Xen_SystemDevice", _images_of_hosts),
}


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
    "Xen_HostedComputerSystem": _rule(
        "Xen_HostedDependency", lambda r: [(host(at), machine(vm)) for at, vm in _running(r)]
    ),
    "Xen_ComputerSystemSettingsDefineState": _rule(
        "Xen_SettingsDefineState", lambda r: [(machine(vm), settings(vm)) for vm in r.machines]
    ),
    "Xen_ComputerSystemElementSettingData": _rule(
        "Xen_ElementSettingData", lambda r: [(machine(vm), settings(vm)) for vm in r.machines]
    ),
    "Xen_ComputerSystemElementCapabilities": _rule(
        "Xen_ElementCapabilities",
        lambda r: [(machine(vm), ("Xen_ComputerSystemCapabilities", whole(vm))) for vm in r.machines],
    ),
    "Xen_HostComputerSystemElementCapabilities": _rule(
        "Xen_ElementCapabilities",
        lambda r: [(host(each), ("Xen_HostComputerSystemCapabilities", whole(each))) for each in r.all("host")],
    ),
    "Xen_ComputerSystemConsole": _rule(
        "Xen_SystemDevice", lambda r: [(machine(vm), ("Xen_Console", each)) for vm, each in _consoles(r)]
    ),
    "Xen_ConsoleSettingsDefineState": _rule(
        "Xen_SettingsDefineState",
        lambda r: [(("Xen_Console", each), ("Xen_ConsoleSettingData", each)) for vm, each in _consoles(r)],
    ),
    "Xen_ConsoleSettingDataComponent": _rule(
        "Xen_VirtualSystemSettingDataComponent",
        lambda r: [(settings(vm), ("Xen_ConsoleSettingData", part(vm, each))) for vm, each in r.of_all("console")],
    ),
    "Xen_ComputerSystemKVP": _rule(
        "Xen_SystemDevice", lambda r: [(machine(vm), ("Xen_KVP", part(vm, key))) for vm, key in _kvps(r, r.machines)]
    ),
    "Xen_KVPSettingsDefineState": _rule(
        "Xen_SettingsDefineState",
        lambda r: [
            (("Xen_KVP", part(vm, key)), ("Xen_KVPSettingData", part(vm, key))) for vm, key in _kvps(r, r.machines)
        ],
    ),
    "Xen_KVPSettingDataComponent": _rule(
        "Xen_VirtualSystemSettingDataComponent",
        lambda r: [(settings(vm), ("Xen_KVPSettingData", part(vm, key))) for vm, key in _kvps(r, r.all("VM"))],
    ),
    "Xen_ComputerSystemMemoryState": _rule(
        "Xen_SystemDevice", lambda r: [(machine(vm), image) for vm, image in _suspended(r, r.machines)]
    ),
    "Xen_SnapshotMemoryState": _rule(
        "CIM_Dependency", lambda r: [(image, settings(vm)) for vm, image in _suspended(r, r.snapshots)]
    ),
    "Xen_SnapshotOfVirtualSystem": _rule(
        "CIM_SnapshotOfVirtualSystem",
        lambda r: [
            (machine(r.at("VM", each["snapshot_of"])), settings(each))
            for each in r.snapshots
            if r.is_machine(each["snapshot_of"])
        ],
    ),
    "Xen_SnapshotDependency": _rule(
        "CIM_Dependency", lambda r: [(settings(parent), settings(vm)) for vm, parent in _parents(r, r.snapshots)]
    ),
    "Xen_MostCurrentSnapshotInBranch": _rule(
        "CIM_MostCurrentSnapshotInBranch",
        lambda r: [(machine(vm), settings(parent)) for vm, parent in _current_branches(r)],
    ),
    "Xen_LastAppliedSnapshot": _rule("CIM_LastAppliedSnapshot", _applied),
    "Xen_MemberOfHostPool": _rule(
        "Xen_MemberOfCollection",
        lambda r: [(("Xen_HostPool", whole(r.pool)), host(each)) for each in r.all("host")],
    ),
    "Xen_HostedHostPool": _rule("Xen_HostedCollection", lambda r: [(host(r.master), ("Xen_HostPool", whole(r.pool)))]),
    "Xen_ProcessorElementSettingData": _rule(
        "Xen_ElementSettingData",
        lambda r: [(machine(vm), ("Xen_ProcessorSettingData", part(vm, "Processor"))) for vm in r.machines],
    ),
    "Xen_MemoryElementSettingData": _rule(
        "Xen_ElementSettingData",
        lambda r: [(machine(vm), ("Xen_MemorySettingData", part(vm, "Memory"))) for vm in r.machines],
    ),
    "Xen_HostedProcessor": _rule("Xen_HostedDependency", _pinned),
    "Xen_HostedMemory": _rule(
        "Xen_HostedDependency",
        lambda r: [
            (("Xen_HostMemory", part(at, "Memory")), ("Xen_Memory", part(vm, "Memory"))) for at, vm in _running(r)
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
    return _rule("Xen_ServiceAffectsElement", lambda r: [(_service(word), each) for each in elements(r)])


def _capable(element: Callable[[Records], Iterable[End]], capabilities: str) -> Rule:
    return _rule(
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
        f"Xen_Hosted{word}": _rule("Xen_HostedService", lambda r, word=word: [(host(r.master), _service(word))])
        for word in SERVICES
    },
    f"Xen_{VSMS}AffectsComputerSystem": _affects(VSMS, _machines),
    f"Xen_{VSMS}AffectsHostComputerSystem": _affects(VSMS, _hosts),
    f"Xen_{VSMS}AffectsComputerSystemTemplate": _affects(VSMS, lambda r: map(settings, r.templates)),
    f"Xen_{VSMIG}AffectsComputerSystem": _affects(VSMIG, _machines),
    f"Xen_{VSSS}AffectsComputerSystem": _affects(VSSS, _machines),
    f"Xen_{VSSS}AffectsComputerSystemSnapshot": _affects(VSSS, lambda r: map(settings, r.snapshots)),
    f"Xen_{POOLS}AffectsStoragePool": _affects(POOLS, lambda r: [_sr(r, each) for each in r.all("SR")]),
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
    "Xen_HasVirtualizationCapabilities": _rule(
        "Xen_ElementCapabilities",
        lambda r: [(each, ("Xen_VirtualizationCapabilities", name)) for each in _hosts(r) for name in VIRTUALIZATION],
    ),
    "Xen_VirtualSystemMigrationSettingsDefineCapabilities": _rule(
        "Xen_SettingsDefineCapabilities",
        lambda r: [(("Xen_VirtualSystemMigrationCapabilities", r.master["uuid"]), MIGRATION_SETTINGS)],
    ),
    "Xen_VirtualSystemMigrationServiceElementSettingData": _rule(
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
            yield _disk(vm, vbd), part(vm, vbd), vm["power_state"] in ALIVE and vbd["currently_attached"]


def _measured_ports(records: Records) -> Measured:
    for vm, vif in records.of_machines("VIF"):
        yield _port(vm, vif), part(vm, vif), vm["power_state"] in ALIVE and vif["currently_attached"]


def _measured_host_devices(word: str) -> Callable[[Records], Measured]:
    def measured(records: Records) -> Measured:
        for own in records.all("host"):
            yield from ((end, end[1], True) for end in _host_devices(records, own, word))

    return measured


def _measured_host_ports(records: Records) -> Measured:
    for pif in records.all("PIF"):
        own = records.at("host", pif["host"])
        yield _pif(records, pif), part(own, pif), pif["metrics"] in records.tables["PIF_metrics"]


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
        _rule("Xen_MetricDefForME", lambda r: [(end, definition(name)) for end, _, _ in measured(r) for name in names]),
    )
    yield (
        f"Xen_MetricFor{word}",
        _rule("Xen_MetricForME", lambda r: [(end, found) for end, found, _ in now(r)]),
    )
    yield (
        f"Xen_MetricInstance{word if word.endswith('Processor') else f'For{word}'}",
        _rule("Xen_MetricInstance", lambda r: [(definition(name), found) for _, found, name in now(r)]),
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
    return _rule("Xen_ElementConformsToProfile", lambda r: [(_profile(word), each) for each in elements(r)])


def _of_hosts(word: str) -> Callable[[Records], Iterable[End]]:
    return lambda r: [(f"Xen_{word}", part(each, word)) for each in r.all("host")]


def _srs(records: Records) -> list[End]:
    return [_sr(records, each) for each in records.all("SR")]


def _network_pools(records: Records) -> list[End]:
    return [_network_pool(records, each) for each in records.all("network")]


def _switches(records: Records) -> list[End]:
    return [switch(each) for each in records.all("network")]


OF_PROFILES = {
    **{
        f"Xen_Referenced{word}Profile": _rule(
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
        "GenericDeviceAllocation", lambda r: [_sr(r, each) for each in r.all("SR") if each["content_type"] == "iso"]
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
        "AllocationCapabilities", lambda r: map(_storage_capabilities, r.all("SR"))
    ),
    "Xen_NetworkConnectionAllocationCapabilitiesConformToProfile": _conforms(
        "AllocationCapabilities", lambda r: map(_network_capabilities, r.all("network"))
    ),
    "Xen_ElementConformsToBaseMetricsProfile": _conforms("BaseMetrics", lambda r: [_service("MetricService")]),
    "Xen_ElementConformsToVirtualSystemMigrationProfile": _conforms(
        "VirtualSystemMigration", lambda r: [_service(VSMIG)]
    ),
    "Xen_ElementConformsToJobControlProfile": _conforms("JobControl", lambda r: [_service(VSMS)]),
}

ASSOCIATIONS: dict[str, Rule] = {
    **MACHINES,
    **dict(_resource_rules("Processor")),
    **dict(_resource_rules("Memory")),
    **STORAGE,
    **NETWORKING,
    **dict(
        _capabilities_rule(*each)
        for each in (("Processor", "host"), ("Memory", "host"), ("Storage", "SR"), ("NetworkConnection", "network"))
    ),
    **OF_SERVICES,
    **OF_METRICS,
    **OF_PROFILES,
}
