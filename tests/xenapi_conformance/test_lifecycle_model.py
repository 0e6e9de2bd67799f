"""Random calls from several sessions, compared with a small model of a VM's lifecycle.

The model says what each call does or why it is refused; the server's states, allowed operations and events have to
agree. Every session follows ``event.from``, and the copy of the pool that it builds from events has to equal what
get_all_records tells.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from xenapi_server import MEASURED, ServedPool, Wire

SESSIONS = 3


@dataclass(frozen=True)
class Operation:
    """What a call needs and what it leads to."""

    states: tuple[str, ...]
    into: str
    arguments: tuple[Any, ...] = ()
    allowed: str = ""
    """The word in allowed_operations, where it is not the call's name."""


TABLE = {
    "start": Operation(("Halted",), "Running", (False,)),
    "start paused": Operation(("Halted",), "Paused", (True,), allowed="start"),
    "pause": Operation(("Running",), "Paused"),
    "unpause": Operation(("Paused",), "Running"),
    "suspend": Operation(("Running",), "Suspended"),
    "resume": Operation(("Suspended",), "Running", (False,)),
    "resume paused": Operation(("Suspended",), "Paused", (True,), allowed="resume"),
    "clean_shutdown": Operation(("Running",), "Halted"),
    "clean_reboot": Operation(("Running",), "Running"),
    "hard_shutdown": Operation(("Paused", "Suspended", "Running", "Crashed"), "Halted"),
    "hard_reboot": Operation(("Paused", "Running", "Crashed"), "Running"),
}
"""The model: the whole of it."""

calls = st.sampled_from(sorted(TABLE))
sessions = st.integers(0, SESSIONS - 1)
vms = st.integers(0, 3)
names = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=9)


@dataclass
class Follower:
    """A session that keeps a copy of the pool from events."""

    wire: Wire
    token: str = ""
    copy: dict[str, dict[str, Any]] = field(default_factory=dict)

    def follow(self) -> list[dict[str, Any]]:
        batch = self.wire.do("event.from", ["*"], self.token, 0.0)
        for event in batch["events"]:
            objects = self.copy.setdefault(event["class"], {})
            if event["operation"] == "del":
                del objects[event["ref"]]
            else:
                assert (event["operation"] == "add") == (event["ref"] not in objects), event
                objects[event["ref"]] = event["snapshot"]
        for cls, count in batch["valid_ref_counts"].items():
            assert len(self.copy.get(cls, {})) == count, cls
        self.token = batch["token"]
        return batch["events"]


def call(wire: Wire, vm: str, name: str) -> list[str]:
    return wire.attempt(f"VM.{name.split()[0]}", vm, *TABLE[name].arguments)


def refusal(vm: str, name: str, state: str) -> list[str]:
    """The error that a call gets in a state; [] if it succeeds."""
    if state in TABLE[name].states:
        return []
    expected = ", ".join(each.lower() for each in TABLE[name].states)
    return ["VM_BAD_POWER_STATE", vm, expected, state.lower()]


