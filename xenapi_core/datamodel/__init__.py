"""What the API is: the declarations of classes, fields, messages, errors and roles, and all that follows from them."""

from xenapi_core.datamodel.call import Call, Caller, HypervisorOf
from xenapi_core.datamodel.errors import XenApiError
from xenapi_core.datamodel.fields import RO, RW, STATIC, field, reverse
from xenapi_core.datamodel.messages import message
from xenapi_core.datamodel.objects import Change, Objects, Operations, Store
from xenapi_core.datamodel.record import Record
from xenapi_core.datamodel.registry import Datamodel
from xenapi_core.datamodel.roles import (
    POOL_ADMIN,
    POOL_OPERATOR,
    READ_ONLY,
    VM_ADMIN,
    VM_OPERATOR,
    VM_POWER_ADMIN,
    Role,
)
from xenapi_core.datamodel.types import EPOCH, NULL, Int32, RecordOf, Ref
from xenapi_core.datamodel.xenclass import XenClass

__all__ = [
    "EPOCH",
    "NULL",
    "POOL_ADMIN",
    "POOL_OPERATOR",
    "READ_ONLY",
    "RO",
    "RW",
    "STATIC",
    "VM_ADMIN",
    "VM_OPERATOR",
    "VM_POWER_ADMIN",
    "Call",
    "Caller",
    "Change",
    "Datamodel",
    "HypervisorOf",
    "Int32",
    "Objects",
    "Operations",
    "Record",
    "RecordOf",
    "Ref",
    "Role",
    "Store",
    "XenApiError",
    "XenClass",
    "field",
    "message",
    "reverse",
]
