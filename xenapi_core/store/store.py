"""The store: where objects live, who may change them, and when a change counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from xenapi_core.datamodel.record import Record
from xenapi_core.datamodel.registry import Datamodel
from xenapi_core.datamodel.types import NULL
from xenapi_core.datamodel.xenclass import ClassDefinition
from xenapi_core.store.change import Change
from xenapi_core.store.journal import Journal
from xenapi_core.store.journal_file import JournalError
from xenapi_core.store.log import DEL, MOD, ChangeLog, Commit, Entry
from xenapi_core.store.table import Layer, Table

EPOCH_BITS = 32
"""Sequence numbers of one run differ from those of all others in the bits above these."""


class Store:
    """The object table, its journal and its change log (``datamodel.objects.Store`` says what messages may do).

    Owned by one event loop: all methods are called there. Without a running loop a write is durable when it returns.
    """

    def __init__(
        self,
        model: Datamodel,
        path: Path | None = None,
        *,
        first: Callable[[Store], None] = lambda store: None,
        log_limit: int = 20_000,
    ) -> None:
        """Open the journal at a path and load it; without a path nothing outlives the process.

        ``first`` writes what is in a journal that has to be made: it is made with all of that, or not at all.
        JournalError, with a sentence for people, if the file is not ours, of a newer format, damaged, or in use.
        """
        self.model = model
        self._table = Table()
        self._newest = Layer(self._table)
        self._sampled = {name: _sampled_fields(cls) for name, cls in model.classes.items()}
        self._unmeasured = {
            name: tuple(cls.fields[field].default for field in self._sampled[name])
            for name, cls in model.classes.items()
        }
        self._journal = Journal(path, model, partial(_first, model, first)) if path else None
        try:
            last_row = self._load()
            self.log = ChangeLog((self._journal.begin_epoch() if self._journal else 1) << EPOCH_BITS, log_limit)
        except JournalError:
            self.close()
            raise
        self._rows = count(last_row + 1)
        self._sequence = self.log.sequence
        self._open = False
        self._pending: list[Commit] = []
        self._writing = False
        self._writer = ThreadPoolExecutor(1, "journal")
        self._flushing: list[tuple[int, asyncio.Future[None]]] = []
        self._failure: JournalError | None = None
        self.on_failure: Callable[[JournalError], None] = lambda error: None
        """Called once if the journal can no longer be written; the store takes no more writes then."""
        self.on_written: Callable[[float], None] = lambda seconds: None
        """Called after each write of the journal: how long it took."""
        self.measure: Callable[[Record], Sequence[Any] | None] = lambda record: None
        """Called when sampled fields of an object are read: their values, in order; None for what they default to."""

    def _load(self) -> int:
        """Fill the table from the journal and return the highest row."""
        journal = self._journal
        if journal is None:
            return 0
        loaded = {ref: (row, definition, values) for row, definition, ref, values in journal.load()}
        for _, definition, values in loaded.values():
            for relation in self.model.collections[definition.name]:
                values[relation.collection] = []
        for ref, (_, definition, values) in loaded.items():
            for relation in self.model.relations[definition.name]:
                target = values[relation.reference]
                if target != NULL and target in loaded:
                    loaded[target][2][relation.collection].append(ref)
        last = 0
        for ref, (row, definition, values) in loaded.items():
            for relation in self.model.collections[definition.name]:
                values[relation.collection] = tuple(values[relation.collection])
            self._table.put(Record(definition, ref, row, tuple(values)))
            last = row
        return last

    @property
    def durable(self) -> Table:
        """What clients may be told: the state as it would be after a crash now."""
        return self._table

    @property
    def sequence(self) -> int:
        """The sequence number of the newest commit, durable or not."""
        return self._sequence

    def get(self, ref: str) -> Record | None:
        """Return the newest record of an object, None if there is none."""
        return self._newest.get(ref)

    def record(self, ref: str, cls: str = "") -> Record:
        """Return the newest record of an object; HANDLE_INVALID (cls, ref) if there is none."""
        return self._newest.record(ref, cls)

    def records(self, cls: str) -> Iterable[Record]:
        """Return the newest records of a class in order of creation."""
        return self._newest.records(cls)

    def by_uuid(self, cls: str, uuid: str) -> Record | None:
        """Return the newest record of the object of a class with a uuid, None if there is none."""
        return self._newest.by_uuid(cls, uuid)

    @contextmanager
    def write(self) -> Iterator[Change]:
        """Open an atomic step. JournalError if the journal has failed before."""
        if self._failure is not None:
            raise self._failure
        if self._open:
            raise RuntimeError("one step of the store is open already")
        self._open = True
        try:
            change = Change(self._newest, self.model, self._rows.__next__)
            yield change
            entries = change.finish()
        finally:
            self._open = False
        if entries:
            self._commit(entries)

    def _commit(self, entries: list[Entry]) -> None:
        self._sequence += 1
        commit = Commit(self._sequence, datetime.now(UTC), entries)
        for entry in entries:
            if entry.operation == DEL:
                self._newest.remove(entry.record)
            else:
                self._newest.put(entry.record)
        self._pending.append(commit)
        if not self._writing:
            self._start_writing()

    def _start_writing(self) -> None:
        """Hand all pending commits to the journal as one transaction; those that come meanwhile make the next."""
        batch, self._pending = self._pending, []
        rows = [entry for commit in batch for entry in commit.entries if self._persistent(entry)]
        if self._journal is None or not rows:
            self._publish(batch)
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._journal.write(rows)
            self._publish(batch)
            return
        self._writing = True
        begun = loop.time()
        written = loop.run_in_executor(self._writer, self._journal.write, rows)
        written.add_done_callback(lambda done: self._written(batch, done.exception(), loop.time() - begun))

    def _written(self, batch: list[Commit], error: BaseException | None, seconds: float) -> None:
        self._writing = False
        self.on_written(seconds)
        if error is not None:
            self._fail(
                error if isinstance(error, JournalError) else JournalError(f"The journal has failed: {error!r}.")
            )
            return
        self._publish(batch)
        if self._pending:
            self._start_writing()

    def _persistent(self, entry: Entry) -> bool:
        """Whether an entry changes what the journal holds."""
        definition = self.model.classes[entry.record.cls]
        unchanged = entry.operation == MOD and not any(definition.fields[name].stored for name in entry.fields)
        return definition.persistent and not unchanged

    def _publish(self, batch: list[Commit]) -> None:
        for commit in batch:
            for entry in commit.entries:
                if entry.operation == DEL:
                    self._table.remove(entry.record)
                    self._newest.settle(entry.record, None)
                else:
                    self._table.put(entry.record)
                    self._newest.settle(entry.record, entry.record)
            seen = [entry for entry in commit.entries if self.model.classes[entry.record.cls].events]
            self.log.append(Commit(commit.sequence, commit.time, seen))
        still = []
        for sequence, future in self._flushing:
            if sequence > self.log.sequence:
                still.append((sequence, future))
            elif not future.done():
                future.set_result(None)
        self._flushing = still

    def _fail(self, error: JournalError) -> None:
        self._failure = error
        for _, future in self._flushing:
            if not future.done():
                future.set_exception(error)
        self._flushing.clear()
        self.on_failure(error)

    async def flush(self) -> None:
        """Wait until all that was written up to now is durable; JournalError if it never will be."""
        if self._failure is not None:
            raise self._failure
        if self._sequence > self.log.sequence:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._flushing.append((self._sequence, future))
            await future

    def samples(self, record: Record) -> Sequence[Any]:
        """Return the newest samples of an object, in the order in which its class declares sampled fields."""
        measured = self.measure(record)
        if measured is not None:
            return measured
        return self._unmeasured[record.cls]

    def sampled(self, record: Record, name: str) -> Any:
        """Return the newest sample of a sampled field."""
        return self.samples(record)[self._sampled[record.cls][name]]

    def close(self) -> None:
        """Close the journal, after the writes that were handed to it."""
        if hasattr(self, "_writer"):
            self._writer.shutdown(wait=True)
        if self._journal is not None:
            self._journal.close()


def _first(model: Datamodel, write: Callable[[Store], None]) -> Iterable[Record]:
    store = Store(model)
    write(store)
    return store.durable


def _sampled_fields(cls: ClassDefinition) -> dict[str, int]:
    """Return the sampled fields of a class, and the position of each among them."""
    names = (field.name for field in cls.fields.values() if field.sampled)
    return {name: position for position, name in enumerate(names)}
