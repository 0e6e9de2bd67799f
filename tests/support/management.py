"""What tests of management through CIM give to methods, and what comes back."""

from __future__ import annotations

from typing import Any

import pywbem
from pywbem import Uint16

COMPLETED, EXCEPTION = 7, 10
"""Values of JobState."""
OK, FAILED, INVALID_PARAMETER, INVALID_STATE, JOB = 0, 2, 4, 5, 4096
"""Return values of the methods of services."""
NAMESPACE = "root/cimv2"
PV = {"ElementName": "defined", "VirtualSystemType": "DMTF:xen:PV"}
HVM = {"ElementName": "defined", "VirtualSystemType": "DMTF:xen:HVM"}


def settings(class_name: str = "CIM_VirtualSystemSettingData", **properties: Any) -> pywbem.CIMInstance:
    """Settings to embed."""
    return pywbem.CIMInstance(class_name, properties)


def resource(type_: int, **properties: Any) -> pywbem.CIMInstance:
    """Settings of a resource, by its type alone."""
    return settings("CIM_ResourceAllocationSettingData", ResourceType=Uint16(type_), **properties)


def named(class_name: str, **keys: Any) -> pywbem.CIMInstanceName:
    """The path of an instance."""
    return pywbem.CIMInstanceName(class_name, keys, namespace=NAMESPACE)


def system(uuid: str) -> pywbem.CIMInstanceName:
    """The path of a virtual machine."""
    return named("Xen_ComputerSystem", CreationClassName="Xen_ComputerSystem", Name=uuid)


def configuration(uuid: str, class_name: str = "Xen_ComputerSystemSettingData") -> pywbem.CIMInstanceName:
    """The path of the settings of a virtual machine, of a template or of a snapshot."""
    return named(class_name, InstanceID=f"Xen:{uuid}")
