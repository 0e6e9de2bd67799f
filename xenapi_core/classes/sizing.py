"""How much memory and how many virtual CPUs a VM has, and changing that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xenapi_core.classes import placement
from xenapi_core.classes.lifecycle import BUSY, VM_OPERATIONS, State
from xenapi_core.classes.power import effects, operation_on
from xenapi_core.datamodel import (
    READ_ONLY,
    VM_ADMIN,
    VM_POWER_ADMIN,
    Call,
    Change,
    Record,
    XenApiError,
    message,
)
from xenapi_core.datamodel.refs import VMRef
from xenapi_core.hypervisors.interface import Hypervisor

MOST_SHADOW = 1024.0
"""The least factor of shadow memory that no host can want."""

LIMITS = (*BUSY, "MEMORY_CONSTRAINT_VIOLATION")
"""What setting a memory limit may be refused with."""


class Sizing:
    """The messages of VM that set its memory and its virtual CPUs."""

    @message(role=VM_POWER_ADMIN, asynchronous=True, errors=LIMITS)
    def set_memory_limits(
        call: Call, self: VMRef, static_min: int, static_max: int, dynamic_min: int, dynamic_max: int
    ) -> None:
        """Set all memory limits of a halted VM (bytes)."""
        limits = Limits(static_min, dynamic_min, dynamic_max, static_max)
        set_limits(call, self, "changing_memory_limits", **vars(limits))

    @message(role=VM_POWER_ADMIN, asynchronous=True, errors=LIMITS)
    def set_memory(call: Call, self: VMRef, value: int) -> None:
        """Give a halted VM an amount of memory that does not move (bytes)."""
        set_limits(call, self, "changing_memory_limits", static_max=value, dynamic_max=value, dynamic_min=value)

    @message(role=VM_POWER_ADMIN, asynchronous=True, errors=LIMITS)
    def set_memory_static_range(call: Call, self: VMRef, min: int, max: int) -> None:
        """Set the least and the most memory that a halted VM can ever have (bytes)."""
        set_limits(call, self, "changing_static_range", static_min=min, static_max=max)

    @message(role=VM_POWER_ADMIN, errors=LIMITS)
    def set_memory_static_min(call: Call, self: VMRef, value: int) -> None:
        """Set the least memory that a halted VM can ever have (bytes)."""
        set_limits(call, self, "changing_static_range", static_min=value)

    @message(role=VM_POWER_ADMIN, errors=LIMITS)
    def set_memory_static_max(call: Call, self: VMRef, value: int) -> None:
        """Set the most memory that a halted VM can ever have (bytes)."""
        set_limits(call, self, "changing_static_range", static_max=value)

    @message(role=VM_POWER_ADMIN, asynchronous=True, errors=(*LIMITS, "HOST_NOT_ENOUGH_FREE_MEMORY"))
    async def set_memory_dynamic_range(call: Call, self: VMRef, min: int, max: int) -> None:
        """Set the range in which the memory of a halted or running VM may move (bytes)."""
        await set_dynamic_range(call, self, dynamic_min=min, dynamic_max=max)

    @message(role=VM_POWER_ADMIN, errors=(*LIMITS, "HOST_NOT_ENOUGH_FREE_MEMORY"))
    async def set_memory_dynamic_min(call: Call, self: VMRef, value: int) -> None:
        """Set the least memory that a halted or running VM may have now (bytes)."""
        await set_dynamic_range(call, self, dynamic_min=value)

    @message(role=VM_POWER_ADMIN, errors=(*LIMITS, "HOST_NOT_ENOUGH_FREE_MEMORY"))
    async def set_memory_dynamic_max(call: Call, self: VMRef, value: int) -> None:
        """Set the most memory that a halted or running VM may have now (bytes)."""
        await set_dynamic_range(call, self, dynamic_max=value)

    @message(role=VM_POWER_ADMIN, errors=(*LIMITS, "HOST_NOT_ENOUGH_FREE_MEMORY"))
    async def set_memory_dynamic_min_live(call: Call, self: VMRef, min: int) -> None:
        """Set the least memory that a VM may have now (bytes). Xen-API 1.0; today set_memory_dynamic_min."""
        await set_dynamic_range(call, self, dynamic_min=min)

    @message(role=VM_POWER_ADMIN, errors=(*LIMITS, "HOST_NOT_ENOUGH_FREE_MEMORY"))
    async def set_memory_dynamic_max_live(call: Call, self: VMRef, max: int) -> None:
        """Set the most memory that a VM may have now (bytes). Xen-API 1.0; today set_memory_dynamic_max."""
        await set_dynamic_range(call, self, dynamic_max=max)

    @message(role=VM_POWER_ADMIN, asynchronous=True, errors=(*LIMITS, "HOST_NOT_ENOUGH_FREE_MEMORY"))
    async def set_memory_target_live(call: Call, self: VMRef, target: int) -> None:
        """Give a VM an amount of memory that does not move, within its static limits (bytes)."""
        await set_dynamic_range(call, self, dynamic_min=target, dynamic_max=target)

    @message(role=VM_ADMIN, errors=(*BUSY, "INVALID_VALUE"))
    def set_VCPUs_max(call: Call, self: VMRef, value: int) -> None:
        """Set the most virtual CPUs that a halted VM can have."""
        check_vcpus(call.record(self, "VM")["VCPUs_at_startup"], value)
        set_fields(call, self, "changing_VCPUs", VCPUs_max=value)

    @message(role=VM_ADMIN, errors=(*BUSY, "INVALID_VALUE"))
    def set_VCPUs_at_startup(call: Call, self: VMRef, value: int) -> None:
        """Set the number of virtual CPUs that a halted VM starts with."""
        check_vcpus(value, call.record(self, "VM")["VCPUs_max"])
        set_fields(call, self, "changing_VCPUs", VCPUs_at_startup=value)

    @message(role=VM_ADMIN, asynchronous=True, errors=(*BUSY, "INVALID_VALUE"))
    async def set_VCPUs_number_live(call: Call, self: VMRef, nvcpu: int) -> None:
        """Give a running VM another number of virtual CPUs, up to VCPUs_max."""
        await set_vcpus(call, self, nvcpu)

    @message(role=VM_POWER_ADMIN, errors=(*BUSY, "INVALID_VALUE"))
    def set_HVM_shadow_multiplier(call: Call, self: VMRef, value: float) -> None:
        """Set the factor of the memory that is set aside for the shadow page tables of a halted VM; 1.0 or more."""
        if not value >= 1.0:
            raise XenApiError("INVALID_VALUE", "HVM_shadow_multiplier", value)
        set_fields(call, self, "changing_shadow_memory", HVM_shadow_multiplier=value)

    @message(role=READ_ONLY)
    def compute_memory_overhead(call: Call, vm: VMRef) -> int:
        """Return the memory that a host needs to run a VM, beyond the VM's own (bytes)."""
        return placement.overhead(call.record(vm, "VM"))

    @message(role=VM_POWER_ADMIN, asynchronous=True, errors=(*BUSY, "INVALID_VALUE", "HOST_NOT_ENOUGH_FREE_MEMORY"))
    async def set_shadow_multiplier_live(call: Call, self: VMRef, multiplier: float) -> None:
        """Set the factor of the memory that is set aside for the shadow page tables of a running VM; 1.0 or more."""
        await set_shadow_multiplier(call, self, multiplier)

    @message(role=VM_ADMIN, asynchronous=True, errors=BUSY)
    async def add_to_VCPUs_params_live(call: Call, self: VMRef, key: str, value: str) -> None:
        """Set a scheduling parameter of a running VM's virtual CPUs: weight, cap or mask."""
        await set_scheduling(call, self, key, value)

    @message(role=READ_ONLY, asynchronous=True)
    def get_cooperative(call: Call, self: VMRef) -> bool:
        """Tell whether a VM's guest does what it is asked for its memory; by now every guest does."""
        return True

    @message(role=READ_ONLY, asynchronous=True, errors=("VM_BAD_POWER_STATE",))
    def wait_memory_target_live(call: Call, self: VMRef) -> None:
        """Wait until a running VM has the memory that it is meant to have: it has, once that was set."""
        VM_OPERATIONS.check(call.store, call.record(self, "VM"), "awaiting_memory_live")

    @message(role=READ_ONLY, asynchronous=True, errors=("INVALID_VALUE",))
    def maximise_memory(call: Call, self: VMRef, total: int, approximate: bool) -> int:
        """Return the most memory that a VM could have on a host with so much free (bytes).

        ``approximate``: a tenth less, so that later changes of the VM still fit.
        """
        if total < 0:
            raise XenApiError("INVALID_VALUE", "total", total)
        return most_memory(call.record(self, "VM"), total * 9 // 10 if approximate else total)


@dataclass(frozen=True)
class Limits:
    """A VM's memory limits, in bytes."""

    static_min: int
    dynamic_min: int
    dynamic_max: int
    static_max: int

    @classmethod
    def of(cls, vm: Record, **changes: int) -> Limits:
        """Return a VM's limits with some of them changed."""
        names = ("static_min", "dynamic_min", "dynamic_max", "static_max")
        return cls(**{name: changes.get(name, vm[f"memory_{name}"]) for name in names})

    def check(self) -> None:
        """Raise MEMORY_CONSTRAINT_VIOLATION unless the limits are in order."""
        if not 0 <= self.static_min <= self.dynamic_min <= self.dynamic_max <= self.static_max or not self.dynamic_max:
            rule = "0 <= memory_static_min <= memory_dynamic_min <= memory_dynamic_max <= memory_static_max"
            raise XenApiError("MEMORY_CONSTRAINT_VIOLATION", rule)

    @property
    def fields(self) -> dict[str, int]:
        """The limits as fields of the VM."""
        return {f"memory_{name}": value for name, value in vars(self).items()}


def check_vcpus(at_startup: int, most: int) -> None:
    """Raise INVALID_VALUE unless a VM can have such numbers of virtual CPUs."""
    if most < 1:
        raise XenApiError("INVALID_VALUE", "VCPUs_max", most)
    if not 1 <= at_startup <= most:
        raise XenApiError("INVALID_VALUE", "VCPUs_at_startup", at_startup)


def set_fields(call: Call, vm: str, operation: str, **fields: Any) -> None:
    """Set fields of a VM that an operation guards; those of a running control domain take effect at the next boot."""
    with call.store.write() as change:
        record = change.record(vm, "VM")
        VM_OPERATIONS.check(change, record, operation)
        _write(change, record, fields)


def set_limits(call: Call, vm: str, operation: str, **limits: int) -> None:
    """Set memory limits of a halted VM."""
    with call.store.write() as change:
        record = change.record(vm, "VM")
        VM_OPERATIONS.check(change, record, operation)
        changed = Limits.of(record, **limits)
        changed.check()
        _write(change, record, changed.fields)


async def set_dynamic_range(call: Call, vm: str, **limits: int) -> None:
    """Set the range in which a VM's memory may move; a running VM gets as much of it as its host has."""
    before: list[int] = []

    def begin(change: Change, record: Record) -> None:
        changed = Limits.of(record, **limits)
        changed.check()
        before.append(record["memory_target"])
        if record["power_state"] == State.Running and not record["is_control_domain"]:
            _grow(change, record, _target(change, record, changed))

    def undo(change: Change, record: Record) -> None:
        placement.move_target(change, record, before[0])

    async with operation_on(call, vm, "changing_dynamic_range", begin, undo) as record:
        changed, domain = Limits.of(record, **limits), None
        if record["power_state"] == State.Running and not record["is_control_domain"]:
            hypervisor: Hypervisor = call.hypervisor(record["resident_on"])
            newest = call.record(vm)
            target = max(changed.dynamic_min, min(changed.dynamic_max, newest["memory_target"]))
            domain = await hypervisor.set_memory(record["uuid"], target)
        with effects(call, vm) as change:
            if domain is not None:
                placement.move_target(change, change.record(vm), domain.memory)
            _write(change, change.record(vm), changed.fields)


async def set_vcpus(call: Call, vm: str, number: int) -> None:
    """Give a running VM another number of virtual CPUs."""
    async with operation_on(call, vm, "changing_VCPUs_live") as record:
        if not 1 <= number <= record["VCPUs_max"]:
            raise XenApiError("INVALID_VALUE", "nvcpu", number)
        hypervisor: Hypervisor = call.hypervisor(record["resident_on"])
        domain = await hypervisor.set_vcpus(record["uuid"], number)
        with effects(call, vm) as change:
            change.update(record["metrics"], VCPUs_number=domain.vcpus)


async def set_scheduling(call: Call, vm: str, key: str, value: str) -> None:
    """Set a scheduling parameter of a running VM."""
    async with operation_on(call, vm, "changing_VCPUs_live") as record:
        parameters = {**record["VCPUs_params"], key: value}
        hypervisor: Hypervisor = call.hypervisor(record["resident_on"])
        await hypervisor.set_scheduling(record["uuid"], parameters)
        with effects(call, vm) as change:
            change.update(vm, VCPUs_params=parameters)
            change.update(record["metrics"], VCPUs_params=parameters)


async def set_shadow_multiplier(call: Call, vm: str, multiplier: float) -> None:
    """Set aside another amount of memory for a running VM's shadow page tables."""
    if not 1.0 <= multiplier < MOST_SHADOW:
        raise XenApiError("INVALID_VALUE", "multiplier", multiplier)
    before: list[float] = []

    def begin(change: Change, record: Record) -> None:
        before.append(record["HVM_shadow_multiplier"])
        _reserve_shadow(change, vm, multiplier)

    def undo(change: Change, record: Record) -> None:
        _reserve_shadow(change, vm, before[0])

    async with operation_on(call, vm, "changing_shadow_memory_live", begin, undo) as record:
        hypervisor: Hypervisor = call.hypervisor(record["resident_on"])
        await hypervisor.set_shadow_memory(record["uuid"], call.record(vm)["memory_overhead"])


def _reserve_shadow(change: Change, vm: str, multiplier: float) -> None:
    change.update(vm, HVM_shadow_multiplier=multiplier)
    record = change.record(vm)
    changed = placement.overhead(record)
    more, available = changed - record["memory_overhead"], placement.free(change, record["resident_on"])
    if more > max(available, 0):
        raise XenApiError("HOST_NOT_ENOUGH_FREE_MEMORY", more, available)
    placement.take(change, record["resident_on"], more)
    change.update(vm, memory_overhead=changed)


def most_memory(vm: Record, total: int) -> int:
    """Return the most memory that a VM can have where so much is free, its overhead included (bytes)."""
    shadow = 2 * vm["HVM_shadow_multiplier"] / 1024 if vm["HVM_boot_policy"] else 0.0
    fixed = (3 + vm["VCPUs_max"]) * placement.MIB
    return max(0, int((total - fixed) / (1 + shadow)) // placement.MIB * placement.MIB)


def _write(change: Change, vm: Record, fields: dict[str, Any]) -> None:
    change.update(vm.ref, **fields)
    if vm["power_state"] == State.Halted:
        change.update(vm.ref, memory_overhead=placement.overhead(change.record(vm.ref)))
    elif vm["is_control_domain"]:
        change.update(vm.ref, requires_reboot=True)


def _target(change: Change, vm: Record, limits: Limits) -> int:
    """Return the most memory within limits that a VM's host has for it (bytes)."""
    available = vm["memory_target"] + placement.free(change, vm["resident_on"])
    if limits.dynamic_min > available:
        raise XenApiError("HOST_NOT_ENOUGH_FREE_MEMORY", limits.dynamic_min, available)
    return int(min(limits.dynamic_max, available))


def _grow(change: Change, vm: Record, target: int) -> None:
    if target > vm["memory_target"]:
        placement.move_target(change, vm, target)
