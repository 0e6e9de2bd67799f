"""How what a method made is removed again, by class, in the order in which leftovers have to go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from cim_provider import CimError, Status
from xen_providers.methods.replica import Xen


async def _remove_vm(xen: Xen, ref: str) -> None:
    """Remove a VM that does not run, and the disks that no other VM has."""
    disks = []
    for vbd in await xen("VM.get_VBDs", ref):
        record = await xen("VBD.get_record", vbd)
        if record["type"] == "Disk" and not record["empty"]:
            vdi = await xen("VDI.get_record", record["VDI"])
            if vdi["VBDs"] == [vbd] and not vdi["read_only"] and not vdi["sharable"]:
                disks.append(record["VDI"])
    await xen("VM.destroy", ref)
    for disk in disks:
        await xen("VDI.destroy", disk)


async def _remove_device(xen: Xen, cls: str, ref: str) -> None:
    if await xen(f"{cls}.get_currently_attached", ref):
        await xen(f"{cls}.unplug", ref)
    await xen(f"{cls}.destroy", ref)


async def _remove_sr(xen: Xen, ref: str) -> None:
    for pbd in await xen("SR.get_PBDs", ref):
        if await xen("PBD.get_currently_attached", pbd):
            await xen("PBD.unplug", pbd)
    await xen("SR.forget", ref)


REMOVAL: Mapping[str, Callable[[Xen, str], Awaitable[Any]]] = {
    "VBD": lambda xen, ref: _remove_device(xen, "VBD", ref),
    "VIF": lambda xen, ref: _remove_device(xen, "VIF", ref),
    "console": lambda xen, ref: xen("console.destroy", ref),
    "VM": _remove_vm,
    "VDI": lambda xen, ref: xen("VDI.destroy", ref),
    "VLAN": lambda xen, ref: xen("VLAN.destroy", ref),
    "Bond": lambda xen, ref: xen("Bond.destroy", ref),
    "network": lambda xen, ref: xen("network.destroy", ref),
    "SR": _remove_sr,
}


async def remove(xen: Xen, cls: str, ref: str) -> None:
    """Remove an object; one that is gone already is no error."""
    try:
        await REMOVAL[cls](xen, ref)
    except CimError as error:
        if error.status is not Status.NOT_FOUND:
            raise
