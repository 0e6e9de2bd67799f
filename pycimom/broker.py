"""The broker: finds the provider of a class, checks what is asked of it, and hands on what it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from cim_provider import (
    CimError,
    Context,
    Indication,
    Instance,
    InstanceName,
    MethodResult,
    Provider,
    Status,
    Value,
)
from pycimom.provider_calls import ProviderCalls
from pycimom.reading import Reading
from pycimom.repository import Repository

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Registration:
    """A provider and the namespaces in which it serves the classes that it declares.

    A provider's methods are coroutine functions, or plain functions that run on threads.
    """

    provider: Provider
    namespaces: tuple[str, ...] = ("root/cimv2",)
    may_wait: bool = False
    """Whether its views may break their promise never to wait: then all single reads are made on threads too."""


class Broker:
    """Puts a class repository and providers together."""

    def __init__(
        self, repository: Repository, registrations: Sequence[Registration] = (), call_limit: float = 60.0
    ) -> None:
        """``call_limit`` is how long, in seconds, a provider may take for one call."""
        self.repository = repository
        self._calls = ProviderCalls(call_limit)
        self._registrations: list[Registration] = []
        self._routes: dict[tuple[str, str], list[Provider]] = {}
        self._make_fallback: Callable[[str], Provider] | None = None
        self._fallbacks: dict[str, tuple[Provider, ...]] = {}
        self._writes: set[asyncio.Task[object]] = set()
        for each in registrations:
            self.register(each)
        repository.guard(self._is_in_use)

    def register(self, registration: Registration) -> None:
        """Add a provider before start; a class may have several."""
        self._registrations.append(registration)
        for namespace in registration.namespaces:
            for class_name in registration.provider.declarations:
                self._routes.setdefault((namespace.lower(), class_name.lower()), []).append(registration.provider)

    @property
    def registrations(self) -> Sequence[Registration]:
        """What was registered so far."""
        return tuple(self._registrations)

    def fall_back(self, make: Callable[[str], Provider]) -> None:
        """Make, for each namespace, a provider of all classes that no other provider serves there. Before start.

        The one of a namespace that comes later is not started: there is nothing yet that it could have kept.
        """
        self._make_fallback = make
        for namespace in self.repository.namespaces():
            self._registrations += (Registration(each, ()) for each in self._fallback(namespace))

    def is_served(self, namespace: str, class_name: str) -> bool:
        """Whether a class has a provider of its own."""
        return (namespace.lower(), class_name.lower()) in self._routes

    async def start(self) -> None:
        """Start all providers, in the order of their registration; if one fails, those before it are stopped."""
        started: list[Registration] = []
        try:
            for each in self._registrations:
                await self._calls.run_unlimited(each.provider.start)
                started.append(each)
        except BaseException:
            for each in reversed(started):
                await self._calls.run_unlimited(each.provider.stop)
            raise

    async def stop(self, grace: float = 5.0) -> None:
        """Wait up to ``grace`` seconds for writes under way, then stop all providers."""
        if self._writes:
            await asyncio.wait(set(self._writes), timeout=grace)
        for each in reversed(self._registrations):
            try:
                await self._calls.run_unlimited(each.provider.stop)
            except Exception:
                log.exception("provider_did_not_stop", provider=type(each.provider).__name__)

    def providers(self, namespace: str, class_name: str) -> Sequence[Provider]:
        """Return the providers of exactly this class."""
        found = self._routes.get((namespace.lower(), class_name.lower()))
        return self._fallback(namespace) if found is None else found

    def read(self) -> Reading:
        """Begin a consistent read."""
        return Reading(self.repository, self, self._calls)

    async def look(self, read: Callable[[Reading], Answer]) -> Answer:
        """Read consistently what is found by index: at once, if no provider's view may wait.

        What samples it shows is known only then; if there are newer ones, it is read again.
        """
        reading = self.read()
        answer = await self._look(reading, read)
        return await self._look(self.read(), read) if await reading.catch_up() else answer

    async def _look(self, reading: Reading, read: Callable[[Reading], Answer]) -> Answer:
        if any(each.may_wait for each in self._registrations):
            return await self._calls.read(lambda: read(reading))
        return read(reading)

    async def create_instance(self, context: Context, instance: Instance) -> InstanceName:
        """Create an instance. DSP0200 5.3.2.6."""
        providers = self.providers(context.namespace, instance.class_name)
        if not providers:
            raise _no_provider(instance.class_name)
        return await self._write(providers[0].create_instance, context, instance)

    async def modify_instance(
        self, context: Context, name: InstanceName, changes: Mapping[str, Value], property_list: Collection[str] | None
    ) -> None:
        """Set properties of an instance. DSP0200 5.3.2.8."""
        provider = await self._holder(context.namespace, name)
        await self._write(provider.modify_instance, context, name, changes, property_list)

    async def delete_instance(self, context: Context, name: InstanceName) -> None:
        """Delete an instance. DSP0200 5.3.2.4."""
        provider = await self._holder(context.namespace, name)
        await self._write(provider.delete_instance, context, name)

    async def invoke_method(
        self, context: Context, target: InstanceName, method: str, inputs: Mapping[str, Value]
    ) -> MethodResult:
        """Run an extrinsic method on an instance, or on a class if ``target`` has no keys. DSP0200 5.3.3."""
        if target.keys:
            provider = await self._holder(context.namespace, target)
        else:
            providers = self.providers(context.namespace, target.class_name)
            if not providers:
                raise CimError(Status.METHOD_NOT_AVAILABLE, f"Nothing serves the methods of {target.class_name}.")
            provider = providers[0]
        return await self._write(provider.invoke_method, context, target, method, inputs)

    def watch(self, namespace: str, indication_class: str, sink: Callable[[Indication], None]) -> Callable[[], None]:
        """Call ``sink`` for each indication of a class and its subclasses; the result ends that.

        The sink is called on the loop, in the order of each provider's indications, and must not block.
        INVALID_CLASS, and INVALID_PARAMETER if it is no indication class.
        """
        declared = self.repository.get(namespace, indication_class)
        if not declared.is_indication:
            raise CimError(Status.INVALID_PARAMETER, f"{declared.name} is no indication class.")
        wanted = [declared.name, *self.repository.subclasses(namespace, declared.name, deep=True)]
        classes: dict[Provider, list[str]] = {}
        for name in wanted:
            for provider in self.providers(namespace, name):
                classes.setdefault(provider, []).append(name)
        stops = [provider.watch(names, sink) for provider, names in classes.items()]

        def stop() -> None:
            for each in stops:
                each()

        return stop

    def _fallback(self, namespace: str) -> Sequence[Provider]:
        if self._make_fallback is None:
            return ()
        known = self._fallbacks.get(namespace.lower())
        if known is None:
            known = self._fallbacks[namespace.lower()] = (self._make_fallback(namespace),)
        return known

    def _is_in_use(self, namespace: str, class_name: str) -> bool:
        """Whether a class has a provider of its own, or instances that are kept here."""
        kept = (each.view().instances(class_name) for each in self._fallbacks.get(namespace.lower(), ()))
        return self.is_served(namespace, class_name) or any(kept)

    async def _holder(self, namespace: str, name: InstanceName) -> Provider:
        providers = self.providers(namespace, name.class_name)
        if not providers:
            raise _no_provider(name.class_name)
        found = await self.look(lambda reading: next(reading.holders(namespace, name), None))
        if found is None:
            raise CimError(Status.NOT_FOUND, f"There is no instance {name}.")
        return found[1]

    async def _write(self, operation: Callable[..., Awaitable[Answer]], *arguments: object) -> Answer:
        """Run an operation to its end, even if its client hangs up meanwhile."""
        task = asyncio.create_task(self._calls.run(operation, *arguments))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return await asyncio.shield(task)


def _no_provider(class_name: str) -> CimError:
    return CimError(Status.NOT_SUPPORTED, f"Nothing serves instances of {class_name}.")
