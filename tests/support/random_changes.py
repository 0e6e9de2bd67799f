"""Changes of a pool, chosen at random: calls of the Xen-API, methods of CIM, and what no method should be given.

Each is declared with holes for what is chosen when it is made: an object that there is now, or a value.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeAlias

from cim_provider import Instance, InstanceName
from xen_providers.mapping.view import XenView

Record: TypeAlias = Mapping[str, Any]

NULL = "OpaqueRef:NULL"
MISSING = object()
"""What fills a hole that stays empty: the entry of the mapping or list is left out."""


class NothingThereError(Exception):
    """There is no object that a hole could be filled with."""


class Hole(ABC):
    """Something to be chosen when a change is made."""

    @abstractmethod
    def fill(self, view: XenView, random: Random) -> Any:
        """Choose it from what there is."""


def filled(template: Any, view: XenView, random: Random) -> Any:
    """Return a template with all its holes filled."""
    if isinstance(template, Hole):
        return template.fill(view, random)
    if isinstance(template, Mapping):
        entries = ((key, filled(value, view, random)) for key, value in template.items())
        return {key: value for key, value in entries if value is not MISSING}
    if isinstance(template, list):
        return [value for each in template if (value := filled(each, view, random)) is not MISSING]
    if isinstance(template, Instance):
        return Instance(template.class_name, filled(template.properties, view, random))
    return template


def anything(record: Record) -> bool:
    return True


@dataclass(frozen=True)
class Object(Hole):
    """An object of the Xen-API: its reference, or another field of it."""

    cls: str
    where: Callable[[Record], bool] = anything
    field: str = ""

    def fill(self, view: XenView, random: Random) -> Any:
        found = [ref for ref, record in view.version.records(self.cls).items() if self.where(record)]
        if not found:
            raise NothingThereError
        ref = random.choice(found)
        return view.version.get(self.cls, ref)[self.field] if self.field else ref

    @property
    def uuid(self) -> Object:
        return Object(self.cls, self.where, "uuid")


@dataclass(frozen=True)
class Name(Hole):
    """The path of an instance of one of some classes."""

    classes: tuple[str, ...]

    def fill(self, view: XenView, random: Random) -> Any:
        found = [each.name for name in self.classes for each in view.instances(name)]
        if not found:
            raise NothingThereError
        return random.choice(found)


@dataclass(frozen=True)
class Id(Hole):
    """The InstanceID of an instance of a class."""

    class_name: str

    def fill(self, view: XenView, random: Random) -> Any:
        return Name((self.class_name,)).fill(view, random).get("InstanceID")


@dataclass(frozen=True)
class Maybe(Hole):
    """Something that may be left out."""

    template: Any

    def fill(self, view: XenView, random: Random) -> Any:
        return filled(self.template, view, random) if random.random() < 0.5 else MISSING


@dataclass(frozen=True)
class OneOf(Hole):
    """One of several templates."""

    templates: Sequence[Any]

    def fill(self, view: XenView, random: Random) -> Any:
        return filled(random.choice(self.templates), view, random)


@dataclass(frozen=True)
class Some(Hole):
    """A list of what a template makes."""

    template: Any
    most: int = 3

    def fill(self, view: XenView, random: Random) -> Any:
        return [filled(self.template, view, random) for _ in range(random.randint(1, self.most))]


class Garbage(Hole):
    """What a parameter or property should not be, or something that exists and is of another kind."""

    def fill(self, view: XenView, random: Random) -> Any:
        return filled(random.choice(GARBAGE), view, random)


def _is_machine(record: Record) -> bool:
    return not (record["is_a_template"] or record["is_a_snapshot"] or record["is_control_domain"])


def _machine(*power_states: str) -> Object:
    return Object("VM", lambda record: _is_machine(record) and record["power_state"] in power_states)


MACHINE = Object("VM", _is_machine)
HALTED, RUNNING, PAUSED, SUSPENDED = (_machine(state) for state in ("Halted", "Running", "Paused", "Suspended"))
SNAPSHOT = Object("VM", lambda record: record["is_a_snapshot"])
TEMPLATE = Object("VM", lambda record: record["is_a_template"] and not record["is_a_snapshot"])
HOST, SR, VDI, NETWORK = (Object(cls) for cls in ("host", "SR", "VDI", "network"))
FREE_NETWORK = Object("network", lambda record: not record["VIFs"] and not record["PIFs"])
DEVICE = Object("PIF", lambda record: int(record["VLAN"]) < 0)
CD = Object("VBD", lambda record: record["type"] == "CD")
MINE = "task of nobody's work"
TASK = Object("task", lambda record: record["name_label"] == MINE)

WORDS = OneOf(["red", "green", "blue", 'a "quoted" one', "ä, ö & <ü>"])
FLAG = OneOf((True, False))
PLACE = OneOf(["0", "1", "2", "3", "4", "5"])
SIZES = (1 << 20, 8 << 20, 3 << 30)
SIZE, SIZE_AS_TEXT = OneOf(SIZES), OneOf([str(each) for each in SIZES])
PAIRS = {key: Maybe(OneOf(["true", "x"])) for key in ["owner", "roles", "kvp_enabled", "note"]}
DATA = {key: Maybe(OneOf(["1", "2"])) for key in ["vm-data/a", "vm-data/b", "other"]}
SCHEDULING = {key: Maybe(OneOf(["0", "1", "64"])) for key in ["weight", "cap", "mask"]}
MEMORY_SIZES = OneOf([str(number << 20) for number in (64, 128, 256, 512)])
QOS = {"qos_algorithm_type": "", "qos_algorithm_params": {}}

NEW_DISK = {
    "name_label": WORDS,
    "SR": SR,
    "virtual_size": SIZE_AS_TEXT,
    "type": "user",
    "sharable": FLAG,
    "read_only": False,
    "other_config": {},
}
NEW_DRIVE = {
    "VM": MACHINE,
    "VDI": OneOf((VDI, NULL)),
    "userdevice": PLACE,
    "bootable": FLAG,
    "mode": OneOf(["RO", "RW"]),
    "type": OneOf(["Disk", "Disk", "CD"]),
    "empty": FLAG,
    "other_config": {},
    **QOS,
}
NEW_PORT = {"VM": MACHINE, "network": NETWORK, "device": PLACE, "MAC": "", "MTU": "1500", "other_config": {}, **QOS}

CALLS: tuple[tuple[Any, ...], ...] = (
    ("VM.start", HALTED, FLAG, False),
    ("VM.clean_shutdown", RUNNING),
    ("VM.hard_shutdown", MACHINE),
    ("VM.clean_reboot", RUNNING),
    ("VM.hard_reboot", RUNNING),
    ("VM.pause", RUNNING),
    ("VM.unpause", PAUSED),
    ("VM.suspend", RUNNING),
    ("VM.resume", SUSPENDED, FLAG, False),
    ("VM.power_state_reset", MACHINE),
    ("VM.pool_migrate", RUNNING, HOST, {"live": "true"}),
    ("VM.snapshot", MACHINE, WORDS),
    ("VM.checkpoint", RUNNING, WORDS),
    ("VM.revert", SNAPSHOT),
    ("VM.clone", Object("VM"), WORDS),
    ("VM.copy", MACHINE, WORDS, OneOf((SR, NULL))),
    ("VM.destroy", OneOf((HALTED, SNAPSHOT, TEMPLATE))),
    ("VM.set_is_a_template", HALTED, True),
    ("VM.set_is_a_template", OneOf((TEMPLATE, SNAPSHOT)), False),
    ("VM.set_name_label", Object("VM"), WORDS),
    ("VM.set_name_description", Object("VM"), WORDS),
    ("VM.set_tags", MACHINE, [Maybe(WORDS)]),
    ("VM.set_user_version", MACHINE, "7"),
    ("VM.set_other_config", Object("VM"), PAIRS),
    ("VM.set_xenstore_data", Object("VM"), DATA),
    ("VM.set_affinity", MACHINE, OneOf((HOST, NULL))),
    ("VM.set_VCPUs_params", MACHINE, SCHEDULING),
    ("VM.set_VCPUs_max", HALTED, OneOf("1234")),
    ("VM.set_VCPUs_at_startup", HALTED, OneOf("1234")),
    ("VM.set_VCPUs_number_live", RUNNING, OneOf("12")),
    ("VM.set_memory_limits", HALTED, *[MEMORY_SIZES] * 4),
    ("VM.set_memory_dynamic_range", MACHINE, MEMORY_SIZES, MEMORY_SIZES),
    ("VM.set_actions_after_reboot", MACHINE, OneOf(["destroy", "restart"])),
    ("VM.set_HVM_boot_params", HALTED, OneOf([{}, {"order": "cd"}])),
    ("VBD.create", NEW_DRIVE),
    ("VBD.destroy", Object("VBD")),
    ("VBD.plug", Object("VBD")),
    ("VBD.unplug", Object("VBD")),
    ("VBD.insert", CD, VDI),
    ("VBD.eject", CD),
    ("VBD.set_userdevice", Object("VBD"), PLACE),
    ("VBD.set_mode", Object("VBD"), OneOf(["RO", "RW"])),
    ("VIF.create", NEW_PORT),
    ("VIF.destroy", Object("VIF")),
    ("VIF.plug", Object("VIF")),
    ("VIF.unplug", Object("VIF")),
    ("VIF.move", Object("VIF"), NETWORK),
    ("VDI.create", NEW_DISK),
    ("VDI.destroy", VDI),
    ("VDI.clone", VDI, {}),
    ("VDI.snapshot", VDI, {}),
    ("VDI.resize", VDI, SIZE_AS_TEXT),
    ("VDI.set_name_label", VDI, WORDS),
    ("SR.set_name_label", SR, WORDS),
    ("SR.forget", SR),
    ("PBD.plug", Object("PBD")),
    ("PBD.unplug", Object("PBD")),
    ("network.create", {"name_label": WORDS, "name_description": "", "other_config": PAIRS}),
    ("network.destroy", FREE_NETWORK),
    ("network.set_name_label", NETWORK, WORDS),
    ("network.set_MTU", NETWORK, OneOf(["1500", "9000"])),
    ("network.set_other_config", NETWORK, PAIRS),
    ("VLAN.create", DEVICE, OneOf(["7", "8"]), FREE_NETWORK),
    ("VLAN.destroy", Object("VLAN")),
    ("Bond.destroy", Object("Bond")),
    ("PIF.reconfigure_ip", DEVICE, OneOf(["None", "DHCP"]), "", "", "", ""),
    ("PIF.unplug", Object("PIF")),
    ("PIF.plug", Object("PIF")),
    ("console.create", {"VM": MACHINE, "protocol": OneOf(["rfb", "vt100"]), "other_config": {}}),
    ("console.destroy", Object("console")),
    ("host.disable", HOST),
    ("host.enable", HOST),
    ("host.evacuate", HOST),
    ("host.set_name_label", HOST, WORDS),
    ("host.set_other_config", HOST, PAIRS),
    ("pool.set_name_label", Object("pool"), WORDS),
    ("pool.set_default_SR", Object("pool"), OneOf((SR, NULL))),
    ("task.create", MINE, WORDS),
    ("task.set_other_config", TASK, {"xen-cim:job": "Xen_SystemStateChangeJob", "xen-cim:affected_vm": MACHINE}),
    ("task.set_progress", TASK, OneOf([0.25, 0.5])),
    ("task.cancel", TASK),
    ("task.destroy", Object("task")),
    ("Async.VM.start", HALTED, False, False),
    ("Async.VM.clean_shutdown", RUNNING),
    ("Async.VM.copy", MACHINE, WORDS, NULL),
)
"""Messages and their parameters."""


def _settings(class_name: str, **properties: Any) -> Instance:
    return Instance(class_name, properties)


COUNT = OneOf(range(1, 5))
SETTINGS = {
    "ElementName": WORDS,
    "Description": Maybe(WORDS),
    "VirtualSystemType": OneOf(["DMTF:xen:PV", "DMTF:xen:HVM"]),
    "Other_Config": Maybe(["owner=me", "roles=web, mail"]),
    "AutomaticStartupAction": Maybe(OneOf([2, 3, 4])),
    "HostAffinity": Maybe(OneOf((HOST.uuid, ""))),
    "Xenstore_Data": Maybe(["vm-data/a=5"]),
}
SYSTEM_SETTINGS = _settings("Xen_ComputerSystemSettingData", **SETTINGS)
PROCESSORS = {"VirtualQuantity": COUNT, "Weight": Maybe(OneOf([100, 256])), "Limit": Maybe(50)}
MEMORY = {"VirtualQuantity": OneOf([64, 128, 300]), "AllocationUnits": Maybe("byte*2^20")}
DISK = {
    "ElementName": Maybe(WORDS),
    "ResourceType": 19,
    "VirtualQuantity": SIZE,
    "PoolID": Maybe(SR.uuid),
    "AddressOnParent": Maybe(PLACE),
    "Access": Maybe(OneOf([1, 3])),
}
RESOURCE = OneOf(
    (
        _settings("Xen_ProcessorSettingData", **PROCESSORS),
        _settings("Xen_MemorySettingData", **MEMORY),
        _settings("Xen_DiskSettingData", **DISK),
        _settings("Xen_DiskSettingData", **DISK),
        _settings("Xen_DiskSettingData", ResourceType=19, HostResource=[VDI.uuid]),
        _settings("Xen_DiskSettingData", ResourceType=16, HostResource=Maybe([VDI.uuid])),
        _settings("Xen_NetworkPortSettingData", PoolID=NETWORK.uuid, AddressOnParent=Maybe(PLACE)),
        _settings("CIM_ResourceAllocationSettingData", ResourceType=33, PoolID=NETWORK.uuid),
        _settings("Xen_ConsoleSettingData", Protocol=Maybe(OneOf(range(3)))),
        _settings("Xen_KVPSettingData", key=OneOf("ab"), value=WORDS),
    )
)
CHANGE = OneOf(
    (
        _settings("Xen_ProcessorSettingData", InstanceID=Id("Xen_ProcessorSettingData"), **PROCESSORS),
        _settings("Xen_MemorySettingData", InstanceID=Id("Xen_MemorySettingData"), **MEMORY),
        _settings("Xen_DiskSettingData", InstanceID=Id("Xen_DiskSettingData"), **DISK),
        _settings("Xen_NetworkPortSettingData", InstanceID=Id("Xen_NetworkPortSettingData"), PoolID=NETWORK.uuid),
        _settings("Xen_KVPSettingData", InstanceID=Id("Xen_KVPSettingData"), key="a", value=WORDS),
    )
)
RESOURCES = (
    "Xen_DiskSettingData",
    "Xen_NetworkPortSettingData",
    "Xen_ConsoleSettingData",
    "Xen_KVPSettingData",
)
UPLINK = OneOf(
    (
        _settings(
            "Xen_HostNetworkPortSettingData",
            Connection=[OneOf(["eth0", "eth1", "eth2", "bond0"])],
            VlanTag=OneOf([0, 7, "9"]),
            PoolID=Maybe(HOST.uuid),
        ),
        _settings("Xen_HostNetworkPortSettingData", Connection=["eth2", OneOf(["eth1", "eth3"])]),
    )
)

SYSTEMS, MIGRATIONS, SNAPSHOTS, STORAGE, SWITCHES, POOL = (
    "Xen_VirtualSystemManagementService",
    "Xen_VirtualSystemMigrationService",
    "Xen_VirtualSystemSnapshotService",
    "Xen_StoragePoolManagementService",
    "Xen_VirtualSwitchManagementService",
    "Xen_HostPool",
)
SYSTEM = Name(("Xen_ComputerSystem",))
JOBS = (
    "Xen_SystemStateChangeJob",
    "Xen_VirtualSystemCreateJob",
    "Xen_VirtualSystemMigrationServiceJob",
    "Xen_VirtualSystemModifyResourcesJob",
)


@dataclass(frozen=True)
class Method:
    """A method, the class whose instances have it, and its parameters."""

    cls: str
    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


METHODS = (
    Method(SYSTEMS, "DefineSystem", {"SystemSettings": SYSTEM_SETTINGS, "ResourceSettings": Maybe(Some(RESOURCE))}),
    Method(
        SYSTEMS,
        "DefineSystem",
        {
            "SystemSettings": SYSTEM_SETTINGS,
            "ReferenceConfiguration": OneOf((TEMPLATE.uuid, TEMPLATE.uuid, MACHINE.uuid, SNAPSHOT.uuid)),
            "ResourceSettings": Maybe(Some(RESOURCE)),
        },
    ),
    Method(
        SYSTEMS,
        "CopySystem",
        {
            "SystemSettings": SYSTEM_SETTINGS,
            "ReferenceConfiguration": OneOf((TEMPLATE.uuid, MACHINE.uuid, SNAPSHOT.uuid)),
            "StoragePool": Maybe(Name(("Xen_StoragePool",))),
        },
    ),
    Method(SYSTEMS, "DestroySystem", {"AffectedSystem": SYSTEM}),
    Method(SYSTEMS, "ConvertToXenTemplate", {"System": SYSTEM}),
    Method(SYSTEMS, "FindPossibleHostsToRunOn", {"System": SYSTEM}),
    Method(
        SYSTEMS,
        "ModifySystemSettings",
        {
            "SystemSettings": _settings(
                "Xen_ComputerSystemSettingData", InstanceID=Object("VM").uuid, HVM_Boot_Policy=Maybe(""), **SETTINGS
            )
        },
    ),
    Method(SYSTEMS, "AddResourceSetting", {"AffectedSystem": SYSTEM, "ResourceSetting": RESOURCE}),
    Method(
        SYSTEMS, "AddResourceSettings", {"AffectedConfiguration": Object("VM").uuid, "ResourceSettings": Some(RESOURCE)}
    ),
    Method(SYSTEMS, "AddResourceSettings", {"AffectedSystem": RUNNING.uuid, "ResourceSettings": Some(RESOURCE)}),
    Method(SYSTEMS, "ModifyResourceSettings", {"ResourceSettings": Some(CHANGE)}),
    Method(SYSTEMS, "RemoveResourceSettings", {"ResourceSettings": Some(Name(RESOURCES))}),
    Method(
        SYSTEMS,
        "RemoveResourceSettings",
        {
            "ResourceSettings": [
                _settings("Xen_ProcessorSettingData", InstanceID=Id("Xen_ProcessorSettingData"), VirtualQuantity=1)
            ]
        },
    ),
    Method(SYSTEMS, "StopService"),
    Method(SYSTEMS, "StartService"),
    Method(
        "Xen_ComputerSystem",
        "RequestStateChange",
        {"RequestedState": OneOf([2, 3, "4", 6, 9, 10, 11, 32768, 32769, 7])},
    ),
    Method(
        "Xen_ComputerSystem",
        "RequestStateChange",
        {"RequestedState": OneOf([2, 3, 6, 9])},
    ),
    Method("Xen_HostComputerSystem", "RequestStateChange", {"RequestedState": OneOf([2, 2, 2, 3, 4, 10, 7])}),
    Method(
        SNAPSHOTS,
        "CreateSnapshot",
        {
            "AffectedSystem": SYSTEM,
            "SnapshotType": Maybe(OneOf([2, 3, 32768])),
            "SnapshotSettings": Maybe(_settings("CIM_SettingData", ElementName=WORDS, Description=Maybe(WORDS))),
        },
    ),
    Method(SNAPSHOTS, "ApplySnapshot", {"Snapshot": Name(("Xen_ComputerSystemSnapshot",))}),
    Method(SNAPSHOTS, "DestroySnapshot", {"AffectedSnapshot": Name(("Xen_ComputerSystemSnapshot",))}),
    Method(
        MIGRATIONS,
        "MigrateVirtualSystemToHost",
        {"ComputerSystem": SYSTEM, "DestinationHost": Object("host", field="address")},
    ),
    Method(
        MIGRATIONS,
        "MigrateVirtualSystemToSystem",
        {"ComputerSystem": SYSTEM, "DestinationSystem": Name(("Xen_HostComputerSystem",))},
    ),
    Method(
        STORAGE,
        "CreateStoragePool",
        {
            "ElementName": WORDS,
            "Settings": _settings(
                "CIM_ResourceAllocationSettingData",
                ResourceSubType=OneOf(["nfs", "ext"]),
                Connection=["server=192.0.2.1", "serverpath=/export"],
            ),
        },
    ),
    Method(STORAGE, "DeleteResourcePool", {"Pool": Name(("Xen_StoragePool",))}),
    Method(STORAGE, "DetachStoragePool", {"Pool": Name(("Xen_StoragePool",))}),
    Method(STORAGE, "CreateDiskImage", {"ResourceSetting": _settings("Xen_DiskSettingData", **DISK)}),
    Method(STORAGE, "DeleteDiskImage", {"DiskImage": Name(("Xen_DiskImage",))}),
    Method(
        SWITCHES,
        "DefineSystem",
        {
            "SystemSettings": _settings("Xen_VirtualSwitchSettingData", ElementName=WORDS, Description=Maybe(WORDS)),
            "ResourceSettings": Maybe(Some(UPLINK, 2)),
        },
    ),
    Method(SWITCHES, "DestroySystem", {"AffectedSystem": Name(("Xen_VirtualSwitch",))}),
    Method(SWITCHES, "AddResourceSettings", {"AffectedConfiguration": NETWORK.uuid, "ResourceSettings": [UPLINK]}),
    Method(
        SWITCHES, "RemoveResourceSettings", {"ResourceSettings": Some(Name(("Xen_HostNetworkPortSettingData",)), 2)}
    ),
    Method(
        SWITCHES,
        "ModifyResourceSettings",
        {
            "ResourceSettings": [
                _settings(
                    "Xen_HostNetworkPortSettingData",
                    InstanceID=Id("Xen_HostNetworkPortSettingData"),
                    IPConfigurationMode=Maybe(OneOf(range(3))),
                    IPAddress=Maybe("192.0.2.7"),
                    IPSubnetMask=Maybe("255.255.255.0"),
                    ManagementPurpose=Maybe(WORDS),
                )
            ]
        },
    ),
    Method(
        SWITCHES,
        "ModifySystemSettings",
        {
            "SystemSettings": _settings(
                "Xen_VirtualSwitchSettingData",
                InstanceID=Id("Xen_VirtualSwitchSettingData"),
                ElementName=Maybe(WORDS),
                Description=Maybe(WORDS),
            )
        },
    ),
    Method(POOL, "Create", {"Name": WORDS, "Description": Maybe(WORDS)}),
    Method(POOL, "SetDefaultStoragePool", {"StoragePool": Name(("Xen_StoragePool",))}),
    *(
        Method(job, name, parameters)
        for job in JOBS
        for name, parameters in (
            ("RequestStateChange", {"RequestedState": OneOf([2, 4, 5])}),
            ("KillJob", {"DeleteOnKill": FLAG}),
            ("GetError", {}),
        )
    ),
)

GARBAGE: tuple[Any, ...] = (
    None,
    "",
    " ",
    "x" * 300,
    'Xen_ComputerSystem.Name="',
    "instance of Xen_X { A = 1; };",
    -1,
    0,
    1 << 63,
    1.5,
    True,
    datetime(2026, 1, 1, tzinfo=UTC),
    [],
    ["a", "a"],
    [None],
    Instance("Xen_X", {}),
    Instance("CIM_ResourceAllocationSettingData", {"ResourceType": 19, "VirtualQuantity": -5, "PoolID": 7}),
    InstanceName("Xen_X", ()),
    *(Object(cls, field="uuid") for cls in ("VM", "VBD", "VIF", "SR", "VDI", "PIF", "network", "host")),
    Name(("Xen_ComputerSystem", "Xen_HostComputerSystem", "Xen_VirtualSwitch", "Xen_StoragePool", "Xen_DiskImage")),
    Name(RESOURCES),
)


@dataclass(frozen=True)
class Spoiled(Hole):
    """The parameters of a method, one of them, or a property of one, spoiled."""

    method: Method

    def fill(self, view: XenView, random: Random) -> Any:
        parameters = filled(self.method.parameters, view, random)
        if not parameters:
            raise NothingThereError
        name = random.choice(sorted(parameters))
        parameters[name] = self._spoiled(parameters[name], view, random)
        return parameters

    def _spoiled(self, value: Any, view: XenView, random: Random) -> Any:
        if isinstance(value, list) and value and random.random() < 0.5:
            return [*value[:-1], self._spoiled(value[-1], view, random)]
        if isinstance(value, Instance) and random.choice([True, True, True, False]):
            name = random.choice(sorted(value.properties))
            return Instance(value.class_name, {**value.properties, name: Garbage().fill(view, random)})
        return Garbage().fill(view, random)
