"""Reading records for expressions: which records a class looks at, and what it looks at in each.

A row is what one instance is computed from: the record at index 0, then, for each way of following references that
any expression takes, the record found there (None if there is none, a tuple of records behind a set of references).
The row of one of several instances of a record ends with what tells it apart, its part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from xen_providers.mapping.expressions import FROM_ANYWHERE, HOSTS, PART, POOL, Expression, Path, identity, read_step
from xen_providers.mapping.sources import LAST_CHANGE, REFERENCES, SAMPLED, TIMED
from xenapi_client import Record, Version

Row: TypeAlias = tuple[Any, ...]
"""Records, None, tuples of records; the part at the end of a row that has one."""
Times: TypeAlias = Mapping[tuple[str, str], Mapping[str, Record]]
"""By class and timed state: for each object, the pseudo record that holds the time of its last change."""
Samples: TypeAlias = Mapping[str, Mapping[str, Record]]
"""By class with sampled fields: for each object, the record as it was when it was last sampled."""

SAMPLES = "@samples"
"""A step from a record to what was sampled of it. Readers put it before each sampled field."""


@dataclass(frozen=True)
class Observed:
    """All that a view is computed from."""

    version: Version
    times: Times = field(default_factory=dict)
    samples: Samples = field(default_factory=dict)

    def sample(self, cls: str, ref: str) -> Record | None:
        """Return the newest sample of an object; before the first, what the replica has of it."""
        sampled = self.samples.get(cls, {}).get(ref)
        return self.version.get(cls, ref) if sampled is None else sampled

    def pool(self) -> Record | None:
        """Return the record of the pool."""
        return next(iter(self.version.records("pool").values()), None)

    def hosts(self) -> tuple[Record, ...]:
        """Return the records of all hosts."""
        return tuple(self.version.records("host").values())


class Reader:
    """Makes rows for some expressions over one Xen-API class."""

    def __init__(self, source: str, expressions: Sequence[Expression]) -> None:
        self.source = source
        paths = [self._way(path) for expression in expressions for path in expression.paths if path != (PART,)]
        prefixes = {path[:end] for path in paths for end in range(1, len(path))}
        self.prefixes: list[Path] = [(), *sorted(prefixes, key=lambda prefix: (len(prefix), prefix))]
        self.steps: dict[Path, set[str]] = {
            prefix: {path[len(prefix)] for path in paths if path[: len(prefix)] == prefix and len(path) > len(prefix)}
            - {SAMPLES}
            for prefix in self.prefixes
        }
        """What is read at each prefix, further references included."""
        self._index = {prefix: number for number, prefix in enumerate(self.prefixes)}
        self.sampled = frozenset(self.class_at(prefix) for prefix in self.prefixes if prefix[-1:] == (SAMPLES,))
        """The classes whose samples are read."""
        self._ways = [(prefix, self._origin(prefix), self.class_at(prefix)) for prefix in self.prefixes[1:]]

    def _way(self, path: Path) -> Path:
        """Return a path with the step to the samples before its last, if that is a sampled field."""
        cls = self.class_at(path[:-1])
        return (*path[:-1], SAMPLES, path[-1]) if path[-1] in SAMPLED.get(cls, ()) else path

    def _origin(self, prefix: Path) -> int:
        """Return where in a row the record is that has the reference a prefix ends with."""
        return self._index[prefix[:-2] if prefix[-1] == SAMPLES else prefix[:-1]]

    def class_at(self, prefix: Path) -> str:
        """Return the Xen-API class that a prefix leads to; for a timed state the class that has it."""
        cls = self.source
        for step in prefix:
            if step == SAMPLES or step in TIMED.get(cls, {}):
                return cls
            if step in FROM_ANYWHERE:
                cls = FROM_ANYWHERE[step]
                continue
            try:
                cls = REFERENCES[cls][step]
            except KeyError:
                raise ValueError(f"{step} of the class {cls} is not declared as a reference.") from None
        return cls

    def is_derived(self, prefix: Path) -> bool:
        """Say whether a prefix leads to a timed state or to samples rather than to a record."""
        return bool(prefix) and (
            prefix[-1] == SAMPLES or (len(prefix) == 1 and prefix[0] in TIMED.get(self.source, {}))
        )

    def is_sampled(self, expression: Expression) -> bool:
        """Say whether an expression reads a sampled field."""
        return any(path != (PART,) and SAMPLES in self._way(path) for path in expression.paths)

    def row(self, observed: Observed, ref: str) -> Row | None:
        """Return the row of an object, or None if there is no such object."""
        record = observed.version.get(self.source, ref)
        if record is None:
            return None
        row: list[Any] = [record]
        for prefix, origin, cls in self._ways:
            step = prefix[-1]
            if step == POOL:
                row.append(observed.pool())
            elif step == HOSTS:
                row.append(observed.hosts())
            elif step == SAMPLES:
                sample = partial(observed.sample, cls)
                row.append(sample(ref) if len(prefix) == 1 else _followed(sample, row[origin], prefix[-2]))
            elif self.is_derived(prefix):
                row.append(observed.times[cls, step].get(ref))
            else:
                row.append(_followed(partial(observed.version.get, cls), row[origin], step))
        return tuple(row)

    def compiled(self, expression: Expression) -> Callable[[Row], Any]:
        """Return the expression as a function of a row."""
        function = expression.function
        places = [self._place(path) for path in expression.paths]
        if not places:
            return lambda row: function()
        if len(places) > 1:
            return lambda row: function(*[_read(row[number], step) for number, step in places])
        number, step = places[0]
        if function is identity:
            return lambda row: _read(row[number], step)
        return lambda row: function(_read(row[number], step))

    def _place(self, path: Path) -> tuple[int, str]:
        if path == (PART,):
            return -1, PART
        way = self._way(path)
        return self._index[way[:-1]], way[-1]


def _followed(find: Callable[[str], Record | None], origin: Any, step: str) -> Record | tuple[Record, ...] | None:
    """Return the record, or the records, that a reference leads to from a record or from records."""
    if origin is None:
        return None
    if isinstance(origin, tuple):
        return tuple(_found(find, (ref for each in origin for ref in _references(read_step(each, step)))))
    reference = read_step(origin, step)
    if isinstance(reference, list):
        return tuple(_found(find, reference))
    return find(reference) if isinstance(reference, str) else None


def _references(value: Any) -> Iterable[str]:
    return value if isinstance(value, list) else [value] if isinstance(value, str) else ()


def _found(find: Callable[[str], Record | None], refs: Iterable[str]) -> Iterable[Record]:
    return (record for ref in refs if (record := find(ref)) is not None)


def _read(origin: Any, step: str) -> Any:
    if step == PART:
        return origin
    if origin is None:
        return None
    if isinstance(origin, tuple):
        return [read_step(record, step) for record in origin]
    return read_step(origin, step)


def last_change(state: str) -> str:
    """Return the path at which the time of the last change of a timed state is found."""
    return f"{state}.{LAST_CHANGE}"
