"""RequestStateChange: which state is which Xen-API call, and the job that follows it (DSP1057, DSP1042)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from cim_provider import CimError, Method, MethodResult, Parameter, Status, Value
from xen_providers.conversions import OWN
from xen_providers.methods.call import Call
from xen_providers.methods.inputs import Inputs
from xen_providers.methods.work import Work

log = structlog.get_logger(__name__)

INVALID_PARAMETER, INVALID_TRANSITION = 5, 4097
JOB_CLASS = "Xen_SystemStateChangeJob"

AFFECTED_VM, AFFECTED_HOST = f"{OWN}affected_vm", f"{OWN}affected_host"
"""The keys under which a job's task names the object that it is about (a reference)."""
REQUESTED = f"{OWN}requested_state"
"""The key under which a job's task keeps the state that was asked for."""

REQUEST_STATE_CHANGE = Method(
    "uint32",
    {
        "RequestedState": Parameter("uint16"),
        "Job": Parameter("reference", reference="CIM_ConcreteJob", is_output=True),
        "TimeoutPeriod": Parameter("datetime"),
    },
)


@dataclass(frozen=True)
class Transition:
    """A Xen-API message that brings an object into a state, with the parameters that follow the object."""

    message: str
    parameters: tuple[object, ...] = ()


START, RESUME = Transition("start", (False, False)), Transition("resume", (False, False))
UNPAUSE, PAUSE, SUSPEND = Transition("unpause"), Transition("pause"), Transition("suspend")
CLEAN_SHUTDOWN, HARD_SHUTDOWN = Transition("clean_shutdown"), Transition("hard_shutdown")
CLEAN_REBOOT, HARD_REBOOT = Transition("clean_reboot"), Transition("hard_reboot")

VM_TRANSITIONS: Mapping[int, tuple[Transition, Mapping[str, Transition]]] = {
    2: (START, {"Paused": UNPAUSE, "Suspended": RESUME}),
    3: (CLEAN_SHUTDOWN, {"Paused": HARD_SHUTDOWN, "Suspended": HARD_SHUTDOWN}),
    4: (CLEAN_SHUTDOWN, {"Paused": HARD_SHUTDOWN, "Suspended": HARD_SHUTDOWN}),
    6: (SUSPEND, {}),
    9: (PAUSE, {}),
    10: (CLEAN_REBOOT, {}),
    11: (HARD_REBOOT, {}),
    32768: (HARD_SHUTDOWN, {}),
    32769: (HARD_REBOOT, {}),
}
"""By RequestedState: what brings a VM there, and what does so from particular power states.

Whether it may happen is left to the Xen-API, which decides when the call arrives and not a moment before.
"""

ENABLE, MAINTAIN, SHUT_DOWN, REBOOT = 2, 3, 4, 10
HOST_STATES = (ENABLE, MAINTAIN, SHUT_DOWN, REBOOT)
"""What can be asked of hosts."""
MAINTENANCE_MODE = "MAINTENANCE_MODE"
"""The key of host.other_config under which consoles of administrators look whether a host is being maintained."""

LEFT_TO_XEN = ("11", "32768", "32769")
"""Requests that are valid in any state as far as CIM is concerned; a refusal of them is a failure like any other."""

OFFERED: Mapping[str, tuple[int, ...]] = {
    "start": (2,),
    "start_on": (2,),
    "resume": (2,),
    "resume_on": (2,),
    "unpause": (2,),
    "clean_shutdown": (3, 4),
    "suspend": (6,),
    "pause": (9,),
    "clean_reboot": (10,),
    "hard_reboot": (11, 32769),
    "hard_shutdown": (32768,),
}
"""By allowed operation: the states that can be asked for."""

SETTLED: Mapping[str, frozenset[str]] = {
    "Halted": frozenset({"start", "start_on"}),
    "Paused": frozenset({"unpause", "hard_shutdown", "hard_reboot"}),
    "Running": frozenset({"pause", "suspend", "clean_shutdown", "clean_reboot", "hard_shutdown", "hard_reboot"}),
    "Suspended": frozenset({"resume", "resume_on", "hard_shutdown"}),
    "Crashed": frozenset({"hard_shutdown", "hard_reboot"}),
}
"""By power state: the lifecycle operations that are allowed there while nothing else is under way."""


