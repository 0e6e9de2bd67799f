"""The simulated pool is rich: it shows an instance of every class of the model, and pairs of every association."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from xen_providers.jobs import KINDS
from xen_providers.methods.call import Call
from xen_providers.methods.state_changes import AFFECTED_HOST, AFFECTED_VM
from xen_providers.provider import CLASSES, XenProvider

ONE_BY_NATURE = frozenset(
    {
        # The pool is hosted by its master, and so are the services, each of which there is once ...
        "Xen_HostedHostPool",
        "Xen_HostedMetricService",
        "Xen_HostedStoragePoolManagementService",
        "Xen_HostedVirtualSwitchManagementService",
        "Xen_HostedVirtualSystemManagementService",
        "Xen_HostedVirtualSystemMigrationService",
        "Xen_HostedVirtualSystemSnapshotService",
        # ... with capabilities, of which the one for migration has settings, ...
        "Xen_MetricServiceElementCapabilities",
        "Xen_StoragePoolManagementServiceCapabilities",
        "Xen_VirtualSwitchManagementServiceCapabilities",
        "Xen_VirtualSystemManagementServiceCapabilities",
        "Xen_VirtualSystemMigrationServiceCapabilities",
        "Xen_VirtualSystemMigrationServiceElementSettingData",
        "Xen_VirtualSystemMigrationSettingsDefineCapabilities",
        "Xen_VirtualSystemSnapshotServiceElementCapabilities",
        # ... and conforming to a profile.
        "Xen_ElementConformsToBaseMetricsProfile",
        "Xen_ElementConformsToJobControlProfile",
        "Xen_ElementConformsToVirtualSystemMigrationProfile",
        # There is one of each profile, and that of the virtualization of systems refers to all the others.
        "Xen_ReferencedAllocationCapabilitiesProfile",
        "Xen_ReferencedBaseMetricsProfile",
        "Xen_ReferencedEthernetPortVirtualizationProfile",
        "Xen_ReferencedGenericDeviceAllocationProfile",
        "Xen_ReferencedJobControlProfile",
        "Xen_ReferencedMemoryAllocationProfile",
        "Xen_ReferencedProcessorAllocationProfile",
        "Xen_ReferencedResourceAllocationProfile",
        "Xen_ReferencedStorageVirtualizationProfile",
        "Xen_ReferencedVirtualEthernetSwitchProfile",
        "Xen_ReferencedVirtualSystemMigrationProfile",
        "Xen_ReferencedVirtualSystemProfile",
    }
)
"""Associations between what there is one of in a pool."""

EACH_WITH_EACH = frozenset(
    {
        # What can be virtualized on each host is the same.
        "Xen_HasVirtualizationCapabilities",
        # All devices of a kind are measured by the same metrics.
        "Xen_MetricDefForDisk",
        "Xen_MetricDefForHostNetworkPort",
        "Xen_MetricDefForNetworkPort",
    }
)
"""Associations of several with several that join each with each by nature."""


@pytest.fixture(params=[8, 12], ids="{} VMs".format)
async def rich(pool, request) -> AsyncIterator[XenProvider]:
    """A provider on a pool of 8 VMs, as these tests use it, or of 12, as ``xen-cim run`` makes it."""
    await pool.stop()
    pool.settings = type(pool.settings)(**{**vars(pool.settings), "state": pool.folder / "other", "vms": request.param})
    await pool.start()
    provider = XenProvider(pool.url("unix"))
    await provider.start()
    yield provider
    await provider.stop()


async def begin_jobs(provider: XenProvider, context: Any) -> None:
    """Begin jobs of every kind that concern two VMs, and two hosts."""

    async def work(work: Any) -> None:
        await work.progress(0.5)

    view = provider.view()
    for detail, system in ((AFFECTED_VM, "Xen_ComputerSystem"), (AFFECTED_HOST, "Xen_HostComputerSystem")):
        for instance in view.instances(system)[-2:]:
            ref, record = view.record(instance.name)
            call = Call(
                ref, record, instance.name, "Any", context.principal, view, provider._replica, provider._workshop
            )
            await asyncio.gather(*(call.begin(kind, work, {detail: ref}) for kind in KINDS))


async def test_there_is_something_of_everything(rich, context):
    await begin_jobs(rich, context)
    await rich.refresh([each.name for each in CLASSES])
    view = rich.view()
    counts = {each.name: len(view.instances(each.name)) for each in CLASSES}
    associations = {each.name for each in CLASSES if each.declaration.is_association}
    assert [name for name, count in counts.items() if not count] == []
    assert {name for name in associations if counts[name] == 1} == ONE_BY_NATURE


async def test_what_is_joined_could_be_joined_with_others(rich, context):
    await begin_jobs(rich, context)
    view = rich.view()
    joined = set()
    for each in CLASSES:
        if each.declaration.is_association:
            pairs = view.instances(each.name)
            classes = [{pair.get(role).class_name for pair in pairs} for role in each.declaration.ends]
            firsts, seconds = (sum(len(view.instances(name)) for name in names) for names in classes)
            if min(firsts, seconds) > 1 and len(pairs) == firsts * seconds:
                joined.add(each.name)
    assert joined == EACH_WITH_EACH
