"""Where virtual machines and suspend images find room."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from vm_lifecycle import check_consistent, refusal
from xenapi_core.datamodel import NULL, XenApiError


async def test_start_needs_free_memory(pool: Any) -> None:
    vm = pool.record(pool.vm("Halted"))
    for host in pool.fleet:
        pool.update(pool.record(host)["metrics"], memory_free=1 << 20)
    with pytest.raises(XenApiError) as refused:
        await pool.do("VM.start", vm.ref, False)
    needed = vm["memory_dynamic_max"] + vm["memory_overhead"]
    assert refused.value.description == ["HOST_NOT_ENOUGH_FREE_MEMORY", str(needed), str(1 << 20)]
    with pytest.raises(XenApiError) as refused:
        await pool.do("VM.start_on", vm.ref, next(iter(pool.fleet)), False)
    assert refused.value.code == "HOST_NOT_ENOUGH_FREE_MEMORY"


async def test_two_starts_do_not_count_on_the_same_memory(pool: Any) -> None:
    vms = [vm.ref for vm in pool.vms("Halted")][:2]
    room = max(vm["memory_dynamic_max"] + vm["memory_overhead"] for vm in map(pool.record, vms))
    for host, memory in zip(pool.fleet, (room, 0), strict=True):
        pool.update(pool.record(host)["metrics"], memory_free=memory)
    outcomes = await asyncio.gather(*(pool.do("VM.start", vm, False) for vm in vms), return_exceptions=True)
    assert [getattr(outcome, "code", outcome) for outcome in outcomes] == [None, "HOST_NOT_ENOUGH_FREE_MEMORY"]


async def test_host_is_chosen_by_affinity_then_by_free_memory(pool: Any) -> None:
    first, second = pool.fleet
    one, two = [vm.ref for vm in pool.vms("Halted")][:2]
    pool.update(pool.record(first)["metrics"], memory_free=1 << 36)
    pool.update(pool.record(second)["metrics"], memory_free=1 << 37)
    pool.update(one, affinity=first)
    assert await pool.do("VM.get_possible_hosts", one) == [first, second]
    await pool.do("VM.start", one, False)
    await pool.do("VM.start", two, False)
    assert (pool.record(one)["resident_on"], pool.record(two)["resident_on"]) == (first, second)


async def test_disabled_hosts_start_nothing(pool: Any) -> None:
    vm, hosts = pool.vm("Halted"), list(pool.fleet)
    for host in hosts:
        await pool.do("host.disable", host)
        assert pool.record(host)["allowed_operations"] == ("evacuate", "shutdown", "reboot", "enable")
    with pytest.raises(XenApiError) as refused:
        await pool.do("VM.start", vm, False)
    assert refused.value.description == ["NO_HOSTS_AVAILABLE"]
    with pytest.raises(XenApiError) as refused:
        await pool.do("VM.start_on", vm, hosts[0], False)
    assert refused.value.description == ["HOST_DISABLED", hosts[0]]
    await pool.do("host.enable", hosts[1])
    await pool.do("VM.start", vm, False)
    assert pool.record(vm)["resident_on"] == hosts[1]


async def test_a_host_has_to_reach_the_disks(pool: Any) -> None:
    vm, host = pool.vm("Halted"), next(iter(pool.fleet))
    sr = pool.record(pool.record(pool.record(vm)["VBDs"][0])["VDI"])["SR"]
    for pbd in pool.record(host)["PBDs"]:
        if pool.record(pbd)["SR"] == sr:
            pool.update(pbd, currently_attached=False)
    with pytest.raises(XenApiError) as refused:
        await pool.do("VM.assert_can_boot_here", vm, host)
    assert refused.value.description == ["VM_REQUIRES_SR", vm, sr]
    assert host not in await pool.do("VM.get_possible_hosts", vm)


async def test_suspend_needs_storage_with_room(pool: Any) -> None:
    vm = pool.vm("Running")
    master = next(iter(pool.store.records("pool")))
    sr = pool.record(master["suspend_image_SR"])
    pool.update(sr.ref, physical_utilisation=sr["physical_size"])
    with refusal("SR_FULL"):
        await pool.do("VM.suspend", vm)
    pool.update(sr.ref, physical_utilisation=sr["physical_utilisation"])
    pool.update(master.ref, suspend_image_SR=NULL, default_SR=NULL)
    with pytest.raises(XenApiError) as refused:
        await pool.do("VM.suspend", vm)
    assert refused.value.description == ["VM_NO_SUSPEND_SR", vm]
    check_consistent(pool)
