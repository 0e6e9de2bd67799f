"""Moving all VMs away from a host."""

from __future__ import annotations

from dataclasses import dataclass, replace

from xenapi_core.classes import migration, placement
from xenapi_core.classes.hosting import BUSY
from xenapi_core.classes.lifecycle import VM_OPERATIONS
from xenapi_core.datamodel import NULL, POOL_OPERATOR, READ_ONLY, Call, Objects, Record, XenApiError, message
from xenapi_core.datamodel.call import TaskHandle
from xenapi_core.datamodel.refs import HostRef, NetworkRef, VMRef


class Evacuation:
    """The messages of host that move its VMs away."""

    @message(role=POOL_OPERATOR, asynchronous=True, errors=(*BUSY, "CANNOT_EVACUATE_HOST", "PIF_NOT_PRESENT"))
    async def evacuate(call: Call, host: HostRef, network: NetworkRef = NULL, evacuate_batch_size: int = 0) -> None:
        """Move all VMs that run on a disabled host to others, while they run, one after the other.

        ``network``: the one to move them over, which the host has to be on.
        """
        if network != NULL:
            _check_network(call.store, host, network)
        async with call.operation(host, "evacuate"):
            destinations, reasons = plan(call.store, host)
            if reasons:
                raise _cannot(reasons)
            for number, (vm, destination) in enumerate(destinations.items()):
                part = replace(call, task=_Part(call.task, number, len(destinations)))
                await migration.migrate(part, vm, destination)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("CANNOT_EVACUATE_HOST",))
    def assert_can_evacuate(call: Call, host: HostRef) -> None:
        """Raise the error that evacuating a host would end in now, if VMs would have to stay."""
        _, reasons = plan(call.store, host)
        if reasons:
            raise _cannot(reasons)

    @message(role=READ_ONLY, asynchronous=True)
    def get_vms_which_prevent_evacuation(call: Call, self: HostRef) -> dict[VMRef, list[str]]:
        """Return the VMs that cannot be moved away from a host now, each with the error that tells why."""
        return {vm: error.description for vm, error in plan(call.store, self)[1].items()}


@dataclass(frozen=True)
class _Part:
    """The part of a task that moves one VM of several."""

    whole: TaskHandle
    number: int
    of: int

    @property
    def ref(self) -> str:
        return self.whole.ref

    def progress(self, fraction: float) -> None:
        self.whole.progress((self.number + fraction) / self.of)


def residents(objects: Objects, host: str) -> list[Record]:
    """Return the VMs that run on a host, without the domain that runs it."""
    vms = (objects.record(vm) for vm in objects.record(host, "host")["resident_VMs"])
    return [vm for vm in vms if not vm["is_control_domain"]]


def plan(objects: Objects, host: str) -> tuple[dict[str, str], dict[str, XenApiError]]:
    """Return where each VM of a host can go, and why those that cannot have to stay."""
    others = [other for other in objects.records("host") if other.ref != host]
    free = {other.ref: placement.free(objects, other.ref) for other in others}
    destinations: dict[str, str] = {}
    reasons: dict[str, XenApiError] = {}
    for vm in residents(objects, host):
        try:
            VM_OPERATIONS.check(objects, vm, "pool_migrate")
        except XenApiError as error:
            reasons[vm.ref] = error
            continue
        refusals = {other.ref: placement.refusal(objects, vm, other) for other in others}
        needed = placement.needed(vm)
        able = [other for other, reason in refusals.items() if reason is None]
        roomy = [other for other in able if free[other] >= needed]
        if roomy:
            destination = destinations[vm.ref] = max(roomy, key=free.__getitem__)
            free[destination] -= needed
        elif able:
            reasons[vm.ref] = XenApiError("HOST_NOT_ENOUGH_FREE_MEMORY", needed, max(free[other] for other in able))
        else:
            why = next((reason for reason in refusals.values() if reason is not None), None)
            reasons[vm.ref] = why or XenApiError("NO_HOSTS_AVAILABLE")
    return destinations, reasons


def _cannot(reasons: dict[str, XenApiError]) -> XenApiError:
    told = "|".join(",".join((error.code, vm)) for vm, error in reasons.items())
    return XenApiError("CANNOT_EVACUATE_HOST", told)


def _check_network(objects: Objects, host: str, network: str) -> None:
    pifs = objects.record(network, "network")["PIFs"]
    if not any(objects.record(pif)["host"] == host for pif in pifs):
        raise XenApiError("PIF_NOT_PRESENT", host, network)
