"""Key-value pairs: what the guest of a virtual machine is told through its part of xenstore."""

from __future__ import annotations

from collections.abc import Mapping

from xen_providers.conversions import part_id
from xen_providers.devices import PRESENT, device
from xen_providers.mapping.declaration import MappedClass, association, boolean, key, string, uint16, uint64
from xen_providers.mapping.expressions import PART, computed, constant
from xen_providers.methods.device_settings import KVP_ENABLED, KVP_PREFIX, KVP_RESERVED
from xen_providers.methods.units import COUNT
from xen_providers.virtual_systems import COMPUTER_SYSTEM, SETTINGS

OTHER, VIRTUALIZED = 1, 3


def _keys(data: Mapping[str, str] | None, enabled: str | None) -> list[str]:
    """Return the keys of a machine's pairs; none unless they are meant to be seen."""
    if enabled != "true":
        return []
    found = [name.removeprefix(KVP_PREFIX) for name in data or () if name.startswith(KVP_PREFIX)]
    return [name for name in found if name not in KVP_RESERVED]


def _value(data: Mapping[str, str] | None, name: str) -> str | None:
    return (data or {}).get(KVP_PREFIX + name)


KEYS = computed(_keys, "xenstore_data", f"other_config/{KVP_ENABLED}")
VALUE = computed(_value, "xenstore_data", PART)

KVP = device(
    "Xen_KVP",
    "CIM_LogicalDevice",
    "VM",
    COMPUTER_SYSTEM,
    "",
    {
        "Caption": string(constant("Key-value pair")),
        "ElementName": string(PART),
        "Name": string(PART),
        "Key": string(PART),
        "Value": string(VALUE),
        "Vm_uuid": string("uuid"),
        **PRESENT,
    },
    part=computed(str, PART),
    parts=KEYS,
)

KVP_SETTING_DATA = MappedClass(
    "Xen_KVPSettingData",
    "CIM_ResourceAllocationSettingData",
    source="VM",
    parts=KEYS,
    properties={
        "InstanceID": key(string(computed(part_id, "uuid", PART))),
        "Caption": string(constant("Settings of a key-value pair")),
        "ElementName": string(PART),
        "ResourceType": uint16(constant(OTHER)),
        "OtherResourceType": string(constant("KVP")),
        "ConsumerVisibility": uint16(constant(VIRTUALIZED)),
        "AllocationUnits": string(constant(COUNT)),
        "VirtualQuantityUnits": string(constant(COUNT)),
        "VirtualQuantity": uint64(constant(1)),
        "AutomaticAllocation": boolean(constant(True)),
        "AutomaticDeallocation": boolean(constant(True)),
        "key": string(PART),
        "value": string(VALUE),
        "VM_ID": string("uuid"),
    },
)

COMPUTER_SYSTEM_KVP = association(
    "Xen_ComputerSystemKVP",
    "Xen_SystemDevice",
    source="VM",
    ends={"GroupComponent": (COMPUTER_SYSTEM, ""), "PartComponent": (KVP, "")},
)

KVP_SETTINGS_DEFINE_STATE = association(
    "Xen_KVPSettingsDefineState",
    "Xen_SettingsDefineState",
    source="VM",
    ends={"ManagedElement": (KVP, ""), "SettingData": (KVP_SETTING_DATA, "")},
)

KVP_SETTING_DATA_COMPONENT = association(
    "Xen_KVPSettingDataComponent",
    "Xen_VirtualSystemSettingDataComponent",
    source="VM",
    ends={"GroupComponent": (SETTINGS, ""), "PartComponent": (KVP_SETTING_DATA, "")},
)

CLASSES = (KVP, KVP_SETTING_DATA, COMPUTER_SYSTEM_KVP, KVP_SETTINGS_DEFINE_STATE, KVP_SETTING_DATA_COMPONENT)
