"""What a pool's services can do, and what its hosts can virtualize (DSP1042, DSP1041, DSP1053, DSP1081, DSP1097)."""

from __future__ import annotations

from xen_providers.hosts import HOST_COMPUTER_SYSTEM
from xen_providers.indications import INDICATIONS
from xen_providers.jobs import STATE_CHANGE_JOB
from xen_providers.mapping.declaration import (
    Mapped,
    MappedClass,
    association,
    boolean,
    key,
    string,
    strings,
    uint16,
    uint16s,
    uint32s,
)
from xen_providers.mapping.expressions import PART, POOL, Expression, constant, value
from xen_providers.methods import snapshot_management
from xen_providers.services import (
    METRIC_SERVICE,
    STORAGE_POOL_MANAGEMENT_SERVICE,
    VIRTUAL_SWITCH_MANAGEMENT_SERVICE,
    VIRTUAL_SYSTEM_MANAGEMENT_SERVICE,
    VIRTUAL_SYSTEM_MIGRATION_SERVICE,
    VIRTUAL_SYSTEM_SNAPSHOT_SERVICE,
)
from xen_providers.storage import DISK
from xen_providers.virtual_systems import COMPUTER_SYSTEM

DEFAULT, ENABLED = 2, 2
DOMAIN_NAME, IPV4_DOTTED_DECIMAL = 2, 3
SNAPSHOT_TYPES = sorted(snapshot_management.MESSAGES)
LONGEST_NAME = 256
"""The most that MaxElementNameLen can say; the Xen-API knows no limit."""
LIVE, NO_PRIORITIES, NO_BANDWIDTHS, NOT_EXPOSED = 2, 0, 0, 0
INDEPENDENT, DEFAULTS, POINT, IS_DEFAULT = 0, 0, 0, 1

METHODS = {
    # CIM_VirtualSystemManagementCapabilities
    "DefineSystem": 2,
    "DestroySystem": 3,
    "ModifyResourceSettings": 5,
    "ModifySystemSettings": 6,
    "RemoveResourceSettings": 7,
    "AddResourceSettings": 10,
    # CIM_VirtualSystemMigrationCapabilities
    "MigrateVirtualSystemToHost": 2,
    "MigrateVirtualSystemToSystem": 3,
    "CheckVirtualSystemIsMigratableToHost": 4,
    "CheckVirtualSystemIsMigratableToSystem": 5,
    # CIM_VirtualSystemSnapshotServiceCapabilities
    "CreateSnapshot": 2,
    "DestroySnapshot": 3,
    "ApplySnapshot": 4,
    # CIM_ResourcePoolConfigurationCapabilities
    "DeleteResourcePool": 4,
    # CIM_MetricServiceCapabilities
    "ShowMetrics": 4,
    "ShowMetricsByClass": 5,
    "GetMetricValues": 6,
}
"""The numbers by which capabilities name methods of a service (DMTF schema 2.49.0)."""


def _offered(service: MappedClass, *methods: str) -> Expression:
    """Return the numbers of those of the methods that a service has."""
    return constant(sorted(METHODS[method] for method in methods if method in service.methods))


INDICATED = {2: DISK, 3: STATE_CHANGE_JOB, 4: COMPUTER_SYSTEM}
"""The numbers by which capabilities name indications, each with a class that these tell of: resource, job, system."""


def _capabilities(name: str, superclass: str, caption: str, **properties: Mapped) -> MappedClass:
    """Declare capabilities that a pool has once; like its services they go by the master."""
    return MappedClass(
        name,
        superclass,
        source="pool",
        properties={
            "InstanceID": key(string("master.uuid")),
            "Caption": string(constant(caption)),
            "ElementName": string("master.name_label"),
            **properties,
        },
    )


