"""Values, names and instances of a request, converted by the types that their class declares."""

from __future__ import annotations

from typing import NoReturn, cast

from cim_provider import CimError, Instance, InstanceName, KeyValue, Scalar, Status, Value
from pycimom.cimxml.requests import BadMessageError, Element, attribute, namespace_of, parse_document, text_of
from pycimom.cimxml.scalars import INTEGERS, REALS, parse
from pycimom.cimxml.writing import ClassSource
from pycimom.repository_model import CimClass, CimParameter, CimProperty

EMBEDDING_DEPTH = 8
"""How deeply instances may be embedded in one another."""


class Reader:
    """Reads what a request says about one namespace. Errors name the property, key or parameter concerned."""

    def __init__(self, classes: ClassSource, namespace: str) -> None:
        self._classes = classes
        self._namespace = namespace

    def instance_name(self, element: Element, what: str) -> InstanceName:
        """Read INSTANCENAME; its class must exist and its keys must be those of the class.

        ``what`` names the parameter in errors. INVALID_CLASS, INVALID_PARAMETER.
        """
        if element.tag != "INSTANCENAME":
            _invalid(f"{what} is an instance name, not {element.tag}.")
        declared = self._classes.get(self._namespace, attribute(element, "CLASSNAME"))
        given = self._keys(element, what, declared)
        found: dict[str, KeyValue] = {}
        for name, value in given.items():
            key = declared.find_property(name)
            if key is None or not key.key:
                _invalid(f"{what}: {name} is no key of {declared.name}.")
            found[key.name] = self._key_value(value, key.type, f"{what}: the key {key.name}")
        missing = [each.name for each in declared.keys if each.name not in found]
        if missing:
            _invalid(f"{what}: the key {missing[0]} of {declared.name} is missing.")
        return InstanceName(declared.name, tuple((each.name, found[each.name]) for each in declared.keys))

    def instance(self, element: Element, what: str, depth: int = 0) -> tuple[CimClass, dict[str, Value]]:
        """Read INSTANCE: its class, and the values it gives by the class's spelling, NULL included.

        INVALID_CLASS; INVALID_PARAMETER and NO_SUCH_PROPERTY; TYPE_MISMATCH.
        """
        if element.tag != "INSTANCE":
            _invalid(f"{what} is an instance, not {element.tag}.")
        declared = self._classes.get(self._namespace, attribute(element, "CLASSNAME"))
        values: dict[str, Value] = {}
        for each in element:
            if each.tag == "QUALIFIER":
                continue
            if each.tag not in ("PROPERTY", "PROPERTY.ARRAY", "PROPERTY.REFERENCE"):
                _invalid(f"{what}: INSTANCE holds {each.tag}.")
            name = attribute(each, "NAME")
            property_ = declared.find_property(name)
            if property_ is None:
                raise CimError(Status.NO_SUCH_PROPERTY, f"{what}: {declared.name} has no property {name}.")
            if property_.name in values:
                _invalid(f"{what}: the property {name} is given twice.")
            content = [child for child in each if child.tag != "QUALIFIER"]
            values[property_.name] = (
                self.value(content[0], property_, f"{what}: the property {name}", Status.TYPE_MISMATCH, depth)
                if content
                else None
            )
        return declared, values

    def value(
        self,
        element: Element | None,
        declared: CimProperty | CimParameter,
        what: str,
        status: Status = Status.INVALID_PARAMETER,
        depth: int = 0,
    ) -> Value:
        """Read a value as the declaration says, or raise ``status``.

        Methods' parameters are read as clients in use write them: a single value is an array too, and a reference may
        be text, or an embedded instance with the keys; what such text means is the provider's to say.
        """
        if element is None:
            return None

        def one(item: Element) -> Scalar:
            return self._scalar(item, declared, what, status, depth)

        if not declared.array:
            return one(element)
        if element.tag not in ("VALUE.ARRAY", "VALUE.REFARRAY"):
            if isinstance(declared, CimParameter):
                return [one(element)]
            raise CimError(status, f"{what} is an array, not {element.tag}.")
        return [None if each.tag == "VALUE.NULL" else one(each) for each in element]

    def reference(self, element: Element, what: str) -> InstanceName:
        """Read the content of VALUE.REFERENCE. A class path gives a name without keys."""
        namespace: str | None = None
        name = element
        if element.tag in ("INSTANCEPATH", "LOCALINSTANCEPATH", "CLASSPATH", "LOCALCLASSPATH") and len(element) == 2:
            namespace, name = namespace_of(element[0]), element[1]
        if name.tag == "CLASSNAME":
            return InstanceName(attribute(name, "NAME"), (), namespace)
        if name.tag != "INSTANCENAME":
            _invalid(f"{what} is a reference, not {name.tag}.")
        try:
            declared = self._classes.get(namespace or self._namespace, attribute(name, "CLASSNAME"))
        except CimError:
            # It may lead to where this server cannot look; then the message itself has to say the types.
            declared = None
        keys: list[tuple[str, KeyValue]] = []
        for key, value in self._keys(name, what, declared).items():
            property_ = declared.find_property(key) if declared is not None else None
            keys.append(
                (
                    property_.name if property_ is not None else key,
                    self._key_value(value, property_.type if property_ is not None else None, f"{what}: the key {key}"),
                )
            )
        return InstanceName(
            declared.name if declared is not None else attribute(name, "CLASSNAME"), tuple(keys), namespace
        )

    def _keys(self, element: Element, what: str, declared: CimClass | None) -> dict[str, Element]:
        """Return the value elements by key. A single value without KEYBINDING is that of the only key."""
        if len(element) == 1 and element[0].tag in ("KEYVALUE", "VALUE.REFERENCE"):
            if declared is None or len(declared.keys) != 1:
                _invalid(f"{what}: the key's name is missing.")
            return {declared.keys[0].name: element[0]}
        found: dict[str, Element] = {}
        seen: set[str] = set()
        for each in element:
            if each.tag != "KEYBINDING" or len(each) != 1:
                _invalid(f"{what}: INSTANCENAME holds {each.tag} where KEYBINDING with one value is expected.")
            key = attribute(each, "NAME")
            if key.lower() in seen:
                _invalid(f"{what}: the key {key} is given twice.")
            seen.add(key.lower())
            found[key] = each[0]
        return found

    def _key_value(self, element: Element, cim_type: str | None, what: str) -> KeyValue:
        if element.tag == "VALUE.REFERENCE":
            if cim_type not in ("reference", None) or len(element) != 1:
                _invalid(f"{what} has the type {cim_type}.")
            return self.reference(element[0], what)
        if element.tag != "KEYVALUE":
            _invalid(f"{what} is a KEYVALUE, not {element.tag}.")
        if cim_type == "reference":
            _invalid(f"{what} is a reference.")
        text = text_of(element)
        return cast(KeyValue, _convert(cim_type or _type_of_key(element), text, what, Status.INVALID_PARAMETER))

    def _scalar(
        self, element: Element, declared: CimProperty | CimParameter, what: str, status: Status, depth: int
    ) -> Scalar:
        if declared.type == "reference":
            if element.tag == "VALUE.REFERENCE" and len(element) == 1:
                return self.reference(element[0], what)
            if element.tag in ("INSTANCENAME", "CLASSNAME"):
                return self.reference(element, what)
            if element.tag == "VALUE" and isinstance(declared, CimParameter):
                text = text_of(element)
                return self._embedded(text, declared, what, status, depth) if text.lstrip().startswith("<") else text
            raise CimError(status, f"{what} is a reference, not {element.tag}.")
        if element.tag != "VALUE":
            raise CimError(status, f"{what} has the type {declared.type}{'[]' * declared.array}, not {element.tag}.")
        text = text_of(element)
        if declared.embedded is not None and text.lstrip().startswith("<"):
            return self._embedded(text, declared, what, status, depth)
        return _convert(declared.type, text, what, status)

    def _embedded(
        self, text: str, declared: CimProperty | CimParameter, what: str, status: Status, depth: int
    ) -> Instance:
        if depth >= EMBEDDING_DEPTH:
            raise CimError(status, f"{what}: instances are embedded more than {EMBEDDING_DEPTH} deep.")
        try:
            element = parse_document(text.encode())
            class_, values = self.instance(element, what, depth + 1)
        except BadMessageError as error:
            raise CimError(status, f"{what} is no instance in CIM-XML: {error}") from None
        if declared.embedded not in (None, "object") and not _is_a(class_, declared.embedded or ""):
            raise CimError(status, f"{what} is an instance of {declared.embedded}, not of {class_.name}.")
        return Instance(class_.name, {name: value for name, value in values.items() if value is not None})