class Lifecycle(RuleBasedStateMachine):
    """Random calls of several sessions."""

    served: ServedPool
    """Given by the test."""

    def __init__(self) -> None:
        super().__init__()
        self.followers = [Follower(self.served.connect()) for _ in range(SESSIONS)]
        self.wire = self.followers[0].wire
        self.threads = ThreadPoolExecutor(SESSIONS)
        every = self.wire.do("VM.get_all_records")
        usable = [ref for ref, each in every.items() if not each["is_a_template"] and not each["is_control_domain"]]
        self.vms = usable[:4]
        for vm in self.vms:
            if self.wire.do("VM.get_power_state", vm) != "Halted":
                self.wire.do("VM.hard_shutdown", vm)
        self.model = dict.fromkeys(self.vms, "Halted")
        for follower in self.followers:
            follower.follow()

    def teardown(self) -> None:
        self.threads.shutdown()
        for follower in self.followers:
            follower.wire.attempt("session.logout")

    @rule(session=sessions, number=vms, name=calls)
    def one_call(self, session: int, number: int, name: str) -> None:
        vm = self.vms[number]
        state = self.model[vm]
        self.followers[session].follow()
        assert call(self.followers[session].wire, vm, name) == refusal(vm, name, state)
        if state in TABLE[name].states:
            self.model[vm] = TABLE[name].into
        events = [each for each in self.followers[session].follow() if each["ref"] == vm]
        told = [each["snapshot"]["power_state"] for each in events]
        assert told == ([self.model[vm]] if state in TABLE[name].states else [])

    @rule(number=vms, together=st.lists(calls, min_size=2, max_size=SESSIONS))
    def calls_at_once(self, number: int, together: list[str]) -> None:
        """Each succeeds as if alone, or is told why not; the state is one that their success explains."""
        vm = self.vms[number]
        jobs = [
            self.threads.submit(call, follower.wire, vm, name)
            for follower, name in zip(self.followers, together, strict=False)
        ]
        errors = [job.result() for job in jobs]
        for name, error in zip(together, errors, strict=False):
            assert not error or error[0] in ("VM_BAD_POWER_STATE", "OTHER_OPERATION_IN_PROGRESS"), (name, error)
        done = [name for name, error in zip(together, errors, strict=False) if not error]
        now = self.wire.do("VM.get_power_state", vm)
        assert now in {TABLE[name].into for name in done} if done else now == self.model[vm], (together, errors)
        self.model[vm] = now

    @rule(
        session=sessions, number=vms, text=st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=9)
    )
    def rename(self, session: int, number: int, text: str) -> None:
        self.followers[session].wire.do("VM.set_name_label", self.vms[number], text)
        assert self.wire.do("VM.get_name_label", self.vms[number]) == text

    @precondition(lambda self: "Halted" in self.model.values())
    @rule(session=sessions)
    def make_and_destroy(self, session: int) -> None:
        """A VM that comes and goes between two looks was never there; one that is seen is seen to go."""
        follower = self.followers[session]
        source = next(vm for vm, state in self.model.items() if state == "Halted")
        known = self.wire.do("VM.get_record", source)
        made = follower.wire.do("VM.create", known)
        added = [each["operation"] for each in follower.follow() if each["ref"] == made]
        assert added == ["add"]
        follower.wire.do("VM.destroy", made)
        assert [each["operation"] for each in follower.follow() if each["ref"] == made] == ["del"]

    @rule(session=sessions)
    def look(self, session: int) -> None:
        """The copy that a session built from events equals the pool."""
        follower = self.followers[session]
        follower.follow()
        for cls in self.classes(follower.wire):
            every = follower.wire.do(f"{cls}.get_all_records")
            assert steady(cls, follower.copy.get(cls.lower(), {})) == steady(cls, every)

    @invariant()
    def states_and_allowed_operations_are_those_of_the_model(self) -> None:
        for vm, state in self.model.items():
            record = self.wire.do("VM.get_record", vm)
            assert (record["power_state"], record["current_operations"]) == (state, {})
            told = set(record["allowed_operations"])
            for name, operation in TABLE.items():
                assert ((operation.allowed or name) in told) == (state in operation.states), (name, state)

    @staticmethod
    def classes(wire: Wire) -> list[str]:
        unseen = ("session.", "event.", "role.", "subject.")
        return [
            name.removesuffix(".get_all_records")
            for name in wire.value("system.listMethods")
            if name.endswith(".get_all_records") and not name.startswith(unseen)
        ]


def steady(cls: str, every: dict[str, Any]) -> dict[str, Any]:
    """Records without what is measured."""
    return {
        ref: {name: value for name, value in record.items() if (cls, name) not in MEASURED}
        for ref, record in every.items()
    }


def drive(examples: int, steps: int, *, derandomize: bool) -> None:
    served = ServedPool(hosts=1, vms=4)
    machine = type("LifecycleOfOnePool", (Lifecycle,), {"served": served})
    limits = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=derandomize,
        phases=[Phase.generate],  # calls that overlap do not always fall the same way, so there is no shrinking
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(machine, settings=limits)
    finally:
        served.close()


def test_lifecycle_from_several_sessions() -> None:
    drive(examples=6, steps=20, derandomize=True)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_lifecycle_from_several_sessions_for_long() -> None:
    drive(examples=60, steps=60, derandomize=False)
