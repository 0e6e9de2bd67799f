"""Work under way, and its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import structlog

from xenapi_core.datamodel import (
    EPOCH,
    NULL,
    POOL_OPERATOR,
    READ_ONLY,
    RO,
    RW,
    Call,
    Caller,
    Objects,
    Operations,
    Record,
    Store,
    XenApiError,
    XenClass,
    field,
    message,
    reverse,
)
from xenapi_core.datamodel.refs import HostRef, SessionRef, TaskRef
from xenapi_core.datamodel.types import Reference, Type
from xenapi_core.limits import DEFAULT, Limits

log = structlog.get_logger(__name__)

FINISHED_LIMIT = timedelta(minutes=65)
"""How long a finished task is kept."""
PENDING_LIMIT = timedelta(hours=24)
"""How long a task that a client created, and never finished, is kept."""
PROGRESS_STEP = 0.01
"""Smaller steps of progress are not told."""


class task_allowed_operations(StrEnum):
    """What may be done with a task."""

    cancel = "cancel"
    destroy = "destroy"


class task_status_type(StrEnum):
    """What has become of a task."""

    pending = "pending"
    success = "success"
    failure = "failure"
    cancelling = "cancelling"
    cancelled = "cancelled"


Status = task_status_type
UNFINISHED = frozenset({Status.pending, Status.cancelling})


class TaskOperations(Operations):
    """A task can be cancelled until it has ended, unless its work cannot be undone; it can be destroyed at any time."""

    def check(self, objects: Objects, record: Record, operation: str) -> None:
        """Raise OPERATION_NOT_ALLOWED for what cannot be done now."""
        if operation not in self.allowed(objects, record):
            ended = record["status"] not in UNFINISHED
            why = f"the task has ended: {record['status']}" if ended else "the task can no longer be cancelled"
            raise XenApiError("OPERATION_NOT_ALLOWED", why)

    def allowed(self, objects: Objects, record: Record) -> Sequence[str]:
        """Return what can be done now."""
        every = task_allowed_operations.cancel, task_allowed_operations.destroy
        return every if record["cancellable"] and record["status"] in UNFINISHED else every[1:]


class task(XenClass, persistent=False, operations=TaskOperations()):
    """A long-running asynchronous task. Tasks do not outlive the server."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(RO, default="", doc="name for people")
    name_description: str = field(RO, default="", doc="notes for people")
    allowed_operations: list[task_allowed_operations] = field(RO, doc="operations that would be accepted now")
    current_operations: dict[str, task_allowed_operations] = field(RO, doc="operations under way: task to operation")
    created: datetime = field(RO, doc="when it began")
    finished: datetime = field(RO, default=EPOCH, doc="when it ended; only meaningful once it has")
    status: task_status_type = field(RO, default=task_status_type.pending, doc="what has become of it")
    resident_on: HostRef = field(RO, default=NULL, doc="the host that carries it out")
    progress: float = field(RO, default=0.0, doc="how much is done, from 0.0 to 1.0")
    type: str = field(RO, default="", doc="class of the object that the result refers to")
    result: str = field(RO, default="", doc="the result as the text of an XML-RPC value; empty for none")
    error_info: list[str] = field(RO, default=[], doc="after a failure: the error's code and parameters")
    other_config: dict[str, str] = field(RW, default={}, role=POOL_OPERATOR, doc="free for clients")
    subtask_of: TaskRef = field(RO, default=NULL, doc="the task that this is a part of")
    subtasks: list[TaskRef] = reverse("task", "subtask_of", doc="the tasks that this one consists of")
    cancellable: bool = field(RO, default=True, internal=True, doc="whether its work can be stopped and undone")
    backtrace: str = field(RO, default="()", doc="where an error came from")

    @message(role=READ_ONLY)
    def create(call: Call, label: str, description: str) -> TaskRef:
        """Create a task, whose progress and outcome the client itself tells. Returns its reference."""
        return call.service(Tasks).create(call.user, label, description, session=call.session)

    @message(role=READ_ONLY)
    def get_session(call: Call, self: TaskRef) -> SessionRef:
        """Get the session in which a task was begun, if it is this one: others are secret."""
        return call.session if call.service(Tasks).session(self) == call.session else NULL

    @message(role=READ_ONLY, errors=("OPERATION_NOT_ALLOWED", "RBAC_PERMISSION_DENIED"))
    def cancel(call: Call, task: TaskRef) -> None:
        """Ask that a task be cancelled. It ends as cancelled, with the error TASK_CANCELLED."""
        call.service(Tasks).cancel(_own(call, task))

    @message(role=READ_ONLY, errors=("RBAC_PERMISSION_DENIED",))
    def destroy(call: Call, self: TaskRef) -> None:
        """Forget a task: now if it has ended, else once it has."""
        call.service(Tasks).destroy(_own(call, self))

    @message(role=READ_ONLY, errors=("RBAC_PERMISSION_DENIED",))
    def set_status(call: Call, self: TaskRef, value: task_status_type) -> None:
        """Tell what has become of a task."""
        call.service(Tasks).set(_own(call, self), status=value)

    @message(role=READ_ONLY, errors=("RBAC_PERMISSION_DENIED",))
    def set_progress(call: Call, self: TaskRef, value: float) -> None:
        """Tell how much of a task is done, from 0.0 to 1.0."""
        if not 0.0 <= value <= 1.0:
            raise XenApiError("INVALID_VALUE", "value", value)
        call.service(Tasks).set(_own(call, self), progress=value)

    @message(role=READ_ONLY, errors=("RBAC_PERMISSION_DENIED",))
    def set_result(call: Call, self: TaskRef, value: str) -> None:
        """Tell the result of a task."""
        call.service(Tasks).set(_own(call, self), result=value)

    @message(role=READ_ONLY, errors=("RBAC_PERMISSION_DENIED",))
    def set_error_info(call: Call, self: TaskRef, value: list[str]) -> None:
        """Tell the error that a task ended with: its code and parameters."""
        call.service(Tasks).set(_own(call, self), error_info=value)


