"""What the pool says that its services and hosts can do."""

from __future__ import annotations

import pytest

from cim_provider import InstanceName
from xen_providers.capabilities import METHODS
from xen_providers.provider import CLASSES

METHODS_OF = {each.name: METHODS.keys() & each.methods.keys() for each in CLASSES}
"""By class: those of its methods that capabilities can list."""

OF_SERVICES = {  # association: service, capabilities, where they list the methods
    "Xen_VirtualSystemManagementServiceCapabilities": (
        "Xen_VirtualSystemManagementService",
        "Xen_VirtualSystemManagementCapabilities",
        ("SynchronousMethodsSupported", "AsynchronousMethodsSupported"),
    ),
    "Xen_VirtualSwitchManagementServiceCapabilities": (
        "Xen_VirtualSwitchManagementService",
        "Xen_VirtualSwitchManagementCapabilities",
        ("SynchronousMethodsSupported",),
    ),
    "Xen_VirtualSystemMigrationServiceCapabilities": (
        "Xen_VirtualSystemMigrationService",
        "Xen_VirtualSystemMigrationCapabilities",
        ("SynchronousMethodsSupported", "AsynchronousMethodsSupported"),
    ),
    "Xen_VirtualSystemSnapshotServiceElementCapabilities": (
        "Xen_VirtualSystemSnapshotService",
        "Xen_VirtualSystemSnapshotServiceCapabilities",
        ("SynchronousMethodsSupported",),
    ),
    "Xen_StoragePoolManagementServiceCapabilities": (
        "Xen_StoragePoolManagementService",
        "Xen_StoragePoolManagementCapabilities",
        ("SynchronousMethodsSupported",),
    ),
    "Xen_MetricServiceElementCapabilities": (
        "Xen_MetricService",
        "Xen_MetricsServiceCapabilities",
        ("SupportedMethods",),
    ),
}
VALUES = {
    "Xen_VirtualSystemManagementCapabilities": {
        "VirtualSystemTypesSupported": ["DMTF:Xen:PV", "DMTF:Xen:HVM"],
        "SynchronousMethodsSupported": [3, 5, 6, 7],
        "AsynchronousMethodsSupported": [2, 10],
        "IndicationsSupported": [2, 3, 4],
        "RequestedStatesSupported": [2],
        "ElementNameEditSupported": True,
        "MaxElementNameLen": 256,
    },
    "Xen_VirtualSwitchManagementCapabilities": {
        "VirtualSystemTypesSupported": ["DMTF:Virtual Ethernet Switch"],
        "ElementNameEditSupported": True,
        "MaxElementNameLen": 256,
    },
    "Xen_VirtualSystemMigrationCapabilities": {
        "SynchronousMethodsSupported": [4, 5],
        "AsynchronousMethodsSupported": [2, 3],
        "DestinationHostFormatsSupported": [2, 3],
    },
    "Xen_VirtualSystemSnapshotCapabilities": {
        "SnapshotTypesEnabled": [2, 3, 32768],
        "GuestOSNotificationEnabled": False,
    },
    "Xen_VirtualSystemSnapshotServiceCapabilities": {
        "SynchronousMethodsSupported": [2, 3, 4],
        "SnapshotTypesSupported": [2, 3, 32768],
    },
    "Xen_StoragePoolManagementCapabilities": {},
    "Xen_MetricsServiceCapabilities": {"ElementNameEditSupported": False},
}


@pytest.mark.parametrize("class_name", VALUES)
async def test_capabilities_are_there_once_by_the_masters_uuid(xen, provider, class_name):
    (pool,) = (await xen.call("pool.get_all_records")).values()
    master = await xen.call("host.get_record", pool["master"])
    view = provider.view()
    (found,) = view.instances(class_name)
    assert found.name == InstanceName(class_name, (("InstanceID", master["uuid"]),))
    assert found.get("ElementName") == master["name_label"]
    assert {name: found.get(name) for name in VALUES[class_name]} == VALUES[class_name]
    assert view.instance(InstanceName(class_name, (("InstanceID", f"Xen:{master['uuid']}"),))) is None


