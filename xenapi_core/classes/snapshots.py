"""Snapshots: a VM as it was at a moment, kept as a VM of its own, and going back to that.

A snapshot keeps the disks, a checkpoint of a running VM also its memory. A VM's ``parent`` is the snapshot that was
made of it last, or that it was reverted to; so snapshots form a tree.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from xenapi_core.classes import power, vdi
from xenapi_core.classes.cloning import OWN, Disks, add_devices, configuration, copied_images, make_like, own_disks
from xenapi_core.classes.lifecycle import BUSY, State
from xenapi_core.classes.power import effects, operation_on
from xenapi_core.datamodel import NULL, VM_POWER_ADMIN, Call, Change, Record, XenApiError, message
from xenapi_core.datamodel.refs import VDIRef, VMRef
from xenapi_core.hypervisors.interface import Hypervisor

STAYING = frozenset({"snapshots", "children", "crash_dumps"})
"""What reverting a VM does not change, beside what belongs to the VM alone."""


class Snapshots:
    """The messages of VM that make snapshots and go back to them."""

    @message(role=VM_POWER_ADMIN, asynchronous=True, errors=(*BUSY, "SR_FULL"))
    async def snapshot(call: Call, vm: VMRef, new_name: str, ignore_vdis: list[VDIRef] = []) -> VMRef:  # noqa: B006  # a declaration: never changed
        """Make a snapshot of a VM's disks, but of some if so asked, and return its reference."""
        return await take(call, vm, new_name, ignore_vdis)

    @message(role=VM_POWER_ADMIN, asynchronous=True, errors=(*BUSY, "SR_FULL", "VM_NO_SUSPEND_SR"))
    async def checkpoint(call: Call, vm: VMRef, new_name: str) -> VMRef:
        """Make a snapshot of a VM's disks and memory, and return its reference."""
        return await take_with_memory(call, vm, new_name)

    @message(role=VM_POWER_ADMIN, asynchronous=True, errors=(*BUSY, "REVERT_ONLY_ALLOWED_ON_SNAPSHOT", "SR_FULL"))
    async def revert(call: Call, snapshot: VMRef) -> None:
        """Take a VM back to a snapshot of it: its disks and settings, and its memory if that was kept.

        A VM that runs is shut down the hard way. What was on its disks since is lost.
        """
        async with operation_on(call, snapshot, "revert") as record:
            vm = record["snapshot_of"]
            if call.store.get(vm) is None:
                raise XenApiError("OPERATION_NOT_ALLOWED", "the VM that this is a snapshot of is gone")
            async with operation_on(call, vm, "reverting") as before:
                images = await copied_images(call, record, Disks())
                if before["resident_on"] != NULL:
                    hypervisor: Hypervisor = call.hypervisor(before["resident_on"])
                    await hypervisor.hard_shutdown(before["uuid"])
                with effects(call, vm) as change:
                    _go_back(change, vm, change.record(snapshot), images)


async def take(call: Call, vm: str, name: str, without: Collection[str] = ()) -> str:
    """Make a snapshot of a VM's disks, but of some, and return its reference."""
    async with operation_on(call, vm, "snapshot") as record:
        disks = Disks(snapshots=True, without=frozenset(without))
        images = await copied_images(call, record, disks)
        with effects(call, vm) as change:
            return keep(change, change.record(vm), name, disks, images)


async def take_with_memory(call: Call, vm: str, name: str) -> str:
    """Make a snapshot of a VM's disks and memory, and return its reference."""
    async with operation_on(call, vm, "checkpoint") as record:
        disks, memory = Disks(snapshots=True), str(uuid4())
        repository = power.memory_repository(call.store, record)
        images = await copied_images(call, record, disks)
        if record["resident_on"] != NULL:
            hypervisor: Hypervisor = call.hypervisor(record["resident_on"])
            await hypervisor.save(record["uuid"], memory)
        with effects(call, vm) as change:
            newest = change.record(vm)
            made = keep(change, newest, name, disks, images)
            image = _memory_image(change, newest, repository, memory)
            change.update(made, power_state=State.Suspended, suspend_VDI=image, memory_target=newest["memory_target"])
    return made


def keep(change: Change, vm: Record, name: str, disks: Disks, images: dict[str, str]) -> str:
    """Make a snapshot of a VM, between the VM and what was its parent, and return its reference."""
    made = make_like(
        change,
        vm,
        disks,
        images,
        name_label=name,
        is_a_template=True,
        is_a_snapshot=True,
        snapshot_of=vm.ref,
        snapshot_time=datetime.now(UTC),
        snapshot_info={"power-state-at-snapshot": vm["power_state"], "disk-snapshot-type": "crash_consistent"},
        snapshot_metadata=text(vm),
        parent=vm["parent"],
        generation_id=vm["generation_id"],
    )
    change.update(vm.ref, parent=made)
    return made


def text(vm: Record) -> str:
    """Return a VM's configuration as text."""
    fields = vm.shape.fields
    return json.dumps({name: fields[name].type.dump(value) for name, value in configuration(vm).items()})


def _kept(snapshot: Record) -> dict[str, Any]:
    """Return the configuration that a VM had when its snapshot was made."""
    fields = snapshot.shape.fields
    kept: dict[str, Any] = json.loads(snapshot["snapshot_metadata"] or "{}")
    known = {name: value for name, value in kept.items() if name in fields and name not in OWN | STAYING}
    return {name: fields[name].type.load(value) for name, value in known.items()} or configuration(snapshot)


def _memory_image(change: Change, vm: Record, repository: str, identity: str) -> str:
    """Make the image to which a running VM's memory was saved, or a copy of that of a suspended one."""
    names: dict[str, Any] = {"uuid": identity, "location": identity}
    if vm["suspend_VDI"] != NULL:
        return vdi.derive(change, vm["suspend_VDI"], whole=True, **names)
    size = vm["memory_target"] + power.MEMORY_IMAGE_RESERVE
    description = f"Memory of {vm['name_label']}"
    return vdi.allocate(
        change, repository, size, name_label="Suspend image", name_description=description, type="suspend", **names
    )


def _go_back(change: Change, vm: str, snapshot: Record, images: dict[str, str]) -> None:
    """Write all effects of reverting a VM to a snapshot."""
    power.down(change, vm, State.Halted)
    record = change.record(vm)
    lost = [vbd["VDI"] for vbd in own_disks(change, record)]
    power.remove_devices(change, record)
    for image in dict.fromkeys(lost):
        if not change.record(image)["VBDs"]:
            vdi.discard(change, image)
    settings = _kept(snapshot)
    memory = NULL
    if snapshot["suspend_VDI"] != NULL:
        memory = vdi.derive(change, snapshot["suspend_VDI"], whole=True)
    change.update(
        vm,
        **settings,
        parent=snapshot.ref,
        power_state=State.Halted if memory == NULL else State.Suspended,
        suspend_VDI=memory,
        memory_target=0 if memory == NULL else snapshot["memory_target"],
    )
    add_devices(change, vm, snapshot, Disks(), images)
