"""The lifecycle of a VM: the table, real calls, and random walks compared with a small model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from xenapi_core.classes import lifecycle
from xenapi_core.classes.lifecycle import ADVERTISED, STATES, Standing, vm_operations, vm_power_state
from xenapi_core.datamodel import NULL, Datamodel, XenApiError
from xenapi_core.hypervisors.interface import Stop
from xenapi_core.hypervisors.simulated import Timings

NEXT = {
    ("start", "Halted"): "Running",
    ("start paused", "Halted"): "Paused",
    ("start_on", "Halted"): "Running",
    ("pause", "Running"): "Paused",
    ("unpause", "Paused"): "Running",
    ("suspend", "Running"): "Suspended",
    ("resume", "Suspended"): "Running",
    ("resume paused", "Suspended"): "Paused",
    ("resume_on", "Suspended"): "Running",
    ("clean_shutdown", "Running"): "Halted",
    ("clean_reboot", "Running"): "Running",
    ("shutdown", "Running"): "Halted",
    ("shutdown", "Paused"): "Halted",
    ("shutdown", "Suspended"): "Halted",
    ("hard_shutdown", "Running"): "Halted",
    ("hard_shutdown", "Paused"): "Halted",
    ("hard_shutdown", "Suspended"): "Halted",
    ("hard_reboot", "Running"): "Running",
    ("hard_reboot", "Paused"): "Running",
    ("power_state_reset", "Halted"): "Halted",
    ("power_state_reset", "Running"): "Halted",
    ("power_state_reset", "Paused"): "Halted",
    ("power_state_reset", "Suspended"): "Halted",
}
"""What each call leads to; from every other state it is refused."""

CALLS = sorted({call for call, _ in NEXT})
POWER_STATES = ("Halted", "Paused", "Running", "Suspended")

EXPECTED = {
    "start": "halted",
    "start_on": "halted",
    "pause": "running",
    "unpause": "paused",
    "suspend": "running",
    "resume": "suspended",
    "resume_on": "suspended",
    "clean_shutdown": "running",
    "clean_reboot": "running",
    "shutdown": "paused, suspended, running",
    "hard_shutdown": "paused, suspended, running, crashed",
    "hard_reboot": "paused, running, crashed",
}
"""What the error about a wrong power state names as expected."""


@contextmanager
def refusal(code: str) -> Iterator[None]:
    """Expect an error with a code."""
    with pytest.raises(XenApiError) as refused:
        yield
    assert refused.value.code == code


async def perform(pool: Any, call: str, vm: str) -> None:
    """Send the message of a call."""
    operation, _, paused = call.partition(" ")
    arguments: list[Any] = [vm]
    if operation.endswith("_on"):
        arguments.append(next(iter(pool.fleet)))
    if operation in ("start", "start_on", "resume", "resume_on"):
        arguments.append(bool(paused))
    await pool.do(f"VM.{operation}", *arguments)


def check_consistent(pool: Any) -> None:
    """Check that all that follows from power states and claims holds."""
    held = dict.fromkeys(pool.fleet, 0)
    for vm in pool.store.records("VM"):
        up = vm["power_state"] in ("Running", "Paused", "Crashed")
        assert (vm["resident_on"] != NULL) == up
        assert (vm["domid"] >= 0) == up
        assert not vm["current_operations"]
        assert vm["scheduled_to_be_resident_on"] == NULL
        assert (vm["suspend_VDI"] != NULL) == (vm["power_state"] == "Suspended")
        assert vm["metrics"] == NULL or (pool.record(vm["metrics"])["VCPUs_number"] > 0) == up
        for device in (*vm["VBDs"], *vm["VIFs"]):
            assert pool.record(device)["currently_attached"] == up
        if up:
            held[vm["resident_on"]] += vm["memory_target"] + vm["memory_overhead"]
            assert vm.ref in pool.record(vm["resident_on"])["resident_VMs"]
        if up and not vm["is_control_domain"]:
            domain = pool.fleet[vm["resident_on"]].domains()[vm["uuid"]]
            assert (domain.domid, domain.memory) == (vm["domid"], vm["memory_target"])
            assert (domain.guest is not None) == (vm["guest_metrics"] != NULL)
        elif not up:
            assert vm["guest_metrics"] == NULL
    for host, memory in held.items():
        record = pool.record(host)
        metrics = pool.record(record["metrics"])
        assert metrics["memory_free"] == metrics["memory_total"] - record["memory_overhead"] - memory
    assert len(list(pool.store.records("VM_guest_metrics"))) == sum(
        vm["guest_metrics"] != NULL for vm in pool.store.records("VM")
    )
    for sr in pool.store.records("SR"):
        images = [pool.record(vdi) for vdi in sr["VDIs"]]
        assert sr["physical_utilisation"] == sum(image["physical_utilisation"] for image in images)


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


class Walk(RuleBasedStateMachine):
    """Random calls on a few VMs, beside a model that knows only ``NEXT`` and what guests may do."""

    def __init__(self, make_pool: Any) -> None:
        super().__init__()
        self.pool = make_pool(vms=4)
        self.states = {vm.ref: str(vm["power_state"]) for vm in self.pool.vms()}
        self.vms = list(self.states)
        self.loop = asyncio.new_event_loop()

    def teardown(self) -> None:
        self.loop.close()

    @rule(number=st.integers(0, 3), call=st.sampled_from(CALLS))
    def send(self, number: int, call: str) -> None:
        vm = self.vms[number]
        state = self.states[vm]
        outcome = self.loop.run_until_complete(self.outcome(perform(self.pool, call, vm)))
        if (call, state) in NEXT:
            assert outcome is None
            self.states[vm] = NEXT[call, state]
        else:
            assert outcome == ["VM_BAD_POWER_STATE", vm, EXPECTED[call.partition(" ")[0]], state.lower()]

    @rule(number=st.integers(0, 3), calls=st.lists(st.sampled_from(CALLS), min_size=2, max_size=3))
    def send_at_once(self, number: int, calls: list[str]) -> None:
        vm = self.vms[number]

        async def together() -> list[Any]:
            return await asyncio.gather(*(self.outcome(perform(self.pool, call, vm)) for call in calls))

        for outcome in self.loop.run_until_complete(together()):
            assert outcome is None or outcome[0] in ("VM_BAD_POWER_STATE", "OTHER_OPERATION_IN_PROGRESS")
        self.states[vm] = str(self.pool.record(vm)["power_state"])
        assert self.states[vm] in POWER_STATES

    @rule(number=st.integers(0, 3), stop=st.sampled_from(Stop), restart=st.booleans())
    def guest_stops(self, number: int, stop: Stop, restart: bool) -> None:
        vm = self.vms[number]
        if self.states[vm] != "Running":
            return
        action = "restart" if restart else "destroy"
        self.pool.update(vm, actions_after_shutdown=action, actions_after_reboot=action, actions_after_crash=action)

        async def stop_and_wait() -> None:
            self.pool.hypervisor(vm).guest_stops(self.pool.record(vm)["uuid"], stop)
            await self.pool.supervisor.stop()

        self.loop.run_until_complete(stop_and_wait())
        self.states[vm] = "Running" if restart else "Halted"

    async def outcome(self, call: Any) -> list[str] | None:
        try:
            await call
        except XenApiError as error:
            return error.description
        return None

    @invariant()
    def states_agree(self) -> None:
        assert {vm.ref: vm["power_state"] for vm in self.pool.vms()} == self.states

    @invariant()
    def all_that_follows_holds(self) -> None:
        check_consistent(self.pool)

    @invariant()
    def allowed_operations_follow(self) -> None:
        for vm in self.pool.vms():
            accepted = [op for op in ADVERTISED if lifecycle.refusal(Standing.of(self.pool.store, vm), op) is None]
            assert list(vm["allowed_operations"]) == accepted


def test_random_walks(make_pool: Any) -> None:
    run_state_machine_as_test(
        lambda: Walk(make_pool), settings=settings(max_examples=40, stateful_step_count=25, deadline=None)
    )
