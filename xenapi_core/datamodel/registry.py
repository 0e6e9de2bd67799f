"""The whole datamodel: all classes, found in a package, checked against each other."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from xenapi_core.datamodel.fields import Field
from xenapi_core.datamodel.implicit import implicit_messages
from xenapi_core.datamodel.messages import Message
from xenapi_core.datamodel.types import Reference, Set
from xenapi_core.datamodel.xenclass import ClassDefinition, Follow, XenClass


@dataclass(frozen=True)
class Relation:
    """One object refers to another, which collects the references: a VBD's VM, and the VM's VBDs."""

    many: str
    """The class that refers."""
    reference: int
    """Position of the referring field."""
    one: str
    """The class that is referred to."""
    collection: int
    """Position of the collecting field."""


class Datamodel:
    """Classes, messages and relations. Mistakes between declarations are told at once (TypeError)."""

    def __init__(self, classes: Iterable[type[XenClass]]) -> None:
        self.classes: dict[str, ClassDefinition] = {cls.__name__: cls.definition for cls in classes}
        self.messages: dict[str, Message[..., Any]] = {}
        """By full name, such as "VM.start"."""
        self.removed: set[str] = set()
        self.relations: dict[str, list[Relation]] = {name: [] for name in self.classes}
        """By the class that refers."""
        self.collections: dict[str, list[Relation]] = {name: [] for name in self.classes}
        """By the class that is referred to."""
        self.followers: dict[str, list[Follow]] = {}
        """What changes of objects call for, by class."""
        for cls in self.classes.values():
            for other, follow in cls.follows.items():
                self.followers.setdefault(other, []).append(follow)
            for message in (*implicit_messages(cls), *cls.messages.values()):
                if message.name not in cls.removed:
                    self.messages[message.method] = message
            self.removed.update(f"{cls.name}.{name}" for name in cls.removed)
            for field in cls.fields.values():
                self._check(cls, field)
        self.by_lower_name = {name.lower(): cls for name, cls in self.classes.items()}

    @classmethod
    def load(cls, package: ModuleType | str = "xenapi_core.classes") -> Datamodel:
        """Return the datamodel of all classes that the modules of a package declare."""
        root = importlib.import_module(package) if isinstance(package, str) else package
        names = [f"{root.__name__}.{info.name}" for info in pkgutil.iter_modules(root.__path__)]
        return cls(
            value
            for module in map(importlib.import_module, names)
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, XenClass) and value.__module__ == module.__name__
        )

    def methods(self) -> list[str]:
        """Return the names of all messages, sorted."""
        asynchronous = [f"Async.{name}" for name, message in self.messages.items() if message.asynchronous]
        return sorted([*self.messages, *asynchronous])

    def _check(self, cls: ClassDefinition, field: Field) -> None:
        if field.opposite is None:
            return
        where = f"field {cls.name}.{field.name}"
        many, name = field.opposite
        opposite = self.classes[many].fields.get(name) if many in self.classes else None
        if opposite is None or opposite.type != Reference(cls.name) or field.type != Set(Reference(many)):
            raise TypeError(f"{where}: {many}.{name} has to be a reference to {cls.name}, and this a set of {many}")
        relation = Relation(many, self.classes[many].index[name], cls.name, cls.index[field.name])
        self.relations[many].append(relation)
        self.collections[cls.name].append(relation)
