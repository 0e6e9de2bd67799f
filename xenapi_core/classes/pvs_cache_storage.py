"""Where a host caches the disks of a site."""

from __future__ import annotations

from xenapi_core.datamodel import NULL, RO, STATIC, XenClass, field
from xenapi_core.datamodel.refs import HostRef, PVSSiteRef, SRRef, VDIRef


class PVS_cache_storage(XenClass, creatable=True, destroyable=True):
    """Where a host caches the disks of a site."""

    uuid: str = field(RO, doc="unique identifier of the object")
    host: HostRef = field(STATIC, default=NULL, doc="the host")
    SR: SRRef = field(STATIC, default=NULL, doc="the storage that holds the cache")
    site: PVSSiteRef = field(STATIC, default=NULL, doc="the site")
    size: int = field(STATIC, default=20 << 30, doc="size of the cache (bytes)")
    VDI: VDIRef = field(RO, default=NULL, doc="the image that holds the cache, while there is one")
