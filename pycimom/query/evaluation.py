"""From a tree to a function: names, types and literals are settled once, against the class, before the first instance.

A condition is true, false or unknown (None); comparing with NULL is unknown. Closures rather than an interpreter,
because a filter runs on each of very many instances.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeAlias

from cim_provider import CimError, Instance, InstanceName, Value
from pycimom.cimxml.scalars import parse_datetime
from pycimom.query.errors import invalid
from pycimom.query.expressions import (
    And,
    Comparison,
    Condition,
    Isa,
    IsNull,
    Like,
    Literal,
    Not,
    Operand,
    Or,
    Path,
    Step,
)
from pycimom.query.patterns import Pattern, PatternError
from pycimom.repository_model import CimClass, CimProperty

Truth: TypeAlias = bool | None
Predicate: TypeAlias = Callable[[Instance], Truth]
Getter: TypeAlias = Callable[[Instance], Value]

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_KINDS = {
    "boolean": "boolean",
    "string": "string",
    "char16": "string",
    "datetime": "datetime",
    "reference": "reference",
}


class Classes(Protocol):
    """The classes that a query may name: those of one namespace."""

    def get(self, class_name: str) -> CimClass:
        """Return a class; CimError INVALID_CLASS."""

    def is_subclass(self, name: str, ancestor: str) -> bool:
        """Whether ``name`` is ``ancestor`` or below it; CimError INVALID_CLASS for an unknown ``name``."""


@dataclass(frozen=True)
class _Access:
    """How to read an operand, and what is known about it beforehand."""

    get: Getter
    kind: str | None
    """boolean, number, string, datetime, reference or embedded; None if only the instance tells."""
    what: str
    array: bool | None = False
    """Whether it is a list; None if only the instance tells."""


class Evaluation:
    """Turns conditions on instances of one class into functions."""

    def __init__(self, classes: Classes, cim_class: CimClass, pattern: Callable[[str], Pattern]) -> None:
        self._classes = classes
        self._class = cim_class
        self._pattern = pattern
        self._is_below: dict[tuple[str, str], bool] = {}

    def predicate(self, condition: Condition) -> Predicate:
        """Return the function of a condition; CimError INVALID_QUERY if it names or compares what cannot be."""
        match condition:
            case And(operands):
                return _every([self.predicate(each) for each in operands])
            case Or(operands):
                return _any([self.predicate(each) for each in operands])
            case Not(operand):
                inner = self.predicate(operand)
                return lambda instance: None if (truth := inner(instance)) is None else not truth
            case IsNull(operand):
                get = self._access(operand).get
                return lambda instance: get(instance) is None
            case Isa():
                return self._isa(condition)
            case Like():
                return self._like(condition)
            case Comparison():
                return self._comparison(condition)

    def property_name(self, path: Path) -> str:
        """Return the class's spelling of a property that a query selects."""
        steps = self._own_steps(path)
        if len(steps) != 1 or steps[0].index is not None:
            raise invalid("Only properties of the class itself can be selected", path.position)
        return self._property(self._class, steps[0]).name

    def _comparison(self, condition: Comparison) -> Predicate:
        left, right = self._operand(condition.left), self._operand(condition.right)
        sign, position = condition.operator, condition.position
        if left.kind == "datetime" and right.kind == "string" and isinstance(condition.right, Literal):
            right = _datetime_literal(condition.right)
        elif right.kind == "datetime" and left.kind == "string" and isinstance(condition.left, Literal):
            left = _datetime_literal(condition.left)
        if left.kind and right.kind and left.kind != right.kind:
            raise invalid(f"{left.what} is a {left.kind} and cannot be compared with a {right.kind}", position)
        kind = left.kind or right.kind
        if kind == "embedded" or (kind in ("boolean", "reference") and sign not in ("=", "<>")):
            raise invalid(f"{left.what} is a {kind} and cannot be compared by {sign}", position)
        if right.array:
            raise invalid(f"{right.what} is an array; only the left side may be one", position)
        compare = _comparer(sign)
        get_left, get_right = left.get, right.get
        if condition.quantifier or (isinstance(condition.left, Path) and condition.left.steps[-1].index == "*"):
            self._check_array(left, condition.position)
            return _quantified(condition.quantifier or "ANY", get_left, get_right, compare)
        if left.array:
            raise invalid(f"{left.what} is an array; name an element of it", position)
        if isinstance(condition.right, Literal):
            constant = get_right(_NOTHING)
            return lambda instance: compare(get_left(instance), constant)
        return lambda instance: compare(get_left(instance), get_right(instance))

    def _like(self, condition: Like) -> Predicate:
        access = self._access(condition.operand)
        if access.kind not in ("string", None):
            raise invalid(f"{access.what} is a {access.kind}, LIKE is for strings", condition.position)
        try:
            pattern = self._pattern(condition.pattern)
        except PatternError as error:
            raise invalid(f"The pattern {condition.pattern[:60]!r} is wrong: {error}", condition.position) from error

        def matches(value: Value, _: Value) -> Truth:
            return pattern.matches(value) if isinstance(value, str) else None

        get = access.get
        if condition.quantifier or condition.operand.steps[-1].index == "*":
            self._check_array(access, condition.position)
            return _quantified(condition.quantifier or "ANY", get, lambda _: None, matches)
        if access.array:
            raise invalid(f"{access.what} is an array; name an element of it", condition.position)
        return lambda instance: matches(get(instance), None)

    def _isa(self, condition: Isa) -> Predicate:
        wanted = self._named_class(condition.class_name, condition.position).name
        below = self._below
        if not self._own_steps(condition.operand):
            return lambda instance: below(instance.class_name, wanted)
        access = self._access(condition.operand)
        if access.kind not in ("embedded", "reference", None) or access.array:
            raise invalid(f"{access.what} is no embedded instance, so it has no class", condition.position)
        get = access.get

        def isa(instance: Instance) -> Truth:
            value = get(instance)
            return below(value.class_name, wanted) if isinstance(value, Instance | InstanceName) else None

        return isa

    def _operand(self, operand: Operand) -> _Access:
        if isinstance(operand, Path):
            return self._access(operand)
        value = operand.value
        kind = "boolean" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"
        return _Access(lambda _: value, kind, repr(value))

    def _access(self, path: Path) -> _Access:
        """Return how to read a path, after checking every step whose class is known."""
        steps = self._own_steps(path)
        if not steps:
            raise invalid(f"{self._class.name} is a class; name a property of it", path.position)
        cim_class: CimClass | None = self._class
        access = _Access(lambda instance: instance, "embedded", self._class.name)
        for number, step in enumerate(steps):
            if number and access.kind not in ("embedded", None):
                raise invalid(f"{access.what} is a {access.kind}; it has no properties", step.position)
            if access.array:
                raise invalid(f"{access.what} is an array; name an element of it", step.position)
            access, cim_class = self._follow(access, step, cim_class, is_first=number == 0)
        return access

    def _follow(
        self, before: _Access, step: Step, cim_class: CimClass | None, is_first: bool
    ) -> tuple[_Access, CimClass | None]:
        scope = self._named_class(step.scope, step.position) if step.scope is not None else None
        declared = self._property(scope or cim_class, step) if scope or cim_class else None
        get = _reader(before.get, step.name, declared, is_first)
        if scope is not None:
            get = self._scoped(before.get, get, scope.name)
        array = declared.array if declared else None
        if isinstance(step.index, int):
            if array is False:
                raise invalid(f"{step.name} is no array", step.position)
            get, array = _element(get, step.index), False
        next_class = None
        if declared is not None and declared.embedded not in (None, "object"):
            next_class = self._named_class(declared.embedded or "", step.position)
        return _Access(get, _kind(declared), step.name, array), next_class

    def _scoped(self, before: Getter, get: Getter, scope: str) -> Getter:
        below = self._below

        def scoped(instance: Instance) -> Value:
            holder = before(instance)
            return get(instance) if isinstance(holder, Instance) and below(holder.class_name, scope) else None

        return scoped

    def _own_steps(self, path: Path) -> tuple[Step, ...]:
        """Return the steps without the name of the queried class, which may stand before them."""
        first = path.steps[0]
        names_class = first.scope is None and first.name.lower() == self._class.name.lower()
        return path.steps[1:] if names_class and self._class.find_property(first.name) is None else path.steps

    def _property(self, cim_class: CimClass | None, step: Step) -> CimProperty:
        declared = cim_class.find_property(step.name) if cim_class else None
        if declared is None:
            name = cim_class.name if cim_class else ""
            raise invalid(f"Class {name} has no property {step.name}", step.position)
        return declared

    def _named_class(self, name: str, position: int) -> CimClass:
        try:
            return self._classes.get(name)
        except CimError as error:
            raise invalid(f"There is no class {name}", position) from error

    def _below(self, name: str, ancestor: str) -> bool:
        known = self._is_below.get((name, ancestor))
        if known is None:
            try:
                known = self._classes.is_subclass(name, ancestor)
            except CimError:
                known = False
            self._is_below[name, ancestor] = known
        return known

    def _check_array(self, access: _Access, position: int) -> None:
        if access.array is False:
            raise invalid(f"{access.what} is no array", position)


