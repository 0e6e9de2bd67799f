"""Views: what the provider serves at one version of the inventory, and how one view follows from another.

A view never changes. The next one is made from it and from the changes between the two versions of the inventory:
only instances that read something that changed are computed again, everything else is shared.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from cim_provider import Instance, InstanceName
from xen_providers.mapping.declaration import MappedClass
from xen_providers.mapping.expressions import FROM_ANYWHERE, POOL, Path, read_step
from xen_providers.mapping.reading import Observed, Reader, Samples, Times
from xen_providers.mapping.sources import LAST_CHANGE, TIMED
from xen_providers.mapping.table import Compiled, Index, IndexKey, Slot, Step, Table
from xenapi_client import Change, Operation, Record, Version

SEPARATORS = re.compile("[:/]")
"""What stands between the parts of a key, one of which is the uuid of the object."""


class Model:
    """The declared classes together, and what follows from all of them: who reads what."""

    def __init__(self, classes: Iterable[MappedClass]) -> None:
        self.classes = {each.name.lower(): Compiled(each) for each in classes}
        self.readers: dict[str, list[tuple[str, Path, frozenset[str]]]] = defaultdict(list)
        """By Xen-API class: the classes that read its records, by which references, and what they read there."""
        self.timed = {
            (cls, state): (reader := Reader(cls, [first]), reader.compiled(first))
            for cls, states in TIMED.items()
            for state, first in states.items()
        }
        self.sources = {cls for cls, _ in self.timed}
        self.sampled = {name: sampled for name, each in self.classes.items() if (sampled := each.reader.sampled)}
        """By CIM class: the Xen-API classes whose samples it shows."""
        for name, compiled in self.classes.items():
            self._learn(name, compiled.reader)

    def _learn(self, name: str, reader: Reader) -> None:
        for prefix in reader.prefixes:
            cls = reader.class_at(prefix)
            self.sources.add(cls)
            if not reader.is_derived(prefix):
                self.readers[cls].append((name, prefix, frozenset(reader.steps[prefix])))

    def touched(self, changes: Iterable[Change], view: XenView, names: Collection[str]) -> Mapping[str, Iterable[str]]:
        """Return by class the objects whose instances read something that changed, in ``view``, the one after it.

        Only classes among ``names`` (lower case) count.
        """
        touched: dict[str, dict[str, None]] = defaultdict(dict)
        for change in changes:
            before, after = change.before, change.after
            for name, prefix, steps in self.readers[change.cls]:
                if name not in names or (
                    change.operation is Operation.MOD
                    and before is not None
                    and after is not None
                    and all(read_step(before, step) == read_step(after, step) for step in steps)
                ):
                    continue
                touched[name].update(dict.fromkeys(view.referrers(name, prefix, change.ref)))
        return touched


class XenView:
    """One version of everything that is served (a cim_provider.View).

    The tables of classes and the indexes are made when they are first needed, so that what nobody asks for costs
    nothing, and are handed on from view to view.
    """

    def __init__(
        self,
        model: Model,
        observed: Observed,
        indexes: Mapping[IndexKey, Index] | None = None,
        tables: Mapping[str, Table] | None = None,
    ) -> None:
        self._model = model
        self._observed = observed
        self._indexes = dict(indexes or {})
        self._tables = dict(tables or {})

    @classmethod
    def first(cls, model: Model, version: Version, samples: Samples | None = None) -> XenView:
        """Make a view from nothing but a version of the inventory."""
        observed = Observed(version, samples=samples or {})
        times: dict[tuple[str, str], dict[str, Record]] = {}
        for (source, state), (reader, first) in model.timed.items():
            rows = ((ref, reader.row(observed, ref)) for ref in version.records(source))
            times[source, state] = {ref: {LAST_CHANGE: first(row)} for ref, row in rows if row is not None}
        return cls(model, replace(observed, times=times))

    @property
    def version(self) -> Version:
        """The version of the inventory that is shown."""
        return self._observed.version

    def following(
        self, version: Version, changes: Sequence[Change], moment: datetime, watched: Collection[str] = ()
    ) -> tuple[XenView, Mapping[str, Sequence[Step]]]:
        """Return the view after ``changes``, seen at ``moment``, and by class (lower case) the slots that differ.

        Of classes that nobody has asked for it is not known what differs, unless they are among ``watched``.
        """
        by_class: dict[str, list[Change]] = defaultdict(list)
        for change in changes:
            by_class[change.cls].append(change)
        self.prepare(watched)
        observed = replace(self._observed, version=version, times=self._times_after(version, by_class, moment))
        indexes = {
            key: index.renewed(by_class[key.cls]) if key.cls in by_class else index
            for key, index in self._indexes.copy().items()
        }
        tables = self._tables.copy()
        after = XenView(self._model, observed, indexes)
        steps: dict[str, Sequence[Step]] = {}
        for name, refs in self._model.touched(changes, after, tables).items():
            tables[name], steps[name] = tables[name].renewed(refs, partial(self._model.classes[name].slots, observed))
        after._tables.update(tables)
        return after, steps

    def sampled(self, samples: Samples) -> XenView:
        """Return the view with other samples; what shows none of those that differ is shared."""
        old = self._observed.samples
        newer = {cls for cls, records in samples.items() if old.get(cls) is not records}
        if not newer:
            return self
        shown = self._model.sampled
        tables = {name: table for name, table in self._tables.copy().items() if not newer & shown.get(name, set())}
        return XenView(self._model, replace(self._observed, samples=samples), self._indexes.copy(), tables)

    def _times_after(self, version: Version, changes: Mapping[str, Sequence[Change]], moment: datetime) -> Times:
        times = dict(self._observed.times)
        for (cls, state), (reader, first) in self._model.timed.items():
            known: dict[str, Record] | None = None
            for change in changes.get(cls, ()):
                before, after = change.before, change.after
                if before is not None and after is not None and read_step(before, state) == read_step(after, state):
                    continue
                if known is None:
                    known = dict(times[cls, state])
                if after is None:
                    known.pop(change.ref, None)
                elif before is None:
                    row = reader.row(Observed(version), change.ref)
                    known[change.ref] = {LAST_CHANGE: None if row is None else first(row)}
                else:
                    known[change.ref] = {LAST_CHANGE: moment}
            if known is not None:
                times[cls, state] = known
        return times

    def instances(self, class_name: str) -> Sequence[Instance]:
        """Return all instances of exactly this class; see cim_provider.View."""
        table = self._table(class_name.lower())
        return () if table is None else table.instances()

    def instance(self, name: InstanceName) -> Instance | None:
        """Return the instance with this name, or None. Keys that the class does not have are ignored."""
        slot = self._slot(name)
        return None if slot is None else slot.instance

    def record(self, name: InstanceName) -> tuple[str, Record] | None:
        """Return the object behind an instance: its reference and record."""
        slot = self._slot(name)
        if slot is None:
            return None
        record = self.version.get(slot.compiled.mapped.source, slot.ref)
        return None if record is None else (slot.ref, record)

    def find(self, cls: str, uuid: str) -> tuple[str, Record] | None:
        """Return the object of a Xen-API class with this uuid: its reference and record."""
        for ref in self._index(IndexKey(cls, "uuid")).find(uuid):
            record = self.version.get(cls, ref)
            if record is not None:
                return ref, record
        return None

    def has(self, mapped: MappedClass, ref: str) -> bool:
        """Say whether a class has an instance of an object."""
        return bool(self._slots(mapped.name.lower(), ref))

    def name_of(self, mapped: MappedClass, ref: str) -> InstanceName | None:
        """Return the name of the (first) instance that a class has of an object; None if it has none."""
        return next((slot.instance.name for slot in self._slots(mapped.name.lower(), ref)), None)

    def references(self, association: str, name: InstanceName, role: str | None = None) -> Sequence[Instance]:
        """Return the instances of an association class with ``name`` at an end; see cim_provider.View."""
        compiled = self._model.classes.get(association.lower())
        if compiled is None:
            return ()
        found: dict[tuple[str, Any], Instance] = {}
        for each in compiled.mapped.ends:
            if role is None or each.lower() == role.lower():
                slots = self._joining(compiled.mapped, each, name)
                found.update(((slot.ref, slot.part), slot.instance) for slot in slots)
        return list(found.values())

    def prepare(self, names: Iterable[str]) -> None:
        """Make the tables of some classes (lower case), as their first reader would."""
        for name in names:
            self._table(name)

    def _table(self, name: str) -> Table | None:
        """Return the table of a class (lower case)."""
        table = self._tables.get(name)
        compiled = self._model.classes.get(name)
        if table is not None or compiled is None:
            return table
        # Two threads may make it at once; both get the one that was there first.
        return self._tables.setdefault(name, Table.full(compiled, self._observed))

    def _slots(self, name: str, ref: str) -> tuple[Slot, ...]:
        """Return the slots of one object, without making a table for it."""
        table = self._tables.get(name)
        return self._model.classes[name].slots(self._observed, ref) if table is None else table.slots.get(ref, ())

    def _index(self, key: IndexKey) -> Index:
        index = self._indexes.get(key)
        if index is None:
            index = self._indexes[key] = Index.full(key, self.version.records(key.cls))
        return index

    def referrers(self, name: str, prefix: Path, ref: str) -> Iterable[str]:
        """Return the objects behind a class from which the references ``prefix`` lead to the object ``ref``."""
        reader = self._model.classes[name].reader
        refs: Iterable[str] = [ref]
        for end in range(len(prefix), 0, -1):
            cls, step = reader.class_at(prefix[: end - 1]), prefix[end - 1]
            if step in FROM_ANYWHERE:
                refs = self.version.records(cls)
            else:
                index = self._index(IndexKey(cls, step))
                refs = [source for target in refs for source in index.find(target)]
        return refs

    def _slot(self, name: InstanceName) -> Slot | None:
        """Return the place of the instance with this name."""
        compiled = self._model.classes.get(name.class_name.lower())
        if compiled is None:
            return None
        slots = self._joining_all(compiled.mapped, name) if compiled.mapped.ends else self._named(compiled.mapped, name)
        return next((slot for slot in slots if _names(name, slot.instance)), None)

    def _named(self, mapped: MappedClass, name: InstanceName) -> Iterator[Slot]:
        """Yield the places of the objects whose uuid is in a key; those of the pool need not be named by it."""
        refs: Iterable[str]
        if mapped.source == "pool":
            refs = self.version.records("pool")
        else:
            words = (word for key in mapped.keys for word in SEPARATORS.split(str(name.get(key))))
            index = self._index(IndexKey(mapped.source, "uuid"))
            refs = {ref: None for word in words for ref in index.find(word)}
        for ref in refs:
            yield from self._slots(mapped.name.lower(), ref)

    def _joining_all(self, mapped: MappedClass, name: InstanceName) -> Iterator[Slot]:
        """Yield the places of the pairs that have the end of ``name`` that is found the quickest."""
        role = min(mapped.ends, key=lambda each: (POOL in mapped.ends[each].prefix, len(mapped.ends[each].prefix)))
        target = name.get(role)
        return self._joining(mapped, role, target) if isinstance(target, InstanceName) else iter(())

    def _joining(self, mapped: MappedClass, role: str, name: InstanceName) -> Iterator[Slot]:
        """Yield the places of the pairs with ``name`` at the end ``role``."""
        end = mapped.ends[role]
        if name.class_name.lower() not in {each.name.lower() for each in end.classes}:
            return
        far = self._slot(name)
        if far is None:
            return
        for ref in self.referrers(mapped.name.lower(), end.prefix, far.ref):
            for slot in self._slots(mapped.name.lower(), ref):
                if _same(slot.instance.properties[role], far.instance.name):
                    yield slot


def _names(name: InstanceName, instance: Instance) -> bool:
    """Say whether a name has all keys of an instance, with their values."""
    if instance.name is None:
        return False
    return all(_same(value, name.get(key)) for key, value in instance.name.keys)


def _same(one: object, other: object) -> bool:
    if isinstance(one, InstanceName) and isinstance(other, InstanceName):
        return one.identity == other.identity
    return one == other
