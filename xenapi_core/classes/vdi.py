"""A virtual disk image."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, TypeAlias
from uuid import uuid4

from xenapi_core.classes import drivers
from xenapi_core.classes.images import VDI_OPERATIONS, vdi_operations
from xenapi_core.classes.repositories import SR_OPERATIONS
from xenapi_core.classes.tracking import Tracking
from xenapi_core.datamodel import (
    EPOCH,
    NULL,
    READ_ONLY,
    RO,
    RW,
    STATIC,
    VM_ADMIN,
    VM_OPERATOR,
    VM_POWER_ADMIN,
    Call,
    Change,
    Record,
    RecordOf,
    XenApiError,
    XenClass,
    field,
    message,
    reverse,
)
from xenapi_core.datamodel.refs import CrashdumpRef, PoolRef, SRRef, VBDRef, VDIRef
from xenapi_core.hypervisors.interface import Hypervisor, HypervisorError


class on_boot(StrEnum):
    """What happens to the content of an image when its VM starts."""

    reset = "reset"
    persist = "persist"


OnBoot: TypeAlias = on_boot


class vdi_type(StrEnum):
    """What a disk image is for."""

    system = "system"
    user = "user"
    ephemeral = "ephemeral"
    suspend = "suspend"
    crashdump = "crashdump"
    ha_statefile = "ha_statefile"
    metadata = "metadata"
    redo_log = "redo_log"
    rrd = "rrd"
    pvs_cache = "pvs_cache"
    cbt_metadata = "cbt_metadata"


VDIType: TypeAlias = vdi_type

VDIRecord = Annotated[dict[str, Any], RecordOf("VDI")]

REPOSITORY = (
    "OTHER_OPERATION_IN_PROGRESS",
    "SR_HAS_NO_PBDS",
    "SR_NOT_ATTACHED",
    "SR_OPERATION_NOT_SUPPORTED",
)
"""What any operation on a repository's images may be refused with."""

IMAGE = (
    *REPOSITORY,
    "VDI_MISSING",
    "VDI_IN_USE",
    "VDI_IS_A_PHYSICAL_DEVICE",
    "VDI_INCOMPATIBLE_TYPE",
    "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION",
    "VDI_CBT_ENABLED",
)
"""What any operation on an image may be refused with."""

GIVEN_BY_SERVER = ("uuid", "SR", "virtual_size", "physical_utilisation", "location", "managed")
"""What a client may send in a record to create, and the server decides, or has checked, all the same."""

XSERR_BAD_LABEL = -24
"""The number of Xen's security tools for a label that is not the expected one."""


