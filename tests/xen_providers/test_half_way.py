"""Methods that fail half-way: whichever call of the Xen-API is refused, everything is as it was before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from cim_provider import Instance, InstanceName
from simulated_pool import KEPT, PASSING
from xen_providers.access import XenPrincipal
from xenapi_client import XenApiError

UNIMPORTANT = ("task.destroy", "task.set_progress")
"""Calls on which nothing depends: they tell how far the work is, and tidy up."""
COMPLETED, EXCEPTION = 7, 10
MOST = 60
"""Calls that a method may make; a test that finds no end would be wrong itself."""


def settings(class_name: str, **properties: Any) -> Instance:
    return Instance(class_name, properties)


@pytest.fixture
async def facts(xen, halted) -> dict[str, Any]:
    """What the methods are asked to work with."""
    records = {cls: await xen.call(f"{cls}.get_all_records") for cls in ("VM", "SR", "network", "pool", "PIF", "VDI")}
    (pool,) = records["pool"].values()
    vms = records["VM"].items()
    iso = next(ref for ref, each in records["SR"].items() if each["content_type"] == "iso" and each["VDIs"])
    return {
        "vm": records["VM"][halted]["uuid"],
        "running": next(
            each["uuid"] for _, each in vms if each["power_state"] == "Running" and not each["is_control_domain"]
        ),
        "template": next(each["uuid"] for _, each in vms if each["is_a_template"] and not each["is_a_snapshot"]),
        "storage": records["SR"][pool["default_SR"]]["uuid"],
        "network": next(iter(records["network"].values()))["uuid"],
        "bond": next(each["device"] for each in records["PIF"].values() if each["bond_master_of"]),
        "cd": records["VDI"][records["SR"][iso]["VDIs"][0]]["uuid"],
    }


def resources(facts: Mapping[str, Any]) -> list[Instance]:
    return [
        settings("Xen_ProcessorSettingData", VirtualQuantity=2, Weight=100),
        settings("Xen_MemorySettingData", VirtualQuantity=256),
        settings("Xen_DiskSettingData", ResourceType=19, VirtualQuantity=8 << 20, PoolID=facts["storage"]),
        settings("Xen_DiskSettingData", ResourceType=16, HostResource=[facts["cd"]]),
        settings("Xen_NetworkPortSettingData", ResourceType=33, PoolID=facts["network"]),
        settings("Xen_ConsoleSettingData"),
        settings("Xen_KVPSettingData", key="a", value="b"),
    ]


NEW = {"ElementName": "new", "VirtualSystemType": "DMTF:xen:PV", "Description": "x", "Other_Config": ["a=b"]}
MACHINES, SWITCHES, STORAGE, SNAPSHOTS = (
    "Xen_VirtualSystemManagementService",
    "Xen_VirtualSwitchManagementService",
    "Xen_StoragePoolManagementService",
    "Xen_VirtualSystemSnapshotService",
)
METHODS = {
    "define": lambda facts: (
        MACHINES,
        "DefineSystem",
        {
            "SystemSettings": settings("Xen_ComputerSystemSettingData", **NEW),
            "ResourceSettings": resources(facts),
        },
    ),
    "define from a template": lambda facts: (
        MACHINES,
        "DefineSystem",
        {
            "SystemSettings": settings("Xen_ComputerSystemSettingData", **NEW),
            "ReferenceConfiguration": facts["template"],
            "ResourceSettings": resources(facts)[4:5],
        },
    ),
    "copy": lambda facts: (
        MACHINES,
        "CopySystem",
        {
            "SystemSettings": settings("Xen_ComputerSystemSettingData", **NEW),
            "ReferenceConfiguration": facts["vm"],
        },
    ),
    "add": lambda facts: (
        MACHINES,
        "AddResourceSettings",
        {"AffectedConfiguration": facts["vm"], "ResourceSettings": resources(facts)},
    ),
    "add hot": lambda facts: (
        MACHINES,
        "AddResourceSettings",
        {"AffectedConfiguration": facts["running"], "ResourceSettings": resources(facts)[2:5]},
    ),
    "modify settings": lambda facts: (
        MACHINES,
        "ModifySystemSettings",
        {"SystemSettings": settings("Xen_ComputerSystemSettingData", InstanceID=f"Xen:{facts['vm']}", **NEW)},
    ),
    "modify resources": lambda facts: (
        MACHINES,
        "ModifyResourceSettings",
        {
            "ResourceSettings": [
                settings("Xen_ProcessorSettingData", InstanceID=f"Xen:{facts['vm']}/Processor", VirtualQuantity=3),
                settings("Xen_MemorySettingData", InstanceID=f"Xen:{facts['vm']}/Memory", VirtualQuantity=300),
            ]
        },
    ),
    "snapshot": lambda facts: (
        SNAPSHOTS,
        "CreateSnapshot",
        {"AffectedSystem": facts["vm"], "SnapshotSettings": settings("CIM_VirtualSystemSettingData", Description="x")},
    ),
    "switch": lambda facts: (
        SWITCHES,
        "DefineSystem",
        {
            "SystemSettings": settings("CIM_VirtualSystemSettingData", ElementName="new"),
            "ResourceSettings": [settings("Xen_HostNetworkPortSettingData", Connection=[facts["bond"]], VlanTag=99)],
        },
    ),
    "storage": lambda facts: (
        STORAGE,
        "CreateStoragePool",
        {
            "ElementName": "new",
            "Settings": settings("CIM_RASD", ResourceSubType="nfs", Connection=["server=a", "serverpath=/b"]),
        },
    ),
    "image": lambda facts: (STORAGE, "CreateDiskImage", {"ResourceSetting": resources(facts)[2]}),
}


class Refusal:
    """Lets one call of the users' sessions fail, by its number among those on which anything depends."""

    def __init__(self, monkeypatch) -> None:
        self.number = 0
        self.made: list[str] = []
        original = XenPrincipal.call

        async def call(principal: XenPrincipal, method: str, *parameters: object) -> Any:
            if method not in UNIMPORTANT:
                self.made.append(method)
                if len(self.made) == self.number:
                    raise XenApiError("INTERNAL_ERROR", ["refused for a test"])
            return await original(principal, method, *parameters)

        monkeypatch.setattr(XenPrincipal, "call", call)

    def at(self, number: int) -> None:
        self.number = number
        self.made.clear()

    @property
    def happened(self) -> bool:
        return len(self.made) >= self.number


