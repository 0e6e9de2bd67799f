"""Instances that clients create and the server itself keeps: in memory for reading, in SQLite for ever."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cim_provider import (
    CimError,
    ClassDeclaration,
    Context,
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
from pycimom.repository import CimClass, NamespaceClasses

_FORMAT = 1
_SCHEMA = """
create table instance (
    namespace text not null,
    identity text not null,
    body text not null,
    owner text not null,
    peer text,
    primary key (namespace, identity)
) without rowid
"""


@dataclass(frozen=True)
class Origin:
    """Who created an instance, and from which IP address (None: through a unix socket)."""

    owner: str
    peer: str | None = None


class StoreError(Exception):
    """A file of instances cannot be used; the text is a sentence that names the file and says why."""


class InstanceStore:
    """Instances by namespace in one SQLite file (WAL, mode 0600). Its methods block; call them in a thread."""

    def __init__(self, path: Path) -> None:
        """Open or create the file and its folder; OSError or StoreError if that fails or a newer version wrote it."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(path)
        except sqlite3.Error as error:
            self._connection.close()
            raise StoreError(f"{path} is not a usable file of instances ({error}).") from error
        except StoreError:
            self._connection.close()
            raise

    def _prepare(self, path: Path) -> None:
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = full")
        version = self._connection.execute("pragma user_version").fetchone()[0]
        if version > _FORMAT:
            raise StoreError(f"{path} was written by a newer version of this program (format {version}).")
        if version == 0:
            self._connection.executescript(f"begin; {_SCHEMA}; pragma user_version = {_FORMAT}; commit")

    def load(self, namespace: str) -> list[tuple[Instance, Origin]]:
        """Return all instances of a namespace with their origins."""
        rows = self._connection.execute(
            "select body, owner, peer from instance where namespace = ? order by identity", (namespace.lower(),)
        )
        return [(_instance(json.loads(body)), Origin(owner, peer)) for body, owner, peer in rows]

    def put(self, namespace: str, instance: Instance, origin: Origin) -> None:
        """Keep an instance, in place of the one that had its name; it is on disk when this returns."""
        if instance.name is None:
            raise ValueError("only instances with a name can be kept")
        self._connection.execute(
            "insert or replace into instance values (?, ?, ?, ?, ?)",
            (namespace.lower(), _key(instance.name), json.dumps(_plain(instance)), origin.owner, origin.peer),
        )

    def delete(self, namespace: str, names: Sequence[InstanceName]) -> None:
        """Forget instances, all or none."""
        rows = [(namespace.lower(), _key(name)) for name in names]
        self._connection.execute("begin")
        with self._connection:
            self._connection.executemany("delete from instance where namespace = ? and identity = ?", rows)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


@dataclass(frozen=True)
class StaticView:
    """Instances in memory, as cim_provider.View wants them."""

    classes: Mapping[str, tuple[Instance, ...]] = field(default_factory=dict)
    """By class in lower case."""
    _by_identity: dict[Any, Instance] = field(default_factory=dict, init=False)
    _ends: dict[str, dict[Any, list[tuple[str, Instance]]]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for instances in self.classes.values():
            for each in instances:
                if each.name is not None:
                    self._by_identity[each.name.identity] = each

    @classmethod
    def of(cls, instances: Sequence[Instance]) -> StaticView:
        """Return a view of these instances, in this order."""
        return cls().replaced(instances)

    def instances(self, class_name: str) -> Sequence[Instance]:
        """Return the instances of exactly this class."""
        return self.classes.get(class_name.lower(), ())

    def instance(self, name: InstanceName) -> Instance | None:
        """Return the instance with this name."""
        return self._by_identity.get(name.identity)

    def references(self, association: str, name: InstanceName, role: str | None = None) -> Sequence[Instance]:
        """Return the instances of an association that have ``name`` at an end."""
        key = association.lower()
        ends = self._ends.get(key)
        if ends is None:
            ends = {}
            for each in self.instances(key):
                for end, value in each.properties.items():
                    if isinstance(value, InstanceName):
                        ends.setdefault(value.identity, []).append((end.lower(), each))
            self._ends[key] = ends
        wanted = role.lower() if role else None
        found = (each for end, each in ends.get(name.identity, ()) if wanted in (None, end))
        return list(dict.fromkeys(found))

    def replaced(self, put: Sequence[Instance], gone: Collection[InstanceName] = ()) -> StaticView:
        """Return a view with instances added or replaced and others gone; untouched classes keep their sequences."""
        changed: dict[str, dict[Any, Instance]] = {}

        def members(class_name: str) -> dict[Any, Instance]:
            key = class_name.lower()
            if key not in changed:
                changed[key] = {each.name.identity: each for each in self.instances(key) if each.name is not None}
            return changed[key]

        for name in gone:
            members(name.class_name).pop(name.identity, None)
        for each in put:
            if each.name is not None:
                members(each.class_name)[each.name.identity] = each
        return StaticView({**self.classes, **{key: tuple(each.values()) for key, each in changed.items()}})


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
        mine = {name.lower() for name in self._declarations}
        for instance, origin in kept:
            if instance.name is not None and instance.class_name.lower() in mine:
                self._origins[instance.name.identity] = origin
        self._view = self._view.replaced([each for each, _ in kept if each.class_name.lower() in mine])

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


def _key(name: InstanceName) -> str:
    """Return a text that is equal for equal names."""
    keys = sorted(
        (key.lower(), _key(value) if isinstance(value, InstanceName) else _plain(value)) for key, value in name.keys
    )
    return json.dumps([name.class_name.lower(), keys])


def _plain(value: Any) -> Any:
    """Return a value in the terms of JSON; what JSON does not know becomes an object with its kind as the key."""
    match value:
        case datetime():
            return {"time": value.isoformat()}
        case timedelta():
            return {"interval": [value.days, value.seconds, value.microseconds]}
        case InstanceName():
            return {"name": [value.class_name, [[key, _plain(each)] for key, each in value.keys], value.namespace]}
        case Instance():
            properties = {key: _plain(each) for key, each in value.properties.items()}
            return {"instance": [value.class_name, properties, _plain(value.name)]}
        case list() | tuple():
            return [_plain(each) for each in value]
    return value


def _value(plain: Any) -> Any:
    match plain:
        case {"time": text}:
            return datetime.fromisoformat(text)
        case {"interval": [days, seconds, microseconds]}:
            return timedelta(days, seconds, microseconds)
        case {"name": [class_name, keys, namespace]}:
            return InstanceName(class_name, tuple((key, _value(each)) for key, each in keys), namespace)
        case {"instance": _}:
            return _instance(plain)
        case list():
            return [_value(each) for each in plain]
    return plain


def _instance(plain: Any) -> Instance:
    class_name, properties, name = plain["instance"]
    return Instance(class_name, {key: _value(each) for key, each in properties.items()}, _value(name))
