"""What the messages of VM and host do, beside the lifecycle."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xenapi_core.datamodel import NULL, XenApiError
from xenapi_core.hypervisors.interface import GuestRefusedError
from xenapi_core.hypervisors.simulated import Timings

MIB = 1 << 20


async def refused(call: Any) -> list[str]:
    """Return the error that a call ends in."""
    with pytest.raises(XenApiError) as error:
        await call
    return error.value.description


def claimed(pool: Any, host: str) -> int:
    metrics = pool.record(pool.record(host)["metrics"])
    return int(metrics["memory_total"] - metrics["memory_free"])


async def test_create_fills_in_what_is_missing(pool: Any) -> None:
    vm = await pool.do("VM.create", {"name_label": "new", "memory_static_max": 512 * MIB})
    record = pool.record(vm)
    assert (record["power_state"], record["domid"], record["resident_on"]) == ("Halted", -1, NULL)
    assert record["memory_dynamic_max"] == record["memory_dynamic_min"] == 512 * MIB
    assert record["memory_static_min"] == 0
    assert (record["VCPUs_max"], record["VCPUs_at_startup"]) == (1, 1)
    assert "start" in record["allowed_operations"]
    assert pool.record(record["metrics"])["install_time"].year >= 2025
    assert record["memory_overhead"] == await pool.do("VM.compute_memory_overhead", vm)
    await pool.do("VM.start", vm, False)
    assert pool.record(vm)["power_state"] == "Running"


async def test_create_decides_the_state_itself(pool: Any) -> None:
    values = {"memory_static_max": MIB, "power_state": "Running", "suspend_VDI": "OpaqueRef:x", "memory_target": 5}
    record = pool.record(await pool.do("VM.create", values))
    assert (record["power_state"], record["suspend_VDI"], record["memory_target"]) == ("Halted", NULL, 0)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"name_label": "x"}, ["INVALID_VALUE", "memory_static_max", ""]),
        ({"memory_static_max": MIB, "VCPUs_max": 0}, ["INVALID_VALUE", "VCPUs_max", "0"]),
        ({"memory_static_max": MIB, "VCPUs_max": 1, "VCPUs_at_startup": 2}, ["INVALID_VALUE", "VCPUs_at_startup", "2"]),
        ({"memory_static_max": MIB, "memory_dynamic_max": 2 * MIB}, ["MEMORY_CONSTRAINT_VIOLATION"]),
        ({"memory_static_max": 0}, ["MEMORY_CONSTRAINT_VIOLATION"]),
    ],
)
async def test_create_refuses_what_cannot_be(pool: Any, values: dict[str, Any], error: list[str]) -> None:
    before = len(list(pool.store.records("VM"))), len(list(pool.store.records("VM_metrics")))
    description = await refused(pool.do("VM.create", values))
    assert description[: len(error)] == error
    assert (len(list(pool.store.records("VM"))), len(list(pool.store.records("VM_metrics")))) == before


async def test_destroy_removes_all_but_the_disk_images(pool: Any) -> None:
    vm = pool.record(pool.vm("Suspended"))
    images = [pool.record(vbd)["VDI"] for vbd in vm["VBDs"]]
    gone = [
        *vm["VBDs"],
        *vm["VIFs"],
        *vm["consoles"],
        vm["metrics"],
        vm["suspend_VDI"],
        *(pool.record(device)["metrics"] for device in (*vm["VBDs"], *vm["VIFs"])),
    ]
    await pool.do("VM.destroy", vm.ref)
    assert all(pool.store.get(ref) is None for ref in (vm.ref, *gone))
    assert all(pool.record(image)["VBDs"] == () for image in images)


async def test_running_vm_is_not_destroyed(pool: Any) -> None:
    vm = pool.vm("Running")
    assert await refused(pool.do("VM.destroy", vm)) == ["VM_BAD_POWER_STATE", vm, "halted, suspended", "running"]
    assert pool.store.get(vm) is not None


limits = st.integers(-1, 4)


@given(static_min=limits, dynamic_min=limits, dynamic_max=limits, static_max=limits)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_memory_limits_are_set_exactly_if_in_order(
    pool: Any, static_min: int, dynamic_min: int, dynamic_max: int, static_max: int
) -> None:
    vm = pool.vm("Halted")
    values = [value * MIB for value in (static_min, static_max, dynamic_min, dynamic_max)]
    in_order = 0 <= static_min <= dynamic_min <= dynamic_max <= static_max and dynamic_max > 0
    fields = ("memory_static_min", "memory_static_max", "memory_dynamic_min", "memory_dynamic_max")
    before = [pool.record(vm)[name] for name in fields]
    call = pool.do("VM.set_memory_limits", vm, *values)
    if in_order:
        asyncio.run(call)
    else:
        assert asyncio.run(refused(call))[0] == "MEMORY_CONSTRAINT_VIOLATION"
    assert [pool.record(vm)[name] for name in fields] == (values if in_order else before)


@pytest.mark.parametrize(
    ("message", "arguments", "fields"),
    [
        ("set_memory", (400 * MIB,), {"memory_static_max": 400 * MIB, "memory_dynamic_min": 400 * MIB}),
        ("set_memory_static_range", (MIB, 9000 * MIB), {"memory_static_min": MIB, "memory_static_max": 9000 * MIB}),
        ("set_memory_static_min", (MIB,), {"memory_static_min": MIB}),
        ("set_memory_static_max", (9000 * MIB,), {"memory_static_max": 9000 * MIB}),
        ("set_memory_dynamic_min", (600 * MIB,), {"memory_dynamic_min": 600 * MIB}),
        ("set_memory_dynamic_max", (1024 * MIB,), {"memory_dynamic_max": 1024 * MIB}),
        ("set_VCPUs_max", (8,), {"VCPUs_max": 8}),
        ("set_VCPUs_at_startup", (1,), {"VCPUs_at_startup": 1}),
        ("set_HVM_shadow_multiplier", (2.5,), {"HVM_shadow_multiplier": 2.5}),
        ("set_HVM_boot_policy", ("",), {"HVM_boot_policy": "", "domain_type": "pv"}),
        ("set_domain_type", ("hvm",), {"HVM_boot_policy": "BIOS order", "domain_type": "hvm"}),
        ("set_actions_after_crash", ("preserve",), {"actions_after_crash": "preserve"}),
        ("set_NVRAM", ({"a": "b"},), {"NVRAM": {"a": "b"}}),
        ("set_is_a_template", (True,), {"is_a_template": True}),
    ],
)
async def test_settings_of_a_halted_vm(pool: Any, message: str, arguments: Any, fields: dict[str, Any]) -> None:
    vm = await pool.do(
        "VM.create",
        {
            "memory_static_max": 1024 * MIB,
            "memory_dynamic_min": 512 * MIB,
            "VCPUs_max": 2,
            "VCPUs_at_startup": 2,
            "HVM_boot_policy": "BIOS order",
        },
    )
    await pool.do(f"VM.{message}", vm, *arguments)
    record = pool.record(vm)
    assert {name: record[name] for name in fields} == fields
    assert record["memory_overhead"] == await pool.do("VM.compute_memory_overhead", vm)


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("set_memory", (400 * MIB,)),
        ("set_memory_static_max", (9000 * MIB,)),
        ("set_VCPUs_max", (8,)),
        ("set_HVM_shadow_multiplier", (2.5,)),
        ("set_domain_type", ("hvm",)),
        ("set_NVRAM", ({"a": "b"},)),
        ("set_is_a_template", (True,)),
    ],
)
async def test_settings_that_need_a_halted_vm(pool: Any, message: str, arguments: Any) -> None:
    vm = pool.vm("Running")
    before = dict(pool.record(vm).items())
    assert await refused(pool.do(f"VM.{message}", vm, *arguments)) == ["VM_BAD_POWER_STATE", vm, "halted", "running"]
    assert dict(pool.record(vm).items()) == before


async def test_memory_of_a_running_vm_moves(pool: Any) -> None:
    vm = await pool.do("VM.create", {"memory_static_max": 1024 * MIB, "memory_dynamic_min": 512 * MIB})
    await pool.do("VM.start", vm, False)
    host = pool.record(vm)["resident_on"]
    before = claimed(pool, host)
    await pool.do("VM.set_memory_target_live", vm, 600 * MIB)
    assert pool.record(vm)["memory_target"] == 600 * MIB
    assert claimed(pool, host) == before - 424 * MIB
    assert pool.store.sampled(pool.record(pool.record(vm)["metrics"]), "memory_actual") == 600 * MIB
    await pool.do("VM.set_memory_dynamic_range", vm, 512 * MIB, 1024 * MIB)
    assert pool.record(vm)["memory_target"] == 1024 * MIB
    assert claimed(pool, host) == before
    await pool.do("VM.hard_shutdown", vm)
    assert claimed(pool, host) == before - 1024 * MIB - pool.record(vm)["memory_overhead"]


async def test_memory_of_a_running_vm_grows_only_as_far_as_its_host_has(pool: Any) -> None:
    vm = await pool.do("VM.create", {"memory_static_max": 1024 * MIB, "memory_dynamic_min": 256 * MIB})
    await pool.do("VM.set_memory_dynamic_max", vm, 512 * MIB)
    await pool.do("VM.start", vm, False)
    metrics = pool.record(pool.record(vm)["resident_on"])["metrics"]
    pool.update(metrics, memory_free=100 * MIB)
    await pool.do("VM.set_memory_dynamic_max", vm, 1024 * MIB)
    assert pool.record(vm)["memory_target"] == 612 * MIB
    assert pool.record(metrics)["memory_free"] == 0
    description = await refused(pool.do("VM.set_memory_dynamic_min", vm, 700 * MIB))
    assert description == ["HOST_NOT_ENOUGH_FREE_MEMORY", str(700 * MIB), str(612 * MIB)]
    assert pool.record(vm)["memory_dynamic_min"] == 256 * MIB
    assert not pool.record(vm)["current_operations"]


async def test_virtual_cpus_of_a_running_vm(pool: Any) -> None:
    vm = await pool.do("VM.create", {"memory_static_max": 64 * MIB, "VCPUs_max": 4, "VCPUs_at_startup": 2})
    await pool.do("VM.start", vm, False)
    await pool.do("VM.set_VCPUs_number_live", vm, 4)
    metrics = pool.record(pool.record(vm)["metrics"])
    assert metrics["VCPUs_number"] == 4
    assert set(pool.store.sampled(metrics, "VCPUs_utilisation")) == {0, 1, 2, 3}
    assert await refused(pool.do("VM.set_VCPUs_number_live", vm, 5)) == ["INVALID_VALUE", "nvcpu", "5"]


async def test_control_domain_is_resized_at_its_next_boot(pool: Any) -> None:
    domain = next(vm.ref for vm in pool.store.records("VM") if vm["is_control_domain"])
    await pool.do("VM.set_VCPUs_max", domain, 12)
    assert pool.record(domain)["VCPUs_max"] == 12
    assert pool.record(domain)["requires_reboot"]


async def test_nvram_by_key(pool: Any) -> None:
    vm = pool.vm("Halted")
    await pool.do("VM.add_to_NVRAM", vm, "a", "1")
    assert await refused(pool.do("VM.add_to_NVRAM", vm, "a", "2")) == ["MAP_DUPLICATE_KEY", "VM", "NVRAM", vm, "a"]
    await pool.do("VM.remove_from_NVRAM", vm, "a")
    await pool.do("VM.remove_from_NVRAM", vm, "a")
    assert pool.record(vm)["NVRAM"] == {}


async def test_free_devices(pool: Any) -> None:
    vm = pool.vm("Halted")
    assert await pool.do("VM.get_allowed_VBD_devices", vm) == [str(number) for number in range(2, 16)]
    assert await pool.do("VM.get_allowed_VIF_devices", vm) == ["2", "3", "4", "5", "6"]


async def test_template_becomes_a_vm(pool: Any) -> None:
    template = next(vm.ref for vm in pool.store.records("VM") if vm["is_a_template"])
    assert "start" not in pool.record(template)["allowed_operations"]
    await pool.do("VM.set_is_a_template", template, False)
    assert "start" in pool.record(template)["allowed_operations"]


async def test_update_allowed_operations_raises_an_event(pool: Any) -> None:
    vm, before = pool.vm("Halted"), pool.store.sequence
    await pool.do("VM.update_allowed_operations", vm)
    assert [entry.record.ref for commit in pool.store.log.since(before) for entry in commit.entries] == [vm]


async def test_shutdown_falls_back_to_the_hard_way(pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    vm = pool.vm("Running")

    async def refuse(uuid: str, **options: Any) -> None:
        raise GuestRefusedError("The guest does not answer.")

    monkeypatch.setattr(pool.hypervisor(vm), "clean_shutdown", refuse)
    assert await refused(pool.do("VM.clean_shutdown", vm)) == ["VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT", vm]
    await pool.do("VM.shutdown", vm)
    assert pool.record(vm)["power_state"] == "Halted"


async def test_measurements_follow_the_power_state(pool: Any) -> None:
    vm = pool.vm("Running")
    metrics = pool.record(pool.record(vm)["metrics"])
    assert pool.store.sampled(metrics, "memory_actual") == pool.record(vm)["memory_target"]
    assert metrics["state"] == ("running",)
    await pool.do("VM.pause", vm)
    assert pool.record(metrics.ref)["state"] == ("paused",)
    await pool.do("VM.hard_shutdown", vm)
    assert pool.store.sampled(pool.record(metrics.ref), "memory_actual") == 0
    assert pool.record(metrics.ref)["state"] == ()


async def test_agent_appears_when_the_guest_first_runs(pool: Any) -> None:
    vm = pool.vm("Halted")
    await pool.do("VM.start", vm, True)
    assert pool.record(vm)["guest_metrics"] == NULL
    await pool.do("VM.unpause", vm)
    guest = pool.record(pool.record(vm)["guest_metrics"])
    assert guest["os_version"]["distro"]
    assert set(guest["networks"]) == {f"{nic}/{kind}" for nic in (0, 1) for kind in ("ip", "ipv4/0", "ipv6/0")}
    await pool.do("VM.clean_shutdown", vm)
    assert pool.store.get(guest.ref) is None


async def test_host_answers(pool: Any) -> None:
    host = next(iter(pool.fleet))
    methods = await pool.do("host.list_methods")
    assert {"VM.start", "Async.VM.start", "host.list_methods", "VM.get_all"} <= set(methods)
    assert abs((await pool.do("host.get_servertime", host) - datetime.now(UTC)).total_seconds()) < 60
    local = datetime.now().replace(tzinfo=UTC)
    assert abs((await pool.do("host.get_server_localtime", host) - local).total_seconds()) < 60
    assert await pool.do("host.compute_free_memory", host) == pool.record(pool.record(host)["metrics"])["memory_free"]
    assert await pool.do("host.compute_memory_overhead", host) == pool.record(host)["memory_overhead"]


async def test_hypervisor_log_tells_of_domains(make_pool: Any) -> None:
    pool = make_pool(hosts=1, timings=Timings().scaled(0))
    host, vm = next(iter(pool.fleet)), pool.vm("Halted")
    await pool.do("VM.start", vm, False)
    name = pool.record(vm)["name_label"]
    assert name in await pool.do("host.dmesg", host)
    assert name in await pool.do("host.dmesg_clear", host)
    assert await pool.do("host.dmesg", host) == ""
