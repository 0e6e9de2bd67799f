"""Views: what the provider serves at one version of the inventory, and how one view follows from another.

A view never changes. The next one is made from it and from the changes between the two versions of the inventory:
only instances that read something that changed are computed again, everything else is shared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TypeAlias

from cim_provider import Instance, InstanceName
from xen_providers.declaration import MappedClass
from xen_providers.expressions import Path, read_step
from xen_providers.reading import Reader, Times
from xen_providers.sources import LAST_CHANGE, TIMED
from xen_providers.table import Compiled, Index, IndexKey, Step, Table
from xenapi_client import Change, Operation, Record, Version

Indexes: TypeAlias = Mapping[IndexKey, Index]


class Model:
    """The declared classes together, and what follows from all of them: indexes, and who reads what."""

    def __init__(self, classes: Iterable[MappedClass]) -> None:
        self.classes = {each.name.lower(): Compiled(each) for each in classes}
        self.locators = {name: self._locator(compiled.mapped) for name, compiled in self.classes.items()}
        self.indexes: set[IndexKey] = {key for key in self.locators.values() if key is not None}
        self.readers: dict[str, list[tuple[str, Path, frozenset[str]]]] = defaultdict(list)
        """By Xen-API class: the classes that read its records, by which references, and what they read there."""
        self.timed = {
            (cls, state): (reader := Reader(cls, [first]), reader.compiled(first))
            for cls, states in TIMED.items()
            for state, first in states.items()
        }
        self.sources = {cls for cls, _ in self.timed}
        for name, compiled in self.classes.items():
            self._learn(name, compiled.reader)

    def _learn(self, name: str, reader: Reader) -> None:
        for prefix in reader.prefixes:
            cls = reader.class_at(prefix)
            self.sources.add(cls)
            if reader.is_timed(prefix):
                continue
            self.readers[cls].append((name, prefix, frozenset(reader.steps[prefix])))
            if prefix:
                self.indexes.add(IndexKey(reader.class_at(prefix[:-1]), prefix[-1]))

    def touched(self, changes: Iterable[Change], indexes: Indexes) -> Mapping[str, Iterable[str]]:
        """Return by class the objects whose instances read something that changed; ``indexes`` are the new ones."""
        touched: dict[str, dict[str, None]] = defaultdict(dict)
        for change in changes:
            before, after = change.before, change.after
            for name, prefix, steps in self.readers[change.cls]:
                if (
                    change.operation is Operation.MOD
                    and before is not None
                    and after is not None
                    and all(read_step(before, step) == read_step(after, step) for step in steps)
                ):
                    continue
                touched[name].update(dict.fromkeys(self.referrers(name, prefix, change.ref, indexes)))
        return touched

    def referrers(self, name: str, prefix: Path, ref: str, indexes: Indexes) -> Iterable[str]:
        """Return the objects behind a class from which the references ``prefix`` lead to the object ``ref``."""
        reader = self.classes[name].reader
        refs: Iterable[str] = [ref]
        for end in range(len(prefix), 0, -1):
            index = indexes[IndexKey(reader.class_at(prefix[: end - 1]), prefix[end - 1])]
            refs = [source for target in refs for source in index.find(target)]
        return refs

    @staticmethod
    def _locator(mapped: MappedClass) -> IndexKey | None:
        """Return the index on a key that tells instances apart; an association's are found by its ends."""
        if mapped.ends:
            return None
        keys = [IndexKey.of(mapped.source, each.expression) for each in mapped.keys.values()]
        return next((key for key in reversed(keys) if key is not None), None)


