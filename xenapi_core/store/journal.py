"""The durable journal: one SQLite file that holds the newest durable state, a row per object.

A row is the object's number (its place in the order of creation), class, reference, and its fields as JSON without
those that have their declared default. Changing a declared default is therefore a new format version.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from xenapi_core.datamodel.record import Record
from xenapi_core.datamodel.registry import Datamodel
from xenapi_core.datamodel.xenclass import ClassDefinition
from xenapi_core.store.log import DEL, Entry

APPLICATION = 0x58454E4A
"""What marks an SQLite file as such a journal ("XENJ")."""

FORMAT = 1
"""The version of the format that this program writes. Older ones are migrated, newer ones refused."""

_SCHEMA = """
    CREATE TABLE objects (row INTEGER PRIMARY KEY, class TEXT NOT NULL, ref TEXT NOT NULL UNIQUE, fields TEXT NOT NULL);
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO counters VALUES ('epoch', 0);
"""


class JournalError(Exception):
    """The journal cannot be opened, read or written. The text is a sentence for people."""


class Journal:
    """An open journal. One thread at a time may use it."""

    def __init__(self, path: Path, model: Datamodel) -> None:
        self.path = path
        self._model = model
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._database = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"The journal {path} cannot be opened: {_reason(error)}.") from error
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._database.close()
            raise JournalError(self._explain(error)) from error
        except JournalError:
            self._database.close()
            raise

    def _prepare(self) -> None:
        run = self._database.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        (application,) = run("PRAGMA application_id").fetchone()
        (version,) = run("PRAGMA user_version").fetchone()
        (objects,) = run("SELECT count(*) FROM sqlite_master").fetchone()
        if application != APPLICATION and objects:
            raise JournalError(f"The file {self.path} is no journal of this server.")
        if version > FORMAT:
            text = f"The journal {self.path} has format {version}, written by a newer version of this server"
            raise JournalError(f"{text}; this one knows formats up to {FORMAT}.")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        if not objects:
            self._database.executescript(
                f"BEGIN; {_SCHEMA} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}; COMMIT;"
            )

    def _explain(self, error: sqlite3.Error) -> str:
        if getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
            return f"The journal {self.path} is in use by another process."
        if getattr(error, "sqlite_errorname", "") == "SQLITE_NOTADB":
            return f"The file {self.path} is no journal of this server."
        return f"The journal {self.path} cannot be used: {error}."

    def begin_epoch(self) -> int:
        """Return a number higher than at any start before."""
        try:
            query = "UPDATE counters SET value = value + 1 WHERE name = 'epoch' RETURNING value"
            ((epoch,),) = self._database.execute(query).fetchall()
        except sqlite3.Error as error:
            raise JournalError(self._explain(error)) from error
        return int(epoch)

    def load(self) -> Iterator[tuple[int, ClassDefinition, str, list[Any]]]:
        """Yield every object in order of creation: its row, class, reference and the values of its fields.

        Fields that the datamodel no longer has are left out, as are objects of classes that it no longer has.
        """
        try:
            for row, cls, ref, text in self._database.execute(
                "SELECT row, class, ref, fields FROM objects ORDER BY row"
            ):
                definition = self._model.classes.get(cls)
                if definition is not None:
                    yield row, definition, ref, _values(definition, text)
        except sqlite3.Error as error:
            raise JournalError(self._explain(error)) from error
        except (ValueError, KeyError, TypeError) as error:
            raise JournalError(f"The journal {self.path} is damaged: object {ref} of class {cls}: {error}.") from error

    def write(self, entries: Iterable[Entry]) -> None:
        """Write the outcome of commits in one transaction; when this returns they are durable."""
        removed: list[tuple[int]] = []
        written: dict[int, tuple[int, str, str, str]] = {}
        for entry in entries:
            record = entry.record
            if entry.operation == DEL:
                removed.append((record.row,))
                written.pop(record.row, None)
            else:
                written[record.row] = (record.row, record.cls, record.ref, _dumped(self._model, record))
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("DELETE FROM objects WHERE row = ?", removed)
            self._database.executemany("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)", written.values())
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise JournalError(f"The journal {self.path} cannot be written: {error}.") from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _dumped(model: Datamodel, record: Record) -> str:
    fields = model.classes[record.cls].fields.values()
    return json.dumps(
        {
            field.name: field.type.dump(value)
            for field, value in zip(fields, record.values, strict=True)
            if value is not field.default and field.stored and value != field.default
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def _values(definition: ClassDefinition, text: str) -> list[Any]:
    values = list(definition.defaults)
    for name, value in json.loads(text).items():
        field = definition.fields.get(name)
        if field is not None and field.stored:
            values[definition.index[name]] = field.type.load(value)
    return values
