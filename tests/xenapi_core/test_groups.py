"""Migration, appliances, snapshot schedules, virtual TPMs, GPUs and USB devices of VMs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from xenapi_core.classes.supervision import Supervisor
from xenapi_core.datamodel import NULL, XenApiError
from xenapi_core.hypervisors.interface import Stop
from xenapi_core.hypervisors.simulated import Timings

MIB = 1 << 20


async def refused(call: Any) -> str:
    with pytest.raises(XenApiError) as error:
        await call
    return error.value.code


def free(pool: Any) -> dict[str, int]:
    return {host: pool.record(pool.record(host)["metrics"])["memory_free"] for host in pool.fleet}


def other_host(pool: Any, vm: str) -> str:
    return next(host for host in pool.fleet if host != pool.record(vm)["resident_on"])


async def test_migration_moves_the_domain_and_its_memory(pool: Any) -> None:
    vm = pool.vm("Running")
    here, there, before = pool.record(vm)["resident_on"], other_host(pool, vm), free(pool)
    held = pool.record(vm)["memory_target"] + pool.record(vm)["memory_overhead"]
    await pool.do("VM.pool_migrate", vm, there, {"live": "true"})
    record = pool.record(vm)
    assert (record["power_state"], record["resident_on"]) == ("Running", there)
    assert record["uuid"] in pool.fleet[there].domains()
    assert record["uuid"] not in pool.fleet[here].domains()
    assert free(pool) == {here: before[here] + held, there: before[there] - held}
    await pool.do("VM.migrate", vm, pool.record(here)["name_label"], True, {})
    assert pool.record(vm)["resident_on"] == here
    assert free(pool) == before


async def test_a_cancelled_migration_changes_nothing(make_pool: Any) -> None:
    pool = make_pool(timings=Timings(migrate=600.0))
    vm = pool.vm("Running")
    before, record = free(pool), dict(pool.record(vm).items())
    migration = asyncio.create_task(pool.do("VM.pool_migrate", vm, other_host(pool, vm), {}))
    while not pool.record(vm)["current_operations"]:
        await asyncio.sleep(0)
    migration.cancel()
    with pytest.raises(asyncio.CancelledError):
        await migration
    assert free(pool) == before
    assert dict(pool.record(vm).items()) == record


async def test_what_cannot_move(pool: Any) -> None:
    vm = pool.vm("Running")
    there = other_host(pool, vm)
    pool.update(there, enabled=False)
    assert await refused(pool.do("VM.pool_migrate", vm, there, {})) == "HOST_DISABLED"
    pool.update(vm, platform={"nomigrate": "true"})
    assert await refused(pool.do("VM.pool_migrate", vm, there, {})) == "VM_IS_IMMOBILE"
    assert "pool_migrate" not in pool.record(vm)["allowed_operations"]
    elsewhere = "VM_MIGRATE_CONTACT_REMOTE_SERVICE_FAILED"
    assert await refused(pool.do("VM.migrate_send", vm, {"host": "another"}, True, {}, {}, {})) == elsewhere


async def test_storage_migration(pool: Any) -> None:
    vm = pool.vm("Halted")
    disk = pool.record(pool.record(vm)["VBDs"][0])["VDI"]
    local = next(sr.ref for sr in pool.store.records("SR") if not sr["shared"])
    host = next(iter(pool.fleet))
    assert await pool.do("VM.migrate_send", vm, {"host": host}, True, {disk: local}, {}, {}) == vm
    assert pool.record(disk)["SR"] == local
    assert not pool.record(vm)["current_operations"]


async def test_an_appliance_starts_and_stops_in_order(pool: Any) -> None:
    vms = [await pool.do("VM.create", {"name_label": str(n), "memory_static_max": 64 * MIB}) for n in range(3)]
    appliance = await pool.do("VM_appliance.create", {"name_label": "all"})
    for number, vm in enumerate(vms):
        await pool.do("VM.set_appliance", vm, appliance)
        await pool.do("VM.set_order", vm, 2 - number)
    assert pool.record(appliance)["VMs"] == tuple(vms)
    before = pool.store.sequence
    await pool.do("VM_appliance.start", appliance, False)
    entries = [entry for commit in pool.store.log.since(before) for entry in commit.entries]
    started = [entry.record.ref for entry in entries if "power_state" in entry.fields]
    assert started == vms[::-1]
    await pool.do("VM_appliance.clean_shutdown", appliance)
    assert {pool.record(vm)["power_state"] for vm in vms} == {"Halted"}
    pool.update(vms[0], blocked_operations={"start": "broken"})
    assert await refused(pool.do("VM_appliance.start", appliance, False)) == "OPERATION_PARTIALLY_FAILED"
    assert pool.record(vms[1])["power_state"] == "Running"
    assert not pool.record(appliance)["current_operations"]
    assert await refused(pool.do("VM.set_is_a_template", vms[0], True)) == "VM_IS_PART_OF_AN_APPLIANCE"
    await pool.do("VM_appliance.destroy", appliance)
    assert pool.record(vms[0])["appliance"] == NULL


async def test_a_schedule_keeps_so_many_snapshots(pool: Any) -> None:
    vm = pool.vms("Running")[1].ref
    made = await pool.do("VMSS.create", {"type": "snapshot", "frequency": "daily", "retained_snapshots": 2})
    assert pool.record(made)["schedule"] == {"hour": "0", "min": "0"}
    await pool.do("VM.set_snapshot_schedule", vm, made)
    images = len(list(pool.store.records("VDI")))
    for _ in range(3):
        await pool.do("VMSS.snapshot_now", made)
    assert len(pool.record(vm)["snapshots"]) == 2
    assert len(list(pool.store.records("VDI"))) == images + 2 * 2
    assert await refused(pool.do("VMSS.set_retained_snapshots", made, 11)) == "INVALID_VALUE"
    assert await refused(pool.do("VMSS.set_schedule", made, {"hour": "25", "min": "0"})) == "INVALID_VALUE"
    await pool.do("VMSS.set_frequency", made, "weekly")
    assert pool.record(made)["schedule"]["days"] == "Monday"


async def test_virtual_tpm(pool: Any) -> None:
    vm = pool.vm("Halted")
    made = await pool.do("VTPM.create", vm, True)
    assert pool.record(vm)["VTPMs"] == (made,)
    assert await refused(pool.do("VTPM.create", vm, False)) == "VTPM_MAX_AMOUNT_REACHED"
    await pool.do("VM.start", vm, False)
    assert await refused(pool.do("VTPM.destroy", made)) == "VM_BAD_POWER_STATE"
    await pool.do("VM.hard_shutdown", vm)
    await pool.do("VTPM.destroy", made)
    assert pool.record(vm)["VTPMs"] == ()


async def test_devices_of_a_host_keep_a_vm_where_it_is(pool: Any) -> None:
    vm = pool.vm("Halted")
    group = next(iter(pool.store.records("GPU_group")))
    made = await pool.do("VGPU.create", vm, group.ref)
    await pool.do("VM.start", vm, False)
    assert pool.record(made)["currently_attached"]
    assert await refused(pool.do("VM.suspend", vm)) == "VM_HAS_VGPU"
    await pool.do("VM.hard_shutdown", vm)
    await pool.do("VGPU.destroy", made)
    assert await refused(pool.do("GPU_group.destroy", group.ref)) == "GPU_GROUP_CONTAINS_PGPU"


async def test_boot_record_is_that_of_the_last_boot(pool: Any) -> None:
    vm = pool.vm("Halted")
    await pool.do("VM.start", vm, False)
    pool.update(vm, PV_args="later")
    record = await pool.do("VM.get_boot_record", vm)
    assert record["PV_args"] != "later"
    assert record["uuid"] == pool.record(vm)["uuid"]


async def test_a_crash_is_dumped(pool: Any) -> None:
    vm = pool.vm("Running")
    pool.update(vm, actions_after_crash="coredump_and_restart")
    domid = pool.record(vm)["domid"]
    pool.hypervisor(vm).guest_stops(pool.record(vm)["uuid"], Stop.crash)
    await pool.supervisor.stop()
    dump = pool.record(vm)["crash_dumps"][-1]
    assert pool.record(pool.record(dump)["VDI"])["type"] == "crashdump"
    assert pool.record(vm)["power_state"] == "Running"
    assert pool.record(vm)["domid"] != domid


async def test_vms_start_with_the_server(pool: Any) -> None:
    vm = pool.vm("Halted")
    pool.update(vm, auto_power_on=True)
    supervisor = Supervisor(pool.store, pool.fleet)
    supervisor.start()
    await supervisor.stop()
    assert pool.record(vm)["power_state"] == "Running"
    assert not pool.record(vm)["current_operations"]


async def test_a_vm_on_a_cpu_pool(pool: Any) -> None:
    vm = pool.vm("Running")
    host = pool.record(vm)["resident_on"]
    cpus = next(each for each in pool.store.records("cpu_pool") if each["resident_on"] == host)
    await pool.do("VM.cpu_pool_migrate", vm, cpus.ref)
    assert await pool.do("VM.get_cpu_pool", vm) == [cpus.ref]
    await pool.do("VM.set_pool_name", vm, cpus["name_label"])
    await pool.do("VM.hard_shutdown", vm)
    assert await pool.do("VM.get_cpu_pool", vm) == []
    assert await refused(pool.do("VM.cpu_pool_migrate", vm, cpus.ref)) == "VM_BAD_POWER_STATE"
    assert await refused(pool.do("VM.set_pool_name", vm, "none such")) == "INVALID_VALUE"
