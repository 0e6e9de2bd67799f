"""The states of a virtual block device: one table of operations and when each may begin.

From it follow the checks before an operation, in their order, and ``VBD.allowed_operations``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from xenapi_core.classes.lifecycle import RUNNING, State, bad_power_state
from xenapi_core.datamodel import Objects, Operations, Record, XenApiError


class vbd_operations(StrEnum):
    """What may be done with a virtual block device."""

    attach = "attach"
    eject = "eject"
    insert = "insert"
    plug = "plug"
    unplug = "unplug"
    unplug_force = "unplug_force"
    pause = "pause"
    unpause = "unpause"


Op: TypeAlias = vbd_operations

CHANGEABLE = (State.Halted, State.Paused, State.Running)
"""Power states in which a medium can be changed: a suspended guest would not notice."""


class Rule(NamedTuple):
    """When an operation may begin."""

    states: tuple[State, ...]
    """Power states of the VM."""
    attached: bool | None = None
    """Whether the device has to be attached; None: either."""
    empty: bool | None = None
    """Whether the drive has to be empty, and one whose medium can be changed; None: either, and any."""
    unpluggable: bool = False
    """Whether the device has to be one that can be taken away."""


TABLE: dict[vbd_operations, Rule] = {
    Op.attach: Rule(tuple(State), attached=False),
    Op.insert: Rule(CHANGEABLE, empty=True),
    Op.eject: Rule(CHANGEABLE, empty=False),
    Op.plug: Rule(RUNNING, attached=False),
    Op.unplug: Rule(RUNNING, attached=True, unpluggable=True),
    Op.unplug_force: Rule(RUNNING, attached=True, unpluggable=True),
}
"""The operations that clients can ask for, in the order of ``allowed_operations``."""


class Standing(NamedTuple):
    """All that decides which operations a device allows."""

    power_state: State
    attached: bool
    removable: bool
    empty: bool
    unpluggable: bool
    busy: bool

    @classmethod
    def of(cls, objects: Objects, vbd: Record) -> Standing:
        """Return the standing of a device."""
        vm = objects.get(vbd["VM"])
        return cls(
            vm["power_state"] if vm else State.Halted,
            vbd["currently_attached"],
            vbd["type"] != "Disk",
            vbd["empty"],
            vbd["unpluggable"],
            bool(vbd["current_operations"]),
        )


class Refusal(StrEnum):
    """Why an operation cannot begin: the code of the error."""

    busy = "OTHER_OPERATION_IN_PROGRESS"
    not_unpluggable = "VBD_NOT_UNPLUGGABLE"
    not_removable = "VBD_NOT_REMOVABLE_MEDIA"
    empty = "VBD_IS_EMPTY"
    not_empty = "VBD_NOT_EMPTY"
    bad_power_state = "VM_BAD_POWER_STATE"
    attached = "DEVICE_ALREADY_ATTACHED"
    detached = "DEVICE_ALREADY_DETACHED"


def _refusals(vbd: Standing, operation: vbd_operations) -> Iterator[Refusal]:
    rule = TABLE[operation]
    if vbd.busy:
        yield Refusal.busy
    if rule.unpluggable and not vbd.unpluggable:
        yield Refusal.not_unpluggable
    if rule.empty is not None and not vbd.removable:
        yield Refusal.not_removable
    if rule.empty is not None and vbd.empty is not rule.empty:
        yield Refusal.empty if vbd.empty else Refusal.not_empty
    if vbd.power_state not in rule.states:
        yield Refusal.bad_power_state
    if rule.attached is not None and vbd.attached is not rule.attached:
        yield Refusal.attached if vbd.attached else Refusal.detached


def refusal(vbd: Standing, operation: vbd_operations) -> Refusal | None:
    """Return why an operation cannot begin, None if it can."""
    return next(_refusals(vbd, operation), None)


@lru_cache(maxsize=1024)
def allowed_operations(vbd: Standing) -> tuple[vbd_operations, ...]:
    """Return the operations that can begin."""
    return tuple(operation for operation in TABLE if refusal(vbd, operation) is None)


class VBDOperations(Operations):
    """The table as the store and the calls use it."""

    def check(self, objects: Objects, record: Record, operation: str) -> None:
        """Raise the XenApiError that tells why an operation cannot begin now, if it cannot."""
        why = refusal(Standing.of(objects, record), vbd_operations(operation))
        if why is Refusal.busy:
            task, other = next(iter(record["current_operations"].items()))
            raise XenApiError(why.value, "VBD", record.ref, other, task)
        if why is Refusal.bad_power_state:
            raise bad_power_state(objects.record(record["VM"], "VM"), *TABLE[vbd_operations(operation)].states)
        if why is not None:
            raise XenApiError(why.value, record.ref)

    def allowed(self, objects: Objects, record: Record) -> Sequence[str]:
        """Return the operations that can begin now."""
        return allowed_operations(Standing.of(objects, record))

    def dependents(self, record: Record) -> Iterable[str]:
        """Return the image in the device: what it allows follows from whether it is in use."""
        return (record["VDI"],)


VBD_OPERATIONS = VBDOperations()
