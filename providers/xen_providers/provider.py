"""The provider: the declared classes, served from a live replica of a pool."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import structlog

from cim_provider import (
    CimError,
    ClassDeclaration,
    Context,
    Indication,
    InstanceName,
    MethodResult,
    Provider,
    Status,
    Value,
)
from xen_providers import (
    capabilities,
    consoles,
    hosts,
    jobs,
    key_value_pairs,
    memory,
    metrics,
    networking,
    pools,
    processors,
    profiles,
    services,
    snapshots,
    storage,
    virtual_switches,
    virtual_systems,
)
from xen_providers.alerts import ALERT, MESSAGE, Alerts
from xen_providers.indications import INDICATIONS, LifecycleIndication, Watchers, told_once
from xen_providers.mapping.declaration import MappedClass
from xen_providers.mapping.sampling import Sampler
from xen_providers.mapping.view import Model, XenView
from xen_providers.methods.call import Call
from xen_providers.methods.inputs import Inputs
from xen_providers.methods.outcomes import MethodError
from xen_providers.methods.removal import REMOVAL
from xen_providers.methods.replica import Replica
from xen_providers.methods.work import Workshop
from xenapi_client import Change, Connection, Inventory, Version

log = structlog.get_logger(__name__)

CLASSES: tuple[MappedClass, ...] = (
    *virtual_systems.CLASSES,
    *hosts.CLASSES,
    *processors.CLASSES,
    *memory.CLASSES,
    *consoles.CLASSES,
    *key_value_pairs.CLASSES,
    *storage.CLASSES,
    *snapshots.CLASSES,
    *virtual_switches.CLASSES,
    *networking.CLASSES,
    *pools.CLASSES,
    *services.CLASSES,
    *capabilities.CLASSES,
    *metrics.CLASSES,
    *jobs.CLASSES,
    *profiles.CLASSES,
)
FIRST_READ = 10.0
"""Seconds that a start waits for the first read; after that the host serves what else it has."""


class XenProvider(Provider):
    """Serves the CIM classes of one Xen pool.

    ``endpoint``, ``user``, ``password`` and ``ca_file`` are those of the service itself, which only reads; a unix
    socket needs no user. Writes and methods run under the session of whoever calls. ``worker`` tells this bridge's
    unfinished work from that of others on the same pool, over restarts; it is the name of the machine unless given.
    """

    def __init__(
        self,
        endpoint: str,
        user: str = "",
        password: str = "",
        *,
        ca_file: Path | None = None,
        classes: Sequence[MappedClass] = CLASSES,
        indications: Sequence[LifecycleIndication] = INDICATIONS,
        worker: str = "",
    ) -> None:
        self._endpoint = endpoint
        self._connection = Connection(endpoint, user, password, ca_file=ca_file)
        self._classes = {each.name.lower(): each for each in classes}
        self._indications = indications
        self._watchers = Watchers(indications, classes)
        self._alerts = Alerts()
        self._model = Model(classes)
        self._inventory = Inventory(self._connection, self._model.sources | {"pool", "task", "PIF", MESSAGE, *REMOVAL})
        self._inventory.listen(self._follow)
        self._replica = Replica(self._connection, self._inventory)
        self._workshop = Workshop(self._replica, worker or socket.gethostname())
        self._recovery: asyncio.Task[None] | None = None
        self._sampler = Sampler(self._connection, lambda: self._inventory.version)
        self._view: XenView | None = None
        self._preparing = ThreadPoolExecutor(1, "view")

    @cached_property
    def declarations(self) -> Mapping[str, ClassDeclaration]:
        """What is served, by class name."""
        declared = [each.declaration for each in self._classes.values()]
        declared += [each.declaration for each in self._indications]
        return {each.name: each for each in (*declared, ALERT)}

    @property
    def filter_collections(self) -> Mapping[str, Collection[str]]:
        """What happens to instances, each under one of its names, and alerts of all kinds."""
        return {"Lifecycle": told_once(self._indications, self._classes.values()), "Alerts": [ALERT.superclass]}

    async def start(self) -> None:
        """Begin to follow the pool; wait a while for the first read."""
        self._inventory.start()
        if not await self._inventory.wait_first(FIRST_READ):
            log.warning("pool_not_read_yet", endpoint=self._endpoint, reason=self._inventory.problem)

    async def stop(self) -> None:
        """Follow the pool no longer; the last view stays readable."""
        await self._workshop.stop()
        if self._recovery is not None:
            self._recovery.cancel()
            await asyncio.gather(self._recovery, return_exceptions=True)
        await self._inventory.stop()
        self._preparing.shutdown(wait=False, cancel_futures=True)
        await self._sampler.stop()
        await self._connection.close()

    @property
    def sampled_classes(self) -> Collection[str]:
        """The classes (lower case) that show samples."""
        return self._model.sampled.keys()

    async def refresh(self, classes: Collection[str]) -> None:
        """Bring the samples that some classes show up to date."""
        shown = (self._model.sampled.get(each.lower(), frozenset()) for each in classes)
        await self._sampler.refresh(frozenset[str]().union(*shown))
        if self._view is not None:
            self._view = self._view.sampled(self._sampler.samples)

    def view(self) -> XenView:
        """Return the newest view; CimError FAILED before the first read."""
        if self._view is None:
            raise CimError(Status.FAILED, f"The pool at {self._endpoint} cannot be read: {self._inventory.problem}")
        return self._view

    def _prepare(self, names: Collection[str]) -> None:
        if self._view is not None:
            self._view.prepare(names)

    def _follow(self, before: Version | None, after: Version, changes: Sequence[Change]) -> None:
        if self._view is None or before is None or self._view.version.number != before.number:
            if before is None:
                self._recovery = asyncio.create_task(self._workshop.recover(after))
            else:
                log.error("view_made_afresh", version=after.number)  # the last change could not be followed
            self._view = XenView.first(self._model, after, self._sampler.samples)
            return
        moment = datetime.now(UTC)
        self._view, steps = self._view.following(after, changes, moment, self._watchers.subjects)
        self._watchers.tell(steps, moment)
        self._alerts.tell(changes, self._view, moment)

    async def invoke_method(
        self, context: Context, target: InstanceName, method: str, inputs: Mapping[str, Value]
    ) -> MethodResult:
        """Run an extrinsic method of an instance under the caller's session."""
        methods = self._mapped(target).methods
        name = next((name for name in methods if name.lower() == method.lower()), None)
        if name is None:
            raise CimError(Status.METHOD_NOT_AVAILABLE, f"{target.class_name} has no method {method}.")
        mapped = methods[name]
        spelling = {parameter.lower(): parameter for parameter in mapped.method.parameters}
        known = {spelling.get(parameter.lower(), parameter): value for parameter, value in inputs.items()}
        call = self._call(context, target, name)
        try:
            result: MethodResult = await mapped.handler(call, Inputs(known, call.view))
        except MethodError as error:
            if mapped.failures is None:
                raise
            log.info("method_failed", method=name, target=str(target), reason=error.description)
            return MethodResult(mapped.failures[error.failure])
        return result

    async def delete_instance(self, context: Context, name: InstanceName) -> None:
        """Delete an instance of a class that permits it: a job."""
        delete = self._mapped(name).delete
        if delete is None:
            raise CimError(Status.NOT_SUPPORTED, f"Instances of {name.class_name} cannot be deleted.")
        await delete(self._call(context, name, ""))

    def _mapped(self, name: InstanceName) -> MappedClass:
        mapped = self._classes.get(name.class_name.lower())
        if mapped is None:
            raise CimError(Status.NOT_FOUND, f"{name.class_name} is not served here.")
        return mapped

    def _call(self, context: Context, name: InstanceName, method: str) -> Call:
        view = self.view()
        found = view.record(name)
        if found is None:
            raise CimError(Status.NOT_FOUND, f"There is no {name}.")
        ref, record = found
        return Call(ref, record, name, method, context.principal, view, self._replica, self._workshop)

    def watch(self, classes: Collection[str], sink: Callable[[Indication], None]) -> Callable[[], None]:
        """Call ``sink`` for each indication of exactly these classes, in order; the result ends that."""
        ends = [each.watch(classes, sink) for each in (self._watchers, self._alerts)]
        # What is watched must be known before it changes; to learn that of a large pool would keep the loop for long.
        self._preparing.submit(self._prepare, list(self._watchers.subjects))

        def end() -> None:
            for each in ends:
                each()

        return end
