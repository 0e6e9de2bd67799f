"""The class repository: which classes and qualifiers each namespace has, and their CIM-XML."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pycimom.repository_model import CimClass, CimMethod, CimParameter, CimProperty

__all__ = ["CimClass", "CimMethod", "CimParameter", "CimProperty", "Repository"]


class Repository:
    """Classes and qualifier declarations by namespace. Names are found in any spelling and given in the schema's.

    Every method raises CimError INVALID_NAMESPACE for an unknown namespace, and INVALID_CLASS for an unknown class.
    """

    def namespaces(self) -> Sequence[str]:
        """Return all namespaces in a stable order."""
        raise NotImplementedError

    def get(self, namespace: str, class_name: str) -> CimClass:
        """Return a class."""
        raise NotImplementedError

    def subclasses(self, namespace: str, class_name: str | None, deep: bool = True) -> list[str]:
        """Return the names of the subclasses of a class, without itself; ``None`` begins at the top of the tree.

        ``deep`` includes the subclasses of subclasses, each after its superclass.
        """
        raise NotImplementedError

    def is_subclass(self, namespace: str, name: str, ancestor: str) -> bool:
        """Whether ``name`` is ``ancestor`` or below it."""
        raise NotImplementedError

    def associations_of(self, namespace: str, class_name: str) -> Sequence[str]:
        """Return the association classes that can hold an instance of this class at some end."""
        raise NotImplementedError

    def class_xml(
        self,
        namespace: str,
        class_name: str,
        local_only: bool = False,
        include_qualifiers: bool = True,
        include_class_origin: bool = False,
        property_list: Collection[str] | None = None,
    ) -> bytes:
        """Return the CLASS element of a class (DSP0201, DSP0200 5.3.2.2)."""
        raise NotImplementedError

    def qualifier_xml(self, namespace: str, name: str | None = None) -> bytes:
        """Return a QUALIFIER.DECLARATION element, or all of them one after the other; NOT_FOUND for an unknown one."""
        raise NotImplementedError
