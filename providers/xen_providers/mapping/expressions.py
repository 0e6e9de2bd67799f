"""Expressions: how a value follows from fields of a Xen-API record and of the records that it refers to.

A field is named by a path: ``name_label`` is a field of the record, ``metrics.start_time`` a field of the record that
its reference ``metrics`` leads to, ``other_config/owner`` the value of a key of a map. Because an expression names
its paths and is a pure function of what it finds there, the view knows what to compute again after a change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str, ...]
"""Steps, each a field or ``map/key``. All but the last lead to another record."""

PART = "@part"
"""The path of what tells the instances of one record apart (declaration.MappedClass.parts)."""
POOL = "@pool"
"""A step that leads from any record to that of the pool."""
HOSTS = "@hosts"
"""A step that leads from any record to those of all hosts."""
FROM_ANYWHERE: Mapping[str, str] = {POOL: "pool", HOSTS: "host"}
"""The steps that lead from any record to others, and the class of these."""


def parse_path(text: str) -> Path:
    """Return the steps of a path as written in a declaration."""
    head, slash, key = text.partition("/")
    *references, last = head.split(".")
    return (*references, last + slash + key)


def read_step(record: Mapping[str, Any], step: str) -> Any:
    """Return what one step finds in a record; None if the record has no such field or the map no such key."""
    name, slash, key = step.partition("/")
    found = record.get(name)
    if slash:
        return found.get(key) if isinstance(found, Mapping) else None
    return found


@dataclass(frozen=True)
class Expression:
    """A pure function of what is found at some paths. It gets None for what is missing and gives None for NULL."""

    paths: tuple[Path, ...]
    function: Callable[..., Any]

    def under(self, prefix: Path) -> Expression:
        """Return the same expression for a record that refers to this one by ``prefix``; the part stays the part."""
        return Expression(tuple(path if path == (PART,) else (*prefix, *path) for path in self.paths), self.function)


def identity(value: Any) -> Any:
    """Return the value."""
    return value


def constant(value: Any) -> Expression:
    """Return an expression that always has this value."""
    return Expression((), lambda: value)


def computed(function: Callable[..., Any], *paths: str) -> Expression:
    """Return ``function`` of what is found at ``paths``, None where nothing is."""
    return Expression(tuple(map(parse_path, paths)), function)


def value(path: str, function: Callable[[Any], Any] = identity) -> Expression:
    """Return what is found at ``path``, converted by ``function`` unless it is missing."""
    if function is identity:
        return Expression((parse_path(path),), identity)
    return Expression((parse_path(path),), lambda found: None if found is None else function(found))


def joined(function: Callable[..., Any], parts: Sequence[Expression]) -> Expression:
    """Return ``function`` of the values of other expressions."""
    ends = []
    paths: list[Path] = []
    for part in parts:
        ends.append((len(paths), len(paths) + len(part.paths), part.function))
        paths.extend(part.paths)

    def evaluate(*found: Any) -> Any:
        return function(*(each(*found[start:stop]) for start, stop, each in ends))

    return Expression(tuple(paths), evaluate)
