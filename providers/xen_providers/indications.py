"""Lifecycle indications (DSP1054): what a change between two views means to those who watch."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import structlog

from cim_provider import ClassDeclaration, Indication, Instance, InstanceName, Property, Value
from xen_providers.conversions import NAMESPACE
from xen_providers.declaration import MappedClass
from xen_providers.table import Step
from xen_providers.virtual_systems import COMPUTER_SYSTEM

log = structlog.get_logger(__name__)

Sink = Callable[[Indication], None]


class Lifecycle(Enum):
    """What can happen to an instance: the DMTF class of the indication."""

    CREATION = "CIM_InstCreation"
    DELETION = "CIM_InstDeletion"
    MODIFICATION = "CIM_InstModification"


@dataclass(frozen=True)
class LifecycleIndication:
    """An indication class: what happens to the instances of which class."""

    name: str
    subject: MappedClass
    lifecycle: Lifecycle

    @property
    def declaration(self) -> ClassDeclaration:
        """What a host is told of the class."""
        properties = {
            "IndicationIdentifier": Property("string"),
            "IndicationTime": Property("datetime"),
            "SourceInstance": Property("string", embedded=self.subject.name),
            "SourceInstanceModelPath": Property("string"),
        }
        if self.lifecycle is Lifecycle.MODIFICATION:
            properties["PreviousInstance"] = Property("string", embedded=self.subject.name)
        return ClassDeclaration(self.name, self.lifecycle.value, properties, is_indication=True)


INDICATIONS = (
    LifecycleIndication("Xen_ComputerSystemCreation", COMPUTER_SYSTEM, Lifecycle.CREATION),
    LifecycleIndication("Xen_ComputerSystemDeletion", COMPUTER_SYSTEM, Lifecycle.DELETION),
    LifecycleIndication("Xen_ComputerSystemModification", COMPUTER_SYSTEM, Lifecycle.MODIFICATION),
)


class Watchers:
    """Those who watch, and how they are told."""

    def __init__(self, indications: Sequence[LifecycleIndication]) -> None:
        self._indications = {each.name.lower(): each for each in indications}
        self._sinks: dict[LifecycleIndication, list[Sink]] = defaultdict(list)

    def watch(self, classes: Collection[str], sink: Sink) -> Callable[[], None]:
        """Tell ``sink`` of the indications of these classes until the result is called."""
        watched = [each for name in classes if (each := self._indications.get(name.lower())) is not None]
        for each in watched:
            self._sinks[each].append(sink)

        def end() -> None:
            for each in watched:
                if sink in self._sinks[each]:
                    self._sinks[each].remove(sink)
            watched.clear()

        return end

    @property
    def subjects(self) -> set[str]:
        """The classes, in lower case, whose instances somebody watches."""
        return {each.subject.name.lower() for each, sinks in self._sinks.items() if sinks}

    def tell(self, steps: Mapping[str, Sequence[Step]], moment: datetime) -> None:
        """Raise what a change between two views means; classes that nobody watches cost nothing."""
        watched: dict[str, list[LifecycleIndication]] = defaultdict(list)
        for each, sinks in self._sinks.items():
            if sinks:
                watched[each.subject.name.lower()].append(each)
        for name, kinds in watched.items():
            for lifecycle, before, after in _differences(steps.get(name, ())):
                for kind in kinds:
                    if kind.lifecycle is lifecycle:
                        self._raise(kind, _indication(kind, before, after, moment))

    def _raise(self, kind: LifecycleIndication, indication: Indication) -> None:
        for sink in list(self._sinks[kind]):
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
    return Indication(Instance(kind.name, properties))


def _model_path(name: InstanceName | None) -> str | None:
    return None if name is None else str(name.within(NAMESPACE))
