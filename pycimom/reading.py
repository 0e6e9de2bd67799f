"""Reads for one request: one view of each provider, subclasses walked, associations resolved (DSP0200 5.3.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from cim_provider import CimError, Instance, InstanceName, Provider, Status, View
from pycimom.fragments import Found
from pycimom.provider_calls import ProviderCalls
from pycimom.repository import CimClass, Repository
from pycimom.statistics import in_provider


@dataclass(frozen=True)
class AssociationFilter:
    """Which associations and which objects behind them are wanted; None for any, names in any spelling."""

    assoc_class: str | None = None
    result_class: str | None = None
    role: str | None = None
    result_role: str | None = None


class Routes(Protocol):
    """Who provides what; the broker is one."""

    def providers(self, namespace: str, class_name: str) -> Sequence[Provider]:
        """Return the providers of exactly this class."""


class Reading:
    """One consistent look at everything. It lives as long as its request, or as its enumeration session."""

    def __init__(self, repository: Repository, routes: Routes, calls: ProviderCalls) -> None:
        self._repository = repository
        self._routes = routes
        self._calls = calls
        self._views: dict[Provider, View] = {}
        self._sampled: dict[Provider, set[str]] = {}

    async def catch_up(self) -> bool:
        """Have the samples that were read so far brought up to date; say whether another reading may find others."""
        await self._refresh()
        return any(provider.view() is not self._views.get(provider) for provider in self._sampled)

    async def _refresh(self) -> None:
        for provider, names in self._sampled.items():
            await self._calls.run(provider.refresh, names)

    def _note(self, provider: Provider, class_name: str) -> None:
        """Remember that a class is read which may show samples."""
        if class_name.lower() in provider.sampled_classes:
            self._sampled.setdefault(provider, set()).add(class_name.lower())

    def view(self, provider: Provider) -> View:
        """Return the one view of a provider that this request uses."""
        view = self._views.get(provider)
        if view is None:
            view = self._views[provider] = provider.view()
        return view

    async def instances(self, namespace: str, class_name: str) -> list[Found]:
        """Return the instances of a class and its subclasses. INVALID_CLASS if there is no such class."""
        declared = self._repository.get(namespace, class_name)
        sources = [
            (provider, name)
            for name in (declared.name, *self._repository.subclasses(namespace, declared.name, deep=True))
            for provider in self._routes.providers(namespace, name)
        ]
        for provider, name in sources:
            self._note(provider, name)
        await self._refresh()
        # A view may have to make its rows first, and nobody knows beforehand how many they are.
        found = await self._calls.read(lambda: self._collect(sources)) if sources else []
        return [Found(namespace, each, whole_class=True) for each in found if each]

    def _collect(self, sources: Iterable[tuple[Provider, str]]) -> list[Sequence[Instance]]:
        with in_provider():
            return [self.view(provider).instances(name) for provider, name in sources]

    def instance(self, namespace: str, name: InstanceName) -> Instance | None:
        """Return the instance with this name, or None."""
        return next((each for each, _ in self.holders(namespace, name)), None)

    def holders(self, namespace: str, name: InstanceName) -> Iterator[tuple[Instance, Provider]]:
        """Yield the instance with this name and the provider that has it, for each that does."""
        for provider in self._routes.providers(namespace, name.class_name):
            self._note(provider, name.class_name)
            instance = self.view(provider).instance(name)
            if instance is not None:
                yield instance, provider

    def references(self, namespace: str, name: InstanceName, result_class: str | None, role: str | None) -> list[Found]:
        """Return the association instances that refer to an instance."""
        wanted = AssociationFilter(assoc_class=result_class, role=role)
        found = [Found(namespace, each) for each in self._associations(namespace, name, wanted, "ResultClass") if each]
        return found or self._nothing(namespace, name)

    def associators(self, namespace: str, name: InstanceName, wanted: AssociationFilter) -> list[Found]:
        """Return the instances at the other ends of the associations of an instance."""
        found: list[Found] = []
        for path in self.associator_names(namespace, name, wanted):
            home = path.namespace or namespace
            instance = self.instance(home, path)
            if instance is None:
                continue
            if found and found[-1].namespace == home:
                found[-1] = Found(home, [*found[-1].instances, instance])
            else:
                found.append(Found(home, [instance]))
        return found

    def associator_names(self, namespace: str, name: InstanceName, wanted: AssociationFilter) -> list[InstanceName]:
        """Return the names at the other ends of the associations of an instance, each once."""
        paths: dict[tuple[object, ...], InstanceName] = {}
        is_wanted = self._result_check(namespace, wanted.result_class)
        for associations in self._associations(namespace, name, wanted, "AssocClass"):
            for association in associations:
                for far in self._far_ends(namespace, association, name, wanted):
                    home = (far.namespace or namespace).lower()
                    if is_wanted(home, far.class_name):
                        paths.setdefault((home, far.identity), far)
        if not paths:
            self._nothing(namespace, name)
        return list(paths.values())

    def _associations(
        self, namespace: str, name: InstanceName, wanted: AssociationFilter, parameter: str
    ) -> Iterator[Sequence[Instance]]:
        repository = self._repository
        if (
            wanted.assoc_class is not None
            and not self._class_of(namespace, wanted.assoc_class, parameter).is_association
        ):
            raise CimError(Status.INVALID_PARAMETER, f"{parameter}: {wanted.assoc_class} is no association.")
        for association in repository.associations_of(namespace, name.class_name):
            if wanted.assoc_class is None or repository.is_subclass(namespace, association, wanted.assoc_class):
                for provider in self._routes.providers(namespace, association):
                    yield self.view(provider).references(association, name, wanted.role)

    def _far_ends(
        self, namespace: str, association: Instance, near: InstanceName, wanted: AssociationFilter
    ) -> Iterator[InstanceName]:
        ends = [
            (each.name.lower(), end)
            for each in self._repository.get(namespace, association.class_name).references
            if isinstance(end := association.get(each.name), InstanceName)
        ]
        for here, end in ends:
            if end.identity != near.identity or (wanted.role is not None and here != wanted.role.lower()):
                continue
            for there, far in ends:
                if there != here and (wanted.result_role is None or there == wanted.result_role.lower()):
                    yield far

    def _result_check(self, namespace: str, result_class: str | None) -> Callable[[str, str], bool]:
        if result_class is None:
            return lambda home, class_name: True
        self._class_of(namespace, result_class, "ResultClass")

        def check(home: str, class_name: str) -> bool:
            try:
                return self._repository.is_subclass(home, class_name, result_class)
            except CimError:
                # The other end lies in a namespace or has a class that this server does not know.
                return False

        return check

    def _class_of(self, namespace: str, class_name: str, parameter: str) -> CimClass:
        try:
            return self._repository.get(namespace, class_name)
        except CimError as error:
            if error.status is Status.INVALID_CLASS:
                raise CimError(Status.INVALID_PARAMETER, f"{parameter}: there is no class {class_name}.") from None
            raise

    def _nothing(self, namespace: str, name: InstanceName) -> list[Found]:
        """Nothing was found: an answer for an instance that exists, an error for one that does not."""
        if self._routes.providers(namespace, name.class_name) and self.instance(namespace, name) is None:
            raise CimError(Status.NOT_FOUND, f"There is no instance {name}.")
        return []
