"""What outlives a start: what clients created and changed, and the indications that wait for a listener, in SQLite."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

import structlog

from cim_provider import Instance, InstanceName
from pycimom.repository import Repository
from pycimom.repository_cimxml import ClassSource
from pycimom.repository_draft import Change, ClassChange, QualifierChange

_MIGRATIONS = (
    """
    create table instance (
        namespace text not null,
        identity text not null,
        body text not null,
        owner text not null,
        peer text,
        primary key (namespace, identity)
    ) without rowid
    """,
    """
    create table namespace (key text primary key, name text not null) without rowid;
    create table class_change (
        position integer primary key,
        namespace text not null,
        key text not null,
        name text not null,
        superclass text,
        ends text not null,
        xml blob,
        unique (namespace, key)
    );
    create table qualifier_change (
        namespace text not null,
        key text not null,
        name text not null,
        xml blob,
        primary key (namespace, key)
    ) without rowid
    """,
    """
    create table waiting_indication (
        number integer primary key,
        namespace text not null,
        identity text not null,
        destination text not null,
        body text not null,
        filter text not null,
        context text not null,
        sequence_number integer not null,
        has_sequence integer not null
    );
    create index waiting_at on waiting_indication (namespace, identity)
    """,
)
"""What makes of each format of the file the next one; the number of steps taken is its format."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Origin:
    """Who created an instance, and from which IP address (None: through a unix socket)."""

    owner: str
    peer: str | None = None


WaitingRow: TypeAlias = tuple[int, InstanceName, str, str, str, int, bool]
"""A number, the destination, the INSTANCE element, filter, sequence context and number, and whether it has these."""


class StoreError(Exception):
    """A file of instances cannot be used; the text is a sentence that names the file and says why."""