VIRTUAL_SYSTEM_MANAGEMENT_CAPABILITIES = _capabilities(
    "Xen_VirtualSystemManagementCapabilities",
    "CIM_VirtualSystemManagementCapabilities",
    "How virtual machines can be managed",
    VirtualSystemTypesSupported=strings(constant(["DMTF:Xen:PV", "DMTF:Xen:HVM"])),
    SynchronousMethodsSupported=uint16s(
        _offered(
            VIRTUAL_SYSTEM_MANAGEMENT_SERVICE,
            "DestroySystem",
            "ModifyResourceSettings",
            "ModifySystemSettings",
            "RemoveResourceSettings",
        )
    ),
    AsynchronousMethodsSupported=uint16s(
        _offered(VIRTUAL_SYSTEM_MANAGEMENT_SERVICE, "DefineSystem", "AddResourceSettings")
    ),
    IndicationsSupported=uint16s(
        constant([number for number, told in INDICATED.items() if any(each.is_about(told) for each in INDICATIONS)])
    ),
    RequestedStatesSupported=uint16s(constant([ENABLED])),
    ElementNameEditSupported=boolean(constant(True)),
    MaxElementNameLen=uint16(constant(LONGEST_NAME)),
)
VIRTUAL_SWITCH_MANAGEMENT_CAPABILITIES = _capabilities(
    "Xen_VirtualSwitchManagementCapabilities",
    "CIM_VirtualSystemManagementCapabilities",
    "How virtual switches can be managed",
    VirtualSystemTypesSupported=strings(constant(["DMTF:Virtual Ethernet Switch"])),
    SynchronousMethodsSupported=uint16s(
        _offered(
            VIRTUAL_SWITCH_MANAGEMENT_SERVICE,
            "AddResourceSettings",
            "DefineSystem",
            "DestroySystem",
            "ModifyResourceSettings",
            "ModifySystemSettings",
            "RemoveResourceSettings",
        )
    ),
    ElementNameEditSupported=boolean(constant(True)),
    MaxElementNameLen=uint16(constant(LONGEST_NAME)),
)
VIRTUAL_SYSTEM_MIGRATION_CAPABILITIES = _capabilities(
    "Xen_VirtualSystemMigrationCapabilities",
    "CIM_VirtualSystemMigrationCapabilities",
    "How virtual machines can be moved",
    SynchronousMethodsSupported=uint16s(
        _offered(
            VIRTUAL_SYSTEM_MIGRATION_SERVICE,
            "CheckVirtualSystemIsMigratableToHost",
            "CheckVirtualSystemIsMigratableToSystem",
        )
    ),
    AsynchronousMethodsSupported=uint16s(
        _offered(VIRTUAL_SYSTEM_MIGRATION_SERVICE, "MigrateVirtualSystemToHost", "MigrateVirtualSystemToSystem")
    ),
    DestinationHostFormatsSupported=uint16s(constant([DOMAIN_NAME, IPV4_DOTTED_DECIMAL])),
)
VIRTUAL_SYSTEM_SNAPSHOT_CAPABILITIES = _capabilities(
    "Xen_VirtualSystemSnapshotCapabilities",
    "CIM_VirtualSystemSnapshotCapabilities",
    "Which snapshots virtual machines can have",
    SnapshotTypesEnabled=uint16s(constant(SNAPSHOT_TYPES)),
    GuestOSNotificationEnabled=boolean(constant(False)),
)
VIRTUAL_SYSTEM_SNAPSHOT_SERVICE_CAPABILITIES = _capabilities(
    "Xen_VirtualSystemSnapshotServiceCapabilities",
    "CIM_VirtualSystemSnapshotServiceCapabilities",
    "How snapshots can be managed",
    SynchronousMethodsSupported=uint16s(
        _offered(VIRTUAL_SYSTEM_SNAPSHOT_SERVICE, "CreateSnapshot", "DestroySnapshot", "ApplySnapshot")
    ),
    SnapshotTypesSupported=uint16s(constant(SNAPSHOT_TYPES)),
)
STORAGE_POOL_MANAGEMENT_CAPABILITIES = _capabilities(
    "Xen_StoragePoolManagementCapabilities",
    "CIM_ResourcePoolConfigurationCapabilities",
    "How storage pools can be managed",
    SynchronousMethodsSupported=uint32s(_offered(STORAGE_POOL_MANAGEMENT_SERVICE, "DeleteResourcePool")),
)
METRICS_SERVICE_CAPABILITIES = _capabilities(
    "Xen_MetricsServiceCapabilities",
    "CIM_MetricServiceCapabilities",
    "How metrics can be read",
    SupportedMethods=uint16s(_offered(METRIC_SERVICE, "ShowMetrics", "ShowMetricsByClass", "GetMetricValues")),
    ElementNameEditSupported=boolean(constant(False)),
)

VIRTUALIZABLE = {
    "Processor": (True, False),
    "Memory": (False, True),
    "Disk": (True, False),
    "NetworkPort": (False, False),
}
"""By kind of resource: whether virtual machines can share it, and whether what a running one has of it can change."""

VIRTUALIZATION_CAPABILITIES = MappedClass(
    "Xen_VirtualizationCapabilities",
    "CIM_Capabilities",
    source="pool",
    parts=constant(tuple(VIRTUALIZABLE)),
    properties={
        "InstanceID": key(string(PART, "Xen_{}VirtualizationCapability".format)),
        "Caption": string(constant("What can be virtualized")),
        "ElementName": string(PART, "{} virtualization".format),
        "ResourceType": string(PART),
        "Shared": boolean(PART, lambda kind: VIRTUALIZABLE[kind][0]),
        "Mutable": boolean(PART, lambda kind: VIRTUALIZABLE[kind][1]),
    },
)

VIRTUAL_SYSTEM_MIGRATION_SETTING_DATA = MappedClass(
    "Xen_VirtualSystemMigrationSettingData",
    "CIM_VirtualSystemMigrationSettingData",
    source="pool",
    properties={
        "InstanceID": key(string(constant("Xen:MigrationSettingData"))),
        "Caption": string(constant("Settings of a migration")),
        "ElementName": string(constant("Default settings of a migration")),
        "MigrationType": uint16(constant(LIVE)),
        "Priority": uint16(constant(NO_PRIORITIES)),
        "Bandwidth": uint16(constant(NO_BANDWIDTHS)),
        "TransportType": uint16(constant(NOT_EXPOSED)),
    },
)


