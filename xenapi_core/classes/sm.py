"""A storage manager: the driver of one kind of storage."""

from __future__ import annotations

from typing import Any

from xenapi_core.classes.drivers import Driver
from xenapi_core.datamodel import POOL_OPERATOR, RO, RW, XenClass, field


class SM(XenClass, role=POOL_OPERATOR):
    """A storage manager: the driver of one kind of storage."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(RO, default="", doc="name for people")
    name_description: str = field(RO, default="", doc="notes for people")
    type: str = field(RO, doc="the kind of storage, as SR.type names it")
    vendor: str = field(RO, doc="who made the driver")
    copyright: str = field(RO, doc="who holds the rights to it")
    version: str = field(RO, doc="its version")
    required_api_version: str = field(RO, doc="least version of the interface to drivers that it needs")
    configuration: dict[str, str] = field(RO, doc="keys of PBD.device_config: key to meaning")
    capabilities: list[str] = field(RO, default=(), doc="names of what it can do")
    features: dict[str, int] = field(RO, default={}, doc="what it can do: name to version")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")
    driver_filename: str = field(RO, default="", doc="the file that holds the driver")
    required_cluster_stack: list[str] = field(RO, default=(), doc="cluster software that it needs, any of these")


def fields_of(driver: Driver) -> dict[str, Any]:
    """Return the fields of the object that describes a driver."""
    return {
        "name_label": driver.name,
        "name_description": driver.doc,
        "type": driver.name,
        "vendor": "Xen",
        "copyright": "Xen",
        "version": "1.0",
        "required_api_version": "1.0",
        "configuration": {key.name: key.doc for key in driver.keys},
        "capabilities": driver.features,
        "features": dict.fromkeys(driver.features, 1),
        "driver_filename": f"/opt/xensource/sm/{driver.name.upper()}SR",
    }
