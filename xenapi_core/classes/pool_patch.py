"""An update of the pool as earlier versions knew it. There are none: ``pool_update`` took its place."""

from __future__ import annotations

from enum import StrEnum

from xenapi_core.datamodel import NULL, RO, RW, STATIC, XenClass, field, reverse
from xenapi_core.datamodel.refs import HostPatchRef, PoolUpdateRef


class after_apply_guidance(StrEnum):
    """What has to be done once a patch is applied."""

    restartHVM = "restartHVM"
    restartPV = "restartPV"
    restartHost = "restartHost"
    restartXAPI = "restartXAPI"


class pool_patch(XenClass):
    """An update of the pool as earlier versions knew it. There are none: ``pool_update`` took its place."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(STATIC, default="", doc="name for people")
    name_description: str = field(STATIC, default="", doc="notes for people")
    version: str = field(STATIC, default="", doc="its version")
    size: int = field(RO, default=0, doc="its size (bytes)")
    pool_applied: bool = field(RO, default=False, doc="whether it is applied on every host")
    host_patches: list[HostPatchRef] = reverse("host_patch", "pool_patch", doc="what it did on hosts")
    after_apply_guidance: list[after_apply_guidance] = field(RO, doc="what has to be done once it is applied")
    pool_update: PoolUpdateRef = field(STATIC, default=NULL, doc="the update that it stands for")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")
