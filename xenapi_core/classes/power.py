"""What changing a VM's power state does: the hypervisor is asked, and all effects are written in one step.

An operation is marked in ``VM.current_operations`` in the step that begins it, and unmarked in the step that writes its
effects, so that nobody sees half of either. A hard shutdown may overtake another operation: it takes that one's mark
away, and the other, finding it gone, has no effects.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from xenapi_core.classes import cpu_pooling, placement
from xenapi_core.classes.lifecycle import BUSY, RUNNING, VM_OPERATIONS, State, bad_power_state
from xenapi_core.classes.vdi import allocate, discard
from xenapi_core.datamodel import (
    NULL,
    POOL_ADMIN,
    POOL_OPERATOR,
    VM_OPERATOR,
    VM_POWER_ADMIN,
    Call,
    Change,
    Objects,
    Record,
    XenApiError,
    message,
)
from xenapi_core.datamodel.refs import HostRef, VMRef
from xenapi_core.hypervisors.description import describe
from xenapi_core.hypervisors.interface import (
    BootFailedError,
    Domain,
    DomainGoneError,
    GuestRefusedError,
    Hypervisor,
    HypervisorError,
)

NOWHERE = ("NO_HOSTS_AVAILABLE", "HOST_NOT_ENOUGH_FREE_MEMORY", "VDI_IN_USE")
"""What a start may be refused with if no host is named."""

TRIGGERS = ("nmi", "init", "reset", "power", "sleep", "s3resume")
"""Events of the virtual hardware."""

BUILDING = frozenset(
    {"start", "start_on", "resume", "resume_on", "clean_reboot", "hard_reboot", "pool_migrate", "migrate_send"}
)
"""Operations that make a domain."""

Begin = Callable[[Change, Record], None]

MEMORY_IMAGE_RESERVE = 16 * placement.MIB
"""What the image of a suspended VM takes beyond the VM's memory (bytes)."""


