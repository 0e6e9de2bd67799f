"""A network on the virtual functions of an SR-IOV card."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from xenapi_core.datamodel import NULL, POOL_OPERATOR, RO, STATIC, XenClass, field
from xenapi_core.datamodel.refs import PIFRef


class sriov_configuration_mode(StrEnum):
    """How the virtual functions of a card are made."""

    sysfs = "sysfs"
    modprobe = "modprobe"
    manual = "manual"
    unknown = "unknown"


ConfigurationMode: TypeAlias = sriov_configuration_mode


class network_sriov(XenClass, role=POOL_OPERATOR):
    """A network on the virtual functions of an SR-IOV card."""

    uuid: str = field(RO, doc="unique identifier of the object")
    physical_PIF: PIFRef = field(STATIC, default=NULL, doc="the NIC of the card")
    logical_PIF: PIFRef = field(STATIC, default=NULL, doc="the NIC that stands for the network")
    requires_reboot: bool = field(RO, doc="whether the host must reboot first")
    configuration_mode: ConfigurationMode = field(
        RO, default=sriov_configuration_mode.unknown, doc="how the virtual functions are made"
    )
