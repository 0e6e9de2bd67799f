"""The types of the Xen-API, taken from Python annotations.

An annotation is the declaration: ``str``, ``int``, ``float``, ``bool``, ``datetime``, ``None``; a ``StrEnum``;
``Annotated[str, Ref("VM")]``; ``list[X]`` (a set), ``dict[K, V]`` (a map);
``Annotated[dict[str, Any], RecordOf("VM")]``; a ``TypedDict`` (a fixed struct). A type knows three ways in:

- ``accept``: from the wire, lenient where clients are known to differ;
- ``admit``: from the program, strict;
- ``load`` (and back, ``dump``): from the journal's JSON.

Stored values never change: sets are tuples, maps are dicts that nobody writes to.
"""

# ruff: noqa: D102 - what the methods do is said once, in Type.

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from functools import cache
from types import NoneType
from typing import Annotated, Any, Protocol, get_args, get_origin, get_type_hints, is_typeddict

NULL = "OpaqueRef:NULL"
"""The reference to nothing."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Ref:
    """Marks a string as a reference to an object of a class: ``Annotated[str, Ref("VM")]``."""

    cls: str


@dataclass(frozen=True)
class RecordOf:
    """Marks a dict as the record of a class; "*" stands for a record of any class."""

    cls: str


@dataclass(frozen=True)
class Int32:
    """Marks an int as one that travels as a 32 bit number, not as a string: ``Annotated[int, Int32()]``."""


class MismatchError(ValueError):
    """A value from the wire that is not of the declared type. The text is the value."""

    def __init__(self, value: object) -> None:
        super().__init__(str(value)[:200])


class Resolver(Protocol):
    """What ``accept`` needs to know of the world: which objects there are, and which fields classes have."""

    def reference(self, cls: str, text: str) -> str:
        """Return the reference that a reference or a bare uuid stands for; HANDLE_INVALID if it stands for none."""

    def record(self, cls: str, members: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settable fields among a record's members, each accepted by its type."""


class Type:
    """A type of the Xen-API."""

    name: str
    """As the API reference writes it: "string", "VM ref", "(string -> string) map"."""

    def zero(self) -> Any:
        """Return the value of a field that nothing was said about."""
        raise TypeError(f"{self.name} has no default")

    def accept(self, value: Any, resolver: Resolver) -> Any:
        """Return what a decoded wire value means; MismatchError if it is not of this type."""
        raise MismatchError(value)

    def admit(self, value: Any) -> Any:
        """Return a value of the program in its stored form; TypeError if it is not of this type."""
        raise TypeError(f"{value!r} is no {self.name}")

    def dump(self, value: Any) -> Any:
        """Return a stored value as JSON can say it."""
        return value

    def load(self, value: Any) -> Any:
        """Return the stored value of what ``dump`` gave."""
        return value


@dataclass(frozen=True, eq=False)
class Scalar(Type):
    """A type whose wire values are plain text (or a JSON scalar). Each is itself alone: INT is not INT32."""

    name: str
    python: tuple[type, ...]
    nothing: Any
    parse: Callable[[Any], Any]

    def zero(self) -> Any:
        return self.nothing

    def accept(self, value: Any, resolver: Resolver) -> Any:
        if value is None:
            return self.nothing
        if isinstance(value, list | dict):
            raise MismatchError("a structure")
        try:
            return self.parse(value)
        except (ValueError, OverflowError) as error:
            raise MismatchError(value) from error

    def admit(self, value: Any) -> Any:
        if isinstance(value, self.python) and (bool in self.python or not isinstance(value, bool)):
            return value
        raise TypeError(f"{value!r} is no {self.name}")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _integer(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(value)
    number = int(value)
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(value)
    return number


_TRUTH = {"1": True, "true": True, "0": False, "false": False}


def _boolean(value: Any) -> bool:
    try:
        return _TRUTH[_text(value).strip().lower()]
    except KeyError:
        raise ValueError(value) from None


_MOMENT = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)[Tt ](\d\d):?(\d\d):?(\d\d)(?:[.,](\d{1,9}))?\s*(?:([Zz])|([+-])(\d\d):?(\d\d))?"
)


def moment(text: Any) -> datetime:
    """Return the time that an ISO 8601 text names, with or without dashes and zone (none: UTC); ValueError if none."""
    match = _MOMENT.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(text)
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, _, sign, hours, minutes = match.groups()[6:]
    zone = UTC
    if sign:
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        zone = timezone(-offset if sign == "-" else offset)
    microsecond = int((fraction or "0")[:6].ljust(6, "0"))
    return datetime(year, month, day, hour, minute, second, microsecond, zone).astimezone(UTC)


class DateTime(Scalar):
    """A moment, in UTC."""

    def __init__(self) -> None:
        super().__init__("datetime", (datetime,), EPOCH, moment)

    def admit(self, value: Any) -> Any:
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value.astimezone(UTC)
        raise TypeError(f"{value!r} is no datetime with a zone")

    def dump(self, value: Any) -> Any:
        return value.isoformat()

    def load(self, value: Any) -> Any:
        return datetime.fromisoformat(value)


STRING = Scalar("string", (str,), "", _text)
INT = Scalar("int", (int,), 0, _integer)
INT32 = Scalar("int", (int,), 0, _integer)
FLOAT = Scalar("float", (float, int), 0.0, _finite)
BOOL = Scalar("bool", (bool,), False, _boolean)
DATETIME = DateTime()


