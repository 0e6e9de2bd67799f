"""Which instances each class has to have, with which values, by the rules of the model, from Xen-API records alone.

A rule gives, for each instance, its properties that are not NULL. Values that are samples are compared elsewhere
(tests/xen_providers/test_sampling.py); here it is enough that they are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeAlias

from oracle_associations import ALIVE
from oracle_records import Record, Records, pairs, part, vcpus, when, whole

Properties: TypeAlias = dict[str, Any]
Instances: TypeAlias = Callable[[Records], Iterable[Properties]]

MOVING = {"LoadPercentage", "MetricValue", "TimeStamp", "TimeOfLastStateChange"}
"""Properties that change from one look to the next, or tell when the bridge saw something."""
MEBI = 1 << 20

# States

HEALTHY = {"OperationalStatus": [2], "Status": "OK", "HealthState": 5}
STATE = {  # by power_state: EnabledState, OperationalStatus, Status
    "Running": (2, 2, "OK"),
    "Halted": (3, 15, "Stopped"),
    "Suspended": (6, 10, "Stopped"),
    "Paused": (9, 15, "Stopped"),
}
REQUESTS = {  # by operation that is allowed: the states that can be asked for
    "start": (2,),
    "resume": (2,),
    "unpause": (2,),
    "clean_shutdown": (3, 4),
    "suspend": (6,),
    "pause": (9,),
    "clean_reboot": (10,),
    "hard_reboot": (11, 32769),
    "hard_shutdown": (32768,),
}


def present(state: int) -> Properties:
    """Return what is said of the state of what is simply there."""
    return {**HEALTHY, "EnabledState": state, "EnabledDefault": 2, "RequestedState": 12}


def attached(record: Record) -> Properties:
    """Return what is said of the state of what can be attached."""
    is_on = record["currently_attached"]
    state = {"OperationalStatus": [2 if is_on else 15], "Status": "OK" if is_on else "Stopped", "HealthState": 5}
    return {**state, "EnabledState": 2 if is_on else 6, "EnabledDefault": 2, "RequestedState": 12}


def device(name: str, system: str, owner: Record, id_: str) -> Properties:
    """Return the keys of a device."""
    keys = {"SystemCreationClassName": system, "SystemName": owner["uuid"]}
    return {**keys, "CreationClassName": name, "DeviceID": part(owner, id_)}


def of_machine(name: str, vm: Record, id_: str) -> Properties:
    """Return the keys of a device of a virtual machine."""
    return device(name, "Xen_ComputerSystem", vm, id_)


def of_host(name: str, host: Record, id_: str) -> Properties:
    """Return the keys of a device of a host."""
    return device(name, "Xen_HostComputerSystem", host, id_)


# Virtual machines and hosts

OS = {
    "name": "OS Name",
    "uname": "OS UName",
    "major": "Major Version",
    "minor": "Minor Version",
    "distro": "OS Distribution",
}


def _machines(records: Records) -> Iterator[Properties]:
    for vm in records.machines:
        state, status, word = STATE[vm["power_state"]]
        guest = records.at("VM_guest_metrics", vm["guest_metrics"]).get("os_version")
        requests = {number for each in vm["allowed_operations"] for number in REQUESTS.get(each, ())}
        domain_0 = vm["is_control_domain"]
        owner = vm["other_config"]
        yield {
            "CreationClassName": "Xen_ComputerSystem",
            "Name": vm["uuid"],
            "NameFormat": "Other",
            "InstanceID": whole(vm),
            "Caption": "XenServer Host" if domain_0 else "Xen Virtual Machine",
            "ElementName": vm["name_label"],
            "Description": vm["name_description"],
            "EnabledState": state,
            "EnabledDefault": 2,
            "RequestedState": 12 if domain_0 else 5,
            "AvailableRequestedStates": [] if domain_0 else sorted(requests),
            "OperationalStatus": [status],
            "Status": word,
            "HealthState": 5,
            "ResetCapability": 1,
            "InstallDate": when(records.at("VM_metrics", vm["metrics"])["install_time"]),
            "TimeOfLastStateChange": "known" if vm["power_state"] in ALIVE else None,
            "Host": records.host_of(vm).get("uuid"),
            "IdentifyingDescriptions": None if guest is None else [OS[key] for key in OS if key in guest],
            "OtherIdentifyingInfo": None if guest is None else [guest[key] for key in OS if key in guest],
            "PrimaryOwnerName": owner.get("owner"),
            "PrimaryOwnerContact": owner.get("owner_contact"),
            "Roles": owner["roles"].split(",") if "roles" in owner else None,
        }


def _uri(records: Records, ref: str) -> str | None:
    vm = records.at("VM", ref)
    if not vm:
        return None
    kind = "Snapshot" if vm["is_a_snapshot"] else "Template" if vm["is_a_template"] else "SettingData"
    return f'root/cimv2:Xen_ComputerSystem{kind}.InstanceID="{whole(vm)}"'


def _system_settings(records: Records, vm: Record, caption: str) -> Properties:
    actions = {"destroy": 2, "preserve": 2, "coredump_and_destroy": 2}
    return {
        "InstanceID": whole(vm),
        "Caption": caption,
        "ElementName": vm["name_label"],
        "Description": vm["name_description"],
        "VirtualSystemIdentifier": vm["uuid"],
        "VirtualSystemType": "DMTF:Xen:HVM" if "order" in vm["HVM_boot_params"] else "DMTF:Xen:PV",
        "CreationTime": when(records.at("VM_metrics", vm["metrics"])["install_time"]),
        "AutomaticStartupAction": 3 if vm["actions_after_reboot"] == "restart" else 2,
        "AutomaticShutdownAction": 2 if vm["actions_after_shutdown"] == "destroy" else None,
        "AutomaticRecoveryAction": actions.get(vm["actions_after_crash"], 3),
        "HVM_Boot_Policy": vm["HVM_boot_policy"],
        "HVM_Boot_Params": pairs(vm["HVM_boot_params"]),
        "HVM_ShadowMultiplier": vm["HVM_shadow_multiplier"],
        "PV_Bootloader": vm["PV_bootloader"],
        "PV_Bootloader_Args": vm["PV_bootloader_args"],
        "PV_Kernel": vm["PV_kernel"],
        "PV_RAMDisk": vm["PV_ramdisk"],
        "PV_Args": vm["PV_args"],
        "PV_Legacy_Args": vm["PV_legacy_args"],
        "Platform": pairs(vm["platform"]),
        "Other_Config": pairs(vm["other_config"]),
        "Xenstore_Data": pairs(vm["xenstore_data"]),
        "Parent": _uri(records, vm["parent"]),
        "Children": [_uri(records, each) for each in vm["children"]],
    }


def _guest(records: Records, vm: Record) -> Properties:
    guest = records.at("VM_guest_metrics", vm["guest_metrics"])
    if not guest:
        return {}
    return {
        "OS_Version": pairs(guest["os_version"]),
        "PV_Drivers_Version": pairs(guest["PV_drivers_version"]),
        "PV_Drivers_UpToDate": guest["PV_drivers_up_to_date"],
    }


def _free(records: Records, cls: str, field: str, vm: Record, slots: int) -> str:
    taken = {each[field] for each in records.each(cls, "VM", vm)}
    return ",".join(str(number) for number in range(slots) if str(number) not in taken)


def _machine_settings(records: Records) -> Iterator[Properties]:
    for vm in records.machines:
        yield {
            **_system_settings(records, vm, "Settings of a Xen virtual machine"),
            **_guest(records, vm),
            "StartTime": when(records.at("VM_metrics", vm["metrics"])["start_time"]),
            "Host": records.host_of(vm).get("uuid"),
            "HostAffinity": records.at("host", vm["affinity"]).get("uuid"),
            "AvailableBlockDeviceSlots": _free(records, "VBD", "userdevice", vm, 16),
            "AvailableNetworkInterfaceSlots": _free(records, "VIF", "device", vm, 7),
            "Xen_Tools_AreRunning": "clean_shutdown" in vm["allowed_operations"],
        }


def _snapshots(records: Records) -> Iterator[Properties]:
    for vm in records.snapshots:
        of = records.at("VM", vm["snapshot_of"])
        keys = f'CreationClassName="Xen_ComputerSystem",Name="{of["uuid"]}"' if of else ""
        yield {
            **_system_settings(records, vm, "Snapshot of a Xen virtual machine"),
            **_guest(records, vm),
            "SnapshotOf": f"root/cimv2:Xen_ComputerSystem.{keys}" if of else None,
            "SnapshotTime": when(vm["snapshot_time"]),
        }


def _machine_capabilities(records: Records) -> Iterator[Properties]:
    for vm in records.machines:
        yield {
            "InstanceID": whole(vm),
            "Caption": "What can be asked of a Xen virtual machine",
            "ElementName": vm["name_label"],
            "ElementNameEditSupported": False,
            "RequestedStatesSupported": [] if vm["is_control_domain"] else [2, 3, 4, 6, 9, 10, 11],
        }


def _hosts(records: Records) -> Iterator[Properties]:
    for host in records.all("host"):
        enabled, other = host["enabled"], host["other_config"]
        version = host["software_version"]
        product = [version[key] for key in ("product_brand", "product_version", "build_number")]
        yield {
            "CreationClassName": "Xen_HostComputerSystem",
            "Name": host["uuid"],
            "NameFormat": "Other",
            "Caption": "Xen Host",
            "ElementName": host["name_label"],
            "Description": host["name_description"],
            "Dedicated": [2],
            "AvailableRequestedStates": [3] if enabled else [2, 4, 10],
            "EnabledState": 2 if enabled else 6,
            "EnabledDefault": 2,
            "RequestedState": 5,
            "OperationalStatus": [2 if enabled else 10],
            "Status": "OK" if enabled else "Stopped",
            "HealthState": 5,
            "IdentifyingDescriptions": ["IPv4Address", "ProductBrand", "ProductVersion", "BuildNumber"],
            "OtherIdentifyingInfo": [host["address"], *product],
            "OtherConfig": pairs(other),
            "StartTime": epoch(other.get("boot_time")),
            "CN": other.get("host_cn"),
        }


def epoch(text: str | None) -> str | None:
    """Return a moment that is written in seconds, as CIM writes it."""
    return None if text is None else f"{datetime.fromtimestamp(float(text), UTC):%Y%m%d%H%M%S}.000000+000"


# Processors and memory


def _processors(records: Records) -> Iterator[Properties]:
    for vm in records.machines:
        physical = records.processors_of(records.host_of(vm))
        load = records.at("VM_metrics", vm["metrics"])["VCPUs_utilisation"]
        for number in vcpus(vm):
            cpu = physical.get(number)
            yield {
                **of_machine("Xen_Processor", vm, f"VCPU{number}"),
                **present(5),
                "Caption": "Virtual processor",
                "ElementName": vm["name_label"],
                "Name": vm["uuid"],
                "Role": "Virtual Processor",
                "LoadPercentage": "known" if str(number) in load else None,
                **(_of_cpu(cpu) if cpu else {}),
            }


def _of_cpu(cpu: Record) -> Properties:
    speed = int(cpu["speed"])
    family = 179 if "Xeon" in cpu["modelname"] else 2
    return {"CurrentClockSpeed": speed, "MaxClockSpeed": speed, "Family": family, "Stepping": cpu["stepping"]}


def _host_processors(records: Records) -> Iterator[Properties]:
    for cpu in records.all("host_cpu"):
        yield {
            **of_host("Xen_HostProcessor", records.at("host", cpu["host"]), cpu["uuid"]),
            **present(2),
            **_of_cpu(cpu),
            "Caption": "Processor of a Xen host",
            "ElementName": cpu["vendor"],
            "Name": cpu["vendor"],
            "Description": cpu["modelname"],
            "Role": "Central Processor",
            "UniqueID": cpu["uuid"],
            "LoadPercentage": "known",
            "CPUStatus": 1,
            "Availability": 3,
        }


def _bytes(size: Any, free: Any) -> Properties:
    return {
        "Access": 3,
        "BlockSize": 1,
        "NumberOfBlocks": int(size),
        "ConsumableBlocks": int(free),
        "StartingAddress": 0,
        "EndingAddress": max(int(size) // 1024 - 1, 0),
        "Volatile": True,
    }


def _memory(records: Records) -> Iterator[Properties]:
    for vm in records.machines:
        yield {
            **of_machine("Xen_Memory", vm, "Memory"),
            **present(5),
            **_bytes(vm["memory_dynamic_max"], records.at("VM_metrics", vm["metrics"])["memory_actual"]),
            "Caption": "Virtual memory",
            "ElementName": vm["name_label"],
            "Name": vm["uuid"],
        }


def _host_memory(records: Records) -> Iterator[Properties]:
    for host in records.all("host"):
        metrics = records.at("host_metrics", host["metrics"])
        yield {
            **of_host("Xen_HostMemory", host, "Memory"),
            **present(2),
            **_bytes(metrics["memory_total"], metrics["memory_free"]),
            "Caption": "Memory of a Xen host",
            "ElementName": host["name_label"],
            "Name": host["uuid"],
            "Primordial": True,
        }


ALLOCATED = {"AutomaticAllocation": True, "AutomaticDeallocation": True}


def units(text: str) -> Properties:
    """Return the units of what is allocated."""
    return {"AllocationUnits": text, "VirtualQuantityUnits": text}


def _processor_settings(records: Records) -> Iterator[Properties]:
    for vm in records.all("VM"):
        scheduling = {key: int(text) or None for key, text in vm["VCPUs_params"].items() if text.isdigit()}
        yield {
            **ALLOCATED,
            **units("count"),
            "InstanceID": part(vm, "Processor"),
            "Caption": "Settings of virtual processors",
            "ElementName": vm["name_label"],
            "ResourceType": 3,
            "PoolID": records.host_of(vm).get("uuid"),
            "ConsumerVisibility": 3,
            "VirtualQuantity": int(vm["VCPUs_max"]),
            "Reservation": int(vm["VCPUs_at_startup"]),
            "Limit": scheduling.get("cap"),
            "Weight": scheduling.get("weight"),
        }


def _memory_settings(records: Records) -> Iterator[Properties]:
    for vm in records.all("VM"):
        actual = int(records.at("VM_metrics", vm["metrics"])["memory_actual"])
        yield {
            **ALLOCATED,
            **units("byte*2^20"),
            "InstanceID": part(vm, "Memory"),
            "Caption": "Settings of virtual memory",
            "ElementName": vm["name_label"],
            "ResourceType": 4,
            "PoolID": records.host_of(vm).get("uuid"),
            "ConsumerVisibility": 2,
            "VirtualQuantity": round((actual or int(vm["memory_static_max"])) / MEBI),
            "Reservation": round(int(vm["memory_dynamic_min"]) / MEBI),
            "Limit": round(int(vm["memory_dynamic_max"]) / MEBI),
        }


def _host_pools(word: str, caption: str, type_: int, more: Callable[[Records, Record], Properties]) -> Instances:
    def pools(records: Records) -> Iterator[Properties]:
        for host in records.all("host"):
            yield {
                **HEALTHY,
                "InstanceID": part(host, f"{word}Pool"),
                "PoolID": host["uuid"],
                "Name": f"{word}Pool",
                "Caption": caption,
                "ElementName": host["name_label"],
                "Primordial": True,
                "ResourceType": type_,
                **more(records, host),
            }

    return pools


def _memory_of(records: Records, host: Record) -> Properties:
    metrics = records.at("host_metrics", host["metrics"])
    total, free = int(metrics["memory_total"]), int(metrics["memory_free"])
    subtype = {"ResourceSubType": "Xen Memory", "AllocationUnits": "byte"}
    return {**subtype, "Capacity": total, "Reserved": total - free}


def _processors_of(records: Records, host: Record) -> Properties:
    count = len(records.processors_of(host))
    return {"ResourceSubType": "xen:vcpu", "AllocationUnits": "count", "Capacity": count, "Reserved": 0}


# Consoles and key-value pairs


def _console(vm: Record, console: Record) -> Properties:
    return {
        "ElementName": vm["name_label"],
        "Description": f"Console of a virtual machine, by the protocol {console['protocol']}",
        "Protocol": {"vt100": 0, "rfb": 1, "rdp": 2}[console["protocol"]],
        "URI": console["location"],
    }


def _consoles(records: Records) -> Iterator[Properties]:
    for vm, console in records.of_machines("console"):
        yield {
            **of_machine("Xen_Console", vm, console["uuid"]),
            **present(5),
            **_console(vm, console),
            "Caption": "Xen console",
            "Name": vm["name_label"],
        }


ONE = {**ALLOCATED, **units("count"), "ConsumerVisibility": 3, "VirtualQuantity": 1}


def _console_settings(records: Records) -> Iterator[Properties]:
    for vm, console in records.of_all("console"):
        id_ = {"InstanceID": part(vm, console), "Caption": "Settings of a Xen console", "ResourceType": 24}
        yield {**ONE, **id_, **_console(vm, console)}


def _kvps(records: Records) -> Iterator[Properties]:
    for vm in records.machines:
        for key, text in records.kvps(vm).items():
            names = {"Caption": "Key-value pair", "ElementName": key, "Name": key}
            pair = {"Key": key, "Value": text, "Vm_uuid": vm["uuid"]}
            yield {**of_machine("Xen_KVP", vm, key), **present(5), **names, **pair}


def _kvp_settings(records: Records) -> Iterator[Properties]:
    for vm in records.all("VM"):
        for key, text in records.kvps(vm).items():
            names = {"InstanceID": part(vm, key), "Caption": "Settings of a key-value pair", "ElementName": key}
            kind = {"ResourceType": 1, "OtherResourceType": "KVP"}
            yield {**ONE, **names, **kind, "key": key, "value": text, "VM_ID": vm["uuid"]}


INSTANCES: dict[str, Instances] = {
    "Xen_ComputerSystem": _machines,
    "Xen_ComputerSystemSettingData": _machine_settings,
    "Xen_ComputerSystemTemplate": lambda r: [
        _system_settings(r, vm, "Template for a Xen virtual machine") for vm in r.templates
    ],
    "Xen_ComputerSystemSnapshot": _snapshots,
    "Xen_ComputerSystemCapabilities": _machine_capabilities,
    "Xen_HostComputerSystem": _hosts,
    "Xen_HostComputerSystemCapabilities": lambda r: [
        {
            "InstanceID": whole(each),
            "Caption": "What can be asked of a Xen host",
            "ElementName": each["name_label"],
            "ElementNameEditSupported": False,
            "RequestedStatesSupported": [2, 3, 4, 10],
        }
        for each in r.all("host")
    ],
    "Xen_Processor": _processors,
    "Xen_HostProcessor": _host_processors,
    "Xen_ProcessorSettingData": _processor_settings,
    "Xen_ProcessorPool": _host_pools("Processor", "Processors of a Xen host", 3, _processors_of),
    "Xen_Memory": _memory,
    "Xen_HostMemory": _host_memory,
    "Xen_MemorySettingData": _memory_settings,
    "Xen_MemoryPool": _host_pools("Memory", "Memory of a Xen host", 4, _memory_of),
    "Xen_Console": _consoles,
    "Xen_ConsoleSettingData": _console_settings,
    "Xen_KVP": _kvps,
    "Xen_KVPSettingData": _kvp_settings,
}
