"""The states of a virtual NIC: one table of operations and when each may begin.

From it follow the checks before an operation, in their order, and ``VIF.allowed_operations``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from xenapi_core.classes.lifecycle import State, bad_power_state
from xenapi_core.datamodel import NULL, Objects, Operations, Record, XenApiError


class vif_operations(StrEnum):
    """What may be done with a virtual NIC."""

    attach = "attach"
    plug = "plug"
    unplug = "unplug"


class Standing(NamedTuple):
    """All that decides which operations a virtual NIC allows."""

    running: bool
    attached: bool
    busy: bool


class Refusal(StrEnum):
    """Why an operation cannot begin: the code of the error."""

    busy = "OTHER_OPERATION_IN_PROGRESS"
    not_running = "VM_BAD_POWER_STATE"
    attached = "DEVICE_ALREADY_ATTACHED"
    detached = "DEVICE_ALREADY_DETACHED"


NEEDS_RUNNING = frozenset({vif_operations.plug, vif_operations.unplug})
WHILE_ATTACHED = {vif_operations.plug: Refusal.attached}
WHILE_DETACHED = {vif_operations.unplug: Refusal.detached}


def _refusals(vif: Standing, operation: vif_operations) -> Iterator[Refusal | None]:
    if vif.busy:
        yield Refusal.busy
    if operation in NEEDS_RUNNING and not vif.running:
        yield Refusal.not_running
    yield (WHILE_ATTACHED if vif.attached else WHILE_DETACHED).get(operation)


def refusal(vif: Standing, operation: vif_operations) -> Refusal | None:
    """Return why an operation cannot begin, None if it can."""
    return next((why for why in _refusals(vif, operation) if why), None)


@lru_cache(maxsize=16)
def allowed_operations(vif: Standing) -> tuple[vif_operations, ...]:
    """Return the operations that can begin."""
    return tuple(operation for operation in vif_operations if refusal(vif, operation) is None)


class VIFOperations(Operations):
    """The table as the store and the calls use it."""

    def check(self, objects: Objects, record: Record, operation: str) -> None:
        """Raise the XenApiError that tells why an operation cannot begin now, if it cannot."""
        match refusal(_standing(objects, record), vif_operations(operation)):
            case None:
                return
            case Refusal.busy as why:
                task, other = next(iter(record["current_operations"].items()))
                raise XenApiError(why.value, "VIF", record.ref, other, task)
            case Refusal.not_running:
                raise bad_power_state(objects.record(record["VM"], "VM"), State.Running)
            case why:
                raise XenApiError(why.value, record.ref)

    def allowed(self, objects: Objects, record: Record) -> Sequence[str]:
        """Return the operations that can begin now."""
        return allowed_operations(_standing(objects, record))


def _standing(objects: Objects, vif: Record) -> Standing:
    running = vif["VM"] != NULL and objects.record(vif["VM"])["power_state"] == State.Running
    return Standing(running, vif["currently_attached"], bool(vif["current_operations"]))


VIF_OPERATIONS = VIFOperations()
