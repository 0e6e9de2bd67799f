"""A console of a VM."""

from __future__ import annotations

from enum import StrEnum

from xenapi_core.datamodel import RO, RW, VM_ADMIN, XenClass, field
from xenapi_core.datamodel.refs import VMRef


class console_protocol(StrEnum):
    """The language that a console speaks."""

    vt100 = "vt100"
    rfb = "rfb"
    rdp = "rdp"


class console(XenClass, role=VM_ADMIN):
    """A console of a VM."""

    uuid: str = field(RO, doc="unique identifier of the object")
    protocol: console_protocol = field(RO, default=console_protocol.rfb, doc="the language that the console speaks")
    location: str = field(RO, doc="URI at which the console is reached")
    VM: VMRef = field(RO, doc="the VM that the console belongs to")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")