class VDI(Tracking, XenClass, role=VM_ADMIN, operations=VDI_OPERATIONS, removed=("resize_online",)):
    """A virtual disk image."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(STATIC, default="", doc="name for people")
    name_description: str = field(STATIC, default="", doc="notes for people")
    allowed_operations: list[vdi_operations] = field(RO, doc="operations that would be accepted now")
    current_operations: dict[str, vdi_operations] = field(RO, doc="operations under way: task to operation")

    # Where it is, who uses it
    SR: SRRef = field(STATIC, doc="the repository that holds the image")
    VBDs: list[VBDRef] = reverse("VBD", "VDI", doc="the virtual block devices that show it to VMs")
    crash_dumps: list[CrashdumpRef] = reverse("crashdump", "VDI", doc="crash dumps that are kept in it")
    location: str = field(RO, default="", doc="name of the image within its repository")

    # Size and kind
    virtual_size: int = field(STATIC, doc="size that a guest sees (bytes)")
    physical_utilisation: int = field(RO, doc="space that it takes in its repository (bytes)")
    type: vdi_type = field(STATIC, default=vdi_type.user, doc="what it is for")
    sharable: bool = field(STATIC, default=False, doc="whether several VMs may write to it at the same time")
    read_only: bool = field(STATIC, default=False, doc="whether it can only be read")
    on_boot: OnBoot = field(
        RO, default=on_boot.persist, doc="whether its content is kept or thrown away when its VM starts"
    )
    allow_caching: bool = field(RO, doc="whether hosts may cache it")
    cbt_enabled: bool = field(RO, doc="whether changed blocks are tracked")
    is_tools_iso: bool = field(RO, doc="whether it holds the guest tools")
    security_label: str = field(RO, doc="label of the access policy of Xen-API 1.0")

    # State
    managed: bool = field(RO, doc="whether the repository's back end knows the image")
    missing: bool = field(RO, doc="whether the last scan of the repository did not find it")
    storage_lock: bool = field(RO, doc="whether the image is locked at the storage level")

    # Snapshots
    is_a_snapshot: bool = field(RO, doc="whether it is a snapshot")
    snapshot_of: VDIRef = field(RO, doc="the image that it is a snapshot of")
    snapshots: list[VDIRef] = reverse("VDI", "snapshot_of", doc="its snapshots")
    snapshot_time: datetime = field(RO, doc="when the snapshot was made")
    parent: VDIRef = field(RO, doc="the image that it depends on")

    # Pool metadata
    metadata_of_pool: PoolRef = field(RO, doc="the pool whose database it holds")
    metadata_latest: bool = field(RO, doc="whether it holds the newest accessible copy of that database")

    # For people and clients
    xenstore_data: dict[str, str] = field(
        RW, default={}, doc="entries put under the block device's sm-data in xenstore"
    )
    sm_config: dict[str, str] = field(RW, default={}, doc="data of the storage back end")
    tags: list[str] = field(RW, default=(), role=VM_OPERATOR, doc="words that users have tagged the object with")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    # To make and to remove

    @message(role=VM_ADMIN, asynchronous=True, errors=(*REPOSITORY, "INVALID_VALUE", "SR_FULL"))
    def create(call: Call, args: VDIRecord) -> VDIRef:
        """Make an empty image and return its reference; SR and virtual_size have to be given."""
        size = args.get("virtual_size", 0)
        if size <= 0:
            raise XenApiError("INVALID_VALUE", "virtual_size", size)
        values = {name: value for name, value in args.items() if name not in GIVEN_BY_SERVER}
        with call.store.write() as change:
            repository = change.record(args.get("SR", NULL), "SR")
            SR_OPERATIONS.check(change, repository, "vdi_create")
            if size > repository["physical_size"]:
                raise XenApiError("SR_FULL", size, repository["physical_size"])
            return allocate(change, repository.ref, size, used=_filled(repository, size), **values)

    @message(role=VM_ADMIN, asynchronous=True, errors=IMAGE)
    def destroy(call: Call, self: VDIRef) -> None:
        """Destroy an image that no domain uses; drives that it is in become empty, disks that show it go with it."""
        _remove(call, self, "destroy")

    @message(role=VM_ADMIN, asynchronous=True, errors=IMAGE)
    def forget(call: Call, vdi: VDIRef) -> None:
        """Forget an image without touching its repository."""
        _remove(call, vdi, "forget")

    @message(
        role=VM_ADMIN, asynchronous=True, errors=(*REPOSITORY, "LOCATION_NOT_UNIQUE", "VDI_LOCATION_MISSING", "SR_FULL")
    )
    def introduce(
        call: Call,
        uuid: str,
        name_label: str,
        name_description: str,
        SR: SRRef,
        type: VDIType,
        sharable: bool,
        read_only: bool,
        other_config: dict[str, str],
        location: str,
        xenstore_data: dict[str, str] = {},  # noqa: B006 - a default on the wire, written by nobody
        sm_config: dict[str, str] = {},  # noqa: B006
        managed: bool = True,
        virtual_size: int = 0,
        physical_utilisation: int = 0,
        metadata_of_pool: PoolRef = NULL,
        is_a_snapshot: bool = False,
        snapshot_time: datetime = EPOCH,
        snapshot_of: VDIRef = NULL,
    ) -> VDIRef:
        """Tell of an image that is in a repository already, and return its reference."""
        with call.store.write() as change:
            repository = change.record(SR, "SR")
            SR_OPERATIONS.check(change, repository, "vdi_introduce")
            if not location:
                raise XenApiError("VDI_LOCATION_MISSING", SR, location)
            known = map(change.record, repository["VDIs"])
            if any(image["location"] == location for image in known) or (uuid and change.by_uuid("VDI", uuid)):
                raise XenApiError("LOCATION_NOT_UNIQUE", SR, location)
            if virtual_size < 0 or not 0 <= physical_utilisation <= max(virtual_size, physical_utilisation):
                raise XenApiError("INVALID_VALUE", "virtual_size", virtual_size)
            return allocate(
                change,
                SR,
                virtual_size,
                used=physical_utilisation,
                **({"uuid": uuid} if uuid else {}),
                location=location,
                name_label=name_label,
                name_description=name_description,
                type=type,
                sharable=sharable,
                read_only=read_only,
                other_config=other_config,
                xenstore_data=xenstore_data,
                sm_config=sm_config,
                managed=managed,
                metadata_of_pool=metadata_of_pool,
                is_a_snapshot=is_a_snapshot,
                snapshot_time=snapshot_time,
                snapshot_of=snapshot_of,
            )

    # Images with the content of others

    @message(role=VM_ADMIN, asynchronous=True, errors=(*IMAGE, "SR_FULL"))
    def snapshot(call: Call, vdi: VDIRef, driver_params: dict[str, str] = {}) -> VDIRef:  # noqa: B006
        """Make an image that keeps what another one holds now, and return its reference."""
        return _derive(call, vdi, "snapshot", is_a_snapshot=True, snapshot_of=vdi, snapshot_time=datetime.now(UTC))

    @message(role=VM_ADMIN, asynchronous=True, errors=(*IMAGE, "SR_FULL"))
    def clone(call: Call, vdi: VDIRef, driver_params: dict[str, str] = {}) -> VDIRef:  # noqa: B006
        """Make an image that begins with what another one holds now, and return its reference."""
        return _derive(call, vdi, "clone")

    @message(role=VM_ADMIN, asynchronous=True, errors=(*IMAGE, "SR_FULL", "VDI_READONLY", "VDI_TOO_SMALL"))
    async def copy(
        call: Call, vdi: VDIRef, sr: SRRef = NULL, base_vdi: VDIRef = NULL, into_vdi: VDIRef = NULL
    ) -> VDIRef:
        """Copy an image to a repository, or into an image that is there, and return the reference of the copy.

        ``base_vdi`` is one whose content the target has already; the result is the same without.
        """
        async with call.operation(vdi, "copy", lambda change, image: _check_target(change, image, sr, into_vdi)):
            await _copy_content(call, vdi)
            with call.store.write() as change:
                if into_vdi == NULL:
                    return derive(change, vdi, sr=sr, whole=True)
                _fill(change, into_vdi, change.record(vdi, "VDI")["physical_utilisation"])
                return into_vdi

    @message(role=VM_POWER_ADMIN, asynchronous=True, errors=(*IMAGE, "SR_FULL", "VDI_NEEDS_VM_FOR_MIGRATE"))
    async def pool_migrate(call: Call, vdi: VDIRef, sr: SRRef, options: dict[str, str]) -> VDIRef:
        """Move an image that a VM has to another repository of the pool, be it in use or not; return its reference."""
        if not call.record(vdi, "VDI")["VBDs"]:
            raise XenApiError("VDI_NEEDS_VM_FOR_MIGRATE", vdi)
        async with call.operation(vdi, "mirror", lambda change, image: _check_target(change, image, sr, NULL)):
            await _copy_content(call, vdi)
            with call.store.write() as change:
                move(change, vdi, sr)
        return vdi

    # Size

    @message(role=VM_ADMIN, asynchronous=True, errors=(*IMAGE, "SR_FULL", "VDI_TOO_SMALL"))
    def resize(call: Call, vdi: VDIRef, size: int) -> None:
        """Make an image larger."""
        _resize(call, vdi, "resize", size)

    @message(role=VM_ADMIN, asynchronous=True, errors=(*IMAGE, "SR_FULL", "VDI_TOO_SMALL"))
    def set_virtual_size(call: Call, self: VDIRef, value: int) -> None:
        """Make an image larger (Xen-API 1.0)."""
        _resize(call, self, "resize", value)

    @message(role=VM_ADMIN, asynchronous=True, errors=IMAGE)
    def update(call: Call, vdi: VDIRef) -> None:
        """Read again what the back end knows of an image."""
        with call.store.write() as change:
            VDI_OPERATIONS.check(change, change.record(vdi, "VDI"), "update")
            change.touch(vdi)

    # How it may be used

    @message(role=VM_ADMIN, asynchronous=True)
    def set_name_label(call: Call, self: VDIRef, value: str) -> None:
        """Set the name for people."""
        _set(call, self, name_label=value)

    @message(role=VM_ADMIN, asynchronous=True)
    def set_name_description(call: Call, self: VDIRef, value: str) -> None:
        """Set the notes for people."""
        _set(call, self, name_description=value)

    @message(role=VM_ADMIN, asynchronous=True, errors=("VDI_IN_USE",))
    def set_sharable(call: Call, self: VDIRef, value: bool) -> None:
        """Set whether several VMs may write to an image at the same time."""
        _set_unused(call, self, "set_sharable", sharable=value)

    @message(role=VM_ADMIN, asynchronous=True, errors=("VDI_IN_USE",))
    def set_read_only(call: Call, self: VDIRef, value: bool) -> None:
        """Set whether an image can only be read."""
        _set_unused(call, self, "set_read_only", read_only=value)

    @message(role=VM_ADMIN, asynchronous=True)
    def set_allow_caching(call: Call, self: VDIRef, value: bool) -> None:
        """Set whether hosts may cache an image."""
        _set(call, self, allow_caching=value)

    @message(role=VM_ADMIN, asynchronous=True, errors=IMAGE)
    def set_on_boot(call: Call, self: VDIRef, value: OnBoot) -> None:
        """Set whether an image's content is kept or thrown away when its VM starts."""
        with call.store.write() as change:
            VDI_OPERATIONS.check(change, change.record(self, "VDI"), "set_on_boot")
            change.update(self, on_boot=value)

    # Databases and labels

    @message(role=READ_ONLY, asynchronous=True, errors=("VDI_INCOMPATIBLE_TYPE",))
    def read_database_pool_uuid(call: Call, self: VDIRef) -> str:
        """Return the uuid of the pool whose database an image holds."""
        image = call.record(self, "VDI")
        if image["metadata_of_pool"] == NULL:
            raise XenApiError("VDI_INCOMPATIBLE_TYPE", self, image["type"])
        return str(call.record(image["metadata_of_pool"], "pool")["uuid"])

    @message(role=VM_ADMIN, asynchronous=True, errors=("SECURITY_ERROR",))
    def set_security_label(call: Call, self: VDIRef, security_label: str, old_label: str) -> None:
        """Set the label of an image that has ``old_label`` until now (Xen-API 1.0)."""
        with call.store.write() as change:
            if change.record(self, "VDI")["security_label"] != old_label:
                raise XenApiError("SECURITY_ERROR", XSERR_BAD_LABEL, "the old label is another one")
            change.update(self, security_label=security_label)


