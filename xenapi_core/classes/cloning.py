"""Making VMs from VMs: clones, which share the content of disks, copies, which do not, and provisioned templates.

The work on disks comes first, and leaves no trace. Then one step makes the VM, its devices and its disk images; so an
operation that fails or is cancelled leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_bytes
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree

from xenapi_core.classes import vdi
from xenapi_core.classes.lifecycle import BUSY
from xenapi_core.classes.power import effects, operation_on
from xenapi_core.datamodel import NULL, VM_ADMIN, Call, Change, Objects, Record, XenApiError, message
from xenapi_core.datamodel.refs import SRRef, VMRef
from xenapi_core.hypervisors.interface import Hypervisor

OWN = frozenset(
    {
        "uuid",
        "power_state",
        "allowed_operations",
        "current_operations",
        "blocked_operations",
        "resident_on",
        "scheduled_to_be_resident_on",
        "abandoned_on",
        "domid",
        "domarch",
        "memory_target",
        "metrics",
        "guest_metrics",
        "suspend_VDI",
        "attached_PCIs",
        "blobs",
        "is_a_template",
        "is_default_template",
        "is_a_snapshot",
        "snapshot_of",
        "snapshot_time",
        "snapshot_info",
        "snapshot_metadata",
        "transportable_snapshot_id",
        "parent",
        "snapshot_schedule",
        "is_vmss_snapshot",
        "protection_policy",
        "is_snapshot_from_vmpp",
        "appliance",
        "ha_always_run",
        "ha_restart_priority",
        "requires_reboot",
        "generation_id",
    }
)
"""Fields that belong to one VM alone; the others are its configuration, which copies share."""

DISKS = "disks"
"""The key of a template's other_config that tells, as XML, which disks a VM made from it gets."""


class Cloning:
    """The messages of VM that make VMs from VMs."""

    @message(role=VM_ADMIN, asynchronous=True, errors=(*BUSY, "SR_FULL"))
    async def clone(call: Call, vm: VMRef, new_name: str) -> VMRef:
        """Make a VM like a halted one, whose disks share the content of that one's, and return its reference."""
        return await _duplicate(call, vm, "clone", new_name, Disks())

    @message(role=VM_ADMIN, asynchronous=True, errors=(*BUSY, "SR_FULL", "HANDLE_INVALID"))
    async def copy(call: Call, vm: VMRef, new_name: str, sr: SRRef) -> VMRef:
        """Make a VM like a halted one, with whole copies of its disks, in a repository or where they are."""
        return await _duplicate(call, vm, "copy", new_name, Disks(sr=sr, whole=True))

    @message(role=VM_ADMIN, asynchronous=True, errors=(*BUSY, "PROVISION_ONLY_ALLOWED_ON_TEMPLATE", "SR_FULL"))
    async def provision(call: Call, vm: VMRef) -> None:
        """Make a VM of a template: with the disks that ``disks`` in its other_config tells of, as XML."""
        async with operation_on(call, vm, "provision") as record:
            planned = _planned_disks(call.store, record)
            call.task.progress(0.5)
            with effects(call, vm) as change:
                for disk in planned:
                    _add_disk(change, vm, disk)
                rest = {key: value for key, value in record["other_config"].items() if key != DISKS}
                change.update(vm, is_a_template=False, other_config=rest)
                change.update(record["metrics"], install_time=datetime.now(UTC))


@dataclass(frozen=True)
class Disks:
    """How the disks of a VM are made from those of another."""

    sr: str = NULL
    """Where they are made; null: where those are."""
    whole: bool = False
    """Nothing of the content is shared."""
    snapshots: bool = False
    """They are snapshots of those."""
    without: Collection[str] = field(default_factory=frozenset)
    """Images that are left out."""

    def image(self, change: Change, source: str, identity: str) -> str:
        """Make the image of a disk from that of another."""
        fields: dict[str, Any] = {"uuid": identity, "location": identity}
        if self.snapshots:
            fields |= {"is_a_snapshot": True, "snapshot_of": source, "snapshot_time": datetime.now(UTC)}
        return vdi.derive(change, source, sr=self.sr, whole=self.whole, **fields)


async def _duplicate(call: Call, vm: str, operation: str, name: str, disks: Disks) -> str:
    async with operation_on(call, vm, operation) as record:
        images = await copied_images(call, record, disks)
        with effects(call, vm) as change:
            newest = change.record(vm)
            made = make_like(
                change,
                newest,
                disks,
                images,
                name_label=name,
                is_a_template=newest["is_a_template"],
                parent=vm if newest["is_a_snapshot"] else NULL,
            )
            for nic in change.record(made)["VIFs"]:
                change.update(nic, MAC=new_mac(), MAC_autogenerated=True)
    return made


async def copied_images(call: Call, vm: Record, disks: Disks) -> dict[str, str]:
    """Copy the content of a VM's disks as far as needed; return the identity (uuid) of each image to make."""
    sources = list(dict.fromkeys(vbd["VDI"] for vbd in own_disks(call.store, vm) if vbd["VDI"] not in disks.without))
    images = {source: str(uuid4()) for source in sources}
    for number, source in enumerate(sources):
        record = call.record(source)
        if disks.whole or disks.sr not in (NULL, record["SR"]):
            hypervisor: Hypervisor = call.hypervisor(master(call.store))
            tell = _part(call.task.progress, number, len(sources))
            await hypervisor.copy_image(record["uuid"], images[source], record["virtual_size"], tell)
        call.task.progress((number + 1) / (len(sources) + 1))
    return images


