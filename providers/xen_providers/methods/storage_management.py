"""Methods of Xen_StoragePoolManagementService: storage pools and the disk images in them (DSP1041, DSP1047)."""

from __future__ import annotations

from collections.abc import Mapping

from cim_provider import InstanceName, MethodResult, Parameter
from xen_providers.mapping.declaration import MappedMethod
from xen_providers.methods.call import Call
from xen_providers.methods.device_settings import Disk
from xen_providers.methods.inputs import Inputs, needed
from xen_providers.methods.objects import find_object
from xen_providers.methods.outcomes import COMPLETED, POOL_CONFIGURATION, MethodError, invalid
from xen_providers.methods.parameters import JOB, RASD, method, reference, resulting, settings_of
from xen_providers.methods.work import Work

ISO, DISK = 15, 19
CONTENT = {ISO: "iso", 16: "iso", DISK: "user", 17: "user", 31: "user"}
"""What images are in a storage pool, by ResourceType."""
LOCAL = frozenset({"btrfs", "dummy", "ext", "file", "largeblock", "linstor-local", "lvm", "udev", "xfs", "zfs"})
"""Kinds of storage that one host alone reaches."""


def find_pool(call: Call, inputs: Inputs, name: str) -> str:
    """Return the storage that a parameter names."""
    return find_object(call, "SR", name, inputs.get(name), "storage pool")[0]


async def pool_name(work: Work, sr: str) -> InstanceName:
    """Return the name of a storage pool."""
    record = await work.xen("SR.get_record", sr)
    place = "Shared"
    if not record["shared"] and record["PBDs"]:
        place = await work.xen("host.get_uuid", await work.xen("PBD.get_host", record["PBDs"][0]))
    return InstanceName("Xen_StoragePool", (("InstanceID", f"Xen:{place}/{record['uuid']}"),))


async def image_name(work: Work, vdi: str) -> InstanceName:
    """Return the name of a disk image."""
    record = await work.xen("VDI.get_record", vdi)
    sr = await work.xen("SR.get_uuid", record["SR"])
    keys = {
        "SystemCreationClassName": "Xen_StoragePool",
        "SystemName": sr,
        "CreationClassName": "Xen_DiskImage",
        "DeviceID": f"Xen:{sr}/{record['uuid']}",
    }
    return InstanceName("Xen_DiskImage", tuple(keys.items()))


async def _create_pool(call: Call, inputs: Inputs) -> MethodResult:
    """Make storage: Connection of the settings says where it is, ResourceSubType of what kind."""
    name = needed("ElementName", inputs.text("ElementName") or None)
    settings = needed("Settings", inputs.settings("Settings"))
    kind = needed("Settings.ResourceSubType", settings.text("ResourceSubType") or None)
    number = inputs.number("ResourceType")
    content = CONTENT.get(DISK if number is None else number)
    if content is None:
        raise invalid("ResourceType", f"{number} is neither 15 (ISO) nor 19 (disk).")
    place = settings.entries("Connection") or {}
    size = str(settings.number("VirtualQuantity") or 0)
    description = settings.text("Description") or ""

    async def create(work: Work) -> tuple[str, InstanceName]:
        host = call.record["master"]
        shared = kind not in LOCAL
        sr = await work.make("SR.create", host, place, size, name, description, kind, content, shared, {})
        return sr, await pool_name(work, sr)

    sr, pool = await call.do(create)
    await call.replica.settle("SR", sr)
    return MethodResult(COMPLETED, {"Pool": pool})


async def _detach(work: Work, sr: str) -> None:
    """Detach all hosts from storage."""
    for pbd in await work.xen("SR.get_PBDs", sr):
        if await work.xen("PBD.get_currently_attached", pbd):
            await work.attach("PBD.unplug", pbd, undo="PBD.plug")


