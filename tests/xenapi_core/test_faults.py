"""Faults on demand, real progress, and cancelling what is under way."""

from __future__ import annotations

import asyncio
import re
from dataclasses import fields
from pathlib import Path

import pytest

from xenapi_core.classes.host_failure import HostFailures
from xenapi_core.datamodel import NULL, XenApiError
from xenapi_core.hypervisors.simulated import Timings
from xenapi_core.hypervisors.simulation.faults import FAULTS, asked
from xenapi_core.scenario import Cpu, Hosts, Image, Network, Pool, Scenario, ScsiDisk, Storage, Template, Vms


async def settled(pool) -> None:
    """Wait until all that guests have caused is done."""
    for _ in range(5):
        await asyncio.sleep(0)
    await pool.supervisor.stop()


async def ask(pool, ref: str, **faults: str) -> None:
    cls = pool.record(ref).cls
    for name, value in faults.items():
        await pool.do(f"{cls}.add_to_other_config", ref, f"sim:{name}", value)


@pytest.mark.parametrize("value", ["", "soon", "-1", "nan", "inf", "1e9", "maybe"])
@pytest.mark.parametrize("key", FAULTS)
def test_values_that_make_no_sense_are_no_fault(key, value):
    assert asked(FAULTS[key].cls, {key: value}, key) == 0.0
    assert asked("other", {key: "1"}, key) == 0.0
    assert asked(FAULTS[key].cls, {key: "1"}, key) == 1.0


async def test_the_next_starts_fail_and_leave_nothing_behind(pool):
    vm = pool.vm("Halted")
    await ask(pool, vm, fail_boot="2")
    hosts = {host.ref: pool.record(host["metrics"])["memory_free"] for host in pool.store.records("host")}
    for left in ({"sim:fail_boot": "1"}, {}):
        with pytest.raises(XenApiError) as failed:
            await pool.do("VM.start", vm, False)
        assert failed.value.code == "BOOTLOADER_FAILED"
        assert {k: v for k, v in pool.record(vm)["other_config"].items() if k.startswith("sim:")} == left
        record = pool.record(vm)
        assert (record["power_state"], record["current_operations"]) == ("Halted", {})
        assert record["scheduled_to_be_resident_on"] == NULL
        assert hosts == {host.ref: pool.record(host["metrics"])["memory_free"] for host in pool.store.records("host")}
    await pool.do("VM.start", vm, False)
    assert pool.record(vm)["power_state"] == "Running"


async def test_a_guest_crashes_after_a_time(pool):
    vm = pool.vm("Halted")
    pool.update(vm, actions_after_crash="preserve")
    await ask(pool, vm, crash_after="30")
    await pool.do("VM.start", vm, False)
    while pool.record(vm)["power_state"] == "Running":
        await settled(pool)
    assert pool.record(vm)["power_state"] == "Crashed"


async def test_a_guest_that_hangs_refuses_to_shut_down(pool):
    vm = pool.vm("Running")
    await ask(pool, vm, hang_on_shutdown="true")
    for message in ("clean_shutdown", "clean_reboot"):
        with pytest.raises(XenApiError) as failed:
            await pool.do(f"VM.{message}", vm)
        assert failed.value.description == ["VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT", vm]
        assert (pool.record(vm)["power_state"], pool.record(vm)["current_operations"]) == ("Running", {})
    await pool.do("VM.hard_shutdown", vm)
    assert pool.record(vm)["power_state"] == "Halted"


async def test_a_host_fails_and_comes_back(pool):
    vm = pool.vm("Running")
    host = pool.record(vm)["resident_on"]
    failures = HostFailures(pool.store, pool.fleet)
    await ask(pool, host, fail="true")
    await failures.look()
    metrics = pool.record(host)["metrics"]
    assert not pool.record(metrics)["live"]
    assert pool.record(vm)["power_state"] == "Running"
    halted = pool.vm("Halted")
    with pytest.raises(XenApiError) as refused:
        await pool.do("VM.start_on", halted, host, False)
    assert refused.value.code == "HOST_NOT_LIVE"
    await pool.do("host.remove_from_other_config", host, "sim:fail")
    await failures.look()
    assert pool.record(metrics)["live"]
    assert pool.record(vm)["power_state"] == "Halted"
    await pool.do("VM.start_on", halted, host, False)


