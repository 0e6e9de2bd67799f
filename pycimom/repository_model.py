"""Classes as the server knows them: resolved, so a class carries all that it inherits (DSP0004 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from cim_provider import Value


@dataclass(frozen=True)
class CimProperty:
    """A property of a class, inherited ones included.

    ``type`` is the name of the CIM type, ``reference`` for references. ``embedded`` names the class of an embedded
    instance, or is ``"object"`` where any embedded object may stand; ``reference`` names the class referred to.
    ``origin`` is the class that declared the property first.
    """

    name: str
    type: str
    array: bool = False
    key: bool = False
    embedded: str | None = None
    reference: str | None = None
    origin: str = ""
    default: Value = None


@dataclass(frozen=True)
class CimParameter:
    """A parameter of a method; types as for CimProperty."""

    name: str
    type: str
    array: bool = False
    is_input: bool = True
    is_output: bool = False
    embedded: str | None = None
    reference: str | None = None


@dataclass(frozen=True)
class CimMethod:
    """An extrinsic method: the type of its return value and its parameters in declared order."""

    name: str
    returns: str
    parameters: Mapping[str, CimParameter] = field(default_factory=dict)

    @cached_property
    def _parameters_by_key(self) -> dict[str, CimParameter]:
        return {name.lower(): each for name, each in self.parameters.items()}

    def find_parameter(self, name: str) -> CimParameter | None:
        """Return a parameter by its name in any spelling."""
        return self._parameters_by_key.get(name.lower())


@dataclass(frozen=True)
class CimClass:
    """A class with everything it inherits.

    Mappings are by the schema's spelling, in declared order, what is inherited first.
    """

    name: str
    superclass: str | None
    properties: Mapping[str, CimProperty]
    methods: Mapping[str, CimMethod]
    is_association: bool = False
    is_indication: bool = False
    is_abstract: bool = False
    ancestors: tuple[str, ...] = ()
    """All superclasses, the nearest first."""

    @cached_property
    def _properties_by_key(self) -> dict[str, CimProperty]:
        return {name.lower(): each for name, each in self.properties.items()}

    @cached_property
    def _methods_by_key(self) -> dict[str, CimMethod]:
        return {name.lower(): each for name, each in self.methods.items()}

    def find_property(self, name: str) -> CimProperty | None:
        """Return a property by its name in any spelling."""
        return self._properties_by_key.get(name.lower())

    def find_method(self, name: str) -> CimMethod | None:
        """Return a method by its name in any spelling."""
        return self._methods_by_key.get(name.lower())

    @cached_property
    def keys(self) -> tuple[CimProperty, ...]:
        """The key properties."""
        return tuple(each for each in self.properties.values() if each.key)

    @cached_property
    def references(self) -> tuple[CimProperty, ...]:
        """The ends of an association."""
        return tuple(each for each in self.properties.values() if each.reference is not None)