class XenView:
    """One version of everything that is served (a cim_provider.View)."""

    def __init__(
        self,
        model: Model,
        version: Version,
        times: Times,
        indexes: Indexes,
        tables: Mapping[str, Table],
    ) -> None:
        self.version = version
        self._model = model
        self._times = times
        self._indexes = indexes
        self._tables = tables

    @classmethod
    def first(cls, model: Model, version: Version) -> XenView:
        """Make a view from nothing but a version of the inventory."""
        times: dict[tuple[str, str], dict[str, Record]] = {}
        for (source, state), (reader, first) in model.timed.items():
            rows = ((ref, reader.row(version, {}, ref)) for ref in version.records(source))
            times[source, state] = {ref: {LAST_CHANGE: first(row)} for ref, row in rows if row is not None}
        indexes = {key: Index.full(key, version.records(key.cls)) for key in model.indexes}
        tables = {
            name: Table.full(
                compiled,
                ((ref, compiled.reader.row(version, times, ref)) for ref in version.records(compiled.mapped.source)),
            )
            for name, compiled in model.classes.items()
        }
        return cls(model, version, times, indexes, tables)

    def following(
        self, version: Version, changes: Sequence[Change], moment: datetime
    ) -> tuple[XenView, Mapping[str, Sequence[Step]]]:
        """Return the view after ``changes``, seen at ``moment``, and by class (lower case) the slots that differ."""
        changes = [change for change in changes if change.cls in self._model.sources]
        by_class: dict[str, list[Change]] = defaultdict(list)
        for change in changes:
            by_class[change.cls].append(change)
        times = self._times_after(version, by_class, moment)
        indexes = {
            key: index.renewed(by_class[key.cls]) if key.cls in by_class else index
            for key, index in self._indexes.items()
        }
        tables = dict(self._tables)
        steps: dict[str, Sequence[Step]] = {}
        for name, refs in self._model.touched(changes, indexes).items():
            row_of = partial(self._model.classes[name].reader.row, version, times)
            tables[name], steps[name] = tables[name].renewed(refs, row_of)
        return XenView(self._model, version, times, indexes, tables), steps

    def _times_after(self, version: Version, changes: Mapping[str, Sequence[Change]], moment: datetime) -> Times:
        times = dict(self._times)
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
                    row = reader.row(version, {}, change.ref)
                    known[change.ref] = {LAST_CHANGE: None if row is None else first(row)}
                else:
                    known[change.ref] = {LAST_CHANGE: moment}
            if known is not None:
                times[cls, state] = known
        return times

    def instances(self, class_name: str) -> Sequence[Instance]:
        """Return all instances of exactly this class; see cim_provider.View."""
        table = self._tables.get(class_name.lower())
        return () if table is None else table.instances()

    def instance(self, name: InstanceName) -> Instance | None:
        """Return the instance with this name, or None. Keys that the class does not have are ignored."""
        ref = self._ref(name)
        return None if ref is None else self._tables[name.class_name.lower()].slots[ref].instance

    def record(self, name: InstanceName) -> tuple[str, Record] | None:
        """Return the object behind an instance: its reference and record."""
        ref = self._ref(name)
        if ref is None:
            return None
        record = self.version.get(self._model.classes[name.class_name.lower()].mapped.source, ref)
        return None if record is None else (ref, record)

    def _ref(self, name: InstanceName) -> str | None:
        """Return the object that the instance with this name comes from."""
        table = self._tables.get(name.class_name.lower())
        if table is None:
            return None
        return next(
            (ref for ref in self._candidates(table.compiled.mapped, name) if _names(name, table.slots[ref].instance)),
            None,
        )

    def _candidates(self, mapped: MappedClass, name: InstanceName) -> Iterator[str]:
        """Yield the objects that one of the keys in ``name`` leads to."""
        slots = self._tables[mapped.name.lower()].slots
        if mapped.ends:
            role = min(mapped.ends, key=lambda each: len(mapped.ends[each].prefix))
            target = name.get(role)
            refs = self._referring(mapped, role, target) if isinstance(target, InstanceName) else ()
        else:
            locator = self._model.locators[mapped.name.lower()]
            if locator is None:
                refs = slots
            else:
                key = next(
                    key for key, each in mapped.keys.items() if IndexKey.of(mapped.source, each.expression) == locator
                )
                refs = self._indexes[locator].find(name.get(key))
        yield from (ref for ref in refs if ref in slots)

    def _referring(self, mapped: MappedClass, role: str, name: InstanceName) -> Iterable[str]:
        """Return the objects whose association has ``name`` at the end ``role``."""
        end = mapped.ends[role]
        if end.target.name.lower() != name.class_name.lower():
            return ()
        ref = self._ref(name)
        return () if ref is None else self._model.referrers(mapped.name.lower(), end.prefix, ref, self._indexes)

    def references(self, association: str, name: InstanceName, role: str | None = None) -> Sequence[Instance]:
        """Return the instances of an association class with ``name`` at an end; see cim_provider.View."""
        table = self._tables.get(association.lower())
        if table is None:
            return ()
        mapped = table.compiled.mapped
        roles = [each for each in mapped.ends if role is None or each.lower() == role.lower()]
        refs = {ref: None for each in roles for ref in self._referring(mapped, each, name) if ref in table.slots}
        return [table.slots[ref].instance for ref in refs]


def _names(name: InstanceName, instance: Instance) -> bool:
    """Say whether a name has all keys of an instance, with their values."""
    if instance.name is None:
        return False
    return all(_same(value, name.get(key)) for key, value in instance.name.keys)


def _same(one: object, other: object) -> bool:
    if isinstance(one, InstanceName) and isinstance(other, InstanceName):
        return one.identity == other.identity
    return one == other
