"""A host's membership of a cluster."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from xenapi_core.datamodel import EPOCH, NULL, RO, STATIC, XenClass, field
from xenapi_core.datamodel.refs import ClusterRef, HostRef, PIFRef


class cluster_host_operation(StrEnum):
    """What may be done with a membership."""

    enable = "enable"
    disable = "disable"
    destroy = "destroy"


class Cluster_host(XenClass):
    """A host's membership of a cluster."""

    uuid: str = field(RO, doc="unique identifier of the object")
    cluster: ClusterRef = field(STATIC, default=NULL, doc="the cluster")
    host: HostRef = field(STATIC, default=NULL, doc="the host")
    enabled: bool = field(RO, default=False, doc="whether it takes part")
    PIF: PIFRef = field(STATIC, default=NULL, doc="the NIC that the members are reached by")
    joined: bool = field(RO, default=True, doc="whether it has joined")
    live: bool = field(RO, default=False, doc="whether it is there")
    last_update_live: datetime = field(RO, default=EPOCH, doc="when that was last known")
    allowed_operations: list[cluster_host_operation] = field(RO, doc="operations that would be accepted now")
    current_operations: dict[str, cluster_host_operation] = field(RO, doc="operations under way: task to operation")
    other_config: dict[str, str] = field(STATIC, default={}, doc="free for clients")