def lock_folder(folder: Path) -> int:
    """Take the lock of a state folder, held until the descriptor returned is closed; StoreError if another has it."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StoreError(f"The state folder {folder} is in use by a server; stop that first.") from error
    return lock


class InstanceStore:
    """Instances, indications that wait and schema changes by namespace in one SQLite file (WAL, mode 0600).

    Its methods block, and return when what they write is on disk; call them in a thread, any.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file and its folder; OSError or StoreError if that fails or a newer version wrote it."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        self._writing = Lock()
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
        if version > len(_MIGRATIONS):
            raise StoreError(f"{path} was written by a newer version of this program (format {version}).")
        for number, step in enumerate(_MIGRATIONS[version:], version + 1):
            self._connection.executescript(f"begin; {step}; pragma user_version = {number}; commit")

    def load(self, namespace: str) -> list[tuple[Instance, Origin]]:
        """Return all instances of a namespace with their origins."""
        rows = self._connection.execute(
            "select body, owner, peer from instance where namespace = ? order by identity", (namespace.lower(),)
        )
        return [(_instance(json.loads(body)), Origin(owner, peer)) for body, owner, peer in rows]

    def classes(self, namespace: str) -> list[str]:
        """Return the classes, in lower case, that have instances in a namespace."""
        rows = self._connection.execute(
            "select distinct json_extract(identity, '$[0]') from instance where namespace = ?", (namespace.lower(),)
        )
        return [class_name for (class_name,) in rows]

    def put(self, namespace: str, instance: Instance, origin: Origin) -> None:
        """Keep an instance, in place of the one that had its name."""
        if instance.name is None:
            raise ValueError("only instances with a name can be kept")
        row = (namespace.lower(), _key(instance.name), json.dumps(_plain(instance)), origin.owner, origin.peer)
        with self._transaction() as connection:
            connection.execute("insert or replace into instance values (?, ?, ?, ?, ?)", row)

    def delete(self, namespace: str, names: Sequence[InstanceName]) -> None:
        """Forget instances and the indications that wait for them, all or none."""
        rows = [(namespace.lower(), _key(name)) for name in names]
        with self._transaction() as connection:
            connection.executemany("delete from instance where namespace = ? and identity = ?", rows)
            connection.executemany("delete from waiting_indication where namespace = ? and identity = ?", rows)

    def waiting(self, namespace: str) -> list[WaitingRow]:
        """Return the indications that wait for destinations in a namespace, the oldest first."""
        rows = self._connection.execute(
            "select number, destination, body, filter, context, sequence_number, has_sequence from waiting_indication "
            "where namespace = ? order by number",
            (namespace.lower(),),
        )
        return [
            (number, _value(json.loads(destination)), body, filter_name, context, sequence_number, bool(has_sequence))
            for number, destination, body, filter_name, context, sequence_number, has_sequence in rows
        ]

    def change_waiting(self, namespace: str, come: Sequence[WaitingRow], gone: Sequence[int]) -> None:
        """Keep indications that wait now, and forget those that do no longer, by their numbers."""
        rows = [
            (number, namespace.lower(), _key(name), json.dumps(_plain(name)), *others) for number, name, *others in come
        ]
        with self._transaction() as connection:
            connection.executemany("insert into waiting_indication values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            connection.executemany("delete from waiting_indication where number = ?", [(each,) for each in gone])

    def restore(self, repository: Repository) -> None:
        """Repeat all changes of the schema in a repository, and keep its changes from now on."""
        kept: dict[str, list[Change]] = {
            name: [] for (name,) in self._connection.execute("select name from namespace order by key")
        }
        for namespace, name, xml in self._connection.execute("select namespace, name, xml from qualifier_change"):
            kept.setdefault(namespace, []).append(QualifierChange(name, xml))
        rows = self._connection.execute(
            "select namespace, name, superclass, ends, xml from class_change order by position"
        )
        for namespace, name, superclass, ends, xml in rows:
            source = None if xml is None else ClassSource(name, superclass, tuple(json.loads(ends)), xml)
            kept.setdefault(namespace, []).append(ClassChange(name, source))
        for namespace, changes in kept.items():
            for orphan in repository.restore(namespace, changes):
                _log.warning("class_lost", namespace=namespace, class_name=orphan, reason="its superclass is gone")
        repository.keep(self)

    def add_namespace(self, name: str) -> None:
        """Keep a namespace."""
        with self._transaction() as connection:
            connection.execute("insert or replace into namespace values (?, ?)", (name.lower(), name))

    def remove_namespace(self, name: str) -> None:
        """Forget a namespace and everything in it."""
        with self._transaction() as connection:
            connection.execute("delete from namespace where key = ?", (name.lower(),))
            for table in ("class_change", "qualifier_change"):
                connection.execute(f"delete from {table} where namespace = ?", (name,))  # noqa: S608
            for table in ("instance", "waiting_indication"):
                connection.execute(f"delete from {table} where namespace = ?", (name.lower(),))  # noqa: S608

    def change(self, namespace: str, changes: Sequence[Change]) -> None:
        """Keep what changed in a namespace, all or nothing."""
        with self._transaction() as connection:
            for each in changes:
                if isinstance(each, QualifierChange):
                    row = (namespace, each.name.lower(), each.name, each.xml)
                    connection.execute("insert or replace into qualifier_change values (?, ?, ?, ?)", row)
                else:
                    _put_class(connection, namespace, each)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._writing:
            self._connection.execute("begin immediate")
            with self._connection:
                yield self._connection


def _put_class(connection: sqlite3.Connection, namespace: str, change: ClassChange) -> None:
    """Keep a class in its place, which is after its superclass; a new one comes last."""
    source = change.source
    superclass, ends, xml = (source.superclass, source.ends, source.xml) if source else (None, (), None)
    connection.execute(
        "insert into class_change (namespace, key, name, superclass, ends, xml) values (?, ?, ?, ?, ?, ?) "
        "on conflict (namespace, key) do update set name = excluded.name, superclass = excluded.superclass, "
        "ends = excluded.ends, xml = excluded.xml",
        (namespace, change.name.lower(), change.name, superclass, json.dumps(ends), xml),
    )


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
