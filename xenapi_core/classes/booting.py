"""How a VM boots."""

from __future__ import annotations

from typing import Any

from xenapi_core.classes import placement, sizing
from xenapi_core.classes.lifecycle import BUSY, State, bad_power_state, domain_type
from xenapi_core.datamodel import VM_ADMIN, Call, XenApiError, message
from xenapi_core.datamodel.refs import VMRef


class Booting:
    """The messages of VM that say how it boots."""

    @message(role=VM_ADMIN, errors=("VM_BAD_POWER_STATE",))
    def set_HVM_boot_policy(call: Call, self: VMRef, value: str) -> None:
        """Set how a halted VM boots with hardware virtualization; empty for a paravirtualized one."""
        _set_halted(call, self, HVM_boot_policy=value, domain_type=domain_type.hvm if value else domain_type.pv)

    @message(role=VM_ADMIN, errors=("VM_BAD_POWER_STATE",))
    def set_domain_type(call: Call, self: VMRef, value: domain_type) -> None:
        """Set how the domain of a halted VM is built."""
        policy = "BIOS order" if value == domain_type.hvm else ""
        _set_halted(call, self, HVM_boot_policy=policy, domain_type=value)

    @message(role=VM_ADMIN, errors=BUSY)
    def set_NVRAM(call: Call, self: VMRef, value: dict[str, str]) -> None:
        """Set the variables of a halted VM's UEFI firmware."""
        sizing.set_fields(call, self, "changing_NVRAM", NVRAM=value)

    @message(role=VM_ADMIN, errors=(*BUSY, "MAP_DUPLICATE_KEY"))
    def add_to_NVRAM(call: Call, self: VMRef, key: str, value: str) -> None:
        """Add a variable to a halted VM's UEFI firmware."""
        present = call.record(self, "VM")["NVRAM"]
        if key in present:
            raise XenApiError("MAP_DUPLICATE_KEY", "VM", "NVRAM", self, key)
        sizing.set_fields(call, self, "changing_NVRAM", NVRAM={**present, key: value})

    @message(role=VM_ADMIN, errors=BUSY)
    def remove_from_NVRAM(call: Call, self: VMRef, key: str) -> None:
        """Remove a variable from a halted VM's UEFI firmware, if it is there."""
        present = call.record(self, "VM")["NVRAM"]
        sizing.set_fields(call, self, "changing_NVRAM", NVRAM={k: v for k, v in present.items() if k != key})


def _set_halted(call: Call, vm: str, **fields: Any) -> None:
    with call.store.write() as change:
        record = change.record(vm, "VM")
        if record["power_state"] != State.Halted:
            raise bad_power_state(record, State.Halted)
        change.update(vm, **fields)
        change.update(vm, memory_overhead=placement.overhead(change.record(vm)))
