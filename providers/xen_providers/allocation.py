"""What can be allocated from the pools of one kind of resource, and within which bounds (DSP1043)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xen_providers.conversions import part_id
from xen_providers.mapping.declaration import Mapped, MappedClass, association, key, string, uint16, uint16s
from xen_providers.mapping.expressions import PART, computed, constant

DEFAULT = 2
"""A characteristic of capabilities: they are those that hold unless others are chosen."""
DEDICATED, SHARED = 2, 3
GENERAL, BOTH = 3, 4
ENABLED, DISABLED = 2, 3
INDEPENDENT = 0

ROLES = {"Minimum": (3, 1), "Maximum": (3, 2), "Increment": (3, 3), "Default": (0, 0)}
"""Settings that bound what can be allocated, each with its ValueRole and ValueRange: supported ones are minimums,
maximums and increments; the default is a point."""

EXISTING = {"Characteristics": uint16s(constant([DEFAULT]))}
"""Properties of the association of elements with capabilities."""


def allocation_capabilities(
    word: str,
    source: str,
    caption: str,
    *,
    resource_type: Mapped,
    sharing: Mapped,
    requests: int,
    bounds: Mapping[str, Mapped],
    states: Sequence[int] = (ENABLED, DISABLED),
) -> tuple[MappedClass, MappedClass, MappedClass]:
    """Declare the capabilities of each pool of a kind, the settings that bound them, and what ties these together.

    ``word`` is the kind in the names of the classes. ``bounds`` are the further properties of the settings, of which
    each pool has one per role; the role is found at ``PART``. ``states`` are those of a machine in which it can get
    more or give back: devices are plugged in and out while it runs, and changed freely while it does not.
    """
    capabilities = MappedClass(
        f"Xen_{word}AllocationCapabilities",
        "CIM_AllocationCapabilities",
        source=source,
        properties={
            "InstanceID": key(string(computed(lambda uuid: part_id(uuid, f"{word}AllocationCapabilities"), "uuid"))),
            "Caption": string(constant(f"What can be allocated of {caption}")),
            "ElementName": string("name_label"),
            "ResourceType": resource_type,
            "RequestTypesSupported": uint16(constant(requests)),
            "SharingMode": sharing,
            "SupportedAddStates": uint16s(constant(list(states))),
            "SupportedRemoveStates": uint16s(constant(list(states))),
        },
    )
    settings = MappedClass(
        f"Xen_{word}CapabilitiesSettingData",
        "CIM_ResourceAllocationSettingData",
        source=source,
        parts=constant(tuple(ROLES)),
        properties={
            "InstanceID": key(string(computed(lambda uuid, role: part_id(uuid, f"{word}{role}"), "uuid", PART))),
            "Caption": string(PART, lambda role: f"{role} of what can be allocated of {caption}"),
            "ElementName": string(computed(lambda label, role: f"{label}: {role}", "name_label", PART)),
            "ResourceType": resource_type,
            **bounds,
        },
    )
    defined = association(
        f"Xen_{word}SettingsDefineCapabilities",
        "Xen_SettingsDefineCapabilities",
        source=source,
        ends={"GroupComponent": (capabilities, ""), "PartComponent": (settings, "")},
        properties={
            "PropertyPolicy": uint16(constant(INDEPENDENT)),
            "ValueRole": uint16(PART, lambda role: ROLES[role][0]),
            "ValueRange": uint16(PART, lambda role: ROLES[role][1]),
        },
    )
    return capabilities, settings, defined