def _has(name: str, element: MappedClass, capabilities: MappedClass, where: Expression | None = None) -> MappedClass:
    """Declare that each instance of a class has capabilities of the pool."""
    return association(
        name,
        "Xen_ElementCapabilities",
        source=element.source,
        ends={"ManagedElement": (element, ""), "Capabilities": (capabilities, POOL)},
        properties={"Characteristics": uint16s(constant([DEFAULT]))},
        where=where,
    )


ELEMENT_CAPABILITIES = (
    _has("Xen_HasVirtualizationCapabilities", HOST_COMPUTER_SYSTEM, VIRTUALIZATION_CAPABILITIES),
    _has("Xen_HostVSMSElementCapabilities", HOST_COMPUTER_SYSTEM, VIRTUAL_SYSTEM_MANAGEMENT_CAPABILITIES),
    _has(
        "Xen_ComputerSystemSnapshotElementCapabilities",
        COMPUTER_SYSTEM,
        VIRTUAL_SYSTEM_SNAPSHOT_CAPABILITIES,
        where=value("is_control_domain", lambda is_control_domain: not is_control_domain),
    ),
    _has(
        "Xen_VirtualSystemManagementServiceCapabilities",
        VIRTUAL_SYSTEM_MANAGEMENT_SERVICE,
        VIRTUAL_SYSTEM_MANAGEMENT_CAPABILITIES,
    ),
    _has(
        "Xen_VirtualSystemMigrationServiceCapabilities",
        VIRTUAL_SYSTEM_MIGRATION_SERVICE,
        VIRTUAL_SYSTEM_MIGRATION_CAPABILITIES,
    ),
    _has(
        "Xen_VirtualSystemSnapshotServiceElementCapabilities",
        VIRTUAL_SYSTEM_SNAPSHOT_SERVICE,
        VIRTUAL_SYSTEM_SNAPSHOT_SERVICE_CAPABILITIES,
    ),
    _has(
        "Xen_VirtualSwitchManagementServiceCapabilities",
        VIRTUAL_SWITCH_MANAGEMENT_SERVICE,
        VIRTUAL_SWITCH_MANAGEMENT_CAPABILITIES,
    ),
    _has(
        "Xen_StoragePoolManagementServiceCapabilities",
        STORAGE_POOL_MANAGEMENT_SERVICE,
        STORAGE_POOL_MANAGEMENT_CAPABILITIES,
    ),
    _has("Xen_MetricServiceElementCapabilities", METRIC_SERVICE, METRICS_SERVICE_CAPABILITIES),
)

MIGRATION_SETTINGS_DEFINE_CAPABILITIES = association(
    "Xen_VirtualSystemMigrationSettingsDefineCapabilities",
    "Xen_SettingsDefineCapabilities",
    source="pool",
    ends={
        "GroupComponent": (VIRTUAL_SYSTEM_MIGRATION_CAPABILITIES, ""),
        "PartComponent": (VIRTUAL_SYSTEM_MIGRATION_SETTING_DATA, ""),
    },
    properties={
        "PropertyPolicy": uint16(constant(INDEPENDENT)),
        "ValueRole": uint16(constant(DEFAULTS)),
        "ValueRange": uint16(constant(POINT)),
    },
)
MIGRATION_SERVICE_ELEMENT_SETTING_DATA = association(
    "Xen_VirtualSystemMigrationServiceElementSettingData",
    "Xen_ElementSettingData",
    source="pool",
    ends={
        "ManagedElement": (VIRTUAL_SYSTEM_MIGRATION_SERVICE, ""),
        "SettingData": (VIRTUAL_SYSTEM_MIGRATION_SETTING_DATA, ""),
    },
    properties={"IsDefault": uint16(constant(IS_DEFAULT))},
)

CLASSES = (
    VIRTUAL_SYSTEM_MANAGEMENT_CAPABILITIES,
    VIRTUAL_SWITCH_MANAGEMENT_CAPABILITIES,
    VIRTUAL_SYSTEM_MIGRATION_CAPABILITIES,
    VIRTUAL_SYSTEM_SNAPSHOT_CAPABILITIES,
    VIRTUAL_SYSTEM_SNAPSHOT_SERVICE_CAPABILITIES,
    STORAGE_POOL_MANAGEMENT_CAPABILITIES,
    METRICS_SERVICE_CAPABILITIES,
    VIRTUALIZATION_CAPABILITIES,
    VIRTUAL_SYSTEM_MIGRATION_SETTING_DATA,
    *ELEMENT_CAPABILITIES,
    MIGRATION_SETTINGS_DEFINE_CAPABILITIES,
    MIGRATION_SERVICE_ELEMENT_SETTING_DATA,
)