def settled_operations(power_state: str | None, allowed: Collection[str] | None, current: Any) -> Collection[str]:
    """Return the operations that are allowed in the VM's state.

    While an operation is under way the Xen-API allows next to nothing, for that long only. What CIM shows is a
    property of the state, so the state's own operations stand in meanwhile (and for servers that give none).
    """
    if allowed is None or current:
        return SETTLED.get(power_state or "", frozenset())
    return allowed


def available_states(
    is_control_domain: bool | None, power_state: str | None, allowed: Collection[str] | None, current: Any
) -> list[int]:
    """Return AvailableRequestedStates, in ascending order."""
    operations = (allowed or ()) if is_control_domain else settled_operations(power_state, allowed, current)
    return sorted({state for operation in operations for state in OFFERED.get(operation, ())})


def vm_transition(state: int, power_state: str) -> Transition | None:
    """Return what brings a VM from a power state to a requested state; None if nothing does from any."""
    usual, special = VM_TRANSITIONS.get(state, (None, {}))
    return special.get(power_state, usual)


def requested_state(value: Value) -> int | None:
    """Return the number of a requested state, which clients also send as a numeric string; None if it is none."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 16 else None


async def request_vm_state(call: Call, inputs: Inputs) -> MethodResult:
    """Begin a change of a VM's state under the caller's session; return 4096 and the job, or 5 if no state is named.

    A transition that the present state does not permit is the job's failure, not the method's.
    """
    state = requested_state(inputs.get("RequestedState"))
    if state is None:
        return MethodResult(INVALID_PARAMETER)
    chosen = vm_transition(state, call.record["power_state"])
    if chosen is None:
        return await _refused(call, state, AFFECTED_VM)
    task = await call.xen(f"Async.VM.{chosen.message}", call.ref, *chosen.parameters)
    return await call.follow(JOB_CLASS, task, {AFFECTED_VM: call.ref, REQUESTED: str(state)})


async def request_host_state(call: Call, inputs: Inputs) -> MethodResult:
    """Begin to let VMs start on a host (2), which may mean to switch it on, or to maintain it (3), switch it off (4)
    or reboot it (10), for all of which no VM may start there any more; as a job.
    """
    state = requested_state(inputs.get("RequestedState"))
    if state is None:
        return MethodResult(INVALID_PARAMETER)
    if state not in HOST_STATES:
        return await _refused(call, state, AFFECTED_HOST)

    async def change(work: Work) -> None:
        if state == ENABLE:
            await _enable(work, call.ref)
            return
        await work.attach("host.disable", call.ref, undo="host.enable")
        if state == MAINTAIN:
            config = await work.xen("host.get_other_config", call.ref)
            await work.xen("host.set_other_config", call.ref, {**config, MAINTENANCE_MODE: "true"})
        else:
            await work.slowly("host.shutdown" if state == SHUT_DOWN else "host.reboot", call.ref)

    return await call.begin(JOB_CLASS, change, {AFFECTED_HOST: call.ref, REQUESTED: str(state)})


async def _enable(work: Work, host: str) -> None:
    if not await work.xen("host_metrics.get_live", await work.xen("host.get_metrics", host)):
        await work.slowly("host.power_on", host, until=0.9)
    await work.xen("host.enable", host)
    config = await work.xen("host.get_other_config", host)
    if MAINTENANCE_MODE in config:
        left = {key: value for key, value in config.items() if key != MAINTENANCE_MODE}
        await work.xen("host.set_other_config", host, left)


async def _refused(call: Call, state: int, affected: str) -> MethodResult:
    """Answer with a job that has failed already: that is where clients look. Older servers let nobody end a task."""
    task = None
    try:
        task = str(await call.xen("task.create", JOB_CLASS, f"RequestStateChange({state})"))
        await call.xen("task.set_error_info", task, ["OPERATION_NOT_ALLOWED", f"the state {state} cannot be requested"])
        await call.xen("task.set_status", task, "failure")
    except CimError as error:
        if error.status is not Status.NOT_SUPPORTED:
            raise
        log.info("no_job_for_refusal", reason=error.description)
        if task is not None:
            await call.xen("task.destroy", task)
        return MethodResult(INVALID_TRANSITION)
    return await call.follow(JOB_CLASS, task, {affected: call.ref, REQUESTED: str(state)})
