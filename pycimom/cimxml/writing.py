"""Names and instances as CIM-XML (DSP0203). Each class is written by a template that is made once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import Any, Protocol, cast

from cim_provider import CimError, Instance, InstanceName, Status, Value
from pycimom.cimxml.scalars import escape, escape_attribute, writer
from pycimom.repository_model import CimClass, CimMethod, CimParameter, CimProperty


class ClassSource(Protocol):
    """Where the classes of instances are found; the class repository is one."""

    def get(self, namespace: str, class_name: str) -> CimClass:
        """Return a class."""


class WrongValueError(Exception):
    """A provider gave a value that its class does not declare so."""

    def __init__(self, class_name: str, member: str, value: Any) -> None:
        super().__init__(f"{class_name}.{member} cannot be {type(value).__name__}")
        self.class_name = class_name
        self.member = member
        """A property, key or parameter, or a method for its return value."""
        self.given = type(value).__name__


Render = Callable[[Any, str], str]
"""Turns a value that is not NULL, in a namespace, into the text of its VALUE element."""
Column = tuple[str, str, str, Render]
"""How one property is written: its name, its name in lower case, the element of NULL, and that of any value."""

KeyColumn = tuple[str, Callable[[Any], str] | None]
"""How a key is written: what stands before its value, and what makes the text of the value; None for a reference."""
_WRONG = (TypeError, ValueError, AttributeError, OverflowError)
"""What goes wrong when a value of another type is written."""
TEMPLATES = 10_000
"""How many classes' templates are kept."""


class Writer:
    """Writes instances and their names for the classes of one repository."""

    def __init__(self, classes: ClassSource) -> None:
        self._classes = classes
        # By the class object itself, which is kept: a class that is replaced in the repository gets new templates.
        self._templates: dict[int, tuple[CimClass, list[Column]]] = {}
        self._keys: dict[int, tuple[CimClass, dict[str, KeyColumn]]] = {}

    def instance(
        self,
        instance: Instance,
        namespace: str,
        properties: Collection[str] | None = None,
        class_origin: bool = False,
    ) -> str:
        """Return the INSTANCE element, with all properties of its class or those whose names are given in lower case.

        ``namespace`` is where the instance lives: references without a namespace point into it.
        """
        declared = self._classes.get(namespace, instance.class_name)
        values = instance.properties
        parts = [f'<INSTANCE CLASSNAME="{declared.name}">']
        for spelled, key, null, render in self._columns(declared):
            if properties is not None and key not in properties:
                continue
            value = values.get(spelled)
            try:
                text = null if value is None else render(value, namespace)
            except _WRONG as error:
                raise WrongValueError(declared.name, spelled, value) from error
            if class_origin:
                text = text.replace(">", f' CLASSORIGIN="{declared.properties[spelled].origin}">', 1)
            parts.append(text)
        parts.append("</INSTANCE>")
        return "".join(parts)

    def name(self, name: InstanceName, namespace: str) -> str:
        """Return the INSTANCENAME element."""
        try:
            columns = self._key_columns(self._classes.get(namespace, name.class_name))
        except CimError:
            # A reference may lead to where this server cannot look.
            columns = {}
        parts = [f'<INSTANCENAME CLASSNAME="{escape_attribute(name.class_name)}">']
        for key, value in name.keys:
            head, text = columns.get(key) or columns.get(key.lower()) or _key_column(key, _type_of(value))
            try:
                if text is None:
                    content = f"{self._reference(cast(InstanceName, value), namespace)}</KEYBINDING>"
                else:
                    content = f"{text(value)}</KEYVALUE></KEYBINDING>"
            except _WRONG as error:
                raise WrongValueError(name.class_name, key, value) from error
            parts += (head, content)
        parts.append("</INSTANCENAME>")
        return "".join(parts)

    def _key_columns(self, declared: CimClass) -> dict[str, KeyColumn]:
        known = self._keys.get(id(declared))
        if known is None:
            if len(self._keys) > TEMPLATES:
                self._keys.clear()
            columns = {each.name: _key_column(each.name, each.type) for each in declared.keys}
            known = declared, {**{name.lower(): each for name, each in columns.items()}, **columns}
            self._keys[id(declared)] = known
        return known[1]

    def _local_path(self, name: InstanceName, namespace: str) -> str:
        namespace = name.namespace or namespace
        if not name.keys:
            class_name = f'<CLASSNAME NAME="{escape_attribute(name.class_name)}"/>'
            return f"<LOCALCLASSPATH>{local_namespace_path(namespace)}{class_name}</LOCALCLASSPATH>"
        return f"<LOCALINSTANCEPATH>{local_namespace_path(namespace)}{self.name(name, namespace)}</LOCALINSTANCEPATH>"

    def value(self, declared: CimProperty | CimParameter, value: Value, namespace: str) -> str:
        """Return the VALUE, VALUE.ARRAY, VALUE.REFERENCE or VALUE.REFARRAY element of a value that is not NULL."""
        try:
            return self._render(declared.type, declared.array, declared.embedded is not None)(value, namespace)
        except _WRONG as error:
            raise WrongValueError("", declared.name, value) from error

    def method_result(self, method: CimMethod, value: Value, outputs: dict[str, Value], namespace: str) -> str:
        """Return RETURNVALUE and the PARAMVALUE elements of a METHODRESPONSE, in the order of their declarations."""
        parts = []
        if value is not None:
            try:
                text = self._render(method.returns, False, False)(value, namespace)
            except _WRONG as error:
                raise WrongValueError("", method.name, value) from error
            parts.append(f'<RETURNVALUE PARAMTYPE="{method.returns}">{text}</RETURNVALUE>')
        given = {}
        for name, output in outputs.items():
            known = method.find_parameter(name)
            if known is None or not known.is_output:
                raise WrongValueError("", f"{method.name}.{name}", output)
            given[known.name] = output
        for declared in method.parameters.values():
            if declared.name not in given:
                continue
            output = given[declared.name]
            text = "" if output is None else self.value(declared, output, namespace)
            embedded = _embedded_attribute(declared.embedded)
            parts.append(
                f'<PARAMVALUE NAME="{declared.name}" PARAMTYPE="{declared.type}"{embedded}>{text}</PARAMVALUE>'
            )
        return "".join(parts)

    def _columns(self, declared: CimClass) -> list[Column]:
        known = self._templates.get(id(declared))
        if known is None:
            if len(self._templates) > TEMPLATES:
                self._templates.clear()
            known = declared, [self._column(each) for each in declared.properties.values()]
            self._templates[id(declared)] = known
        return known[1]

    def _column(self, declared: CimProperty) -> Column:
        if declared.type == "reference":
            element, attributes = "PROPERTY.REFERENCE", f' REFERENCECLASS="{declared.reference}"'
        else:
            element = "PROPERTY.ARRAY" if declared.array else "PROPERTY"
            attributes = f' TYPE="{declared.type}"{_embedded_attribute(declared.embedded)}'
        head, tail = f'<{element} NAME="{declared.name}"{attributes}>', f"</{element}>"
        # wbemcli does not know EmbeddedObject at arrays; where there is no value, nobody needs it.
        plain = f' TYPE="{declared.type}"' if declared.array else attributes
        null = f'<{element} NAME="{declared.name}"{plain}>{tail}'
        value = self._render(declared.type, declared.array, declared.embedded is not None)

        def render(given: Any, namespace: str) -> str:
            return head + value(given, namespace) + tail

        return declared.name, declared.name.lower(), null, render

    def _render(self, cim_type: str, array: bool, embedded: bool) -> Render:
        if cim_type == "reference":
            one: Render = self._reference
        elif embedded:
            one = self._embedded
        else:
            text = writer(cim_type)

            def one(value: Any, namespace: str) -> str:
                return f"<VALUE>{text(value)}</VALUE>"

        if not array:
            return one
        element = "VALUE.REFARRAY" if cim_type == "reference" else "VALUE.ARRAY"

        def many(values: Sequence[Any], namespace: str) -> str:
            if isinstance(values, str):
                raise TypeError("a single string stands where an array is declared")
            items = "".join("<VALUE.NULL/>" if each is None else one(each, namespace) for each in values)
            return f"<{element}>{items}</{element}>"

        return many

    def _reference(self, name: InstanceName, namespace: str) -> str:
        if not isinstance(name, InstanceName):
            raise TypeError("it is not the name of an instance")
        return f"<VALUE.REFERENCE>{self._local_path(name, namespace)}</VALUE.REFERENCE>"

    def _embedded(self, instance: Any, namespace: str) -> str:
        if isinstance(instance, str):
            return f"<VALUE>{escape(instance)}</VALUE>"
        return f"<VALUE>{escape(self.instance(instance, namespace))}</VALUE>"


