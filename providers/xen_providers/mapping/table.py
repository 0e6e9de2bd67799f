"""The instances of one class in one view, and the indexes by which records are found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any, TypeAlias

from cim_provider import Instance
from xen_providers.mapping.declaration import WHOLE, MappedClass
from xen_providers.mapping.expressions import read_step
from xen_providers.mapping.reading import Observed, Reader, Row
from xenapi_client import Change, Record

_making = Lock()
"""Held for the microseconds in which one instance is made, so that all threads get the same one."""


class Compiled:
    """A declared class, made ready to be computed fast."""

    def __init__(self, mapped: MappedClass) -> None:
        self.mapped = mapped
        expressions = {name: each.expression for name, each in mapped.properties.items()}
        self.reader = Reader(mapped.source, [mapped.where, mapped.parts, mapped.path, *expressions.values()])
        self._where = self.reader.compiled(mapped.where)
        # The keys of an association are names, which its condition asks for already.
        keys = () if mapped.ends else (each.expression for each in mapped.keys.values() if each.expression.paths)
        self._keys = [self.reader.compiled(each) for each in keys]
        self._parts = None if mapped.parts is WHOLE else self.reader.compiled(mapped.parts)
        self._name = self.reader.compiled(mapped.path)
        self._properties = [(name, self.reader.compiled(each)) for name, each in expressions.items()]
        self.sampled = frozenset(name for name, each in expressions.items() if self.reader.is_sampled(each))
        """The properties that follow samples."""

    def slots(self, observed: Observed, ref: str) -> tuple[Slot, ...]:
        """Return the places of all instances that come from an object."""
        row = self.reader.row(observed, ref)
        if row is None:
            return ()
        if self._parts is None:
            return (Slot(self, ref, row),) if self._qualifies(row) else ()
        rows = ((*row, part) for part in self._parts(row) or ())
        return tuple(Slot(self, ref, each, each[-1]) for each in rows if self._qualifies(each))

    def _qualifies(self, row: Row) -> bool:
        """Say whether there is an instance of a row: none without its keys."""
        return bool(self._where(row)) and all(key(row) is not None for key in self._keys)

    def instance(self, row: Row) -> Instance:
        """Compute the instance of a row that qualifies."""
        properties = {name: value for name, read in self._properties if (value := read(row)) is not None}
        return Instance(self.mapped.name, properties, self._name(row))

    def same_state(self, one: Instance, other: Instance) -> bool:
        """Say whether two instances differ in nothing but samples."""
        if not self.sampled:
            return one.properties == other.properties
        return all(
            one.properties.get(name) == other.properties.get(name)
            for name, _ in self._properties
            if name not in self.sampled
        )


class Slot:
    """The place of one instance: what it will be computed from, and once it was asked for, the instance."""

    __slots__ = ("_instance", "_row", "compiled", "part", "ref")

    def __init__(self, compiled: Compiled, ref: str, row: Row, part: Any = None) -> None:
        self.ref = ref
        self.part = part
        """What tells it from the other instances of the object."""
        self.compiled = compiled
        self._row: Row | None = row
        self._instance: Instance | None = None

    @property
    def made(self) -> bool:
        """Whether the instance was ever asked for."""
        return self._instance is not None

    @property
    def instance(self) -> Instance:
        """The instance; always the same one."""
        if self._instance is None:
            with _making:
                if self._instance is None and self._row is not None:
                    self._instance = self.compiled.instance(self._row)
                    self._row = None
        if self._instance is None:
            raise RuntimeError(f"The instance of {self.ref} was not made.")
        return self._instance


Step: TypeAlias = tuple[Slot | None, Slot | None]
"""A slot before and after a change."""


class Table:
    """All instances of a class, in order of their records. Shared by all views in which none of them differs."""

    def __init__(self, slots: Mapping[str, tuple[Slot, ...]]) -> None:
        self.slots = slots
        """By object; only those from which an instance comes."""
        self._filling = Lock()

    @classmethod
    def full(cls, compiled: Compiled, observed: Observed) -> Table:
        """Make the table of all objects."""
        refs = observed.version.records(compiled.mapped.source)
        return cls({ref: slots for ref in refs if (slots := compiled.slots(observed, ref))})

    def instances(self) -> tuple[Instance, ...]:
        """Return the instances; the first call makes those that were never asked for."""
        with self._filling:
            return self._instances

    @cached_property
    def _instances(self) -> tuple[Instance, ...]:
        return tuple([slot.instance for slots in self.slots.values() for slot in slots])

    def renewed(self, refs: Iterable[str], slots_of: Callable[[str], tuple[Slot, ...]]) -> tuple[Table, list[Step]]:
        """Return the table in which the slots of ``refs`` are computed again, and each slot that was replaced.

        An instance that somebody has seen is compared with the new one; if they are equal the old one stays.
        """
        slots: dict[str, tuple[Slot, ...]] | None = None
        steps: list[Step] = []
        for ref in refs:
            old = self.slots.get(ref, ())
            new, differences = _renewed(old, slots_of(ref))
            if not differences and new == old:
                continue
            steps += differences
            if slots is None:
                slots = dict(self.slots)
            if new:
                slots[ref] = new
            else:
                del slots[ref]
        return (self if slots is None else Table(slots)), steps


def _renewed(old: tuple[Slot, ...], new: tuple[Slot, ...]) -> tuple[tuple[Slot, ...], list[Step]]:
    """Return the new slots of an object, with the old ones where nothing differs, and what differs."""
    known = {slot.part: slot for slot in old}
    kept: list[Slot] = []
    steps: list[Step] = []
    for slot in new:
        before = known.pop(slot.part, None)
        if before is not None and before.made and before.instance.properties == slot.instance.properties:
            kept.append(before)
        else:
            kept.append(slot)
            steps.append((before, slot))
    steps += [(slot, None) for slot in known.values()]
    return tuple(kept), steps


@dataclass(frozen=True)
class IndexKey:
    """What an index is of: a class, and a step in its records."""

    cls: str
    step: str

    def values(self, record: Record | None) -> list[Any]:
        """Return the values under which a record is found."""
        found = None if record is None else read_step(record, self.step)
        if found is None:
            return []
        return found if isinstance(found, list) else [found]


class Index:
    """Finds the records of a class by a value in them, in order of their appearance. Never changes."""

    def __init__(self, key: IndexKey, entries: Mapping[Any, Mapping[str, None]]) -> None:
        self._key = key
        self._entries = entries

    @classmethod
    def full(cls, key: IndexKey, records: Mapping[str, Record]) -> Index:
        """Index all records."""
        entries: dict[Any, dict[str, None]] = {}
        for ref, record in records.items():
            for value in key.values(record):
                entries.setdefault(value, {})[ref] = None
        return cls(key, entries)

    def find(self, value: Any) -> Iterable[str]:
        """Return the references of the records with this value."""
        return self._entries.get(value, ())

    def renewed(self, changes: Iterable[Change]) -> Index:
        """Return the index after changes of records of its class."""
        entries: dict[Any, Any] | None = None
        copied: dict[Any, dict[str, None]] = {}

        def copy(value: Any) -> dict[str, None]:
            nonlocal entries
            if entries is None:
                entries = dict(self._entries)
            if value not in copied:
                copied[value] = entries[value] = dict(entries.get(value, {}))
            return copied[value]

        for change in changes:
            before, after = self._key.values(change.before), self._key.values(change.after)
            if before == after:
                continue
            for value in before:
                copy(value).pop(change.ref, None)
            for value in after:
                copy(value)[change.ref] = None
        if entries is None:
            return self
        for value, refs in copied.items():
            if not refs:
                del entries[value]
        return Index(self._key, entries)
