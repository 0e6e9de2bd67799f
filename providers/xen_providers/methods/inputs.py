"""The parameters that a client gave to a method, read with the tolerance that existing clients need, and not more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from cim_provider import Instance, InstanceName, Scalar, Value
from xen_providers.mapping.declaration import MappedClass
from xen_providers.mapping.view import XenView
from xen_providers.methods.embedded import MofTextError, parse_instance, parse_name
from xen_providers.methods.outcomes import invalid
from xenapi_client import Record

T = TypeVar("T")


@dataclass(frozen=True)
class Element:
    """An instance that a parameter names: its class, and the object behind it."""

    mapped: MappedClass
    ref: str
    record: Record


def needed(parameter: str, value: T | None) -> T:
    """Return a value that must have been given."""
    if value is None:
        raise invalid(parameter, "it is missing.")
    return value


class Settings:
    """The properties of an embedded instance, by their names in any spelling."""

    def __init__(self, parameter: str, instance: Instance) -> None:
        self.parameter = parameter
        self.instance = instance
        self.class_name = instance.class_name

    def __contains__(self, name: str) -> bool:
        """Whether a property has a value."""
        return self.instance.get(name) is not None

    def text(self, name: str) -> str | None:
        """Return a string."""
        return as_text(self._path(name), self.instance.get(name))

    def number(self, name: str) -> int | None:
        """Return a number that is not negative, whatever its width; strings of digits are numbers too."""
        return as_number(self._path(name), self.instance.get(name))

    def flag(self, name: str) -> bool | None:
        """Return a boolean."""
        return as_flag(self._path(name), self.instance.get(name))

    def texts(self, name: str) -> list[str] | None:
        """Return strings; a single one is a list too."""
        value = self.instance.get(name)
        return (
            None
            if value is None
            else [needed(self._path(name), as_text(self._path(name), each)) for each in listed(value)]
        )

    def entries(self, name: str) -> dict[str, str] | None:
        """Return the entries of a map, which are written as ``key=value``."""
        texts = self.texts(name)
        if texts is None:
            return None
        split = [text.partition("=") for text in texts]
        if not all(separator and key for key, separator, _ in split):
            raise invalid(self._path(name), "each entry has the form key=value.")
        return {key: value for key, _, value in split}

    def _path(self, name: str) -> str:
        return f"{self.parameter}.{name}"


class Inputs:
    """The input parameters of one call, by the spelling of the method's declaration."""

    def __init__(self, given: Mapping[str, Value], view: XenView) -> None:
        self._given = given
        self._view = view

    def __contains__(self, name: str) -> bool:
        """Whether a parameter was given and is not NULL."""
        return self._given.get(name) is not None

    def get(self, name: str) -> Value:
        """Return a parameter as it came."""
        return self._given.get(name)

    def text(self, name: str) -> str | None:
        """Return a string."""
        return as_text(name, self.get(name))

    def number(self, name: str) -> int | None:
        """Return a number that is not negative."""
        return as_number(name, self.get(name))

    def flag(self, name: str) -> bool | None:
        """Return a boolean."""
        return as_flag(name, self.get(name))

    def texts(self, name: str) -> list[str]:
        """Return strings; none if the parameter is missing."""
        return [needed(name, as_text(name, each)) for each in listed(self.get(name))]

    def settings(self, name: str) -> Settings | None:
        """Return an embedded instance, which came as CIM-XML or as MOF text."""
        values = self.all_settings(name)
        if len(values) > 1:
            raise invalid(name, "one instance is expected.")
        return values[0] if values else None

    def all_settings(self, name: str) -> list[Settings]:
        """Return embedded instances, or the one that came without an array; none if the parameter is missing."""
        return [Settings(path, embedded(path, value)) for path, value in self.values(name)]

    def values(self, name: str) -> list[tuple[str, Scalar]]:
        """Return the values of an array as they came, each with what it is to be called in an error."""
        values = listed(self.get(name))
        return [(name if len(values) == 1 else f"{name}[{number}]", value) for number, value in enumerate(values)]

    def element(self, name: str, *classes: MappedClass) -> Element | None:
        """Return the instance of one of some classes that a parameter names: by its path, also as text, or its uuid."""
        value = self.get(name)
        is_nothing = value is None or (isinstance(value, str) and not value.strip())
        return None if is_nothing else self.found(name, value, *classes)

    def elements(self, name: str, *classes: MappedClass) -> list[Element]:
        """Return the instances that an array names."""
        return [self.found(path, value, *classes) for path, value in self.values(name)]

    def found(self, parameter: str, value: Any, *classes: MappedClass) -> Element:
        """Return the instance of one of some classes that a value names."""
        named = parse_name(value) or value if isinstance(value, str) else value
        if isinstance(named, Instance):
            named = named.name or InstanceName(named.class_name, tuple(_keys(named)))
        if not isinstance(named, InstanceName | str):
            raise invalid(parameter, "it is no path of an instance.")
        for mapped in classes:
            found = self._by_uuid(mapped, named) if isinstance(named, str) else self._by_name(mapped, named)
            if found is not None:
                return Element(mapped, *found)
        kinds = " or ".join(each.name for each in classes)
        raise invalid(parameter, f"there is no {kinds} {named}.")

    def _by_uuid(self, mapped: MappedClass, uuid: str) -> tuple[str, Record] | None:
        found = self._view.find(mapped.source, uuid.strip().lower())
        return found if found is not None and self._view.has(mapped, found[0]) else None

    def _by_name(self, mapped: MappedClass, name: InstanceName) -> tuple[str, Record] | None:
        """Find an instance by a path of its class, or of a CIM class that clients know it by."""
        if name.class_name.lower() != mapped.name.lower() and not name.class_name.upper().startswith("CIM_"):
            return None
        return self._view.record(InstanceName(mapped.name, name.keys))


def listed(value: Value) -> Sequence[Scalar]:
    """Return the values of an array, or the one that came without; none for NULL."""
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def as_text(parameter: str, value: Value) -> str | None:
    """Return a string."""
    if value is not None and not isinstance(value, str):
        raise invalid(parameter, f"a string is expected, not {value!r}.")
    return value


def as_number(parameter: str, value: Value) -> int | None:
    """Return a number that is not negative; a string of digits is one."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        value = int(value)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 64:
        raise invalid(parameter, f"a number from 0 is expected, not {value!r}.")
    return value


def as_flag(parameter: str, value: Value) -> bool | None:
    """Return a boolean; the words true and false are ones."""
    if isinstance(value, str) and value.lower() in ("true", "false"):
        value = value.lower() == "true"
    if value is not None and not isinstance(value, bool):
        raise invalid(parameter, f"true or false is expected, not {value!r}.")
    return value


def embedded(parameter: str, value: Scalar) -> Instance:
    """Return an embedded instance, which came as CIM-XML or as MOF text."""
    if isinstance(value, Instance):
        return value
    if not isinstance(value, str):
        raise invalid(parameter, "an embedded instance is expected.")
    try:
        return parse_instance(value)
    except MofTextError as error:
        raise invalid(parameter, str(error)) from None


def _keys(instance: Instance) -> list[tuple[str, Any]]:
    """Return what may be keys of an embedded instance that came without a path."""
    return [(key, value) for key, value in instance.properties.items() if isinstance(value, str | int | InstanceName)]