async def content(xen) -> dict[str, Any]:
    """Everything that there is."""
    return {
        cls: {
            ref: {name: value for name, value in record.items() if name not in PASSING}
            for ref, record in (await xen.call(f"{cls}.get_all_records")).items()
        }
        for cls in KEPT
    }


@pytest.mark.parametrize("asked", METHODS.values(), ids=METHODS)
async def test_nothing_is_left(provider, context, xen, facts, until, monkeypatch, asked):
    service, method, inputs = asked(facts)
    (target,) = [each.name for each in provider.view().instances(service)]
    refusal = Refusal(monkeypatch)
    for number in range(1, MOST):
        before = await content(xen)
        refusal.at(number)
        result = await provider.invoke_method(context, target, method, inputs)
        failed = result.value not in (0, 4096)
        job: InstanceName | None = result.outputs.get("Job")
        if job is not None:
            state = await until(
                lambda view, job=job: (now := view.instance(job).get("JobState")) in (COMPLETED, EXCEPTION) and now
            )
            failed = state == EXCEPTION
        if not refusal.happened:
            assert not failed
            assert number > 2, "the method calls several times"
            return
        assert failed, f"refused and yet done: {refusal.made[number - 1]}, call {number}"
        assert await content(xen) == before, f"refused: {refusal.made[number - 1]}, call {number}"
    pytest.fail("the method never came to its end")
