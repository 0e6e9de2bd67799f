"""The object table, and layers of changes above it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from xenapi_core.datamodel.errors import XenApiError
from xenapi_core.datamodel.objects import Objects
from xenapi_core.datamodel.record import Record


class Table:
    """All objects, by reference, by class in order of creation, and by uuid."""

    def __init__(self) -> None:
        self._objects: dict[str, Record] = {}
        self._classes: dict[str, dict[str, Record]] = {}
        self._uuids: dict[tuple[str, str], str] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._objects.values())

    def get(self, ref: str) -> Record | None:
        """Return the object of a reference, None if there is none."""
        return self._objects.get(ref)

    def record(self, ref: str, cls: str = "") -> Record:
        """Return the object of a reference; HANDLE_INVALID (cls, ref) if there is none."""
        record = self._objects.get(ref)
        if record is None:
            raise XenApiError("HANDLE_INVALID", cls, ref)
        return record

    def records(self, cls: str) -> Iterable[Record]:
        """Return the objects of a class in order of creation."""
        return self._classes.get(cls, {}).values()

    def count(self, cls: str) -> int:
        """Return the number of objects of a class."""
        return len(self._classes.get(cls, ()))

    def by_uuid(self, cls: str, uuid: str) -> Record | None:
        """Return the object of a class with a uuid, None if there is none."""
        return self._objects.get(self._uuids.get((cls, uuid), ""))

    def put(self, record: Record) -> None:
        """Add an object, or replace its record."""
        self._objects[record.ref] = record
        self._classes.setdefault(record.cls, {})[record.ref] = record
        if "uuid" in record:
            self._uuids[record.cls, record["uuid"]] = record.ref

    def remove(self, record: Record) -> None:
        """Remove an object."""
        self._objects.pop(record.ref, None)
        self._classes.get(record.cls, {}).pop(record.ref, None)
        if "uuid" in record:
            self._uuids.pop((record.cls, record["uuid"]), None)


class Layer:
    """Changes above a state: reading it sees the state with the changes made."""

    def __init__(self, below: Objects) -> None:
        self.below = below
        self.changed: dict[str, Record | None] = {}
        """New and replaced records by reference; None: removed."""
        self._classes: dict[str, dict[str, Record | None]] = {}

    def get(self, ref: str) -> Record | None:
        """Return the object of a reference, None if there is none."""
        return self.changed[ref] if ref in self.changed else self.below.get(ref)

    def record(self, ref: str, cls: str = "") -> Record:
        """Return the object of a reference; HANDLE_INVALID (cls, ref) if there is none."""
        record = self.get(ref)
        if record is None:
            raise XenApiError("HANDLE_INVALID", cls, ref)
        return record

    def records(self, cls: str) -> Iterable[Record]:
        """Return the objects of a class in order of creation."""
        changed = self._classes.get(cls)
        return list(self._merged(cls, changed)) if changed else self.below.records(cls)

    def _merged(self, cls: str, changed: dict[str, Record | None]) -> Iterator[Record]:
        for record in self.below.records(cls):
            current = changed.get(record.ref, record)
            if current is not None:
                yield current
        for ref, new in changed.items():
            if new is not None and self.below.get(ref) is None:
                yield new

    def by_uuid(self, cls: str, uuid: str) -> Record | None:
        """Return the object of a class with a uuid, None if there is none."""
        below = self.below.by_uuid(cls, uuid)
        if below is not None:
            return self.get(below.ref)
        changed = self._classes.get(cls, {}).values()
        return next((record for record in changed if record is not None and record["uuid"] == uuid), None)

    def put(self, record: Record) -> None:
        """Add an object, or replace its record."""
        self.changed[record.ref] = self._classes.setdefault(record.cls, {})[record.ref] = record

    def remove(self, record: Record) -> None:
        """Remove an object."""
        self.changed[record.ref] = self._classes.setdefault(record.cls, {})[record.ref] = None

    def settle(self, record: Record, final: Record | None) -> None:
        """Forget a change of an object that has reached the state below, unless a later one has followed it."""
        if self.changed.get(record.ref, record) is final:
            self.changed.pop(record.ref, None)
            self._classes[record.cls].pop(record.ref, None)