# What messages do


def _remove(call: Call, vdi: str, operation: str) -> None:
    with call.store.write() as change:
        VDI_OPERATIONS.check(change, change.record(vdi, "VDI"), operation)
        remove(change, vdi)


def _derive(call: Call, vdi: str, operation: str, **fields: Any) -> str:
    with call.store.write() as change:
        VDI_OPERATIONS.check(change, change.record(vdi, "VDI"), operation)
        return derive(change, vdi, **fields)


def _check_target(change: Change, image: Record, sr: str, into: str) -> None:
    """Raise the error that tells why an image cannot be copied to a repository, or into another image, if it cannot."""
    if into != NULL:
        target = change.record(into, "VDI")
        VDI_OPERATIONS.check(change, target, "resize")
        if target["read_only"]:
            raise XenApiError("VDI_READONLY", into)
        if target["virtual_size"] < image["virtual_size"]:
            raise XenApiError("VDI_TOO_SMALL", into, image["virtual_size"])
        _check_space(change, target["SR"], image["physical_utilisation"] - target["physical_utilisation"])
        return
    repository = change.record(image["SR"] if sr == NULL else sr, "SR")
    SR_OPERATIONS.check(change, repository, "vdi_create")
    _check_space(change, repository.ref, image["physical_utilisation"])