class Power:
    """The messages of VM that change its power state."""

    @message(role=VM_OPERATOR, asynchronous=True, errors=(*BUSY, *NOWHERE))
    async def start(call: Call, vm: VMRef, start_paused: bool, force: bool = False) -> None:
        """Start a halted VM on the host that suits it best.

        ``force`` would skip checks of its last boot's CPU; there are none to skip.
        """
        await start(call, vm, "start", paused=start_paused)

    @message(role=VM_POWER_ADMIN, asynchronous=True, errors=(*BUSY, *placement.NOT_THERE))
    async def start_on(call: Call, vm: VMRef, host: HostRef, start_paused: bool, force: bool = False) -> None:
        """Start a halted VM on a host."""
        await start(call, vm, "start_on", host=host, paused=start_paused)

    @message(role=VM_OPERATOR, asynchronous=True, cancellable=False, errors=BUSY)
    async def pause(call: Call, vm: VMRef) -> None:
        """Stop giving a running VM CPU time; its memory stays where it is."""
        await set_paused(call, vm, "pause", paused=True)

    @message(role=VM_OPERATOR, asynchronous=True, cancellable=False, errors=BUSY)
    async def unpause(call: Call, vm: VMRef) -> None:
        """Give a paused VM CPU time again."""
        await set_paused(call, vm, "unpause", paused=False)

    @message(role=VM_OPERATOR, asynchronous=True, errors=(*BUSY, "VM_NO_SUSPEND_SR", "SR_FULL"))
    async def suspend(call: Call, vm: VMRef) -> None:
        """Write a running VM's memory to a disk image, and free its host."""
        await suspend(call, vm)

    @message(role=VM_OPERATOR, asynchronous=True, errors=(*BUSY, *NOWHERE, "VM_HAS_NO_SUSPEND_VDI"))
    async def resume(call: Call, vm: VMRef, start_paused: bool, force: bool = False) -> None:
        """Let a suspended VM go on, on the host that suits it best."""
        await resume(call, vm, "resume", paused=start_paused)

    @message(role=VM_POWER_ADMIN, asynchronous=True, errors=(*BUSY, *placement.NOT_THERE, "VM_HAS_NO_SUSPEND_VDI"))
    async def resume_on(call: Call, vm: VMRef, host: HostRef, start_paused: bool, force: bool = False) -> None:
        """Let a suspended VM go on, on a host."""
        await resume(call, vm, "resume_on", host=host, paused=start_paused)

    @message(role=VM_OPERATOR, asynchronous=True, errors=(*BUSY, "VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT"))
    async def clean_shutdown(call: Call, vm: VMRef) -> None:
        """Ask a running VM's guest to power itself off, and wait until it has."""
        await shut_down(call, vm, "clean_shutdown")

    @message(role=VM_OPERATOR, asynchronous=True, errors=(*BUSY, "VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT"))
    async def clean_reboot(call: Call, vm: VMRef) -> None:
        """Ask a running VM's guest to shut down, and start it again."""
        await reboot(call, vm, "clean_reboot")

    @message(role=VM_OPERATOR, asynchronous=True, errors=BUSY)
    async def shutdown(call: Call, vm: VMRef) -> None:
        """Shut a VM down: cleanly if it can be asked and does so in time, else the hard way."""
        await shut_down_somehow(call, vm, "shutdown")

    @message(role=VM_OPERATOR, asynchronous=True, cancellable=False, errors=BUSY)
    async def hard_shutdown(call: Call, vm: VMRef) -> None:
        """End a VM at once, as if its power cord were pulled."""
        await shut_down(call, vm, "hard_shutdown")

    @message(role=VM_OPERATOR, asynchronous=True, cancellable=False, errors=BUSY)
    async def hard_reboot(call: Call, vm: VMRef) -> None:
        """End a VM at once, and start it again."""
        await reboot(call, vm, "hard_reboot")

    @message(role=POOL_OPERATOR, asynchronous=True, cancellable=False, errors=(*BUSY, "CANNOT_RESET_CONTROL_DOMAIN"))
    async def power_state_reset(call: Call, vm: VMRef) -> None:
        """Make a VM halted, whatever it was thought to be doing."""
        if call.record(vm, "VM")["is_control_domain"]:
            raise XenApiError("CANNOT_RESET_CONTROL_DOMAIN", vm)
        await shut_down(call, vm, "power_state_reset")

    @message(role=POOL_ADMIN, asynchronous=True, errors=BUSY)
    async def send_sysrq(call: Call, vm: VMRef, key: str) -> None:
        """Send a magic system request to a running VM's guest."""
        async with operation_on(call, vm, "send_sysrq") as record:
            await _hypervisor(call, record["resident_on"]).send_sysrq(record["uuid"], key)

    @message(role=POOL_ADMIN, asynchronous=True, errors=(*BUSY, "INVALID_VALUE"))
    async def send_trigger(call: Call, vm: VMRef, trigger: str) -> None:
        """Raise an event of a running VM's virtual hardware: nmi, init, reset, power, sleep or s3resume."""
        if trigger not in TRIGGERS:
            raise XenApiError("INVALID_VALUE", "trigger", trigger)
        async with operation_on(call, vm, "send_trigger") as record:
            await _hypervisor(call, record["resident_on"]).send_trigger(record["uuid"], trigger)


# Operations


async def start(call: Call, vm: str, operation: str, *, host: str = NULL, paused: bool) -> None:
    """Start a VM, on a host or on the one that suits it best."""
    async with operation_on(call, vm, operation, lambda change, record: placement.claim(change, record, host), unclaim):
        record = call.record(vm)
        hypervisor = _hypervisor(call, record["scheduled_to_be_resident_on"])
        domain = await hypervisor.start(describe(call.store, record), paused=paused, progress=call.task.progress)
        await _take_over(call, vm, hypervisor, domain)


async def resume(call: Call, vm: str, operation: str, *, host: str = NULL, paused: bool) -> None:
    """Resume a suspended VM, on a host or on the one that suits it best, and remove the image of its memory."""
    async with operation_on(call, vm, operation, lambda change, record: placement.claim(change, record, host), unclaim):
        record = call.record(vm)
        if record["suspend_VDI"] == NULL:
            raise XenApiError("VM_HAS_NO_SUSPEND_VDI", vm)
        hypervisor = _hypervisor(call, record["scheduled_to_be_resident_on"])
        image = call.record(record["suspend_VDI"])["uuid"]
        config, progress = describe(call.store, record), call.task.progress
        domain = await hypervisor.resume(config, image, paused=paused, progress=progress)
        await _take_over(call, vm, hypervisor, domain)


async def suspend(call: Call, vm: str) -> None:
    """Write a VM's memory to a new disk image and end its domain."""
    async with operation_on(call, vm, "suspend", _make_memory_image, remove_memory_image):
        record = call.record(vm)
        image = call.record(record["suspend_VDI"])["uuid"]
        hypervisor = _hypervisor(call, record["resident_on"])
        await hypervisor.suspend(record["uuid"], image, progress=call.task.progress)
        with effects(call, vm) as change:
            down(change, vm, State.Suspended)


