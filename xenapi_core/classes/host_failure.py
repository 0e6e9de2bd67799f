"""Hosts that fail because users ask for it: ``host.other_config`` has the key ``sim:fail`` (docs/simulation.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from xenapi_core.classes import power
from xenapi_core.classes.evacuation import residents
from xenapi_core.classes.lifecycle import State
from xenapi_core.hypervisors.interface import Hypervisor
from xenapi_core.hypervisors.simulation.faults import asked
from xenapi_core.store.log import Interest
from xenapi_core.store.store import Store

_log = structlog.get_logger(__name__)

HOSTS = Interest(classes=frozenset({"host"}))


class HostFailures:
    """Lets hosts fail, and come back, as their records ask for. Does nothing until a host's record changes."""

    def __init__(self, store: Store, hypervisors: Mapping[str, Hypervisor]) -> None:
        self._store = store
        self._hypervisors = hypervisors
        self._failed: set[str] = set()
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch the hosts."""
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    def stop(self) -> None:
        """Watch no longer."""
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    async def _watch(self) -> None:
        while True:
            changed = self._store.log.next_change(HOSTS)
            await self.look()
            await changed

    async def look(self) -> None:
        """Let fail, or come back, what is to."""
        for host, hypervisor in self._hypervisors.items():
            record = self._store.get(host)
            fails = record is not None and bool(asked("host", record["other_config"], "sim:fail"))
            if fails and host not in self._failed:
                await self._fail(host, hypervisor)
            elif not fails and host in self._failed:
                await self._recover(host, hypervisor)

    async def _fail(self, host: str, hypervisor: Hypervisor) -> None:
        """Switch a host off. What ran there is not written off: nobody knows yet that it is gone for certain."""
        self._failed.add(host)
        await hypervisor.power_off()
        with self._store.write() as change:
            change.update(change.record(host)["metrics"], live=False)
        _log.warning("host_failed", host=self._store.record(host)["name_label"])

    async def _recover(self, host: str, hypervisor: Hypervisor) -> None:
        """Switch a host on again; what ran there is halted now."""
        self._failed.discard(host)
        if self._store.get(host) is None:
            return
        await hypervisor.power_on()
        with self._store.write() as change:
            for vm in residents(change, host):
                power.down(change, vm.ref, State.Halted)
            change.update(change.record(host)["metrics"], live=True)
        _log.info("host_recovered", host=self._store.record(host)["name_label"])
