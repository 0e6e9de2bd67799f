"""Changes to the classes and qualifier declarations of a namespace, taken over all at once or not at all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from lxml import etree

from cim_provider import CimError, Status
from pycimom.repository_cimxml import ClassSource, cut_class, qualifier_declaration, read_class
from pycimom.repository_namespace import Namespace
from pycimom.repository_resolution import Surroundings, resolve_class

InUse: TypeAlias = Callable[[str, str], bool]
"""Whether a class of a namespace has instances, or a provider that may have some."""


class Library(Protocol):
    """Classes that a namespace could have: they are added when somebody first asks for them."""

    def holds(self, class_name: str) -> bool:
        """Whether it has the class."""

    def offers(self, namespace: str, class_name: str) -> bool:
        """Whether a namespace gets the class when somebody asks for it there."""

    def fetch(self, class_name: str) -> Sequence[ClassSource]:
        """Return a class after what it needs; may take a while. CimError FAILED if that cannot be had now."""

    def qualifiers(self) -> Mapping[str, bytes]:
        """Return the qualifier declarations that its classes use. CimError FAILED if they cannot be had now."""


class ClassChange(NamedTuple):
    """A class as it is to be from now on; None if it is to be gone."""

    name: str
    source: ClassSource | None


class QualifierChange(NamedTuple):
    """A qualifier declaration as it is to be from now on; None if it is to be gone."""

    name: str
    xml: bytes | None


Change: TypeAlias = ClassChange | QualifierChange


class Draft:
    """A version of a namespace under work."""

    def __init__(self, namespace: Namespace, library: Library | None, in_use: InUse) -> None:
        self.namespace = namespace.copy()
        self.changes: list[Change] = []
        self._library = library
        self._in_use = in_use
        self._announced: frozenset[str] = frozenset()

    def create_class(self, declared: etree._Element) -> None:
        """Add a class. DSP0200 5.3.2.14: ALREADY_EXISTS, INVALID_SUPERCLASS, INVALID_PARAMETER."""
        name = declared.get("NAME") or ""
        if self.find(name) is not None:
            raise CimError(Status.ALREADY_EXISTS, f"The class {name} already exists in {self.namespace.name}.")
        self._put(self._resolve(declared))

    def modify_class(self, declared: etree._Element) -> None:
        """Replace a class by another declaration of it. DSP0200 5.3.2.15.

        Its subclasses inherit what is new, its superclass stays. NOT_FOUND, INVALID_SUPERCLASS, INVALID_PARAMETER;
        CLASS_HAS_CHILDREN if a subclass contradicts the new declaration, CLASS_HAS_INSTANCES if it or a subclass has
        instances.
        """
        existing = self._existing(declared.get("NAME") or "")
        above = declared.get("SUPERCLASS")
        if above is not None and above.lower() != (existing.superclass or "").lower():
            raise CimError(Status.INVALID_SUPERCLASS, f"The superclass of {existing.name} cannot be changed.")
        declared.set("NAME", existing.name)
        if existing.superclass is not None:
            declared.set("SUPERCLASS", existing.superclass)
        resolved = self._resolve(declared)
        if resolved.xml != existing.xml:
            self._replace(resolved)

    def put_class(self, declared: etree._Element) -> None:
        """Add a class or replace the one of its name; errors as for these."""
        is_there = self.find(declared.get("NAME") or "") is not None
        (self.modify_class if is_there else self.create_class)(declared)

    def delete_class(self, class_name: str) -> None:
        """Remove a class. DSP0200 5.3.2.12: NOT_FOUND, CLASS_HAS_CHILDREN, CLASS_HAS_INSTANCES."""
        existing = self._existing(class_name)
        if self.namespace.children(existing.name):
            raise CimError(Status.CLASS_HAS_CHILDREN, f"The class {existing.name} has subclasses.")
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
        if name.lower() not in self.namespace.qualifiers:
            raise CimError(Status.NOT_FOUND, f"There is no qualifier {name} in {self.namespace.name}.")
        mark = f'<qualifier name="{name.lower()}"'.encode()
        user = next((each.name for each in self.namespace.classes.values() if mark in each.xml.lower()), None)
        if user is not None:
            raise CimError(Status.FAILED, f"The qualifier {name} is used by class {user}.")
        del self.namespace.qualifiers[name.lower()]
        self.changes.append(QualifierChange(name, None))

    def announce(self, class_names: Collection[str]) -> None:
        """Let classes be referred to that will be there, in this draft, later on."""
        self._announced = frozenset(name.lower() for name in class_names)

    def adopt(self, class_name: str) -> None:
        """Add a class of the library, with what it needs, if the library has it and the namespace does not."""
        is_missing = self.find(class_name) is None and class_name.lower() not in self._announced
        if is_missing and self._library is not None and self._library.holds(class_name):
            for each in self._library.fetch(class_name):
                if each.name.lower() not in self.namespace.classes:
                    self._put(each)

    def adopt_qualifiers(self) -> None:
        """Add the qualifiers of the library if the namespace has none."""
        if not self.namespace.qualifiers and self._library is not None:
            for name, xml in self._library.qualifiers().items():
                self._set_qualifier(name, xml)

    def repeat(self, change: Change) -> bool:
        """Make a change of an earlier run again, unchecked; False if its class has lost its superclass."""
        if isinstance(change, QualifierChange):
            self.namespace.qualifiers.pop(change.name.lower(), None)
            if change.xml is not None:
                self.namespace.qualifiers[change.name.lower()] = change.xml
        elif change.source is not None:
            if change.source.superclass is not None and self.find(change.source.superclass) is None:
                return False
            self.namespace.put(change.source)
        else:
            self.namespace.remove(change.name)
        return True

    def find(self, class_name: str) -> ClassSource | None:
        """Return a class, adding it to the namespace if the library offers it there; None if there is none."""
        if self._library is not None and can_add(self._library, self.namespace, class_name):
            add(self._library, self.namespace, class_name)
        return self.namespace.classes.get(class_name.lower())

    def _set_qualifier(self, name: str, xml: bytes) -> None:
        self.namespace.qualifiers[name.lower()] = xml
        self.changes.append(QualifierChange(name, xml))

    def _put(self, source: ClassSource) -> None:
        self.namespace.put(source)
        self.changes.append(ClassChange(source.name, source))

    def _replace(self, source: ClassSource) -> None:
        """Put a class in the place of another declaration of it, and its subclasses in the place of themselves."""
        self._check_unused(source)
        self._put(source)
        for name in self.namespace.children(source.name):
            own = cut_class(self.namespace.source(name).element(), True, True, True, None)
            try:
                below = self._resolve(own)
            except CimError as error:
                raise CimError(Status.CLASS_HAS_CHILDREN, error.description) from None
            self._replace(below)

    def _resolve(self, declared: etree._Element) -> ClassSource:
        superclass = declared.get("SUPERCLASS")
        above = self.find(superclass) if superclass else None
        if superclass and above is None:
            raise CimError(
                Status.INVALID_SUPERCLASS, f"There is no class {superclass} in {self.namespace.name} to derive from."
            )
        resolved = resolve_class(declared, above, Surroundings(self._knows, self.namespace.qualifiers))
        read_class(resolved.element(), ())
        return resolved

    def _knows(self, class_name: str) -> bool:
        return class_name.lower() in self._announced or self.find(class_name) is not None

    def _existing(self, class_name: str) -> ClassSource:
        found = self.find(class_name)
        if found is None:
            raise CimError(Status.NOT_FOUND, f"There is no class {class_name} in {self.namespace.name}.")
        return found

    def _check_unused(self, source: ClassSource) -> None:
        if self._in_use(self.namespace.name, source.name):
            raise CimError(Status.CLASS_HAS_INSTANCES, f"The class {source.name} has instances or a provider.")


def can_add(library: Library, namespace: Namespace, class_name: str) -> bool:
    """Whether a namespace lacks a class that it gets when somebody asks for it."""
    key = class_name.lower()
    is_lacking = key not in namespace.classes and key not in namespace.deleted
    return is_lacking and library.offers(namespace.name, class_name)


def add(library: Library, namespace: Namespace, class_name: str) -> None:
    """Add a class, and what it needs, to a version of a namespace."""
    for each in library.fetch(class_name):
        if each.name.lower() not in namespace.classes:
            namespace.put(each)
