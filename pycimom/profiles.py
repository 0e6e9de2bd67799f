"""Profile classes, readable both in the interop namespace and where the elements are that conform (DSP1033)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cim_provider import CimError, ClassDeclaration, Instance, InstanceName, Provider, Value, View
from pycimom.repository import Repository

PROFILE = "CIM_RegisteredProfile"
PROFILE_CLASSES = (
    PROFILE,
    "CIM_RegisteredSubProfile",
    "CIM_ElementConformsToProfile",
    "CIM_ReferencedProfile",
    "CIM_SubProfileRequiresProfile",
)
"""Readable in every namespace, with their subclasses."""


class ProfileMirror(Provider):
    """Shows the profile classes of a provider in a second namespace.

    There, a reference to a profile stays in that namespace, any other leads to the namespace the provider serves.
    """

    def __init__(self, provider: Provider, repository: Repository, home: str, namespace: str) -> None:
        self._provider = provider
        self._repository = repository
        self.home = home
        """The namespace that the provider serves."""
        self._is_profile: dict[str, bool] = {}
        self._declarations = {
            name: each
            for name, each in provider.declarations.items()
            if _is_below(repository, home, name, PROFILE_CLASSES) and _is_below(repository, namespace, name, (name,))
        }
        self._shown: dict[str, tuple[Sequence[Instance], tuple[Instance, ...]]] = {}

    @property
    def declarations(self) -> Mapping[str, ClassDeclaration]:
        """The profile classes that both namespaces have."""
        return self._declarations

    def view(self) -> View:
        """Return what the provider's newest view looks like from here."""
        return _MirrorView(self, self._provider.view())

    def profiles(self) -> Sequence[InstanceName]:
        """Return the names of all profiles that the provider has; none while it cannot be read."""
        try:
            view = self.view()
        except CimError:
            return ()
        classes = (name for name in self._declarations if self._names_profile(name))
        return [each.name for name in classes for each in view.instances(name) if each.name is not None]

    def show_all(self, class_name: str, instances: Sequence[Instance]) -> Sequence[Instance]:
        """Return instances as they look from here; the same sequence for the same sequence."""
        known = self._shown.get(class_name.lower())
        if known is None or known[0] is not instances:
            known = self._shown[class_name.lower()] = (instances, tuple(self.show(each) for each in instances))
        return known[1]

    def show(self, instance: Instance) -> Instance:
        """Return an instance as it looks from here."""
        properties = {name: self._value(value) for name, value in instance.properties.items()}
        name = instance.name
        if name is not None:
            keys = tuple((key, self._name(each) if isinstance(each, InstanceName) else each) for key, each in name.keys)
            name = InstanceName(name.class_name, keys)
        return Instance(instance.class_name, properties, name)

    def _value(self, value: Value) -> Value:
        return self._name(value) if isinstance(value, InstanceName) else value

    def _name(self, name: InstanceName) -> InstanceName:
        if self._names_profile(name.class_name):
            return InstanceName(name.class_name, name.keys)
        return name.within(self.home)

    def _names_profile(self, class_name: str) -> bool:
        known = self._is_profile.get(class_name)
        if known is None:
            known = self._is_profile[class_name] = _is_below(self._repository, self.home, class_name, (PROFILE,))
        return known


class _MirrorView:
    def __init__(self, mirror: ProfileMirror, view: View) -> None:
        self._mirror = mirror
        self._view = view

    def instances(self, class_name: str) -> Sequence[Instance]:
        return self._mirror.show_all(class_name, self._view.instances(class_name))

    def instance(self, name: InstanceName) -> Instance | None:
        found = self._view.instance(name)
        return None if found is None else self._mirror.show(found)

    def references(self, association: str, name: InstanceName, role: str | None = None) -> Sequence[Instance]:
        return [self._mirror.show(each) for each in self._view.references(association, name, role)]


def _is_below(repository: Repository, namespace: str, name: str, ancestors: Sequence[str]) -> bool:
    try:
        return any(repository.is_subclass(namespace, name, each) for each in ancestors)
    except CimError:
        return False
