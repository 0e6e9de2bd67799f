"""Metrics (DSP1053): what is measured of hosts and virtual machines, and the newest values.

A value exists while its element can be measured. What exists follows from states alone and never from a sample, so that
nobody has to wait for samples but who reads values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cim_provider import InstanceName
from xen_providers.conversions import moment
from xen_providers.mapping.declaration import (
    AnyOf,
    Destination,
    MappedClass,
    association,
    boolean,
    datetime_,
    key,
    string,
    uint16,
    uint16s,
)
from xen_providers.mapping.expressions import PART, POOL, Expression, computed, constant, joined, value
from xen_providers.memory import HOST_MEMORY, MEMORY
from xen_providers.networking import HOST_NETWORK_PORT, NETWORK_PORT
from xen_providers.processors import HOST_PROCESSOR, PROCESSOR
from xen_providers.services import MANAGES, METRIC_SERVICE
from xen_providers.storage import DISK

REAL64, UINT64 = 5, 13
SUMMABLE, NON_SUMMABLE = 2, 3
GAUGE, POINT_IN_TIME, PERIODIC = 4, 2, 3
ENABLED = 2


@dataclass(frozen=True)
class Unit:
    """What kind of number a metric is: its type, whether sums of it make sense, and the unit in the form of DSP0004."""

    data_type: int
    calculable: int
    programmatic: str


PERCENT = Unit(REAL64, NON_SUMMABLE, "percent")
BYTES = Unit(UINT64, SUMMABLE, "byte")
BYTES_PER_SECOND = Unit(UINT64, SUMMABLE, "byte / second")
MICROSECONDS = Unit(UINT64, NON_SUMMABLE, "second * 10^-6")


@dataclass(frozen=True)
class Metric:
    """A metric: its definition, and the class of its values."""

    definition: MappedClass
    value: MappedClass


@dataclass(frozen=True)
class Measured:
    """A class of elements that are measured."""

    element: MappedClass
    word: str
    """What associations call the elements."""
    base: str
    """What the names of the parents of definitions and values have in common."""
    system: str
    """The path of the name of the host or virtual machine that the element belongs to."""
    moment: str
    """The path of the moment at which it was measured."""
    now: Expression = constant(True)  # noqa: RUF009 (immutable)
    """Whether it can be measured at present."""

    def metric(self, name: str, title: str, unit: Unit, amount: Expression) -> Metric:
        """Declare a metric. ``title`` is its name for people, after that of the profile; ``amount`` gives its value."""
        definition = MappedClass(
            f"{name}Def",
            f"{self.base}MetricDefinition",
            source="pool",
            properties={
                "Id": key(string(constant(f"{name}Def"))),
                "Name": string(constant(title)),
                "ElementName": string(constant(title)),
                "DataType": uint16(constant(unit.data_type)),
                "Calculable": uint16(constant(unit.calculable)),
                "ProgrammaticUnits": string(constant(unit.programmatic)),
                "IsContinuous": boolean(constant(True)),
                "ChangeType": uint16(constant(GAUGE)),
                "TimeScope": uint16(constant(POINT_IN_TIME)),
                "GatheringType": uint16(constant(PERIODIC)),
            },
        )
        values = MappedClass(
            name,
            f"{self.base}MetricValue",
            self.element.source,
            where=joined(lambda exists, now: bool(exists) and bool(now), [self.element.where, self.now]),
            parts=self.element.parts,
            properties={
                "InstanceID": key(string(self.element.properties["DeviceID"].expression)),
                "MetricDefinitionId": string(constant(definition.name)),
                "MeasuredElementName": string(self.system),
                "ElementName": string(constant(title)),
                "MetricValue": string(amount),
                "TimeStamp": datetime_(self.moment, moment),
                "Volatile": boolean(constant(True)),
            },
        )
        return Metric(definition, values)


def _has_domain(power_state: str | None) -> bool:
    return power_state in ("Running", "Paused")


def _is_online(power_state: str | None, count: Any, number: int) -> bool:
    return _has_domain(power_state) and number < int(count or 0)


def _is_plugged(power_state: str | None, attached: bool | None, meter: str | None) -> bool:
    return _has_domain(power_state) and bool(attached) and meter is not None


def _percent(share: Any) -> str:
    return f"{100 * float(share):.2f}"


def _percent_of(shares: Mapping[str, Any] | None, number: int) -> str | None:
    share = (shares or {}).get(str(number))
    return None if share is None else _percent(share)


def _from_kib(rate: Any) -> str:
    return str(round(1024 * float(rate)))


def _rounded(amount: Any) -> str:
    return str(round(float(amount)))


def _used(total: Any, free: Any) -> str | None:
    return None if total is None or free is None else str(int(total) - int(free))


PLUGGED = computed(_is_plugged, "VM.power_state", "currently_attached", "metrics.uuid")
READ, WRITTEN = value("metrics.io_read_kbs", _from_kib), value("metrics.io_write_kbs", _from_kib)

PROCESSORS = Measured(
    PROCESSOR,
    "VirtualProcessor",
    "Xen_Processor",
    system="name_label",
    moment="metrics.last_updated",
    now=computed(_is_online, "power_state", "metrics.VCPUs_number", PART),
)
HOST_PROCESSORS = Measured(
    HOST_PROCESSOR,
    "HostProcessor",
    "Xen_HostProcessor",
    system="host.name_label",
    moment="host.metrics.last_updated",
)
MEMORIES = Measured(
    MEMORY,
    "Memory",
    "Xen_ComputerSystemMemory",
    system="name_label",
    moment="metrics.last_updated",
    now=value("power_state", _has_domain),
)
HOST_MEMORIES = Measured(
    HOST_MEMORY, "HostMemory", "Xen_HostMemory", system="name_label", moment="metrics.last_updated"
)
DISKS = Measured(DISK, "Disk", "Xen_Disk", system="VM.name_label", moment="metrics.last_updated", now=PLUGGED)
NETWORK_PORTS = Measured(
    NETWORK_PORT, "NetworkPort", "Xen_NetworkPort", system="VM.name_label", moment="metrics.last_updated", now=PLUGGED
)
HOST_NETWORK_PORTS = Measured(
    HOST_NETWORK_PORT,
    "HostNetworkPort",
    "Xen_NetworkPort",
    system="host.name_label",
    moment="metrics.last_updated",
    now=value("metrics.uuid", bool),
)

METRICS: Sequence[tuple[Measured, Sequence[Metric]]] = (
    (
        PROCESSORS,
        [
            PROCESSORS.metric(
                "Xen_ProcessorUtilization",
                "DMTF:DSP1044:CPUVSUtilized",
                PERCENT,
                computed(_percent_of, "metrics.VCPUs_utilisation", PART),
            )
        ],
    ),
    (
        HOST_PROCESSORS,
        [
            HOST_PROCESSORS.metric(
                "Xen_HostProcessorUtilization",
                "DMTF:DSP1044:CPUUtilized",
                PERCENT,
                value("utilisation", _percent),
            )
        ],
    ),
    (
        MEMORIES,
        [
            MEMORIES.metric(
                "Xen_ComputerSystemMemoryUsage",
                "DMTF:DSP1045:MemoryVSUsed",
                BYTES,
                value("metrics.memory_actual", str),
            )
        ],
    ),
    (
        HOST_MEMORIES,
        [
            HOST_MEMORIES.metric(
                "Xen_HostMemoryUsage",
                "DMTF:DSP1045:MemoryUsed",
                BYTES,
                computed(_used, "metrics.memory_total", "metrics.memory_free"),
            )
        ],
    ),
    (
        DISKS,
        [
            DISKS.metric("Xen_DiskReadThroughput", "DMTF:DSP1047:ReadThroughput", BYTES_PER_SECOND, READ),
            DISKS.metric("Xen_DiskWriteThroughput", "DMTF:DSP1047:WriteThroughput", BYTES_PER_SECOND, WRITTEN),
            DISKS.metric(
                "Xen_DiskReadLatency", "DMTF:DSP1047:ReadLatency", MICROSECONDS, value("read_latency", _rounded)
            ),
            DISKS.metric(
                "Xen_DiskWriteLatency", "DMTF:DSP1047:WriteLatency", MICROSECONDS, value("write_latency", _rounded)
            ),
        ],
    ),
    (
        NETWORK_PORTS,
        [
            NETWORK_PORTS.metric(
                "Xen_NetworkPortReceiveThroughput", "DMTF:DSP1050:ReceiveThroughput", BYTES_PER_SECOND, READ
            ),
            NETWORK_PORTS.metric(
                "Xen_NetworkPortTransmitThroughput", "DMTF:DSP1050:TransmitThroughput", BYTES_PER_SECOND, WRITTEN
            ),
        ],
    ),
    (
        HOST_NETWORK_PORTS,
        [
            HOST_NETWORK_PORTS.metric(
                "Xen_HostNetworkPortReceiveThroughput", "DMTF:DSP1050:ReceiveThroughput", BYTES_PER_SECOND, READ
            ),
            HOST_NETWORK_PORTS.metric(
                "Xen_HostNetworkPortTransmitThroughput", "DMTF:DSP1050:TransmitThroughput", BYTES_PER_SECOND, WRITTEN
            ),
        ],
    ),
)
"""What is measured of which elements."""


def _one_of(common: str, classes: Sequence[MappedClass], reference: str) -> Destination:
    """Return an end with an instance of one of some classes: of that which the part numbers, if there are several."""
    target = AnyOf(common, tuple(classes))
    if len(classes) == 1:
        return target, reference

    def choose(number: int, *found: Any) -> InstanceName | None:
        holds, name = found[2 * number : 2 * number + 2]
        return name if holds else None

    ends = [part for each in classes for part in (each.where, each.path)]
    return target, reference, joined(choose, [value(PART), *ends])


def _associations(measured: Measured, metrics: Sequence[Metric]) -> tuple[MappedClass, MappedClass, MappedClass]:
    """Declare what elements have to do with definitions and values, and these with each other."""
    element, source = (measured.element, ""), measured.element.source
    definition = _one_of(f"{measured.base}MetricDefinition", [each.definition for each in metrics], POOL)
    values = _one_of(f"{measured.base}MetricValue", [each.value for each in metrics], "")
    parts = constant(range(len(metrics))) if len(metrics) > 1 else None
    to_values = "" if measured.word.endswith("Processor") else "For"
    return (
        association(
            f"Xen_MetricDefFor{measured.word}",
            "Xen_MetricDefForME",
            source,
            {"Antecedent": element, "Dependent": definition},
            {"MetricCollectionEnabled": uint16(constant(ENABLED))},
            parts=parts,
        ),
        association(
            f"Xen_MetricFor{measured.word}",
            "Xen_MetricForME",
            source,
            {"Antecedent": element, "Dependent": values},
            parts=parts,
        ),
        association(
            f"Xen_MetricInstance{to_values}{measured.word}",
            "Xen_MetricInstance",
            source,
            {"Antecedent": definition, "Dependent": values},
            parts=parts,
        ),
    )


DEFINITIONS = tuple(metric.definition for _, metrics in METRICS for metric in metrics)
VALUES = tuple(metric.value for _, metrics in METRICS for metric in metrics)
ASSOCIATIONS = tuple(each for row in METRICS for each in _associations(*row))

SERVICE_AFFECTS_DEFINITION = association(
    "Xen_MetricServiceAffectsMetricDefinition",
    "Xen_ServiceAffectsElement",
    source="pool",
    ends={
        "AffectedElement": _one_of("CIM_BaseMetricDefinition", DEFINITIONS, ""),
        "AffectingElement": (METRIC_SERVICE, ""),
    },
    properties={"ElementEffects": uint16s(constant([MANAGES]))},
    parts=constant(range(len(DEFINITIONS))),
)

CLASSES = (*DEFINITIONS, *VALUES, *ASSOCIATIONS, SERVICE_AFFECTS_DEFINITION)