class Void(Type):
    """The result of a message that answers nothing."""

    name = "void"

    def admit(self, value: Any) -> Any:
        return None


VOID = Void()


@dataclass(frozen=True)
class Enum(Type):
    """One of a few words."""

    python: type[StrEnum]

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.python.__name__

    def zero(self) -> Any:
        return next(iter(self.python))

    def accept(self, value: Any, resolver: Resolver) -> Any:
        if value is None:
            return self.zero()
        if isinstance(value, list | dict):
            raise MismatchError("a structure")
        word = _text(value)
        for member in self.python:
            if member.value == word:
                return member
        for member in self.python:
            if member.value.lower() == word.lower():
                return member
        for number, member in enumerate(self.python):
            if word == str(number):  # 2007's test suite sends the number of the word
                return member
        raise MismatchError(value)

    def admit(self, value: Any) -> Any:
        try:
            return self.python(value)
        except ValueError:
            raise TypeError(f"{value!r} is no {self.name}") from None

    def load(self, value: Any) -> Any:
        return self.python(value)


@dataclass(frozen=True)
class Reference(Type):
    """A reference to an object of a class, or NULL."""

    cls: str

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.cls} ref"

    def zero(self) -> Any:
        return NULL

    def accept(self, value: Any, resolver: Resolver) -> Any:
        if isinstance(value, list | dict):
            raise MismatchError("a structure")
        text = "" if value is None else _text(value).strip()
        return NULL if text in ("", NULL) else resolver.reference(self.cls, text)

    def admit(self, value: Any) -> Any:
        if isinstance(value, str):
            return value or NULL
        raise TypeError(f"{value!r} is no {self.name}")


@dataclass(frozen=True)
class Set(Type):
    """Some values of one type, in the order they were given."""

    of: Type

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.of.name} set"

    def zero(self) -> Any:
        return ()

    def accept(self, value: Any, resolver: Resolver) -> Any:
        if value is None or value == {}:
            return ()
        if not isinstance(value, list):
            raise MismatchError(value)
        return tuple(self.of.accept(item, resolver) for item in value)

    def admit(self, value: Any) -> Any:
        if isinstance(value, list | tuple | set | frozenset):
            return tuple(self.of.admit(item) for item in value)
        raise TypeError(f"{value!r} is no {self.name}")

    def dump(self, value: Any) -> Any:
        return [self.of.dump(item) for item in value]

    def load(self, value: Any) -> Any:
        return tuple(self.of.load(item) for item in value)


@dataclass(frozen=True)
class Map(Type):
    """Values by key. Keys are texts on the wire and in the journal."""

    key: Type
    value: Type

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"({self.key.name} -> {self.value.name}) map"

    def zero(self) -> Any:
        return {}

    def accept(self, value: Any, resolver: Resolver) -> Any:
        if value is None or value == []:
            return {}
        if not isinstance(value, dict):
            raise MismatchError(value)
        return {self.key.accept(key, resolver): self.value.accept(item, resolver) for key, item in value.items()}

    def admit(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {self.key.admit(key): self.value.admit(item) for key, item in value.items()}
        raise TypeError(f"{value!r} is no {self.name}")

    def dump(self, value: Any) -> Any:
        return {str(self.key.dump(key)): self.value.dump(item) for key, item in value.items()}

    def load(self, value: Any) -> Any:
        key = int if self.key in (INT, INT32) else self.key.load
        return {key(text): self.value.load(item) for text, item in value.items()}


@dataclass(frozen=True)
class RecordType(Type):
    """All fields of an object at once."""

    cls: str

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{'<class>' if self.cls == '*' else self.cls} record"

    def accept(self, value: Any, resolver: Resolver) -> Any:
        if not isinstance(value, dict):
            raise MismatchError(value)
        return resolver.record(self.cls, value)


@dataclass(frozen=True)
class Structure(Type):
    """A struct whose members are fixed; those that a value lacks are left out."""

    name: str
    members: tuple[tuple[str, Type], ...]

    def accept(self, value: Any, resolver: Resolver) -> Any:
        if not isinstance(value, dict):
            raise MismatchError(value)
        return {name: kind.accept(value[name], resolver) for name, kind in self.members if name in value}


_SCALARS: dict[Any, Type] = {
    str: STRING,
    int: INT,
    float: FLOAT,
    bool: BOOL,
    datetime: DATETIME,
    None: VOID,
    NoneType: VOID,
}


def _marked(annotation: Any) -> Type:
    base, *marks = get_args(annotation)
    for mark in marks:
        if isinstance(mark, Ref):
            return Reference(mark.cls)
        if isinstance(mark, RecordOf):
            return RecordType(mark.cls)
        if isinstance(mark, Int32):
            return INT32
    return of(base)


@cache
def _of(annotation: Any) -> Type:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _marked(annotation)
    if origin in (list, Sequence):
        return Set(of(arguments[0]))
    if origin in (dict, Mapping):
        return Map(of(arguments[0]), of(arguments[1]))
    if is_typeddict(annotation):
        members = get_type_hints(annotation, include_extras=True)
        return Structure(annotation.__name__, tuple((name, of(hint)) for name, hint in members.items()))
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return Enum(annotation)
    raise TypeError(f"{annotation!r} is no type of the Xen-API")


def of(annotation: Any) -> Type:
    """Return the Xen-API type that an annotation declares; TypeError if it declares none."""
    known = _SCALARS.get(annotation) if annotation is None or isinstance(annotation, type) else None
    return known or _of(annotation)
