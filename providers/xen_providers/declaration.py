"""Declared mappings: a CIM class said once, from which everything else about it follows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

from cim_provider import ClassDeclaration, InstanceName, Method, Property
from xen_providers.expressions import Expression, Path, constant, identity, joined, parse_path, value

Handler: TypeAlias = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Mapped:
    """A property: its CIM type, and the expression that fills it."""

    property: Property
    expression: Expression


@dataclass(frozen=True)
class MappedMethod:
    """An extrinsic method: its declaration, and the coroutine function that runs it (see methods.Call)."""

    method: Method
    handler: Handler


@dataclass(frozen=True)
class End:
    """An end of an association: the class there, and the references that lead to it (none: the record itself)."""

    target: MappedClass
    prefix: Path = ()


@dataclass(frozen=True, eq=False)
class MappedClass:
    """A CIM class, one instance for each record of ``source`` for which ``where`` is true.

    For an association ``ends`` has its roles; their properties and ``where`` were made by ``association``.
    """

    name: str
    superclass: str
    source: str
    properties: Mapping[str, Mapped]
    where: Expression = constant(True)  # noqa: RUF009 (immutable)
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


def association(
    name: str,
    superclass: str,
    source: str,
    ends: Mapping[str, tuple[MappedClass, str]],
    properties: Mapping[str, Mapped] | None = None,
) -> MappedClass:
    """Declare an association: a pair for each record of ``source`` from which both ends are reached.

    ``ends`` gives for each role the class and the reference that leads there from the record, ``""`` for the record
    itself, so ``{"Antecedent": (HOST, "resident_on"), "Dependent": (SYSTEM, "")}`` joins VMs to their hosts.
    """
    sides = {role: End(target, parse_path(path) if path else ()) for role, (target, path) in ends.items()}
    names = {role: end.target.path.under(end.prefix) for role, end in sides.items()}
    conditions = [end.target.where.under(end.prefix) for end in sides.values()]
    references = {
        role: Mapped(Property("reference", key=True, reference=end.target.name), names[role])
        for role, end in sides.items()
    }
    return MappedClass(
        name,
        superclass,
        source,
        {**references, **(properties or {})},
        where=joined(lambda *values: all(values), [*names.values(), *conditions]),
        ends=sides,
    )


def _typed(type_: str, *, array: bool = False) -> Callable[..., Mapped]:
    """Return what declares a property of a type: by an expression, or by a path and a conversion of what is there."""

    def declare(source: str | Expression, function: Callable[[Any], Any] = identity) -> Mapped:
        expression = value(source, function) if isinstance(source, str) else source
        return Mapped(Property(type_, array=array), expression)

    return declare


boolean = _typed("boolean")
datetime_ = _typed("datetime")
real64 = _typed("real64")
string = _typed("string")
strings = _typed("string", array=True)
uint16 = _typed("uint16")
uint16s = _typed("uint16", array=True)


def key(mapped: Mapped) -> Mapped:
    """Make a property a key."""
    return replace(mapped, property=replace(mapped.property, key=True))
