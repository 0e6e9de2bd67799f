"""Methods of Xen_VirtualSystemSnapshotService: snapshots are made, gone back to and destroyed (DSP1042)."""

from __future__ import annotations

from collections.abc import Mapping

from cim_provider import InstanceName, MethodResult, Parameter
from xen_providers.conversions import xen_id
from xen_providers.mapping.declaration import MappedMethod
from xen_providers.methods.call import Call
from xen_providers.methods.inputs import Inputs, needed
from xen_providers.methods.machines import Machine, find_machine, system
from xen_providers.methods.outcomes import COMPLETED, invalid
from xen_providers.methods.parameters import JOB, SYSTEM, VSSD, method, reference, resulting, settings_of
from xen_providers.methods.removal import remove
from xen_providers.methods.work import Work

FULL, DISK, CHECKPOINT = 2, 3, 32768
MESSAGES = {FULL: "VM.snapshot", DISK: "VM.snapshot", CHECKPOINT: "VM.checkpoint"}
"""By SnapshotType. Clients in use ask for 2 and expect the disks alone; a checkpoint keeps the memory as well."""


async def _create_snapshot(call: Call, inputs: Inputs) -> MethodResult:
    """Make a snapshot of a machine. Its name is ElementName of the settings, or else the machine's own."""
    machine = system(call, inputs, "AffectedSystem")
    settings = inputs.settings("SnapshotSettings")
    name = (settings and settings.text("ElementName")) or machine.record["name_label"]
    number = inputs.number("SnapshotType")
    message = MESSAGES.get(FULL if number is None else number)
    if message is None:
        raise invalid("SnapshotType", f"{number} is none of {sorted(MESSAGES)}.")

    async def snapshot(work: Work) -> tuple[str, str]:
        ref = await work.make_slowly(message, machine.ref, name)
        description = settings and settings.text("Description")
        if description is not None:
            await work.xen("VM.set_name_description", ref, description)
        return ref, await work.xen("VM.get_uuid", ref)

    ref, uuid = await call.do(snapshot)
    await call.replica.settle("VM", ref)
    made = InstanceName("Xen_ComputerSystemSnapshot", (("InstanceID", xen_id(uuid)),))
    return MethodResult(COMPLETED, {"ResultingSnapshot": made})


def _snapshot(call: Call, inputs: Inputs, name: str) -> Machine:
    snapshot = find_machine(call, name, needed(name, inputs.get(name)))
    if not snapshot.record["is_a_snapshot"]:
        raise invalid(name, "it is no snapshot.")
    return snapshot


async def _destroy_snapshot(call: Call, inputs: Inputs) -> MethodResult:
    """Destroy a snapshot with its disks."""
    snapshot = _snapshot(call, inputs, "AffectedSnapshot")
    await remove(call.xen, "VM", snapshot.ref)
    await call.replica.settle("VM", snapshot.ref)
    return MethodResult(COMPLETED)


async def _apply_snapshot(call: Call, inputs: Inputs) -> MethodResult:
    """Take a machine back to a snapshot of it."""
    snapshot = _snapshot(call, inputs, "Snapshot")

    async def revert(work: Work) -> None:
        await work.slowly("VM.revert", snapshot.ref)

    await call.do(revert)
    await call.replica.settle("VM", snapshot.record["snapshot_of"])
    return MethodResult(COMPLETED)


METHODS: Mapping[str, MappedMethod] = {
    "CreateSnapshot": method(
        _create_snapshot,
        AffectedSystem=reference(SYSTEM),
        SnapshotSettings=settings_of("CIM_SettingData"),
        SnapshotType=Parameter("uint16"),
        ResultingSnapshot=resulting(VSSD),
        Job=JOB,
    ),
    "DestroySnapshot": method(_destroy_snapshot, AffectedSnapshot=reference(VSSD), Job=JOB),
    "ApplySnapshot": method(_apply_snapshot, Snapshot=reference(VSSD), Job=JOB),
}
