"""The services of a pool: what hosts them, and what they act upon (DSP1042, DSP1081, DSP1097, DSP1041, DSP1053)."""

from __future__ import annotations

from collections.abc import Mapping

from xen_providers.hosts import HOST_COMPUTER_SYSTEM
from xen_providers.jobs import JOBS
from xen_providers.mapping.declaration import (
    AnyOf,
    Mapped,
    MappedClass,
    MappedMethod,
    association,
    boolean,
    key,
    string,
    uint16,
    uint16s,
)
from xen_providers.mapping.expressions import POOL, constant
from xen_providers.methods import (
    metric_service,
    migration,
    snapshot_management,
    storage_management,
    switch_management,
    system_management,
)
from xen_providers.storage import STORAGE_POOL
from xen_providers.virtual_switches import VIRTUAL_SWITCH
from xen_providers.virtual_systems import COMPUTER_SYSTEM, COMPUTER_SYSTEM_SNAPSHOT, COMPUTER_SYSTEM_TEMPLATE

ENABLED, OK, HEALTHY, NOT_APPLICABLE = 2, 2, 5, 12
COMMUNICATION_OK = 2
MANAGES = 5


def _service(
    name: str,
    superclass: str,
    label: str,
    description: str,
    properties: Mapping[str, Mapped] | None = None,
    methods: Mapping[str, MappedMethod] | None = None,
) -> MappedClass:
    """Declare a service that a pool has once. It belongs to the master, as the Xen-API of a pool does."""
    return MappedClass(
        name,
        superclass,
        source="pool",
        properties={
            "SystemCreationClassName": key(string(constant(HOST_COMPUTER_SYSTEM.name))),
            "SystemName": key(string("master.uuid")),
            "CreationClassName": key(string(constant(name))),
            "Name": key(string(constant(label))),
            "Caption": string(constant(label)),
            "ElementName": string(constant(label)),
            "Description": string(constant(description)),
            "Started": boolean(constant(True)),
            "EnabledState": uint16(constant(ENABLED)),
            "EnabledDefault": uint16(constant(ENABLED)),
            "RequestedState": uint16(constant(NOT_APPLICABLE)),
            "OperationalStatus": uint16s(constant([OK])),
            "Status": string(constant("OK")),
            "HealthState": uint16(constant(HEALTHY)),
            "CommunicationStatus": uint16(constant(COMMUNICATION_OK)),
            **(properties or {}),
        },
        methods=methods or {},
    )


VIRTUAL_SYSTEM_MANAGEMENT_SERVICE = _service(
    "Xen_VirtualSystemManagementService",
    "CIM_VirtualSystemManagementService",
    "Xen Hypervisor",
    "Defines, changes and destroys virtual machines",
    {"Version": string("master.software_version/product_version")},
    system_management.METHODS,
)
VIRTUAL_SYSTEM_MIGRATION_SERVICE = _service(
    "Xen_VirtualSystemMigrationService",
    "CIM_VirtualSystemMigrationService",
    "Xen Migration Service",
    "Moves virtual machines from host to host",
    methods=migration.METHODS,
)
VIRTUAL_SYSTEM_SNAPSHOT_SERVICE = _service(
    "Xen_VirtualSystemSnapshotService",
    "CIM_VirtualSystemSnapshotService",
    "Xen Virtual System Snapshot Service",
    "Makes and destroys snapshots of virtual machines, and takes virtual machines back to them",
    methods=snapshot_management.METHODS,
)
VIRTUAL_SWITCH_MANAGEMENT_SERVICE = _service(
    "Xen_VirtualSwitchManagementService",
    "CIM_VirtualSystemManagementService",
    "Xen Virtual Switch Management Service",
    "Defines, changes and destroys virtual switches",
    methods=switch_management.METHODS,
)
STORAGE_POOL_MANAGEMENT_SERVICE = _service(
    "Xen_StoragePoolManagementService",
    "CIM_ResourcePoolConfigurationService",
    "XenServer SR Management Service",
    "Creates and removes storage pools and the disk images in them",
    methods=storage_management.METHODS,
)
METRIC_SERVICE = _service(
    "Xen_MetricService",
    "CIM_MetricService",
    "Xen Metrics Service",
    "Tells how hosts and virtual machines perform",
    methods=metric_service.METHODS,
)

