"""How SCSI devices of hosts are given to VMs (Xen-API 1.0): one at a time, or all behind a host bus adapter.

A device of a VM has a position of four numbers, joined by colons: adapter, channel, target, logical unit. The VM's
adapter with the first number is made with its first device and removed with its last.
"""

from __future__ import annotations

import re
from typing import Any

from xenapi_core.datamodel import NULL, Change, Record, XenApiError

LUN, HOST = "LUN", "HOST"
"""Modes of assignment: devices are given one at a time, or all behind an adapter at once."""

_POSITION = re.compile(r"(\d{1,5}):(\d{1,5}):(\d{1,5}):(\d{1,5})")


def position(text: str) -> tuple[int, int, int, int]:
    """Return the four numbers of a position; INVALID_VALUE if it has others."""
    match = _POSITION.fullmatch(text)
    if match is None:
        raise XenApiError("INVALID_VALUE", "virtual_HCTL", text)
    host, channel, target, lun = (int(part) for part in match.groups())
    return host, channel, target, lun


def give_device(change: Change, vm: str, pscsi: str, where: str) -> str:
    """Give a SCSI device of a host to a VM at a position, and return the reference of the DSCSI."""
    host, channel, target, lun = position(where)
    device = change.record(pscsi, "PSCSI")
    for other in map(change.record, change.record(vm, "VM")["DSCSIs"]):
        if other["virtual_HCTL"] == where or other["PSCSI"] == pscsi:
            raise XenApiError("DEVICE_ALREADY_EXISTS", where)
    adapter = _adapter(change, vm, host)
    if adapter is None:
        adapter = change.record(make_adapter(change, vm, host, LUN))
    if device["HBA"] not in (NULL, *adapter["PSCSI_HBAs"]):
        change.update(adapter.ref, PSCSI_HBAs=[*adapter["PSCSI_HBAs"], device["HBA"]])
    values = {
        "VM": vm,
        "PSCSI": pscsi,
        "HBA": adapter.ref,
        "virtual_host": host,
        "virtual_channel": channel,
        "virtual_target": target,
        "virtual_lun": lun,
        "virtual_HCTL": where,
        "runtime_properties": {"dev": device["dev_name"]},
    }
    return change.create("DSCSI", values)


def take_device(change: Change, dscsi: str) -> None:
    """Take a SCSI device from its VM; its adapter goes with the last one."""
    adapter = change.record(dscsi, "DSCSI")["HBA"]
    change.destroy(dscsi)
    left = change.get(adapter)
    if left is not None and not left["DSCSIs"]:
        change.destroy(adapter)


def give_adapter(change: Change, vm: str, number: int, mode: str) -> str:
    """Give a VM an adapter; in the mode HOST with all devices behind the host's adapter of the same number."""
    if mode not in (LUN, HOST):
        raise XenApiError("INVALID_VALUE", "assignment_mode", mode)
    if number < 0:
        raise XenApiError("INVALID_VALUE", "virtual_host", number)
    if _adapter(change, vm, number) is not None:
        raise XenApiError("DEVICE_ALREADY_EXISTS", number)
    made = make_adapter(change, vm, number, mode)
    if mode == HOST:
        for device in _behind(change, change.record(vm), number):
            where = [number, *(device[f"physical_{part}"] for part in ("channel", "target", "lun"))]
            give_device(change, vm, device.ref, ":".join(map(str, where)))
    return made


def make_adapter(change: Change, vm: str, number: int, mode: str) -> str:
    """Make an adapter of a VM without devices."""
    values: dict[str, Any] = {"VM": change.record(vm, "VM").ref, "virtual_host": number, "assignment_mode": mode}
    return change.create("DSCSI_HBA", values)


def take_adapter(change: Change, adapter: str) -> None:
    """Take an adapter with all its devices from its VM."""
    for device in change.record(adapter, "DSCSI_HBA")["DSCSIs"]:
        change.destroy(device)
    change.destroy(adapter)


def _adapter(change: Change, vm: str, number: int) -> Record | None:
    adapters = map(change.record, change.record(vm, "VM")["DSCSI_HBAs"])
    return next((adapter for adapter in adapters if adapter["virtual_host"] == number), None)


def _behind(change: Change, vm: Record, number: int) -> list[Record]:
    """Return the devices behind the adapter with a number of the host that runs a VM, or of the first that has one."""
    hosts = [vm["resident_on"]] if vm["resident_on"] != NULL else [host.ref for host in change.records("host")]
    adapters = [hba for hba in change.records("PSCSI_HBA") if hba["host"] in hosts and hba["physical_host"] == number]
    return [change.record(device) for device in adapters[0]["PSCSIs"]] if adapters else []
