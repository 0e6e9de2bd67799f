"""A CPU pool of Xen-API 1.0: CPUs of a host with a scheduler of their own, for the VMs that are put there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from xenapi_core.datamodel import (
    NULL,
    POOL_OPERATOR,
    RO,
    RW,
    Call,
    Change,
    Record,
    RecordOf,
    XenApiError,
    XenClass,
    field,
    message,
)
from xenapi_core.datamodel.refs import CpuPoolRef, HostCpuRef, HostRef, VMRef

SCHEDULERS = ("credit", "credit2", "null", "rtds", "sedf")

CpuPoolRecord = Annotated[dict[str, Any], RecordOf("cpu_pool")]


class cpu_pool(XenClass, role=POOL_OPERATOR):
    """A CPU pool of Xen-API 1.0: CPUs of a host with a scheduler of their own, for the VMs that are put there."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(RW, default="", doc="name for people")
    name_description: str = field(RW, default="", doc="notes for people")
    resident_on: HostRef = field(RO, doc="the host whose CPUs it has")
    auto_power_on: bool = field(RW, default=False, doc="whether it is activated when the host starts")
    started_VMs: list[VMRef] = field(RO, doc="VMs that run on its CPUs")
    ncpu: int = field(RW, default=1, doc="number of CPUs that it gets when it is activated")
    sched_policy: str = field(RW, default="credit", doc="its scheduler")
    proposed_CPUs: list[str] = field(RW, default=(), doc="numbers of the CPUs that it would rather have")
    host_CPUs: list[HostCpuRef] = field(RO, doc="CPUs that it has")
    activated: bool = field(RO, doc="whether it has CPUs and can run VMs")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    # To make and to remove

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("UNKOWN_SCHED_POLICY", "INVALID_VALUE"))
    def create(call: Call, args: CpuPoolRecord) -> CpuPoolRef:
        """Make a CPU pool, without CPUs until it is activated, on the pool master, and return its reference."""
        _check_policy(args.get("sched_policy", "credit"))
        _check_number(args.get("ncpu", 1))
        for number in args.get("proposed_CPUs", ()):
            _check_cpu_number(number)
        with call.store.write() as change:
            master = next(iter(change.records("pool")))["master"]
            return change.create("cpu_pool", {**args, "resident_on": master})

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("POOL_BAD_STATE",))
    def destroy(call: Call, self: CpuPoolRef) -> None:
        """Remove a CPU pool that is not activated."""
        with call.store.write() as change:
            _inactive(change, self)
            change.destroy(self)

    # To give it CPUs and to take them back

    @message(
        role=POOL_OPERATOR, asynchronous=True, errors=("POOL_BAD_STATE", "INSUFFICIENT_CPUS", "UNKOWN_SCHED_POLICY")
    )
    def activate(call: Call, self: CpuPoolRef) -> None:
        """Give a CPU pool its CPUs: those proposed, then any others that no pool has."""
        with call.store.write() as change:
            pool = _inactive(change, self)
            _check_policy(pool["sched_policy"])
            free = _unassigned(change, pool["resident_on"])
            wanted = sorted(free, key=lambda cpu: str(cpu["number"]) not in pool["proposed_CPUs"])
            needed = max(pool["ncpu"], len(pool["proposed_CPUs"]))
            if needed > len(free):
                raise XenApiError("INSUFFICIENT_CPUS", needed, len(free))
            _assign(change, self, [cpu.ref for cpu in wanted[:needed]])
            change.update(self, activated=True)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("POOL_BAD_STATE",))
    def deactivate(call: Call, self: CpuPoolRef) -> None:
        """Take its CPUs from a CPU pool on which no VM runs."""
        with call.store.write() as change:
            pool = _active(change, self)
            if pool["started_VMs"]:
                raise XenApiError("POOL_BAD_STATE", "VMs run on it")
            _assign(change, self, ())
            change.update(self, activated=False)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("POOL_BAD_STATE", "INVALID_CPU"))
    def add_host_CPU_live(call: Call, self: CpuPoolRef, host_cpu: HostCpuRef) -> None:
        """Give an activated CPU pool a further CPU of its host that no pool has."""
        with call.store.write() as change:
            pool = _active(change, self)
            cpu = change.record(host_cpu, "host_cpu")
            if cpu["host"] != pool["resident_on"]:
                raise XenApiError("INVALID_CPU", f"CPU {cpu['number']} is in another host")
            if cpu["cpu_pool"]:
                raise XenApiError("INVALID_CPU", f"CPU {cpu['number']} is in a pool already")
            _assign(change, self, (*pool["host_CPUs"], host_cpu))

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("POOL_BAD_STATE", "INVALID_CPU", "LAST_CPU_NOT_REMOVEABLE"))
    def remove_host_CPU_live(call: Call, self: CpuPoolRef, host_cpu: HostCpuRef) -> None:
        """Take a CPU from an activated CPU pool; the last one only if no VM runs there."""
        with call.store.write() as change:
            pool = _active(change, self)
            cpu = change.record(host_cpu, "host_cpu")
            if host_cpu not in pool["host_CPUs"]:
                raise XenApiError("INVALID_CPU", f"CPU {cpu['number']} is not in this pool")
            if len(pool["host_CPUs"]) == 1:
                raise XenApiError("LAST_CPU_NOT_REMOVEABLE", f"CPU {cpu['number']} is the last of this pool")
            _assign(change, self, [other for other in pool["host_CPUs"] if other != host_cpu])

    # What it is to be like

    @message(role=POOL_OPERATOR, errors=("POOL_BAD_STATE", "INVALID_VALUE"))
    def set_ncpu(call: Call, self: CpuPoolRef, value: int) -> None:
        """Set the number of CPUs that a CPU pool gets when it is activated."""
        _check_number(value)
        with call.store.write() as change:
            _inactive(change, self)
            change.update(self, ncpu=value)

    @message(role=POOL_OPERATOR, errors=("POOL_BAD_STATE", "INVALID_VALUE"))
    def set_proposed_CPUs(call: Call, self: CpuPoolRef, cpus: list[str]) -> None:
        """Set the numbers of the CPUs that a CPU pool would rather have."""
        with call.store.write() as change:
            _inactive(change, self)
            change.update(self, proposed_CPUs=tuple(dict.fromkeys(_check_cpu_number(cpu) for cpu in cpus)))

    @message(role=POOL_OPERATOR, errors=("POOL_BAD_STATE", "INVALID_VALUE"))
    def add_to_proposed_CPUs(call: Call, self: CpuPoolRef, cpu: int) -> None:
        """Add the number of a CPU that a CPU pool would rather have."""
        with call.store.write() as change:
            proposed = _inactive(change, self)["proposed_CPUs"]
            change.update(self, proposed_CPUs=tuple(dict.fromkeys((*proposed, _check_cpu_number(str(cpu))))))

    @message(role=POOL_OPERATOR, errors=("POOL_BAD_STATE",))
    def remove_from_proposed_CPUs(call: Call, self: CpuPoolRef, cpu: int) -> None:
        """Remove the number of a CPU that a CPU pool would rather have had."""
        with call.store.write() as change:
            proposed = _inactive(change, self)["proposed_CPUs"]
            change.update(self, proposed_CPUs=tuple(number for number in proposed if number != str(cpu)))

    @message(role=POOL_OPERATOR, errors=("UNKOWN_SCHED_POLICY",))
    def set_sched_policy(call: Call, self: CpuPoolRef, new_sched_policy: str) -> None:
        """Set the scheduler of a CPU pool."""
        _check_policy(new_sched_policy)
        with call.store.write() as change:
            change.update(self, sched_policy=new_sched_policy)


