"""Where a VM can run: which hosts reach what it needs, and how memory is claimed on one of them.

``host_metrics.memory_free`` is what neither Xen, nor a domain, nor a claim holds. A VM's claim is its ``memory_target``
and its ``memory_overhead``; it is made in the step that begins an operation, on the host in
``scheduled_to_be_resident_on``, so that two starts cannot both count on the same memory.
"""

from __future__ import annotations

from collections.abc import Iterable

from xenapi_core.classes.images import check_free
from xenapi_core.datamodel import NULL, READ_ONLY, Call, Change, Objects, Record, XenApiError, message
from xenapi_core.datamodel.refs import HostRef, VMRef

MIB = 1 << 20

NOT_THERE = ("HOST_DISABLED", "HOST_NOT_LIVE", "HOST_NOT_ENOUGH_FREE_MEMORY", "VM_REQUIRES_SR", "VM_REQUIRES_NETWORK")
"""What a start on a host may be refused with."""


class Placement:
    """The messages of VM that tell where it can run."""

    @message(role=READ_ONLY)
    def get_possible_hosts(call: Call, vm: VMRef) -> list[HostRef]:
        """Return the hosts on which a VM could start now."""
        return possible_hosts(call.store, call.record(vm, "VM"))

    @message(
        role=READ_ONLY,
        asynchronous=True,
        errors=("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", "HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED"),
    )
    def assert_agile(call: Call, self: VMRef) -> None:
        """Raise the error that tells why a VM could not run on every host of the pool."""
        record, hosts = call.record(self, "VM"), {host.ref for host in call.records("host")}
        for sr in repositories(call.store, record):
            if not call.record(sr)["shared"]:
                raise XenApiError("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", sr)
        for network in _networks(call.store, record):
            pifs = call.record(network)["PIFs"]
            if pifs and {call.record(pif)["host"] for pif in pifs} != hosts:
                raise XenApiError("HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED", network)

    @message(role=READ_ONLY, asynchronous=True, errors=("WLB_NOT_INITIALIZED",))
    def retrieve_wlb_recommendations(call: Call, vm: VMRef) -> dict[HostRef, list[str]]:
        """Ask the workload balancing server where a VM should run; no pool here has one."""
        raise XenApiError("WLB_NOT_INITIALIZED")

    @message(role=READ_ONLY, errors=NOT_THERE)
    def assert_can_boot_here(call: Call, self: VMRef, host: HostRef) -> None:
        """Raise the error that starting a VM on a host would end in now, if it would be refused."""
        reason = refusal(call.store, call.record(self, "VM"), call.record(host, "host"))
        if reason is not None:
            raise reason


