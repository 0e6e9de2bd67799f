"""Classes of the API: ``class VM(XenClass)`` declares one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from xenapi_core.datamodel import types
from xenapi_core.datamodel.call import Call
from xenapi_core.datamodel.fields import UNSET, Field, FieldDeclaration
from xenapi_core.datamodel.messages import Message
from xenapi_core.datamodel.objects import Change, Operations
from xenapi_core.datamodel.record import Record
from xenapi_core.datamodel.roles import POOL_OPERATOR, READ_ONLY, Role

Follow = Callable[[Change, Record, Record], None]
"""Does what the change of an object calls for: gets the step, the object before, and after."""


@dataclass(frozen=True)
class ClassDefinition:
    """What a class declares."""

    name: str
    doc: str
    fields: dict[str, Field]
    messages: dict[str, Message[..., Any]]
    """The declared ones; ``Datamodel`` adds the implicit ones."""
    role: Role
    """The weakest role that may create and destroy objects and set fields, where nothing else is declared."""
    readers: Role
    """The weakest role that may read its objects."""
    stored: bool
    """Its objects are in the store; else it has no implicit messages but, perhaps, getters."""
    getters: bool
    """It has get_record and a getter for each field."""
    persistent: bool
    """Its objects survive a restart."""
    events: bool
    """Changes of its objects are events."""
    creatable: bool
    destroyable: bool
    operations: Operations | None
    follows: Mapping[str, Follow]
    """What changes of objects of other classes call for, by the other class: done in the same step."""
    removed: frozenset[str]
    """Messages that existed once: they answer MESSAGE_REMOVED."""
    read: Callable[[Call, str], Record]
    """Gets the record of a reference, for the implicit getters."""
    index: dict[str, int] = field(default_factory=dict)
    """Position of each field in a record."""
    defaults: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        self.index.update({name: position for position, name in enumerate(self.fields)})
        object.__setattr__(self, "defaults", tuple(field.default for field in self.fields.values()))


class XenClass:
    """The base of all classes of the API. Subclasses are declarations; they have no instances.

    A class with many messages is made of parts, one per subject: plain classes named before this one, as in
    ``class VM(Power, Sizing, XenClass)``. What they declare is the class's own; what the class itself declares wins.

    Options, given as in ``class VM(XenClass, creatable=True)``: see ``ClassDefinition``.
    """

    definition: ClassDefinition

    def __init_subclass__(
        cls,
        *,
        role: Role = POOL_OPERATOR,
        readers: Role = READ_ONLY,
        stored: bool = True,
        persistent: bool = True,
        events: bool = True,
        creatable: bool = False,
        destroyable: bool = False,
        operations: Operations | None = None,
        follows: Mapping[str, Follow] | None = None,
        removed: Sequence[str] = (),
        read: Callable[[Call, str], Record] | None = None,
    ) -> None:
        messages = _messages(cls)
        cls.definition = ClassDefinition(
            name=cls.__name__,
            doc=(cls.__doc__ or "").strip(),
            fields=_fields(cls),
            messages=messages,
            role=role,
            readers=readers,
            stored=stored,
            persistent=persistent,
            events=events,
            creatable=creatable,
            destroyable=destroyable,
            operations=operations,
            follows=follows or {},
            removed=frozenset(removed),
            getters=stored or read is not None,
            read=read or _reader(cls.__name__),
        )


def _reader(cls: str) -> Callable[[Call, str], Record]:
    def read(call: Call, ref: str) -> Record:
        return call.store.durable.record(ref, cls)

    return read


def _declared(cls: type) -> dict[str, Any]:
    """Return all that a class and its parts declare, the class's own last."""
    parts = [part for part in reversed(cls.__mro__) if part not in (object, XenClass)]
    return {name: value for part in parts for name, value in vars(part).items()}


def _messages(cls: type) -> dict[str, Message[..., Any]]:
    """Return the messages of a class and its parts, each knowing its class."""
    messages = {}
    for name, value in _declared(cls).items():
        if isinstance(value, Message):
            message = messages[value.name] = copy(value)
            message.cls = cls.__name__
            setattr(cls, name, message)
    return messages


def _fields(cls: type) -> dict[str, Field]:
    declared = {name: value for name, value in _declared(cls).items() if isinstance(value, FieldDeclaration)}
    hints = get_type_hints(cls, localns={}, include_extras=True)
    return {name.rstrip("_"): _field(cls.__name__, name, value, hints.get(name)) for name, value in declared.items()}


def _field(cls: str, name: str, declared: FieldDeclaration, annotation: Any) -> Field:
    try:
        kind = types.of(annotation)
        default = kind.zero() if declared.default is UNSET else kind.admit(declared.default)
    except TypeError as error:
        raise TypeError(f"field {cls}.{name}: {error}") from error
    return Field(
        name=name.rstrip("_"),
        type=kind,
        qualifier=declared.qualifier,
        default=default,
        required=declared.default is UNSET,
        doc=declared.doc,
        role=declared.role,
        sampled=declared.sampled,
        internal=declared.internal,
        opposite=declared.opposite,
    )
