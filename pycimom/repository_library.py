"""The classes of the DMTF schema that were not compiled beforehand: each is compiled when it is first asked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from cim_provider import CimError, Status
from pycimom.mof_compiler import Compilation, class_source, qualifier_xml
from pycimom.mof_source import MofError, SchemaArchive
from pycimom.repository_cimxml import ClassSource


class SchemaLibrary:
    """Takes classes out of the schema's archive. Its users see to it that only one thread at a time does so."""

    def __init__(self, archive: Path, class_names: Collection[str], namespaces: Collection[str]) -> None:
        """Offer these classes of an archive, which is not opened before it is needed, to some namespaces."""
        self._path = archive
        self._names = frozenset(name.lower() for name in class_names)
        self._namespaces = frozenset(name.lower() for name in namespaces)
        self._archive: SchemaArchive | None = None
        self._compilation = Compilation()

    def holds(self, class_name: str) -> bool:
        """Whether the schema has the class."""
        return class_name.lower() in self._names

    def offers(self, namespace: str, class_name: str) -> bool:
        """Whether a namespace gets the class when somebody asks for it there."""
        return namespace.lower() in self._namespaces and self.holds(class_name)

    def fetch(self, class_name: str) -> Sequence[ClassSource]:
        """Return a class after its superclasses, and with an association the classes at its ends.

        FAILED with a sentence if the archive cannot be read any more.
        """
        try:
            archive = self._open()
            found = {each.name: each for each in self._lineage(archive, class_name)}
            for end in [end for each in found.values() for end in each.ends]:
                found.update((each.name, each) for each in self._lineage(archive, end))
        except (MofError, OSError) as error:
            raise CimError(
                Status.FAILED, f"The class {class_name} has to be compiled first, which is not possible: {error}"
            ) from error
        return list(found.values())

    def qualifiers(self) -> dict[str, bytes]:
        """Return the qualifier declarations of the schema by name; FAILED as for ``fetch``."""
        try:
            self._open()
        except (MofError, OSError) as error:
            raise CimError(Status.FAILED, f"The qualifiers of the schema cannot be compiled: {error}") from error
        return {each.name: qualifier_xml(each) for each in self._compilation.qualifiers.values()}

    def _open(self) -> SchemaArchive:
        if self._archive is None:
            archive = SchemaArchive(self._path)
            for text in archive.qualifiers():
                self._compilation.compile(text)
            self._archive = archive
        return self._archive

    def _lineage(self, archive: SchemaArchive, class_name: str) -> list[ClassSource]:
        names: list[str] = []
        next_name: str | None = class_name
        while next_name is not None:
            names.insert(0, next_name)
            if next_name.lower() not in self._compilation.classes:
                self._compilation.compile(archive.read_class(next_name))
            next_name = self._compilation.classes[next_name.lower()].superclass
        return [class_source(self._compilation.resolve(name)) for name in names]
