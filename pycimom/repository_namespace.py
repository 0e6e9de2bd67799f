"""The classes and qualifier declarations of one namespace, with the indexes over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cim_provider import CimError, Status
from pycimom.repository_cimxml import ClassSource, read_class
from pycimom.repository_model import CimClass


class Namespace:
    """One version of a namespace. Names are found in any spelling.

    Readers on any thread use a version that no longer changes; a writer copies it, changes the copy, and puts it in
    the old one's place. A copy shares all that the change does not touch.
    """

    def __init__(
        self, name: str, classes: Iterable[ClassSource] = (), qualifiers: Mapping[str, bytes] | None = None
    ) -> None:
        """Take classes, each after its superclass, and QUALIFIER.DECLARATION elements by name."""
        self.name = name
        self.classes: dict[str, ClassSource] = {}
        self.qualifiers = {key.lower(): xml for key, xml in (qualifiers or {}).items()}
        self.deleted: set[str] = set()
        """The classes, in lower case, that somebody removed, so that nothing adds them by itself."""
        self._children: dict[str | None, tuple[str, ...]] = {}
        self._ends: dict[str, tuple[str, ...]] = {}
        self._read: dict[str, CimClass] = {}
        self._associations: dict[str, tuple[str, ...]] = {}
        for each in classes:
            self.put(each)

    def copy(self) -> Namespace:
        """Return a version to change."""
        copy = Namespace(self.name)
        copy.classes = self.classes.copy()
        copy.qualifiers = self.qualifiers.copy()
        copy.deleted = self.deleted.copy()
        copy._children = self._children.copy()
        copy._ends = self._ends.copy()
        copy._read = self._read.copy()
        return copy

    def put(self, source: ClassSource) -> None:
        """Add a class, or put it in the place of the one that had its name."""
        key = source.name.lower()
        if key in self.classes:
            self._unlink(self.classes[key])
        self.classes[key] = source
        self.deleted.discard(key)
        above = _above(source)
        self._children[above] = (*self._children.get(above, ()), source.name)
        for end in {each.lower() for each in source.ends}:
            self._ends[end] = (*self._ends.get(end, ()), source.name)

    def remove(self, class_name: str) -> None:
        """Remove a class that has no subclasses, if it is there."""
        key = class_name.lower()
        self.deleted.add(key)
        if key in self.classes:
            self._unlink(self.classes.pop(key))

    def _unlink(self, source: ClassSource) -> None:
        """Take a class out of the indexes."""
        above = _above(source)
        self._children[above] = tuple(each for each in self._children[above] if each != source.name)
        for end in {each.lower() for each in source.ends}:
            self._ends[end] = tuple(each for each in self._ends[end] if each != source.name)
        self._read.pop(source.name.lower(), None)

    def source(self, class_name: str) -> ClassSource:
        """Return a class as it is kept; INVALID_CLASS."""
        try:
            return self.classes[class_name.lower()]
        except KeyError:
            raise CimError(Status.INVALID_CLASS, f"There is no class {class_name} in namespace {self.name}.") from None

    def get(self, class_name: str) -> CimClass:
        """Return a class; INVALID_CLASS."""
        key = class_name.lower()
        found = self._read.get(key)
        if found is None:
            source = self.source(class_name)
            above = self.get(source.superclass) if source.superclass else None
            ancestors = (above.name, *above.ancestors) if above else ()
            found = self._read.setdefault(key, read_class(source.element(), ancestors))
        return found

    def children(self, class_name: str | None) -> Sequence[str]:
        """Return the direct subclasses of a class; ``None`` is above the top of the tree."""
        return self._children.get(None if class_name is None else class_name.lower(), ())

    def associations_of(self, class_name: str) -> Sequence[str]:
        """Return the association classes that can hold an instance of exactly a class, in the order of the schema."""
        cim_class = self.get(class_name)
        known = self._associations.get(cim_class.name)
        if known is None:
            lineage = (cim_class.name, *cim_class.ancestors)
            found = {name for each in lineage for name in self._ends.get(each.lower(), ())}
            known = tuple(each.name for each in self.classes.values() if each.name in found) if found else ()
            self._associations[cim_class.name] = known
        return known


def _above(source: ClassSource) -> str | None:
    return source.superclass.lower() if source.superclass else None