def read_string(element: Element, what: str) -> str:
    """Read a string parameter of an intrinsic method."""
    return text_of(_tagged(element, "VALUE", what))


def read_boolean(element: Element, what: str) -> bool:
    """Read a boolean parameter of an intrinsic method."""
    return bool(_convert("boolean", read_string(element, what), what, Status.INVALID_PARAMETER))


def read_uint32(element: Element, what: str) -> int:
    """Read a uint32 parameter of an intrinsic method."""
    return cast(int, _convert("uint32", read_string(element, what), what, Status.INVALID_PARAMETER))


def read_strings(element: Element, what: str) -> list[str]:
    """Read an array of strings, such as a property list."""
    return [text_of(_tagged(each, "VALUE", what)) for each in _tagged(element, "VALUE.ARRAY", what)]


def read_class_name(element: Element, what: str) -> str:
    """Read CLASSNAME."""
    return attribute(_tagged(element, "CLASSNAME", what), "NAME")


def _tagged(element: Element, tag: str, what: str) -> Element:
    if element.tag != tag:
        _invalid(f"{what} is given as {tag}, not as {element.tag}.")
    return element


def _convert(cim_type: str, text: str, what: str, status: Status) -> Scalar:
    try:
        return parse(cim_type, text)
    except (ValueError, OverflowError) as error:
        raise CimError(status, f"{what} is no {cim_type}: {error}.") from None


def _type_of_key(element: Element) -> str:
    cim_type = element.get("TYPE")
    if cim_type in INTEGERS or cim_type in REALS or cim_type in ("boolean", "datetime", "string", "char16"):
        return str(cim_type)
    kind = element.get("VALUETYPE")
    if kind == "boolean":
        return "boolean"
    if kind == "numeric":
        text = text_of(element).strip()
        return "sint64" if text.startswith("-") else "uint64" if text.isdigit() else "real64"
    return "string"


def _is_a(class_: CimClass, ancestor: str) -> bool:
    wanted = ancestor.lower()
    return class_.name.lower() == wanted or wanted in (each.lower() for each in class_.ancestors)


def _invalid(why: str) -> NoReturn:
    raise CimError(Status.INVALID_PARAMETER, why)
