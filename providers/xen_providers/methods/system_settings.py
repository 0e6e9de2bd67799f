"""Settings of a virtual machine as a client gives them (CIM_VirtualSystemSettingData), and the fields they go to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cim_provider import CimError, Status
from xen_providers.conversions import NULL, OWN
from xen_providers.methods.inputs import Settings
from xen_providers.methods.outcomes import invalid
from xen_providers.methods.replica import Xen

Fields = dict[str, Any]
"""Values by the name of the field of a VM record."""
Read = Callable[[Settings, str], Any]
"""Reads a property of settings; None if it has no value."""

NONE, RESTART_IF_ACTIVE, ALWAYS = 2, 3, 4
TURN_OFF, SHUTDOWN = 2, 4
RESTART, REVERT = 3, 4


def _action(values: Mapping[int, str]) -> Read:
    def read(settings: Settings, name: str) -> str | None:
        number = settings.number(name)
        if number is not None and number not in values:
            raise invalid(f"{settings.parameter}.{name}", f"{number} is not supported; {sorted(values)} are.")
        return None if number is None else values[number]

    return read


def _multiplier(settings: Settings, name: str) -> float | None:
    value = settings.instance.get(name)
    if value is None:
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise invalid(f"{settings.parameter}.{name}", f"a number is expected, not {value!r}.") from None


PROPERTIES: Mapping[str, tuple[str, Read]] = {
    "ElementName": ("name_label", Settings.text),
    "Description": ("name_description", Settings.text),
    "AutomaticStartupAction": (
        "actions_after_reboot",
        _action({NONE: "destroy", RESTART_IF_ACTIVE: "restart", ALWAYS: "restart"}),
    ),
    "AutomaticShutdownAction": ("actions_after_shutdown", _action({TURN_OFF: "destroy", SHUTDOWN: "destroy"})),
    "AutomaticRecoveryAction": (
        "actions_after_crash",
        _action({NONE: "destroy", RESTART: "restart", REVERT: "restart"}),
    ),
    "HVM_Boot_Policy": ("HVM_boot_policy", Settings.text),
    "HVM_Boot_Params": ("HVM_boot_params", Settings.entries),
    "HVM_ShadowMultiplier": ("HVM_shadow_multiplier", _multiplier),
    "PV_Bootloader": ("PV_bootloader", Settings.text),
    "PV_Bootloader_Args": ("PV_bootloader_args", Settings.text),
    "PV_Kernel": ("PV_kernel", Settings.text),
    "PV_RAMDisk": ("PV_ramdisk", Settings.text),
    "PV_Args": ("PV_args", Settings.text),
    "PV_Legacy_Args": ("PV_legacy_args", Settings.text),
    "Platform": ("platform", Settings.entries),
    "Xenstore_Data": ("xenstore_data", Settings.entries),
    "Other_Config": ("other_config", Settings.entries),
}
"""Which property goes to which field. An empty string or array empties the field; NULL leaves it alone."""

NEW_SYSTEM: Mapping[str, Any] = {
    "name_description": "",
    "user_version": "1",
    "is_a_template": False,
    "affinity": NULL,
    "memory_static_max": str(256 << 20),
    "memory_static_min": str(64 << 20),
    "memory_dynamic_max": str(256 << 20),
    "memory_dynamic_min": str(256 << 20),
    "VCPUs_params": {"cap": "100", "weight": "512"},
    "VCPUs_max": "1",
    "VCPUs_at_startup": "1",
    "actions_after_shutdown": "destroy",
    "actions_after_reboot": "restart",
    "actions_after_crash": "restart",
    "PV_bootloader": "",
    "PV_kernel": "",
    "PV_ramdisk": "",
    "PV_args": "",
    "PV_bootloader_args": "",
    "PV_legacy_args": "",
    "HVM_boot_policy": "",
    "HVM_boot_params": {},
    "HVM_shadow_multiplier": 1.0,
    "platform": {},
    "PCI_bus": "",
    "other_config": {},
    "recommendations": "",
    "xenstore_data": {},
    "ha_always_run": False,
    "ha_restart_priority": "",
    "tags": [],
    "blocked_operations": {},
}
"""A machine that is defined from nothing, as far as its settings say nothing else."""

HVM: Mapping[str, Any] = {"HVM_boot_policy": "BIOS order", "HVM_boot_params": {"order": "cd"}}
PV: Mapping[str, Any] = {"PV_bootloader": "pygrub"}


async def read_fields(settings: Settings, xen: Xen) -> Fields:
    """Return the fields that settings give a value to."""
    fields = {}
    for name, (field, read) in PROPERTIES.items():
        value = read(settings, name)
        if value is not None:
            fields[field] = value
    for key in (*fields.get("other_config", ()), *fields.get("xenstore_data", ())):
        if key.startswith(OWN):
            raise invalid(settings.parameter, f"keys that begin with {OWN} are the bridge's own.")
    affinity = settings.text("HostAffinity")
    if affinity is not None:
        fields["affinity"] = await _host(settings, affinity, xen)
    return fields


async def _host(settings: Settings, uuid: str, xen: Xen) -> str:
    if not uuid:
        return NULL
    try:
        return str(await xen("host.get_by_uuid", uuid))
    except CimError as error:
        if error.status is not Status.NOT_FOUND:
            raise
        raise invalid(f"{settings.parameter}.HostAffinity", f"there is no host {uuid}.") from None


def new_system(settings: Settings, fields: Fields) -> Fields:
    """Return the record of a machine to create, without reference; its name and type have to be given."""
    kind = settings.text("VirtualSystemType")
    for name in ("ElementName", "VirtualSystemType"):
        if not settings.text(name):
            raise invalid(f"{settings.parameter}.{name}", "it is missing.")
    kinds = [fields_of for word, fields_of in (("HVM", HVM), ("PV", PV)) if word in str(kind)]
    if len(kinds) != 1:
        raise invalid(f"{settings.parameter}.VirtualSystemType", f"{kind} is neither DMTF:Xen:HVM nor DMTF:Xen:PV.")
    boots = "PV_kernel" in fields or "PV_bootloader" in fields
    return {**NEW_SYSTEM, **({} if kinds == [PV] and boots else kinds[0]), **fields}
