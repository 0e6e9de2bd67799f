"""Sampling: reading what changes without events, in bulk, while somebody asks for it.

It is in the fields of records where those move, and else in data sources.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import structlog

from xen_providers.mapping.data_sources import DATA_SOURCES
from xen_providers.mapping.reading import Samples
from xenapi_client import (
    Connection,
    Record,
    Updates,
    Version,
    XenApiError,
    XenApiUnavailable,
    read_updates,
)

log = structlog.get_logger(__name__)

FRESH = 1.0
"""Seconds for which a sample is as good as new."""
RECENT = 10.0
"""Seconds for which a sample is still shown while the next one is taken; after that, readers wait for the next one."""
PATIENCE = 5.0
"""Seconds that a reader waits at most."""


class Sampler:
    """Holds the newest samples of the classes that are asked for."""

    def __init__(
        self,
        connection: Connection,
        version: Callable[[], Version | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``version`` tells the newest version of the replica, which says whose data sources are what; ``clock``
        tells seconds.
        """
        self._connection = connection
        self._version = version
        self._clock = clock
        self._samples: dict[str, Mapping[str, Record]] = {}
        self._asked: dict[str, float] = {}
        """When each class was last asked for, by the clock."""
        self._taken: dict[str, float] = {}
        """The same for what was answered."""
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._failing: set[str] = set()
        self._updates: asyncio.Task[Updates] | None = None
        """What data sources told last, or are being asked."""
        self._updates_asked = -math.inf

    @property
    def samples(self) -> Samples:
        """The newest samples: records by class and reference."""
        return dict(self._samples)

    async def refresh(self, classes: Collection[str]) -> None:
        """Have samples of some classes taken if the last ones are no longer fresh.

        Returns at once if they are recent; else waits, for a while, for those that are under way then.
        """
        awaited = []
        for cls in classes:
            task = self._under_way.get(cls)
            if task is None and self._age(self._asked, cls) >= FRESH:
                task = self._begin(cls)
            if task is not None and self._age(self._taken, cls) >= RECENT:
                awaited.append(task)
        if awaited:
            await asyncio.wait(awaited, timeout=PATIENCE)

    async def stop(self) -> None:
        """Take no more samples."""
        tasks: list[asyncio.Task[Any]] = [*self._under_way.values(), *([self._updates] if self._updates else ())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _age(self, times: Mapping[str, float], cls: str) -> float:
        return self._clock() - times.get(cls, -math.inf)

    def _begin(self, cls: str) -> asyncio.Task[None]:
        self._asked[cls] = self._clock()
        task = self._under_way[cls] = asyncio.create_task(self._take(cls), name=f"sampling {cls}")
        task.add_done_callback(lambda _: self._under_way.pop(cls))
        return task

    async def _take(self, cls: str) -> None:
        asked = self._asked[cls]
        try:
            self._samples[cls] = await self._read(cls)
        except (XenApiError, XenApiUnavailable) as error:
            if cls not in self._failing:
                log.warning("not_sampled", cls=cls, endpoint=self._connection.endpoint, reason=str(error))
            self._failing.add(cls)
            return
        self._failing.discard(cls)
        self._taken[cls] = asked

    async def _read(self, cls: str) -> Mapping[str, Record]:
        """Return the records of a class, with what data sources tell of fields that do not move."""
        told, version = DATA_SOURCES.get(cls), self._version()
        records: Mapping[str, Record] = {}
        if told is None or told.has_records:
            records = await self._connection.call(f"{cls}.get_all_records")
        missing = told.missing(records) if told is not None else ()
        if told is None or not missing or version is None:
            return records
        try:
            updates = await self._read_updates()
        except (XenApiError, XenApiUnavailable):
            if told.has_records:
                return records  # as it was in Xen-API 1.0: there are no data sources, and idle machines do not move
            raise
        return told.fill(cls, records, missing, updates, version)

    async def _read_updates(self) -> Updates:
        """Return what data sources told within the last second, asked for all classes together."""
        if self._updates is None or (self._updates.done() and self._clock() - self._updates_asked >= FRESH):
            self._updates_asked = self._clock()
            self._updates = asyncio.create_task(read_updates(self._connection), name="reading data sources")
        return await asyncio.shield(self._updates)