async def _delete_pool(call: Call, inputs: Inputs) -> MethodResult:
    """Destroy storage that is empty; what cannot be destroyed (a server's ISO images) is forgotten."""
    sr = find_pool(call, inputs, "Pool")

    async def delete(work: Work) -> None:
        await _detach(work, sr)
        try:
            await work.xen("SR.destroy", sr)
        except MethodError as error:
            if error.code != "SR_OPERATION_NOT_SUPPORTED":
                raise
            await work.xen("SR.forget", sr)

    await call.do(delete)
    await call.replica.settle("SR", sr)
    return MethodResult(COMPLETED)


async def _detach_pool(call: Call, inputs: Inputs) -> MethodResult:
    """Forget storage; what is in it stays there."""
    sr = find_pool(call, inputs, "Pool")

    async def forget(work: Work) -> None:
        await _detach(work, sr)
        await work.xen("SR.forget", sr)

    await call.do(forget)
    await call.replica.settle("SR", sr)
    return MethodResult(COMPLETED)


async def _discover_iscsi(call: Call, inputs: Inputs) -> MethodResult:
    """Ask a target what it has. What is missing yet, the storage back end tells as an error that holds the answer."""
    place = {"target": needed("TargetHost", inputs.text("TargetHost") or None)}
    for parameter, key in (("Port", "port"), ("TargetIQN", "targetIQN")):
        value = inputs.text(parameter)
        if value:
            place[key] = value
    try:
        told = str(await call.xen("SR.probe", call.record["master"], place, "lvmoiscsi", {}))
    except MethodError as error:
        told = next((each for each in error.parameters if each.lstrip().startswith("<")), "")
        if not error.code.startswith("SR_BACKEND_FAILURE") or not told:
            raise
    return MethodResult(COMPLETED, {"TargetInfo": told})


async def _create_image(call: Call, inputs: Inputs) -> MethodResult:
    """Make a disk image."""
    plan = Disk.read(needed("ResourceSetting", inputs.settings("ResourceSetting")))
    if plan.is_cd or plan.image:
        raise invalid("ResourceSetting", "it does not describe a new disk image.")

    async def create(work: Work) -> tuple[str, InstanceName]:
        vdi = await plan.find_image(work)
        return vdi, await image_name(work, vdi)

    vdi, image = await call.do(create)
    await call.replica.settle("VDI", vdi)
    return MethodResult(COMPLETED, {"ResultingDiskImage": image})


async def _delete_image(call: Call, inputs: Inputs) -> MethodResult:
    """Destroy a disk image that no virtual machine uses."""
    vdi, _ = find_object(call, "VDI", "DiskImage", inputs.get("DiskImage"), "disk image")
    await call.xen("VDI.destroy", vdi)
    await call.replica.settle("VDI", vdi)
    return MethodResult(COMPLETED)


POOL, IMAGE = "CIM_ResourcePool", "CIM_StorageExtent"
TEXT = Parameter("string")

METHODS: Mapping[str, MappedMethod] = {
    "CreateStoragePool": method(
        _create_pool,
        POOL_CONFIGURATION,
        ElementName=TEXT,
        Settings=settings_of(RASD),
        ResourceType=Parameter("uint32"),
        Pool=resulting(POOL),
        Job=JOB,
    ),
    "DeleteResourcePool": method(_delete_pool, POOL_CONFIGURATION, Job=JOB, Pool=reference(POOL)),
    "DetachStoragePool": method(_detach_pool, POOL_CONFIGURATION, Pool=reference(POOL)),
    "DiscoveriSCSITargetInfo": method(
        _discover_iscsi,
        POOL_CONFIGURATION,
        TargetHost=TEXT,
        Port=TEXT,
        TargetIQN=TEXT,
        TargetInfo=Parameter("string", is_input=False, is_output=True),
    ),
    "CreateDiskImage": method(
        _create_image, POOL_CONFIGURATION, ResourceSetting=settings_of(RASD), ResultingDiskImage=resulting(IMAGE)
    ),
    "DeleteDiskImage": method(_delete_image, POOL_CONFIGURATION, DiskImage=reference(IMAGE)),
}
