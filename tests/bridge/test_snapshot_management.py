"""Snapshots managed through CIM-XML, with what came of it asked of the Xen-API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pywbem import Uint16, Uint64

from tests.support.management import (
    INVALID_PARAMETER,
    INVALID_STATE,
    OK,
    configuration,
    resource,
    settings,
    system,
)


@pytest.fixture
def call(call_of) -> Callable[..., tuple[int, Any]]:
    return call_of("Xen_VirtualSystemSnapshotService")


@pytest.fixture
def with_disk(xenapi, call_of, vm) -> str:
    """The machine, with a disk."""
    disk = resource(19, VirtualQuantity=Uint64(8 << 20))
    add = call_of("Xen_VirtualSystemManagementService")
    value, _ = add("AddResourceSetting", AffectedSystem=system(xenapi.VM.get_uuid(vm)), ResourceSetting=disk)
    assert value == OK
    return vm


@pytest.fixture
def snapshot(call, xenapi, with_disk) -> str:
    """The uuid of a snapshot; the test destroys it."""
    value, outputs = call(
        "CreateSnapshot",
        AffectedSystem=system(xenapi.VM.get_uuid(with_disk)),
        SnapshotSettings=settings(ElementName="as it was", Description="for a test"),
    )
    assert value == OK
    return outputs["ResultingSnapshot"]["InstanceID"].removeprefix("Xen:")


def path(uuid: str) -> Any:
    return configuration(uuid, "Xen_ComputerSystemSnapshot")


def test_a_snapshot_is_made_gone_back_to_and_destroyed(call, xenapi, with_disk, snapshot, everything):
    record = xenapi.VM.get_record(xenapi.VM.get_by_uuid(snapshot))
    assert (record["is_a_snapshot"], record["snapshot_of"]) == (True, with_disk)
    assert (record["name_label"], record["name_description"]) == ("as it was", "for a test")
    assert not [key for key in record["other_config"] if key.startswith("xen-cim:")]
    xenapi.VM.set_name_label(with_disk, "changed")
    assert call("ApplySnapshot", Snapshot=path(snapshot)) == (OK, {})
    assert xenapi.VM.get_name_label(with_disk) == "defined"
    images = [xenapi.VBD.get_VDI(vbd) for vbd in record["VBDs"]]
    assert call("DestroySnapshot", AffectedSnapshot=path(snapshot)) == (OK, {})
    after = everything()
    assert not set(images) & after["VDI"]
    assert len(xenapi.VM.get_VBDs(with_disk)) == 1
    assert call("DestroySnapshot", AffectedSnapshot=path(snapshot)) == (INVALID_PARAMETER, {})


@pytest.mark.parametrize(("kind", "has_memory"), [(2, False), (3, False), (32768, True)])
def test_a_checkpoint_keeps_memory(call, xenapi, vm, kind, has_memory):
    xenapi.VM.start(vm, False, False)
    value, outputs = call("CreateSnapshot", AffectedSystem=system(xenapi.VM.get_uuid(vm)), SnapshotType=Uint16(kind))
    assert value == OK
    snapshot = xenapi.VM.get_by_uuid(outputs["ResultingSnapshot"]["InstanceID"].removeprefix("Xen:"))
    assert xenapi.VM.get_name_label(snapshot) == "defined"
    assert (xenapi.VM.get_power_state(snapshot) == "Suspended") is has_memory
    assert call("DestroySnapshot", AffectedSnapshot=path(xenapi.VM.get_uuid(snapshot)))[0] == OK


def test_what_is_wrong_is_refused_and_nothing_left(call, xenapi, vm, everything):
    uuid = xenapi.VM.get_uuid(vm)
    before = everything()
    for method, wrong in [
        ("CreateSnapshot", {}),
        ("CreateSnapshot", {"AffectedSystem": system("nobody")}),
        ("CreateSnapshot", {"AffectedSystem": uuid, "SnapshotType": Uint16(9)}),
        ("CreateSnapshot", {"AffectedSystem": uuid, "SnapshotSettings": "no MOF"}),
        ("ApplySnapshot", {}),
        ("ApplySnapshot", {"Snapshot": configuration(uuid)}),
        ("DestroySnapshot", {}),
        ("DestroySnapshot", {"AffectedSnapshot": uuid}),
    ]:
        assert call(method, **wrong) == (INVALID_PARAMETER, {}), (method, wrong)
    assert everything() == before


def test_a_checkpoint_of_what_does_not_run_is_in_the_wrong_state(call, xenapi, vm, everything):
    before = everything()
    answer = call("CreateSnapshot", AffectedSystem=xenapi.VM.get_uuid(vm), SnapshotType=Uint16(32768))
    assert answer == (INVALID_STATE, {})
    assert everything() == before