def _part(progress: Callable[[float], None], number: int, count: int) -> Callable[[float], None]:
    """Return what tells the progress of one part of so many."""
    return lambda fraction: progress((number + fraction) / (count + 1))


def make_like(change: Change, vm: Record, disks: Disks, images: Mapping[str, str], **fields: Any) -> str:
    """Make a VM like another one, with devices like that one's; disks that are written to get images of their own."""
    metrics = change.create("VM_metrics", {"install_time": datetime.now(UTC)})
    values = {**configuration(vm), "metrics": metrics, "generation_id": new_generation(), **fields}
    made = change.create("VM", values)
    add_devices(change, made, vm, disks, images)
    return made


def add_devices(change: Change, vm: str, source: Record, disks: Disks, images: Mapping[str, str]) -> None:
    """Give a VM devices like those of another one."""
    for vbd in map(change.record, source["VBDs"]):
        image = vbd["VDI"]
        if image in disks.without:
            continue
        if image in images:
            image = disks.image(change, image, images[image])
        metrics = change.create("VBD_metrics", {})
        change.create("VBD", {**_device(vbd), "VM": vm, "VDI": image, "metrics": metrics})
    for vif in map(change.record, source["VIFs"]):
        change.create("VIF", {**_device(vif), "VM": vm, "metrics": change.create("VIF_metrics", {})})


def own_disks(objects: Objects, vm: Record) -> list[Record]:
    """Return the devices of a VM whose images it writes to."""
    devices = [objects.record(vbd) for vbd in vm["VBDs"]]
    return [vbd for vbd in devices if vbd["VDI"] != NULL and vbd["type"] == "Disk" and vbd["mode"] == "RW"]


def configuration(vm: Record) -> dict[str, Any]:
    """Return what a VM shares with one that is made like it: its fields but those that belong to it alone."""
    fields = vm.shape.fields
    return {name: value for name, value in vm.items() if name not in OWN and fields[name].stored}


def _device(device: Record) -> dict[str, Any]:
    """Return the fields of a VBD or VIF that one like it shares."""
    own = {"uuid", "currently_attached", "current_operations", "allowed_operations", "metrics", "runtime_properties"}
    fields = device.shape.fields
    return {name: value for name, value in device.items() if name not in own and fields[name].stored}


def new_mac() -> str:
    """Return a random Ethernet address of those that are given out locally."""
    octets = bytearray(token_bytes(6))
    octets[0] = octets[0] & 0xFC | 0x02
    return octets.hex(":")


def new_generation() -> str:
    """Return a number of a VM's generation, as Windows guests look for it."""
    first, second = (int.from_bytes(token_bytes(8), "big", signed=True) for _ in range(2))
    return f"{first}:{second}"


def master(objects: Objects) -> str:
    """Return the pool's master."""
    return str(next(iter(objects.records("pool")))["master"])


# Provisioning


@dataclass(frozen=True)
class PlannedDisk:
    """A disk that a template tells of."""

    device: str
    size: int
    sr: str
    bootable: bool
    type: vdi.vdi_type


def _planned_disks(objects: Objects, vm: Record) -> list[PlannedDisk]:
    text = vm["other_config"].get(DISKS, "")
    if not text:
        return []
    if "<!" in text:
        raise XenApiError("INVALID_VALUE", "other_config:disks", "declarations are not read")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  # without declarations there are no entities
        planned = [_planned_disk(objects, vm, item) for item in root.iter("disk")]
        if len({disk.device for disk in planned}) < len(planned):
            raise ValueError("two disks have the same device")
    except (ElementTree.ParseError, ValueError) as error:
        raise XenApiError("INVALID_VALUE", "other_config:disks", error) from error
    return planned


def _planned_disk(objects: Objects, vm: Record, item: ElementTree.Element) -> PlannedDisk:
    device, size = item.get("device", ""), int(item.get("size", "0"))
    taken = {objects.record(vbd)["userdevice"] for vbd in vm["VBDs"]}
    if not device or device in taken:
        raise ValueError(f"the disk's device {device!r} is not free")
    if size <= 0:
        raise ValueError(f"the disk's size {size} is not positive")
    bootable, kind = item.get("bootable", "false") == "true", vdi.vdi_type(item.get("type", "system"))
    return PlannedDisk(device, size, _repository(objects, item.get("sr", "")), bootable, kind)


def _repository(objects: Objects, text: str) -> str:
    """Return the repository with a uuid; the pool's default one if none is named."""
    if text:
        found = objects.by_uuid("SR", text)
        if found is None:
            raise XenApiError("UUID_INVALID", "SR", text)
        return found.ref
    default = next(iter(objects.records("pool")))["default_SR"]
    if objects.get(default) is None:
        raise XenApiError("DEFAULT_SR_NOT_FOUND", default)
    return str(default)


def _add_disk(change: Change, vm: str, disk: PlannedDisk) -> None:
    name = f"{change.record(vm)['name_label']} {disk.device}"
    image = vdi.allocate(change, disk.sr, disk.size, used=0, name_label=name, type=disk.type)
    change.create(
        "VBD",
        {
            "VM": vm,
            "VDI": image,
            "userdevice": disk.device,
            "bootable": disk.bootable,
            "mode": "RW",
            "type": "Disk",
            "metrics": change.create("VBD_metrics", {}),
        },
    )