async def _copy_content(call: Call, vdi: str) -> None:
    image = call.record(vdi)
    hypervisor: Hypervisor = call.hypervisor(next(iter(call.records("pool")))["master"])
    try:
        await hypervisor.copy_image(image["uuid"], "", image["virtual_size"], call.task.progress)
    except HypervisorError as error:
        raise XenApiError("VDI_COPY_FAILED") from error


def _fill(change: Change, vdi: str, used: int) -> None:
    """Write that content which takes so much space (bytes) is in an image now."""
    image = change.record(vdi, "VDI")
    more = max(0, used - image["physical_utilisation"])
    _check_space(change, image["SR"], more)
    _count(change, image["SR"], 0, more)
    change.update(vdi, physical_utilisation=image["physical_utilisation"] + more)


def _resize(call: Call, vdi: str, operation: str, size: int) -> None:
    with call.store.write() as change:
        image = change.record(vdi, "VDI")
        VDI_OPERATIONS.check(change, image, operation)
        if size < image["virtual_size"]:
            raise XenApiError("VDI_TOO_SMALL", vdi, image["virtual_size"])
        repository = change.record(image["SR"])
        if size > repository["physical_size"]:
            raise XenApiError("SR_FULL", size, repository["physical_size"])
        more = _filled(repository, size - image["virtual_size"])
        _check_space(change, image["SR"], more)
        _count(change, image["SR"], size - image["virtual_size"], more)
        change.update(vdi, virtual_size=size, physical_utilisation=image["physical_utilisation"] + more)


