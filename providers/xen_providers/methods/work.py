"""Work of methods that is more than one call of the Xen-API: all of it is done, or nothing of it is left.

What such work makes is marked in its ``other_config`` until all is done. If it fails or is cancelled, what it made is
removed again; if the bridge is killed meanwhile, it does that when it starts again, by the marks.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import structlog

from cim_provider import CimError, InstanceName
from xen_providers.conversions import OWN, xen_id
from xen_providers.methods.outcomes import Failure, MethodError, cim_error
from xen_providers.methods.removal import REMOVAL, remove
from xen_providers.methods.replica import Replica, Xen
from xenapi_client import Record, Version, XenApiError

log = structlog.get_logger(__name__)

T = TypeVar("T")

JOB = f"{OWN}job"
"""The key of task.other_config that makes a task a CIM job; its value is the job's class."""
METHOD, TARGET = f"{OWN}method", f"{OWN}target"
"""The keys under which a job's task names the method that began it, and the path of what it was called on."""
WORKER = f"{OWN}worker"
"""The key under which the task of work that the bridge does itself names the bridge."""
RESULT = f"{OWN}result:"
"""Before the names of keys under which a job's task keeps properties of its class."""
UNFINISHED = f"{OWN}unfinished"
"""The key of other_config that marks what unfinished work has made; see _mark."""

UNFINISHED_TASK = ("pending", "cancelling")

_REFERENCE = re.compile(r"OpaqueRef:[^<>\s]+")
PROGRESS_STEP = 0.01
"""Smaller steps of progress are not told."""


class Work:
    """Work under way, for one caller."""

    def __init__(self, xen: Xen, replica: Replica, worker: str, task: str | None = None) -> None:
        """``xen`` calls for the caller; ``worker`` names the bridge; ``task`` tells of the work, if one does."""
        self._xen = xen
        self.task = task
        self.notes: dict[str, str] | None = {}
        """What was told before the task became a job."""
        self._replica = replica
        self._worker = worker
        self._made: list[tuple[str, str]] = []
        self._undo: list[Callable[[], Awaitable[Any]]] = []
        self._told = 0.0

    async def xen(self, message: str, *parameters: object) -> Any:
        """Call the Xen-API for the caller; what is cancelled meanwhile is so once the call has been answered."""
        return await _whole(self._xen(message, *parameters))

    async def make(self, message: str, *parameters: object) -> str:
        """Call a message that makes an object, such as ``VDI.create``; return its reference."""

        async def make() -> str:
            return await self._keep(message.partition(".")[0], await self.xen(message, *parameters))

        return await _whole(make())

    async def make_slowly(self, message: str, *parameters: object, until: float = 1.0) -> str:
        """Do the same for a message that takes its time; ``until`` is the progress of the whole work at its end."""
        made = _reference(await self.slowly(message, *parameters, until=until))
        if made is None:
            raise MethodError(Failure.FAILED, f"{message} ended without a result.")
        return await _whole(self._keep(message.partition(".")[0], made))

    async def change(self, message: str, ref: str, *values: object, back: Sequence[object]) -> None:
        """Call a message that changes an object; if the work fails, it is called again with the values ``back``."""
        await self.attach(message, ref, *values, undo=message, back=back)

    async def update(self, cls: str, ref: str, record: Record, fields: Mapping[str, Any]) -> None:
        """Set fields of an object that differ from its record; None leaves a field alone.

        Entries of other_config are added to those there are.
        """
        for field, value in fields.items():
            old = record[field]
            new = {**old, **value} if field == "other_config" and value is not None else value
            if new is not None and new != old:
                await self.change(f"{cls}.set_{field}", ref, new, back=[old])

    async def attach(self, message: str, ref: str, *values: object, undo: str, back: Sequence[object] = ()) -> None:
        """Call a message such as ``VBD.plug``; if the work fails, ``undo`` is called with the values ``back``."""

        async def attach() -> None:
            await self.xen(message, ref, *values)
            self._undo.append(lambda: self.xen(undo, ref, *back))

        await _whole(attach())

    async def slowly(self, message: str, *parameters: object, until: float = 1.0) -> str:
        """Call a message that takes its time as a task of its own, whose end ends it; return its result as text."""
        begun, task = self._told, ""
        ended: Record | None = None

        async def begin() -> None:
            nonlocal task
            task = str(await self._xen(f"Async.{message}", *parameters))

        try:
            await _whole(begin())
            async for record in self._replica.follow("task", task):
                if record["status"] not in UNFINISHED_TASK:
                    ended = record
                    break
                await self.progress(begun + (until - begun) * float(record["progress"]))
            if ended is None:
                raise MethodError(Failure.FAILED, f"The task of {message} is gone.")
            result = _outcome(ended)
            await self.progress(until)
            await self.quietly("task.destroy", task)
        except BaseException:
            if task:
                await asyncio.shield(self._stop(task, message.partition(".")[0], ended))
            raise
        return result

    async def _stop(self, task: str, cls: str, ended: Record | None) -> None:
        """Stop a task, unless it is known how it ended; if it was faster, what it made goes with the rest."""
        if ended is None:
            await self.quietly("task.cancel", task)
            async for record in self._replica.follow("task", task):
                if record["status"] not in UNFINISHED_TASK:
                    ended = record
                    break
        made = None if ended is None else _reference(ended["result"])
        if ended is not None and made is not None and ended["type"].lower() == cls.lower():
            self._undo.append(partial(remove, self.xen, cls, made))
        await self.quietly("task.destroy", task)

    @property
    def done(self) -> float:
        """How much was last told to be done, from 0 to 1."""
        return self._told

    async def progress(self, fraction: float) -> None:
        """Tell how much is done, from 0 to 1."""
        if self.task is not None and fraction >= self._told + PROGRESS_STEP:
            self._told = min(fraction, 1.0)
            await self.quietly("task.set_progress", self.task, self._told)

    async def tell(self, key: str, value: str) -> None:
        """Put something into the other_config of the job's task, if there is one, such as ``RESULT`` and a property."""
        if self.notes is not None:
            self.notes[key] = value
        elif self.task is not None:
            await self._replica.xen("task.add_to_other_config", self.task, key, value)

    async def finish(self) -> None:
        """Remove the marks: everything is done."""
        for cls, ref in self._made:
            await self._replica.xen(f"{cls}.remove_from_other_config", ref, UNFINISHED)

    async def undo(self) -> None:
        """Take back what was done, the last first."""
        while self._undo:
            step = self._undo.pop()
            try:
                await step()
            except CimError as error:
                log.warning("not_undone", task=self.task, reason=error.description)

    async def _keep(self, cls: str, ref: str) -> str:
        self._made.append((cls, ref))
        self._undo.append(lambda: remove(self.xen, cls, ref))
        await self._replica.xen(f"{cls}.add_to_other_config", ref, UNFINISHED, _mark(self._worker, ref))
        return ref

    async def quietly(self, message: str, ref: str, *values: object) -> None:
        """Call a message on which nothing depends."""
        try:
            await self.xen(message, ref, *values)
        except CimError as error:
            log.debug("call_failed", message=message, ref=ref, reason=error.description)


