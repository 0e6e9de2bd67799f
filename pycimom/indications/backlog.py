"""What waits for destinations, on disk too, so that a server that dies loses none of it."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass

import structlog

from cim_provider import InstanceName
from pycimom.instance_store import InstanceStore

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Waiting:
    """An indication on its way. It keeps its place in its sequence however often it is tried, over restarts too."""

    instance: str
    """The INSTANCE element, without what differs by destination."""
    filter_name: str
    context: str
    number: int
    has_sequence: bool


class Backlog:
    """Writes to disk what waits and what waits no longer, behind those who tell it: they never wait for the disk.

    What came and went while the disk was busy is never written. After a death what was delivered last may be there
    still, and is then delivered twice; its place in the sequence tells.
    """

    def __init__(self, store: InstanceStore, namespace: str) -> None:
        self._store = store
        self._namespace = namespace
        self._next = 0
        self._come: dict[int, tuple[InstanceName, Waiting]] = {}
        self._gone: list[int] = []
        self._task: asyncio.Task[None] | None = None

    async def load(self) -> dict[InstanceName, list[tuple[int, Waiting]]]:
        """Return what a run before left, by destination, in order, each with the number by which it is removed."""
        rows = await asyncio.to_thread(self._store.waiting, self._namespace)
        self._next = max((number for number, *_ in rows), default=-1) + 1
        found: dict[InstanceName, list[tuple[int, Waiting]]] = {}
        for number, destination, *waiting in rows:
            found.setdefault(destination, []).append((number, Waiting(*waiting)))  # type: ignore[arg-type]
        return found

    def add(self, destination: InstanceName, waiting: Waiting) -> int:
        """Keep what waits; return the number by which it is removed."""
        number = self._next
        self._next += 1
        self._come[number] = (destination, waiting)
        self._write()
        return number

    def remove(self, number: int) -> None:
        """Keep something no longer."""
        if self._come.pop(number, None) is None:
            self._gone.append(number)
            self._write()

    async def flush(self) -> None:
        """Wait until everything told so far is on disk."""
        while self._task is not None:
            await self._task

    def _write(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="backlog of indications")

    async def _run(self) -> None:
        try:
            while self._come or self._gone:
                come, self._come = self._come, {}
                gone, self._gone = self._gone, []
                rows = [
                    (number, destination, each.instance, each.filter_name, each.context, each.number, each.has_sequence)
                    for number, (destination, each) in come.items()
                ]
                try:
                    await asyncio.to_thread(self._store.change_waiting, self._namespace, rows, gone)
                except sqlite3.Error as error:
                    _log.error("indications_not_kept", count=len(rows), reason=str(error))
        finally:
            self._task = None
