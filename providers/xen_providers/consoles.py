"""Consoles of virtual machines: text or graphics, each at an address of its own."""

from __future__ import annotations

from xen_providers.conversions import given, in_table, part_id
from xen_providers.devices import PRESENT, device
from xen_providers.mapping.declaration import MappedClass, association, boolean, key, string, uint16, uint64
from xen_providers.mapping.expressions import computed, constant
from xen_providers.methods.device_settings import PROTOCOLS
from xen_providers.methods.units import COUNT
from xen_providers.virtual_systems import COMPUTER_SYSTEM, SETTINGS

GRAPHICS_CONTROLLER, VIRTUALIZED = 24, 3

WHERE_TO = {
    "Protocol": uint16("protocol", in_table({name: number for number, name in PROTOCOLS.items()})),
    "URI": string("location", given),
}

CONSOLE = device(
    "Xen_Console",
    "CIM_LogicalDevice",
    "console",
    COMPUTER_SYSTEM,
    "VM",
    {
        "Caption": string(constant("Xen console")),
        "ElementName": string("VM.name_label"),
        "Name": string("VM.name_label"),
        "Description": string("protocol", "Console of a virtual machine, by the protocol {}".format),
        **WHERE_TO,
        **PRESENT,
    },
)

CONSOLE_SETTING_DATA = MappedClass(
    "Xen_ConsoleSettingData",
    "CIM_ResourceAllocationSettingData",
    source="console",
    properties={
        "InstanceID": key(string(computed(part_id, "VM.uuid", "uuid"))),
        "Caption": string(constant("Settings of a Xen console")),
        "ElementName": string("VM.name_label"),
        "Description": string("protocol", "Console of a virtual machine, by the protocol {}".format),
        "ResourceType": uint16(constant(GRAPHICS_CONTROLLER)),
        "ConsumerVisibility": uint16(constant(VIRTUALIZED)),
        "AllocationUnits": string(constant(COUNT)),
        "VirtualQuantityUnits": string(constant(COUNT)),
        "VirtualQuantity": uint64(constant(1)),
        "AutomaticAllocation": boolean(constant(True)),
        "AutomaticDeallocation": boolean(constant(True)),
        **WHERE_TO,
    },
)

COMPUTER_SYSTEM_CONSOLE = association(
    "Xen_ComputerSystemConsole",
    "Xen_SystemDevice",
    source="console",
    ends={"GroupComponent": (COMPUTER_SYSTEM, "VM"), "PartComponent": (CONSOLE, "")},
)

CONSOLE_SETTINGS_DEFINE_STATE = association(
    "Xen_ConsoleSettingsDefineState",
    "Xen_SettingsDefineState",
    source="console",
    ends={"ManagedElement": (CONSOLE, ""), "SettingData": (CONSOLE_SETTING_DATA, "")},
)

CONSOLE_SETTING_DATA_COMPONENT = association(
    "Xen_ConsoleSettingDataComponent",
    "Xen_VirtualSystemSettingDataComponent",
    source="console",
    ends={"GroupComponent": (SETTINGS, "VM"), "PartComponent": (CONSOLE_SETTING_DATA, "")},
)

CLASSES = (
    CONSOLE,
    CONSOLE_SETTING_DATA,
    COMPUTER_SYSTEM_CONSOLE,
    CONSOLE_SETTINGS_DEFINE_STATE,
    CONSOLE_SETTING_DATA_COMPONENT,
)
