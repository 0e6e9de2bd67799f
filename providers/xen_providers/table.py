"""The instances of one class in one view, and the indexes by which records are found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any, TypeAlias

from cim_provider import Instance
from xen_providers.declaration import MappedClass
from xen_providers.expressions import Expression, identity, read_step
from xen_providers.reading import Reader, Row
from xenapi_client import Change, Record

_making = Lock()
"""Held for the microseconds in which one instance is made, so that all threads get the same one."""


class Compiled:
    """A declared class, made ready to be computed fast."""

    def __init__(self, mapped: MappedClass) -> None:
        self.mapped = mapped
        expressions = [each.expression for each in mapped.properties.values()]
        self.reader = Reader(mapped.source, [mapped.where, mapped.path, *expressions])
        self.qualifies = self.reader.compiled(mapped.where)
        self._name = self.reader.compiled(mapped.path)
        self._properties = [(name, self.reader.compiled(each.expression)) for name, each in mapped.properties.items()]

    def instance(self, row: Row) -> Instance:
        """Compute the instance of a row that qualifies."""
        properties = {name: value for name, read in self._properties if (value := read(row)) is not None}
        return Instance(self.mapped.name, properties, self._name(row))


class Slot:
    """The place of one instance: what it will be computed from, and once it was asked for, the instance."""

    __slots__ = ("_compiled", "_instance", "_row", "ref")

    def __init__(self, compiled: Compiled, ref: str, row: Row) -> None:
        self.ref = ref
        self._compiled = compiled
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
                    self._instance = self._compiled.instance(self._row)
                    self._row = None
        if self._instance is None:
            raise RuntimeError(f"The instance of {self.ref} was not made.")
        return self._instance


Step: TypeAlias = tuple[Slot | None, Slot | None]
"""A slot before and after a change."""


class Table:
    """All instances of a class, in order of their records. Shared by all views in which none of them differs."""

    def __init__(self, compiled: Compiled, slots: Mapping[str, Slot]) -> None:
        self.compiled = compiled
        self.slots = slots
        self._filling = Lock()

    @classmethod
    def full(cls, compiled: Compiled, rows: Iterable[tuple[str, Row | None]]) -> Table:
        """Make the table of all rows that qualify."""
        return cls(
            compiled,
            {ref: Slot(compiled, ref, row) for ref, row in rows if row is not None and compiled.qualifies(row)},
        )

    def instances(self) -> tuple[Instance, ...]:
        """Return the instances; the first call makes those that were never asked for."""
        with self._filling:
            return self._instances

    @cached_property
    def _instances(self) -> tuple[Instance, ...]:
        return tuple([slot.instance for slot in self.slots.values()])

    def renewed(self, refs: Iterable[str], row_of: Callable[[str], Row | None]) -> tuple[Table, list[Step]]:
        """Return the table in which the slots of ``refs`` are computed again, and each slot that was replaced.

        An instance that somebody has seen is compared with the new one; if they are equal the old one stays.
        """
        slots: dict[str, Slot] | None = None
        steps: list[Step] = []
        for ref in refs:
            old = self.slots.get(ref)
            row = row_of(ref)
            new = Slot(self.compiled, ref, row) if row is not None and self.compiled.qualifies(row) else None
            if old is new or (old and new and old.made and old.instance.properties == new.instance.properties):
                continue
            if slots is None:
                slots = dict(self.slots)
            if new is None:
                del slots[ref]
            else:
                slots[ref] = new
            steps.append((old, new))
        return (self if slots is None else Table(self.compiled, slots)), steps


@dataclass(frozen=True)
class IndexKey:
    """What an index is of: a class, a step in its records, and a conversion of what the step finds."""

    cls: str
    step: str
    convert: Callable[..., Any] = identity

    @classmethod
    def of(cls, source: str, expression: Expression) -> IndexKey | None:
        """Return the key of an index on an expression of one step; None if there can be no index on it."""
        if len(expression.paths) == 1 and len(expression.paths[0]) == 1:
            return cls(source, expression.paths[0][0], expression.function)
        return None

    def values(self, record: Record | None) -> list[Any]:
        """Return the values under which a record is found."""
        found = None if record is None else read_step(record, self.step)
        if found is None:
            return []
        return found if isinstance(found, list) else [self.convert(found)]


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
