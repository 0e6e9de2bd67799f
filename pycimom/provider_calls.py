"""Calls of providers: bounded in time, so that one that hangs hurts only the request that asked it."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, cast

import structlog

from cim_provider import CimError, Status
from pycimom.statistics import in_provider

log = structlog.get_logger(__name__)

T = TypeVar("T")

STUCK_THREADS = 64
"""How many calls that did not come back may keep a thread each; beyond, calls that need a thread are refused."""
THREADS = 32
"""How many threads there are beside those."""
IDLE = 10.0
"""After how many seconds without work a thread ends."""


class _Threads:
    """Threads that a stuck call takes nothing from, and that nobody waits for at the end of the process."""

    def __init__(self) -> None:
        self.stuck = 0
        self._count = 0
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()

    def submit(self, job: Callable[[], None]) -> None:
        """Run a job soon. Only for the loop's thread."""
        self._jobs.put(job)
        if self._idle.acquire(blocking=False):
            return
        with self._lock:
            if self._count < THREADS + self.stuck:
                self._count += 1
                threading.Thread(target=self._work, name="provider-call", daemon=True).start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            job()
        with self._lock:
            self._count -= 1

    def _next(self) -> Callable[[], None] | None:
        """Return the next job, None if there was none for a while."""
        try:
            return self._jobs.get_nowait()
        except Empty:
            self._idle.release()
        try:
            return self._jobs.get(timeout=IDLE)
        except Empty:
            # If somebody else took the mark that this thread is idle, a job for it is on its way.
            return None if self._idle.acquire(blocking=False) else self._jobs.get()


class ProviderCalls:
    """Calls providers, each for ``limit`` seconds at most; then CimError FAILED is raised.

    A coroutine that takes too long is cancelled. A plain function runs on a thread of its own, which cannot be ended:
    what it does when its time is over goes on, but nobody waits for it any more.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._threads = _Threads()

    async def run(self, method: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Call a method of a provider, be it a coroutine function or a plain one."""
        with in_provider():
            try:
                async with asyncio.timeout(self._limit) as deadline:
                    return await self.run_unlimited(method, *arguments)
            except TimeoutError:
                if deadline.expired():
                    raise self._too_late(method) from None
                raise  # the provider's own

    async def run_unlimited(self, method: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Call a method of a provider that may take its time, such as its start."""
        if inspect.iscoroutinefunction(method):
            return await cast(Awaitable[T], method(*arguments))
        result = await self._in_thread(lambda: method(*arguments))
        # A plain function may still hand out a coroutine, made by another.
        return await result if inspect.isawaitable(result) else cast(T, result)

    async def read(self, function: Callable[[], T]) -> T:
        """Call a function that reads from providers, on a thread."""
        try:
            async with asyncio.timeout(self._limit) as deadline:
                return await self._in_thread(function)
        except TimeoutError:
            if deadline.expired():
                raise self._too_late(function) from None
            raise

    def _too_late(self, function: Callable[..., object]) -> CimError:
        log.error("provider_too_late", call=getattr(function, "__qualname__", str(function)), limit=self._limit)
        return CimError(Status.FAILED, f"The provider did not answer within {self._limit:g} seconds.")

    async def _in_thread(self, function: Callable[[], T]) -> T:
        if self._threads.stuck >= STUCK_THREADS:
            raise CimError(Status.FAILED, "Too many calls of providers did not come back.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()
        abandoned = False

        def settle(result: T | None, error: BaseException | None) -> None:
            if abandoned:  # it has come back after all
                self._threads.stuck -= 1
            elif future.done():
                return
            elif error is not None:
                future.set_exception(error)
            else:
                future.set_result(cast(T, result))

        def run() -> None:
            result: T | None = None
            problem: BaseException | None = None
            try:
                result = context.run(function)
            except BaseException as error:
                problem = error
            try:
                loop.call_soon_threadsafe(settle, result, problem)
            except RuntimeError:
                return  # the server has ended meanwhile

        self._threads.submit(run)
        try:
            return await future
        except asyncio.CancelledError:
            abandoned = True
            self._threads.stuck += 1
            raise
