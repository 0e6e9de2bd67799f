"""Hosts: enabled and disabled, evacuated, off and on; and CPU pools on them."""

from __future__ import annotations

from typing import Any

import pytest

from xenapi_core.datamodel import XenApiError


async def refused(pool: Any, message: str, *arguments: Any) -> list[str]:
    with pytest.raises(XenApiError) as error:
        await pool.do(message, *arguments)
    return error.value.description


def live(pool: Any, host: str) -> bool:
    return bool(pool.record(pool.record(host)["metrics"])["live"])


async def test_a_host_goes_down_and_comes_back(pool: Any) -> None:
    host = list(pool.fleet)[1]
    vms = [vm for vm in pool.vms() if vm["resident_on"] == host]
    assert await refused(pool, "host.shutdown", host) == ["HOST_NOT_DISABLED"]
    assert await refused(pool, "host.power_on", host) == ["HOST_IS_LIVE", host]
    await pool.do("host.disable", host)
    await pool.do("host.shutdown", host)
    assert not live(pool, host)
    assert vms
    assert {pool.record(vm.ref)["power_state"] for vm in vms} == {"Halted"}
    assert pool.record(host)["allowed_operations"] == ("power_on",)
    assert await refused(pool, "host.enable", host) == ["HOST_NOT_LIVE"]
    await pool.do("host.power_on", host)
    assert live(pool, host)
    assert pool.record(host)["enabled"]
    assert "vm_start" in pool.record(host)["allowed_operations"]


async def test_a_host_that_is_to_stay_disabled_does(pool: Any) -> None:
    host = list(pool.fleet)[1]
    await pool.do("host.disable", host, False)
    await pool.do("host.reboot", host)
    assert live(pool, host)
    assert not pool.record(host)["enabled"]


async def test_evacuation_moves_what_runs(pool: Any) -> None:
    host, other = list(pool.fleet)
    for vm in pool.vms("Paused"):
        await pool.do("VM.unpause", vm.ref)
    vms = [vm for vm in pool.vms("Running") if vm["resident_on"] == host]
    assert await refused(pool, "host.evacuate", host) == ["HOST_NOT_DISABLED"]
    await pool.do("host.disable", host)
    await pool.do("host.evacuate", host)
    assert {pool.record(vm.ref)["resident_on"] for vm in vms} == {other}
    assert not pool.record(host)["current_operations"]


async def test_what_prevents_an_evacuation_is_told(pool: Any) -> None:
    vm = pool.vms("Paused")[0]
    host = vm["resident_on"]
    await pool.do("host.disable", host)
    told = await pool.do("host.get_vms_which_prevent_evacuation", host)
    assert told[vm.ref][0] == "VM_BAD_POWER_STATE"
    assert (await refused(pool, "host.evacuate", host))[0] == "CANNOT_EVACUATE_HOST"
    assert not pool.record(host)["current_operations"]


async def test_a_host_leaves_with_all_its_parts(pool: Any) -> None:
    master, host = list(pool.fleet)
    assert await refused(pool, "host.destroy", master) == ["HOST_CANNOT_DESTROY_SELF", master]
    assert await refused(pool, "pool.eject", host) == ["HOST_HAS_RESIDENT_VMS", host]
    await pool.do("host.disable", host)
    await pool.do("host.shutdown", host)
    await pool.do("host.destroy", host)
    for cls in ("PIF", "PBD", "host_cpu", "PCI", "PPCI"):
        assert all(record["host"] == master for record in pool.store.records(cls)), cls


async def test_the_life_of_a_cpu_pool(pool: Any) -> None:
    made = await pool.do("cpu_pool.create", {"name_label": "new", "ncpu": 2})
    assert await refused(pool, "cpu_pool.deactivate", made) == ["POOL_BAD_STATE", "not activated"]
    await pool.do("cpu_pool.activate", made)
    first, second = pool.record(made)["host_CPUs"]
    assert pool.record(first)["cpu_pool"] == (made,)
    assert await refused(pool, "cpu_pool.set_ncpu", made, 3) == ["POOL_BAD_STATE", "activated"]
    assert (await refused(pool, "cpu_pool.add_host_CPU_live", made, first))[0] == "INVALID_CPU"
    await pool.do("cpu_pool.remove_host_CPU_live", made, first)
    assert (await refused(pool, "cpu_pool.remove_host_CPU_live", made, second))[0] == "LAST_CPU_NOT_REMOVEABLE"
    assert first in await pool.do("host_cpu.get_unassigned_cpus")
    await pool.do("cpu_pool.deactivate", made)
    await pool.do("cpu_pool.set_ncpu", made, 99)
    assert (await refused(pool, "cpu_pool.activate", made))[0] == "INSUFFICIENT_CPUS"
    await pool.do("cpu_pool.destroy", made)
    assert pool.store.get(made) is None
