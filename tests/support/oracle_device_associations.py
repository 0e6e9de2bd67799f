"""Which pairs there have to be of devices, their settings and their pools; as oracle_associations."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from oracle_records import Record, Records, part, vcpu, vcpus, whole
from oracle_rules import (
    End,
    Pairs,
    Rule,
    disk_end,
    host,
    image_end,
    machine,
    network_pool_end,
    rule_of,
    settings,
    storage_pool_end,
    switch,
)

# Pairs of one kind of device


def _vbds(kind: str, pair: Callable[[Records, Record, Record], tuple[End, End] | None]) -> Callable[[Records], Pairs]:
    def pairs(records: Records) -> Pairs:
        found = (pair(records, vm, vbd) for vm, vbd in records.of_machines("VBD") if vbd["type"] == kind)
        return [each for each in found if each is not None]

    return pairs


def _disk_rules() -> Iterator[tuple[str, Rule]]:
    def image_of(records: Records, vm: Record, vbd: Record) -> tuple[End, End] | None:
        vdi = records.at("VDI", vbd["VDI"])
        return (image_end(records, vdi), disk_end(vm, vbd)) if vdi else None

    def pool_of(records: Records, vm: Record, vbd: Record) -> tuple[End, End] | None:
        vdi = records.at("VDI", vbd["VDI"])
        return (storage_pool_end(records, records.at("SR", vdi["SR"])), disk_end(vm, vbd)) if vdi else None

    for kind, word in (("Disk", "Disk"), ("CD", "DiskDrive")):
        yield (
            f"Xen_ComputerSystem{word}",
            rule_of("Xen_SystemDevice", _vbds(kind, lambda records, vm, vbd: (machine(vm), disk_end(vm, vbd)))),
        )
        yield f"Xen_Hosted{word}", rule_of("Xen_HostedDependency", _vbds(kind, image_of))
        yield f"Xen_{word}AllocatedFromPool", rule_of("Xen_ElementAllocatedFromPool", _vbds(kind, pool_of))
        yield (
            f"Xen_{word}SettingsDefineState",
            rule_of(
                "Xen_SettingsDefineState",
                _vbds(kind, lambda records, vm, vbd: (disk_end(vm, vbd), ("Xen_DiskSettingData", part(vm, vbd)))),
            ),
        )


# Processors and memory: the machine has them, the host that it runs on gives them


def running_machines(records: Records) -> Iterator[tuple[Record, Record]]:
    yield from ((records.host_of(vm), vm) for vm in records.machines if records.host_of(vm))


def _devices(vm: Record, word: str) -> list[End]:
    if word == "Memory":
        return [("Xen_Memory", part(vm, "Memory"))]
    return [("Xen_Processor", vcpu(vm, number)) for number in vcpus(vm)]


def devices_of_host(records: Records, record: Record, word: str) -> list[End]:
    if word == "Memory":
        return [("Xen_HostMemory", part(record, "Memory"))]
    return [("Xen_HostProcessor", part(record, each)) for each in records.each("host_cpu", "host", record)]


def resource_rules(word: str) -> Iterator[tuple[str, Rule]]:
    setting, pool, allocation = f"Xen_{word}SettingData", f"{word}Pool", f"{word}AllocationCapabilities"

    def of_machine(vm: Record) -> End:
        return setting, part(vm, word)

    def pool_of(record: Record) -> End:
        return f"Xen_{pool}", part(record, pool)

    def capabilities_of(record: Record) -> End:
        return f"Xen_{allocation}", part(record, allocation)

    yield (
        f"Xen_ComputerSystem{word}",
        rule_of(
            "Xen_SystemDevice", lambda r: [(machine(vm), each) for vm in r.machines for each in _devices(vm, word)]
        ),
    )
    yield (
        f"Xen_{word}SettingsDefineState",
        rule_of(
            "Xen_SettingsDefineState",
            lambda r: [(each, of_machine(vm)) for vm in r.machines for each in _devices(vm, word)],
        ),
    )
    yield (
        f"Xen_{word}SettingDataComponent",
        rule_of(
            "Xen_VirtualSystemSettingDataComponent",
            lambda r: [(settings(vm), of_machine(vm)) for vm in r.all("VM")],
        ),
    )
    yield (
        f"Xen_{word}AllocatedFromPool",
        rule_of(
            "Xen_ElementAllocatedFromPool",
            lambda r: [(pool_of(at), each) for at, vm in running_machines(r) for each in _devices(vm, word)],
        ),
    )
    yield (
        f"Xen_{word}SettingAllocationFromPool",
        rule_of(
            "Xen_ResourceAllocationFromPool",
            lambda r: [(pool_of(at), of_machine(vm)) for at, vm in running_machines(r)],
        ),
    )
    yield (
        f"Xen_HostComputerSystem{word}",
        rule_of(
            "Xen_SystemDevice",
            lambda r: [(host(each), device) for each in r.all("host") for device in devices_of_host(r, each, word)],
        ),
    )
    yield (
        f"Xen_{word}PoolComponent",
        rule_of(
            "Xen_ConcreteComponent",
            lambda r: [(pool_of(each), device) for each in r.all("host") for device in devices_of_host(r, each, word)],
        ),
    )
    yield (
        f"Xen_Hosted{word}Pool",
        rule_of("Xen_HostedResourcePool", lambda r: [(host(each), pool_of(each)) for each in r.all("host")]),
    )
    yield (
        f"Xen_Host{word}AllocationCapabilities",
        rule_of("Xen_ElementCapabilities", lambda r: [(host(each), capabilities_of(each)) for each in r.all("host")]),
    )
    yield (
        f"Xen_{word}PoolAllocationCapabilities",
        rule_of(
            "Xen_ElementCapabilities", lambda r: [(pool_of(each), capabilities_of(each)) for each in r.all("host")]
        ),
    )


def capabilities_rule(word: str, source: str) -> tuple[str, Rule]:
    def pairs(records: Records) -> Pairs:
        for each in records.all(source):
            for role in ("Minimum", "Maximum", "Increment", "Default"):
                group = f"Xen_{word}AllocationCapabilities", part(each, f"{word}AllocationCapabilities")
                yield group, (f"Xen_{word}CapabilitiesSettingData", part(each, f"{word}{role}"))

    return f"Xen_{word}SettingsDefineCapabilities", rule_of("Xen_SettingsDefineCapabilities", pairs)


def pinned_processors(records: Records) -> Pairs:
    """Yield the processors that virtual ones are pinned to: one group of the mask for each, the first for the rest."""
    for at, vm in running_machines(records):
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


def port_end(vm: Record, vif: Record) -> End:
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


def host_port_end(records: Records, pif: Record) -> End:
    return "Xen_HostNetworkPort", part(records.at("host", pif["host"]), pif)


def _pif_settings(records: Records, pif: Record) -> End:
    return "Xen_HostNetworkPortSettingData", part(records.at("host", pif["host"]), pif)


NETWORKING = {
    "Xen_ComputerSystemNetworkPort": rule_of(
        "Xen_SystemDevice", _vifs(lambda r, vm, vif: (machine(vm), port_end(vm, vif)))
    ),
    "Xen_HostedNetworkPort": rule_of(
        "Xen_HostedDependency", _vifs(lambda r, vm, vif: (_switch_port(r, vif), port_end(vm, vif)))
    ),
    "Xen_NetworkPortAllocatedFromPool": rule_of(
        "Xen_ElementAllocatedFromPool",
        _vifs(lambda r, vm, vif: (network_pool_end(r, _network(r, vif)), port_end(vm, vif))),
    ),
    "Xen_NetworkPortSettingAllocationFromPool": rule_of(
        "Xen_ResourceAllocationFromPool",
        lambda r: [(network_pool_end(r, _network(r, vif)), _port_settings(vm, vif)) for vm, vif in r.of_all("VIF")],
    ),
    "Xen_NetworkPortSettingDataComponent": rule_of(
        "Xen_VirtualSystemSettingDataComponent",
        lambda r: [(settings(vm), _port_settings(vm, vif)) for vm, vif in r.of_all("VIF")],
    ),
    "Xen_NetworkPortSettingsDefineState": rule_of(
        "Xen_SettingsDefineState", _vifs(lambda r, vm, vif: (port_end(vm, vif), _port_settings(vm, vif)))
    ),
    "Xen_NetworkPortElementSettingData": rule_of(
        "Xen_ElementSettingData", _vifs(lambda r, vm, vif: (machine(vm), _port_settings(vm, vif)))
    ),
    "Xen_NetworkPortSAPImplementation": rule_of(
        "Xen_DeviceSAPImplementation", _vifs(lambda r, vm, vif: (port_end(vm, vif), _endpoint(vif)))
    ),
    "Xen_HostedComputerSystemLANEndpoint": rule_of(
        "Xen_HostedAccessPoint", _vifs(lambda r, vm, vif: (machine(vm), _endpoint(vif)))
    ),
    "Xen_ActiveConnection": rule_of(
        "CIM_ActiveConnection",
        lambda r: [
            (_endpoint(vif), _switch_endpoint(vif)) for vm, vif in r.of_machines("VIF") if vif["currently_attached"]
        ],
    ),
    "Xen_VirtualSwitchVirtualSwitchPort": rule_of(
        "Xen_SystemDevice", _vifs(lambda r, vm, vif: (switch(_network(r, vif)), _switch_port(r, vif)))
    ),
    "Xen_VirtualSwitchPortSAPImplementation": rule_of(
        "Xen_DeviceSAPImplementation", _vifs(lambda r, vm, vif: (_switch_port(r, vif), _switch_endpoint(vif)))
    ),
    "Xen_HostedVirtualSwitchLANEndpoint": rule_of(
        "Xen_HostedAccessPoint", _vifs(lambda r, vm, vif: (switch(_network(r, vif)), _switch_endpoint(vif)))
    ),
    "Xen_HostComputerSystemNetworkPort": rule_of(
        "Xen_SystemDevice", lambda r: [(host(r.at("host", pif["host"])), host_port_end(r, pif)) for pif in r.all("PIF")]
    ),
    "Xen_HostNetworkPortSettingsDefineState": rule_of(
        "Xen_SettingsDefineState", lambda r: [(host_port_end(r, pif), _pif_settings(r, pif)) for pif in r.all("PIF")]
    ),
    "Xen_VirtualSwitchSettingDataComponent": rule_of(
        "Xen_VirtualSystemSettingDataComponent",
        lambda r: [
            (("Xen_VirtualSwitchSettingData", whole(_network(r, pif))), _pif_settings(r, pif)) for pif in r.all("PIF")
        ],
    ),
    "Xen_HostedNetworkConnectionPool": rule_of(
        "Xen_HostedResourcePool", lambda r: [(switch(each), network_pool_end(r, each)) for each in r.all("network")]
    ),
    "Xen_VirtualSwitchSettingsDefineState": rule_of(
        "Xen_SettingsDefineState",
        lambda r: [(switch(each), ("Xen_VirtualSwitchSettingData", whole(each))) for each in r.all("network")],
    ),
    "Xen_VirtualSwitchElementSettingData": rule_of(
        "Xen_ElementSettingData",
        lambda r: [(switch(each), ("Xen_VirtualSwitchSettingData", whole(each))) for each in r.all("network")],
    ),
    "Xen_NetworkConnectionPoolAllocationCapabilities": rule_of(
        "Xen_ElementCapabilities",
        lambda r: [(network_pool_end(r, each), network_capabilities_end(each)) for each in r.all("network")],
    ),
    "Xen_VirtualSwitchPortAllocationCapabilities": rule_of(
        "Xen_ElementCapabilities",
        lambda r: [(switch(each), network_capabilities_end(each)) for each in r.all("network")],
    ),
}


def network_capabilities_end(network: Record) -> End:
    word = "NetworkConnectionAllocationCapabilities"
    return f"Xen_{word}", part(network, word)


# Storage


def storage_capabilities_end(sr: Record) -> End:
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
            yield host(own), image_end(records, vdi)


def _setting_pools(records: Records) -> Pairs:
    for vm, vbd in records.of_all("VBD"):
        vdi = records.at("VDI", vbd["VDI"])
        if vdi:
            yield storage_pool_end(records, records.at("SR", vdi["SR"])), ("Xen_DiskSettingData", part(vm, vbd))


STORAGE = {
    **dict(_disk_rules()),
    "Xen_DiskSettingDataComponent": rule_of(
        "Xen_VirtualSystemSettingDataComponent",
        lambda r: [(settings(vm), ("Xen_DiskSettingData", part(vm, vbd))) for vm, vbd in r.of_all("VBD")],
    ),
    "Xen_DiskElementSettingData": rule_of(
        "Xen_ElementSettingData",
        lambda r: [(machine(vm), ("Xen_DiskSettingData", part(vm, vbd))) for vm, vbd in r.of_machines("VBD")],
    ),
    "Xen_DiskSettingAllocationFromPool": rule_of("Xen_ResourceAllocationFromPool", _setting_pools),
    "Xen_StoragePoolComponent": rule_of(
        "Xen_ConcreteComponent",
        lambda r: [(storage_pool_end(r, r.at("SR", vdi["SR"])), image_end(r, vdi)) for vdi in r.all("VDI")],
    ),
    "Xen_HostedStoragePool": rule_of(
        "Xen_HostedResourcePool", lambda r: [(host(at), storage_pool_end(r, sr)) for at, sr in _attached(r)]
    ),
    "Xen_StoragePoolAllocationCapabilities": rule_of(
        "Xen_ElementCapabilities",
        lambda r: [(storage_pool_end(r, sr), storage_capabilities_end(sr)) for sr in r.all("SR")],
    ),
    "Xen_HostStorageAllocationCapabilities": rule_of(
        "Xen_ElementCapabilities", lambda r: [(host(at), storage_capabilities_end(sr)) for at, sr in _attached(r)]
    ),
    "Xen_HostComputerSystemDiskImage": rule_of("Xen_SystemDevice", _images_of_hosts),
}
