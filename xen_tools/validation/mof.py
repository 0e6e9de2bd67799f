"""Do the instances keep what the classes declare?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import pywbem

from xen_tools.validation.server import Namespace

Tell: TypeAlias = Callable[[str, str], None]
"""Takes a rule and how it is broken."""


def check_classes(namespace: Namespace) -> None:
    """Look at how the classes hang together."""
    for name, cls in namespace.classes.items():
        tell = partial(_tell, namespace, cls.classname)
        above = namespace.classes.get((cls.superclass or "").lower())
        if cls.superclass is not None and above is None:
            tell("class.superclass", f"There is no superclass {cls.superclass}.")
        for each in cls.properties.values():
            if each.type == "reference" and each.reference_class.lower() not in namespace.classes:
                tell("class.reference", f"{each.name} leads to {each.reference_class}, which is not there.")
            inherited = above.properties.get(each.name) if above is not None else None
            if above is not None and inherited is not None and _shape(inherited) != _shape(each):
                tell("class.override", f"{each.name} is {_shape(each)}, but {_shape(inherited)} in {above.classname}.")
        if namespace.instances.get(name) and not keys_of(cls):
            tell("class.key", "It has instances, but no key.")


def check_instances(namespace: Namespace) -> None:
    """Look at every property of every instance."""
    for name, instances in namespace.instances.items():
        if instances and namespace.flag(name, "Abstract"):
            for each in instances:
                namespace.report("mof.class", each.path, "The class is abstract.")
        for each in instances:
            _check_instance(namespace, each, partial(_tell, namespace, each.path))


def keys_of(cls: pywbem.CIMClass) -> list[str]:
    """Return the names of a class's keys."""
    return [each.name for each in cls.properties.values() if _is_set(each, "Key")]


def _tell(namespace: Namespace, subject: object, rule: str, text: str) -> None:
    namespace.report(rule, subject, text)


def _shape(declared: pywbem.CIMProperty) -> str:
    return f"{declared.type}[]" if declared.is_array else str(declared.type)


def _is_set(declared: pywbem.CIMProperty, qualifier: str) -> bool:
    return qualifier in declared.qualifiers and declared.qualifiers[qualifier].value is True


def _check_instance(namespace: Namespace, instance: pywbem.CIMInstance, tell: Tell) -> None:
    cls = namespace.classes.get(instance.classname.lower())
    if cls is None:
        tell("mof.class", f"There is no class {instance.classname}.")
        return
    for found in instance.properties.values():
        declared = cls.properties.get(found.name)
        if declared is None:
            tell("mof.undeclared", f"{found.name} is not declared.")
        elif found.value is not None or not found.is_array:
            _check_property(namespace, declared, found, tell)
    for declared in cls.properties.values():
        value = instance.get(declared.name)
        if value is None and _is_set(declared, "Key"):
            tell("mof.key", f"{declared.name} is NULL.")
        elif value is None and _is_set(declared, "Required"):
            tell("mof.required", f"{declared.name} is NULL.")


def _check_property(namespace: Namespace, declared: pywbem.CIMProperty, found: pywbem.CIMProperty, tell: Tell) -> None:
    if found.type != declared.type:
        tell("mof.type", f"{found.name} is {found.type}, declared {declared.type}.")
        return
    if bool(found.is_array) != bool(declared.is_array) and found.value is not None:
        tell("mof.array", f"{found.name} is {_shape(found)}, declared {_shape(declared)}.")
        return
    values = found.value if isinstance(found.value, list) else [found.value]
    for value in (each for each in values if each is not None):
        for rule, text in _problems(declared, value):
            tell(rule, f"{found.name} is {text}.")
        if isinstance(value, pywbem.CIMInstance):
            _check_embedded(namespace, declared, value, tell)


def _problems(declared: pywbem.CIMProperty, value: Any) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a value."""
    qualifiers = {name.lower(): each.value for name, each in declared.qualifiers.items()}
    if isinstance(value, str | int) and not isinstance(value, bool) and not in_map(value, qualifiers.get("valuemap")):
        yield "mof.value", f"{value!s}, which is not in the ValueMap"
    if isinstance(value, str):
        least, most = qualifiers.get("minlen"), qualifiers.get("maxlen")
        if (least is not None and len(value) < least) or (most is not None and len(value) > most):
            yield "mof.length", f"{len(value)} characters long, but must have {least or 0} to {most}"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        least, most = qualifiers.get("minvalue"), qualifiers.get("maxvalue")
        if (least is not None and value < least) or (most is not None and value > most):
            yield "mof.range", f"{value}, but must be from {least} to {most}"


def in_map(value: str | int, value_map: list[str] | None) -> bool:
    """Whether a ValueMap has a value: words, numbers, ``low..high``, ``low..``, ``..high``, ``..`` for all others."""
    if value_map is None or str(int(value) if isinstance(value, int) else value) in value_map:
        return True
    if isinstance(value, str):
        return ".." in value_map
    for entry in value_map:
        low, dots, high = entry.partition("..")
        if dots and (not low or int(low, 0) <= value) and (not high or value <= int(high, 0)):
            return True
    return any(not _is_range(entry) and int(entry, 0) == value for entry in value_map)


def _is_range(entry: str) -> bool:
    return ".." in entry


def _check_embedded(namespace: Namespace, declared: pywbem.CIMProperty, value: pywbem.CIMInstance, tell: Tell) -> None:
    named = declared.qualifiers.get("EmbeddedInstance")
    if named is not None and not namespace.is_a(value.classname, named.value):
        tell("mof.embedded", f"{declared.name} holds a {value.classname}, declared {named.value}.")
        return

    def within(rule: str, text: str) -> None:
        if rule != "mof.key":  # what is embedded need not have a name
            tell("mof.embedded", f"{declared.name}: {text} ({rule})")

    _check_instance(namespace, value, within)
