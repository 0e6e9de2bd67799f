"""A virtual block device: how a disk image appears in a VM."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

from xenapi_core.classes.drives import VBD_OPERATIONS, vbd_operations
from xenapi_core.classes.images import check_free
from xenapi_core.classes.lifecycle import RUNNING, State, bad_power_state
from xenapi_core.datamodel import (
    NULL,
    RO,
    RW,
    STATIC,
    VM_ADMIN,
    VM_OPERATOR,
    Call,
    Change,
    Objects,
    Record,
    RecordOf,
    XenApiError,
    XenClass,
    field,
    message,
)
from xenapi_core.datamodel.refs import VBDMetricsRef, VBDRef, VDIRef, VMRef
from xenapi_core.hypervisors.description import disk
from xenapi_core.hypervisors.interface import Disk, DomainGoneError, Hypervisor, HypervisorError

DEVICES = 16
"""How many virtual block devices a VM can have."""

ALGORITHMS = ("ionice",)
"""Algorithms that share a disk's bandwidth: class and sched in their parameters."""

_NAME = re.compile(r"/?(?:dev/)?(?:xvd|sd|hd)([a-z])")

BUSY = ("OTHER_OPERATION_IN_PROGRESS", "VM_BAD_POWER_STATE")


class vbd_mode(StrEnum):
    """Whether a virtual block device may be written to."""

    RO = "RO"
    RW = "RW"


class vbd_type(StrEnum):
    """What a virtual block device looks like."""

    CD = "CD"
    Disk = "Disk"
    Floppy = "Floppy"


VBDMode: TypeAlias = vbd_mode
VBDType: TypeAlias = vbd_type

VBDRecord = Annotated[dict[str, Any], RecordOf("VBD")]


