"""A live replica of a pool's objects, fed by event.from.

It begins with a full read and follows the events from there. When the server has forgotten where the replica was
(EVENTS_LOST, a restart, a lost connection) everything is read again, and what differs is reported as changes, so a
listener sees the same kind of changes whatever happened in between. While the server is away the last version stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeAlias

import structlog

from xenapi_client.connection import Connection
from xenapi_client.errors import XenApiError, XenApiUnavailable
from xenapi_client.names import canonical

log = structlog.get_logger(__name__)

Record: TypeAlias = Mapping[str, Any]
"""The fields of an object as they came over the wire; never changed, but replaced."""
Table: TypeAlias = dict[str, Record]

POLL = 30.0
"""Seconds that one event.from waits for something to happen."""
GRACE = 20.0
"""Seconds beyond that after which a silent connection counts as dead."""
FULL_READ_TIMEOUT = 300.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
FORGOTTEN = ("EVENTS_LOST", "EVENT_FROM_TOKEN_PARSE_FAILURE")
"""Errors of event.from that say: this token means nothing to me."""


class Operation(StrEnum):
    """What happened to an object."""

    ADD = "add"
    MOD = "mod"
    DEL = "del"


@dataclass(frozen=True)
class Change:
    """An object that came, changed or went; ``before`` is None if it came, ``after`` if it went."""

    cls: str
    ref: str
    operation: Operation
    before: Record | None
    after: Record | None


class Version:
    """All objects at one moment. Never changes, and may be read from any thread."""

    __slots__ = ("number", "tables", "token")

    def __init__(self, number: int, token: str, tables: dict[str, Table]) -> None:
        self.number = number
        self.token = token
        self.tables = tables
        """All records, by class and reference; for reading only."""

    def records(self, cls: str) -> Mapping[str, Record]:
        """Return the records of a class (API spelling) by reference, in order of creation as far as known."""
        return MappingProxyType(self.tables.get(cls, {}))

    def get(self, cls: str, ref: str) -> Record | None:
        """Return one record, or None."""
        table = self.tables.get(cls)
        return None if table is None else table.get(ref)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{cls}: {len(table)}" for cls, table in self.tables.items())
        return f"Version({self.number}, {{{sizes}}})"


Listener: TypeAlias = Callable[[Version | None, Version, Sequence[Change]], None]
"""Called on the loop with the version before (None at first), the version after, and what lies between."""


class Inventory:
    """Keeps a replica of some classes of a pool (API spelling; ``*`` means all)."""

    def __init__(self, connection: Connection, classes: Collection[str] = ("*",)) -> None:
        self._connection = connection
        self._classes = sorted(classes)
        self._version: Version | None = None
        self._problem: str | None = "nothing has been read yet"
        self._task: asyncio.Task[None] | None = None
        self._listeners: list[Listener] = []
        self._changed = asyncio.Event()
        self._uncountable: set[str] = set()
        self._generation = -1

    @property
    def version(self) -> Version | None:
        """The newest version; None before the first full read."""
        return self._version

    @property
    def problem(self) -> str | None:
        """Why the replica does not follow the server at present; None if it does."""
        return self._problem

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` after each applied batch; the result ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def start(self) -> None:
        """Begin to read and to follow."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="inventory")

    async def stop(self) -> None:
        """Follow no longer; the last version stays."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def wait_first(self, within: float) -> bool:
        """Wait until there is a version; False if none came within ``within`` seconds."""
        return await self.wait(lambda: self._version is not None, within)

    async def wait_beyond(self, token: str, within: float) -> bool:
        """Wait until a batch beyond ``token`` (of event.inject) is applied; False after ``within`` seconds."""
        return await self.wait(lambda: self._version is not None and self._version.token > token, within)

    async def wait(self, condition: Callable[[], bool], within: float) -> bool:
        """Wait until a condition holds after some batch; False after ``within`` seconds."""
        try:
            async with asyncio.timeout(within):
                while not condition():
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _run(self) -> None:
        pause, token = FIRST_PAUSE, ""
        while True:
            try:
                token = await self._follow(token)
                pause = FIRST_PAUSE
                if self._problem is not None:
                    log.info("inventory_follows", endpoint=self._connection.endpoint, version=repr(self._version))
                    self._problem = None
            except (XenApiError, XenApiUnavailable) as error:
                lost = isinstance(error, XenApiError) and error.code in FORGOTTEN
                if lost and token:
                    log.warning("events_lost", endpoint=self._connection.endpoint, reason=str(error))
                else:
                    if self._problem != str(error):
                        log.warning("inventory_waits", endpoint=self._connection.endpoint, reason=str(error))
                    self._problem = str(error)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE)
                token = ""
            except Exception as error:
                # What the server sent makes no sense; a replica that gives up for ever would be worse than a slow one.
                log.exception("inventory_failed", endpoint=self._connection.endpoint)
                self._problem = f"an answer could not be understood: {error!r}"
                token = ""
                await asyncio.sleep(LONGEST_PAUSE)

    async def _follow(self, token: str) -> str:
        """Ask for what happened after ``token`` (everything if it is empty), apply it, and return the next token."""
        within = POLL + GRACE if token else FULL_READ_TIMEOUT
        batch = await self._connection.call("event.from", self._classes, token, POLL, within=within)
        new_session = self._connection.generation != self._generation
        self._generation = self._connection.generation
        if token and (new_session or batch["token"] < token):
            log.info("inventory_reads_again", endpoint=self._connection.endpoint, reason="the server was restarted")
            return ""
        tables, changes = self._apply(batch["events"], afresh=not token)
        self._publish(tables, changes, batch["token"])
        return "" if self._miscounted(batch.get("valid_ref_counts", {}), afresh=not token) else str(batch["token"])

    def _apply(self, events: Sequence[Mapping[str, Any]], *, afresh: bool) -> tuple[dict[str, Table], list[Change]]:
        """Return the tables after a batch, and what it changed. Tables without a change are the old ones."""
        tables = {} if self._version is None else dict(self._version.tables)
        copied: set[str] = set()
        changes = []
        for cls, ref, after in self._steps(events, afresh=afresh):
            before = tables.get(cls, {}).get(ref)
            if before == after:
                continue
            if cls not in copied:
                tables[cls] = dict(tables.get(cls, {}))
                copied.add(cls)
            if after is None:
                del tables[cls][ref]
                operation = Operation.DEL
            else:
                tables[cls][ref] = after
                operation = Operation.ADD if before is None else Operation.MOD
            changes.append(Change(cls, ref, operation, before, after))
        return tables, changes

    def _steps(self, events: Sequence[Mapping[str, Any]], *, afresh: bool) -> list[tuple[str, str, Record | None]]:
        """Return class, reference and new record (None: deleted) of everything that a batch tells or implies."""
        steps: list[tuple[str, str, Record | None]] = [
            (canonical(event["class"]), event["ref"], None if event["operation"] == "del" else event["snapshot"])
            for event in events
        ]
        if afresh and self._version is not None:
            present = {(cls, ref) for cls, ref, _ in steps}
            old = self._version.tables
            steps[:0] = [(cls, ref, None) for cls in old for ref in old[cls] if (cls, ref) not in present]
        return steps

    def _publish(self, tables: dict[str, Table], changes: Sequence[Change], token: str) -> None:
        before = self._version
        if before is not None and not changes:
            self._version = Version(before.number, token, before.tables)
        else:
            self._version = after = Version(1 if before is None else before.number + 1, token, tables)
            for listener in list(self._listeners):
                try:
                    listener(before, after, changes)
                except Exception:
                    log.exception("listener_failed", version=after.number)
        self._changed.set()
        self._changed.clear()

    def _miscounted(self, counts: Mapping[str, Any], *, afresh: bool) -> bool:
        """Say whether deletions were missed: some servers forget those of long ago without saying so.

        A class whose count is wrong even straight after a full read is one that the server counts differently.
        """
        version = self._version
        if version is None:
            return False
        wrong = {
            cls
            for cls, count in ((canonical(name), int(count)) for name, count in counts.items())
            if ("*" in self._classes or cls in self._classes) and count != len(version.records(cls))
        }
        if afresh:
            self._uncountable = wrong
            return False
        missed = wrong - self._uncountable
        if missed:
            log.warning("deletions_missed", endpoint=self._connection.endpoint, classes=sorted(missed))
        return bool(missed)
