"""An update of the pool's hosts, on an image."""

from __future__ import annotations

from enum import StrEnum

from xenapi_core.datamodel import RO, RW, STATIC, XenClass, field
from xenapi_core.datamodel.refs import HostRef, VDIRef


class update_after_apply_guidance(StrEnum):
    """What has to be done once an update is applied."""

    restartHVM = "restartHVM"
    restartPV = "restartPV"
    restartHost = "restartHost"
    restartXAPI = "restartXAPI"


class pool_update(XenClass):
    """An update of the pool's hosts, on an image."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(STATIC, default="", doc="name for people")
    name_description: str = field(STATIC, default="", doc="notes for people")
    version: str = field(STATIC, default="", doc="its version")
    installation_size: int = field(STATIC, default=0, doc="space that it needs (bytes)")
    key: str = field(STATIC, default="", doc="the key that it is signed with")
    after_apply_guidance: list[update_after_apply_guidance] = field(STATIC, default=(), doc="what has to be done then")
    vdi: VDIRef = field(STATIC, doc="the image that holds it")
    hosts: list[HostRef] = field(RO, doc="the hosts that have it")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")
    enforce_homogeneity: bool = field(STATIC, default=False, doc="whether all hosts or none may have it")
