"""Lifecycle operations that meet others, fail, or are overtaken: by calls, by guests, and by the end of the server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from vm_lifecycle import check_consistent, perform, refusal
from xenapi_core.datamodel import NULL, XenApiError
from xenapi_core.hypervisors.interface import Stop
from xenapi_core.hypervisors.simulated import Timings


async def test_of_two_starts_one_succeeds(pool: Any) -> None:
    vm = pool.vm("Halted")
    first, second = await asyncio.gather(
        pool.do("VM.start", vm, False), pool.do("VM.start", vm, False), return_exceptions=True
    )
    assert first is None
    assert isinstance(second, XenApiError)
    assert second.code == "OTHER_OPERATION_IN_PROGRESS"
    assert second.parameters[:3] == ("VM", vm, "start")
    check_consistent(pool)


async def test_the_effects_of_a_start_are_one_step(pool: Any) -> None:
    vm = pool.vm("Halted")
    before = pool.store.sequence
    await pool.do("VM.start", vm, False)
    begun, ended = list(pool.store.log.since(before))
    assert {(entry.record.cls, entry.fields) for entry in begun.entries} == {
        ("VM", ("allowed_operations", "current_operations", "scheduled_to_be_resident_on", "memory_target")),
        ("host_metrics", ("memory_free",)),
    }
    changed = {entry.record.cls: set(entry.fields) for entry in ended.entries}
    assert changed["VM"] >= {"power_state", "resident_on", "domid", "allowed_operations", "current_operations"}
    assert changed["VM_metrics"] >= {"start_time", "state", "VCPUs_number"}
    assert changed["VBD"] >= {"currently_attached"} <= changed["VIF"]
    assert changed["host"] == {"resident_VMs"}
    assert set(changed) == {"VM", "VM_metrics", "VM_guest_metrics", "VBD", "VDI", "VIF", "host", "message"}


async def test_a_failed_start_leaves_nothing_behind(pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    vm = pool.vm("Halted")
    before = dict(pool.record(vm).items())
    for hypervisor in pool.fleet.values():

        async def fail(*arguments: Any, **options: Any) -> None:
            raise RuntimeError("no domain today")

        monkeypatch.setattr(hypervisor, "start", fail)
    with pytest.raises(RuntimeError, match="no domain today"):
        await pool.do("VM.start", vm, False)
    assert dict(pool.record(vm).items()) == before
    check_consistent(pool)


async def test_cancelled_start_leaves_nothing_behind(make_pool: Any) -> None:
    pool = make_pool(timings=Timings(start=60.0))
    vm = pool.vm("Halted")
    start = asyncio.create_task(pool.do("VM.start", vm, False))
    while not pool.record(vm)["current_operations"]:
        await asyncio.sleep(0)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert pool.record(vm)["power_state"] == "Halted"
    check_consistent(pool)


@pytest.mark.parametrize(
    ("call", "state"), [("resume", "Suspended"), ("clean_reboot", "Running"), ("suspend", "Running")]
)
async def test_hard_shutdown_overtakes(make_pool: Any, call: str, state: str) -> None:
    pool = make_pool(timings=Timings(resume=0.05, shutdown=0.05, suspend=0.05, destroy=0.0, start=0.0))
    vm = pool.vm(state)
    overtaken = asyncio.create_task(perform(pool, call, vm))
    while not pool.record(vm)["current_operations"]:
        await asyncio.sleep(0)
    await pool.do("VM.hard_shutdown", vm)
    with refusal("VM_BAD_POWER_STATE"):
        await overtaken
    assert pool.record(vm)["power_state"] == "Halted"
    check_consistent(pool)


@pytest.mark.parametrize("call", ["clean_shutdown", "clean_reboot", "suspend"])
async def test_hard_reboot_overtakes(make_pool: Any, call: str) -> None:
    pool = make_pool(timings=Timings(shutdown=0.05, suspend=0.05, destroy=0.0, start=0.0))
    vm = pool.vm("Running")
    images = len(list(pool.store.records("VDI")))
    overtaken = asyncio.create_task(perform(pool, call, vm))
    while not pool.record(vm)["current_operations"]:
        await asyncio.sleep(0)
    await pool.do("VM.hard_reboot", vm)
    with refusal("VM_BAD_POWER_STATE"):
        await overtaken
    record = pool.record(vm)
    assert (record["power_state"], record["suspend_VDI"], record["current_operations"]) == ("Running", NULL, {})
    assert len(list(pool.store.records("VDI"))) == images
    check_consistent(pool)


async def test_clean_shutdown_that_is_overtaken_succeeds(make_pool: Any) -> None:
    pool = make_pool(timings=Timings(shutdown=0.05, destroy=0.0, start=0.0))
    vm = pool.vm("Running")
    clean = asyncio.create_task(pool.do("VM.clean_shutdown", vm))
    while not pool.record(vm)["current_operations"]:
        await asyncio.sleep(0)
    await pool.do("VM.hard_shutdown", vm)
    await pool.do("VM.start", vm, False)
    await clean
    assert pool.record(vm)["power_state"] == "Running"
    check_consistent(pool)


@pytest.mark.parametrize(
    ("stop", "field", "action", "state"),
    [
        (Stop.poweroff, "actions_after_shutdown", "destroy", "Halted"),
        (Stop.poweroff, "actions_after_shutdown", "restart", "Running"),
        (Stop.reboot, "actions_after_reboot", "restart", "Running"),
        (Stop.reboot, "actions_after_reboot", "destroy", "Halted"),
        (Stop.crash, "actions_after_crash", "destroy", "Halted"),
        (Stop.crash, "actions_after_crash", "coredump_and_destroy", "Halted"),
        (Stop.crash, "actions_after_crash", "restart", "Running"),
        (Stop.crash, "actions_after_crash", "coredump_and_restart", "Running"),
        (Stop.crash, "actions_after_crash", "rename_restart", "Running"),
        (Stop.crash, "actions_after_crash", "preserve", "Crashed"),
    ],
)
async def test_guest_stops_by_itself(pool: Any, stop: Stop, field: str, action: str, state: str) -> None:
    vm = pool.vm("Running")
    pool.update(vm, **{field: action})
    before = pool.record(vm)
    pool.hypervisor(vm).guest_stops(before["uuid"], stop)
    await pool.supervisor.stop()
    after = pool.record(vm)
    assert after["power_state"] == state
    if state == "Running":
        assert after["domid"] > before["domid"]
    check_consistent(pool)


async def test_crashed_vm_can_only_be_ended_or_kept(pool: Any) -> None:
    vm = pool.vm("Running")
    pool.update(vm, actions_after_crash="preserve")
    pool.hypervisor(vm).guest_stops(pool.record(vm)["uuid"], Stop.crash)
    await pool.supervisor.stop()
    assert pool.record(vm)["allowed_operations"] == ("hard_shutdown", "hard_reboot", "snapshot")
    await pool.do("VM.hard_shutdown", vm)
    assert pool.record(vm)["power_state"] == "Halted"
    check_consistent(pool)


async def test_unfinished_operation_is_undone_when_the_server_starts(make_pool: Any, tmp_path: Any) -> None:
    pool = make_pool(tmp_path / "journal", timings=Timings(start=60.0, suspend=60.0))
    halted, running = pool.vm("Halted"), pool.vm("Running")
    calls = [
        asyncio.create_task(pool.do("VM.start", halted, False)),
        asyncio.create_task(pool.do("VM.suspend", running)),
    ]
    while not all(pool.record(vm)["current_operations"] for vm in (halted, running)):
        await asyncio.sleep(0)
    await pool.store.flush()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool.store, "write", None)  # the server dies: nothing is undone in its journal
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    pool.store.close()
    again = make_pool(tmp_path / "journal")
    assert again.record(halted)["power_state"] == "Halted"
    assert again.record(running)["power_state"] == "Running"
    check_consistent(again)


async def test_running_vms_are_found_again(make_pool: Any, tmp_path: Any) -> None:
    pool = make_pool(tmp_path / "journal")
    vm = pool.vm("Halted")
    await pool.do("VM.start", vm, False)
    await pool.store.flush()
    known = {host: dict(hypervisor.domains()) for host, hypervisor in pool.fleet.items()}
    pool.store.close()
    again = make_pool(tmp_path / "journal")
    assert {host: dict(hypervisor.domains()) for host, hypervisor in again.fleet.items()} == known
    await again.do("VM.clean_shutdown", vm)
    check_consistent(again)
