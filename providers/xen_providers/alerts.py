"""Alert indications (DSP1054): what the Xen-API's messages to people say to those who watch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime

import structlog

from cim_provider import ClassDeclaration, Indication, Instance, InstanceName, Property, Value
from xen_providers.conversions import NAMESPACE
from xen_providers.hosts import HOST_COMPUTER_SYSTEM
from xen_providers.indications import Sink
from xen_providers.mapping.declaration import MappedClass
from xen_providers.mapping.view import XenView
from xen_providers.pools import HOST_POOL
from xen_providers.storage import DISK_IMAGE, STORAGE_POOL
from xen_providers.virtual_systems import COMPUTER_SYSTEM, COMPUTER_SYSTEM_SNAPSHOT, COMPUTER_SYSTEM_TEMPLATE
from xenapi_client import Change, Operation, Record

log = structlog.get_logger(__name__)

MESSAGE = "message"
"""The Xen-API class of messages."""

PROPERTIES: Mapping[str, tuple[str, ...]] = {
    "datetime": ("IndicationTime", "EventTime"),
    "string": (
        "IndicationIdentifier",
        "AlertingManagedElement",
        "OtherAlertingElementFormat",
        "OtherAlertType",
        "ProbableCauseDescription",
        "EventID",
        "Description",
        "Message",
        "MessageID",
        "OwningEntity",
        "ProviderName",
    ),
    "uint16": ("PerceivedSeverity", "AlertType", "ProbableCause", "AlertingElementFormat"),
}
"""By type."""

ALERT = ClassDeclaration(
    "Xen_AlertIndication",
    "CIM_AlertIndication",
    {name: Property(type_) for type_, names in PROPERTIES.items() for name in names},
    is_indication=True,
)

SUBJECTS: Mapping[str, tuple[str, tuple[MappedClass, ...]]] = {
    "VM": ("VM", (COMPUTER_SYSTEM, COMPUTER_SYSTEM_TEMPLATE, COMPUTER_SYSTEM_SNAPSHOT)),
    "Host": ("host", (HOST_COMPUTER_SYSTEM,)),
    "Pool": ("pool", (HOST_POOL,)),
    "SR": ("SR", (STORAGE_POOL,)),
    "VDI": ("VDI", (DISK_IMAGE,)),
}
"""By message.cls: the Xen-API class, and the CIM classes that may have an instance of the object."""

INFORMATION, DEGRADED, MAJOR, CRITICAL = 2, 3, 5, 6
SEVERITIES: Mapping[int, int] = {1: CRITICAL, 2: MAJOR, 3: DEGRADED, 4: INFORMATION, 5: INFORMATION}
"""By message.priority, whose words in xapi are: data loss, service loss, degraded, recovered, informational."""

OTHER = 1
PROCESSING_ERROR, QUALITY_OF_SERVICE = 4, 3
PROGRAM_TERMINATED, THRESHOLD_CROSSED = 48, 52
CAUSES: Mapping[str, tuple[int, int]] = {
    "ALARM": (QUALITY_OF_SERVICE, THRESHOLD_CROSSED),
    "VM_CRASHED": (PROCESSING_ERROR, PROGRAM_TERMINATED),
}
"""By message.name: AlertType and ProbableCause, where DMTF has a word for it."""

OBJECT_PATH = 2


class Alerts:
    """Those who watch for alerts, and how they are told."""

    def __init__(self) -> None:
        self._sinks: list[Sink] = []

    def watch(self, classes: Collection[str], sink: Sink) -> Callable[[], None]:
        """Tell ``sink`` of alerts, if these classes have them, until the result is called."""
        if ALERT.name.lower() not in {each.lower() for each in classes}:
            return lambda: None
        watching = [sink]
        self._sinks.append(sink)

        def end() -> None:
            if watching:
                self._sinks.remove(watching.pop())

        return end

    def tell(self, changes: Iterable[Change], view: XenView, moment: datetime) -> None:
        """Raise an alert for each message that came."""
        if not self._sinks:
            return
        for each in changes:
            if each.cls == MESSAGE and each.operation is Operation.ADD and each.after is not None:
                alert = Indication(Instance(ALERT.name, _properties(each.after, view, moment)))
                for sink in list(self._sinks):
                    try:
                        sink(alert)
                    except Exception:
                        log.exception("sink_failed", indication=ALERT.name)


def _properties(message: Record, view: XenView, moment: datetime) -> dict[str, Value]:
    name = message["name"]
    kind, cause = CAUSES.get(name, (OTHER, OTHER))
    properties: dict[str, Value] = {
        "IndicationIdentifier": f"urn:uuid:{message['uuid']}",
        "IndicationTime": moment,
        "EventTime": message["timestamp"],
        "PerceivedSeverity": SEVERITIES.get(int(message["priority"]), 0),
        "AlertType": kind,
        "ProbableCause": cause,
        "ProbableCauseDescription": name,
        "EventID": name,
        "Description": message["body"],
        "Message": message["body"],
        "MessageID": name,
        "OwningEntity": "Xen-API",
        "ProviderName": "xen-cim",
    }
    if kind == OTHER:
        properties["OtherAlertType"] = "Message of the Xen-API"
    about = _element(message, view)
    if about is not None:
        properties["AlertingManagedElement"] = str(about.within(NAMESPACE))
        properties["AlertingElementFormat"] = OBJECT_PATH
    else:
        properties["AlertingManagedElement"] = f"{message['cls']}/{message['obj_uuid']}"
        properties["AlertingElementFormat"] = OTHER
        properties["OtherAlertingElementFormat"] = "Xen-API class and uuid"
    return properties


def _element(message: Record, view: XenView) -> InstanceName | None:
    """Return the name of what a message is about; None if CIM does not show it."""
    cls, classes = SUBJECTS.get(message["cls"], ("", ()))
    found = view.find(cls, message["obj_uuid"]) if cls else None
    names = (view.name_of(each, found[0]) for each in classes if found is not None)
    return next((name for name in names if name is not None), None)
