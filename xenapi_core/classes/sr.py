"""A storage repository: a place where virtual disk images are kept."""

from __future__ import annotations

from enum import StrEnum

from xenapi_core.datamodel import POOL_OPERATOR, RO, RW, STATIC, VM_OPERATOR, XenClass, field, reverse
from xenapi_core.datamodel.refs import BlobRef, DRTaskRef, PBDRef, VDIRef


class storage_operations(StrEnum):
    """What may be done with a storage repository."""

    scan = "scan"
    destroy = "destroy"
    forget = "forget"
    plug = "plug"
    unplug = "unplug"
    update = "update"
    vdi_create = "vdi_create"
    vdi_introduce = "vdi_introduce"
    vdi_destroy = "vdi_destroy"
    vdi_resize = "vdi_resize"
    vdi_clone = "vdi_clone"
    vdi_snapshot = "vdi_snapshot"
    vdi_mirror = "vdi_mirror"
    vdi_enable_cbt = "vdi_enable_cbt"
    vdi_disable_cbt = "vdi_disable_cbt"
    vdi_data_destroy = "vdi_data_destroy"
    vdi_list_changed_blocks = "vdi_list_changed_blocks"
    vdi_set_on_boot = "vdi_set_on_boot"
    pbd_create = "pbd_create"
    pbd_destroy = "pbd_destroy"


class SR(XenClass, role=POOL_OPERATOR):
    """A storage repository: a place where virtual disk images are kept."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(STATIC, default="", doc="name for people")
    name_description: str = field(STATIC, default="", doc="notes for people")
    allowed_operations: list[storage_operations] = field(RO, doc="operations that would be accepted now")
    current_operations: dict[str, storage_operations] = field(RO, doc="operations under way: task to operation")

    # What is in it, who reaches it
    VDIs: list[VDIRef] = reverse("VDI", "SR", doc="disk images in the repository")
    PBDs: list[PBDRef] = reverse("PBD", "SR", doc="hosts that are attached to it")

    # Space
    virtual_allocation: int = field(RO, doc="sum of the virtual sizes of the images (bytes)")
    physical_utilisation: int = field(RO, doc="space in use (bytes)")
    physical_size: int = field(STATIC, default=0, doc="space altogether (bytes)")

    # Kind
    type: str = field(STATIC, doc="kind of storage: nfs, ext, lvm, iso and so on")
    content_type: str = field(STATIC, default="", doc="what the images are: user, or iso for CD images")
    shared: bool = field(RO, doc="whether every host of the pool may attach to it")
    sm_config: dict[str, str] = field(RW, default={}, doc="data of the storage back end")
    local_cache_enabled: bool = field(RO, doc="whether hosts cache shared images in it")
    clustered: bool = field(RO, doc="whether it uses clustered storage")
    is_tools_sr: bool = field(RO, doc="whether it holds the guest tools")
    introduced_by: DRTaskRef = field(RO, doc="the disaster recovery that brought it in")

    # For people and clients
    tags: list[str] = field(RW, default=(), role=VM_OPERATOR, doc="words that users have tagged the object with")
    blobs: dict[str, BlobRef] = field(RO, doc="binary data kept with the object, by name")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")
