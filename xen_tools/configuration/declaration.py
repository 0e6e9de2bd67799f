"""Settings, declared once.

A table of a settings file is a dataclass, each of its fields declared with ``setting``, ``table`` or ``tables``.
Reading, checks, the sentences of errors and the reference page follow from the declaration. What concerns several
settings at a time is checked by the table's method ``conflicts``.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from xen_tools.configuration.kinds import Kind

T = TypeVar("T")

Path = tuple[str | int, ...]
"""Where something is in a file: names of tables and settings, and indexes of lists."""

Report = Callable[[Path, str], None]
"""Takes what is wrong: where, and what has to be otherwise. An empty path is the whole file."""

Conflicts = Iterator[tuple[str, str]]
"""Settings of a table and what is wrong with them together."""

_SETTING = "setting"


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is declared of a field."""

    kind: Kind
    doc: str
    shown: str | None = None
    """The default as the reference page tells it, if it is not the value itself."""
    of: type | None = None
    """The class of a table, or of tables."""


def setting(kind: Kind, doc: str, default: Any = dataclasses.MISSING, *, shown: str | None = None) -> Any:
    """Declare a setting; one without a default has to be given."""
    return dataclasses.field(default=default, metadata={_SETTING: Setting(kind, doc, shown)})


def table(cls: type) -> Any:
    """Declare a table; what it does not say has its default."""

    def accept(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError
        return value

    declared = Setting(Kind("a table", accept), _doc(cls), of=cls)
    return dataclasses.field(default_factory=cls, metadata={_SETTING: declared})


def tables(cls: type, default: Sequence[Any], shown: str) -> Any:
    """Declare a list of tables."""

    def accept(value: Any) -> Any:
        if not isinstance(value, list):
            raise ValueError
        return value

    declared = Setting(Kind("a list of tables", accept), _doc(cls), shown, cls)
    return dataclasses.field(default=tuple(default), metadata={_SETTING: declared})


def _doc(cls: type) -> str:
    return " ".join((cls.__doc__ or "").split())


def declared(cls: type) -> Iterator[tuple[dataclasses.Field[Any], Setting]]:
    """Yield the fields of a table and what is declared of them."""
    return ((each, each.metadata[_SETTING]) for each in dataclasses.fields(cls))


def read(cls: type[T], document: Any, report: Report, where: Path = ()) -> T | None:
    """Return a table of a document, None if something is wrong with it, all of which is reported."""
    if not isinstance(document, Mapping):
        report(where, "has to be a table.")
        return None
    reports = 0

    def reporting(place: Path, sentence: str) -> None:
        nonlocal reports
        reports += 1
        report(place, sentence)

    known = {each.name: each for each, _ in declared(cls)}
    for name in document:
        if name not in known:
            reporting((*where, name), unknown(name, known))
    values = {}
    for field, about in declared(cls):
        if field.name in document:
            values[field.name] = _value(about, document[field.name], reporting, (*where, field.name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            reporting(where, f"has to have the setting {field.name}: {about.kind.words}.")
    if reports:
        return None
    made = cls(**values)
    for name, sentence in getattr(made, "conflicts", lambda: ())():
        reporting((*where, name), sentence)
    return None if reports else made


def unknown(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """Return the sentence about a name that nothing has."""
    near = difflib.get_close_matches(name[:100], list(known), 1)
    return f"is no setting; did you mean {near[0]}?" if near else f"is no setting; there are {', '.join(known)}."


def _value(about: Setting, value: Any, report: Report, where: Path) -> Any:
    try:
        accepted = about.kind.accept(value)
    except ValueError as error:
        why = f": {error}" if str(error) else ""
        report(where, f"has to be {about.kind.words}, not {shortened(value)}{why}.")
        return None
    if about.of is None:
        return accepted
    if isinstance(accepted, Mapping):
        return read(about.of, accepted, report, where)
    return tuple(read(about.of, each, report, (*where, number)) for number, each in enumerate(accepted))


def shortened(value: Any) -> str:
    """Return a value for people, in some 60 characters."""
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def dotted(where: Path) -> str:
    """Return a place as people write it: xenapid.doors[0].listen."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).removeprefix(".")
