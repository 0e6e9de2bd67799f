"""Classes as CIM-XML (DSP0201): reading resolved CLASS elements, and cutting them to what a request asks for."""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy
from dataclasses import dataclass

from lxml import etree

from cim_provider import Scalar, Value
from pycimom.repository_model import CimClass, CimMethod, CimParameter, CimProperty

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
_PROPERTIES = ("PROPERTY", "PROPERTY.ARRAY", "PROPERTY.REFERENCE")
_PARAMETERS = ("PARAMETER", "PARAMETER.ARRAY", "PARAMETER.REFERENCE", "PARAMETER.REFARRAY")
_SCOPES = ("CLASS", "ASSOCIATION", "REFERENCE", "PROPERTY", "METHOD", "PARAMETER", "INDICATION")
_DECISIVE = frozenset(
    ("abstract", "association", "embeddedinstance", "embeddedobject", "in", "indication", "key", "out")
)
_INTEGERS = frozenset(f"{sign}int{bits}" for sign in "us" for bits in (8, 16, 32, 64))


@dataclass(frozen=True, eq=False)
class ClassSource:
    """A class as bytes of CIM-XML, with what the indexes need to know of it; the rest is read when it is asked for."""

    name: str
    superclass: str | None
    ends: tuple[str, ...]
    """The classes at the ends, if it is an association."""
    xml: bytes

    @classmethod
    def of(cls, element: etree._Element) -> ClassSource:
        """Return the source of a resolved CLASS element."""
        references = (each.get("REFERENCECLASS") for each in element.iterchildren("PROPERTY.REFERENCE"))
        is_association = _is_true(_qualifiers(element), "association", default=False)
        return cls(
            element.attrib["NAME"],
            element.get("SUPERCLASS"),
            tuple(each for each in references if each) if is_association else (),
            etree.tostring(element, encoding="utf-8"),
        )

    def element(self) -> etree._Element:
        """Return the CLASS element, new for each call."""
        return etree.fromstring(self.xml, _PARSER)


def read_class(element: etree._Element, superclasses: tuple[str, ...]) -> CimClass:
    """Read a resolved CLASS element; ``superclasses`` are its ancestors, the nearest first."""
    properties = {}
    methods = {}
    for child in element:
        if child.tag in _PROPERTIES:
            each = _read_property(child)
            properties[each.name] = each
        elif child.tag == "METHOD":
            method = _read_method(child)
            methods[method.name] = method
    qualifiers = _qualifiers(element)
    return CimClass(
        name=element.attrib["NAME"],
        superclass=element.get("SUPERCLASS"),
        properties=properties,
        methods=methods,
        is_association=_is_true(qualifiers, "association", default=False),
        is_indication=_is_true(qualifiers, "indication", default=False),
        is_abstract=_is_true(qualifiers, "abstract", default=False),
        ancestors=superclasses,
    )


def cut_class(
    element: etree._Element,
    local_only: bool,
    include_qualifiers: bool,
    include_class_origin: bool,
    property_list: Collection[str] | None,
) -> etree._Element:
    """Leave in a resolved CLASS element what GetClass was asked for (DSP0200 5.3.2.1), and return it."""
    wanted = None if property_list is None else {name.lower() for name in property_list}
    for child in list(element):
        unwanted = wanted is not None and child.tag in _PROPERTIES and child.attrib["NAME"].lower() not in wanted
        if unwanted or (local_only and child.get("PROPAGATED") == "true"):
            element.remove(child)
        elif not include_class_origin:
            child.attrib.pop("CLASSORIGIN", None)
    for qualifier in list(element.iter("QUALIFIER")):
        parent = qualifier.getparent()
        if parent is not None and (not include_qualifiers or (local_only and qualifier.get("PROPAGATED") == "true")):
            parent.remove(qualifier)
    for each in element.iter():
        if len(each) == 0 and not each.text:
            each.text = ""  # gives it an end tag: wbemcli cannot read empty-element tags
    return element


def qualifier_declaration(element: etree._Element) -> bytes:
    """Return a QUALIFIER.DECLARATION as it is sent: SCOPE has no attribute ANY in DSP0203, but pywbem writes one."""
    result = deepcopy(element)
    for scope in result.iter("SCOPE"):
        everywhere = scope.attrib.pop("ANY", "false")
        if everywhere == "true":
            scope.attrib.update(dict.fromkeys(_SCOPES, "true"))
    return etree.tostring(result, encoding="utf-8")


def _read_property(element: etree._Element) -> CimProperty:
    qualifiers = _qualifiers(element)
    array = element.tag == "PROPERTY.ARRAY"
    cim_type = "reference" if element.tag == "PROPERTY.REFERENCE" else element.attrib["TYPE"]
    return CimProperty(
        name=element.attrib["NAME"],
        type=cim_type,
        array=array,
        key=_is_true(qualifiers, "key", default=False),
        embedded=_embedded(qualifiers),
        reference=element.get("REFERENCECLASS"),
        origin=element.get("CLASSORIGIN", ""),
        default=_read_default(element, cim_type),
    )


def _read_method(element: etree._Element) -> CimMethod:
    parameters = {}
    for child in element:
        if child.tag in _PARAMETERS:
            qualifiers = _qualifiers(child)
            name = child.attrib["NAME"]
            parameters[name] = CimParameter(
                name=name,
                type=child.get("TYPE", "reference"),
                array=child.tag in ("PARAMETER.ARRAY", "PARAMETER.REFARRAY"),
                is_input=_is_true(qualifiers, "in", default=True),
                is_output=_is_true(qualifiers, "out", default=False),
                embedded=_embedded(qualifiers),
                reference=child.get("REFERENCECLASS"),
            )
    return CimMethod(element.attrib["NAME"], element.get("TYPE", "void"), parameters)


def _qualifiers(element: etree._Element) -> dict[str, str]:
    """Return the qualifiers that decide what an element is; descriptions, by far the most of the text, do not."""
    found = {}
    for child in element.iterchildren("QUALIFIER"):
        name = child.attrib["NAME"].lower()
        if name in _DECISIVE:
            found[name] = child.findtext("VALUE", "")
    return found


def _is_true(qualifiers: dict[str, str], name: str, default: bool) -> bool:
    return qualifiers[name].lower() == "true" if name in qualifiers else default


def _embedded(qualifiers: dict[str, str]) -> str | None:
    if _is_true(qualifiers, "embeddedobject", default=False):
        return "object"
    return qualifiers.get("embeddedinstance") or None


def _read_default(element: etree._Element, cim_type: str) -> Value:
    if (array := element.find("VALUE.ARRAY")) is not None:
        return [_scalar(child.text or "", cim_type) if child.tag == "VALUE" else None for child in array]
    if (single := element.find("VALUE")) is not None:
        return _scalar(single.text or "", cim_type)
    return None


def _scalar(text: str, cim_type: str) -> Scalar:
    if cim_type == "boolean":
        return text.lower() == "true"
    if cim_type in _INTEGERS:
        return int(text)
    if cim_type.startswith("real"):
        return float(text)
    return text