class VBD(XenClass, role=VM_ADMIN, operations=VBD_OPERATIONS):
    """A virtual block device: how a disk image appears in a VM."""

    uuid: str = field(RO, doc="unique identifier of the object")
    allowed_operations: list[vbd_operations] = field(RO, doc="operations that would be accepted now")
    current_operations: dict[str, vbd_operations] = field(RO, doc="operations under way: task to operation")

    # What is joined
    VM: VMRef = field(STATIC, doc="the VM that has the device")
    VDI: VDIRef = field(STATIC, doc="the image in it; null for an empty CD drive")

    # How the guest sees it
    device: str = field(STATIC, default="", doc="name of the device while it is attached: xvda, hdc")
    userdevice: str = field(RW, doc="position that the user gave: 0, 1, 2, or a name such as xvda")
    bootable: bool = field(RW, default=False, doc="whether the VM may boot from it")
    mode: vbd_mode = field(STATIC, default=vbd_mode.RW, doc="whether the guest may write")
    type: vbd_type = field(RW, default=vbd_type.Disk, doc="disk or CD drive")
    unpluggable: bool = field(RW, default=True, doc="whether it can be taken away while the VM runs")
    empty: bool = field(STATIC, default=False, doc="whether there is no medium in the drive")

    # State
    currently_attached: bool = field(STATIC, default=False, doc="whether the device is in use by a domain now")
    storage_lock: bool = field(RO, doc="whether the image is locked at the storage level")
    status_code: int = field(RO, doc="error of the last attach; 0 for none")
    status_detail: str = field(RO, doc="text about the last attach")
    runtime_properties: dict[str, str] = field(RO, doc="what the back end tells about the attached device")
    metrics: VBDMetricsRef = field(RO, doc="what is measured of it")

    # Quality of service
    qos_algorithm_type: str = field(RW, default="", doc="algorithm in use")
    qos_algorithm_params: dict[str, str] = field(RW, default={}, doc="its parameters")
    qos_supported_algorithms: list[str] = field(RO, doc="algorithms that could be used")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    # To make and to remove

    @message(
        role=VM_ADMIN,
        asynchronous=True,
        errors=(
            "HANDLE_INVALID",
            "INVALID_VALUE",
            "DEVICE_ALREADY_EXISTS",
            "VBD_CDS_MUST_BE_READONLY",
            "VDI_READONLY",
            "OPERATION_NOT_ALLOWED",
        ),
    )
    def create(call: Call, args: VBDRecord) -> VBDRef:
        """Give a VM a virtual block device, not attached, and return its reference.

        VM and, unless it is an empty drive, VDI have to be given; ``autodetect`` or nothing as the position is the
        first free one.
        """
        with call.store.write() as change:
            return make(change, args)

    @message(role=VM_ADMIN, asynchronous=True, errors=("OPERATION_NOT_ALLOWED", "OTHER_OPERATION_IN_PROGRESS"))
    def destroy(call: Call, self: VBDRef) -> None:
        """Remove a virtual block device that is not attached; its image stays."""
        with call.store.write() as change:
            record = _detached(change, self)
            VBD_OPERATIONS.check(change, record, "attach")
            if change.get(record["metrics"]) is not None:
                change.destroy(record["metrics"])
            change.destroy(self)

    # To attach and to detach

    @message(
        role=VM_ADMIN,
        asynchronous=True,
        errors=(*BUSY, "DEVICE_ALREADY_ATTACHED", "VDI_IN_USE", "VM_REQUIRES_SR", "VDI_IO_ERROR"),
    )
    async def plug(call: Call, self: VBDRef) -> None:
        """Attach a virtual block device to its running VM."""
        async with call.operation(self, "plug", lambda change, vbd: _check_attachable(change, vbd, vbd["VDI"], "plug")):
            await _replug(call, self, attached=True)

    @message(
        role=VM_ADMIN,
        asynchronous=True,
        errors=(*BUSY, "DEVICE_ALREADY_DETACHED", "DEVICE_DETACH_REJECTED", "VBD_NOT_UNPLUGGABLE"),
    )
    async def unplug(call: Call, self: VBDRef) -> None:
        """Detach a virtual block device from its running VM, once the guest lets go of it."""
        async with call.operation(self, "unplug"):
            await _replug(call, self, attached=False)

    @message(role=VM_ADMIN, asynchronous=True, errors=(*BUSY, "DEVICE_DETACH_REJECTED", "VBD_NOT_UNPLUGGABLE"))
    async def unplug_force(call: Call, self: VBDRef) -> None:
        """Detach a virtual block device from its running VM at once; one that is detached stays so."""
        if call.record(self, "VBD")["currently_attached"]:
            async with call.operation(self, "unplug_force"):
                await _replug(call, self, attached=False)

    @message(role=VM_ADMIN, asynchronous=True, errors=("VDI_IN_USE", "SR_HAS_NO_PBDS", "SR_NOT_ATTACHED"))
    def assert_attachable(call: Call, self: VBDRef) -> None:
        """Raise the error that tells why a virtual block device could not be attached now, if it could not."""
        record = call.record(self, "VBD")
        _check_attachable(call.store, record, record["VDI"], "attach")

    # Media

    @message(
        role=VM_OPERATOR,
        asynchronous=True,
        errors=(*BUSY, "VBD_NOT_REMOVABLE_MEDIA", "VBD_NOT_EMPTY", "VDI_IN_USE", "VM_REQUIRES_SR", "VDI_IO_ERROR"),
    )
    async def insert(call: Call, vbd: VBDRef, vdi: VDIRef) -> None:
        """Put a medium into an empty drive."""
        call.record(vdi, "VDI")
        async with call.operation(vbd, "insert") as record:
            await _change_medium(call, record, vdi)

    @message(role=VM_OPERATOR, asynchronous=True, errors=(*BUSY, "VBD_NOT_REMOVABLE_MEDIA", "VBD_IS_EMPTY"))
    async def eject(call: Call, vbd: VBDRef) -> None:
        """Take the medium out of a drive."""
        async with call.operation(vbd, "eject") as record:
            await _change_medium(call, record, NULL)

    @message(
        role=VM_OPERATOR,
        asynchronous=True,
        errors=(*BUSY, "VBD_NOT_REMOVABLE_MEDIA", "VDI_IN_USE", "VM_REQUIRES_SR", "VDI_IO_ERROR"),
    )
    async def media_change(call: Call, vbd: VBDRef, vdi: VDIRef) -> None:
        """Put another medium into a drive, empty or not (Xen-API 1.0)."""
        call.record(vdi, "VDI")
        operation = "insert" if call.record(vbd, "VBD")["empty"] else "eject"
        async with call.operation(vbd, operation) as record:
            await _change_medium(call, record, vdi)

    # How the guest sees it

    @message(
        role=VM_ADMIN, asynchronous=True, errors=("OPERATION_NOT_ALLOWED", "VBD_CDS_MUST_BE_READONLY", "VDI_READONLY")
    )
    def set_mode(call: Call, self: VBDRef, value: VBDMode) -> None:
        """Set whether the guest may write to a virtual block device that is not attached."""
        with call.store.write() as change:
            record = _detached(change, self)
            _check_mode(change, record["type"], value, record["VDI"])
            change.update(self, mode=value)

    @message(role=VM_ADMIN, errors=("OPERATION_NOT_ALLOWED", "VBD_CDS_MUST_BE_READONLY"))
    def set_type(call: Call, self: VBDRef, value: VBDType) -> None:
        """Set what a virtual block device that is not attached looks like; only a disk may be written to."""
        with call.store.write() as change:
            record = _detached(change, self)
            if value == vbd_type.Disk and record["empty"]:
                raise XenApiError("OPERATION_NOT_ALLOWED", f"VBD {self} is empty: it cannot be a disk")
            change.update(self, type=value, mode=vbd_mode.RO if value == vbd_type.CD else record["mode"])

    @message(role=VM_ADMIN, errors=("OPERATION_NOT_ALLOWED", "INVALID_VALUE", "DEVICE_ALREADY_EXISTS"))
    def set_userdevice(call: Call, self: VBDRef, value: str) -> None:
        """Set the position of a virtual block device that is not attached."""
        _set_position(call, self, value)

    @message(role=VM_ADMIN, errors=("OPERATION_NOT_ALLOWED", "INVALID_VALUE", "DEVICE_ALREADY_EXISTS"))
    def set_device(call: Call, self: VBDRef, value: str) -> None:
        """Set the name of a virtual block device that is not attached, and so its position (Xen-API 1.0)."""
        _set_position(call, self, value)


