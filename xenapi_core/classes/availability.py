"""What a VM is kept running with: its appliance, its place in an order, its restart after a failure, its recovery."""

from __future__ import annotations

from typing import Any

from xenapi_core.classes import placement
from xenapi_core.datamodel import NULL, POOL_OPERATOR, READ_ONLY, Call, XenApiError, message
from xenapi_core.datamodel.refs import SessionRef, SRRef, VDIRef, VMApplianceRef, VMRef, VMSSRef

PRIORITIES = ("", "best-effort", "restart")
"""Whether a VM is restarted after its host fails."""


class Availability:
    """The messages of VM that say with which others and after what it starts."""

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("VM_IS_TEMPLATE", "VM_IS_SNAPSHOT"))
    def set_appliance(call: Call, self: VMRef, value: VMApplianceRef) -> None:
        """Put a VM into an appliance; null takes it out."""
        _set_of_vm(call, self, "set_appliance", appliance=value)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("VM_IS_TEMPLATE", "VM_IS_SNAPSHOT"))
    def set_snapshot_schedule(call: Call, self: VMRef, value: VMSSRef) -> None:
        """Let a schedule make snapshots of a VM; null lets none."""
        _set_of_vm(call, self, "set_snapshot_schedule", snapshot_schedule=value)

    @message(role=POOL_OPERATOR, errors=("INVALID_VALUE",))
    def set_order(call: Call, self: VMRef, value: int) -> None:
        """Set a VM's place in the order in which VMs start; 0 or more."""
        _set_count(call, self, "order", value)

    @message(role=POOL_OPERATOR, errors=("INVALID_VALUE",))
    def set_start_delay(call: Call, self: VMRef, value: int) -> None:
        """Set the time to wait after a VM's start (s)."""
        _set_count(call, self, "start_delay", value)

    @message(role=POOL_OPERATOR, errors=("INVALID_VALUE",))
    def set_shutdown_delay(call: Call, self: VMRef, value: int) -> None:
        """Set the time to wait before a VM's shutdown (s)."""
        _set_count(call, self, "shutdown_delay", value)

    @message(role=POOL_OPERATOR, errors=("INVALID_VALUE",))
    def set_ha_restart_priority(call: Call, self: VMRef, value: str) -> None:
        """Set whether a VM is restarted after its host fails: restart, best-effort, or not if empty."""
        if value not in PRIORITIES:
            raise XenApiError("INVALID_VALUE", "ha_restart_priority", value)
        _set(call, self, ha_restart_priority=value, ha_always_run=value == "restart")

    @message(role=POOL_OPERATOR)
    def set_ha_always_run(call: Call, self: VMRef, value: bool) -> None:
        """Set whether a VM is kept running; by now set_ha_restart_priority says so."""
        _set(call, self, ha_restart_priority="restart" if value else "", ha_always_run=value)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("VM_BAD_POWER_STATE", "INVALID_VALUE"))
    def set_suspend_VDI(call: Call, self: VMRef, value: VDIRef) -> None:
        """Let a suspended VM go on from another image of its memory."""
        record = call.record(self, "VM")
        if record["power_state"] != "Suspended":
            raise XenApiError("VM_BAD_POWER_STATE", self, "suspended", record["power_state"].lower())
        if value == NULL or call.record(value, "VDI")["type"] != "suspend":
            raise XenApiError("INVALID_VALUE", "suspend_VDI", value)
        _set(call, self, suspend_VDI=value)

    @message(role=READ_ONLY, asynchronous=True)
    def get_SRs_required_for_recovery(call: Call, self: VMRef, session_to: SessionRef) -> list[SRRef]:
        """Return the repositories that a pool needs, to recover a VM."""
        return placement.repositories(call.store, call.record(self, "VM"))

    @message(role=READ_ONLY, asynchronous=True, errors=("VM_IS_PART_OF_AN_APPLIANCE", "VM_REQUIRES_SR"))
    def assert_can_be_recovered(call: Call, self: VMRef, session_to: SessionRef) -> None:
        """Raise the error that tells why a VM cannot be recovered, alone, where ``session_to`` is."""
        record = call.record(self, "VM")
        if record["appliance"] != NULL:
            raise XenApiError("VM_IS_PART_OF_AN_APPLIANCE", self, record["appliance"])
        placement.assert_reachable(call.store, record)


def _set(call: Call, vm: str, **fields: Any) -> None:
    with call.store.write() as change:
        change.update(vm, **fields)


def _set_count(call: Call, vm: str, name: str, value: int) -> None:
    if value < 0:
        raise XenApiError("INVALID_VALUE", name, value)
    _set(call, vm, **{name: value})


def _set_of_vm(call: Call, vm: str, operation: str, **fields: Any) -> None:
    """Set what neither a snapshot, nor a template, nor a control domain can have."""
    record = call.record(vm, "VM")
    if record["is_control_domain"]:
        raise XenApiError("OPERATION_NOT_ALLOWED", f"{operation} is not possible for a host's control domain")
    for flag, code in (("is_a_snapshot", "VM_IS_SNAPSHOT"), ("is_a_template", "VM_IS_TEMPLATE")):
        if record[flag]:
            raise XenApiError(code, vm, operation)
    _set(call, vm, **fields)
