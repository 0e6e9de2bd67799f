"""The states of a host: one table of operations and when each may begin.

From it follow the checks before an operation, in their order, and ``host.allowed_operations``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from xenapi_core.datamodel import NULL, Objects, Operations, Record, XenApiError


class host_allowed_operations(StrEnum):
    """What may be done with a host."""

    provision = "provision"
    evacuate = "evacuate"
    shutdown = "shutdown"
    reboot = "reboot"
    power_on = "power_on"
    vm_start = "vm_start"
    vm_resume = "vm_resume"
    vm_migrate = "vm_migrate"
    apply_updates = "apply_updates"
    enable = "enable"


Op: TypeAlias = host_allowed_operations


class Needs(NamedTuple):
    """What a host has to be for an operation; None: anything."""

    live: bool = True
    enabled: bool | None = None
    alone: bool = False
    """Whether no other operation may be under way."""


NEEDS = {
    Op.provision: Needs(enabled=True),
    Op.evacuate: Needs(enabled=False, alone=True),
    Op.shutdown: Needs(enabled=False, alone=True),
    Op.reboot: Needs(enabled=False, alone=True),
    Op.power_on: Needs(live=False, alone=True),
    Op.vm_start: Needs(enabled=True),
    Op.vm_resume: Needs(enabled=True),
    Op.vm_migrate: Needs(enabled=True),
    Op.enable: Needs(enabled=False, alone=True),
}
"""The operations that there are messages for, and what each needs."""


class Standing(NamedTuple):
    """All that decides which operations a host allows."""

    live: bool
    enabled: bool
    busy: bool
    can_be_switched_on: bool


class Refusal(StrEnum):
    """Why an operation cannot begin: the code of the error."""

    not_live = "HOST_NOT_LIVE"
    live = "HOST_IS_LIVE"
    disabled = "HOST_DISABLED"
    not_disabled = "HOST_NOT_DISABLED"
    no_switch = "HOST_POWER_ON_MODE_DISABLED"
    busy = "OTHER_OPERATION_IN_PROGRESS"


def _refusals(host: Standing, operation: host_allowed_operations) -> Iterator[Refusal]:
    needs = NEEDS[operation]
    if host.live != needs.live:
        yield Refusal.not_live if needs.live else Refusal.live
    if needs.enabled not in (None, host.enabled):
        yield Refusal.disabled if needs.enabled else Refusal.not_disabled
    if operation == Op.power_on and not host.can_be_switched_on:
        yield Refusal.no_switch
    if needs.alone and host.busy:
        yield Refusal.busy


@lru_cache(maxsize=16)
def allowed_operations(host: Standing) -> tuple[host_allowed_operations, ...]:
    """Return the operations that can begin."""
    return tuple(operation for operation in NEEDS if not any(_refusals(host, operation)))


class HostOperations(Operations):
    """The table as the store and the calls use it."""

    def check(self, objects: Objects, record: Record, operation: str) -> None:
        """Raise the XenApiError that tells why an operation cannot begin now, if it cannot."""
        match next(_refusals(_standing(objects, record), Op(operation)), None):
            case None:
                return
            case Refusal.busy as why:
                task, other = next(iter(record["current_operations"].items()))
                raise XenApiError(why.value, "host", record.ref, other, task)
            case Refusal.live | Refusal.disabled as why:
                raise XenApiError(why.value, record.ref)
            case why:
                raise XenApiError(why.value)

    def allowed(self, objects: Objects, record: Record) -> Sequence[str]:
        """Return the operations that can begin now."""
        return allowed_operations(_standing(objects, record))


def _standing(objects: Objects, host: Record) -> Standing:
    metrics = objects.get(host["metrics"]) if host["metrics"] != NULL else None
    live = metrics is not None and bool(metrics["live"])
    return Standing(live, host["enabled"], bool(host["current_operations"]), bool(host["power_on_mode"]))


HOST_OPERATIONS = HostOperations()
BUSY = ("HOST_NOT_LIVE", "HOST_NOT_DISABLED", "OTHER_OPERATION_IN_PROGRESS")
"""What evacuating, shutting down and rebooting a host may be refused with."""