# To make one


def make(change: Change, args: dict[str, Any]) -> str:
    """Make a virtual block device as a client's record says, and return its reference."""
    vm = change.record(args.get("VM", NULL), "VM")
    kind = args.get("type", vbd_type.Disk)
    image = args.get("VDI", NULL)
    empty = kind != vbd_type.Disk and (args.get("empty", False) or image == NULL)
    if empty:
        image = NULL
    else:
        change.record(image, "VDI")
    mode = args.get("mode", vbd_mode.RW if kind == vbd_type.Disk else vbd_mode.RO)
    _check_mode(change, kind, mode, image)
    number = position(change, args.get("userdevice") or args.get("device", ""), vm["VBDs"])
    values = {
        **args,
        "VDI": image,
        "empty": empty,
        "mode": mode,
        "userdevice": str(number),
        "device": device_name(number),
        "currently_attached": vm["power_state"] == State.Suspended and bool(args.get("currently_attached")),
        "qos_supported_algorithms": ALGORITHMS,
        "metrics": change.create("VBD_metrics", {}),
    }
    return change.create("VBD", values)


def position(objects: Objects, device: str, others: Iterable[str]) -> int:
    """Return the position that a number or a name such as xvda stands for, or a free one, if no other device has it."""
    taken = {objects.record(other)["userdevice"] for other in others}
    if device in ("", "autodetect"):
        free = next((number for number in range(DEVICES) if str(number) not in taken), None)
        if free is None:
            raise XenApiError("OPERATION_NOT_ALLOWED", f"a VM can have at most {DEVICES} virtual block devices")
        return free
    name = _NAME.fullmatch(device)
    if name is not None:
        number = ord(name[1]) - ord("a")
    elif device.isascii() and device.isdecimal():
        number = int(device)
    else:
        raise XenApiError("INVALID_VALUE", "userdevice", device)
    if number >= DEVICES:
        raise XenApiError("INVALID_VALUE", "userdevice", device)
    if str(number) in taken:
        raise XenApiError("DEVICE_ALREADY_EXISTS", device)
    return number


def device_name(number: int) -> str:
    """Return the name of the device in a position, as guests see it."""
    return f"xvd{chr(ord('a') + number)}"


