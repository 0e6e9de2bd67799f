"""Migration through CIM-XML, with what came of it asked of the Xen-API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pywbem import Uint16

from tests.support.management import COMPLETED, EXCEPTION, INVALID_PARAMETER, OK, named, settings, system


@pytest.fixture
def call(call_of) -> Callable[..., tuple[int, Any]]:
    return call_of("Xen_VirtualSystemMigrationService")


def host_path(uuid: str) -> Any:
    return named("Xen_HostComputerSystem", CreationClassName="Xen_HostComputerSystem", Name=uuid)


WAYS = {
    "address": lambda host: ("ToHost", {"DestinationHost": host["address"]}),
    "hostname": lambda host: ("ToHost", {"DestinationHost": host["hostname"]}),
    "name": lambda host: ("ToHost", {"DestinationHost": host["name_label"]}),
    "path": lambda host: ("ToSystem", {"DestinationSystem": host_path(host["uuid"])}),
    "uuid": lambda host: ("ToSystem", {"DestinationSystem": host["uuid"]}),
}


@pytest.fixture
def refusal(call, wbem) -> Callable[..., str]:
    """Ask whether a machine can move, and return why it cannot.

    pywbem takes the text FALSE of an output parameter for true, so its answer is looked at as it came.
    """

    def refusal(method: str, **parameters: Any) -> str:
        wbem.debug = True
        value, outputs = call(method, **parameters)
        assert value == OK
        assert b'<PARAMVALUE NAME="IsMigratable" PARAMTYPE="boolean"><VALUE>FALSE</VALUE>' in wbem.last_raw_reply
        return outputs["Reason"]

    return refusal


@pytest.fixture
def running(xenapi, vm) -> str:
    xenapi.VM.start(vm, False, False)
    return vm


@pytest.fixture
def elsewhere(xenapi, running) -> dict[str, Any]:
    """The record of a host on which the machine does not run."""
    here = xenapi.VM.get_resident_on(running)
    return next(each for ref, each in xenapi.host.get_all_records().items() if ref != here)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_machine_that_runs_moves(call, done, xenapi, running, elsewhere, way):
    to, destination = way(elsewhere)
    machine = {"ComputerSystem": system(xenapi.VM.get_uuid(running))}
    assert call(f"CheckVirtualSystemIsMigratable{to}", **machine, **destination) == (OK, {"IsMigratable": True})
    live = settings("CIM_VirtualSystemMigrationSettingData", MigrationType=Uint16(2))
    job = done(call(f"MigrateVirtualSystem{to}", **machine, **destination, MigrationSettingData=live))
    assert (job["JobState"], job.classname) == (COMPLETED, "Xen_VirtualSystemMigrationServiceJob")
    assert xenapi.host.get_uuid(xenapi.VM.get_resident_on(running)) == elsewhere["uuid"]


def test_a_machine_that_does_not_run_does_not_move(call, done, refusal, xenapi, vm):
    host = next(iter(xenapi.host.get_all_records().values()))
    given = {"ComputerSystem": xenapi.VM.get_uuid(vm), "DestinationHost": host["name_label"]}
    assert "VM_BAD_POWER_STATE" in refusal("CheckVirtualSystemIsMigratableToHost", **given)
    assert done(call("MigrateVirtualSystemToHost", **given))["JobState"] == EXCEPTION


def test_a_host_that_takes_no_machines_is_told(refusal, xenapi, running, elsewhere):
    ref = xenapi.host.get_by_uuid(elsewhere["uuid"])
    xenapi.host.disable(ref)
    try:
        given = {"ComputerSystem": xenapi.VM.get_uuid(running), "DestinationSystem": elsewhere["uuid"]}
        assert "HOST_DISABLED" in refusal("CheckVirtualSystemIsMigratableToSystem", **given)
    finally:
        xenapi.host.enable(ref)


@pytest.mark.parametrize("begin", ["MigrateVirtualSystem", "CheckVirtualSystemIsMigratable"])
def test_what_is_wrong(call, xenapi, vm, begin):
    machine = {"ComputerSystem": xenapi.VM.get_uuid(vm)}
    host = next(iter(xenapi.host.get_all_records().values()))
    there = {"DestinationHost": host["name_label"]}
    cold = {"MigrationSettingData": settings("CIM_VirtualSystemMigrationSettingData", MigrationType=Uint16(3))}
    for to, wrong in [
        ("ToHost", machine),
        ("ToHost", there),
        ("ToHost", {**machine, "DestinationHost": "nowhere"}),
        ("ToHost", {**machine, **there, **cold}),
        ("ToHost", {"ComputerSystem": system("nobody"), **there}),
        ("ToSystem", machine),
        ("ToSystem", {**machine, "DestinationSystem": host_path("nobody")}),
        ("ToSystem", {**machine, "DestinationSystem": system(machine["ComputerSystem"])}),
    ]:
        assert call(f"{begin}{to}", **wrong) == (INVALID_PARAMETER, {}), wrong
