"""VMs that are to run apart from each other, or together."""

from __future__ import annotations

from enum import StrEnum

from xenapi_core.datamodel import RO, RW, STATIC, VM_ADMIN, XenClass, field
from xenapi_core.datamodel.refs import VMRef


class placement_policy(StrEnum):
    """Where the VMs of a group start."""

    normal = "normal"
    anti_affinity = "anti_affinity"


class VM_group(XenClass, role=VM_ADMIN, creatable=True, destroyable=True):
    """VMs that are to run apart from each other, or together."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(RW, default="", doc="name for people")
    name_description: str = field(RW, default="", doc="notes for people")
    placement: placement_policy = field(STATIC, default=placement_policy.normal, doc="where its VMs start")
    VMs: list[VMRef] = field(RO, doc="the VMs of the group")
