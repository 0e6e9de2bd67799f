"""A record: all fields of an object at one moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from xenapi_core.datamodel.fields import Field


class Shape(Protocol):
    """What a record needs to know of its class."""

    @property
    def name(self) -> str:
        """The name of the class."""

    @property
    def index(self) -> Mapping[str, int]:
        """Position of each field."""

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields, in order of position."""


class Record:
    """An object's fields, as attributes and by name. Never changes; a write makes a new one.

    Where a field's name is also one of the record's own attributes, ``record["name"]`` gives the field.
    """

    __slots__ = ("ref", "row", "shape", "values")

    def __init__(self, shape: Shape, ref: str, row: int, values: tuple[Any, ...]) -> None:
        self.shape = shape
        self.ref = ref
        self.row = row
        self.values = values

    @property
    def cls(self) -> str:
        """The name of the class."""
        return self.shape.name

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[self.shape.index[name]]
        except KeyError:
            raise AttributeError(f"class {self.shape.name} has no field {name}") from None

    def __getitem__(self, name: str) -> Any:
        return self.values[self.shape.index[name]]

    def __contains__(self, name: str) -> bool:
        return name in self.shape.index

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield the fields' names and values."""
        return zip(self.shape.index, self.values, strict=True)

    def changes(self, before: Record) -> list[str]:
        """Return the names of the fields in which this record differs from an earlier one."""
        if self.values is before.values:
            return []
        pairs = zip(self.shape.index, self.values, before.values, strict=True)
        return [name for name, new, old in pairs if new is not old and new != old]

    def __repr__(self) -> str:
        return f"<{self.shape.name} {self.ref}>"
