"""Calls of providers: bounded in time, so that one that hangs hurts only the request that asked it."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

import structlog

from cim_provider import CimError, Status
from pycimom.statistics import in_provider

log = structlog.get_logger(__name__)

T = TypeVar("T")

STUCK_THREADS = 64
"""How many calls that did not come back may keep a thread each; beyond, calls that need a thread are refused."""


class ProviderCalls:
    """Calls providers, each for ``limit`` seconds at most; then CimError FAILED is raised.

    A coroutine that takes too long is cancelled. A plain function runs on a thread of its own, which cannot be ended:
    what it does when its time is over goes on, but nobody waits for it any more.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._stuck = 0

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
        plain = cast(Callable[..., T], method)
        return await self._in_thread(lambda: plain(*arguments))

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
        """Run a function on a new thread: a pool would be used up by calls that do not come back."""
        if self._stuck >= STUCK_THREADS:
            raise CimError(Status.FAILED, "Too many calls of providers did not come back.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()
        abandoned = False

        def settle(result: T | None, error: BaseException | None) -> None:
            if abandoned:
                self._stuck -= 1
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

        threading.Thread(target=run, name="provider-call", daemon=True).start()
        try:
            return await future
        except asyncio.CancelledError:
            abandoned = True
            self._stuck += 1
            raise
