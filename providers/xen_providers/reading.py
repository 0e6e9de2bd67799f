"""Reading records for expressions: which records a class looks at, and what it looks at in each.

A row is what one instance is computed from: the record at index 0, then, for each way of following references that
any expression takes, the record found there (None if there is none, a tuple of records behind a set of references).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from xen_providers.expressions import Expression, Path, identity, read_step
from xen_providers.sources import LAST_CHANGE, REFERENCES, TIMED
from xenapi_client import Record, Version

Row: TypeAlias = tuple[Record | tuple[Record, ...] | None, ...]
Times: TypeAlias = Mapping[tuple[str, str], Mapping[str, Record]]
"""By class and timed state: for each object, the pseudo record that holds the time of its last change."""


class Reader:
    """Makes rows for some expressions over one Xen-API class."""

    def __init__(self, source: str, expressions: Sequence[Expression]) -> None:
        self.source = source
        paths = [path for expression in expressions for path in expression.paths]
        prefixes = {path[:end] for path in paths for end in range(1, len(path))}
        self.prefixes: list[Path] = [(), *sorted(prefixes, key=lambda prefix: (len(prefix), prefix))]
        self.steps: dict[Path, set[str]] = {
            prefix: {path[len(prefix)] for path in paths if path[: len(prefix)] == prefix and len(path) > len(prefix)}
            for prefix in self.prefixes
        }
        """What is read at each prefix, further references included."""
        self._index = {prefix: number for number, prefix in enumerate(self.prefixes)}
        self._ways = [
            (self._index[prefix[:-1]], prefix[-1], self.class_at(prefix), self.is_timed(prefix))
            for prefix in self.prefixes[1:]
        ]

    def class_at(self, prefix: Path) -> str:
        """Return the Xen-API class that a prefix leads to; for a timed state the class that has it."""
        cls = self.source
        for step in prefix:
            if step in TIMED.get(cls, {}):
                return cls
            try:
                cls = REFERENCES[cls][step]
            except KeyError:
                raise ValueError(f"{step} of the class {cls} is not declared as a reference.") from None
        return cls

    def is_timed(self, prefix: Path) -> bool:
        """Say whether a prefix is a timed state rather than a reference."""
        return len(prefix) == 1 and prefix[0] in TIMED.get(self.source, {})

    def row(self, version: Version, times: Times, ref: str) -> Row | None:
        """Return the row of an object, or None if there is no such object."""
        record = version.get(self.source, ref)
        if record is None:
            return None
        row: list[Any] = [record]
        for parent, step, cls, timed in self._ways:
            if timed:
                row.append(times[cls, step].get(ref))
            else:
                origin = row[parent]
                row.append(None if origin is None else _follow(version, cls, read_step(origin, step)))
        return tuple(row)

    def compiled(self, expression: Expression) -> Callable[[Row], Any]:
        """Return the expression as a function of a row."""
        function = expression.function
        places = [(self._index[path[:-1]], path[-1]) for path in expression.paths]
        if not places:
            return lambda row: function()
        if len(places) > 1:
            return lambda row: function(*[_read(row[number], step) for number, step in places])
        number, step = places[0]
        if function is identity:
            return lambda row: _read(row[number], step)
        return lambda row: function(_read(row[number], step))


def _follow(version: Version, cls: str, reference: Any) -> Record | tuple[Record, ...] | None:
    if isinstance(reference, list):
        return tuple(record for ref in reference if (record := version.get(cls, ref)) is not None)
    return version.get(cls, reference) if isinstance(reference, str) else None


def _read(origin: Record | tuple[Record, ...] | None, step: str) -> Any:
    if origin is None:
        return None
    if isinstance(origin, tuple):
        return [read_step(record, step) for record in origin]
    return read_step(origin, step)


def last_change(state: str) -> str:
    """Return the path at which the time of the last change of a timed state is found."""
    return f"{state}.{LAST_CHANGE}"
