"""Virtual machines: Xen_ComputerSystem and its settings (DSP1057, DSP1042)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from cim_provider import InstanceName, Method
from xen_providers.conversions import in_table, moment, name_uri, pairs, uri, words, xen_id
from xen_providers.enabled_elements import enabled_element_capabilities, has_capabilities
from xen_providers.hosts import HOST_COMPUTER_SYSTEM
from xen_providers.mapping.declaration import (
    AnyOf,
    Mapped,
    MappedClass,
    MappedMethod,
    association,
    boolean,
    datetime_,
    key,
    real64,
    string,
    strings,
    uint16,
    uint16s,
)
from xen_providers.mapping.expressions import Expression, computed, constant, joined, value
from xen_providers.mapping.reading import last_change
from xen_providers.methods.device_settings import set_up_pairs
from xen_providers.methods.outcomes import STATE_CHANGE
from xen_providers.methods.state_changes import (
    REQUEST_STATE_CHANGE,
    VM_TRANSITIONS,
    available_states,
    request_vm_state,
    settled_operations,
)

ENABLED, DISABLED, OFFLINE, QUIESCE = 2, 3, 6, 9
OK, ERROR, STOPPED, DORMANT = 2, 6, 10, 15
NO_CHANGE, RESET, NOT_APPLICABLE = 5, 11, 12

ENABLED_STATE = {"Halted": DISABLED, "Paused": QUIESCE, "Running": ENABLED, "Suspended": OFFLINE, "Crashed": DISABLED}
OPERATIONAL_STATUS = {
    "Halted": [DORMANT],
    "Paused": [DORMANT],
    "Running": [OK],
    "Suspended": [STOPPED],
    "Crashed": [ERROR],
}
STATUS = {"Halted": "Stopped", "Paused": "Stopped", "Running": "OK", "Suspended": "Stopped", "Crashed": "Error"}
HEALTHY, MAJOR_FAILURE = 5, 20

OS_DESCRIPTIONS = {
    "name": "OS Name",
    "uname": "OS UName",
    "major": "Major Version",
    "minor": "Minor Version",
    "distro": "OS Distribution",
}


def is_virtual_machine(is_template: bool | None, is_snapshot: bool | None) -> bool:
    """Say whether a record of class VM is a machine; control domains are (existing clients look for dom0)."""
    return not is_template and not is_snapshot


def _caption(is_control_domain: bool | None) -> str:
    return "XenServer Host" if is_control_domain else "Xen Virtual Machine"


def _requested_state(is_control_domain: bool | None) -> int:
    """Return what was asked for and is still to come, which is a matter of jobs here, so nothing: 5 (No Change).

    An operation under way shows as a Xen_SystemStateChangeJob and not here, or each start would be two changes of
    the system. A control domain cannot be asked: 12 (Not Applicable).
    """
    return NOT_APPLICABLE if is_control_domain else NO_CHANGE


def _os_descriptions(os_version: Mapping[str, str]) -> list[str]:
    return [text for key, text in OS_DESCRIPTIONS.items() if key in os_version]


def _os_values(os_version: Mapping[str, str]) -> list[str]:
    return [os_version[key] for key in OS_DESCRIPTIONS if key in os_version]


WHERE_MACHINE = computed(is_virtual_machine, "is_a_template", "is_a_snapshot")
WHERE_SNAPSHOT = value("is_a_snapshot")
WHERE_TEMPLATE = computed(
    lambda is_template, is_snapshot: is_template and not is_snapshot, "is_a_template", "is_a_snapshot"
)

COMPUTER_SYSTEM = MappedClass(
    "Xen_ComputerSystem",
    "CIM_ComputerSystem",
    source="VM",
    where=WHERE_MACHINE,
    properties={
        "CreationClassName": key(string(constant("Xen_ComputerSystem"))),
        "Name": key(string("uuid")),
        "NameFormat": string(constant("Other")),
        "InstanceID": string("uuid", xen_id),
        "Caption": string(computed(_caption, "is_control_domain")),
        "ElementName": string("name_label"),
        "Description": string("name_description"),
        "EnabledState": uint16("power_state", in_table(ENABLED_STATE, 0)),
        "EnabledDefault": uint16(constant(ENABLED)),
        "RequestedState": uint16(computed(_requested_state, "is_control_domain")),
        "AvailableRequestedStates": uint16s(
            computed(available_states, "is_control_domain", "power_state", "allowed_operations", "current_operations")
        ),
        "TimeOfLastStateChange": datetime_(last_change("power_state"), moment),
        "OperationalStatus": uint16s("power_state", in_table(OPERATIONAL_STATUS, [0])),
        "Status": string("power_state", in_table(STATUS, "No Contact")),
        "HealthState": uint16("power_state", in_table({"Crashed": MAJOR_FAILURE}, HEALTHY)),
        "ResetCapability": uint16(constant(1)),
        "InstallDate": datetime_("metrics.install_time", moment),
        "Host": string("resident_on.uuid"),
        "IdentifyingDescriptions": strings("guest_metrics.os_version", _os_descriptions),
        "OtherIdentifyingInfo": strings("guest_metrics.os_version", _os_values),
        "PrimaryOwnerName": string("other_config/owner"),
        "PrimaryOwnerContact": string("other_config/owner_contact"),
        "Roles": strings("other_config/roles", words),
    },
    methods={
        "RequestStateChange": MappedMethod(REQUEST_STATE_CHANGE, request_vm_state),
        "SetupKVPCommunication": MappedMethod(Method("uint32"), set_up_pairs, STATE_CHANGE),
    },
)


def _virtual_system_type(boot_params: Mapping[str, str] | None) -> str:
    return "DMTF:Xen:HVM" if "order" in (boot_params or {}) else "DMTF:Xen:PV"


def _system_uri(is_machine: bool | None, name: InstanceName | None) -> str | None:
    return name_uri(name) if is_machine and name is not None else None


def _settings_uri(uuid: str | None, is_template: bool | None, is_snapshot: bool | None) -> str | None:
    """Return the path of the settings of a VM, a snapshot or a template."""
    if uuid is None:
        return None
    kind = "Snapshot" if is_snapshot else "Template" if is_template else "SettingData"
    return uri(f"Xen_ComputerSystem{kind}", "InstanceID", xen_id(uuid))


def _settings_uris(
    uuids: Sequence[str] | None, templates: Sequence[bool | None], snapshots: Sequence[bool | None]
) -> list[str | None]:
    return [_settings_uri(*each) for each in zip(uuids or (), templates or (), snapshots or (), strict=True)]


def _tools_are_running(power_state: str | None, allowed: Collection[str] | None, current: Any) -> bool:
    return "clean_shutdown" in settled_operations(power_state, allowed, current)


def _free(slots: int) -> Callable[[Sequence[str]], str]:
    """Return a conversion of the device numbers that are taken into those that are free, separated by commas."""
    numbers = [str(number) for number in range(slots)]
    return lambda taken: ",".join(number for number in numbers if number not in taken)


REQUESTABLE = [state for state in VM_TRANSITIONS if state <= RESET]
"""The states that can be asked for, whatever the present one is, as far as the DMTF has names for them."""

DISKS, NICS = 16, 7
"""How many devices of a kind a VM can have; VM.get_allowed_VBD_devices and get_allowed_VIF_devices know no more."""

NONE, RESTART_IF_ACTIVE, TURN_OFF, RESTART = 2, 3, 2, 3
STARTUP_ACTION = {"destroy": NONE, "restart": RESTART_IF_ACTIVE}
SHUTDOWN_ACTION = {"destroy": TURN_OFF}
RECOVERY_ACTION = {
    "destroy": NONE,
    "coredump_and_destroy": NONE,
    "preserve": NONE,
    "restart": RESTART,
    "coredump_and_restart": RESTART,
    "rename_restart": RESTART,
}


COMPUTER_SYSTEM_URI = joined(_system_uri, [COMPUTER_SYSTEM.where, COMPUTER_SYSTEM.path])


def _settings(
    name: str, superclass: str, caption: str, where: Expression, properties: Mapping[str, Mapped] | None = None
) -> MappedClass:
    """Declare the settings of one kind of records of class VM."""
    return MappedClass(
        name,
        superclass,
        source="VM",
        where=where,
        properties={
            "InstanceID": key(string("uuid", xen_id)),
            "Caption": string(constant(caption)),
            "ElementName": string("name_label"),
            "Description": string("name_description"),
            "VirtualSystemIdentifier": string("uuid"),
            "VirtualSystemType": string(computed(_virtual_system_type, "HVM_boot_params")),
            "CreationTime": datetime_("metrics.install_time", moment),
            "AutomaticStartupAction": uint16("actions_after_reboot", in_table(STARTUP_ACTION)),
            "AutomaticShutdownAction": uint16("actions_after_shutdown", in_table(SHUTDOWN_ACTION)),
            "AutomaticRecoveryAction": uint16("actions_after_crash", in_table(RECOVERY_ACTION)),
            "HVM_Boot_Policy": string("HVM_boot_policy"),
            "HVM_Boot_Params": strings("HVM_boot_params", pairs),
            "HVM_ShadowMultiplier": real64("HVM_shadow_multiplier"),
            "PV_Bootloader": string("PV_bootloader"),
            "PV_Bootloader_Args": string("PV_bootloader_args"),
            "PV_Kernel": string("PV_kernel"),
            "PV_RAMDisk": string("PV_ramdisk"),
            "PV_Args": string("PV_args"),
            "PV_Legacy_Args": string("PV_legacy_args"),
            "Platform": strings("platform", pairs),
            "Other_Config": strings("other_config", pairs),
            "Xenstore_Data": strings("xenstore_data", pairs),
            "Parent": string(computed(_settings_uri, "parent.uuid", "parent.is_a_template", "parent.is_a_snapshot")),
            "Children": strings(
                computed(_settings_uris, "children.uuid", "children.is_a_template", "children.is_a_snapshot")
            ),
            **(properties or {}),
        },
    )


GUEST: Mapping[str, Mapped] = {
    "PV_Drivers_Version": strings("guest_metrics.PV_drivers_version", pairs),
    "PV_Drivers_UpToDate": boolean("guest_metrics.PV_drivers_up_to_date"),
    "OS_Version": strings("guest_metrics.os_version", pairs),
}
"""What a guest says of itself; a template has none."""

COMPUTER_SYSTEM_SETTING_DATA = _settings(
    "Xen_ComputerSystemSettingData",
    "Xen_ComputerSystemActiveSettings",
    "Settings of a Xen virtual machine",
    WHERE_MACHINE,
    {
        **GUEST,
        "StartTime": datetime_("metrics.start_time", moment),
        "Host": string("resident_on.uuid"),
        "HostAffinity": string("affinity.uuid"),
        "AvailableBlockDeviceSlots": string("VBDs.userdevice", _free(DISKS)),
        "AvailableNetworkInterfaceSlots": string("VIFs.device", _free(NICS)),
        "Xen_Tools_AreRunning": boolean(
            computed(_tools_are_running, "power_state", "allowed_operations", "current_operations")
        ),
    },
)

COMPUTER_SYSTEM_TEMPLATE = _settings(
    "Xen_ComputerSystemTemplate",
    "Xen_VirtualSystemSettingData",
    "Template for a Xen virtual machine",
    WHERE_TEMPLATE,
)

COMPUTER_SYSTEM_SNAPSHOT = _settings(
    "Xen_ComputerSystemSnapshot",
    "Xen_ComputerSystemActiveSettings",
    "Snapshot of a Xen virtual machine",
    WHERE_SNAPSHOT,
    {
        **GUEST,
        "SnapshotOf": string(
            joined(_system_uri, [COMPUTER_SYSTEM.where, COMPUTER_SYSTEM.path]).under(("snapshot_of",))
        ),
        "SnapshotTime": datetime_("snapshot_time", moment),
    },
)

SETTINGS = AnyOf(
    "Xen_VirtualSystemSettingData",
    (COMPUTER_SYSTEM_SETTING_DATA, COMPUTER_SYSTEM_TEMPLATE, COMPUTER_SYSTEM_SNAPSHOT),
)
"""The settings of whatever a record of class VM is."""

COMPUTER_SYSTEM_CAPABILITIES = enabled_element_capabilities(
    COMPUTER_SYSTEM,
    "What can be asked of a Xen virtual machine",
    computed(lambda is_control_domain: [] if is_control_domain else REQUESTABLE, "is_control_domain"),
)

HOSTED_COMPUTER_SYSTEM = association(
    "Xen_HostedComputerSystem",
    "Xen_HostedDependency",
    source="VM",
    ends={"Antecedent": (HOST_COMPUTER_SYSTEM, "resident_on"), "Dependent": (COMPUTER_SYSTEM, "")},
)

COMPUTER_SYSTEM_SETTINGS_DEFINE_STATE = association(
    "Xen_ComputerSystemSettingsDefineState",
    "Xen_SettingsDefineState",
    source="VM",
    ends={"ManagedElement": (COMPUTER_SYSTEM, ""), "SettingData": (COMPUTER_SYSTEM_SETTING_DATA, "")},
)

IN_FORCE = {each: uint16(constant(1)) for each in ("IsDefault", "IsCurrent", "IsNext")}
"""Properties of the association of elements with settings.

