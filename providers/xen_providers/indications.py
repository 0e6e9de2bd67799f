"""Lifecycle indications (DSP1054): what a change between two views means to those who watch."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import structlog

from cim_provider import ClassDeclaration, Indication, Instance, InstanceName, Property, Value
from xen_providers.conversions import NAMESPACE
from xen_providers.mapping.declaration import MappedClass
from xen_providers.mapping.table import Step

log = structlog.get_logger(__name__)

Sink = Callable[[Indication], None]


class Lifecycle(Enum):
    """What can happen to an instance: the DMTF class of the indication."""

    CREATION = "CIM_InstCreation"
    DELETION = "CIM_InstDeletion"
    MODIFICATION = "CIM_InstModification"


SUBJECTS: Mapping[str, tuple[str, frozenset[str]]] = {
    "Xen_ComputerSystem": ("CIM_ComputerSystem", frozenset({"Xen_ComputerSystem"})),
    "Xen_HostComputerSystem": ("CIM_ComputerSystem", frozenset({"Xen_HostComputerSystem"})),
    "Xen_VirtualSwitch": ("CIM_ComputerSystem", frozenset({"Xen_VirtualSwitch"})),
    "Xen_ComputerSystemSnapshot": ("CIM_VirtualSystemSettingData", frozenset({"Xen_ComputerSystemSnapshot"})),
    "Xen_VirtualSystemSettingData": (
        "CIM_VirtualSystemSettingData",
        frozenset({"Xen_ComputerSystemSettingData", "Xen_ComputerSystemTemplate", "Xen_VirtualSwitchSettingData"}),
    ),
    "Xen_ResourceAllocationSettingData": (
        "CIM_ResourceAllocationSettingData",
        frozenset(
            {
                "CIM_EthernetPortAllocationSettingData",
                "CIM_ResourceAllocationSettingData",
                "CIM_StorageAllocationSettingData",
            }
        ),
    ),
    "Xen_LogicalDevice": (
        "CIM_LogicalDevice",
        frozenset(
            {
                "CIM_DiskDrive",
                "CIM_LogicalDevice",
                "CIM_LogicalDisk",
                "CIM_Memory",
                "CIM_NetworkPort",
                "CIM_Processor",
                "CIM_StorageExtent",
            }
        ),
    ),
    "Xen_ResourcePool": ("CIM_ResourcePool", frozenset({"CIM_ResourcePool"})),
    "Xen_Job": ("CIM_ConcreteJob", frozenset({"Xen_Job", "Xen_VirtualSystemManagementServiceJob"})),
    "Xen_ComputerSystemMigrationJob": ("CIM_ConcreteJob", frozenset({"Xen_VirtualSystemMigrationServiceJob"})),
}
"""What the names of indications begin with: the class that their instances have in common, and which classes these are,
by their own name or that of their superclass."""

STYLES: Sequence[Mapping[Lifecycle, str]] = (
    {
        Lifecycle.CREATION: "Creation",
        Lifecycle.DELETION: "Deletion",
        Lifecycle.MODIFICATION: "Modification",
    },
    {
        Lifecycle.CREATION: "CreatedIndication",
        Lifecycle.DELETION: "DeletedIndication",
        Lifecycle.MODIFICATION: "ModifiedIndication",
    },
)
"""What the names of indications end with: as in xs-cim, and as in libvirt-cim."""


@dataclass(frozen=True)
class LifecycleIndication:
    """An indication class: what happens to the instances of which classes."""

    name: str
    common: str
    """The class that the instances have in common."""
    subjects: frozenset[str]
    """Their classes, by name or by superclass."""
    lifecycle: Lifecycle

    @property
    def declaration(self) -> ClassDeclaration:
        """What a host is told of the class."""
        properties = {
            "IndicationIdentifier": Property("string"),
            "IndicationTime": Property("datetime"),
            "SourceInstance": Property("string", embedded=self.common),
            "SourceInstanceModelPath": Property("string"),
        }
        if self.lifecycle is Lifecycle.MODIFICATION:
            properties["PreviousInstance"] = Property("string", embedded=self.common)
            properties["ChangedPropertyNames"] = Property("string", array=True)
        return ClassDeclaration(self.name, self.lifecycle.value, properties, is_indication=True)

    def is_about(self, mapped: MappedClass) -> bool:
        """Whether it tells of the instances of a class."""
        return not self.subjects.isdisjoint((mapped.name, mapped.superclass))


INDICATIONS = tuple(
    LifecycleIndication(stem + end, common, subjects, lifecycle)
    for style in STYLES
    for stem, (common, subjects) in SUBJECTS.items()
    for lifecycle, end in style.items()
)
"""In this order one who would be told of a change under several names is told under the first."""


def told_once(indications: Iterable[LifecycleIndication], classes: Collection[MappedClass]) -> list[str]:
    """Return names under which one is told once of everything that happens to the instances of these classes."""
    names: list[str] = []
    told: set[tuple[str, Lifecycle]] = set()
    for each in indications:
        about = {(one.name, each.lifecycle) for one in classes if each.is_about(one)}
        if not about <= told:
            names.append(each.name)
            told |= about
    return names


class Watchers:
    """Those who watch, and how they are told."""

    def __init__(self, indications: Sequence[LifecycleIndication], classes: Iterable[MappedClass]) -> None:
        mapped = list(classes)
        self._subjects = {each: [one.name.lower() for one in mapped if each.is_about(one)] for each in indications}
        self._sinks: dict[str, dict[LifecycleIndication, list[Sink]]] = {}
        """By class, in lower case; only of what somebody watches."""

    def watch(self, classes: Collection[str], sink: Sink) -> Callable[[], None]:
        """Tell ``sink`` of the indications of these classes until the result is called: once of each change."""
        wanted = {each.lower() for each in classes}
        watched: dict[tuple[str, Lifecycle], LifecycleIndication] = {}
        for kind, subjects in self._subjects.items():
            if kind.name.lower() in wanted:
                for subject in subjects:
                    watched.setdefault((subject, kind.lifecycle), kind)
        for (subject, _), kind in watched.items():
            self._sinks.setdefault(subject, {}).setdefault(kind, []).append(sink)

        def end() -> None:
            for (subject, _), kind in watched.items():
                kinds = self._sinks[subject]
                kinds[kind].remove(sink)
                if not kinds[kind]:
                    del kinds[kind]
                if not kinds:
                    del self._sinks[subject]
            watched.clear()

        return end

    @property
    def subjects(self) -> Collection[str]:
        """The classes, in lower case, whose instances somebody watches."""
        return self._sinks.keys()

    def tell(self, steps: Mapping[str, Sequence[Step]], moment: datetime) -> None:
        """Raise what a change between two views means; classes that nobody watches cost nothing."""
        for subject, kinds in list(self._sinks.items()):
            by_lifecycle: dict[Lifecycle, list[tuple[LifecycleIndication, list[Sink]]]] = defaultdict(list)
            for kind, sinks in kinds.items():
                by_lifecycle[kind.lifecycle].append((kind, list(sinks)))
            for lifecycle, before, after in _differences(steps.get(subject, ())):
                for kind, sinks in by_lifecycle[lifecycle]:
                    _raise(kind, _indication(kind, before, after, moment), sinks)


def _raise(kind: LifecycleIndication, indication: Indication, sinks: Iterable[Sink]) -> None:
    for sink in sinks:
        try:
            sink(indication)
        except Exception:
            log.exception("sink_failed", indication=kind.name)


def _differences(steps: Sequence[Step]) -> Iterator[tuple[Lifecycle, Instance | None, Instance]]:
    """Yield what happened to instances: how, the instance before a modification, and the instance that it is about."""
    for old, new in steps:
        if old is None and new is not None:
            yield Lifecycle.CREATION, None, new.instance
        elif new is None and old is not None:
            yield Lifecycle.DELETION, None, old.instance
        elif old is not None and new is not None and old.instance.name != new.instance.name:
            # An object that is called otherwise from now on: to clients one instance went and another came.
            yield Lifecycle.DELETION, None, old.instance
            yield Lifecycle.CREATION, None, new.instance
        elif old is not None and new is not None and not new.compiled.same_state(old.instance, new.instance):
            yield Lifecycle.MODIFICATION, old.instance, new.instance


def _indication(kind: LifecycleIndication, before: Instance | None, after: Instance, moment: datetime) -> Indication:
    properties: dict[str, Value] = {
        "IndicationIdentifier": f"urn:uuid:{uuid.uuid4()}",
        "IndicationTime": moment,
        "SourceInstance": after,
        "SourceInstanceModelPath": _model_path(after.name),
    }
    if before is not None:
        properties["PreviousInstance"] = before
        properties["ChangedPropertyNames"] = _changed(before.properties, after.properties)
    return Indication(Instance(kind.name, properties))


def _changed(before: Mapping[str, Value], after: Mapping[str, Value]) -> list[str]:
    return [name for name in {**before, **after} if before.get(name) != after.get(name)]


def _model_path(name: InstanceName | None) -> str | None:
    return None if name is None else str(name.within(NAMESPACE))
