"""Random walks through the lifecycles of VMs, compared with a small model."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from vm_lifecycle import CALLS, EXPECTED, NEXT, POWER_STATES, check_consistent, perform
from xenapi_core.classes import lifecycle
from xenapi_core.classes.lifecycle import ADVERTISED, Standing
from xenapi_core.datamodel import XenApiError
from xenapi_core.hypervisors.interface import Stop


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