A Xen VM has one configuration: the one it runs with, starts with next, and goes back to. So has a network.
"""


def element_setting_data(word: str, settings: MappedClass, source: str = "VM", to_machine: str = "") -> MappedClass:
    """Declare that a virtual machine has settings of a kind; ``word`` is the kind in the name of the association.

    The element is the machine, whatever the settings are of, so that one step leads from it to all its settings: those
    of processors belong to no one device. From a device Xen_SettingsDefineState leads to its settings.
    """
    return association(
        f"Xen_{word}ElementSettingData",
        "Xen_ElementSettingData",
        source=source,
        ends={"ManagedElement": (COMPUTER_SYSTEM, to_machine), "SettingData": (settings, "")},
        properties=IN_FORCE,
    )


COMPUTER_SYSTEM_ELEMENT_SETTING_DATA = element_setting_data("ComputerSystem", COMPUTER_SYSTEM_SETTING_DATA)

COMPUTER_SYSTEM_ELEMENT_CAPABILITIES = has_capabilities(
    "Xen_ComputerSystemElementCapabilities", COMPUTER_SYSTEM, COMPUTER_SYSTEM_CAPABILITIES
)

CLASSES = (
    COMPUTER_SYSTEM,
    COMPUTER_SYSTEM_SETTING_DATA,
    COMPUTER_SYSTEM_TEMPLATE,
    COMPUTER_SYSTEM_SNAPSHOT,
    COMPUTER_SYSTEM_CAPABILITIES,
    COMPUTER_SYSTEM_ELEMENT_CAPABILITIES,
    HOSTED_COMPUTER_SYSTEM,
    COMPUTER_SYSTEM_SETTINGS_DEFINE_STATE,
    COMPUTER_SYSTEM_ELEMENT_SETTING_DATA,
)