SERVICES = (
    VIRTUAL_SYSTEM_MANAGEMENT_SERVICE,
    VIRTUAL_SYSTEM_MIGRATION_SERVICE,
    VIRTUAL_SYSTEM_SNAPSHOT_SERVICE,
    VIRTUAL_SWITCH_MANAGEMENT_SERVICE,
    STORAGE_POOL_MANAGEMENT_SERVICE,
    METRIC_SERVICE,
)

HOSTED_SERVICES = tuple(
    association(
        service.name.replace("Xen_", "Xen_Hosted"),
        "Xen_HostedService",
        source="pool",
        ends={"Antecedent": (HOST_COMPUTER_SYSTEM, "master"), "Dependent": (service, "")},
    )
    for service in SERVICES
)


def affects(service: MappedClass, element: MappedClass) -> MappedClass:
    """Declare that a service manages all instances of a class."""
    return association(
        f"{service.name}Affects{element.name.removeprefix('Xen_')}",
        "Xen_ServiceAffectsElement",
        source=element.source,
        ends={"AffectedElement": (element, ""), "AffectingElement": (service, POOL)},
        properties={"ElementEffects": uint16s(constant([MANAGES]))},
    )


AFFECTED = (
    (VIRTUAL_SYSTEM_MANAGEMENT_SERVICE, COMPUTER_SYSTEM),
    (VIRTUAL_SYSTEM_MANAGEMENT_SERVICE, HOST_COMPUTER_SYSTEM),
    (VIRTUAL_SYSTEM_MIGRATION_SERVICE, COMPUTER_SYSTEM),
    (VIRTUAL_SYSTEM_MANAGEMENT_SERVICE, COMPUTER_SYSTEM_TEMPLATE),
    (VIRTUAL_SYSTEM_SNAPSHOT_SERVICE, COMPUTER_SYSTEM),
    (VIRTUAL_SYSTEM_SNAPSHOT_SERVICE, COMPUTER_SYSTEM_SNAPSHOT),
    (STORAGE_POOL_MANAGEMENT_SERVICE, STORAGE_POOL),
    (VIRTUAL_SWITCH_MANAGEMENT_SERVICE, VIRTUAL_SWITCH),
)
"""Which service manages the instances of which class."""


def _owns(service: MappedClass, common: str, *kinds: str) -> MappedClass:
    """Declare that jobs of some kinds, whose common class is named first, are begun by methods of a service."""
    jobs = AnyOf(common, tuple(each for each in JOBS if each.name in kinds))
    return association(
        f"{service.name}OwningJobElement",
        "Xen_OwningJobElement",
        source="task",
        ends={"OwningElement": (service, POOL), "OwnedElement": (jobs, "")},
    )


OWNED_JOBS = (
    _owns(
        VIRTUAL_SYSTEM_MANAGEMENT_SERVICE,
        "Xen_VirtualSystemManagementServiceJob",
        "Xen_VirtualSystemModifyResourcesJob",
        "Xen_VirtualSystemCreateJob",
    ),
    _owns(
        VIRTUAL_SYSTEM_MIGRATION_SERVICE,
        "Xen_VirtualSystemMigrationServiceJob",
        "Xen_VirtualSystemMigrationServiceJob",
    ),
    _owns(
        VIRTUAL_SYSTEM_SNAPSHOT_SERVICE,
        "Xen_Job",
        "Xen_StartSnapshotForestExportJob",
        "Xen_EndSnapshotForestExportJob",
    ),
    _owns(
        STORAGE_POOL_MANAGEMENT_SERVICE,
        "Xen_Job",
        "Xen_ConnectToDiskImageJob",
        "Xen_DisconnectFromDiskImageJob",
    ),
)

CLASSES = (*SERVICES, *HOSTED_SERVICES, *(affects(*each) for each in AFFECTED), *OWNED_JOBS)
