"""The attachment of one host to one storage repository."""

from __future__ import annotations

from xenapi_core.datamodel import POOL_OPERATOR, RO, RW, STATIC, XenClass, field
from xenapi_core.datamodel.refs import HostRef, SRRef


class PBD(XenClass, role=POOL_OPERATOR):
    """The attachment of one host to one storage repository."""

    uuid: str = field(RO, doc="unique identifier of the object")
    host: HostRef = field(STATIC, doc="the host that is attached")
    SR: SRRef = field(STATIC, doc="the storage that it is attached to")
    device_config: dict[str, str] = field(
        STATIC, default={}, doc="how the host reaches the storage: device, server, serverpath, location and so on"
    )
    currently_attached: bool = field(RO, doc="whether the host reaches the storage now")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")