def _key_column(name: str, cim_type: str) -> KeyColumn:
    head = f'<KEYBINDING NAME="{escape_attribute(name)}">'
    if cim_type == "reference":
        return head, None
    kind = {"boolean": "boolean", "string": "string", "char16": "string", "datetime": "string"}.get(cim_type, "numeric")
    return f'{head}<KEYVALUE VALUETYPE="{kind}" TYPE="{cim_type}">', writer(cim_type)


@lru_cache(256)
def local_namespace_path(namespace: str) -> str:
    """Return the LOCALNAMESPACEPATH element. wbemcli needs the closing tags."""
    return (
        "<LOCALNAMESPACEPATH>"
        + "".join(f'<NAMESPACE NAME="{escape_attribute(part)}"></NAMESPACE>' for part in namespace.split("/"))
        + "</LOCALNAMESPACEPATH>"
    )


def namespace_path(host: str, namespace: str) -> str:
    """Return the NAMESPACEPATH element."""
    return f"<NAMESPACEPATH><HOST>{escape(host)}</HOST>{local_namespace_path(namespace)}</NAMESPACEPATH>"


def _embedded_attribute(embedded: str | None) -> str:
    if embedded is None:
        return ""
    return f' EmbeddedObject="{"object" if embedded == "object" else "instance"}"'


def _type_of(value: Any) -> str:
    if isinstance(value, InstanceName):
        return "reference"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "sint64" if value < 0 else "uint64"
    if isinstance(value, float):
        return "real64"
    if isinstance(value, str):
        return "string"
    if hasattr(value, "total_seconds") or hasattr(value, "utcoffset"):
        return "datetime"
    raise CimError(Status.FAILED, "The provider gave a key that is no CIM value.")
