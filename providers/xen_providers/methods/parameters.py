"""Declarations of methods and their parameters, as far as several services have them."""

from __future__ import annotations

from collections.abc import Mapping

from cim_provider import Method, Parameter
from xen_providers.mapping.declaration import Handler, MappedMethod
from xen_providers.methods.outcomes import MANAGEMENT, ReturnValues

VSSD, RASD, SYSTEM = "CIM_VirtualSystemSettingData", "CIM_ResourceAllocationSettingData", "CIM_ComputerSystem"


def reference(class_name: str, *, array: bool = False) -> Parameter:
    """Declare a parameter that names an instance."""
    return Parameter("reference", array, reference=class_name)


def resulting(class_name: str, *, array: bool = False) -> Parameter:
    """Declare an output parameter that names an instance."""
    return Parameter("reference", array, reference=class_name, is_input=False, is_output=True)


def settings_of(class_name: str, *, array: bool = False) -> Parameter:
    """Declare a parameter that is an embedded instance."""
    return Parameter("string", array, embedded=class_name)


JOB = resulting("CIM_ConcreteJob")


def method(handler: Handler, failures: ReturnValues = MANAGEMENT, /, **parameters: Parameter) -> MappedMethod:
    """Declare a method that returns a uint32 and tells by it how it failed."""
    return MappedMethod(Method("uint32", parameters), handler, failures)


SYSTEM_MANAGEMENT: Mapping[str, Mapping[str, Parameter]] = {
    "DefineSystem": {
        "SystemSettings": settings_of(VSSD),
        "ResourceSettings": settings_of(RASD, array=True),
        "ReferenceConfiguration": reference(VSSD),
        "ResultingSystem": resulting(SYSTEM),
        "Job": JOB,
    },
    "DestroySystem": {"AffectedSystem": reference(SYSTEM), "Job": JOB},
    "ModifySystemSettings": {"SystemSettings": settings_of(VSSD), "Job": JOB},
    "AddResourceSettings": {
        "AffectedConfiguration": reference(VSSD),
        "ResourceSettings": settings_of(RASD, array=True),
        "ResultingResourceSettings": resulting(RASD, array=True),
        "Job": JOB,
    },
    "ModifyResourceSettings": {
        "ResourceSettings": settings_of(RASD, array=True),
        "ResultingResourceSettings": resulting(RASD, array=True),
        "Job": JOB,
    },
    "RemoveResourceSettings": {"ResourceSettings": reference(RASD, array=True), "Job": JOB},
}
"""The methods of CIM_VirtualSystemManagementService: machines and switches have a service of that class each."""


def system_management_methods(handlers: Mapping[str, Handler]) -> dict[str, MappedMethod]:
    """Declare the methods of a CIM_VirtualSystemManagementService."""
    return {name: method(handlers[name], **parameters) for name, parameters in SYSTEM_MANAGEMENT.items()}
