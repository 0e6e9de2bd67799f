"""The profiles that the model of Xen implements (DSP1033), how they hang together, and what conforms to them.

Profile Registration (DSP1033) itself and Indications (DSP1054) are implemented, and registered, by the CIM server.
"""

from __future__ import annotations

from xen_providers import memory, processors
from xen_providers.hosts import HOST_COMPUTER_SYSTEM
from xen_providers.mapping.declaration import MappedClass, association, key, string, uint16, uint16s
from xen_providers.mapping.expressions import POOL, Expression, constant, value
from xen_providers.services import (
    METRIC_SERVICE,
    VIRTUAL_SYSTEM_MANAGEMENT_SERVICE,
    VIRTUAL_SYSTEM_MIGRATION_SERVICE,
)
from xen_providers.storage import STORAGE_ALLOCATION_CAPABILITIES, STORAGE_POOL
from xen_providers.virtual_switches import (
    NETWORK_CONNECTION_ALLOCATION_CAPABILITIES,
    NETWORK_CONNECTION_POOL,
    VIRTUAL_SWITCH,
)
from xen_providers.virtual_systems import COMPUTER_SYSTEM

DMTF, PROFILE, SLP = 2, 2, 3


def _profile(document: str, word: str, name: str, version: str = "1.0.0", identifier: str | None = None) -> MappedClass:
    """Declare a profile of the DMTF under the name by which clients know it."""
    return MappedClass(
        f"Xen_Registered{word}Profile",
        "Xen_RegisteredProfile",
        source="pool",
        properties={
            "InstanceID": key(string(constant(f"Xen:{identifier or word}Profile"))),
            "Caption": string(constant(document)),
            "ElementName": string(constant(name)),
            "RegisteredOrganization": uint16(constant(DMTF)),
            "RegisteredName": string(constant(name)),
            "RegisteredVersion": string(constant(version)),
            "AdvertiseTypes": uint16s(constant([SLP])),
            "SpecificationType": uint16(constant(PROFILE)),
        },
    )


SYSTEM_VIRTUALIZATION = _profile("DSP1042", "SystemVirtualization", "System Virtualization")
VIRTUAL_SYSTEM = _profile("DSP1057", "VirtualSystem", "Virtual System Profile")
RESOURCE_ALLOCATION = _profile("DSP1041", "ResourceAllocation", "Resource Allocation", "1.1.0")
ALLOCATION_CAPABILITIES = _profile("DSP1043", "AllocationCapabilities", "Allocation Capabilities")
PROCESSOR_ALLOCATION = _profile("DSP1044", "ProcessorAllocation", "Processor Allocation Profile")
MEMORY_ALLOCATION = _profile("DSP1045", "MemoryAllocation", "Memory Allocation Profile")
STORAGE_VIRTUALIZATION = _profile(
    "DSP1047",
    "StorageVirtualization",
    "Storage Resource Virtualization Profile",
    identifier="StorageResourceVirtualization",
)
ETHERNET_PORT_VIRTUALIZATION = _profile(
    "DSP1050",
    "EthernetPortVirtualization",
    "Ethernet Port Resource Virtualization Profile",
    identifier="EthernetPortResourceVirtualization",
)
BASE_METRICS = _profile("DSP1053", "BaseMetrics", "Base Metrics")
GENERIC_DEVICE_ALLOCATION = _profile("DSP1059", "GenericDeviceAllocation", "Generic Device Allocation Profile")
VIRTUAL_SYSTEM_MIGRATION = _profile("DSP1081", "VirtualSystemMigration", "Virtual System Migration")
VIRTUAL_ETHERNET_SWITCH = _profile("DSP1097", "VirtualEthernetSwitch", "Virtual Ethernet Switch")
JOB_CONTROL = _profile("DSP1103", "JobControl", "Job Control")

REFERENCED = (
    VIRTUAL_SYSTEM,
    RESOURCE_ALLOCATION,
    ALLOCATION_CAPABILITIES,
    PROCESSOR_ALLOCATION,
    MEMORY_ALLOCATION,
    STORAGE_VIRTUALIZATION,
    ETHERNET_PORT_VIRTUALIZATION,
    BASE_METRICS,
    GENERIC_DEVICE_ALLOCATION,
    VIRTUAL_SYSTEM_MIGRATION,
    VIRTUAL_ETHERNET_SWITCH,
    JOB_CONTROL,
)
"""The profiles that System Virtualization refers to."""

