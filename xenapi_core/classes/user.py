"""A person who may use the API, as Xen-API 1.0 knows users."""

from __future__ import annotations

from xenapi_core.datamodel import POOL_ADMIN, RO, RW, STATIC, XenClass, field


class user(XenClass, role=POOL_ADMIN, creatable=True, destroyable=True):
    """A person who may use the API, as Xen-API 1.0 knows users."""

    uuid: str = field(RO, doc="unique identifier of the object")
    short_name: str = field(STATIC, doc="login name")
    fullname: str = field(RW, default="", doc="name for people")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")
