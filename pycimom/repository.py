"""The class repository: which classes and qualifiers each namespace has, and their CIM-XML."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from lxml import etree

from cim_provider import CimError, Status
from pycimom.repository_cimxml import ClassSource, cut_class, qualifier_declaration, read_class
from pycimom.repository_model import CimClass, CimMethod, CimParameter, CimProperty

__all__ = ["CimClass", "CimMethod", "CimParameter", "CimProperty", "NamespaceClasses", "Repository"]

_KEPT_ANSWERS = 4096


@dataclass
class _Namespace:
    """The classes of a namespace by name in lower case, and what is derived from them."""

    name: str
    classes: dict[str, ClassSource] = field(default_factory=dict)
    children: dict[str | None, list[str]] = field(default_factory=dict)
    """The direct subclasses, by spelling, of each class in lower case; None for the top of the tree."""
    ends: dict[str, list[str]] = field(default_factory=dict)
    """The association classes that name a class, in lower case, at one of their ends."""

    def add(self, source: ClassSource) -> None:
        """Add a class after its superclass."""
        self.classes[source.name.lower()] = source
        above = source.superclass.lower() if source.superclass else None
        self.children.setdefault(above, []).append(source.name)
        for end in {each.lower() for each in source.ends}:
            self.ends.setdefault(end, []).append(source.name)


class Repository:
    """Classes and qualifier declarations by namespace. Names are found in any spelling and given in the schema's.

    Every method raises CimError INVALID_NAMESPACE for an unknown namespace, and INVALID_CLASS for an unknown class.
    """

    def __init__(
        self,
        classes: Iterable[ClassSource],
        qualifiers: Mapping[str, bytes],
        namespaces: Mapping[str, Collection[str]],
    ) -> None:
        """Build the indexes; a class is read when it is first asked for.

        ``classes`` come after their superclasses, ``qualifiers`` are QUALIFIER.DECLARATION elements by name,
        ``namespaces`` the names of the classes of each.
        """
        self._qualifiers = {name.lower(): xml for name, xml in qualifiers.items()}
        self._sources = {each.name.lower(): each for each in classes}
        self._read: dict[str, CimClass] = {}
        self._namespaces: dict[str, _Namespace] = {}
        for name, members in namespaces.items():
            wanted = {member.lower() for member in members}
            namespace = self._namespaces[name.lower()] = _Namespace(name)
            for key, source in self._sources.items():
                if key in wanted:
                    namespace.add(source)
        self._answer = lru_cache(_KEPT_ANSWERS)(self._cut)
        self._associations = lru_cache(_KEPT_ANSWERS)(self._find_associations)

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
        return self._class(self._namespace(namespace), class_name)

    def subclasses(self, namespace: str, class_name: str | None, deep: bool = True) -> list[str]:
        """Return the names of the subclasses of a class, without itself; ``None`` begins at the top of the tree.

        ``deep`` includes the subclasses of subclasses, each after its superclass.
        """
        space = self._namespace(namespace)
        key = None if class_name is None else self._class(space, class_name).name.lower()
        result = list(space.children.get(key, ()))
        if deep:
            for name in result:  # grows while it is walked
                result.extend(space.children.get(name.lower(), ()))
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
        space = self._namespace(namespace)
        return self._associations(space.name.lower(), self._class(space, class_name).name)

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
        name = self.get(namespace, class_name).name
        if property_list is None:
            return self._answer(name, local_only, include_qualifiers, include_class_origin)
        return self._cut(name, local_only, include_qualifiers, include_class_origin, property_list)

    def qualifier_xml(self, namespace: str, name: str | None = None) -> bytes:
        """Return a QUALIFIER.DECLARATION element, or all of them one after the other; NOT_FOUND for an unknown one."""
        self._namespace(namespace)
        if name is None:
            return b"".join(self._qualifiers.values())
        try:
            return self._qualifiers[name.lower()]
        except KeyError:
            raise CimError(Status.NOT_FOUND, f"There is no qualifier {name}.") from None

    def _namespace(self, namespace: str) -> _Namespace:
        try:
            return self._namespaces[namespace.strip("/").lower()]
        except KeyError:
            raise CimError(Status.INVALID_NAMESPACE, f"There is no namespace {namespace}.") from None

    def _class(self, namespace: _Namespace, class_name: str) -> CimClass:
        key = class_name.lower()
        if key not in namespace.classes:
            raise CimError(Status.INVALID_CLASS, f"There is no class {class_name} in namespace {namespace.name}.")
        return self._cim_class(key)

    def _cim_class(self, key: str) -> CimClass:
        found = self._read.get(key)
        if found is None:
            source = self._sources[key]
            above = self._cim_class(source.superclass.lower()) if source.superclass else None
            ancestors = (above.name, *above.ancestors) if above else ()
            found = self._read.setdefault(key, read_class(source.element(), ancestors))
        return found

    def _find_associations(self, namespace: str, class_name: str) -> tuple[str, ...]:
        space = self._namespaces[namespace]
        cim_class = self._cim_class(class_name.lower())
        found = {name for each in (cim_class.name, *cim_class.ancestors) for name in space.ends.get(each.lower(), ())}
        return tuple(each.name for each in space.classes.values() if each.name in found)

    def _cut(
        self,
        name: str,
        local_only: bool,
        include_qualifiers: bool,
        include_class_origin: bool,
        property_list: Collection[str] | None = None,
    ) -> bytes:
        element = cut_class(
            self._sources[name.lower()].element(), local_only, include_qualifiers, include_class_origin, property_list
        )
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
