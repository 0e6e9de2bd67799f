"""Memory: that of virtual machines and of hosts, and how the one get a share of the other (DSP1045)."""

from __future__ import annotations

from typing import Any

from xen_providers.allocation import DEDICATED, DISABLED, GENERAL, allocation_capabilities
from xen_providers.devices import PRESENT, device
from xen_providers.host_resources import HostResource, resource_pool, resource_settings
from xen_providers.hosts import HOST_COMPUTER_SYSTEM
from xen_providers.mapping.declaration import Mapped, association, boolean, string, uint16, uint64
from xen_providers.mapping.expressions import PART, computed, constant
from xen_providers.methods.units import BYTE
from xen_providers.virtual_systems import COMPUTER_SYSTEM

RESOURCE_TYPE, SUBTYPE = 4, "Xen Memory"
ENABLED, READ_WRITE = 2, 3
PASSED_THROUGH = 2
KIBIBYTE, MEBIBYTE = 1 << 10, 1 << 20
MEBIBYTES = f"{BYTE}*2^20"
STEP, USUAL = 64 * MEBIBYTE, 256 * MEBIBYTE


def _memory(size: str, free: str) -> dict[str, Mapped]:
    """Return what is said of all memory; ``size`` and ``free`` lead to numbers of bytes."""
    return {
        "Access": uint16(constant(READ_WRITE)),
        "BlockSize": uint64(constant(1)),
        "NumberOfBlocks": uint64(size, int),
        "ConsumableBlocks": uint64(free, int),
        "StartingAddress": uint64(constant(0)),
        # Addresses are in KiB: the last one there is.
        "EndingAddress": uint64(size, lambda size: max(int(size) // KIBIBYTE - 1, 0)),
        "Volatile": boolean(constant(True)),
    }


MEMORY = device(
    "Xen_Memory",
    "CIM_Memory",
    "VM",
    COMPUTER_SYSTEM,
    "",
    {
        "Caption": string(constant("Virtual memory")),
        "ElementName": string("name_label"),
        "Name": string("uuid"),
        **_memory("memory_dynamic_max", "metrics.memory_actual"),
        **PRESENT,
    },
    part=constant("Memory"),
)

HOST_MEMORY = device(
    "Xen_HostMemory",
    "CIM_Memory",
    "host",
    HOST_COMPUTER_SYSTEM,
    "",
    {
        "Caption": string(constant("Memory of a Xen host")),
        "ElementName": string("name_label"),
        "Name": string("uuid"),
        "Primordial": boolean(constant(True)),
        **_memory("metrics.memory_total", "metrics.memory_free"),
        **PRESENT,
        "EnabledState": uint16(constant(ENABLED)),
    },
    part=constant("Memory"),
)


def _mebibytes(size: Any) -> int:
    """Return the number of MiB that is nearest to a number of bytes."""
    return (int(size) + MEBIBYTE // 2) // MEBIBYTE


def _quantity(actual: Any, most: Any) -> int | None:
    """Return what a machine has, or would have at most; in a domain it has some."""
    found = int(actual or 0) or most
    return None if found is None else _mebibytes(found)


MEMORY_SETTING_DATA = resource_settings(
    "Memory",
    "Settings of virtual memory",
    RESOURCE_TYPE,
    MEBIBYTES,
    {
        "ConsumerVisibility": uint16(constant(PASSED_THROUGH)),
        "VirtualQuantity": uint64(computed(_quantity, "metrics.memory_actual", "memory_static_max")),
        "Reservation": uint64("memory_dynamic_min", _mebibytes),
        "Limit": uint64("memory_dynamic_max", _mebibytes),
    },
)


def _reserved(total: Any, free: Any) -> int | None:
    return None if total is None or free is None else int(total) - int(free)


MEMORY_POOL = resource_pool(
    "Memory",
    "Memory of a Xen host",
    RESOURCE_TYPE,
    {
        "ResourceSubType": string(constant(SUBTYPE)),
        "AllocationUnits": string(constant(BYTE)),
        "Capacity": uint64("metrics.memory_total", int),
        "Reserved": uint64(computed(_reserved, "metrics.memory_total", "metrics.memory_free")),
    },
)


def _bounds(role: str, total: Any) -> int | None:
    """Return how much memory a machine can have: at most as much as the host has."""
    if role == "Maximum":
        return None if total is None else int(total)
    return USUAL if role == "Default" else STEP


MEMORY_ALLOCATION = allocation_capabilities(
    "Memory",
    "host",
    "memory",
    resource_type=uint16(constant(RESOURCE_TYPE)),
    sharing=uint16(constant(DEDICATED)),
    requests=GENERAL,
    # A machine that runs keeps within the most that it was started with.
    states=(DISABLED,),
    bounds={
        "PoolID": string("uuid"),
        "AllocationUnits": string(constant(BYTE)),
        "VirtualQuantity": uint64(computed(_bounds, PART, "metrics.memory_total")),
    },
)

HOSTED_MEMORY = association(
    "Xen_HostedMemory",
    "Xen_HostedDependency",
    source="VM",
    ends={"Antecedent": (HOST_MEMORY, "resident_on"), "Dependent": (MEMORY, "")},
)

RESOURCE = HostResource(
    "Memory",
    device=MEMORY,
    settings=MEMORY_SETTING_DATA,
    host_device=HOST_MEMORY,
    to_host="",
    pool=MEMORY_POOL,
    capabilities=MEMORY_ALLOCATION[0],
)

CLASSES = (
    MEMORY,
    HOST_MEMORY,
    MEMORY_SETTING_DATA,
    MEMORY_POOL,
    *MEMORY_ALLOCATION,
    HOSTED_MEMORY,
    *RESOURCE.associations,
)
