"""Declared mappings: a CIM class said once, from which everything else about it follows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

from cim_provider import ClassDeclaration, InstanceName, Method, Property
from xen_providers.mapping.expressions import Expression, Path, constant, identity, joined, parse_path, value
from xen_providers.methods.outcomes import ReturnValues

Handler: TypeAlias = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Mapped:
    """A property: its CIM type, and the expression that fills it."""

    property: Property
    expression: Expression


@dataclass(frozen=True)
class MappedMethod:
    """An extrinsic method: its declaration, and the coroutine function that runs it.

    The function gets a methods.Call and inputs.Inputs, and returns a MethodResult. How it fails is told by the return
    values, if there are any; else by CIM errors.
    """

    method: Method
    handler: Handler
    failures: ReturnValues | None = None


WHOLE = constant(None)
"""The parts of a record that is one instance."""


@dataclass(frozen=True)
class AnyOf:
    """One of several classes: whichever the record at the end of an association is an instance of."""

    name: str
    """The class that they have in common, to which the reference is declared."""
    classes: tuple[MappedClass, ...]


@dataclass(frozen=True)
class End:
    """An end of an association: the class there, and the references that lead to it (none: the record itself).

    ``path`` is the name of the instance there; None if the record at the end is no instance of the class.
    """

    target: MappedClass | AnyOf
    prefix: Path
    path: Expression

    @property
    def classes(self) -> tuple[MappedClass, ...]:
        """The classes that the instance at this end may have."""
        return self.target.classes if isinstance(self.target, AnyOf) else (self.target,)


@dataclass(frozen=True, eq=False)
class MappedClass:
    """A CIM class: which instances it has, and how their properties follow from records.

    There is one instance for each record of ``source`` for which ``where`` is true; or, if ``parts`` is given, one for
    each of the values that it has for the record. Expressions find that value at the path ``PART``; it is hashable.
    For an association ``ends`` has its roles; their properties and ``where`` were made by ``association``.
    """

    name: str
    superclass: str
    source: str
    properties: Mapping[str, Mapped]
    where: Expression = constant(True)  # noqa: RUF009 (immutable)
    parts: Expression = WHOLE
    methods: Mapping[str, MappedMethod] = field(default_factory=dict)
    delete: Handler | None = None
    ends: Mapping[str, End] = field(default_factory=dict)

    @property
    def declaration(self) -> ClassDeclaration:
        """What a host is told of the class."""
        return ClassDeclaration(
            self.name,
            self.superclass,
            {name: each.property for name, each in self.properties.items()},
            {name: each.method for name, each in self.methods.items()},
            is_association=bool(self.ends),
        )

    @property
    def keys(self) -> dict[str, Mapped]:
        """The key properties."""
        return {name: each for name, each in self.properties.items() if each.property.key}

    @property
    def path(self) -> Expression:
        """The name of the instance; None if a key is missing."""
        make = partial(_instance_name, self.name, tuple(self.keys))
        return joined(make, [each.expression for each in self.keys.values()])


def _instance_name(class_name: str, keys: tuple[str, ...], *values: Any) -> InstanceName | None:
    if any(each is None for each in values):
        return None
    return InstanceName(class_name, tuple(zip(keys, values, strict=True)))


Target: TypeAlias = MappedClass | AnyOf
Destination: TypeAlias = tuple[Target, str] | tuple[Target, str, Expression]


def association(
    name: str,
    superclass: str,
    source: str,
    ends: Mapping[str, Destination],
    properties: Mapping[str, Mapped] | None = None,
    *,
    where: Expression | None = None,
    parts: Expression | None = None,
) -> MappedClass:
    """Declare an association: a pair for each record of ``source`` from which both ends are reached.

    ``ends`` gives for each role the class and the reference that leads there from the record, ``""`` for the record
    itself, so ``{"Antecedent": (HOST, "resident_on"), "Dependent": (SYSTEM, "")}`` joins VMs to their hosts. Where an
    end's class has parts there is a pair for each part (for each that both have, if both do). ``parts`` says which
    pairs there are instead, and a third element of an end then how the name there follows; the reference has to lead
    to all records that come into question, and ``parts`` and ``where`` to pairs of instances that exist. ``where`` is
    a further condition.
    """
    sides = {role: _end(*destination) for role, destination in ends.items()}
    names = [end.path for end in sides.values()]
    references = {
        role: Mapped(Property("reference", key=True, reference=end.target.name), end.path)
        for role, end in sides.items()
    }
    return MappedClass(
        name,
        superclass,
        source,
        {**references, **(properties or {})},
        where=joined(lambda *values: all(values), names if where is None else [where, *names]),
        parts=parts or _common_parts(sides.values()),
        ends=sides,
    )


def _end(target: Target, reference: str, path: Expression | None = None) -> End:
    prefix = parse_path(reference) if reference else ()
    if path is None:
        classes = target.classes if isinstance(target, AnyOf) else (target,)
        path = joined(_first_that_is, [part for each in classes for part in (each.where, each.path)]).under(prefix)
    return End(target, prefix, path)


def _first_that_is(*found: Any) -> Any:
    """Return the first of several names whose condition, which comes before it, holds."""
    return next((name for holds, name in zip(found[::2], found[1::2], strict=True) if holds), None)


def _common_parts(ends: Iterable[End]) -> Expression:
    parts = [each.parts.under(end.prefix) for end in ends for each in end.classes if each.parts is not WHOLE]
    if not parts:
        return WHOLE
    return joined(_common, parts) if len(parts) > 1 else parts[0]


def _common(first: Sequence[Any] | None, *others: Sequence[Any] | None) -> list[Any]:
    """Return the values that all sequences have, in the order of the first."""
    return [value for value in first or () if all(value in (other or ()) for other in others)]


def _typed(type_: str, *, array: bool = False) -> Callable[..., Mapped]:
    """Return what declares a property of a type: by an expression, or by a path and a conversion of what is there."""

    def declare(source: str | Expression, function: Callable[[Any], Any] = identity) -> Mapped:
        expression = value(source, function) if isinstance(source, str) else source
        return Mapped(Property(type_, array=array), expression)

    return declare


boolean = _typed("boolean")
booleans = _typed("boolean", array=True)
datetime_ = _typed("datetime")
real32 = _typed("real32")
real64 = _typed("real64")
sint32 = _typed("sint32")
string = _typed("string")
strings = _typed("string", array=True)
uint8 = _typed("uint8")
uint16 = _typed("uint16")
uint16s = _typed("uint16", array=True)
uint32 = _typed("uint32")
uint32s = _typed("uint32", array=True)
uint64 = _typed("uint64")


def embedded(class_name: str, expression: Expression) -> Mapped:
    """Declare a property that holds an instance of a class."""
    return Mapped(Property("string", embedded=class_name), expression)


def key(mapped: Mapped) -> Mapped:
    """Make a property a key."""
    return replace(mapped, property=replace(mapped.property, key=True))
