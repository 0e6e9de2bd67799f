"""A condition as a tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as OneOf
from typing import TypeAlias

Operator: TypeAlias = OneOf["=", "<>", "<", "<=", ">", ">="]


@dataclass(frozen=True)
class Literal:
    """A constant."""

    value: bool | int | float | str
    position: int = 0


@dataclass(frozen=True)
class Step:
    """One name of a path: ``name``, ``scope::name`` and an index, which may be ``"*"`` for any element."""

    name: str
    scope: str | None = None
    index: int | OneOf["*"] | None = None
    position: int = 0


@dataclass(frozen=True)
class Path:
    """A property of the instance, or by further steps of the instances embedded in it."""

    steps: tuple[Step, ...]
    position: int = 0


Operand: TypeAlias = Literal | Path


@dataclass(frozen=True)
class Comparison:
    """Two operands compared. ``quantifier`` is for arrays: ANY or EVERY element (DSP0212)."""

    operator: Operator
    left: Operand
    right: Operand
    position: int = 0
    quantifier: OneOf["ANY", "EVERY"] | None = None


@dataclass(frozen=True)
class Like:
    """A string property compared with a pattern."""

    operand: Path
    pattern: str
    position: int = 0
    quantifier: OneOf["ANY", "EVERY"] | None = None


@dataclass(frozen=True)
class IsNull:
    """Whether a property has no value."""

    operand: Path


@dataclass(frozen=True)
class Isa:
    """Whether an embedded instance, or the instance itself (an empty path), is of a class or below it."""

    operand: Path
    class_name: str
    position: int = 0


@dataclass(frozen=True)
class Not:
    """The opposite; unknown stays unknown."""

    operand: Condition


@dataclass(frozen=True)
class And:
    """All of them."""

    operands: tuple[Condition, ...]


@dataclass(frozen=True)
class Or:
    """Any of them."""

    operands: tuple[Condition, ...]


Condition: TypeAlias = Comparison | Like | IsNull | Isa | Not | And | Or


@dataclass(frozen=True)
class Select:
    """A whole query: the properties asked for (None: all), the class, the condition."""

    properties: tuple[Path, ...] | None
    class_name: str
    condition: Condition | None
    class_position: int = 0