REFERENCED_PROFILES = tuple(
    association(
        each.name.replace("Registered", "Referenced"),
        "Xen_ReferencedProfile",
        source="pool",
        ends={"Antecedent": (each, ""), "Dependent": (SYSTEM_VIRTUALIZATION, "")},
    )
    for each in REFERENCED
)


def _conforms(name: str, profile: MappedClass, element: MappedClass, where: Expression | None = None) -> MappedClass:
    """Declare that all instances of a class conform to a profile, or those for which ``where`` is true."""
    return association(
        name,
        "Xen_ElementConformsToProfile",
        source=element.source,
        ends={"ConformantStandard": (profile, POOL), "ManagedElement": (element, "")},
        where=where,
    )


HOLDS_CDS = value("content_type", lambda content: content == "iso")


CONFORMANCE = tuple(
    _conforms(*each)
    for each in (
        ("Xen_ElementConformsToSystemVirtualizationProfile", SYSTEM_VIRTUALIZATION, HOST_COMPUTER_SYSTEM),
        ("Xen_ElementConformsToVirtualSystemProfile", VIRTUAL_SYSTEM, COMPUTER_SYSTEM),
        ("Xen_ElementConformsToStorageVirtualizationProfile", STORAGE_VIRTUALIZATION, HOST_COMPUTER_SYSTEM),
        ("Xen_ResourcePoolConformsToProcessorAllocationProfile", PROCESSOR_ALLOCATION, processors.PROCESSOR_POOL),
        ("Xen_ResourcePoolConformsToMemoryAllocationProfile", MEMORY_ALLOCATION, memory.MEMORY_POOL),
        ("Xen_ResourcePoolConformsToStorageVirtualizationProfile", STORAGE_VIRTUALIZATION, STORAGE_POOL),
        ("Xen_ElementConformsToEthernetPortVirtualizationProfile", ETHERNET_PORT_VIRTUALIZATION, VIRTUAL_SWITCH),
        (
            "Xen_ResourcePoolConformsToEthernetPortVirtualizationProfile",
            ETHERNET_PORT_VIRTUALIZATION,
            NETWORK_CONNECTION_POOL,
        ),
        ("Xen_ElementConformsToVirtualEthernetSwitchProfile", VIRTUAL_ETHERNET_SWITCH, VIRTUAL_SWITCH),
        (
            "Xen_ResourcePoolConformsToGenericDeviceAllocationProfile",
            GENERIC_DEVICE_ALLOCATION,
            STORAGE_POOL,
            HOLDS_CDS,
        ),
        ("Xen_ProcessorPoolConformsToResourceAllocationProfile", RESOURCE_ALLOCATION, processors.PROCESSOR_POOL),
        ("Xen_MemoryPoolConformsToResourceAllocationProfile", RESOURCE_ALLOCATION, memory.MEMORY_POOL),
        ("Xen_StoragePoolConformsToResourceAllocationProfile", RESOURCE_ALLOCATION, STORAGE_POOL),
        (
            "Xen_NetworkConnectionPoolConformsToResourceAllocationProfile",
            RESOURCE_ALLOCATION,
            NETWORK_CONNECTION_POOL,
        ),
        (
            "Xen_ProcessorAllocationCapabilitiesConformToProfile",
            ALLOCATION_CAPABILITIES,
            processors.PROCESSOR_ALLOCATION[0],
        ),
        ("Xen_MemoryAllocationCapabilitiesConformToProfile", ALLOCATION_CAPABILITIES, memory.MEMORY_ALLOCATION[0]),
        (
            "Xen_StorageAllocationCapabilitiesConformToProfile",
            ALLOCATION_CAPABILITIES,
            STORAGE_ALLOCATION_CAPABILITIES,
        ),
        (
            "Xen_NetworkConnectionAllocationCapabilitiesConformToProfile",
            ALLOCATION_CAPABILITIES,
            NETWORK_CONNECTION_ALLOCATION_CAPABILITIES,
        ),
        ("Xen_ElementConformsToBaseMetricsProfile", BASE_METRICS, METRIC_SERVICE),
        (
            "Xen_ElementConformsToVirtualSystemMigrationProfile",
            VIRTUAL_SYSTEM_MIGRATION,
            VIRTUAL_SYSTEM_MIGRATION_SERVICE,
        ),
        ("Xen_ElementConformsToJobControlProfile", JOB_CONTROL, VIRTUAL_SYSTEM_MANAGEMENT_SERVICE),
    )
)

CLASSES = (SYSTEM_VIRTUALIZATION, *REFERENCED, *REFERENCED_PROFILES, *CONFORMANCE)
