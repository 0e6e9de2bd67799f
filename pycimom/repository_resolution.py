"""Inheritance for classes that come over the wire: from a CLASS element as it is declared to a resolved one.

``mof_resolver`` does the same for compiled classes; a test holds both to the same result (DSP0004 5.1.2, 5.6.3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass

from lxml import etree

from cim_provider import CimError, Status
from pycimom.cimxml.scalars import INTEGERS, REALS, parse
from pycimom.repository_cimxml import ClassSource

_NAME = re.compile(r"[A-Za-z_\u0080-\uffef][\w\u0080-\uffef]*")
_TYPES = frozenset({*INTEGERS, *REALS, "boolean", "string", "char16", "datetime"})
_DEFAULT_FLAVORS = {"OVERRIDABLE": "true", "TOSUBCLASS": "true", "TOINSTANCE": "false", "TRANSLATABLE": "false"}
_PROPERTIES = ("PROPERTY", "PROPERTY.ARRAY", "PROPERTY.REFERENCE")
_PARAMETERS = ("PARAMETER", "PARAMETER.REFERENCE", "PARAMETER.ARRAY", "PARAMETER.REFARRAY")
_FEATURES = {
    "PROPERTY": ("NAME", "TYPE"),
    "PROPERTY.ARRAY": ("NAME", "TYPE"),
    "PROPERTY.REFERENCE": ("NAME",),
    "METHOD": ("NAME",),
    "PARAMETER": ("NAME", "TYPE"),
    "PARAMETER.ARRAY": ("NAME", "TYPE"),
    "PARAMETER.REFERENCE": ("NAME",),
    "PARAMETER.REFARRAY": ("NAME",),
    "QUALIFIER": ("NAME", "TYPE"),
}
"""The attributes that an element of a class must have."""
_OPTIONAL = {
    "PROPERTY": ("EmbeddedObject",),
    "PROPERTY.ARRAY": ("ARRAYSIZE", "EmbeddedObject"),
    "PROPERTY.REFERENCE": ("REFERENCECLASS",),
    "METHOD": ("TYPE",),
    "PARAMETER.ARRAY": ("ARRAYSIZE",),
    "PARAMETER.REFERENCE": ("REFERENCECLASS",),
    "PARAMETER.REFARRAY": ("REFERENCECLASS", "ARRAYSIZE"),
    "QUALIFIER": tuple(_DEFAULT_FLAVORS),
}
_CONTENT = {
    "CLASS": (*_PROPERTIES, "METHOD"),
    "PROPERTY": ("VALUE",),
    "PROPERTY.ARRAY": ("VALUE.ARRAY",),
    "METHOD": _PARAMETERS,
}
"""What an element may hold beside qualifiers."""
_SCOPES = {
    "PROPERTY": "PROPERTY",
    "PROPERTY.ARRAY": "PROPERTY",
    "PROPERTY.REFERENCE": "REFERENCE",
    "METHOD": "METHOD",
    **dict.fromkeys(_PARAMETERS, "PARAMETER"),
}


@dataclass(frozen=True)
class Surroundings:
    """What a class may build on: the namespace that it is to be in."""

    knows_class: Callable[[str], bool]
    qualifiers: Mapping[str, bytes]
    """The declarations by name in lower case."""


def resolve_class(declared: etree._Element, above: ClassSource | None, surroundings: Surroundings) -> ClassSource:
    """Return a class with all that it inherits.

    CLASSORIGIN and PROPAGATED of what is given are ignored, as DSP0200 5.3.2.14 wants. INVALID_PARAMETER if the class
    is wrong in itself, contradicts what it inherits, or names a class or qualifier that is not there.
    """
    return ClassSource.of(_Resolution(declared, above, surroundings).result())


class _Resolution:
    def __init__(self, declared: etree._Element, above: ClassSource | None, surroundings: Surroundings) -> None:
        self._name = declared.get("NAME") or ""
        if declared.tag != "CLASS" or not _NAME.fullmatch(self._name):
            raise _wrong(f"{self._name!r} is no name of a class.")
        self._declared = declared
        self._above = above
        self._surroundings = surroundings

    def result(self) -> etree._Element:
        inherited = self._above.element() if self._above else etree.Element("CLASS")
        own = self._copy_feature(self._declared)
        scopes = ["CLASS", *(each.upper() for each in ("association", "indication") if _qualifier(own, each))]
        result = etree.Element("CLASS", NAME=self._name)
        if self._above is not None:
            result.set("SUPERCLASS", self._above.name)
        self._check_qualifiers(self._declared, own, scopes)
        result.extend(_inherit_qualifiers(own, inherited, f"class {self._name}"))
        for tags, what in ((_PROPERTIES, "property"), (("METHOD",), "method")):
            result.extend(self._features(own, inherited, tags, what))
        return result

    def _features(
        self, own: etree._Element, inherited: etree._Element, tags: Iterable[str], what: str
    ) -> Iterator[etree._Element]:
        mine = {_key(each): each for each in own.iterchildren(*tags)}
        if len(mine) != sum(1 for _ in own.iterchildren(*tags)):
            raise _wrong(f"Class {self._name} declares a {what} twice.")
        for parent in inherited.iterchildren(*tags):
            each = mine.pop(_key(parent), None)
            yield _propagated(parent) if each is None else self._override(each, parent, f"{what} {parent.get('NAME')}")
        for each in mine.values():
            each.set("CLASSORIGIN", self._name)
            each.set("PROPAGATED", "false")
            yield each

    def _override(self, mine: etree._Element, parent: etree._Element, what: str) -> etree._Element:
        if (mine.tag, mine.get("TYPE")) != (parent.tag, parent.get("TYPE")):
            raise _wrong(f"{what[0].upper()}{what[1:]} of class {self._name} has another type than it inherits.")
        mine.set("CLASSORIGIN", parent.get("CLASSORIGIN") or "")
        mine.set("PROPAGATED", "false")
        self._replace_qualifiers(mine, parent, f"{what} of class {self._name}")
        for value in parent.iterchildren("VALUE", "VALUE.ARRAY"):
            if mine.find(_tag(value)) is None:
                mine.append(value)
        above = {_key(each): each for each in parent.iterchildren(*_PARAMETERS)}
        for parameter in mine.iterchildren(*_PARAMETERS):
            if (same := above.get(_key(parameter))) is not None:
                self._replace_qualifiers(parameter, same, f"parameter {parameter.get('NAME')} of {what}")
        return mine

    @staticmethod
    def _replace_qualifiers(mine: etree._Element, parent: etree._Element, what: str) -> None:
        qualifiers = list(_inherit_qualifiers(mine, parent, what))
        for each in list(mine.iterchildren("QUALIFIER")):
            mine.remove(each)
        mine[:0] = qualifiers

    def _copy_feature(self, given: etree._Element) -> etree._Element:
        """Return a copy of a class or of a part of it, with nothing in it but what the DTD knows."""
        copy = etree.Element(given.tag)
        for attribute in (*_FEATURES.get(_tag(given), ()), *_OPTIONAL.get(_tag(given), ())):
            value = given.get(attribute)
            if value is not None:
                copy.set(attribute, value)
            elif attribute in _FEATURES[_tag(given)]:
                raise _wrong(f"A {_tag(given)} of class {self._name} has no {attribute}.")
        if given.tag != "CLASS":
            self._check_type(copy)
        for child in given.iterchildren(tag=etree.Element):
            if child.tag == "QUALIFIER" and given.tag != "QUALIFIER":
                copy.append(self._copy_qualifier(child, given))
            elif child.tag in _CONTENT.get(_tag(given), ()):
                is_value = _tag(child).startswith("VALUE")
                copy.append(_copy_value(child, given, self._name) if is_value else self._copy_feature(child))
            else:
                raise _wrong(f"A {_tag(child)} cannot stand in a {_tag(given)} of class {self._name}.")
        if given.tag in _SCOPES:
            self._check_qualifiers(given, copy, (_SCOPES[_tag(given)],))
        return copy

    def _check_type(self, element: etree._Element) -> None:
        name, cim_type, refers_to = element.get("NAME") or "", element.get("TYPE"), element.get("REFERENCECLASS")
        if not _NAME.fullmatch(name):
            raise _wrong(f"{name!r} is no name of a part of class {self._name}.")
        if cim_type is not None and cim_type not in _TYPES:
            raise _wrong(f"{name} of class {self._name} has the type {cim_type}, which CIM does not know.")
        if element.tag == "PROPERTY.REFERENCE" and refers_to is None:
            raise _wrong(f"The reference {name} of class {self._name} names no class.")
        if refers_to is not None:
            self._check_class(refers_to, name)

    def _check_class(self, class_name: str, where: str) -> None:
        if class_name.lower() != self._name.lower() and not self._surroundings.knows_class(class_name):
            raise _wrong(f"{where} of class {self._name} refers to class {class_name}, which does not exist.")

    def _copy_qualifier(self, given: etree._Element, holder: etree._Element) -> etree._Element:
        name = given.get("NAME") or ""
        known = self._surroundings.qualifiers.get(name.lower())
        if known is None:
            raise _wrong(f"Class {self._name} uses the qualifier {name}, which is not declared in the namespace.")
        declaration = etree.fromstring(known)
        what = f"The qualifier {name} of class {self._name}"
        is_array = declaration.get("ISARRAY") == "true"
        if given.get("TYPE", declaration.get("TYPE")) != declaration.get("TYPE"):
            raise _wrong(f"{what} has another type than is declared.")
        copy = etree.Element(
            "QUALIFIER", NAME=declaration.get("NAME") or name, TYPE=declaration.get("TYPE") or "string"
        )
        for flavor, default in _DEFAULT_FLAVORS.items():
            value = given.get(flavor) or declaration.get(flavor) or default
            if value.lower() != default:
                copy.set(flavor, value.lower())
        for child in given.iterchildren(tag=etree.Element):
            if child.tag != ("VALUE.ARRAY" if is_array else "VALUE"):
                raise _wrong(f"{what} has a {_tag(child)}, which is not as declared.")
            copy.append(_copy_value(child, copy, self._name))
        if copy.get("NAME", "").lower() == "embeddedinstance" and (embedded := copy.findtext("VALUE")):
            self._check_class(embedded, holder.get("NAME") or "")
        return copy

    def _check_qualifiers(self, given: etree._Element, copy: etree._Element, scopes: Collection[str]) -> None:
        """Refuse a qualifier that occurs twice, or where its declaration has no scope for it."""
        names = [_key(each) for each in copy.iterchildren("QUALIFIER")]
        for name in names:
            if names.count(name) > 1:
                raise _wrong(f"{given.get('NAME')} of class {self._name} has the qualifier {name} twice.")
            known = self._surroundings.qualifiers.get(name.lower())
            allowed = etree.fromstring(known).find("SCOPE") if known is not None else None
            if allowed is not None and not any(allowed.get(each) == "true" for each in scopes):
                raise _wrong(f"The qualifier {name} cannot stand at {given.get('NAME')} of class {self._name}.")


def _inherit_qualifiers(own: etree._Element, inherited: etree._Element, what: str) -> Iterator[etree._Element]:
    mine = {_key(each): each for each in own.iterchildren("QUALIFIER")}
    for parent in inherited.iterchildren("QUALIFIER"):
        each = mine.get(_key(parent))
        if parent.get("TOSUBCLASS") == "false":
            continue
        if each is None:
            copy = deepcopy(parent)
            copy.set("PROPAGATED", "true")
            yield copy
        elif parent.get("OVERRIDABLE") == "false" and _value(parent) != _value(each):
            raise _wrong(f"The qualifier {parent.get('NAME')} of {what} cannot be overridden.")
    yield from mine.values()


def _propagated(parent: etree._Element) -> etree._Element:
    copy = deepcopy(parent)
    copy.set("PROPAGATED", "true")
    for qualifier in list(copy.iterchildren("QUALIFIER")):
        if qualifier.get("TOSUBCLASS") == "false":
            copy.remove(qualifier)
        else:
            qualifier.set("PROPAGATED", "true")
    return copy


def _copy_value(given: etree._Element, holder: etree._Element, class_name: str) -> etree._Element:
    copy = etree.Element(given.tag)
    if given.tag == "VALUE":
        copy.text = given.text
        try:
            parse(holder.get("TYPE") or "string", given.text or "")
        except (ValueError, OverflowError) as error:
            raise _wrong(f"The value of {holder.get('NAME')} in class {class_name} is wrong: {error}.") from None
        return copy
    for child in given.iterchildren(tag=etree.Element):
        if child.tag not in ("VALUE", "VALUE.NULL"):
            raise _wrong(f"A {_tag(child)} cannot stand in the value of {holder.get('NAME')} in class {class_name}.")
        copy.append(etree.Element(child.tag) if child.tag == "VALUE.NULL" else _copy_value(child, holder, class_name))
    return copy


def _qualifier(element: etree._Element, name: str) -> bool:
    return any(
        _key(each) == name and each.findtext("VALUE", "").lower() == "true"
        for each in element.iterchildren("QUALIFIER")
    )


def _value(qualifier: etree._Element) -> list[str]:
    return [(each.text or "").lower() for each in qualifier.iter("VALUE")]


def _tag(element: etree._Element) -> str:
    return str(element.tag)


def _key(element: etree._Element) -> str:
    return (element.get("NAME") or "").lower()


def _wrong(message: str) -> CimError:
    return CimError(Status.INVALID_PARAMETER, message)