def _active(change: Change, ref: str) -> Record:
    pool = change.record(ref, "cpu_pool")
    if not pool["activated"]:
        raise XenApiError("POOL_BAD_STATE", "not activated")
    return pool


def _inactive(change: Change, ref: str) -> Record:
    pool = change.record(ref, "cpu_pool")
    if pool["activated"]:
        raise XenApiError("POOL_BAD_STATE", "activated")
    return pool


def _unassigned(change: Change, host: str) -> list[Record]:
    if host == NULL:
        return []
    return [cpu for cpu in map(change.record, change.record(host, "host")["host_CPUs"]) if not cpu["cpu_pool"]]


def _assign(change: Change, pool: str, cpus: Iterable[str]) -> None:
    """Write which CPUs a pool has, at both ends."""
    had, has = change.record(pool)["host_CPUs"], tuple(cpus)
    for cpu in set(had) ^ set(has):
        change.update(cpu, cpu_pool=(pool,) if cpu in has else ())
    change.update(pool, host_CPUs=has)


def _check_policy(policy: str) -> None:
    if policy not in SCHEDULERS:
        raise XenApiError("UNKOWN_SCHED_POLICY")


def _check_number(ncpu: int) -> None:
    if ncpu < 1:
        raise XenApiError("INVALID_VALUE", "ncpu", ncpu)


def _check_cpu_number(number: str) -> str:
    if not number.isascii() or not number.isdecimal():
        raise XenApiError("INVALID_VALUE", "proposed_CPUs", number)
    return str(int(number))
