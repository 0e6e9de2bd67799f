"""What can be done with a job (DSP1103): ask why it failed, stop it, remove it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cim_provider import Instance, Method, MethodResult, Parameter
from xen_providers.mapping.declaration import MappedMethod
from xen_providers.methods.call import Call
from xen_providers.methods.inputs import Inputs
from xen_providers.methods.outcomes import COMPLETED, STATE_CHANGE, Failure, MethodError, ReturnValues
from xen_providers.methods.state_changes import requested_state
from xenapi_client import XenApiError

TERMINATE, KILL = 4, 5
KILLING: ReturnValues = {Failure.FAILED: 4, Failure.INVALID_PARAMETER: 4, Failure.INVALID_STATE: 4}
"""Return values of KillJob, which knows no wrong state."""

OTHER_ERROR, HIGH = 1, 4
FAILED = 1


async def delete_job(call: Call) -> None:
    """Remove a job with its task."""
    await call.xen("task.destroy", call.ref)
    await call.replica.settle("task", call.ref)


async def _stop(call: Call) -> None:
    """Stop the work of a job, and wait until it is undone."""
    await call.xen("task.cancel", call.ref)
    await call.workshop.cancel(call.ref)
    await call.replica.settle("task", call.ref)


async def _request_state_change(call: Call, inputs: Inputs) -> MethodResult:
    """Stop a job: 4 (Terminate) and 5 (Kill) mean the same. No job can be suspended."""
    state = requested_state(inputs.get("RequestedState"))
    if state not in (TERMINATE, KILL):
        return MethodResult(STATE_CHANGE[Failure.INVALID_STATE if state in (2, 3, 6) else Failure.INVALID_PARAMETER])
    await _stop(call)
    return MethodResult(COMPLETED)


async def _kill(call: Call, inputs: Inputs) -> MethodResult:
    """Stop a job, and remove it if DeleteOnKill is true."""
    delete = inputs.flag("DeleteOnKill")
    if call.record["status"] == "pending":
        await _stop(call)
    elif not delete:
        raise MethodError(Failure.INVALID_STATE, "The job has ended.")
    if delete:
        await delete_job(call)
    return MethodResult(COMPLETED)


def _error(call: Call) -> Instance | None:
    """Return the error that a job failed with, as CIM_Error; None if it has not failed."""
    if call.record["status"] != "failure":
        return None
    code, *parameters = call.record["error_info"] or ["INTERNAL_ERROR"]
    return Instance(
        "CIM_Error",
        {
            "ErrorType": OTHER_ERROR,
            "OtherErrorType": "Error of the Xen-API",
            "OwningEntity": "Xen-API",
            "MessageID": code,
            "Message": str(XenApiError(code, parameters)),
            "MessageArguments": list(parameters),
            "PerceivedSeverity": HIGH,
            "CIMStatusCode": FAILED,
        },
    )


async def _get_error(call: Call, inputs: Inputs) -> MethodResult:
    error = _error(call)
    return MethodResult(COMPLETED, {} if error is None else {"Error": error})


async def _get_errors(call: Call, inputs: Inputs) -> MethodResult:
    error = _error(call)
    return MethodResult(COMPLETED, {} if error is None else {"Errors": [error]})


ERRORS = Parameter("string", array=True, embedded="CIM_Error", is_input=False, is_output=True)

JOB_METHODS: Mapping[str, MappedMethod] = {
    "RequestStateChange": MappedMethod(
        Method("uint32", {"RequestedState": Parameter("uint16"), "TimeoutPeriod": Parameter("datetime")}),
        _request_state_change,
        STATE_CHANGE,
    ),
    "KillJob": MappedMethod(Method("uint32", {"DeleteOnKill": Parameter("boolean")}), _kill, KILLING),
    "GetError": MappedMethod(Method("uint32", {"Error": replace(ERRORS, array=False)}), _get_error),
    "GetErrors": MappedMethod(Method("uint32", {"Errors": ERRORS}), _get_errors),
}