async def set_paused(call: Call, vm: str, operation: str, *, paused: bool) -> None:
    """Pause or unpause a VM."""
    async with operation_on(call, vm, operation) as record:
        hypervisor = _hypervisor(call, record["resident_on"])
        domain = await (hypervisor.pause if paused else hypervisor.unpause)(record["uuid"])
        with effects(call, vm) as change:
            up(change, vm, record["resident_on"], domain, built=False)


async def reboot(call: Call, vm: str, operation: str) -> None:
    """Build a VM's domain anew, once its guest has shut down (clean_reboot) or at once (hard_reboot)."""
    async with operation_on(call, vm, operation) as record:
        hypervisor = _hypervisor(call, record["resident_on"])
        config = describe(call.store, record)
        if operation == "clean_reboot":
            domain = await hypervisor.clean_reboot(config, progress=call.task.progress)
        else:
            domain = await hypervisor.hard_reboot(config)
        await _take_over(call, vm, hypervisor, domain)


async def shut_down(call: Call, vm: str, operation: str) -> None:
    """End a VM's domain: clean_shutdown asks the guest to, hard_shutdown and power_state_reset do not."""
    async with operation_on(call, vm, operation) as record:
        ended = NULL
        while (host := call.record(vm)["resident_on"]) not in (NULL, ended):  # it may be moving
            hypervisor, ended = _hypervisor(call, host), host
            if operation != "clean_shutdown":
                await hypervisor.hard_shutdown(record["uuid"])
                continue
            try:
                await hypervisor.clean_shutdown(record["uuid"], progress=call.task.progress)
            except DomainGoneError:
                if not overtaken(call, vm):  # then it was rebooted
                    raise
            if overtaken(call, vm):
                return  # it was shut down, which is what was asked for, and may run again elsewhere by now
        if overtaken(call, vm):
            return
        with effects(call, vm) as change:
            down(change, vm, State.Halted)


async def shut_down_somehow(call: Call, vm: str, operation: str) -> None:
    """End a VM's domain by an operation; "shutdown" asks the guest, and ends it the hard way if that does not help."""
    if operation != "shutdown":
        await shut_down(call, vm, operation)
        return
    record = call.record(vm, "VM")
    VM_OPERATIONS.check(call.store, record, "shutdown")
    if record["power_state"] == State.Running:
        try:
            await shut_down(call, vm, "clean_shutdown")
        except XenApiError as error:
            if error.code != "VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT":
                raise
        else:
            return
    await shut_down(call, vm, "hard_shutdown")


def destroy(call: Call, vm: str, *, disks: bool = False) -> None:
    """Remove a VM and all that belongs to it alone; its disk images stay unless they are to go as well."""
    with call.store.write() as change:
        record = change.record(vm, "VM")
        VM_OPERATIONS.check(change, record, "destroy")
        if record["suspend_VDI"] != NULL:
            discard(change, record["suspend_VDI"])
        for child in record["children"]:
            change.update(child, parent=record["parent"])
        images = [change.record(vbd)["VDI"] for vbd in record["VBDs"]] if disks else []
        remove_devices(change, record)
        for image in dict.fromkeys(images):
            if image != NULL and change.record(image)["is_a_snapshot"] and not change.record(image)["VBDs"]:
                discard(change, image)
        for thing in (*record["consoles"], *record["VTPMs"], *record["VUSBs"], *record["VGPUs"]):
            change.destroy(thing)
        _destroy_if_there(change, record["metrics"])
        _destroy_if_there(change, record["guest_metrics"])
        change.destroy(vm)


def remove_devices(change: Change, vm: Record) -> None:
    """Remove a VM's virtual block devices and NICs; its disk images stay."""
    for device in (*vm["VBDs"], *vm["VIFs"]):
        _destroy_if_there(change, change.record(device)["metrics"])
        change.destroy(device)


# Effects of an operation, each within one step


def built(change: Change, vm: str, host: str, domain: Domain) -> None:
    """Write that a VM has a new domain on a host: it has booted, or was resumed."""
    record = change.record(vm)
    if record["power_state"] != State.Suspended:
        change.update(vm, last_booted_record=boot_record(record))
    up(change, vm, host, domain)
    cpu_pooling.join(change, vm)