def _filled(repository: Record, size: int) -> int:
    """Return the space that so much of an empty image takes in a repository (bytes)."""
    return 0 if drivers.driver(repository["type"]).thin else size


def _set(call: Call, vdi: str, **fields: Any) -> None:
    with call.store.write() as change:
        change.update(vdi, **fields)


def _set_unused(call: Call, vdi: str, operation: str, **fields: Any) -> None:
    with call.store.write() as change:
        image = change.record(vdi, "VDI")
        if any(change.record(vbd)["currently_attached"] for vbd in image["VBDs"]):
            raise XenApiError("VDI_IN_USE", vdi, operation)
        change.update(vdi, **fields)


# Space


def allocate(change: Change, sr: str, size: int, *, used: int | None = None, **fields: Any) -> str:
    """Make an image of a size (bytes) in a repository, of which so much is used: all of it if nothing is said.

    SR_FULL (requested, available) if it does not fit.
    """
    used = size if used is None else used
    _check_space(change, sr, used)
    _count(change, sr, size, used)
    identity = str(uuid4())
    values = {"uuid": identity, "location": identity, "SR": sr, "virtual_size": size, "physical_utilisation": used}
    return change.create("VDI", {**values, "managed": True, **fields})


def derive(change: Change, vdi: str, *, sr: str = NULL, whole: bool = False, **fields: Any) -> str:
    """Make an image with the content of another, in the same repository or in another one.

    In the same one it shares that content, and so takes no space yet, unless it is to be ``whole``.
    """
    image = change.record(vdi, "VDI")
    shared = sr in (NULL, image["SR"]) and not whole
    kept = ("name_label", "name_description", "type", "sharable", "read_only", "sm_config", "other_config", "tags")
    return allocate(
        change,
        image["SR"] if sr == NULL else sr,
        image["virtual_size"],
        used=0 if shared else image["physical_utilisation"],
        **{name: image[name] for name in kept} | fields,
    )


def move(change: Change, vdi: str, sr: str) -> None:
    """Move an image to another repository; SR_FULL (requested, available) if it does not fit."""
    image = change.record(vdi, "VDI")
    _check_space(change, sr, image["physical_utilisation"])
    _count(change, image["SR"], -image["virtual_size"], -image["physical_utilisation"])
    _count(change, sr, image["virtual_size"], image["physical_utilisation"])
    change.update(vdi, SR=sr)


def remove(change: Change, vdi: str) -> None:
    """Remove an image with all that is nothing without it: disks that show it, crash dumps. Drives become empty."""
    image = change.record(vdi, "VDI")
    for vbd in map(change.record, image["VBDs"]):
        if vbd["type"] == "Disk":
            if change.get(vbd["metrics"]) is not None:
                change.destroy(vbd["metrics"])
            change.destroy(vbd.ref)
        else:
            change.update(vbd.ref, VDI=NULL, empty=True)
    for dump in image["crash_dumps"]:
        change.destroy(dump)
    discard(change, vdi)


def discard(change: Change, vdi: str) -> None:
    """Remove an image and give its space back."""
    image = change.record(vdi, "VDI")
    _count(change, image["SR"], -image["virtual_size"], -image["physical_utilisation"])
    change.destroy(vdi)


def _check_space(change: Change, sr: str, size: int) -> None:
    """Raise SR_FULL (requested, available) if so much (bytes) does not fit in a repository."""
    repository = change.record(sr, "SR")
    available = repository["physical_size"] - repository["physical_utilisation"]
    if size > available:
        raise XenApiError("SR_FULL", size, available)


def _count(change: Change, sr: str, virtual: int, physical: int) -> None:
    repository = change.record(sr, "SR")
    change.update(
        sr,
        virtual_allocation=repository["virtual_allocation"] + virtual,
        physical_utilisation=repository["physical_utilisation"] + physical,
    )