# Progress and cancelling, as clients see them


@pytest.fixture
async def slow(make_pool, make_api):
    """The API on a pool whose operations take long, and a session."""
    pool = make_pool(timings=Timings().scaled(1000))
    served = make_api(pool)
    await served.login()
    return served, pool


CANCELLABLE = {
    "VM.start": ("Halted", (False,)),
    "VM.suspend": ("Running", ()),
    "VM.resume": ("Suspended", (False,)),
    "VM.clean_shutdown": ("Running", ()),
    "VM.clean_reboot": ("Running", ()),
}


@pytest.mark.parametrize("message", CANCELLABLE)
async def test_cancelling_undoes_what_was_begun(slow, message):
    api, pool = slow
    state, arguments = CANCELLABLE[message]
    vm = pool.vm(state)
    before = dict(pool.record(vm).items())
    free = [record["memory_free"] for record in pool.store.records("host_metrics")]
    images, domains = len(list(pool.store.records("VDI"))), [len(each.domains()) for each in pool.fleet.values()]
    task = await api.do(f"Async.{message}", vm, *arguments)
    while not pool.record(vm)["current_operations"]:
        await asyncio.sleep(0)
    assert await api.do("task.get_allowed_operations", task) == ["cancel", "destroy"]
    await api.do("task.cancel", task)
    while pool.record(task)["status"] in ("pending", "cancelling"):
        await asyncio.sleep(0)
    assert (pool.record(task)["status"], pool.record(task)["error_info"]) == ("cancelled", ("TASK_CANCELLED", task))
    after = dict(pool.record(vm).items())
    assert {name for name in before if before[name] != after[name]} <= {"memory_overhead"}
    assert free == [record["memory_free"] for record in pool.store.records("host_metrics")]
    assert images == len(list(pool.store.records("VDI")))
    assert domains == [len(each.domains()) for each in pool.fleet.values()]


@pytest.mark.parametrize("message", ["VM.hard_shutdown", "VM.hard_reboot", "VM.pause"])
async def test_what_cannot_be_undone_cannot_be_cancelled(slow, message):
    api, pool = slow
    vm = pool.vm("Running")
    task = await api.do(f"Async.{message}", vm)
    assert await api.do("task.get_allowed_operations", task) == ["destroy"]
    assert (await api.fails("task.cancel", task))[0] == "OPERATION_NOT_ALLOWED"
    await api.tasks.stop()


@pytest.mark.parametrize("message", CANCELLABLE)
async def test_progress_is_told_step_by_step(make_pool, make_api, message):
    pool = make_pool(timings=Timings().scaled(0.01))
    api = make_api(pool)
    await api.login()
    state, arguments = CANCELLABLE[message]
    task = await api.do(f"Async.{message}", pool.vm(state), *arguments)
    steps = [0.0]
    while pool.record(task)["status"] == "pending":
        await asyncio.sleep(0)
        if pool.record(task)["progress"] != steps[-1]:
            steps.append(pool.record(task)["progress"])
    assert pool.record(task)["status"] == "success"
    assert steps == sorted(steps)
    assert len(steps) > 10


# What is told of it


def test_the_page_about_the_simulation_names_every_key():
    page = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text()
    words = set(re.findall(r"`([\w:]+)`", page))
    tables = (Scenario, Pool, Hosts, Cpu, ScsiDisk, Network, Storage, Image, Template, Vms)
    keys = {item.name for table in tables for item in fields(table)} - {item.name for item in fields(Scenario)}
    assert (keys | {item.name for item in fields(Timings)} | set(FAULTS)) - words - {"cpu", "scsi"} == set()