_NOTHING = Instance("", {})


def _reader(before: Getter, name: str, declared: CimProperty | None, is_first: bool) -> Getter:
    """Return how to read a property; the class's spelling finds it at once, any other only by ``Instance.get``."""
    if is_first and declared is not None:
        spelling = declared.name
        return lambda instance: instance.properties.get(spelling)

    def read(instance: Instance) -> Value:
        holder = before(instance)
        return holder.get(name) if isinstance(holder, Instance) else None

    return read


def _element(get: Getter, index: int) -> Getter:
    def element(instance: Instance) -> Value:
        value = get(instance)
        is_there = isinstance(value, Sequence) and not isinstance(value, str) and index < len(value)
        return value[index] if is_there else None  # type: ignore[index]  # a sequence, as the line above found

    return element


def _kind(declared: CimProperty | None) -> str | None:
    if declared is None:
        return None
    return "embedded" if declared.embedded else _KINDS.get(declared.type, "number")


def _datetime_literal(literal: Literal) -> _Access:
    value = _as_time(str(literal.value))
    if value is None:
        raise invalid(f"{literal.value!r} is no datetime of CIM", literal.position)
    return _Access(lambda _: value, "datetime", repr(literal.value))


def _as_time(text: str) -> datetime | timedelta | None:
    """Read a datetime of DSP0004 5.2.4; None if the text is none."""
    try:
        return parse_datetime(text)
    except (ValueError, OverflowError):
        return None


