"""Jobs (DSP1103): the tasks of the Xen-API that were begun through CIM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cim_provider import Instance
from xen_providers.conversions import in_table, moment, xen_id
from xen_providers.hosts import HOST_COMPUTER_SYSTEM
from xen_providers.mapping.declaration import (
    AnyOf,
    Mapped,
    MappedClass,
    association,
    boolean,
    datetime_,
    embedded,
    key,
    string,
    strings,
    uint16,
    uint16s,
)
from xen_providers.mapping.expressions import computed, constant
from xen_providers.methods.embedded import parse_name
from xen_providers.methods.job_control import JOB_METHODS, delete_job
from xen_providers.methods.outcomes import WRONG_STATE
from xen_providers.methods.state_changes import (
    AFFECTED_HOST,
    AFFECTED_VM,
    INVALID_TRANSITION,
    JOB_CLASS,
    LEFT_TO_XEN,
    REQUESTED,
)
from xen_providers.methods.work import JOB, METHOD, RESULT, TARGET
from xen_providers.virtual_systems import COMPUTER_SYSTEM
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

KEPT = timedelta(minutes=65)
"""How long servers keep a finished task."""


def _percent(progress: Any, status: str | None) -> int:
    """Return how much is done: from 0 to 1 in today's Xen-API, from 0 to 100 (an integer, so a string) in 1.0."""
    if status == "success":
        return 100
    percent = float(progress) if isinstance(progress, str) else float(progress or 0) * 100
    return max(0, min(100, round(percent)))


def _error_code(status: str | None, error_info: Sequence[str] | None, requested: str | None) -> int | None:
    if status != "failure":
        return 0 if status == "success" else None
    code = error_info[0] if error_info else ""
    is_transition = requested is not None and requested not in LEFT_TO_XEN
    return INVALID_TRANSITION if is_transition and code in WRONG_STATE else FAILED


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


def result(name: str) -> str:
    """Return the path of a property that the work of a job fills."""
    return f"other_config/{RESULT}{name}"


def _lines(text: str) -> list[str]:
    return text.split("\n")


MANAGEMENT_JOB = "Xen_VirtualSystemManagementServiceJob"

KINDS: Mapping[str, tuple[str, str, Mapping[str, Mapped]]] = {
    JOB_CLASS: ("Xen_Job", "Change of the state of a system", {}),
    "Xen_VirtualSystemModifyResourcesJob": (
        MANAGEMENT_JOB,
        "Change of the resources of a virtual machine",
        {"AffectedResources": strings(result("AffectedResources"), _lines)},
    ),
    "Xen_VirtualSystemCreateJob": (
        MANAGEMENT_JOB,
        "Making of a virtual machine",
        {"ResultingSystem": string(result("ResultingSystem"))},
    ),
    "Xen_VirtualSystemMigrationServiceJob": ("Xen_Job", "Migration of a virtual machine", {}),
    "Xen_ConnectToDiskImageJob": (
        "Xen_Job",
        "Opening of a disk image for transfer",
        {
            "TargetURI": string(result("TargetURI")),
            "SSLCertificate": string(result("SSLCertificate")),
            "ConnectionHandle": string(result("ConnectionHandle")),
        },
    ),
    "Xen_DisconnectFromDiskImageJob": ("Xen_Job", "Closing of a disk image", {}),
    "Xen_StartSnapshotForestExportJob": (
        "Xen_Job",
        "Opening of the snapshots of a virtual machine for transfer",
        {
            "MetadataURI": string(result("MetadataURI")),
            "DiskImageURIs": strings(result("DiskImageURIs"), _lines),
            "SSLCertificates": strings(result("SSLCertificates"), _lines),
            "ExportConnectionHandle": string(result("ExportConnectionHandle")),
        },
    ),
    "Xen_EndSnapshotForestExportJob": ("Xen_Job", "Closing of the snapshots of a virtual machine", {}),
}
"""The classes of jobs: superclass, caption, and what the work of the job fills."""


def _job(name: str, superclass: str, caption: str, results: Mapping[str, Mapped]) -> MappedClass:
    return MappedClass(
        name,
        superclass,
        source="task",
        where=computed(lambda mark: mark == name, f"other_config/{JOB}"),
        properties={
            "InstanceID": key(string("uuid", xen_id)),
            "Name": string("name_label"),
            "Caption": string(constant(caption)),
            "ElementName": string(computed(lambda text, label: text or label, "name_description", "name_label")),
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
            **results,
        },
        methods=JOB_METHODS,
        delete=delete_job,
    )


JOBS = tuple(_job(name, *kind) for name, kind in KINDS.items())
JOB_OF_ANY_KIND = AnyOf("Xen_Job", JOBS)

STATE_CHANGE_JOB = next(each for each in JOBS if each.name == JOB_CLASS)

SYSTEMS_JOBS = tuple(
    association(
        f"{system.name}{kind}",
        f"Xen_{kind}",
        source="task",
        ends={of_system: (system, f"other_config/{named}"), of_job: (job, "")},
    )
    for kind, of_system, of_job, job in (
        ("AffectedJobElement", "AffectedElement", "AffectingElement", JOB_OF_ANY_KIND),
        ("OwningJobElement", "OwningElement", "OwnedElement", STATE_CHANGE_JOB),
    )
    for system, named in ((COMPUTER_SYSTEM, AFFECTED_VM), (HOST_COMPUTER_SYSTEM, AFFECTED_HOST))
)
"""Systems, the jobs that change them, and those that their own methods began; services have theirs in services.py."""


def _method_call(status: str | None, method: str | None, target: str | None, error: int | None) -> Instance | None:
    """Return what became of the method that began a job, as far as the job has ended."""
    called = parse_name(target or "")
    if status not in JOB_STATE or method is None or called is None:
        return None
    return Instance(
        "CIM_InstMethodCall",
        {
            "MethodName": method,
            "PreCall": False,
            "ReturnValue": str(FAILED if error is None else error),
            "SourceInstance": Instance(called.class_name, dict(called.keys)),
            "SourceInstanceModelPath": target,
        },
    )


METHOD_RESULT = MappedClass(
    "Xen_MethodResult",
    "CIM_MethodResult",
    source="task",
    where=computed(lambda job, method: job in KINDS and bool(method), f"other_config/{JOB}", f"other_config/{METHOD}"),
    properties={
        "InstanceID": key(string("uuid", xen_id)),
        "Caption": string(constant("Outcome of the method that began a job")),
        "ElementName": string(f"other_config/{METHOD}"),
        "PostCallIndication": embedded(
            "CIM_InstMethodCall",
            computed(
                lambda status, info, requested, method, target: _method_call(
                    status, method, target, _error_code(status, info, requested)
                ),
                "status",
                "error_info",
                f"other_config/{REQUESTED}",
                f"other_config/{METHOD}",
                f"other_config/{TARGET}",
            ),
        ),
    },
)

ASSOCIATED_JOB_METHOD_RESULT = association(
    "Xen_AssociatedJobMethodResult",
    "CIM_AssociatedJobMethodResult",
    source="task",
    ends={"Job": (JOB_OF_ANY_KIND, ""), "JobParameters": (METHOD_RESULT, "")},
)

CLASSES = (*JOBS, *SYSTEMS_JOBS, METHOD_RESULT, ASSOCIATED_JOB_METHOD_RESULT)
