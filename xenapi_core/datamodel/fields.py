"""Fields of a class: what ``field`` and ``reverse`` declare in a class body."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from xenapi_core.datamodel.roles import Role
from xenapi_core.datamodel.types import Type


class Qualifier(Enum):
    """Who may write a field."""

    RO = "RO_run"
    """Set by the server while it runs."""
    RW = "RW"
    """Set by clients at any time."""
    STATIC = "RO_ins"
    """Given when the object is created, then fixed."""


RO = Qualifier.RO
RW = Qualifier.RW
STATIC = Qualifier.STATIC

UNSET: Any = object()
"""No default was declared."""


@dataclass(frozen=True)
class FieldDeclaration:
    """What a class body says of a field; the annotation adds the type."""

    qualifier: Qualifier
    default: Any = UNSET
    doc: str = ""
    role: Role | None = None
    sampled: bool = False
    internal: bool = False
    opposite: tuple[str, str] | None = None


@dataclass(frozen=True)
class Field:
    """A field of a class."""

    name: str
    type: Type
    qualifier: Qualifier
    default: Any
    """In stored form; the type's zero if none was declared."""
    required: bool
    """No default was declared, so whoever creates the object has to give it."""
    doc: str
    role: Role | None
    """Who may set it; None: whoever may by the class."""
    sampled: bool
    """A measurement: neither journalled nor an event (see ``Store.measure``)."""
    internal: bool
    """Kept for the server's own use: journalled, but not part of the API and never on the wire."""
    opposite: tuple[str, str] | None
    """For a reverse field: the class and field whose references it collects."""

    @property
    def stored(self) -> bool:
        """Whether the journal holds it."""
        return not self.sampled and self.opposite is None


def field(
    qualifier: Qualifier,
    *,
    default: Any = UNSET,
    doc: str = "",
    role: Role | None = None,
    sampled: bool = False,
    internal: bool = False,
) -> Any:
    """Declare a field; its annotation is its type. See ``Field`` for what the arguments mean."""
    return FieldDeclaration(qualifier, default, doc, role, sampled, internal)


def reverse(cls: str, name: str, *, doc: str = "") -> Any:
    """Declare a collection: the references to all objects of ``cls`` whose field ``name`` refers to this one.

    The store keeps it, in order of creation of the objects; nobody writes it.
    """
    return FieldDeclaration(RO, (), doc, opposite=(cls, name))