def _comparer(sign: str) -> Callable[[Value, Value], Truth]:
    """Return how two values compare: unknown if one is NULL or they are of different kinds."""
    compare = _COMPARE[sign]
    only_equality = sign in ("=", "<>")

    def result(left: Value, right: Value) -> Truth:
        if left is None or right is None:
            return None
        if type(left) is type(right) and isinstance(left, str | int) and not isinstance(left, bool):
            return compare(left, right)
        return _compare_mixed(left, right)

    def _compare_mixed(left: Value, right: Value) -> Truth:
        if isinstance(left, bool) or isinstance(right, bool):
            return compare(left, right) if type(left) is type(right) and only_equality else None
        if isinstance(left, int | float) and isinstance(right, int | float):
            return compare(left, right)
        if isinstance(left, InstanceName) and isinstance(right, InstanceName):
            return compare(left.identity, right.identity) if only_equality else None
        if isinstance(left, str) and isinstance(right, datetime | timedelta):
            left = _as_time(left)
        elif isinstance(right, str) and isinstance(left, datetime | timedelta):
            right = _as_time(right)
        for kind in (datetime, timedelta):
            if isinstance(left, kind) and isinstance(right, kind):
                return compare(left, right)
        return None

    return result


def _quantified(
    quantifier: str, get_array: Getter, get_other: Getter, compare: Callable[[Value, Value], Truth]
) -> Predicate:
    combine = _or if quantifier == "ANY" else _and

    def quantified(instance: Instance) -> Truth:
        array = get_array(instance)
        if not isinstance(array, Sequence) or isinstance(array, str):
            return None
        other = get_other(instance)
        return combine(compare(each, other) for each in array)

    return quantified


def _and(truths: Any) -> Truth:
    result: Truth = True
    for truth in truths:
        if truth is False:
            return False
        if truth is None:
            result = None
    return result


def _or(truths: Any) -> Truth:
    result: Truth = False
    for truth in truths:
        if truth:
            return True
        if truth is None:
            result = None
    return result


def _every(predicates: Sequence[Predicate]) -> Predicate:
    return lambda instance: _and(each(instance) for each in predicates)


def _any(predicates: Sequence[Predicate]) -> Predicate:
    return lambda instance: _or(each(instance) for each in predicates)
