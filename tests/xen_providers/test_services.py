"""The services of a pool: where they are, and what they manage."""

from __future__ import annotations

import pytest

from cim_provider import InstanceName

SERVICES = {
    "Xen_VirtualSystemManagementService": "Xen Hypervisor",
    "Xen_VirtualSystemMigrationService": "Xen Migration Service",
    "Xen_VirtualSystemSnapshotService": "Xen Virtual System Snapshot Service",
    "Xen_VirtualSwitchManagementService": "Xen Virtual Switch Management Service",
    "Xen_StoragePoolManagementService": "XenServer SR Management Service",
    "Xen_MetricService": "Xen Metrics Service",
}
AFFECTED = {
    "Xen_VirtualSystemManagementServiceAffectsComputerSystem": "Xen_ComputerSystem",
    "Xen_VirtualSystemManagementServiceAffectsHostComputerSystem": "Xen_HostComputerSystem",
    "Xen_VirtualSystemMigrationServiceAffectsComputerSystem": "Xen_ComputerSystem",
    "Xen_VirtualSystemManagementServiceAffectsComputerSystemTemplate": "Xen_ComputerSystemTemplate",
    "Xen_VirtualSystemSnapshotServiceAffectsComputerSystem": "Xen_ComputerSystem",
    "Xen_VirtualSwitchManagementServiceAffectsVirtualSwitch": "Xen_VirtualSwitch",
    "Xen_StoragePoolManagementServiceAffectsStoragePool": "Xen_StoragePool",
    "Xen_VirtualSystemSnapshotServiceAffectsComputerSystemSnapshot": "Xen_ComputerSystemSnapshot",
}


OWNED = {
    "Xen_VirtualSystemModifyResourcesJob": "Xen_VirtualSystemManagementService",
    "Xen_VirtualSystemCreateJob": "Xen_VirtualSystemManagementService",
    "Xen_VirtualSystemMigrationServiceJob": "Xen_VirtualSystemMigrationService",
    "Xen_StartSnapshotForestExportJob": "Xen_VirtualSystemSnapshotService",
    "Xen_EndSnapshotForestExportJob": "Xen_VirtualSystemSnapshotService",
    "Xen_ConnectToDiskImageJob": "Xen_StoragePoolManagementService",
    "Xen_DisconnectFromDiskImageJob": "Xen_StoragePoolManagementService",
    "Xen_SystemStateChangeJob": None,
}


def service_name(class_name: str, master: str) -> InstanceName:
    keys = {
        "SystemCreationClassName": "Xen_HostComputerSystem",
        "SystemName": master,
        "CreationClassName": class_name,
        "Name": SERVICES[class_name],
    }
    return InstanceName(class_name, tuple(keys.items()))


@pytest.fixture
async def master(xen) -> str:
    (pool,) = (await xen.call("pool.get_all_records")).values()
    return await xen.call("host.get_uuid", pool["master"])


@pytest.mark.parametrize("class_name", SERVICES)
async def test_a_pool_has_each_service_once_on_its_master(provider, master, class_name):
    view = provider.view()
    (service,) = view.instances(class_name)
    assert service.name == service_name(class_name, master)
    assert view.instance(service_name(class_name, master)) is service
    assert view.instance(service_name(class_name, "another host")) is None
    hosted = class_name.replace("Xen_", "Xen_Hosted")
    hosts = {each.get("Name"): each.name for each in view.instances("Xen_HostComputerSystem")}
    assert len(hosts) == 2
    for uuid, host in hosts.items():
        pairs = view.references(hosted, host, "Antecedent")
        assert [each.get("Dependent") for each in pairs] == [service.name] * (uuid == master)
    (pair,) = view.references(hosted, service.name, "Dependent")
    assert pair.get("Antecedent") == hosts[master]
    assert view.references(hosted, service.name, "Antecedent") == []


@pytest.mark.parametrize("association", AFFECTED)
async def test_services_manage_what_the_pool_has(provider, association):
    view = provider.view()
    (service,) = view.instances(association.partition("Affects")[0])
    elements = [each.name for each in view.instances(AFFECTED[association])]
    pairs = view.references(association, service.name, "AffectingElement")
    assert [each.get("AffectedElement") for each in pairs] == elements
    assert len(elements) > 1
    for element in elements:
        (pair,) = view.references(association, element, "AffectedElement")
        assert (pair.get("AffectingElement"), pair.get("ElementEffects")) == (service.name, [5])
    (settings, *_) = view.instances("Xen_ComputerSystemSettingData")
    assert view.references(association, settings.name) == []


async def test_jobs_are_owned_by_the_service_whose_methods_begin_them(xen, provider, master, until):
    jobs = {}
    for kind in OWNED:
        task = await xen.call("task.create", kind, "")
        await xen.call("task.add_to_other_config", task, "xen-cim:job", kind)
        jobs[kind] = InstanceName(kind, (("InstanceID", f"Xen:{await xen.call('task.get_uuid', task)}"),))
    await until(lambda view: all(view.instance(job) for job in jobs.values()))
    view = provider.view()
    owning = {
        service: [
            each.get("OwnedElement")
            for each in view.references(f"{service}OwningJobElement", service_name(service, master), "OwningElement")
        ]
        for service in SERVICES
    }
    for service, found in owning.items():
        assert found == [jobs[kind] for kind, owner in OWNED.items() if owner == service]
        for job in jobs.values():
            back = view.references(f"{service}OwningJobElement", job, "OwnedElement")
            assert [each.get("OwningElement") for each in back] == [service_name(service, master)] * (job in found)


async def test_the_management_service_has_the_version_of_what_runs(xen, provider):
    (pool,) = (await xen.call("pool.get_all_records")).values()
    software = await xen.call("host.get_software_version", pool["master"])
    (service,) = provider.view().instances("Xen_VirtualSystemManagementService")
    assert service.get("Version") == software["product_version"]


async def test_services_follow_the_master(xen, provider, master, until):
    hosts = await xen.call("host.get_all_records")
    (ref, other), *_ = ((ref, each["uuid"]) for ref, each in hosts.items() if each["uuid"] != master)
    (before,) = provider.view().instances("Xen_MetricService")
    await xen.call("pool.designate_new_master", ref)
    after = service_name("Xen_MetricService", other)
    await until(lambda view: view.instance(after))
    assert provider.view().instance(before.name) is None
    (pair,) = provider.view().instances("Xen_HostedMetricService")
    assert pair.get("Antecedent").get("Name") == other
