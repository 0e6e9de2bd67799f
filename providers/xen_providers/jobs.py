"""Jobs (DSP1103): the tasks of the Xen-API that were begun through CIM."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from xen_providers.conversions import in_table, moment, xen_id
from xen_providers.declaration import MappedClass, association, boolean, datetime_, key, string, uint16, uint16s
from xen_providers.expressions import computed, constant
from xen_providers.hosts import HOST_COMPUTER_SYSTEM
from xen_providers.methods import Call
from xen_providers.state_changes import (
    AFFECTED_HOST,
    AFFECTED_VM,
    INVALID_TRANSITION,
    JOB_CLASS,
    LEFT_TO_XEN,
    REQUESTED,
)
from xen_providers.virtual_systems import COMPUTER_SYSTEM
from xen_providers.work import JOB
from xenapi_client import XenApiError

RUNNING, COMPLETED, TERMINATED, EXCEPTION = 4, 7, 8, 10
JOB_STATE = {"success": COMPLETED, "failure": EXCEPTION, "cancelled": TERMINATED}
"""By task.status; a task that is pending or cancelling is Running, which clients know as still going."""

OK, ERROR, STOPPED, JOB_COMPLETED = 2, 6, 10, 17
OPERATIONAL_STATUS = {
    "success": [JOB_COMPLETED, OK],
    "failure": [JOB_COMPLETED, ERROR],
    "cancelled": [JOB_COMPLETED, STOPPED],
}
STATUS = {"success": "OK", "failure": "Error", "cancelled": "Stopped"}

FAILED = 4
WRONG_STATE = ("VM_BAD_POWER_STATE", "OPERATION_NOT_ALLOWED")
"""Errors of the Xen-API that say: not in this state."""

KEPT = timedelta(minutes=65)
"""How long servers keep a finished task."""


def _percent(progress: Any, status: str | None) -> int:
    """Return how much is done: from 0 to 1 in today's Xen-API, from 0 to 100 (an integer, so a string) in 1.0."""
    if status == "success":
        return 100
    percent = float(progress) if isinstance(progress, str) else float(progress or 0) * 100
    return max(0, min(100, round(percent)))


def _error_code(status: str | None, error_info: Sequence[str] | None, requested: str | None) -> int | None:
    if status == "success":
        return 0
    if status != "failure":
        return 0 if status == "success" else None
    code = error_info[0] if error_info else ""
    left_to_xen = requested in LEFT_TO_XEN
    return INVALID_TRANSITION if code in WRONG_STATE and not left_to_xen else FAILED


def _error_description(status: str | None, error_info: Sequence[str] | None) -> str | None:
    if status != "failure":
        return None
    code, *parameters = error_info or ["INTERNAL_ERROR"]
    return str(XenApiError(code, parameters))


def _last_change(status: str | None, created: datetime | None, finished: datetime | None) -> datetime | None:
    time = finished if status in JOB_STATE else created
    return None if time is None else moment(time)


def _elapsed(status: str | None, created: datetime | None, finished: datetime | None) -> timedelta | None:
    if status not in JOB_STATE or created is None or finished is None or finished < created:
        return None
    return finished - created


async def delete_job(call: Call) -> None:
    """Remove a job with its task."""
    await call.xen("task.destroy", call.ref)
    await call.replica.settle("task", call.ref)


SYSTEM_STATE_CHANGE_JOB = MappedClass(
    JOB_CLASS,
    "Xen_Job",
    source="task",
    where=computed(lambda mark: mark == JOB_CLASS, f"other_config/{JOB}"),
    properties={
        "InstanceID": key(string("uuid", xen_id)),
        "Name": string("name_label"),
        "Caption": string(constant("Change of the state of a system")),
        "ElementName": string(computed(lambda text, name: text or name, "name_description", "name_label")),
        "Description": string("name_description"),
        "JobState": uint16("status", in_table(JOB_STATE, RUNNING)),
        "JobStatus": string("status"),
        "OperationalStatus": uint16s("status", in_table(OPERATIONAL_STATUS, [OK])),
        "Status": string("status", in_table(STATUS, "OK")),
        "PercentComplete": uint16(computed(_percent, "progress", "status")),
        "ErrorCode": uint16(computed(_error_code, "status", "error_info", f"other_config/{REQUESTED}")),
        "ErrorDescription": string(computed(_error_description, "status", "error_info")),
        "StartTime": datetime_("created", moment),
        "TimeSubmitted": datetime_("created", moment),
        "TimeOfLastStateChange": datetime_(computed(_last_change, "status", "created", "finished")),
        "ElapsedTime": datetime_(computed(_elapsed, "status", "created", "finished")),
        "TimeBeforeRemoval": datetime_(constant(KEPT)),
        "DeleteOnCompletion": boolean(constant(True)),
    },
    delete=delete_job,
)


SYSTEMS_JOBS = tuple(
    association(
        f"{system.name}{kind}",
        f"Xen_{kind}",
        source="task",
        ends={of_system: (system, f"other_config/{named}"), of_job: (SYSTEM_STATE_CHANGE_JOB, "")},
    )
    for kind, of_system, of_job in (
        ("AffectedJobElement", "AffectedElement", "AffectingElement"),
        ("OwningJobElement", "OwningElement", "OwnedElement"),
    )
    for system, named in ((COMPUTER_SYSTEM, AFFECTED_VM), (HOST_COMPUTER_SYSTEM, AFFECTED_HOST))
)
"""Systems and the jobs that change them. It is a method of the system that begins a job, so the job is the system's."""

CLASSES = (SYSTEM_STATE_CHANGE_JOB, *SYSTEMS_JOBS)
