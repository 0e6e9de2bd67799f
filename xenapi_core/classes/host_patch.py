"""A patch on a host, as earlier versions knew it. There are none: ``pool_update`` took its place."""

from __future__ import annotations

from datetime import datetime

from xenapi_core.datamodel import NULL, RO, RW, STATIC, XenClass, field
from xenapi_core.datamodel.refs import HostRef, PoolPatchRef


class host_patch(XenClass):
    """A patch on a host, as earlier versions knew it. There are none: ``pool_update`` took its place."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(STATIC, default="", doc="name for people")
    name_description: str = field(STATIC, default="", doc="notes for people")
    version: str = field(STATIC, doc="its version")
    host: HostRef = field(STATIC, doc="the host")
    applied: bool = field(RO, doc="whether it is applied")
    timestamp_applied: datetime = field(RO, doc="when it was")
    size: int = field(RO, doc="its size (bytes)")
    pool_patch: PoolPatchRef = field(STATIC, default=NULL, doc="the patch")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")
