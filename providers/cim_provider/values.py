"""CIM values as Python values: names of instances, instances, indications and errors (DSP0004).

The types a property may have are the names of DSP0004; their Python values are:

=================  ==========================================================
CIM type           Python value
=================  ==========================================================
boolean            bool
uint8 .. sint64    int
real32, real64     float
string, char16     str
datetime           datetime (with time zone) or timedelta (an interval)
reference          InstanceName
embedded instance  Instance (the property's type is string)
array of any       list or tuple
NULL               None, or the property is absent
=================  ==========================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum
from functools import cached_property
from typing import Any, TypeAlias, Union

Scalar: TypeAlias = Union[bool, int, float, str, datetime, timedelta, "InstanceName", "Instance", None]
Value: TypeAlias = Scalar | Sequence[Scalar]
KeyValue: TypeAlias = Union[bool, int, float, str, datetime, timedelta, "InstanceName"]


@dataclass(frozen=True)
class InstanceName:
    """The path of an instance: its class and its keys.

    ``namespace`` None means the namespace of the request that the name belongs to.
    Two names are the same instance when their ``identity`` is equal: names of classes and keys
    do not distinguish upper and lower case (DSP0004 5.1.2.2), values of strings do.
    """

    class_name: str
    keys: tuple[tuple[str, KeyValue], ...]
    namespace: str | None = None

    @cached_property
    def identity(self) -> tuple[Any, ...]:
        """Equal for equal names, hashable, independent of the order and spelling of keys; ignores the namespace."""
        return (
            self.class_name.lower(),
            frozenset(
                (name.lower(), value.identity if isinstance(value, InstanceName) else value)
                for name, value in self.keys
            ),
        )

    def get(self, key: str) -> KeyValue | None:
        """Return the value of a key, whatever its spelling; None if the name has no such key."""
        wanted = key.lower()
        return next((value for name, value in self.keys if name.lower() == wanted), None)

    def within(self, namespace: str) -> InstanceName:
        """Return the same name with ``namespace`` where it had none."""
        return self if self.namespace is not None else replace(self, namespace=namespace)

    def __str__(self) -> str:
        keys = ",".join(f'{name}="{value}"' for name, value in self.keys)
        return f"{self.namespace + ':' if self.namespace else ''}{self.class_name}.{keys}"


@dataclass(frozen=True, eq=False)
class Instance:
    """An instance, never changed once made: a changed object gives a new Instance.

    ``properties`` holds the properties that are not NULL, by the class's spelling, keys included.
    ``name`` is None only for embedded instances that have no path.
    ``cache`` belongs to the host, which keeps there what it derived (encoded bytes); it lives as long as the instance.
    """

    class_name: str
    properties: Mapping[str, Value]
    name: InstanceName | None = None
    cache: dict[str, Any] = field(default_factory=dict, repr=False)

    def get(self, name: str) -> Value:
        """Return the value of a property, whatever its spelling; None if it is NULL."""
        if name in self.properties:
            return self.properties[name]
        wanted = name.lower()
        return next((value for key, value in self.properties.items() if key.lower() == wanted), None)


@dataclass(frozen=True)
class Indication:
    """Something that happened: an instance of an indication class (``SourceInstance``, ``PreviousInstance``, ...)."""

    instance: Instance

    @property
    def class_name(self) -> str:
        """The class of the indication."""
        return self.instance.class_name


@dataclass(frozen=True)
class MethodResult:
    """What an extrinsic method gave: its return value and its output parameters by the class's spelling."""

    value: Value
    outputs: Mapping[str, Value] = field(default_factory=dict)


class Status(IntEnum):
    """CIM status codes (DSP0200 7.4)."""

    FAILED = 1
    ACCESS_DENIED = 2
    INVALID_NAMESPACE = 3
    INVALID_PARAMETER = 4
    INVALID_CLASS = 5
    NOT_FOUND = 6
    NOT_SUPPORTED = 7
    CLASS_HAS_CHILDREN = 8
    CLASS_HAS_INSTANCES = 9
    INVALID_SUPERCLASS = 10
    ALREADY_EXISTS = 11
    NO_SUCH_PROPERTY = 12
    TYPE_MISMATCH = 13
    QUERY_LANGUAGE_NOT_SUPPORTED = 14
    INVALID_QUERY = 15
    METHOD_NOT_AVAILABLE = 16
    METHOD_NOT_FOUND = 17
    NAMESPACE_NOT_EMPTY = 20
    INVALID_ENUMERATION_CONTEXT = 21
    INVALID_OPERATION_TIMEOUT = 22
    PULL_HAS_BEEN_ABANDONED = 23
    PULL_CANNOT_BE_ABANDONED = 24
    FILTERED_ENUMERATION_NOT_SUPPORTED = 25
    CONTINUATION_ON_ERROR_NOT_SUPPORTED = 26
    SERVER_LIMITS_EXCEEDED = 27
    SERVER_IS_SHUTTING_DOWN = 28


class CimError(Exception):
    """A CIM operation failed: a status code for programs, a sentence for people."""

    def __init__(self, status: Status, description: str) -> None:
        super().__init__(f"{status.name}: {description}")
        self.status = status
        self.description = description


def names(instances: Iterable[Instance]) -> list[InstanceName]:
    """Return the names of instances that have one."""
    return [instance.name for instance in instances if instance.name is not None]
