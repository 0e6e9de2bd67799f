"""Declarations of methods and their parameters, as far as several services have them."""

from __future__ import annotations

from cim_provider import Method, Parameter
from xen_providers.declaration import Handler, MappedMethod
from xen_providers.outcomes import MANAGEMENT, ReturnValues

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