def up(change: Change, vm: str, host: str, domain: Domain, *, built: bool = True) -> None:
    """Write that a VM has a domain on a host. One that was ``built`` now has all of the VM's devices."""
    record = change.record(vm)
    state = State.Paused if domain.paused else State.Running
    if record["power_state"] == State.Suspended:  # else the image belongs to a suspend that a reboot overtakes
        remove_memory_image(change, record)
    for device in _devices(record) if built else ():
        change.update(device, currently_attached=True)
    change.update(
        vm,
        power_state=state,
        resident_on=host,
        scheduled_to_be_resident_on=NULL,
        abandoned_on=NULL,
        domid=domain.domid,
        domarch="x86_64",
        guest_metrics=_guest_metrics(change, record, domain),
    )
    change.update(
        record["metrics"],
        VCPUs_number=domain.vcpus,
        VCPUs_params=record["VCPUs_params"],
        state=[state.lower()],
        start_time=domain.started,
        hvm=domain.kind == "hvm",
        current_domain_type=domain.kind,
    )


def down(change: Change, vm: str, state: State) -> None:
    """Write that a VM has no domain: it is halted or suspended."""
    record = change.record(vm)
    cpu_pooling.leave(change, vm)
    placement.release(change, record)
    for device in _devices(record):
        change.update(device, currently_attached=False)
    _destroy_if_there(change, record["guest_metrics"])
    fields: dict[str, Any] = {}
    if state == State.Halted:
        if record["suspend_VDI"] != NULL:
            discard(change, record["suspend_VDI"])
        fields = {"suspend_VDI": NULL, "memory_target": 0, "current_operations": {}}
        if BUILDING & set(record["current_operations"].values()):
            target = record["scheduled_to_be_resident_on"]
            fields["abandoned_on"] = record["resident_on"] if target == NULL else target
    change.update(
        vm,
        power_state=state,
        resident_on=NULL,
        scheduled_to_be_resident_on=NULL,
        domid=-1,
        domarch="",
        guest_metrics=NULL,
        **fields,
    )
    change.update(record["metrics"], VCPUs_number=0, VCPUs_params={}, state=[], current_domain_type="unspecified")


def _devices(vm: Record) -> tuple[str, ...]:
    """Return the devices that are attached while a VM has a domain."""
    return (*vm["VBDs"], *vm["VIFs"], *vm["VUSBs"], *vm["VGPUs"])


def crashed(change: Change, vm: str) -> None:
    """Write that a VM's guest has crashed and that its domain is kept."""
    change.update(vm, power_state=State.Crashed)
    change.update(change.record(vm)["metrics"], state=["crashed"])


def _guest_metrics(change: Change, vm: Record, domain: Domain) -> str:
    """Return the reference to what the guest of a domain tells, written anew if it tells anything else than before."""
    known, guest = change.get(vm["guest_metrics"]), domain.guest
    if guest is None:
        _destroy_if_there(change, vm["guest_metrics"])
        return NULL
    fields = {
        "os_version": guest.os_version,
        "PV_drivers_version": guest.drivers,
        "PV_drivers_up_to_date": bool(guest.drivers),
        "PV_drivers_detected": bool(guest.drivers),
        "networks": guest.networks,
        "other": guest.other,
        "last_updated": domain.started,
        "live": True,
        "can_use_hotplug_vbd": "yes",
        "can_use_hotplug_vif": "yes",
    }
    if known is None:
        return change.create("VM_guest_metrics", fields)
    change.update(known.ref, **fields)
    return known.ref


def _destroy_if_there(change: Change, ref: str) -> None:
    if change.get(ref) is not None:
        change.destroy(ref)


BOOT_FIELDS = (
    "memory_static_max",
    "memory_dynamic_max",
    "memory_dynamic_min",
    "memory_static_min",
    "VCPUs_max",
    "VCPUs_at_startup",
    "VCPUs_params",
    "domain_type",
    "HVM_boot_policy",
    "HVM_boot_params",
    "HVM_shadow_multiplier",
    "PV_bootloader",
    "PV_kernel",
    "PV_ramdisk",
    "PV_args",
    "PV_bootloader_args",
    "platform",
)
"""Fields of a VM that take effect when it boots."""


def boot_record(vm: Record) -> str:
    """Return how a VM boots now, as text."""
    fields = vm.shape.fields
    return json.dumps({name: fields[name].type.dump(vm[name]) for name in BOOT_FIELDS})


