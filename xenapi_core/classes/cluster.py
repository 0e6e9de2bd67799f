"""Hosts that know of each other at every moment, for storage that needs it."""

from __future__ import annotations

from enum import StrEnum

from xenapi_core.datamodel import RO, RW, STATIC, XenClass, field, reverse
from xenapi_core.datamodel.refs import ClusterHostRef


class cluster_operation(StrEnum):
    """What may be done with a cluster."""

    add = "add"
    remove = "remove"
    enable = "enable"
    disable = "disable"
    destroy = "destroy"


class Cluster(XenClass):
    """Hosts that know of each other at every moment, for storage that needs it."""

    uuid: str = field(RO, doc="unique identifier of the object")
    cluster_hosts: list[ClusterHostRef] = reverse("Cluster_host", "cluster", doc="its members")
    pending_forget: list[str] = field(RO, doc="addresses of members that are to be forgotten")
    cluster_token: str = field(STATIC, default="", doc="what members know each other by")
    cluster_stack: str = field(STATIC, default="corosync", doc="the program that does it")
    is_quorate: bool = field(RO, default=False, doc="whether enough members are there")
    quorum: int = field(RO, default=0, doc="how many members are enough")
    live_hosts: int = field(RO, default=0, doc="how many members are there")
    allowed_operations: list[cluster_operation] = field(RO, doc="operations that would be accepted now")
    current_operations: dict[str, cluster_operation] = field(RO, doc="operations under way: task to operation")
    pool_auto_join: bool = field(STATIC, default=True, doc="whether hosts that join the pool become members")
    token_timeout: float = field(STATIC, default=20.0, doc="seconds after which a member counts as gone")
    token_timeout_coefficient: float = field(STATIC, default=1.0, doc="seconds more for each member beyond the second")
    cluster_config: dict[str, str] = field(STATIC, default={}, doc="further settings")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")