def _check_mode(objects: Objects, kind: str, mode: str, image: str) -> None:
    if mode == vbd_mode.RO:
        return
    if kind == vbd_type.CD:
        raise XenApiError("VBD_CDS_MUST_BE_READONLY")
    if image != NULL and objects.record(image, "VDI")["read_only"]:
        raise XenApiError("VDI_READONLY", image)


def _set_position(call: Call, vbd: str, device: str) -> None:
    with call.store.write() as change:
        record = _detached(change, vbd)
        others = [other for other in change.record(record["VM"], "VM")["VBDs"] if other != vbd]
        number = position(change, device, others)
        change.update(vbd, userdevice=str(number), device=device_name(number))


def _detached(objects: Objects, vbd: str) -> Record:
    record = objects.record(vbd, "VBD")
    if record["currently_attached"]:
        raise XenApiError("OPERATION_NOT_ALLOWED", f"VBD {vbd} is attached")
    return record


# To attach and to change media


def _check_attachable(objects: Objects, vbd: Record, image: str, operation: str) -> None:
    """Raise the error that tells why an image cannot be used in a device now, where its VM is, if it cannot."""
    if image == NULL:
        return
    check_free(objects, image, vbd, operation)
    vm = objects.record(vbd["VM"], "VM")
    repository = objects.record(objects.record(image, "VDI")["SR"], "SR")
    if not repository["PBDs"]:
        raise XenApiError("SR_HAS_NO_PBDS", repository.ref)
    hosts = {pbd["host"] for pbd in map(objects.record, repository["PBDs"]) if pbd["currently_attached"]}
    if not hosts:
        raise XenApiError("SR_NOT_ATTACHED", repository.ref)
    if vm["resident_on"] not in (NULL, *hosts):
        raise XenApiError("VM_REQUIRES_SR", vm.ref, repository.ref)


async def _replug(call: Call, vbd: str, *, attached: bool) -> None:
    """Attach a device to its VM's domain as its record says now, or detach it; write what follows."""
    record = call.record(vbd, "VBD")
    vm = call.record(record["VM"], "VM")
    await _tell(call, vm, record, disk(call.store, record), attached=attached)
    with call.store.write() as change:
        _check_same_domain(change, vm)
        _update(change, vbd, call.task.ref, currently_attached=attached)


async def _change_medium(call: Call, vbd: Record, image: str) -> None:
    """Put a medium, or none, into a drive; tell the domain, if it has the drive."""
    vm = call.record(vbd["VM"], "VM")
    _check_attachable(call.store, vbd, image, "insert")
    if vbd["currently_attached"]:
        medium = replace(disk(call.store, vbd), image="" if image == NULL else call.record(image, "VDI")["uuid"])
        await _tell(call, vm, vbd, medium, attached=True)
    with call.store.write() as change:
        _check_same_domain(change, vm)
        _check_attachable(change, change.record(vbd.ref, "VBD"), image, "insert")
        _update(change, vbd.ref, call.task.ref, VDI=image, empty=image == NULL)


async def _tell(call: Call, vm: Record, vbd: Record, device: Disk, *, attached: bool) -> None:
    """Have a VM's hypervisor attach or detach a device; control domains have no other domain to attach it to."""
    if vm["is_control_domain"]:
        return
    hypervisor: Hypervisor = call.hypervisor(vm["resident_on"])
    try:
        await (hypervisor.attach if attached else hypervisor.detach)(vm["uuid"], device)
    except DomainGoneError as error:
        raise bad_power_state(call.record(vm.ref, "VM"), *RUNNING) from error
    except HypervisorError as error:
        if attached:
            raise XenApiError("VDI_IO_ERROR", str(error)) from error
        raise XenApiError("DEVICE_DETACH_REJECTED", "VBD", vbd.ref, str(error)) from error


def _check_same_domain(change: Change, vm: Record) -> None:
    if change.record(vm.ref, "VM")["domid"] != vm["domid"]:
        raise bad_power_state(change.record(vm.ref), *RUNNING)


def _update(change: Change, vbd: str, task: str, **fields: Any) -> None:
    """Write what an operation has done to a device, and unmark it."""
    current = change.record(vbd, "VBD")["current_operations"]
    change.update(vbd, current_operations={ref: op for ref, op in current.items() if ref != task}, **fields)
