"""The interface between CIM providers and whatever hosts them, neutral to both."""

from cim_provider.interface import (
    Authenticator,
    ClassDeclaration,
    Context,
    Method,
    Parameter,
    Principal,
    Property,
    Provider,
    View,
)
from cim_provider.values import (
    CimError,
    Indication,
    Instance,
    InstanceName,
    KeyValue,
    MethodResult,
    Scalar,
    Status,
    Value,
    names,
)

__all__ = [
    "Authenticator",
    "CimError",
    "ClassDeclaration",
    "Context",
    "Indication",
    "Instance",
    "InstanceName",
    "KeyValue",
    "Method",
    "MethodResult",
    "Parameter",
    "Principal",
    "Property",
    "Provider",
    "Scalar",
    "Status",
    "Value",
    "View",
    "names",
]