def _own(call: Call, ref: str) -> str:
    """Return the reference of a task that the caller may change: one's own, or any with the role pool-operator."""
    if call.role < POOL_OPERATOR and call.service(Tasks).owner(ref) != call.user.name:
        raise XenApiError("RBAC_PERMISSION_DENIED", "task.destroy/any", "the task belongs to another user")
    return ref


@dataclass(frozen=True)
class Handle:
    """The task as which a call runs, as its message sees it."""

    ref: str
    _tasks: Tasks

    def progress(self, fraction: float) -> None:
        """Tell how much is done, from 0.0 to 1.0."""
        self._tasks.progress(self.ref, min(max(fraction, 0.0), 1.0))


Work = Callable[[Handle], Awaitable[Any]]


class Tasks:
    """Runs the calls that clients want to hear of later, and keeps their records."""

    def __init__(self, store: Store, text: Callable[[Any, Type], str], limits: Limits = DEFAULT) -> None:
        """``text`` gives a value of a type as ``task.result`` tells it."""
        self._store = store
        self._limits = limits
        self._text = text
        self._running: dict[str, asyncio.Task[None]] = {}
        self._owners: dict[str, tuple[str, str]] = {}
        """The name of the user and the session that began each task."""

    def create(
        self,
        user: Caller,
        label: str,
        description: str = "",
        kind: str = "",
        *,
        session: str = "",
        cancellable: bool = True,
    ) -> str:
        """Make a pending task and return its reference; TOO_MANY_PENDING_TASKS if there is no room for it."""
        if sum(each["status"] in UNFINISHED for each in self._store.records("task")) >= self._limits.pending_tasks:
            raise XenApiError("TOO_MANY_PENDING_TASKS")
        host = next((pool["master"] for pool in self._store.records("pool")), NULL)
        values = {
            "name_label": label,
            "name_description": description,
            "created": datetime.now(UTC),
            "resident_on": host,
            "type": kind,
            "cancellable": cancellable,
        }
        with self._store.write() as change:
            ref = change.create("task", values)
        self._owners[ref] = user.name, session
        return ref

    def begin(
        self, user: Caller, label: str, kind: Type, work: Work, *, session: str = "", cancellable: bool = True
    ) -> str:
        """Begin work as a task and return the task's reference. ``kind`` is the type of what the work returns."""
        of = kind.cls if isinstance(kind, Reference) else ""
        ref = self.create(user, label, kind=of, session=session, cancellable=cancellable)
        running = self._running[ref] = asyncio.create_task(self._run(ref, kind, work), name=label)
        running.add_done_callback(lambda done: self._ended(ref, done))
        return ref

    @property
    def under_way(self) -> int:
        """How many run here."""
        return len(self._running)

    def owner(self, ref: str) -> str:
        """Return the name of the user whose task it is."""
        return self._owners.get(ref, ("", ""))[0]

    def session(self, ref: str) -> str:
        """Return the reference to the session in which a task was begun."""
        return self._owners.get(ref, ("", ""))[1]

    async def _run(self, ref: str, kind: Type, work: Work) -> None:
        try:
            result = self._text(await work(Handle(ref, self)), kind)
            self._end_cancelling(ref)
            await self._store.flush()
        except XenApiError as error:
            self._finish(ref, status=Status.failure, error_info=error.description)
        except Exception as error:
            log.exception("task_failed", task=ref)
            self._finish(ref, status=Status.failure, error_info=["INTERNAL_ERROR", repr(error)])
        else:
            self._finish(ref, status=Status.success, result=result)

    def _end_cancelling(self, ref: str) -> None:
        """Allow no more cancelling: the work is done, though not yet durable."""
        if self._store.get(ref) is not None:
            with self._store.write() as change:
                change.update(ref, cancellable=False)

    def _ended(self, ref: str, running: asyncio.Task[None]) -> None:
        self._running.pop(ref, None)
        if running.cancelled():  # perhaps before its first step
            self._finish(ref, status=Status.cancelled, error_info=["TASK_CANCELLED", ref])

    def progress(self, ref: str, fraction: float) -> None:
        """Set a task's progress, unless it is about what it was."""
        known = self._store.get(ref)
        if known is not None and (abs(fraction - known["progress"]) >= PROGRESS_STEP):
            self.set(ref, progress=fraction)

    def set(self, ref: str, **fields: Any) -> None:
        """Set fields of a task; one whose status says that it has ended gets the time."""
        if fields.get("status", Status.pending) not in UNFINISHED:
            self._finish(ref, **fields)
            return
        with self._store.write() as change:
            change.update(ref, **fields)

    def _finish(self, ref: str, **fields: Any) -> None:
        known = self._store.get(ref)
        if known is None:
            return
        with self._store.write() as change:
            change.update(ref, progress=1.0, finished=datetime.now(UTC), **fields)
            if task_allowed_operations.destroy in known["current_operations"].values():
                change.destroy(ref)
                self._owners.pop(ref, None)
        self.collect()

    def cancel(self, ref: str) -> None:
        """Cancel a task: stop its work, if any runs here. OPERATION_NOT_ALLOWED if it has ended."""
        record = self._store.record(ref, "task")
        TaskOperations().check(self._store, record, task_allowed_operations.cancel)
        running = self._running.get(ref)
        if running is None:
            self._finish(ref, status=Status.cancelled, error_info=["TASK_CANCELLED", ref])
            return
        self.set(ref, status=Status.cancelling)
        running.cancel()

    def destroy(self, ref: str) -> None:
        """Forget a task: now if it has ended, else once it has."""
        with self._store.write() as change:
            record = change.record(ref, "task")
            if record["status"] in UNFINISHED and ref in self._running:
                change.update(ref, current_operations={ref: task_allowed_operations.destroy})
            else:
                change.destroy(ref)
                self._owners.pop(ref, None)

    def collect(self, now: datetime | None = None) -> None:
        """Forget tasks that are too many or too old."""
        now = now or datetime.now(UTC)
        tasks = [each for each in self._store.records("task") if each.ref not in self._running]
        finished = sorted(
            (each for each in tasks if each["status"] not in UNFINISHED), key=lambda each: each["finished"]
        )
        kept = max(0, len(finished) - self._limits.finished_tasks)
        old = [each for each in finished[kept:] if now - each["finished"] > FINISHED_LIMIT]
        lost = [each for each in tasks if each["status"] in UNFINISHED and now - each["created"] > PENDING_LIMIT]
        going = [*finished[:kept], *old, *lost]
        if going:
            with self._store.write() as change:
                for each in going:
                    change.destroy(each.ref)
                    self._owners.pop(each.ref, None)

    async def stop(self) -> None:
        """Cancel all work and wait until it has ended."""
        running = list(self._running.values())
        for each in running:
            each.cancel()
        if running:
            await asyncio.wait(running)
            await asyncio.sleep(0)  # for the callbacks that record their end
