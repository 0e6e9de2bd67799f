"""The lifecycle of a VM: which operations are possible, when, and where they lead."""

from __future__ import annotations

from typing import Any

import pytest

from vm_lifecycle import CALLS, EXPECTED, NEXT, POWER_STATES, check_consistent, perform, refusal
from xenapi_core.classes import lifecycle
from xenapi_core.classes.lifecycle import ADVERTISED, STATES, Standing, vm_operations, vm_power_state
from xenapi_core.datamodel import Datamodel, XenApiError


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("state", POWER_STATES)
async def test_each_call_in_each_state(pool: Any, call: str, state: str) -> None:
    vm = pool.vm(state)
    if (call, state) in NEXT:
        await perform(pool, call, vm)
        assert pool.record(vm)["power_state"] == NEXT[call, state]
    else:
        with pytest.raises(XenApiError) as refused:
            await perform(pool, call, vm)
        expected = EXPECTED[call.partition(" ")[0]]
        assert refused.value.description == ["VM_BAD_POWER_STATE", vm, expected, state.lower()]
        assert pool.record(vm)["power_state"] == state
    check_consistent(pool)


@pytest.mark.parametrize("operation", list(vm_operations))
@pytest.mark.parametrize("state", POWER_STATES)
async def test_assert_operation_valid_follows_the_table(pool: Any, operation: vm_operations, state: str) -> None:
    vm = pool.vm(state)
    only_for_others = {
        vm_operations.provision: "PROVISION_ONLY_ALLOWED_ON_TEMPLATE",
        vm_operations.revert: "REVERT_ONLY_ALLOWED_ON_SNAPSHOT",
    }
    if vm_power_state(state) not in STATES[operation]:
        with refusal("VM_BAD_POWER_STATE"):
            await pool.do("VM.assert_operation_valid", vm, operation)
    elif operation in only_for_others:
        with refusal(only_for_others[operation]):
            await pool.do("VM.assert_operation_valid", vm, operation)
    else:
        assert await pool.do("VM.assert_operation_valid", vm, operation) is None


async def test_allowed_operations_are_those_that_would_be_accepted(pool: Any) -> None:
    for vm in pool.store.records("VM"):
        accepted = []
        for operation in ADVERTISED:
            try:
                await pool.do("VM.assert_operation_valid", vm.ref, operation)
            except XenApiError:
                continue
            accepted.append(operation)
        assert list(vm["allowed_operations"]) == accepted


def test_every_advertised_operation_has_a_message(datamodel: Datamodel) -> None:
    setters = {
        "changing_dynamic_range": "set_memory_dynamic_range",
        "changing_static_range": "set_memory_static_range",
        "changing_memory_limits": "set_memory_limits",
        "changing_shadow_memory": "set_HVM_shadow_multiplier",
        "changing_VCPUs": "set_VCPUs_max",
        "changing_VCPUs_live": "set_VCPUs_number_live",
        "changing_NVRAM": "set_NVRAM",
        "make_into_template": "set_is_a_template",
        "create_vtpm": "VTPM.create",
    }
    for operation in ADVERTISED:
        message = setters.get(operation, operation)
        assert (message if "." in message else f"VM.{message}") in datamodel.messages


def test_every_operation_is_in_the_table() -> None:
    assert set(STATES) == set(vm_operations)


def test_checks_come_in_their_order() -> None:
    worst = Standing(
        power_state=vm_power_state.Running,
        is_a_template=True,
        is_default_template=True,
        is_a_snapshot=False,
        is_control_domain=True,
        blocked=frozenset({vm_operations.start}),
        current=(vm_operations.suspend,),
    )
    steps = [
        ({"blocked": frozenset[vm_operations]()}, "OPERATION_BLOCKED"),
        ({"power_state": vm_power_state.Halted}, "VM_BAD_POWER_STATE"),
        ({"current": ()}, "OTHER_OPERATION_IN_PROGRESS"),
        ({"is_a_template": False}, "VM_IS_TEMPLATE"),
        ({"is_control_domain": False}, "OPERATION_NOT_ALLOWED"),
    ]
    standing = worst
    for cure, code in steps:
        assert lifecycle.refusal(standing, vm_operations.start) == code
        standing = standing._replace(**cure)
    assert lifecycle.refusal(standing, vm_operations.start) is None


@pytest.mark.parametrize(
    ("operation", "current", "together"),
    [
        ("clone", "copy", True),
        ("export", "clone", True),
        ("snapshot", "checkpoint", True),
        ("clone", "snapshot", False),
        ("hard_shutdown", "clean_shutdown", True),
        ("hard_shutdown", "hard_reboot", True),
        ("hard_shutdown", "hard_shutdown", False),
        ("hard_reboot", "clean_reboot", True),
        ("hard_reboot", "hard_reboot", False),
        ("hard_reboot", "hard_shutdown", False),
        ("clean_shutdown", "migrate_send", True),
        ("start", "start", False),
    ],
)
def test_which_operations_go_together(operation: str, current: str, together: bool) -> None:
    assert lifecycle.compatible(vm_operations(operation), vm_operations(current)) is together


async def test_blocked_operation(pool: Any) -> None:
    vm = pool.vm("Halted")
    pool.update(vm, blocked_operations={"start": "under repair"})
    assert "start" not in pool.record(vm)["allowed_operations"]
    with pytest.raises(XenApiError) as refused:
        await pool.do("VM.start", vm, False)
    assert refused.value.description == ["OPERATION_BLOCKED", vm, "under repair"]


async def test_template_does_not_start(pool: Any) -> None:
    template = next(vm.ref for vm in pool.store.records("VM") if vm["is_a_template"])
    with pytest.raises(XenApiError) as refused:
        await pool.do("VM.start", template, False)
    assert refused.value.description == ["VM_IS_TEMPLATE", template, "start"]
    with pytest.raises(XenApiError) as refused:
        await pool.do("VM.destroy", template)
    assert refused.value.description == ["VM_IS_TEMPLATE", template, "destroy"]


async def test_snapshot_does_not_start_but_can_be_destroyed(pool: Any) -> None:
    vm = pool.vm("Halted")
    pool.update(vm, is_a_snapshot=True, is_a_template=True)
    with pytest.raises(XenApiError) as refused:
        await pool.do("VM.start", vm, False)
    assert refused.value.description == ["VM_IS_SNAPSHOT", vm, "start"]
    await pool.do("VM.destroy", vm)
    assert pool.store.get(vm) is None


async def test_control_domain_keeps_running(pool: Any) -> None:
    domain = next(vm.ref for vm in pool.store.records("VM") if vm["is_control_domain"])
    for message in ("clean_shutdown", "hard_shutdown", "pause", "suspend", "hard_reboot"):
        with pytest.raises(XenApiError) as refused:
            await pool.do(f"VM.{message}", domain)
        assert refused.value.code == "OPERATION_NOT_ALLOWED"
    with pytest.raises(XenApiError) as refused:
        await pool.do("VM.power_state_reset", domain)
    assert refused.value.description == ["CANNOT_RESET_CONTROL_DOMAIN", domain]