def overhead(vm: Record) -> int:
    """Return the memory that a host needs to run a VM beyond the VM's own: for page tables and virtual CPUs (bytes)."""
    shadow = int(vm["memory_static_max"] // 1024 * 2 * vm["HVM_shadow_multiplier"]) if vm["HVM_boot_policy"] else 0
    return int((2 + vm["VCPUs_max"]) * MIB + -(-shadow // MIB) * MIB)


def needed(vm: Record) -> int:
    """Return the memory that a VM takes on the host that it starts or resumes on (bytes)."""
    return int((vm["memory_target"] or vm["memory_dynamic_max"]) + overhead(vm))


def free(objects: Objects, host: str) -> int:
    """Return the memory of a host that nobody holds or has claimed (bytes)."""
    return int(objects.record(objects.record(host)["metrics"])["memory_free"])


def refusal(objects: Objects, vm: Record, host: Record) -> XenApiError | None:
    """Return why a VM cannot run on a host now, None if it can."""
    if not host["enabled"]:
        return XenApiError("HOST_DISABLED", host.ref)
    if not objects.record(host["metrics"])["live"]:
        return XenApiError("HOST_NOT_LIVE")
    for sr in repositories(objects, vm):
        if not any(_attached(objects.record(pbd), host) for pbd in objects.record(sr)["PBDs"]):
            return XenApiError("VM_REQUIRES_SR", vm.ref, sr)
    for network in _networks(objects, vm):
        pifs = objects.record(network)["PIFs"]
        if pifs and not any(objects.record(pif)["host"] == host.ref for pif in pifs):
            return XenApiError("VM_REQUIRES_NETWORK", vm.ref, network)
    available = free(objects, host.ref)
    if needed(vm) > available:
        return XenApiError("HOST_NOT_ENOUGH_FREE_MEMORY", needed(vm), available)
    return None


def possible_hosts(objects: Objects, vm: Record) -> list[str]:
    """Return the hosts that a VM can run on now, that with the most free memory first, its affinity before all."""
    hosts = [host.ref for host in objects.records("host") if refusal(objects, vm, host) is None]
    return sorted(hosts, key=lambda host: (host != vm["affinity"], -free(objects, host)))


def choose(objects: Objects, vm: Record) -> str:
    """Return the host that a VM is to run on.

    HOST_NOT_ENOUGH_FREE_MEMORY if only memory is missing everywhere, else NO_HOSTS_AVAILABLE.
    """
    hosts = possible_hosts(objects, vm)
    if hosts:
        return hosts[0]
    reasons = [refusal(objects, vm, host) for host in objects.records("host")]
    short = [reason for reason in reasons if reason and reason.code == "HOST_NOT_ENOUGH_FREE_MEMORY"]
    if short:
        raise max(short, key=lambda reason: int(reason.parameters[1]))
    raise XenApiError("NO_HOSTS_AVAILABLE")


def claim(change: Change, vm: Record, host: str = NULL) -> None:
    """Claim memory for a VM on a host, or on the one that suits it best."""
    if host == NULL:
        host = choose(change, vm)
    else:
        reason = refusal(change, vm, change.record(host, "host"))
        if reason is not None:
            raise reason
    change.update(
        vm.ref,
        scheduled_to_be_resident_on=host,
        memory_target=vm["memory_target"] or vm["memory_dynamic_max"],
        memory_overhead=overhead(vm),
    )
    take(change, host, needed(vm))
    for vbd in map(change.record, vm["VBDs"]):
        if vbd["VDI"] != NULL:
            check_free(change, vbd["VDI"], vbd, "attach")


def take(change: Change, host: str, memory: int) -> None:
    """Count memory of a host as held (bytes); give it back if negative."""
    metrics = change.record(change.record(host, "host")["metrics"])
    change.update(metrics.ref, memory_free=metrics["memory_free"] - memory)


def move_target(change: Change, vm: Record, target: int) -> None:
    """Change the memory that a VM with a domain is meant to have (bytes), and count the difference on its host."""
    if target != vm["memory_target"]:
        take(change, vm["resident_on"], target - vm["memory_target"])
        change.update(vm.ref, memory_target=target)


def release_claim(change: Change, vm: Record) -> None:
    """Give back what a VM has claimed on the host that it was about to run on, if anything."""
    if vm["scheduled_to_be_resident_on"] != NULL:
        take(change, vm["scheduled_to_be_resident_on"], -(vm["memory_target"] + vm["memory_overhead"]))


def assert_reachable(objects: Objects, vm: Record) -> None:
    """Raise VM_REQUIRES_SR unless some host reaches each repository of a VM."""
    for sr in repositories(objects, vm):
        if not any(objects.record(pbd)["currently_attached"] for pbd in objects.record(sr)["PBDs"]):
            raise XenApiError("VM_REQUIRES_SR", vm.ref, sr)


def release(change: Change, vm: Record) -> None:
    """Give back what a VM holds or has claimed on a host, if anything."""
    for host in {vm["resident_on"], vm["scheduled_to_be_resident_on"]} - {NULL}:
        take(change, host, -(vm["memory_target"] + vm["memory_overhead"]))


def repositories(objects: Objects, vm: Record) -> list[str]:
    """Return the repositories that hold a VM's disk images."""
    images = {objects.record(vbd)["VDI"] for vbd in vm["VBDs"]} | {vm["suspend_VDI"]}
    return sorted({objects.record(image)["SR"] for image in images - {NULL}})


def _networks(objects: Objects, vm: Record) -> Iterable[str]:
    return sorted({objects.record(vif)["network"] for vif in vm["VIFs"]} - {NULL})


def _attached(pbd: Record, host: Record) -> bool:
    return bool(pbd["host"] == host.ref and pbd["currently_attached"])
