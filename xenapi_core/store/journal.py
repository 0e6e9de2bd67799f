"""The durable journal: one SQLite file that holds the newest durable state, a row per object.

A row is the object's number (its place in the order of creation), class, reference, and its fields as JSON without
those that have their default. The defaults are kept too, as they were declared when the rows were written: a default
that is declared anew changes no object that there is.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from xenapi_core.datamodel.record import Record
from xenapi_core.datamodel.registry import Datamodel
from xenapi_core.datamodel.xenclass import ClassDefinition
from xenapi_core.store.journal_file import JournalError, Lock, check_there, explained, made, open_file
from xenapi_core.store.log import DEL, Entry

Row = tuple[int, str, str, str]
Defaults = Mapping[str, Mapping[str, Any]]
"""By class and field: a default, as JSON."""


class Journal:
    """An open journal. One thread at a time may use it."""

    def __init__(self, path: Path, model: Datamodel, first: Callable[[], Iterable[Record]] = tuple) -> None:
        """Open a journal; if there is none, make one that holds the objects that ``first`` gives."""
        self.path = path
        self._model = model
        self._lock = Lock(path)
        try:
            check_there(path)
            if not path.exists():
                with made(path) as database:
                    rows = (self._row(record) for record in first() if model.classes[record.cls].persistent)
                    database.executemany("INSERT INTO objects VALUES (?, ?, ?, ?)", rows)
            self._database = open_file(path)
        except BaseException:
            self._lock.close()
            raise
        try:
            with explained(path):
                self._keep_defaults()
        except BaseException:
            self.close()
            raise

    def _keep_defaults(self) -> None:
        """Write today's defaults, and earlier ones into the objects that have them."""
        run = self._database.execute
        kept: Defaults = {cls: json.loads(text) for cls, text in run("SELECT class, fields FROM defaults")}
        declared = _declared(self._model)
        if all(kept.get(cls) == fields for cls, fields in declared.items()):
            return
        run("BEGIN IMMEDIATE")
        for cls, fields in declared.items():
            known = kept.get(cls, {})
            earlier = {name: value for name, value in known.items() if name in fields and value != fields[name]}
            if earlier:
                for row, text in run("SELECT row, fields FROM objects WHERE class = ?", (cls,)).fetchall():
                    run("UPDATE objects SET fields = ? WHERE row = ?", (_text({**earlier, **json.loads(text)}), row))
            run("INSERT OR REPLACE INTO defaults VALUES (?, ?)", (cls, _text({**known, **fields})))
        run("COMMIT")

    def begin_epoch(self) -> int:
        """Return a number higher than at any start before."""
        with explained(self.path):
            query = "UPDATE counters SET value = value + 1 WHERE name = 'epoch' RETURNING value"
            ((epoch,),) = self._database.execute(query).fetchall()
        return int(epoch)

    def load(self) -> Iterator[tuple[int, ClassDefinition, str, list[Any]]]:
        """Yield every object in order of creation: its row, class, reference and the values of its fields.

        Fields that the datamodel no longer has are left out, as are objects of classes that it no longer has.
        """
        return read(self._database, self.path, self._model)

    def write(self, entries: Iterable[Entry]) -> None:
        """Write the outcome of commits in one transaction; when this returns they are durable."""
        removed: list[tuple[int]] = []
        written: dict[int, Row] = {}
        for entry in entries:
            record = entry.record
            if entry.operation == DEL:
                removed.append((record.row,))
                written.pop(record.row, None)
            else:
                written[record.row] = self._row(record)
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("DELETE FROM objects WHERE row = ?", removed)
            self._database.executemany("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)", written.values())
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise JournalError(f"The journal {self.path} cannot be written: {error}.") from error

    def _row(self, record: Record) -> Row:
        return record.row, record.cls, record.ref, _dumped(self._model, record)

    def close(self) -> None:
        """Close the file."""
        self._database.close()
        self._lock.close()


def read(
    database: sqlite3.Connection, path: Path, model: Datamodel
) -> Iterator[tuple[int, ClassDefinition, str, list[Any]]]:
    """Yield every object of an open journal (``Journal.load``)."""
    cls = ref = "?"
    try:
        with explained(path):
            for row, cls, ref, text in database.execute("SELECT row, class, ref, fields FROM objects ORDER BY row"):
                definition = model.classes.get(cls)
                if definition is not None:
                    yield row, definition, ref, _values(definition, text)
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError(f"The journal {path} is damaged: object {ref} of class {cls}: {error}.") from error


def _declared(model: Datamodel) -> Defaults:
    """Return the defaults of all fields that are kept."""
    return {
        cls.name: {field.name: field.type.dump(field.default) for field in cls.fields.values() if field.stored}
        for cls in model.classes.values()
        if cls.persistent
    }


def _dumped(model: Datamodel, record: Record) -> str:
    fields = model.classes[record.cls].fields.values()
    return _text(
        {
            field.name: field.type.dump(value)
            for field, value in zip(fields, record.values, strict=True)
            if value is not field.default and field.stored and value != field.default
        }
    )


def _text(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _values(definition: ClassDefinition, text: str) -> list[Any]:
    values = list(definition.defaults)
    for name, value in json.loads(text).items():
        field = definition.fields.get(name)
        if field is not None and field.stored:
            values[definition.index[name]] = field.type.load(value)
    return values