# Memory images


def memory_repository(objects: Objects, vm: Record) -> str:
    """Return the repository that a VM is suspended to; VM_NO_SUSPEND_SR if none is named anywhere."""
    pool = next(iter(objects.records("pool")))
    host = objects.get(vm["resident_on"])
    choices = (
        vm["suspend_SR"],
        host["suspend_image_sr"] if host else NULL,
        pool["suspend_image_SR"],
        pool["default_SR"],
    )
    for sr in choices:
        if objects.get(sr) is not None:
            return sr
    raise XenApiError("VM_NO_SUSPEND_SR", vm.ref)


def _make_memory_image(change: Change, vm: Record) -> None:
    size = vm["memory_target"] + MEMORY_IMAGE_RESERVE
    image = allocate(
        change,
        memory_repository(change, vm),
        size,
        name_label="Suspend image",
        name_description=f"Memory of {vm['name_label']}",
        type="suspend",
    )
    change.update(vm.ref, suspend_VDI=image)


def remove_memory_image(change: Change, vm: Record) -> None:
    """Remove the disk image that a VM's memory was, or was to be, written to, if there is one."""
    if vm["suspend_VDI"] != NULL:
        discard(change, vm["suspend_VDI"])
        change.update(vm.ref, suspend_VDI=NULL)


# How an operation begins and ends


def unclaim(change: Change, vm: Record) -> None:
    """Give back the memory that was claimed for a VM that is not to get a domain after all."""
    if vm["scheduled_to_be_resident_on"] == NULL:
        return
    placement.release_claim(change, vm)
    target = 0 if vm["power_state"] == State.Halted else vm["memory_target"]
    change.update(vm.ref, scheduled_to_be_resident_on=NULL, memory_target=target)


def _hypervisor(call: Call, host: str) -> Hypervisor:
    hypervisor: Hypervisor = call.hypervisor(host)
    return hypervisor


@asynccontextmanager
async def operation_on(
    call: Call, vm: str, operation: str, begin: Begin | None = None, undo: Begin | None = None
) -> AsyncIterator[Record]:
    """Carry out an operation on a VM; if it fails, ``undo`` what ``begin`` did and unmark it in one step."""
    async with call.operation(vm, operation, begin, undo) as record:
        try:
            yield record
        except HypervisorError as failure:
            raise _error(call, vm, record, failure) from failure


def overtaken(call: Call, vm: str) -> bool:
    """Tell whether something else has ended the operation that a call had begun on a VM."""
    record = call.store.get(vm)
    return record is None or call.task.ref not in record["current_operations"]


def _error(call: Call, vm: str, before: Record, failure: HypervisorError) -> XenApiError:
    if isinstance(failure, DomainGoneError):
        return bad_power_state(call.store.get(vm) or before, before["power_state"])
    if isinstance(failure, GuestRefusedError):
        return XenApiError("VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT", vm)
    if isinstance(failure, BootFailedError):
        return XenApiError("BOOTLOADER_FAILED", vm, failure)
    return XenApiError("INTERNAL_ERROR", str(failure))


@contextmanager
def effects(call: Call, vm: str) -> Iterator[Change]:
    """Open the step that writes an operation's effects and unmarks it."""
    with call.store.write() as change:
        yield change
        _unmark(change, vm, call.task.ref)


def _unmark(change: Change, vm: str, task: str) -> None:
    current = change.record(vm)["current_operations"]
    if task in current:
        change.update(vm, current_operations={ref: op for ref, op in current.items() if ref != task})


async def _take_over(call: Call, vm: str, hypervisor: Hypervisor, domain: Domain) -> None:
    """Write that a VM has a new domain; end the domain if the operation was overtaken by a hard shutdown."""
    if overtaken(call, vm):
        await asyncio.shield(end_abandoned(call, vm, hypervisor, domain.uuid))
        raise bad_power_state(call.record(vm, "VM"), *RUNNING)
    with effects(call, vm) as change:
        record = change.record(vm)
        host = record["scheduled_to_be_resident_on"]
        built(change, vm, record["resident_on"] if host == NULL else host, domain)


async def end_abandoned(call: Call, vm: str, hypervisor: Hypervisor, uuid: str) -> None:
    """End the domain of an operation that a shutdown overtook."""
    await hypervisor.hard_shutdown(uuid)
    with call.store.write() as change:
        if change.get(vm) is not None:
            change.update(vm, abandoned_on=NULL)
