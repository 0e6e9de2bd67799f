"""Ways in which the answers of a CIM server can be wrong."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

from lxml import etree
from lxml.builder import E

from faulty_server import Asked, Fault

NAMES, INSTANCES, GET = "EnumerateInstanceNames", "EnumerateInstances", "GetInstance"
REFERENCES, ASSOCIATORS, CLASSES = "ReferenceNames", "AssociatorNames", "EnumerateClasses"
NOT_FOUND, FAILED = "6", "1"


# Properties of instances, wherever they are shown


def _in_instances(class_name: str, change: Callable[[etree._Element], None], *operations: str) -> Fault:
    def fault(asked: Asked, response: etree._Element) -> None:
        if not operations or asked.operation in operations:
            for instance in list(response.iter("INSTANCE")):
                if instance.get("CLASSNAME") == class_name:
                    change(instance)

    return fault


def _property(instance: etree._Element, name: str) -> etree._Element | None:
    return next((each for each in instance if each.get("NAME") == name), None)


def put(
    class_name: str, name: str, type_: str, *values: str, array: bool = False, by: str | None = None, **more: str
) -> Fault:
    """Give a property another value, or type, or shape, in all answers or those of one operation; no value is NULL."""

    def change(instance: etree._Element) -> None:
        if (old := _property(instance, name)) is not None:
            instance.remove(old)
        content = [E("VALUE", each) for each in values]
        if array:
            instance.append(E("PROPERTY.ARRAY", E("VALUE.ARRAY", *content), NAME=name, TYPE=type_))
        else:
            instance.append(E("PROPERTY", *content, NAME=name, TYPE=type_, **more))

    return _in_instances(class_name, change, *([by] if by is not None else []))


def without(class_name: str, name: str) -> Fault:
    """Leave a property out."""

    def change(instance: etree._Element) -> None:
        if (old := _property(instance, name)) is not None:
            instance.remove(old)

    return _in_instances(class_name, change)


def other_text(class_name: str, name: str, *operations: str) -> Fault:
    """Write something behind the value of a property."""

    def change(instance: etree._Element) -> None:
        found = _property(instance, name)
        if found is not None:
            for value in found.iter("VALUE"):
                value.text = f"{value.text} once more"

    return _in_instances(class_name, change, *operations)


def end(class_name: str, role: str, change_name: Callable[[etree._Element], None]) -> Fault:
    """Let a reference lead elsewhere."""

    def change(instance: etree._Element) -> None:
        found = _property(instance, role)
        assert found is not None
        for name in found.iter("INSTANCENAME"):
            change_name(name)

    return _in_instances(class_name, change)


def to_nowhere(name: etree._Element) -> None:
    for value in name.iter("KEYVALUE"):
        value.text = "nowhere"


def swapped(class_name: str, one: str, other: str) -> Fault:
    """Let two roles change their places."""

    def change(instance: etree._Element) -> None:
        for each in instance:
            each.set("NAME", {one: other, other: one}.get(each.get("NAME"), each.get("NAME")))

    return _in_instances(class_name, change)


# Names


def _in_names(class_name: str, change: Callable[[etree._Element], None], *operations: str) -> Fault:
    def fault(asked: Asked, response: etree._Element) -> None:
        if asked.operation in operations:
            for name in list(response.iter("INSTANCENAME")):
                if name.get("CLASSNAME") == class_name and name.getparent().tag != "VALUE.REFERENCE":
                    change(name)

    return fault


def key_lost(class_name: str, key: str) -> Fault:
    """Leave a key out of the names."""

    def change(name: etree._Element) -> None:
        for each in name.xpath(f"KEYBINDING[@NAME='{key}']"):
            name.remove(each)

    return _in_names(class_name, change, NAMES, INSTANCES)


def key_added(class_name: str) -> Fault:
    """Put a key into the names that the class has not."""

    def change(name: etree._Element) -> None:
        name.append(E("KEYBINDING", E("KEYVALUE", "red", VALUETYPE="string"), NAME="Colour"))

    return _in_names(class_name, change, NAMES, INSTANCES)


# Enumerations


def _in_enumeration(operation: str, class_name: str, change: Callable[[etree._Element], None]) -> Fault:
    def fault(asked: Asked, response: etree._Element) -> None:
        if asked.operation == operation and asked.parameter("ClassName") == class_name:
            for answer in response.iter("IRETURNVALUE"):
                change(answer)

    return fault


def first_lost(operation: str, class_name: str, of: str | None = None) -> Fault:
    """Leave one out: the first, or the first of a class."""

    def change(answer: etree._Element) -> None:
        for each in answer:
            name = each if each.tag == "INSTANCENAME" else each.find("INSTANCENAME")
            if of is None or (name is not None and name.get("CLASSNAME") == of):
                answer.remove(each)
                return

    return _in_enumeration(operation, class_name, change)


def first_twice(operation: str, class_name: str) -> Fault:
    """Give the first one twice."""
    return _in_enumeration(operation, class_name, lambda answer: answer.append(copy.deepcopy(answer[0])))


def stranger(operation: str, class_name: str, name: etree._Element) -> Fault:
    """Give the name of something that is no instance of the class."""
    return _in_enumeration(operation, class_name, lambda answer: answer.append(copy.deepcopy(name)))


def none_of(*class_names: str) -> Fault:
    """Have no instances of classes in any enumeration."""

    def fault(asked: Asked, response: etree._Element) -> None:
        if asked.operation in (NAMES, INSTANCES):
            for answer in response.iter("IRETURNVALUE"):
                for each in list(answer):
                    name = each if each.tag == "INSTANCENAME" else each.find("INSTANCENAME")
                    if name is not None and name.get("CLASSNAME") in class_names:
                        answer.remove(each)

    return fault


def unreadable(class_name: str, name: str) -> Fault:
    """Write a word where a number should be."""

    def change(answer: etree._Element) -> None:
        for each in answer.xpath(f".//PROPERTY[@NAME='{name}']/VALUE"):
            each.text = "many"

    return _in_enumeration(INSTANCES, class_name, change)


def refused(operation: str, class_name: str) -> Fault:
    """Answer an enumeration with an error."""

    def fault(asked: Asked, response: etree._Element) -> None:
        if asked.operation == operation and asked.parameter("ClassName") == class_name:
            _replace(response, E("ERROR", CODE=FAILED, DESCRIPTION="no time"))

    return fault


def _replace(response: etree._Element, answer: etree._Element) -> None:
    for each in list(response):
        response.remove(each)
    response.append(answer)


# GetInstance


def get_fails(class_name: str, code: str) -> Fault:
    """Answer each GetInstance of a class with an error."""

    def fault(asked: Asked, response: etree._Element) -> None:
        if asked.operation == GET and _asked_about(asked) == class_name:
            _replace(response, E("ERROR", CODE=code, DESCRIPTION="no such thing"))

    return fault


def get_of_wrong_names(class_name: str, answer: etree._Element) -> Fault:
    """Answer the GetInstance of names that do not exist with an instance, or with another error."""

    def fault(asked: Asked, response: etree._Element) -> None:
        if asked.operation == GET and _asked_about(asked) == class_name and response.find("ERROR") is not None:
            _replace(response, copy.deepcopy(answer))

    return fault


def _asked_about(asked: Asked) -> str:
    found = asked.call.xpath("IPARAMVALUE/INSTANCENAME/@CLASSNAME")
    return str(found[0]) if found else ""


# Associations


def not_led_to(operation: str, end_class: str, far_class: str = "", **filters: str) -> Fault:
    """From instances of a class, leave out what is of another, if asked with certain filters alone."""

    def fault(asked: Asked, response: etree._Element) -> None:
        if not _asked(asked, operation, end_class, filters):
            return
        for each in list(response.iter("OBJECTPATH", "VALUE.OBJECTWITHPATH")):
            (name,) = each.xpath("(.//INSTANCENAME)[1]")
            if not far_class or name.get("CLASSNAME") == far_class:
                each.getparent().remove(each)

    return fault


def led_to_as_well(operation: str, end_class: str, name: etree._Element, **filters: str) -> Fault:
    """From instances of a class, lead to something that is not associated."""

    def fault(asked: Asked, response: etree._Element) -> None:
        if _asked(asked, operation, end_class, filters):
            space = [E("NAMESPACE", NAME=each) for each in asked.namespace.split("/")]
            path = E("INSTANCEPATH", E("NAMESPACEPATH", E("HOST", "here"), E("LOCALNAMESPACEPATH", *space)))
            path.append(copy.deepcopy(name))
            answer = response.find("IRETURNVALUE")
            if answer is None:
                answer = etree.SubElement(response, "IRETURNVALUE")
            answer.append(E("OBJECTPATH", path))

    return fault


def _asked(asked: Asked, operation: str, end_class: str, filters: dict[str, str]) -> bool:
    found = asked.call.xpath("IPARAMVALUE[@NAME='ObjectName']/INSTANCENAME/@CLASSNAME")
    return (
        asked.operation == operation
        and found == [end_class]
        and all(asked.parameter(name) == value for name, value in filters.items())
    )


# Classes


def _in_class(class_name: str, change: Callable[[etree._Element], None]) -> Fault:
    def fault(asked: Asked, response: etree._Element) -> None:
        if asked.operation == CLASSES:
            for cls in response.iter("CLASS"):
                if cls.get("NAME") == class_name:
                    change(cls)

    return fault


def abstract(class_name: str) -> Fault:
    """Make a class abstract."""
    qualifier = E("QUALIFIER", E("VALUE", "TRUE"), NAME="Abstract", TYPE="boolean")
    return _in_class(class_name, lambda cls: cls.insert(0, copy.deepcopy(qualifier)))


def _each(cls: etree._Element, path: str) -> Iterator[etree._Element]:
    yield from cls.xpath(path)


def orphan(class_name: str) -> Fault:
    """Put a class under one that is not there."""
    return _in_class(class_name, lambda cls: cls.set("SUPERCLASS", "CIM_Gone"))


def keyless(class_name: str) -> Fault:
    """Take the keys from a class."""

    def change(cls: etree._Element) -> None:
        for each in _each(cls, ".//QUALIFIER[@NAME='Key']"):
            each.getparent().remove(each)

    return _in_class(class_name, change)


def declared(class_name: str, property_name: str, **attributes: str) -> Fault:
    """Declare a property otherwise."""

    def change(cls: etree._Element) -> None:
        for each in _each(cls, f"*[@NAME='{property_name}']"):
            each.attrib.update(attributes)

    return _in_class(class_name, change)


def key(name: str, value: str) -> etree._Element:
    return E("KEYBINDING", E("KEYVALUE", value, VALUETYPE="string"), NAME=name)


def only_in(namespace: str, fault: Fault) -> Fault:
    """Have a fault in one namespace alone."""

    def there(asked: Asked, response: etree._Element) -> None:
        if asked.namespace == namespace:
            fault(asked, response)

    return there
