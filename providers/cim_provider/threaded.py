"""A provider for hosts without a loop: its coroutines run on a thread of their own, and any thread may call.

CMPI brokers call on many threads at once, expect an answer from each call, and take indications from a thread that
the provider owns. Reads need none of this: a view answers on the thread that asks.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Coroutine, Mapping
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from cim_provider.interface import Context, Provider, View
from cim_provider.values import CimError, Indication, Instance, InstanceName, MethodResult, Status, Value

T = TypeVar("T")

STOPPED = "The provider has been stopped."


class ThreadedHost:
    """Runs one provider. All methods may be called from any thread but the provider's own, and wait for the result.

    ``timeout`` is how long a write or a method may take, in seconds; after that CimError FAILED is raised and the work
    is cancelled.
    """

    def __init__(self, provider: Provider, *, timeout: float = 60.0) -> None:
        self._provider = provider
        self._timeout = timeout
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        """Held while work is handed to the loop, so that none arrives after its end."""

    def start(self) -> None:
        """Start the thread and on it the provider; return, or raise, when the provider's ``start`` does."""
        if self._thread is not None:
            raise RuntimeError("The provider runs already.")
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="cim-provider", daemon=True)
        self._thread.start()
        try:
            started.result()
        except BaseException:
            self._thread.join()
            self._thread = None
            raise

    def stop(self) -> None:
        """Stop the provider and its thread. Calls that are under way end with CimError FAILED."""
        with self._lock:
            thread, loop = self._thread, self._loop
            if thread is None or loop is None:
                return
            self._thread = self._loop = None
            loop.call_soon_threadsafe(self._end.set)
        thread.join()

    def _run(self, started: Future[None]) -> None:
        async def serve() -> None:
            self._end = asyncio.Event()
            try:
                await self._provider.start()
            except BaseException as error:
                started.set_exception(error)
                return
            self._loop = asyncio.get_running_loop()
            started.set_result(None)
            await self._end.wait()
            await self._provider.stop()

        # When serve() ends, asyncio.run cancels what still runs on the loop, so that nobody waits for ever.
        asyncio.run(serve())

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("The provider's own thread cannot wait for the provider.")
        with self._lock:
            if self._loop is None:
                work.close()
                raise CimError(Status.FAILED, STOPPED)
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(self._timeout)
        except CancelledError:
            raise CimError(Status.FAILED, STOPPED) from None
        except TimeoutError:
            if future.done():
                raise  # the provider's own
            future.cancel()
            raise CimError(Status.FAILED, f"There was no answer within {self._timeout:g} seconds.") from None

    def refresh(self, classes: Collection[str]) -> None:
        """Bring samples up to date; see Provider."""
        self._wait(self._provider.refresh(classes))

    def view(self) -> View:
        """Return the provider's newest view."""
        return self._provider.view()

    def create_instance(self, context: Context, instance: Instance) -> InstanceName:
        """Create an instance; see Provider."""
        return self._wait(self._provider.create_instance(context, instance))

    def modify_instance(
        self, context: Context, name: InstanceName, changes: Mapping[str, Value], property_list: Collection[str] | None
    ) -> None:
        """Set properties of an instance; see Provider."""
        self._wait(self._provider.modify_instance(context, name, changes, property_list))

    def delete_instance(self, context: Context, name: InstanceName) -> None:
        """Delete an instance; see Provider."""
        self._wait(self._provider.delete_instance(context, name))

    def invoke_method(
        self, context: Context, target: InstanceName, method: str, inputs: Mapping[str, Value]
    ) -> MethodResult:
        """Run an extrinsic method; see Provider."""
        return self._wait(self._provider.invoke_method(context, target, method, inputs))

    def watch(self, classes: Collection[str], sink: Callable[[Indication], None]) -> Callable[[], None]:
        """Call ``sink`` on the provider's thread for each indication of these classes; the result ends that."""

        async def begin() -> Callable[[], None]:
            return self._provider.watch(classes, sink)

        end = self._wait(begin())

        def end_from_any_thread() -> None:
            async def stop() -> None:
                end()

            if self._loop is not None:
                self._wait(stop())

        return end_from_any_thread