async def _whole(step: Awaitable[T]) -> T:
    """Do a step to its end even if the work is cancelled meanwhile: the server would, and it has to be undone."""
    doing = asyncio.ensure_future(step)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.gather(doing, return_exceptions=True)
        raise


def _reference(result: str) -> str | None:
    """Return the reference that the result of a task is, if it is one."""
    found = _REFERENCE.search(result)
    return None if found is None else found[0]


def _mark(worker: str, ref: str) -> str:
    """Return the mark of an object: the bridge that does the work, and the object, for a copy copies the mark too."""
    return f"{worker} {ref}"


def _outcome(task: Record) -> str:
    """Return the result of a task that has ended, or raise the error that it ended with."""
    if task["status"] == "success":
        return str(task["result"])
    code, *parameters = task["error_info"] or ["TASK_CANCELLED"]
    raise cim_error(XenApiError(code, parameters))


async def _nothing(work: Work) -> Any:
    return None


class Workshop:
    """Where the bridge does the work of methods: at once, or as jobs."""

    def __init__(self, replica: Replica, worker: str) -> None:
        """``worker`` tells this bridge's work from that of others on the same pool, over restarts."""
        self._replica = replica
        self._worker = worker
        self._jobs: dict[str, asyncio.Task[None]] = {}
        """By the task that tells of it: the work that can still be cancelled."""
        self._running: set[asyncio.Task[None]] = set()

    async def do(self, xen: Xen, work: Callable[[Work], Awaitable[T]]) -> T:
        """Do some work and return what it returns. A caller that goes away does not stop it half-way."""
        return await asyncio.shield(asyncio.create_task(self._do(Work(xen, self._replica, self._worker), work)))

    async def _do(self, under_way: Work, work: Callable[[Work], Awaitable[T]]) -> T:
        try:
            result = await work(under_way)
            await under_way.finish()
        except BaseException:
            await asyncio.shield(under_way.undo())
            raise
        return result

    async def begin(
        self,
        xen: Xen,
        job_class: str,
        title: str,
        work: Callable[[Work], Awaitable[None]],
        details: Mapping[str, str],
        first: Callable[[Work], Awaitable[T]] = _nothing,
    ) -> tuple[InstanceName, T]:
        """Begin some work as a job and return the job's name. ``details`` go into its task's other_config.

        ``first`` is done before that, and what it returns is returned too: it fails the method rather than the job.
        """
        task = str(await xen("task.create", job_class, title))
        under_way = Work(xen, self._replica, self._worker, task)
        try:
            before = await first(under_way)
            notes, under_way.notes = under_way.notes or {}, None
            name = await mark_job(self._replica, task, job_class, {**details, **notes, WORKER: self._worker})
        except BaseException:
            await asyncio.shield(self._abandon(under_way, task))
            raise
        running = asyncio.create_task(self._run(under_way, work), name=f"job {task}")
        self._jobs[task] = running
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        running.add_done_callback(lambda _: self._jobs.pop(task, None))
        return name, before

    async def _abandon(self, under_way: Work, task: str) -> None:
        await under_way.undo()
        await under_way.quietly("task.destroy", task)

    async def cancel(self, task: str) -> None:
        """Cancel the work that a task tells of, if it is done here and not yet complete; wait until it is undone."""
        running = self._jobs.get(task)
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def stop(self) -> None:
        """Cancel everything, and wait until it is undone."""
        for each in self._jobs.values():
            each.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def recover(self, version: Version) -> None:
        """Remove what unfinished work of an earlier run has made, and end its jobs."""
        for cls in REMOVAL:
            for ref, record in version.records(cls).items():
                if record.get("other_config", {}).get(UNFINISHED) == _mark(self._worker, ref):
                    await self._recover(cls, ref)
        for ref, record in version.records("task").items():
            mine = record["other_config"].get(WORKER) == self._worker
            if mine and record["status"] in UNFINISHED_TASK:
                await self._end(
                    ref, "failure", ["INTERNAL_ERROR", "The CIM server was stopped before the job had ended."]
                )

    async def _recover(self, cls: str, ref: str) -> None:
        try:
            await remove(self._replica.xen, cls, ref)
            log.info("leftover_removed", cls=cls, ref=ref)
        except CimError as error:
            log.warning("leftover_not_removed", cls=cls, ref=ref, reason=error.description)

    async def _run(self, under_way: Work, work: Callable[[Work], Awaitable[None]]) -> None:
        task = under_way.task or ""
        try:
            await self._do(under_way, work)
            self._jobs.pop(task, None)  # what is done can be cancelled no longer
            await self._end(task, "success")
        except asyncio.CancelledError:
            await self._end(task, "cancelled", ["TASK_CANCELLED", task])
        except CimError as error:
            code, parameters = (
                (error.code, error.parameters) if isinstance(error, MethodError) else (error.status.name, ())
            )
            log.info("job_failed", task=task, reason=error.description)
            await self._end(task, "failure", [code, *(parameters or (error.description,))])
        except Exception as error:
            log.exception("job_failed", task=task)
            await self._end(task, "failure", ["INTERNAL_ERROR", type(error).__name__])

    async def _end(self, task: str, status: str, error_info: list[str] | None = None) -> None:
        try:
            if error_info is not None:
                await self._replica.xen("task.set_error_info", task, error_info)
            await self._replica.xen("task.set_status", task, status)
        except CimError as error:
            log.warning("job_not_ended", task=task, reason=error.description)


async def mark_job(replica: Replica, task: str, job_class: str, details: Mapping[str, str]) -> InstanceName:
    """Make a task a job, and return its name once it can be read.

    The mark is the bridge's own affair: the caller's role need not permit it.
    """
    await replica.xen("task.set_other_config", task, {JOB: job_class, **details})
    record = await replica.settle("task", task)
    uuid = record["uuid"] if record else await replica.xen("task.get_uuid", task)
    return InstanceName(job_class, (("InstanceID", xen_id(uuid)),))
