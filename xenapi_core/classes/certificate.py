"""A certificate by which hosts or authorities are known."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from xenapi_core.datamodel import EPOCH, NULL, RO, STATIC, XenClass, field
from xenapi_core.datamodel.refs import HostRef


class certificate_type(StrEnum):
    """What a certificate is for."""

    ca = "ca"
    host = "host"
    host_internal = "host_internal"


class Certificate(XenClass):
    """A certificate by which hosts or authorities are known."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name: str = field(RO, default="", doc="name of an authority's certificate")
    type: certificate_type = field(RO, default=certificate_type.host, doc="what it is for")
    host: HostRef = field(STATIC, default=NULL, doc="the host that shows it")
    not_before: datetime = field(STATIC, default=EPOCH, doc="from when it is valid")
    not_after: datetime = field(STATIC, default=EPOCH, doc="until when it is valid")
    fingerprint: str = field(STATIC, default="", doc="its SHA-256 digest, in hexadecimal with colons")
