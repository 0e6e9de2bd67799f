"""Changes to the classes and qualifier declarations of a namespace, taken over all at once or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from lxml import etree

from cim_provider import CimError, Status
from pycimom.repository_cimxml import ClassSource, qualifier_declaration, read_class
from pycimom.repository_namespace import Namespace
from pycimom.repository_resolution import Surroundings, resolve_class

FindClass: TypeAlias = Callable[[Namespace, str], ClassSource | None]
"""Finds a class, also one that has to be added to the namespace first."""
InUse: TypeAlias = Callable[[str, str], bool]
"""Whether a class of a namespace has instances, or a provider that may have some."""


class ClassChange(NamedTuple):
    """A class as it is to be from now on; None if it is to be gone."""

    name: str
    source: ClassSource | None


class QualifierChange(NamedTuple):
    """A qualifier declaration as it is to be from now on; None if it is to be gone."""

    name: str
    xml: bytes | None


class Draft:
    """A version of a namespace under work. What fails leaves it as it was."""

    def __init__(self, namespace: Namespace, find_class: FindClass, in_use: InUse) -> None:
        self.namespace = namespace.copy()
        self.changes: list[ClassChange | QualifierChange] = []
        self._find_class = find_class
        self._in_use = in_use

    def create_class(self, declared: etree._Element) -> None:
        """Add a class. DSP0200 5.3.2.14: ALREADY_EXISTS, INVALID_SUPERCLASS, INVALID_PARAMETER."""
        name = declared.get("NAME") or ""
        if self._find(name) is not None:
            raise CimError(Status.ALREADY_EXISTS, f"The class {name} already exists in {self.namespace.name}.")
        self._put(self._resolve(declared))

    def modify_class(self, declared: etree._Element) -> None:
        """Replace a class by another declaration of it; its superclass stays. DSP0200 5.3.2.15.

        NOT_FOUND, INVALID_SUPERCLASS, INVALID_PARAMETER; CLASS_HAS_CHILDREN or CLASS_HAS_INSTANCES rather than
        changing what depends on it.
        """
        existing = self._existing(declared.get("NAME") or "")
        above = declared.get("SUPERCLASS")
        if above is not None and above.lower() != (existing.superclass or "").lower():
            raise CimError(Status.INVALID_SUPERCLASS, f"The superclass of {existing.name} cannot be changed.")
        if existing.superclass is not None:
            declared.set("SUPERCLASS", existing.superclass)
        declared.set("NAME", existing.name)
        self._check_unused(existing)
        self._put(self._resolve(declared))

    def delete_class(self, class_name: str) -> None:
        """Remove a class. DSP0200 5.3.2.12: NOT_FOUND, CLASS_HAS_CHILDREN, CLASS_HAS_INSTANCES."""
        existing = self._existing(class_name)
        self._check_unused(existing)
        self.namespace.remove(existing.name)
        self.changes.append(ClassChange(existing.name, None))

    def set_qualifier(self, declaration: etree._Element) -> None:
        """Add a qualifier declaration, or replace the one of that name. DSP0200 5.3.2.27: INVALID_PARAMETER."""
        name = declaration.get("NAME")
        if declaration.tag != "QUALIFIER.DECLARATION" or not name or declaration.get("TYPE") is None:
            raise CimError(Status.INVALID_PARAMETER, "This is no declaration of a qualifier.")
        self._set_qualifier(name, qualifier_declaration(declaration))

    def delete_qualifier(self, name: str) -> None:
        """Remove a qualifier declaration. DSP0200 5.3.2.28: NOT_FOUND; FAILED if a class uses it."""
        kept = self.namespace.qualifiers.get(name.lower())
        if kept is None:
            raise CimError(Status.NOT_FOUND, f"There is no qualifier {name} in {self.namespace.name}.")
        mark = f'<QUALIFIER NAME="{etree.fromstring(kept).get("NAME")}"'.encode()
        user = next((each.name for each in self.namespace.classes.values() if mark in each.xml), None)
        if user is not None:
            raise CimError(Status.FAILED, f"The qualifier {name} is used by class {user}.")
        del self.namespace.qualifiers[name.lower()]
        self.changes.append(QualifierChange(name, None))

    def repeat(self, change: ClassChange | QualifierChange) -> bool:
        """Make a change of an earlier run again; False if its class has lost its superclass."""
        if isinstance(change, QualifierChange):
            self.namespace.qualifiers.pop(change.name.lower(), None)
            if change.xml is not None:
                self.namespace.qualifiers[change.name.lower()] = change.xml
        elif change.source is not None:
            if change.source.superclass is not None and self._find(change.source.superclass) is None:
                return False
            self.namespace.put(change.source)
        elif change.name.lower() in self.namespace.classes:
            self.namespace.remove(change.name)
        self.changes.append(change)
        return True

    def _set_qualifier(self, name: str, xml: bytes) -> None:
        self.namespace.qualifiers[name.lower()] = xml
        self.changes.append(QualifierChange(name, xml))

    def _put(self, source: ClassSource) -> None:
        self.namespace.put(source)
        self.changes.append(ClassChange(source.name, source))

    def _resolve(self, declared: etree._Element) -> ClassSource:
        superclass = declared.get("SUPERCLASS")
        above = self._find(superclass) if superclass else None
        if superclass and above is None:
            raise CimError(
                Status.INVALID_SUPERCLASS, f"There is no class {superclass} in {self.namespace.name} to derive from."
            )
        resolved = resolve_class(declared, above, Surroundings(self._find, self._qualifier))
        read_class(resolved.element(), ())
        return resolved

    def _existing(self, class_name: str) -> ClassSource:
        found = self._find(class_name)
        if found is None:
            raise CimError(Status.NOT_FOUND, f"There is no class {class_name} in {self.namespace.name}.")
        return found

    def _check_unused(self, source: ClassSource) -> None:
        if self.namespace.children(source.name):
            raise CimError(Status.CLASS_HAS_CHILDREN, f"The class {source.name} has subclasses.")
        if self._in_use(self.namespace.name, source.name):
            raise CimError(Status.CLASS_HAS_INSTANCES, f"The class {source.name} has instances or a provider.")

    def _find(self, class_name: str) -> ClassSource | None:
        return self._find_class(self.namespace, class_name)

    def _qualifier(self, name: str) -> bytes | None:
        return self.namespace.qualifiers.get(name.lower())
