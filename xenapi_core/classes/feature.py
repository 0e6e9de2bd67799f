"""A part of the server that a host has, perhaps switched off."""

from __future__ import annotations

from xenapi_core.datamodel import RO, STATIC, XenClass, field
from xenapi_core.datamodel.refs import HostRef


class Feature(XenClass):
    """A part of the server that a host has, perhaps switched off."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(STATIC, default="", doc="name for people")
    name_description: str = field(STATIC, default="", doc="notes for people")
    enabled: bool = field(RO, default=False, doc="whether it is switched on")
    experimental: bool = field(STATIC, default=False, doc="whether it is not to be relied on yet")
    version: str = field(STATIC, default="1.0", doc="its version")
    host: HostRef = field(RO, doc="the host that has it")
