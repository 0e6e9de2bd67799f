"""A SCSI host bus adapter of a host (Xen-API 1.0)."""

from __future__ import annotations

from xenapi_core.datamodel import POOL_OPERATOR, RO, XenClass, field, reverse
from xenapi_core.datamodel.refs import HostRef, PSCSIRef


class PSCSI_HBA(XenClass, role=POOL_OPERATOR):
    """A SCSI host bus adapter of a host (Xen-API 1.0)."""

    uuid: str = field(RO, doc="unique identifier of the object")
    host: HostRef = field(RO, doc="the host that has it")
    physical_host: int = field(RO, doc="number of the adapter")
    PSCSIs: list[PSCSIRef] = reverse("PSCSI", "HBA", doc="the devices behind it")
