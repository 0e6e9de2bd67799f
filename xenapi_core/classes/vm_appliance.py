"""An appliance: VMs that are started and shut down together, in an order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import StrEnum
from itertools import groupby

from xenapi_core.classes import placement, power
from xenapi_core.classes.cloning import master
from xenapi_core.classes.lifecycle import State
from xenapi_core.datamodel import (
    POOL_OPERATOR,
    READ_ONLY,
    RO,
    RW,
    Call,
    Objects,
    Operations,
    Record,
    XenApiError,
    XenClass,
    field,
    message,
    reverse,
)
from xenapi_core.datamodel.refs import SessionRef, SRRef, VMApplianceRef, VMRef
from xenapi_core.hypervisors.interface import Hypervisor


class vm_appliance_operation(StrEnum):
    """What may be done with an appliance."""

    start = "start"
    clean_shutdown = "clean_shutdown"
    hard_shutdown = "hard_shutdown"
    shutdown = "shutdown"


PARTIALLY = ("OPERATION_PARTIALLY_FAILED", "OTHER_OPERATION_IN_PROGRESS")


class ApplianceOperations(Operations):
    """One operation at a time."""

    def check(self, objects: Objects, record: Record, operation: str) -> None:
        """Raise OTHER_OPERATION_IN_PROGRESS while an operation is under way."""
        for task, other in record["current_operations"].items():
            raise XenApiError("OTHER_OPERATION_IN_PROGRESS", "VM_appliance", record.ref, other, task)

    def allowed(self, objects: Objects, record: Record) -> Sequence[str]:
        """Return the operations that can begin now."""
        return () if record["current_operations"] else tuple(vm_appliance_operation)


class VM_appliance(XenClass, role=POOL_OPERATOR, creatable=True, destroyable=True, operations=ApplianceOperations()):
    """VMs that are started and shut down together, in an order."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(RW, default="", doc="name for people")
    name_description: str = field(RW, default="", doc="notes for people")
    allowed_operations: list[vm_appliance_operation] = field(RO, doc="operations that would be accepted now")
    current_operations: dict[str, vm_appliance_operation] = field(RO, doc="operations under way: task to operation")
    VMs: list[VMRef] = reverse("VM", "appliance", doc="the VMs in it")

    @message(role=POOL_OPERATOR, asynchronous=True, errors=PARTIALLY)
    async def start(call: Call, self: VMApplianceRef, paused: bool) -> None:
        """Start all halted VMs: those of the lowest order first, then, after their start_delay, the next."""

        async def begin(vm: Record) -> None:
            if vm["power_state"] == State.Halted:
                await power.start(call, vm.ref, "start", paused=paused)
                await _wait(call, vm["start_delay"])

        await _in_order(call, self, "start", begin)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=PARTIALLY)
    async def clean_shutdown(call: Call, self: VMApplianceRef) -> None:
        """Ask all running VMs to shut down: those of the highest order first, each after its shutdown_delay."""
        await _end(call, self, "clean_shutdown")

    @message(role=POOL_OPERATOR, asynchronous=True, errors=PARTIALLY)
    async def hard_shutdown(call: Call, self: VMApplianceRef) -> None:
        """End all VMs at once, those of the highest order first."""
        await _end(call, self, "hard_shutdown")

    @message(role=POOL_OPERATOR, asynchronous=True, errors=PARTIALLY)
    async def shutdown(call: Call, self: VMApplianceRef) -> None:
        """Shut all VMs down, cleanly where that is possible, else the hard way."""
        await _end(call, self, "shutdown")

    @message(role=READ_ONLY, asynchronous=True, errors=("VM_REQUIRES_SR",))
    def assert_can_be_recovered(call: Call, self: VMApplianceRef, session_to: SessionRef) -> None:
        """Raise the error that tells why an appliance cannot be recovered where ``session_to`` is."""
        for vm in call.record(self, "VM_appliance")["VMs"]:
            placement.assert_reachable(call.store, call.record(vm))

    @message(role=READ_ONLY, asynchronous=True)
    def get_SRs_required_for_recovery(call: Call, self: VMApplianceRef, session_to: SessionRef) -> list[SRRef]:
        """Return the repositories that a pool needs, to recover an appliance."""
        vms = [call.record(vm) for vm in call.record(self, "VM_appliance")["VMs"]]
        return sorted({sr for vm in vms for sr in placement.repositories(call.store, vm)})


async def _end(call: Call, appliance: str, operation: str) -> None:
    states = (State.Running,) if operation == "clean_shutdown" else (State.Running, State.Paused, State.Suspended)

    async def end(vm: Record) -> None:
        if call.record(vm.ref)["power_state"] in states:
            if operation != "hard_shutdown":
                await _wait(call, vm["shutdown_delay"])
            await power.shut_down_somehow(call, vm.ref, operation)

    await _in_order(call, appliance, operation, end, downwards=True)


async def _wait(call: Call, seconds: int) -> None:
    if seconds:
        hypervisor: Hypervisor = call.hypervisor(master(call.store))
        await hypervisor.wait(seconds)


async def _in_order(
    call: Call, appliance: str, operation: str, act: Callable[[Record], Awaitable[None]], *, downwards: bool = False
) -> None:
    """Act on the VMs of an appliance, one order after the other, those of the same order together.

    All are tried; if any of them failed, OPERATION_PARTIALLY_FAILED tells so at the end.
    """
    async with call.operation(appliance, operation) as record:
        vms = sorted((call.record(vm) for vm in record["VMs"]), key=_order, reverse=downwards)
        failed, done = False, 0
        for _, together in groupby(vms, key=_order):
            outcomes = await asyncio.gather(*_acting(act, together), return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException) and not isinstance(outcome, XenApiError):
                    raise outcome
            failed |= any(outcomes)
            done += len(outcomes)
            call.task.progress(done / len(vms))
    if failed:
        raise XenApiError("OPERATION_PARTIALLY_FAILED", operation)


def _order(vm: Record) -> int:
    return int(vm["order"])


def _acting(act: Callable[[Record], Awaitable[None]], vms: Iterable[Record]) -> list[Awaitable[None]]:
    return [act(vm) for vm in vms]