@pytest.mark.parametrize("association", OF_SERVICES)
async def test_a_service_and_its_capabilities_lead_to_each_other(provider, association):
    view = provider.view()
    service_class, class_name, _ = OF_SERVICES[association]
    (service,), (capabilities,) = view.instances(service_class), view.instances(class_name)
    for end, role in ((service, "ManagedElement"), (capabilities, "Capabilities")):
        (pair,) = view.references(association, end.name, role)
        assert (pair.get("ManagedElement"), pair.get("Capabilities")) == (service.name, capabilities.name)
        assert pair.get("Characteristics") == [2]
    assert view.references(association, service.name, "Capabilities") == []


@pytest.mark.parametrize("association", OF_SERVICES)
async def test_capabilities_list_each_method_of_the_service_once_and_no_other(provider, association):
    service_class, class_name, lists = OF_SERVICES[association]
    (found,) = provider.view().instances(class_name)
    numbers = sorted(METHODS[method] for method in METHODS_OF[service_class])
    assert sorted(number for each in lists for number in found.get(each)) == numbers
    assert all(found.get(each) == sorted(found.get(each)) for each in lists)


async def test_every_host_can_virtualize_each_kind_of_resource(provider):
    view = provider.view()
    kinds = {each.get("InstanceID"): each for each in view.instances("Xen_VirtualizationCapabilities")}
    assert {
        key: (each.get("ResourceType"), each.get("Shared"), each.get("Mutable")) for key, each in kinds.items()
    } == {
        "Xen_ProcessorVirtualizationCapability": ("Processor", True, False),
        "Xen_MemoryVirtualizationCapability": ("Memory", False, True),
        "Xen_DiskVirtualizationCapability": ("Disk", True, False),
        "Xen_NetworkPortVirtualizationCapability": ("NetworkPort", False, False),
    }
    hosts = [each.name for each in view.instances("Xen_HostComputerSystem")]
    association = "Xen_HasVirtualizationCapabilities"
    for host in hosts:
        pairs = view.references(association, host, "ManagedElement")
        assert [each.get("Capabilities") for each in pairs] == [each.name for each in kinds.values()]
    for each in kinds.values():
        assert view.instance(each.name) is each
        assert [pair.get("ManagedElement") for pair in view.references(association, each.name)] == hosts


async def test_every_host_says_how_virtual_systems_are_managed(provider):
    view = provider.view()
    (capabilities,) = view.instances("Xen_VirtualSystemManagementCapabilities")
    hosts = [each.name for each in view.instances("Xen_HostComputerSystem")]
    pairs = view.references("Xen_HostVSMSElementCapabilities", capabilities.name, "Capabilities")
    assert [each.get("ManagedElement") for each in pairs] == hosts
    for host in hosts:
        (pair,) = view.references("Xen_HostVSMSElementCapabilities", host)
        assert pair.get("Capabilities") == capabilities.name


async def test_every_virtual_system_but_control_domains_can_have_snapshots(xen, provider):
    view = provider.view()
    (capabilities,) = view.instances("Xen_VirtualSystemSnapshotCapabilities")
    control = {each["uuid"] for each in (await xen.call("VM.get_all_records")).values() if each["is_control_domain"]}
    pairs = view.references("Xen_ComputerSystemSnapshotElementCapabilities", capabilities.name)
    systems = {each.get("Name") for each in view.instances("Xen_ComputerSystem")}
    assert control < systems
    assert {each.get("ManagedElement").get("Name") for each in pairs} == systems - control
    for system in view.instances("Xen_ComputerSystem"):
        found = view.references("Xen_ComputerSystemSnapshotElementCapabilities", system.name)
        assert len(found) == (system.get("Name") not in control)


async def test_migrations_have_default_settings(provider):
    view = provider.view()
    (settings,) = view.instances("Xen_VirtualSystemMigrationSettingData")
    assert settings.get("InstanceID") == "Xen:MigrationSettingData"
    assert [settings.get(name) for name in ("MigrationType", "Priority", "Bandwidth", "TransportType")] == [2, 0, 0, 0]
    (pair,) = view.references("Xen_VirtualSystemMigrationSettingsDefineCapabilities", settings.name, "PartComponent")
    assert pair.get("GroupComponent") == view.instances("Xen_VirtualSystemMigrationCapabilities")[0].name
    assert [pair.get(name) for name in ("PropertyPolicy", "ValueRole", "ValueRange")] == [0, 0, 0]
    (pair,) = view.references("Xen_VirtualSystemMigrationServiceElementSettingData", settings.name, "SettingData")
    assert pair.get("ManagedElement") == view.instances("Xen_VirtualSystemMigrationService")[0].name
    assert pair.get("IsDefault") == 1
