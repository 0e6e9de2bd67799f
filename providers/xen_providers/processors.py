"""Processors: those of virtual machines and of hosts, and how the one get a share of the other (DSP1044)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from xen_providers.allocation import GENERAL, SHARED, allocation_capabilities
from xen_providers.conversions import percentage, setting
from xen_providers.devices import PRESENT, device, device_name
from xen_providers.host_resources import HostResource, resource_pool, resource_settings
from xen_providers.hosts import HOST_COMPUTER_SYSTEM
from xen_providers.mapping.declaration import association, string, uint16, uint32, uint64
from xen_providers.mapping.expressions import PART, Expression, computed, constant, identity, value
from xen_providers.methods.units import COUNT
from xen_providers.virtual_systems import COMPUTER_SYSTEM

RESOURCE_TYPE, SUBTYPE = 3, "xen:vcpu"
ENABLED, RUNNING, CPU_ENABLED = 2, 3, 1
VIRTUALIZED = 3
LARGEST = (1 << 32) - 1

UNKNOWN = 2
FAMILIES = {
    "Xeon": 179,
    "Core(TM) i3": 206,
    "Core(TM) i5": 205,
    "Core(TM) i7": 198,
    "Core(TM) i9": 207,
    "Celeron": 15,
    "Atom": 43,
    "EPYC": 107,
    "Ryzen": 107,
    "Opteron": 132,
    "Athlon": 29,
}
"""By what is in the name of a model: its family, in the numbers of SMBIOS, which are those of the DMTF."""


def _family(modelname: str) -> int:
    return next((number for word, number in FAMILIES.items() if word in modelname), UNKNOWN)


def _speed(megahertz: Any) -> int | None:
    return int(megahertz) or None


def _of_number(convert: Any) -> Any:
    """Return a function of a number, of the numbers of all processors of a host, and of something that each has."""

    def of_number(number: int, numbers: Sequence[Any] | None, values: Sequence[Any] | None) -> Any:
        found = dict(zip(map(int, numbers or ()), values or (), strict=True)).get(number)
        return None if found is None else convert(found)

    return of_number


def _physical(field: str, convert: Any = identity) -> Expression:
    """Return a field of the processor of the host that has the same number as a virtual one."""
    return computed(_of_number(convert), PART, "resident_on.host_CPUs.number", f"resident_on.host_CPUs.{field}")


def _load(utilisation: Mapping[str, Any] | None, number: int) -> int | None:
    fraction = (utilisation or {}).get(str(number))
    return None if fraction is None else percentage(fraction)


PROCESSOR = device(
    "Xen_Processor",
    "CIM_Processor",
    "VM",
    COMPUTER_SYSTEM,
    "",
    {
        "Caption": string(constant("Virtual processor")),
        "ElementName": string("name_label"),
        "Name": string("uuid"),
        "Role": string(constant("Virtual Processor")),
        "LoadPercentage": uint16(computed(_load, "metrics.VCPUs_utilisation", PART)),
        "CurrentClockSpeed": uint32(_physical("speed", _speed)),
        "MaxClockSpeed": uint32(_physical("speed", _speed)),
        "Family": uint16(_physical("modelname", _family)),
        "Stepping": string(_physical("stepping")),
        **PRESENT,
    },
    part=value(PART, "VCPU{}".format),
    parts=value("VCPUs_max", lambda count: range(int(count))),
)

HOST_PROCESSOR = device(
    "Xen_HostProcessor",
    "CIM_Processor",
    "host_cpu",
    HOST_COMPUTER_SYSTEM,
    "host",
    {
        "Caption": string(constant("Processor of a Xen host")),
        "ElementName": string("vendor"),
        "Name": string("vendor"),
        "Description": string("modelname"),
        "Role": string(constant("Central Processor")),
        "Family": uint16("modelname", _family),
        "Stepping": string("stepping"),
        "UniqueID": string("uuid"),
        "CurrentClockSpeed": uint32("speed", _speed),
        "MaxClockSpeed": uint32("speed", _speed),
        "LoadPercentage": uint16("utilisation", percentage),
        "CPUStatus": uint16(constant(CPU_ENABLED)),
        "Availability": uint16(constant(RUNNING)),
        **PRESENT,
        "EnabledState": uint16(constant(ENABLED)),
    },
)

PROCESSOR_SETTING_DATA = resource_settings(
    "Processor",
    "Settings of virtual processors",
    RESOURCE_TYPE,
    COUNT,
    {
        "ConsumerVisibility": uint16(constant(VIRTUALIZED)),
        "VirtualQuantity": uint64("VCPUs_max", int),
        "Reservation": uint64("VCPUs_at_startup", int),
        # Xen knows no limit of 0: it writes so that there is none.
        "Limit": uint64("VCPUs_params/cap", lambda cap: setting(cap, LARGEST)),
        "Weight": uint32("VCPUs_params/weight", lambda weight: setting(weight, LARGEST)),
    },
)

PROCESSOR_POOL = resource_pool(
    "Processor",
    "Processors of a Xen host",
    RESOURCE_TYPE,
    {
        "ResourceSubType": string(constant(SUBTYPE)),
        "AllocationUnits": string(constant(COUNT)),
        "Capacity": uint64("host_CPUs", len),
        "Reserved": uint64(constant(0)),
    },
)


def _bounds(role: str, processors: Collection[str] | None) -> int | None:
    """Return how many processors a machine can have: as many as the host has, one at least, one by one."""
    if role != "Maximum":
        return 1
    return None if processors is None else len(processors)


PROCESSOR_ALLOCATION = allocation_capabilities(
    "Processor",
    "host",
    "processors",
    resource_type=uint16(constant(RESOURCE_TYPE)),
    sharing=uint16(constant(SHARED)),
    requests=GENERAL,
    bounds={
        "PoolID": string("uuid"),
        "AllocationUnits": string(constant(COUNT)),
        "VirtualQuantity": uint64(computed(_bounds, PART, "host_CPUs")),
    },
)


def _mask(text: str) -> list[set[int]]:
    """Return which processors each virtual one may run on: ``0,1`` for all, or ``0,1;2,3`` for one after the other."""
    return [{int(word) for word in group.split(",") if word.strip().isdecimal()} for group in text.split(";")]


def _pinned(
    mask: str | None, count: Any, numbers: Sequence[Any] | None, uuids: Sequence[str] | None
) -> list[tuple[int, str]]:
    """Return virtual processors, each with the uuid of a processor that it is pinned to, in ascending order.

    One that a mask says nothing of goes by its first group, as Xen has it.
    """
    if mask is None or count is None:
        return []
    groups = _mask(mask)
    physical = sorted((int(number), uuid) for number, uuid in zip(numbers or (), uuids or (), strict=True))
    chosen = [groups[vcpu] if vcpu < len(groups) else groups[0] for vcpu in range(int(count))]
    return [(vcpu, uuid) for vcpu, group in enumerate(chosen) for number, uuid in physical if number in group]


HOSTED_PROCESSOR = association(
    "Xen_HostedProcessor",
    "Xen_HostedDependency",
    source="VM",
    ends={
        "Antecedent": (
            HOST_PROCESSOR,
            "resident_on.host_CPUs",
            computed(
                lambda uuid, pair: device_name(HOST_PROCESSOR.name, HOST_COMPUTER_SYSTEM, uuid, pair[1]),
                "resident_on.uuid",
                PART,
            ),
        ),
        "Dependent": (
            PROCESSOR,
            "",
            computed(
                lambda uuid, pair: device_name(PROCESSOR.name, COMPUTER_SYSTEM, uuid, f"VCPU{pair[0]}"), "uuid", PART
            ),
        ),
    },
    parts=computed(
        _pinned, "VCPUs_params/mask", "VCPUs_max", "resident_on.host_CPUs.number", "resident_on.host_CPUs.uuid"
    ),
    where=COMPUTER_SYSTEM.where,
)

RESOURCE = HostResource(
    "Processor",
    device=PROCESSOR,
    settings=PROCESSOR_SETTING_DATA,
    host_device=HOST_PROCESSOR,
    to_host="host",
    pool=PROCESSOR_POOL,
    capabilities=PROCESSOR_ALLOCATION[0],
)

CLASSES = (
    PROCESSOR,
    HOST_PROCESSOR,
    PROCESSOR_SETTING_DATA,
    PROCESSOR_POOL,
    *PROCESSOR_ALLOCATION,
    HOSTED_PROCESSOR,
    *RESOURCE.associations,
)
