"""How a VM boots."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from xenapi_core.classes import placement, sizing
from xenapi_core.classes.lifecycle import BUSY, VM_OPERATIONS, State, bad_power_state, domain_type
from xenapi_core.datamodel import READ_ONLY, VM_ADMIN, Call, Record, RecordOf, XenApiError, message
from xenapi_core.datamodel.refs import HostRef, VMRef

VMRecord = Annotated[dict[str, Any], RecordOf("VM")]

BIOS_STRINGS = (
    "bios-vendor",
    "bios-version",
    "system-manufacturer",
    "system-product-name",
    "system-version",
    "system-serial-number",
    "enclosure-asset-tag",
    "baseboard-manufacturer",
    "baseboard-product-name",
    "baseboard-version",
    "baseboard-serial-number",
    "baseboard-asset-tag",
    "baseboard-location-in-chassis",
)
"""The BIOS strings that a client may set."""

LONGEST_BIOS_STRING = 512


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

    @message(role=READ_ONLY, errors=("VM_BAD_POWER_STATE",))
    def get_boot_record(call: Call, self: VMRef) -> VMRecord:
        """Return the record of a VM with the settings that it last booted with."""
        record = call.record(self, "VM")
        VM_OPERATIONS.check(call.store, record, "get_boot_record")
        booted = json.loads(record["last_booted_record"] or "{}")
        fields = record.shape.fields
        then = {name: fields[name].type.load(value) for name, value in booted.items() if name in fields}
        values = tuple(then.get(name, value) for name, value in record.items())
        return Record(record.shape, record.ref, record.row, values)  # type: ignore[return-value]  # sent as a struct

    @message(role=VM_ADMIN, asynchronous=True, errors=("VM_BAD_POWER_STATE", "VM_BIOS_STRINGS_ALREADY_SET"))
    def copy_bios_strings(call: Call, vm: VMRef, host: HostRef) -> None:
        """Give a halted VM the BIOS strings of a host, so that an operating system tied to that can be installed."""
        _set_bios_strings(call, vm, call.record(host, "host")["bios_strings"])

    @message(
        role=VM_ADMIN,
        asynchronous=True,
        errors=("VM_BAD_POWER_STATE", "VM_BIOS_STRINGS_ALREADY_SET", "INVALID_VALUE"),
    )
    def set_bios_strings(call: Call, self: VMRef, value: dict[str, str]) -> None:
        """Give a halted VM BIOS strings; once only."""
        for key, text in value.items():
            if key not in BIOS_STRINGS:
                raise XenApiError("INVALID_VALUE", key, "unknown key")
            if not text or len(text) > LONGEST_BIOS_STRING or not all(" " <= letter <= "~" for letter in text):
                raise XenApiError("INVALID_VALUE", key, text)
        _set_bios_strings(call, self, value)

    @message(role=VM_ADMIN, errors=("VM_BAD_POWER_STATE",))
    def set_has_vendor_device(call: Call, self: VMRef, value: bool) -> None:
        """Set whether a halted VM's guest sees the device that makes Windows fetch drivers."""
        _set_halted(call, self, has_vendor_device=value)


def _set_bios_strings(call: Call, vm: str, strings: Mapping[str, str]) -> None:
    if call.record(vm, "VM")["bios_strings"]:
        raise XenApiError("VM_BIOS_STRINGS_ALREADY_SET")
    _set_halted(call, vm, bios_strings=dict(strings))


def _set_halted(call: Call, vm: str, **fields: Any) -> None:
    with call.store.write() as change:
        record = change.record(vm, "VM")
        if record["power_state"] != State.Halted:
            raise bad_power_state(record, State.Halted)
        change.update(vm, **fields)
        change.update(vm, memory_overhead=placement.overhead(change.record(vm)))
