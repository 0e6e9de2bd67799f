"""A virtual disk image."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import uuid4

from xenapi_core.datamodel import (
    NULL,
    RO,
    RW,
    STATIC,
    VM_ADMIN,
    VM_OPERATOR,
    Change,
    XenApiError,
    XenClass,
    field,
    reverse,
)
from xenapi_core.datamodel.refs import CrashdumpRef, PoolRef, SRRef, VBDRef, VDIRef


class on_boot(StrEnum):
    """What happens to the content of an image when its VM starts."""

    reset = "reset"
    persist = "persist"


OnBoot: TypeAlias = on_boot


class vdi_operations(StrEnum):
    """What may be done with a disk image."""

    clone = "clone"
    copy = "copy"
    resize = "resize"
    resize_online = "resize_online"
    snapshot = "snapshot"
    mirror = "mirror"
    destroy = "destroy"
    forget = "forget"
    update = "update"
    force_unlock = "force_unlock"
    generate_config = "generate_config"
    enable_cbt = "enable_cbt"
    disable_cbt = "disable_cbt"
    data_destroy = "data_destroy"
    list_changed_blocks = "list_changed_blocks"
    set_on_boot = "set_on_boot"
    blocked = "blocked"


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


class VDI(XenClass, role=VM_ADMIN):
    """A virtual disk image."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(STATIC, default="", doc="name for people")
    name_description: str = field(STATIC, default="", doc="notes for people")
    allowed_operations: list[vdi_operations] = field(RO, doc="operations that would be accepted now")
    current_operations: dict[str, vdi_operations] = field(RO, doc="operations under way: task to operation")

    # Where it is, who uses it
    SR: SRRef = field(STATIC, doc="the repository that holds the image")
    VBDs: list[VBDRef] = reverse("VBD", "VDI", doc="the virtual block devices that show it to VMs")
    crash_dumps: list[CrashdumpRef] = field(RO, doc="crash dumps that are kept in it")
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


def allocate(change: Change, sr: str, size: int, *, used: int | None = None, **fields: Any) -> str:
    """Make an image of a size (bytes) in a repository, of which so much is used: all of it if nothing is said.

    SR_FULL (requested, available) if it does not fit.
    """
    used = size if used is None else used
    repository = change.record(sr, "SR")
    available = repository["physical_size"] - repository["physical_utilisation"]
    if used > available:
        raise XenApiError("SR_FULL", used, available)
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
    image, repository = change.record(vdi, "VDI"), change.record(sr, "SR")
    available = repository["physical_size"] - repository["physical_utilisation"]
    if image["physical_utilisation"] > available:
        raise XenApiError("SR_FULL", image["physical_utilisation"], available)
    _count(change, image["SR"], -image["virtual_size"], -image["physical_utilisation"])
    _count(change, sr, image["virtual_size"], image["physical_utilisation"])
    change.update(vdi, SR=sr)


def discard(change: Change, vdi: str) -> None:
    """Remove an image and give its space back."""
    image = change.record(vdi, "VDI")
    _count(change, image["SR"], -image["virtual_size"], -image["physical_utilisation"])
    change.destroy(vdi)


def _count(change: Change, sr: str, virtual: int, physical: int) -> None:
    repository = change.record(sr, "SR")
    change.update(
        sr,
        virtual_allocation=repository["virtual_allocation"] + virtual,
        physical_utilisation=repository["physical_utilisation"] + physical,
    )
