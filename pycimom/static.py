"""Instances that clients create and the server itself keeps: in memory for reading, in SQLite for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from immutables import Map

from cim_provider import (
    CimError,
    ClassDeclaration,
    Context,
    Indication,
    Instance,
    InstanceName,
    KeyValue,
    Method,
    Parameter,
    Property,
    Provider,
    Status,
    Value,
)
from pycimom.instance_store import InstanceStore, Origin
from pycimom.repository import CimClass, NamespaceClasses


@dataclass(frozen=True)
class _Members:
    """The instances of one class, with a number that says who came first."""

    rows: Map[Any, tuple[int, Instance]] = field(default_factory=Map)

    @cached_property
    def sequence(self) -> tuple[Instance, ...]:
        """The instances in order; made when somebody first reads them, and kept as long as none changes."""
        return tuple(instance for _, instance in sorted(self.rows.values(), key=lambda row: row[0]))


@dataclass(frozen=True)
class StaticView:
    """Instances in memory, as cim_provider.View wants them.

    Views never change. A new one shares with the old one all but the path to what did, so a write costs the same
    however many instances there are.
    """

    _classes: Map[str, _Members] = field(default_factory=Map)
    """By class in lower case."""
    _ends: Map[tuple[str, Any], Map[Any, tuple[int, Instance]]] = field(default_factory=Map)
    """The association instances that have a name at some end, by association in lower case and that name."""
    _next: int = 0

    @classmethod
    def of(cls, instances: Sequence[Instance]) -> StaticView:
        """Return a view of these instances, in this order."""
        return cls().replaced(instances)

    def instances(self, class_name: str) -> Sequence[Instance]:
        """Return the instances of exactly this class."""
        members = self._classes.get(class_name.lower())
        return members.sequence if members is not None else ()

    def instance(self, name: InstanceName) -> Instance | None:
        """Return the instance with this name."""
        members = self._classes.get(name.class_name.lower())
        row = members.rows.get(name.identity) if members is not None else None
        return row[1] if row is not None else None

    def references(self, association: str, name: InstanceName, role: str | None = None) -> Sequence[Instance]:
        """Return the instances of an association that have ``name`` at an end."""
        rows = self._ends.get((association.lower(), name.identity))
        if rows is None:
            return ()
        found = (instance for _, instance in sorted(rows.values(), key=lambda row: row[0]))
        return [each for each in found if role is None or _refers(each.get(role), name)]

    def replaced(self, put: Sequence[Instance], gone: Collection[InstanceName] = ()) -> StaticView:
        """Return a view with instances added or replaced and others gone; untouched classes keep their sequences."""
        change = _Change(self._classes, self._ends, self._next)
        for name in gone:
            change.remove(name)
        for each in put:
            change.put(each)
        return StaticView(*change.finish())


class _Change:
    """A new view under work."""

    def __init__(
        self,
        classes: Map[str, _Members],
        ends: Map[tuple[str, Any], Map[Any, tuple[int, Instance]]],
        next_number: int,
    ) -> None:
        self._before = classes
        self._classes: dict[str, Any] = {}
        self._ends = ends.mutate()
        self._next = next_number

    def put(self, instance: Instance) -> None:
        if instance.name is None:
            return
        rows = self._rows(instance.name.class_name)
        identity = instance.name.identity
        previous = rows.get(identity)
        if previous is not None:
            self._unlink(identity, previous[1])
        row = (self._next if previous is None else previous[0], instance)
        self._next += previous is None
        rows[identity] = row
        for key in _end_keys(instance):
            self._ends[key] = self._ends.get(key, Map()).set(identity, row)

    def remove(self, name: InstanceName) -> None:
        row = self._rows(name.class_name).pop(name.identity, None)
        if row is not None:
            self._unlink(name.identity, row[1])

    def finish(
        self,
    ) -> tuple[Map[str, _Members], Map[tuple[str, Any], Map[Any, tuple[int, Instance]]], int]:
        changed = {key: _Members(rows.finish()) for key, rows in self._classes.items()}
        return self._before.update(changed), self._ends.finish(), self._next

    def _rows(self, class_name: str) -> Any:
        key = class_name.lower()
        if key not in self._classes:
            self._classes[key] = self._before.get(key, _Members()).rows.mutate()
        return self._classes[key]

    def _unlink(self, identity: Any, instance: Instance) -> None:
        for key in _end_keys(instance):
            left = self._ends[key].delete(identity)
            if left:
                self._ends[key] = left
            else:
                del self._ends[key]


def _end_keys(association: Instance) -> set[tuple[str, Any]]:
    """Return under what an association instance is found."""
    key = association.class_name.lower()
    return {(key, value.identity) for value in association.properties.values() if isinstance(value, InstanceName)}


def _refers(value: Value, name: InstanceName) -> bool:
    return isinstance(value, InstanceName) and value.identity == name.identity


class StaticProvider(Provider):
    """Keeps the instances of some classes in one namespace.

    ``fixed`` instances are always there; clients can neither change nor delete them.
    """

    def __init__(
        self,
        classes: NamespaceClasses,
        class_names: Collection[str],
        store: InstanceStore,
        fixed: Sequence[Instance] = (),
    ) -> None:
        self._classes = classes
        self._declarations = {name: declare(classes.get(name)) for name in class_names}
        self._store = store
        self._fixed = {each.name.identity for each in fixed if each.name is not None}
        self._view = StaticView.of(fixed)
        self._origins: dict[Any, Origin] = {}
        self._writing = asyncio.Lock()

    @property
    def declarations(self) -> Mapping[str, ClassDeclaration]:
        """The classes kept here."""
        return self._declarations

    async def start(self) -> None:
        """Read what was kept."""
        kept = await asyncio.to_thread(self._store.load, self._classes.namespace)
        mine = [(each, origin) for each, origin in kept if self._is_mine(each.class_name)]
        self._origins.update((each.name.identity, origin) for each, origin in mine if each.name is not None)
        self._view = self._view.replaced([each for each, _ in mine])

    def _is_mine(self, class_name: str) -> bool:
        """Whether the instances of a class are kept here."""
        return any(class_name.lower() == name.lower() for name in self._declarations)

    def view(self) -> StaticView:
        """Return the newest view."""
        return self._view

    def origin(self, name: InstanceName) -> Origin | None:
        """Return who created an instance; None for fixed and unknown ones."""
        return self._origins.get(name.identity)

    async def create_instance(self, context: Context, instance: Instance) -> InstanceName:
        """Keep a new instance; ALREADY_EXISTS if there is one with its keys."""
        async with self._writing:
            made = self.named(instance)
            if made.name is None or self._view.instance(made.name) is not None:
                raise CimError(Status.ALREADY_EXISTS, f"The instance {made.name} already exists.")
            await self.keep(made, Origin(context.principal.name, context.peer))
            return made.name

    async def modify_instance(
        self, context: Context, name: InstanceName, changes: Mapping[str, Value], property_list: Collection[str] | None
    ) -> None:
        """Change properties; those in the list but not among the changes become NULL."""
        async with self._writing:
            existing = self.existing(name)
            await self.keep(self.changed(existing, changes, property_list), self._origins[name.identity])

    async def delete_instance(self, context: Context, name: InstanceName) -> None:
        """Forget an instance."""
        async with self._writing:
            await self.forget(self.existing(name))

    def named(self, instance: Instance) -> Instance:
        """Return an instance with properties by the class's spelling, defaults filled in, and its name.

        INVALID_PARAMETER if a key has no value or a property is unknown.
        """
        cim_class = self._classes.get(instance.class_name)
        properties: dict[str, Value] = {
            name: each.default for name, each in cim_class.properties.items() if each.default is not None
        }
        for given, value in instance.properties.items():
            properties[_spelling(cim_class, given)] = value
        properties = {name: value for name, value in properties.items() if value is not None}
        keys: list[tuple[str, KeyValue]] = []
        for key in cim_class.keys:
            value = properties.get(key.name)
            if not isinstance(value, bool | int | float | str | datetime | timedelta | InstanceName):
                raise CimError(Status.INVALID_PARAMETER, f"{cim_class.name} needs a value for its key {key.name}.")
            keys.append((key.name, value))
        name = InstanceName(cim_class.name, tuple(keys), self._classes.namespace)
        return Instance(cim_class.name, properties, name)

    def existing(self, name: InstanceName) -> Instance:
        """Return a kept instance for writing; NOT_FOUND, or ACCESS_DENIED for a fixed one."""
        instance = self._view.instance(name)
        if instance is None:
            raise CimError(Status.NOT_FOUND, f"There is no instance {name}.")
        if name.identity in self._fixed:
            raise CimError(Status.ACCESS_DENIED, f"The instance {name} belongs to the server.")
        return instance

    def changed(
        self, instance: Instance, changes: Mapping[str, Value], property_list: Collection[str] | None
    ) -> Instance:
        """Return an instance with changes applied; INVALID_PARAMETER if a key would change."""
        cim_class = self._classes.get(instance.class_name)
        given = {_spelling(cim_class, name): value for name, value in changes.items()}
        if property_list is not None:
            wanted = {_spelling(cim_class, name) for name in property_list}
            given = {name: given.get(name, cim_class.properties[name].default) for name in wanted}
        for key in cim_class.keys:
            if key.name in given and not _same(given[key.name], instance.properties.get(key.name)):
                raise CimError(Status.INVALID_PARAMETER, f"The key {key.name} cannot be changed.")
            given.pop(key.name, None)
        merged = {**instance.properties, **given}
        return Instance(
            instance.class_name, {name: value for name, value in merged.items() if value is not None}, instance.name
        )

    async def keep(self, instance: Instance, origin: Origin) -> None:
        """Write an instance to disk, then show it."""
        if instance.name is None:
            raise ValueError("only instances with a name can be kept")
        await asyncio.to_thread(self._store.put, self._classes.namespace, instance, origin)
        self._origins[instance.name.identity] = origin
        self._view = self._view.replaced([instance])

    async def forget(self, *instances: Instance) -> None:
        """Delete instances from disk, then from view."""
        names = [each.name for each in instances if each.name is not None]
        await asyncio.to_thread(self._store.delete, self._classes.namespace, names)
        for name in names:
            self._origins.pop(name.identity, None)
        self._view = self._view.replaced([], names)


class UnservedInstances(StaticProvider):
    """Keeps the instances of every class of a namespace that has no provider; only administrators change them."""

    def __init__(self, classes: NamespaceClasses, store: InstanceStore, is_served: Callable[[str], bool]) -> None:
        """``is_served`` says whether a class, by name, has a provider."""
        super().__init__(classes, (), store)
        self._is_served = is_served

    async def create_instance(self, context: Context, instance: Instance) -> InstanceName:
        """Keep a new instance; NOT_SUPPORTED for an indication, which nobody keeps."""
        context.require_administrator()
        if self._classes.get(instance.class_name).is_indication:
            raise CimError(Status.NOT_SUPPORTED, f"{instance.class_name} is an indication; it has no instances.")
        return await super().create_instance(context, instance)

    async def modify_instance(
        self, context: Context, name: InstanceName, changes: Mapping[str, Value], property_list: Collection[str] | None
    ) -> None:
        """Change properties."""
        context.require_administrator()
        await super().modify_instance(context, name, changes, property_list)

    async def delete_instance(self, context: Context, name: InstanceName) -> None:
        """Forget an instance."""
        context.require_administrator()
        await super().delete_instance(context, name)

    def watch(self, classes: Collection[str], sink: Callable[[Indication], None]) -> Callable[[], None]:
        """Take any sink: a class without provider raises no indications."""
        return lambda: None

    async def start(self) -> None:
        """Read what was kept, after the classes that it needs have been compiled."""
        repository, namespace = self._classes.repository, self._classes.namespace
        for class_name in await asyncio.to_thread(self._store.classes, namespace):
            if repository.is_pending(namespace, class_name):
                await asyncio.to_thread(repository.ensure, namespace, class_name)
        await super().start()

    def _is_mine(self, class_name: str) -> bool:
        try:
            return not self._is_served(self._classes.get(class_name).name)
        except CimError:
            return False


def declare(cim_class: CimClass) -> ClassDeclaration:
    """Return the declaration, for the provider interface, of a class of the repository."""
    return ClassDeclaration(
        name=cim_class.name,
        superclass=cim_class.superclass or "",
        properties={
            name: Property(each.type, each.array, each.key, each.embedded, each.reference)
            for name, each in cim_class.properties.items()
        },
        methods={
            name: Method(
                each.returns,
                {
                    parameter.name: Parameter(
                        parameter.type,
                        parameter.array,
                        embedded=parameter.embedded,
                        reference=parameter.reference,
                        is_input=parameter.is_input,
                        is_output=parameter.is_output,
                    )
                    for parameter in each.parameters.values()
                },
            )
            for name, each in cim_class.methods.items()
        },
        is_association=cim_class.is_association,
        is_indication=cim_class.is_indication,
    )


def _spelling(cim_class: CimClass, name: str) -> str:
    declared = cim_class.find_property(name)
    if declared is None:
        raise CimError(Status.INVALID_PARAMETER, f"{cim_class.name} has no property {name}.")
    return declared.name


def _same(one: Value, other: Value) -> bool:
    if isinstance(one, InstanceName) and isinstance(other, InstanceName):
        return one.identity == other.identity
    return one == other
