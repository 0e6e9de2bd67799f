"""How methods fail: the kinds of failure, and the return values by which each family of methods tells them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from cim_provider import CimError, Status
from xenapi_client import XenApiError, XenApiUnavailable

COMPLETED, NOT_SUPPORTED, JOB_STARTED = 0, 1, 4096


class Failure(Enum):
    """Why a method did not do what it was asked to."""

    FAILED = "failed"
    INVALID_PARAMETER = "invalid parameter"
    INVALID_STATE = "invalid state"


ReturnValues = Mapping[Failure, int]

MANAGEMENT: ReturnValues = {Failure.FAILED: 2, Failure.INVALID_PARAMETER: 4, Failure.INVALID_STATE: 5}
"""Of the services that manage virtual systems (DSP1042, DSP1081): CIM_VirtualSystemManagementService and its like."""
POOL_CONFIGURATION: ReturnValues = {Failure.FAILED: 4, Failure.INVALID_PARAMETER: 5, Failure.INVALID_STATE: 6}
"""Of CIM_ResourcePoolConfigurationService (DSP1041)."""
STATE_CHANGE: ReturnValues = {Failure.FAILED: 4, Failure.INVALID_PARAMETER: 5, Failure.INVALID_STATE: 4097}
"""Of RequestStateChange (CIM_EnabledLogicalElement, CIM_ConcreteJob)."""

WRONG_STATE = frozenset(
    {"VM_BAD_POWER_STATE", "OPERATION_NOT_ALLOWED", "OTHER_OPERATION_IN_PROGRESS", "DEVICE_ALREADY_ATTACHED"}
)
"""Errors of the Xen-API that say: not in this state."""

_STATUSES = {
    "HANDLE_INVALID": Status.NOT_FOUND,
    "UUID_INVALID": Status.NOT_FOUND,
    "RBAC_PERMISSION_DENIED": Status.ACCESS_DENIED,
    "PERMISSION_DENIED": Status.ACCESS_DENIED,
    "SESSION_AUTHENTICATION_FAILED": Status.ACCESS_DENIED,
    "SESSION_INVALID": Status.ACCESS_DENIED,
    "MESSAGE_METHOD_UNKNOWN": Status.NOT_SUPPORTED,
}


class MethodError(CimError):
    """A method failed. Where its family has a return value for that, the client gets it; else the CIM error."""

    def __init__(
        self, failure: Failure, description: str, code: str = "INTERNAL_ERROR", parameters: tuple[str, ...] = ()
    ) -> None:
        """``code`` and ``parameters`` are the error of the Xen-API, if it was one."""
        status = Status.INVALID_PARAMETER if failure is Failure.INVALID_PARAMETER else Status.FAILED
        super().__init__(status, description)
        self.failure = failure
        self.code = code
        self.parameters = parameters


def invalid(parameter: str, problem: str) -> MethodError:
    """Return the error of a parameter that cannot be used: its name, and what is wrong with it."""
    return MethodError(Failure.INVALID_PARAMETER, f"{parameter}: {problem}", "INVALID_VALUE", (parameter, problem))


def cim_error(error: XenApiError | XenApiUnavailable) -> CimError:
    """Return the error that says what the Xen-API said."""
    if isinstance(error, XenApiUnavailable):
        return CimError(Status.FAILED, str(error))
    status = _STATUSES.get(error.code)
    if status is not None:
        return CimError(status, str(error))
    failure = Failure.INVALID_STATE if error.code in WRONG_STATE else Failure.FAILED
    return MethodError(failure, str(error), error.code, tuple(map(str, error.parameters)))
