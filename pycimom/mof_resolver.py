"""Inheritance: from classes as their MOF declares them to classes with all that they inherit (DSP0004 5.1.2, 5.6.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pywbem import CIMClass, CIMMethod, CIMParameter, CIMProperty, CIMQualifier

from pycimom.mof_source import Declaration, MofError


class Resolver:
    """Resolves classes one by one, superclasses first, whatever the order they are asked for."""

    def __init__(self, classes: Mapping[str, CIMClass], declarations: Mapping[str, Declaration]) -> None:
        """Take classes and their declarations by name in lower case."""
        self._classes = classes
        self._declarations = declarations
        self._resolved: dict[str, CIMClass] = {}

    def resolve(self, name: str) -> CIMClass:
        """Return a class with all that it inherits; MofError if it contradicts what it inherits."""
        key = name.lower()
        if key not in self._resolved:
            for each in self._lineage(key):
                self._resolved[each] = self._inherit(each)
        return self._resolved[key]

    def check_references(self, name: str) -> None:
        """Raise MofError if a class refers to one that is declared nowhere."""
        for each in self._declarations[name.lower()].refers_to:
            if each.lower() not in self._classes:
                raise self._error(name.lower(), f"{name} refers to class {each}, which is declared nowhere.")

    def _lineage(self, key: str) -> list[str]:
        """Return a class and those of its superclasses that are not resolved yet, the topmost first."""
        lineage: list[str] = []
        next_key: str | None = key
        while next_key is not None and next_key not in self._resolved:
            if next_key in lineage:
                raise self._error(key, f"class {self._classes[key].classname} is its own superclass.")
            lineage.append(next_key)
            superclass = self._classes[next_key].superclass
            if superclass is not None and superclass.lower() not in self._classes:
                raise self._error(
                    next_key, f"the superclass {superclass} of {self._classes[next_key].classname} is declared nowhere."
                )
            next_key = superclass.lower() if superclass else None
        return lineage[::-1]

    def _inherit(self, key: str) -> CIMClass:
        own = self._classes[key]
        above = self._resolved[own.superclass.lower()] if own.superclass else None
        return CIMClass(
            own.classname,
            superclass=above.classname if above else None,
            qualifiers=_inherit_qualifiers(own.qualifiers, above.qualifiers if above else {}),
            properties=list(self._inherit_properties(key, own, above)),
            methods=list(self._inherit_methods(key, own, above)),
        )

    def _inherit_properties(self, key: str, own: CIMClass, above: CIMClass | None) -> Iterator[CIMProperty]:
        inherited = above.properties if above else {}
        for parent in inherited.values():
            mine = own.properties.get(parent.name)
            if mine is None:
                copy = parent.copy()
                copy.qualifiers = _inherit_qualifiers({}, parent.qualifiers)
                copy.propagated = True
                yield copy
                continue
            if (mine.type, bool(mine.is_array)) != (parent.type, bool(parent.is_array)):
                raise self._error(
                    key, f"property {mine.name} of {own.classname} is {_type(mine)}, but it inherits {_type(parent)}."
                )
            merged = mine.copy()
            merged.qualifiers = _inherit_qualifiers(mine.qualifiers, parent.qualifiers)
            merged.class_origin, merged.propagated = parent.class_origin, False
            if merged.value is None:
                merged.value = parent.value
            yield merged
        for mine in own.properties.values():
            if mine.name not in inherited:
                new = mine.copy()
                new.class_origin, new.propagated = own.classname, False
                yield new

    def _inherit_methods(self, key: str, own: CIMClass, above: CIMClass | None) -> Iterator[CIMMethod]:
        inherited = above.methods if above else {}
        for parent in inherited.values():
            mine = own.methods.get(parent.name)
            if mine is None:
                copy = parent.copy()
                copy.qualifiers = _inherit_qualifiers({}, parent.qualifiers)
                copy.propagated = True
                yield copy
                continue
            if mine.return_type != parent.return_type:
                raise self._error(
                    key,
                    f"method {mine.name} of {own.classname} returns {mine.return_type}, "
                    f"but it inherits {parent.return_type}.",
                )
            merged = mine.copy()
            merged.qualifiers = _inherit_qualifiers(mine.qualifiers, parent.qualifiers)
            merged.parameters = [_inherit_parameter(each, parent) for each in mine.parameters.values()]
            merged.class_origin, merged.propagated = parent.class_origin, False
            yield merged
        for mine in own.methods.values():
            if mine.name not in inherited:
                new = mine.copy()
                new.class_origin, new.propagated = own.classname, False
                yield new

    def _error(self, key: str, message: str) -> MofError:
        where = self._declarations[key]
        return MofError(where.file, where.line, message)


def _inherit_qualifiers(
    own: Mapping[str, CIMQualifier], inherited: Mapping[str, CIMQualifier]
) -> dict[str, CIMQualifier]:
    result = {}
    for name, each in inherited.items():
        if each.tosubclass is not False and name not in own:
            result[name] = each.copy()
            result[name].propagated = True
    for name, each in own.items():
        result[name] = each.copy()
        result[name].propagated = False
    return result


def _inherit_parameter(mine: CIMParameter, parent: CIMMethod) -> CIMParameter:
    above = parent.parameters.get(mine.name)
    merged = mine.copy()
    if above is not None:
        merged.qualifiers = _inherit_qualifiers(mine.qualifiers, above.qualifiers)
    return merged


def _type(each: CIMProperty) -> str:
    return f"{each.type}[]" if each.is_array else str(each.type)
