"""One atomic step of the store, while it is being written."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from xenapi_core.datamodel.fields import Field
from xenapi_core.datamodel.objects import Objects
from xenapi_core.datamodel.record import Record
from xenapi_core.datamodel.registry import Datamodel, Relation
from xenapi_core.datamodel.types import NULL
from xenapi_core.datamodel.xenclass import ClassDefinition
from xenapi_core.store.log import ADD, DEL, MOD, Entry
from xenapi_core.store.table import Layer


class Change(Layer):
    """Changes above the newest state, with relations and allowed operations kept (``datamodel.objects.Change``)."""

    def __init__(self, below: Objects, model: Datamodel, next_row: Callable[[], int]) -> None:
        super().__init__(below)
        self._model = model
        self._next_row = next_row
        self._touched: set[str] = set()
        self._collections: dict[str, dict[int, dict[str, None]]] = {}
        """Collections being changed: by the collecting object and the position of its field."""

    def get(self, ref: str) -> Record | None:
        """Return the object of a reference, None if there is none."""
        if ref in self._collections:
            self._write_collections(ref)
        return super().get(ref)

    def create(self, cls: str, values: Mapping[str, Any], ref: str = "") -> str:
        """Make an object and return its reference."""
        definition = self._model.classes[cls]
        cells = list(definition.defaults)
        for name, value in values.items():
            cells[definition.index[name]] = _admitted(definition, name, value)
        if "uuid" in definition.index and not values.get("uuid"):
            cells[definition.index["uuid"]] = str(uuid.uuid4())
        record = Record(definition, ref or f"OpaqueRef:{uuid.uuid4()}", self._next_row(), tuple(cells))
        if self.get(record.ref) is not None:
            raise ValueError(f"the reference {record.ref} is taken")
        self.put(record)
        for relation in self._model.relations[cls]:
            self._join(relation, record)
        return record.ref

    def update(self, ref: str, **fields: Any) -> None:
        """Set fields of an object."""
        record = self.record(ref)
        definition = self._model.classes[record.cls]
        cells = list(record.values)
        for name, value in fields.items():
            cells[definition.index[name]] = _admitted(definition, name, value)
        changed = Record(definition, ref, record.row, tuple(cells))
        self.put(changed)
        for relation in self._model.relations[record.cls]:
            if record.values[relation.reference] != changed.values[relation.reference]:
                self._leave(relation, record)
                self._join(relation, changed)

    def touch(self, ref: str) -> None:
        """Raise a mod event of an object that need not have changed."""
        self.put(self.record(ref))
        self._touched.add(ref)

    def destroy(self, ref: str) -> None:
        """Remove an object."""
        record = self.record(ref)
        for relation in self._model.relations[record.cls]:
            self._leave(relation, record)
        for relation in self._model.collections[record.cls]:
            many = self._model.classes[relation.many]
            name = list(many.fields)[relation.reference]
            for member in record.values[relation.collection]:
                if member != ref:
                    self.update(member, **{name: NULL})
        self._collections.pop(ref, None)
        self.remove(record)

    def finish(self) -> list[Entry]:
        """Complete what follows from the changes, and return them, one entry per object."""
        for ref in list(self._collections):
            self._write_collections(ref)
        self._follow()
        self._allow_operations()
        entries = (self._entry(ref, record) for ref, record in self.changed.items())
        return [entry for entry in entries if entry is not None]

    def _entry(self, ref: str, record: Record | None) -> Entry | None:
        before = self.below.get(ref)
        if record is None:
            return None if before is None else Entry(DEL, before)
        if before is None:
            return Entry(ADD, record)
        fields = tuple(record.changes(before))
        return Entry(MOD, record, fields) if fields or ref in self._touched else None

    def _follow(self) -> None:
        for ref, after in list(self.changed.items()):
            followers = self._model.followers.get(after.cls) if after is not None else None
            before = self.below.get(ref) if followers else None
            if followers and before is not None and after is not None:
                for follow in followers:
                    follow(self, before, after)

    def _allow_operations(self) -> None:
        refs = dict.fromkeys(self.changed)
        for record in list(self.changed.values()):
            operations = record and self._model.classes[record.cls].operations
            if record and operations:
                refs.update(dict.fromkeys(operations.dependents(record)))
        for ref in refs:
            found = self.get(ref)
            operations = found and self._model.classes[found.cls].operations
            if found and operations:
                allowed = tuple(operations.allowed(self, found))
                if allowed != found["allowed_operations"]:
                    self.update(ref, allowed_operations=allowed)

    def _collection(self, relation: Relation, record: Record) -> dict[str, None] | None:
        """Return the collection in which an object is listed, to be changed; None if it refers to nothing there is."""
        target = record.values[relation.reference]
        collecting = None if target == NULL else super().get(target)
        if collecting is None:
            return None
        collections = self._collections.setdefault(target, {})
        if relation.collection not in collections:
            collections[relation.collection] = dict.fromkeys(collecting.values[relation.collection])
        return collections[relation.collection]

    def _join(self, relation: Relation, record: Record) -> None:
        collection = self._collection(relation, record)
        if collection is None or record.ref in collection:
            return
        last = next(reversed(collection), None)
        collection[record.ref] = None
        if last is not None and record.row < self._row(last):
            ordered = sorted(collection, key=self._row)
            collection.clear()
            collection.update(dict.fromkeys(ordered))

    def _row(self, ref: str) -> int:
        record = super().get(ref)
        return record.row if record else 0

    def _leave(self, relation: Relation, record: Record) -> None:
        collection = self._collection(relation, record)
        if collection is not None:
            collection.pop(record.ref, None)

    def _write_collections(self, ref: str) -> None:
        collections = self._collections.pop(ref)
        record = super().get(ref)
        if record is not None:
            cells = list(record.values)
            for position, members in collections.items():
                cells[position] = tuple(members)
            self.put(Record(record.shape, ref, record.row, tuple(cells)))


def _admitted(definition: ClassDefinition, name: str, value: Any) -> Any:
    field: Field | None = definition.fields.get(name)
    if field is None:
        raise TypeError(f"class {definition.name} has no field {name}")
    if not field.stored:
        raise TypeError(f"field {definition.name}.{name} is not written this way")
    try:
        return field.type.admit(value)
    except TypeError as error:
        raise TypeError(f"field {definition.name}.{name}: {error}") from error
