"""A call: what a message knows of who sent it, and its way to the objects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from xenapi_core.datamodel.objects import Change, Operations, Store
from xenapi_core.datamodel.record import Record
from xenapi_core.datamodel.roles import Role
from xenapi_core.hypervisors.interface import Hypervisor

S = TypeVar("S")

Effect = Callable[[Change, Record], None]
"""Does something to an object, as a part of a step."""


@dataclass(frozen=True)
class Caller:
    """Who sends a call."""

    name: str
    role: Role
    trusted: bool = False
    """Came through a unix socket as root or as the daemon's own user: no password was asked."""
    address: str = ""
    """The IP address; empty on a unix socket."""


class TaskHandle(Protocol):
    """The task as which a call runs."""

    @property
    def ref(self) -> str:
        """Its reference; a ``DummyRef:`` for a call that nobody asked to run as a task."""

    def progress(self, fraction: float) -> None:
        """Tell how much is done, from 0.0 to 1.0."""


@dataclass(frozen=True)
class Call:
    """One call in progress."""

    session: str
    """The session's reference; empty for a message that needs none."""
    user: Caller
    task: TaskHandle
    store: Store
    services: Mapping[type, Any]
    """The server's parts by their type, see ``service``."""
    door: str = ""
    """The name of the authentication at the door it came through."""

    @property
    def role(self) -> Role:
        """The caller's role."""
        return self.user.role

    def service(self, kind: type[S]) -> S:
        """Return the server's part of a type."""
        return cast("S", self.services[kind])

    def record(self, ref: str, cls: str = "") -> Record:
        """Return the newest record of an object; HANDLE_INVALID (cls, ref) if it is gone."""
        return self.store.record(ref, cls)

    def records(self, cls: str) -> Iterable[Record]:
        """Return the newest records of a class in order of creation."""
        return self.store.records(cls)

    def hypervisor(self, host: str) -> Hypervisor:
        """Return the hypervisor that runs the VMs of a host."""
        return self.service(HypervisorOf)(host)

    @asynccontextmanager
    async def operation(
        self, ref: str, name: str, also: Effect | None = None, undo: Effect | None = None
    ) -> AsyncIterator[Record]:
        """Carry out an operation on an object: check that it can begin and mark it so in one step; unmark it after.

        ``also`` does more in that step, once the check has passed. The step is durable before the block begins. If that
        or the block fails, or is cancelled, ``undo`` undoes what ``also`` did, in the step that unmarks the object. A
        block that unmarks the object itself, together with the operation's effects, leaves nothing to unmark or to
        undo. Yields the record as the check saw it.
        """
        with self.store.write() as change:
            record = change.record(ref)
            operations: Operations | None = getattr(record.shape, "operations", None)
            if operations is not None:
                operations.check(change, record, name)
            if also is not None:
                also(change, record)
            change.update(ref, current_operations={**record["current_operations"], self.task.ref: name})
        try:
            await self.store.flush()
            yield record
        except BaseException:
            self._unmark(ref, undo)
            raise
        else:
            self._unmark(ref)

    def _unmark(self, ref: str, also: Effect | None = None) -> None:
        """Take this call's mark from an object, if it is there, and do more in that step."""
        marked = self.store.get(ref)
        if marked is None or self.task.ref not in marked["current_operations"]:
            return
        with self.store.write() as change:
            if also is not None:
                also(change, marked)
            current = change.record(ref)["current_operations"]
            change.update(ref, current_operations={task: op for task, op in current.items() if task != self.task.ref})


class HypervisorOf:
    """The service that finds a host's hypervisor."""

    def __init__(self, find: Callable[[str], Hypervisor]) -> None:
        self._find = find

    def __call__(self, host: str) -> Hypervisor:
        """Return the hypervisor of a host's reference."""
        return self._find(host)
