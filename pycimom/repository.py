"""The class repository: which classes and qualifiers each namespace has, and their CIM-XML."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from threading import RLock
from typing import Protocol

from lxml import etree

from cim_provider import CimError, Status
from pycimom.repository_cimxml import ClassSource, cut_class, qualifier_declaration
from pycimom.repository_draft import Change, Draft, InUse, Library, add, can_add
from pycimom.repository_model import CimClass, CimMethod, CimParameter, CimProperty
from pycimom.repository_namespace import Namespace

__all__ = ["CimClass", "CimMethod", "CimParameter", "CimProperty", "Draft", "NamespaceClasses", "Repository"]

_KEPT_ANSWERS = 4096
_NAMESPACE_NAME = re.compile(r"[A-Za-z_][\w.-]*(/[\w][\w.-]*)*")


class Journal(Protocol):
    """Where changes are kept for the next start. Its methods return when a change is durable."""

    def add_namespace(self, name: str) -> None:
        """Keep a namespace."""

    def remove_namespace(self, name: str) -> None:
        """Forget a namespace."""

    def change(self, namespace: str, changes: Sequence[Change]) -> None:
        """Keep what changed in a namespace, all or nothing."""


class Repository:
    """Classes and qualifier declarations by namespace. Names are found in any spelling and given in the schema's.

    Every method raises CimError INVALID_NAMESPACE for an unknown namespace, and those that read raise INVALID_CLASS
    for an unknown class. Reading is for any thread and never waits. Writing may wait for a disk and for other writers:
    on a loop, call it in a thread.
    """

    def __init__(
        self,
        classes: Iterable[ClassSource],
        qualifiers: Mapping[str, bytes],
        namespaces: Mapping[str, Collection[str]],
        library: Library | None = None,
    ) -> None:
        """Build the indexes; a class is read when it is first asked for.

        ``classes`` come after their superclasses, ``qualifiers`` are QUALIFIER.DECLARATION elements by name,
        ``namespaces`` the names of the classes of each; ``library`` has classes to be added on request.
        """
        sources = list(classes)
        self._namespaces: dict[str, Namespace] = {}
        for name, members in namespaces.items():
            wanted = {member.lower() for member in members}
            mine = (each for each in sources if each.name.lower() in wanted)
            self._namespaces[name.lower()] = Namespace(name, mine, qualifiers)
        self._built_in = frozenset(self._namespaces)
        self._library = library
        self._journal: Journal | None = None
        self._in_use: InUse = lambda namespace, class_name: False
        self._writing = RLock()
        self._answer = lru_cache(_KEPT_ANSWERS)(self._cut)

    @classmethod
    def of_elements(
        cls,
        classes: Iterable[etree._Element],
        qualifiers: Iterable[etree._Element],
        namespaces: Mapping[str, Collection[str]],
    ) -> Repository:
        """Return a repository of resolved CLASS and QUALIFIER.DECLARATION elements."""
        return cls(
            [ClassSource.of(each) for each in classes],
            {each.attrib["NAME"]: qualifier_declaration(each) for each in qualifiers},
            namespaces,
        )

    def namespaces(self) -> Sequence[str]:
        """Return all namespaces in a stable order."""
        return [each.name for each in self._namespaces.values()]

    def get(self, namespace: str, class_name: str) -> CimClass:
        """Return a class."""
        return self._namespace(namespace).get(class_name)

    def subclasses(self, namespace: str, class_name: str | None, deep: bool = True) -> list[str]:
        """Return the names of the subclasses of a class, without itself; ``None`` begins at the top of the tree.

        ``deep`` includes the subclasses of subclasses, each after its superclass.
        """
        space = self._namespace(namespace)
        result = list(space.children(None if class_name is None else space.get(class_name).name))
        if deep:
            for name in result:  # grows while it is walked
                result.extend(space.children(name))
        return result

    def is_subclass(self, namespace: str, name: str, ancestor: str) -> bool:
        """Whether ``name`` is ``ancestor`` or below it."""
        cim_class = self.get(namespace, name)
        wanted = ancestor.lower()
        return cim_class.name.lower() == wanted or any(each.lower() == wanted for each in cim_class.ancestors)

    def associations_of(self, namespace: str, class_name: str) -> Sequence[str]:
        """Return the association classes that can hold an instance of exactly this class at some end.

        These are the ones with an end declared as the class or as an ancestor of it, in the order of the schema.
        """
        return self._namespace(namespace).associations_of(class_name)

    def class_xml(
        self,
        namespace: str,
        class_name: str,
        local_only: bool = False,
        include_qualifiers: bool = True,
        include_class_origin: bool = False,
        property_list: Collection[str] | None = None,
    ) -> bytes:
        """Return the CLASS element of a class (DSP0201, DSP0200 5.3.2.1). Without a property list it is made once."""
        source = self._namespace(namespace).source(class_name)
        if property_list is None:
            return self._answer(source, local_only, include_qualifiers, include_class_origin)
        return self._cut(source, local_only, include_qualifiers, include_class_origin, property_list)

    def qualifier_xml(self, namespace: str, name: str | None = None) -> bytes:
        """Return a QUALIFIER.DECLARATION element, or all of them one after the other; NOT_FOUND for an unknown one."""
        qualifiers = self._namespace(namespace).qualifiers
        if name is None:
            return b"".join(qualifiers.values())
        try:
            return qualifiers[name.lower()]
        except KeyError:
            raise CimError(Status.NOT_FOUND, f"There is no qualifier {name}.") from None

    def is_pending(self, namespace: str, class_name: str) -> bool:
        """Whether a class has still to be added by ``ensure`` before it can be read."""
        return self._library is not None and can_add(self._library, self._namespace(namespace), class_name)

    def ensure(self, namespace: str, class_name: str) -> None:
        """Add a class of the library if it is pending. FAILED if the library cannot give it now."""
        with self._writing:
            if self._library is not None and self.is_pending(namespace, class_name):
                space = self._namespace(namespace).copy()
                add(self._library, space, class_name)
                self._namespaces[space.name.lower()] = space

    @contextmanager
    def change(self, namespace: str) -> Iterator[Draft]:
        """Change classes and qualifiers of a namespace; it counts when the block ends, not at all if it raises."""
        with self._writing:
            draft = Draft(self._namespace(namespace), self._library, self._in_use)
            yield draft
            if self._journal is not None:
                self._journal.change(draft.namespace.name, draft.changes)
            self._namespaces[draft.namespace.name.lower()] = draft.namespace

    def create_class(self, namespace: str, declared: etree._Element) -> None:
        """Add a class by its CLASS element; see Draft."""
        with self.change(namespace) as draft:
            draft.create_class(declared)

    def modify_class(self, namespace: str, declared: etree._Element) -> None:
        """Replace a class by its CLASS element; see Draft."""
        with self.change(namespace) as draft:
            draft.modify_class(declared)

    def delete_class(self, namespace: str, class_name: str) -> None:
        """Remove a class; see Draft."""
        with self.change(namespace) as draft:
            draft.delete_class(class_name)

    def set_qualifier(self, namespace: str, declaration: etree._Element) -> None:
        """Add or replace a qualifier declaration by its element; see Draft."""
        with self.change(namespace) as draft:
            draft.set_qualifier(declaration)

    def delete_qualifier(self, namespace: str, name: str) -> None:
        """Remove a qualifier declaration; see Draft."""
        with self.change(namespace) as draft:
            draft.delete_qualifier(name)

    def create_namespace(self, name: str) -> str:
        """Add an empty namespace and return its name as it is kept. ALREADY_EXISTS, INVALID_PARAMETER."""
        name = name.strip("/")
        if not _NAMESPACE_NAME.fullmatch(name):
            raise CimError(Status.INVALID_PARAMETER, f"{name!r} is no name of a namespace.")
        with self._writing:
            if name.lower() in self._namespaces:
                raise CimError(Status.ALREADY_EXISTS, f"The namespace {name} already exists.")
            if self._journal is not None:
                self._journal.add_namespace(name)
            self._namespaces[name.lower()] = Namespace(name)
        return name

    def delete_namespace(self, name: str) -> None:
        """Remove a namespace. NAMESPACE_NOT_EMPTY if it has classes or qualifiers; ACCESS_DENIED if it is built in."""
        with self._writing:
            space = self._namespace(name)
            if space.classes or space.qualifiers:
                raise CimError(
                    Status.NAMESPACE_NOT_EMPTY, f"The namespace {space.name} still has classes or qualifiers."
                )
            if space.name.lower() in self._built_in:
                raise CimError(Status.ACCESS_DENIED, f"The namespace {space.name} belongs to the server.")
            if self._journal is not None:
                self._journal.remove_namespace(space.name)
            del self._namespaces[space.name.lower()]

    def guard(self, in_use: InUse) -> None:
        """Say which classes have instances, so that they are neither changed nor deleted."""
        self._in_use = in_use

    def keep(self, journal: Journal) -> None:
        """Keep all changes from now on."""
        self._journal = journal

    def restore(self, namespace: str, changes: Iterable[Change]) -> list[str]:
        """Repeat changes of earlier runs, which are not checked again; the namespace is made if need be.

        Return the names of classes that had to be left out because their superclass is there no longer.
        """
        with self._writing:
            known = self._namespaces.get(namespace.lower())
            draft = Draft(known or Namespace(namespace), self._library, self._in_use)
            orphans = [each.name for each in changes if not draft.repeat(each)]
            self._namespaces[namespace.lower()] = draft.namespace
            return orphans

    def _namespace(self, namespace: str) -> Namespace:
        try:
            return self._namespaces[namespace.strip("/").lower()]
        except KeyError:
            raise CimError(Status.INVALID_NAMESPACE, f"There is no namespace {namespace}.") from None

    @staticmethod
    def _cut(
        source: ClassSource,
        local_only: bool,
        include_qualifiers: bool,
        include_class_origin: bool,
        property_list: Collection[str] | None = None,
    ) -> bytes:
        element = cut_class(source.element(), local_only, include_qualifiers, include_class_origin, property_list)
        return etree.tostring(element, encoding="utf-8")


@dataclass(frozen=True)
class NamespaceClasses:
    """The classes of one namespace."""

    repository: Repository
    namespace: str

    def get(self, class_name: str) -> CimClass:
        """Return a class; CimError INVALID_CLASS."""
        return self.repository.get(self.namespace, class_name)

    def is_subclass(self, name: str, ancestor: str) -> bool:
        """Whether ``name`` is ``ancestor`` or below it; CimError INVALID_CLASS for an unknown ``name``."""
        return self.repository.is_subclass(self.namespace, name, ancestor)
